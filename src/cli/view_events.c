/* view_events.c: what is known of an event. */
#include "cli/view_events.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/safe_text.h"
#include "cli/table.h"

void view_event_types(struct buf *out, const struct view *view, const json_t *answer)
{
    static const char *const heads[] = {"event", "what happened"};
    const json_t *types = json_object_get(answer, "event_types"), *type;
    struct table table;
    size_t i;

    table_init(&table, heads, 2);
    table.width = view->width;
    json_array_foreach(types, i, type)
    {
        char *name = view_cell(view_text(type, "name"), SIZE_MAX);
        char *description = view_cell(view_text(type, "description"), SIZE_MAX);
        const char *cells[] = {name, description};
        table_add(&table, cells);
        free(name);
        free(description);
    }
    table_print(&table, out);
    table_release(&table);
}

static void add_deliveries(struct buf *out, const struct view *view, const json_t *deliveries)
{
    static const char *const heads[] = {"delivery", "status", "attempts"};
    const json_t *delivery;
    struct table table;
    size_t i;

    if (json_array_size(deliveries) == 0)
        return;
    buf_add_char(out, '\n');
    table_init(&table, heads, 3);
    table.width = view->width;
    json_array_foreach(deliveries, i, delivery)
    {
        char attempts[24];
        char *id = view_cell(view_text(delivery, "id"), SIZE_MAX);
        char *status = view_cell(view_text(delivery, "status"), SIZE_MAX);
        snprintf(attempts, sizeof attempts, "%lld", (long long)view_number(delivery, "attempts"));
        const char *cells[] = {id, status, attempts};
        table_add(&table, cells);
        free(id);
        free(status);
    }
    table_print(&table, out);
    table_release(&table);
}

void view_event(struct buf *out, const struct view *view, const json_t *answer)
{
    long long owed_to = (long long)view_number(answer, "owed_to");

    view_add_field(out, view, "event", view_text(answer, "id"));
    view_add_field(out, view, "name", view_text(answer, "event"));
    view_add_field_time(out, view, "accepted", view_text(answer, "created_at"));
    view_add_fieldf(out, view, "timestamp", "%lld", (long long)view_number(answer, "timestamp"));
    if (owed_to == 0)
        view_add_field(out, view, "owed to", SPAN_LIT("nobody: no webhook was subscribed to it"));
    else
        view_add_fieldf(out, view, "owed to", "%lld webhook%s", owed_to, owed_to == 1 ? "" : "s");
    add_deliveries(out, view, json_object_get(answer, "deliveries"));
    if (view->data.len > 0) {
        buf_add_text(out, "\ndata\n");
        safe_add_lines(out, "  ", view->data);
    }
}

void view_event_posted(struct buf *out, const struct view *view, const json_t *answer)
{
    const json_t *events = json_object_get(answer, "events"), *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        char *id = view_cell(view_text(event, "id"), SIZE_MAX);
        buf_printf(
            out, "accepted %s; `hookswitch events show` and this id tell what became of it\n", id);
        free(id);
    }
}
