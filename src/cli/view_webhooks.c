/* view_webhooks.c: the table of webhooks, and one of them with its health. */
#include "cli/view_webhooks.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/safe_text.h"
#include "cli/table.h"

#define NAME_MAX_WIDTH 20

void view_webhook_list(struct buf *out, const struct view *view, const json_t *answer)
{
    static const char *const heads[] = {"id", "active", "name", "events", "url"};
    const json_t *webhooks = json_object_get(answer, "webhooks"), *webhook;
    struct table table;
    size_t i;

    if (json_array_size(webhooks) == 0) {
        buf_add_text(out, "no webhooks yet; `hookswitch webhooks create URL` makes one\n");
        return;
    }
    table_init(&table, heads, 5);
    table.width = view->width;
    json_array_foreach(webhooks, i, webhook)
    {
        char id[24], events[24];
        char *name = view_cell(view_text(webhook, "custom_name"), NAME_MAX_WIDTH);
        char *url = view_cell(view_text(webhook, "url"), SIZE_MAX);
        snprintf(id, sizeof id, "%lld", (long long)view_number(webhook, "id"));
        snprintf(events, sizeof events, "%zu", json_array_size(json_object_get(webhook, "events")));
        const char *cells[] = {id, json_is_true(json_object_get(webhook, "active")) ? "yes" : "no",
                               name, events, url};
        table_add(&table, cells);
        free(name);
        free(url);
    }
    table_print(&table, out);
    table_release(&table);
}

static void add_events(struct buf *out, const struct view *view, const json_t *events)
{
    struct buf names = BUF_INIT;
    const json_t *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        const char *name = json_string_value(event);
        buf_printf(&names, "%s%s", i == 0 ? "" : " ", name == NULL ? "-" : name);
    }
    view_add_field(out, view, "events", buf_span(&names));
    buf_release(&names);
}

static void add_status(struct buf *out, const struct view *view, const json_t *status)
{
    bool held = view_number(status, "held") > 0;

    if (view_number(status, "threshold") > 0)
        view_add_fieldf(out, view, "failures", "%lld in a row; %lld switch it off",
                        (long long)view_number(status, "failures"),
                        (long long)view_number(status, "threshold"));
    else
        view_add_fieldf(out, view, "failures", "%lld in a row; they never switch it off",
                        (long long)view_number(status, "failures"));
    view_add_fieldf(out, view, "owed", "%lld%s", (long long)view_number(status, "owed"),
                    held ? ", held until it is enabled" : "");
    if (json_is_string(json_object_get(status, "oldest_owed_at")))
        view_add_field_time(out, view, "oldest", view_text(status, "oldest_owed_at"));
    view_add_fieldf(out, view, "finished", "%lld delivered, %lld failed, %lld expired",
                    (long long)view_number(status, "delivered"),
                    (long long)view_number(status, "failed"),
                    (long long)view_number(status, "expired"));
    view_add_field(out, view, "ledger", view_text(status, "ledger"));
}

static const char *state_of(const json_t *webhook, const json_t *status)
{
    if (json_is_true(json_object_get(webhook, "active")))
        return "active";
    if (json_is_true(json_object_get(status, "paused")))
        return "inactive: paused by hand";
    return "inactive";
}

void view_webhook(struct buf *out, const struct view *view, const json_t *answer)
{
    const json_t *webhook = json_object_get(answer, "webhook");
    const json_t *status = json_object_get(answer, "status");
    const json_t *secret = json_object_get(answer, "secret");

    view_add_fieldf(out, view, "webhook", "%lld", (long long)view_number(webhook, "id"));
    view_add_field(out, view, "uuid", view_text(webhook, "webhook_id"));
    view_add_field(out, view, "name", view_text(webhook, "custom_name"));
    view_add_field(out, view, "url", view_text(webhook, "url"));
    view_add_field(out, view, "state", span_from(state_of(webhook, status)));
    view_add_field_time(out, view, "created", view_text(webhook, "created_at"));
    if (secret != NULL) {
        view_add_field(out, view, "secret", view_text(answer, "secret"));
        view_add_field(out, view, "token", view_text(webhook, "token"));
    }
    add_events(out, view, json_object_get(webhook, "events"));
    if (status != NULL)
        add_status(out, view, status);
}

void view_webhook_switched(struct buf *out, const struct view *view, const json_t *answer)
{
    const json_t *webhook = json_object_get(answer, "webhook");
    long long id = (long long)view_number(webhook, "id");

    if (json_is_true(json_object_get(webhook, "active")))
        buf_printf(out, "webhook %lld is active; what was held is delivered, oldest first\n", id);
    else
        buf_printf(out,
                   "webhook %lld is paused; what comes is held for the server's hold-hours, until\n"
                   "`hookswitch webhooks enable %lld`\n",
                   id, id);
}
