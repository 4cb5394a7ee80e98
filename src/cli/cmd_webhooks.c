/* cmd_webhooks.c: `hookswitch webhooks list|show|create|enable|pause|delete`. */
#include <stdlib.h>
#include <string.h>

#include "cli/remote.h"
#include "cli/view_webhooks.h"

#define PAGE_SIZE 50   /* the largest that the API gives */
#define PAGES_MAX 2000 /* a server that never ends its list is not followed for ever */

/* ---- list -------------------------------------------------------------------------------- */

/* One page into `all`; the first one becomes `all`. */
static enum err
add_page(struct remote *remote, unsigned page, json_t **all, bool *ret_more, struct error *error)
{
    struct buf path = BUF_INIT;
    json_t *answer = NULL;
    enum err err;

    buf_printf(&path, "/v1/webhooks?page=%u&per_page=%d", page, PAGE_SIZE);
    const struct api_request request = {.method = "GET", .path = path.ptr};
    err = remote_fetch(remote, &request, &answer, error);
    buf_release(&path);
    if (err != OK)
        return err;
    json_t *webhooks = json_object_get(answer, "webhooks");
    *ret_more = json_array_size(webhooks) > 0 &&
                json_is_string(json_object_get(json_object_get(answer, "meta"), "next_page_link"));
    if (*all == NULL) {
        *all = answer;
        return OK;
    }
    if (json_is_array(webhooks))
        json_array_extend(json_object_get(*all, "webhooks"), webhooks);
    json_decref(answer);
    return OK;
}

/* All pages as one: the same object with a meta that says so. */
static void set_meta(json_t *all)
{
    json_t *meta = json_object_get(all, "meta");
    json_int_t n = (json_int_t)json_array_size(json_object_get(all, "webhooks"));

    json_object_set_new(meta, "count", json_integer(n));
    json_object_set_new(meta, "total", json_integer(n));
    json_object_set_new(meta, "per_page", json_integer(n));
    json_object_set_new(meta, "next_page_link", json_null());
}

static enum err webhooks_list(struct remote *remote, struct error *error)
{
    json_t *all = NULL;
    bool more = true;
    unsigned page = 0;
    enum err err = OK;

    while (err == OK && more && page < PAGES_MAX)
        err = add_page(remote, ++page, &all, &more, error);
    if (err == OK && page > 1)
        set_meta(all);
    if (err == OK && remote->json)
        remote_add_tree(remote, all);
    else if (err == OK)
        view_webhook_list(&remote->out, &remote->view, all);
    json_decref(all);
    return err;
}

/* ---- show -------------------------------------------------------------------------------- */

static enum err
fetch_part(struct remote *remote, const char *after, json_t **ret_answer, struct error *error)
{
    struct buf path = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/webhooks/", remote->words[0], after);
    const struct api_request request = {.method = "GET", .path = path.ptr};
    err = remote_fetch(remote, &request, ret_answer, error);
    buf_release(&path);
    return err;
}

static enum err webhooks_show(struct remote *remote, struct error *error)
{
    json_t *all = NULL, *status = NULL, *secret = NULL;
    enum err err = fetch_part(remote, "", &all, error);

    if (err == OK)
        err = fetch_part(remote, "/status", &status, error);
    if (err == OK && remote_value(remote, "--secret") != NULL)
        err = fetch_part(remote, "/secret", &secret, error);
    if (err == OK) {
        json_object_set(all, "status", status);
        if (secret != NULL)
            json_object_set(all, "secret", json_object_get(secret, "secret"));
        if (remote->json)
            remote_add_tree(remote, all);
        else
            view_webhook(&remote->out, &remote->view, all);
    }
    json_decref(all);
    json_decref(status);
    json_decref(secret);
    return err;
}

/* ---- changes ----------------------------------------------------------------------------- */

static enum err
fill_body(const struct remote *remote, json_t *body, json_t *events, struct error *error)
{
    const char *name = remote_value(remote, "--name");
    bool utf8 = json_object_set_new(body, "url", json_string(remote->words[0])) == 0;

    if (name != NULL)
        utf8 = json_object_set_new(body, "custom_name", json_string(name)) == 0 && utf8;
    for (size_t i = 0; i < remote->n_values; i++) {
        if (strcmp(remote->values[i].name, "--event") == 0)
            utf8 = json_array_append_new(events, json_string(remote->values[i].value)) == 0 && utf8;
    }
    if (!utf8)
        return error_set(error, ERR_USAGE, "the URL, the name or an event is not UTF-8");
    if (json_array_size(events) > 0)
        json_object_set(body, "events", events);
    return OK;
}

static enum err webhooks_create(struct remote *remote, struct error *error)
{
    json_t *body = json_object(), *events = json_array();
    enum err err = fill_body(remote, body, events, error);

    if (err == OK) {
        char *text = json_dumps(body, JSON_COMPACT);
        const struct api_request request = {
            .method = "POST", .path = "/v1/webhooks", .body = span_from(text)};
        err = remote_show(remote, &request, view_webhook, error);
        free(text);
    }
    json_decref(body);
    json_decref(events);
    return err;
}

/* `events_action=add` with nothing to add leaves the events alone, where a plain PUT would
 * subscribe to all. Sending back the list that a GET returned would lose what another client
 * changes between the two, and freeze a webhook that listens to all events at those of today. */
static enum err switch_webhook(struct remote *remote, const char *body, struct error *error)
{
    struct buf path = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/webhooks/", remote->words[0], "?events_action=add");
    const struct api_request request = {.method = "PUT", .path = path.ptr, .body = span_from(body)};
    err = remote_show(remote, &request, view_webhook_switched, error);
    buf_release(&path);
    return err;
}

static enum err webhooks_enable(struct remote *remote, struct error *error)
{
    return switch_webhook(remote, "{\"active\":true}", error);
}

static enum err webhooks_pause(struct remote *remote, struct error *error)
{
    return switch_webhook(remote, "{\"active\":false}", error);
}

static enum err webhooks_delete(struct remote *remote, struct error *error)
{
    struct buf path = BUF_INIT, answer = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/webhooks/", remote->words[0], "");
    const struct api_request request = {.method = "DELETE", .path = path.ptr};
    err = api_call(&remote->target, &request, &answer, error);
    if (err == OK && remote->json)
        err = remote_add_json(remote, buf_span(&answer), error);
    else if (err == OK)
        view_add_fieldf(&remote->out, &remote->view, "deleted", "%s", remote->words[0]);
    buf_release(&path);
    buf_release(&answer);
    return err;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct remote_flag create_flags[] = {
        {"--name", true, false},
        {"--event", true, true},
        {NULL, false, false},
    };
    static const struct remote_flag show_flags[] = {
        {"--secret", false, false},
        {NULL, false, false},
    };
    static const struct remote_action actions[] = {
        {"list", 0, "", NULL, webhooks_list},
        {"show", 1, "one ID (or UUID)", show_flags, webhooks_show},
        {"create", 1, "one URL", create_flags, webhooks_create},
        {"enable", 1, "one ID (or UUID)", NULL, webhooks_enable},
        {"pause", 1, "one ID (or UUID)", NULL, webhooks_pause},
        {"delete", 1, "one ID (or UUID)", NULL, webhooks_delete},
        {NULL, 0, NULL, NULL, NULL},
    };

    return remote_run(command, actions, argc, argv);
}

const struct command command_webhooks = {
    .name = "webhooks",
    .synopsis = "webhooks list\n"
                "webhooks show ID [--secret]\n"
                "webhooks create URL [--name NAME] [--event EVENT]...\n"
                "webhooks enable ID\n"
                "webhooks pause ID\n"
                "webhooks delete ID",
    .summary = "lists, shows and changes webhooks over the API",
    .help = "ID is the number or the UUID. Without --event a new webhook listens to all events.\n"
            "`enable` delivers what was held, oldest first; `pause` holds what comes. Both leave\n"
            "URL, name and events as they are. `delete` drops what is still owed, and asks not.\n",
    .calls_api = true,
    .run = run,
};
