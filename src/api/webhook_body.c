/* webhook_body.c: strict about the types of the fields that it knows, silent about others: clients
 * send "active" and even "token" on create, and Aircall lets them. */
#include "api/webhook_body.h"

#include <string.h>

#include "api/call.h"
#include "base/encode.h"

/* NULL counts as absent. */
static const json_t *field(const json_t *body, const char *name)
{
    const json_t *value = json_object_get(body, name);

    return json_is_null(value) ? NULL : value;
}

static enum err
wrong_type(struct error *error, const char *name, const json_t *value, const char *wanted)
{
    return error_set(error, ERR_INVALID, "'%s' is %s; it must be %s", name, value_kind(value),
                     wanted);
}

static enum err read_url(const json_t *body,
                         const struct egress *egress,
                         struct webhook_patch *patch,
                         struct error *error)
{
    const json_t *value = field(body, "url");
    struct url url;
    enum err code;

    if (value == NULL)
        return OK;
    if (!json_is_string(value))
        return wrong_type(error, "url", value, "a string, an https URL");
    code = url_parse(span_make(json_string_value(value), json_string_length(value)), &url, error);
    if (code == OK)
        code = egress_check_url(egress, &url, error);
    patch->url = json_string_value(value);
    return code;
}

static enum err read_name(const json_t *body, struct webhook_patch *patch, struct error *error)
{
    const json_t *value = field(body, "custom_name");

    if (value == NULL)
        return OK;
    if (!json_is_string(value))
        return wrong_type(error, "custom_name", value, "a string");
    struct error cause = {OK, ERROR_NO_OFFSET, ""};
    enum err code =
        webhook_check_name(span_make(json_string_value(value), json_string_length(value)), &cause);
    if (code != OK)
        return error_set(error, code, "'custom_name': %s", cause.message);
    patch->custom_name = json_string_value(value);
    return OK;
}

static enum err read_active(const json_t *body, struct webhook_patch *patch, struct error *error)
{
    const json_t *value = field(body, "active");

    if (value == NULL)
        return OK;
    if (!json_is_boolean(value))
        return wrong_type(error, "active", value, "true or false");
    patch->active = json_is_true(value) ? 1 : 0;
    return OK;
}

/* As many unknown names as fit a sentence. */
#define UNKNOWN_SHOWN 5

static enum err refuse_unknown(const json_t *names, struct error *error)
{
    struct buf list = BUF_INIT;
    size_t i, unknown = 0;
    const json_t *name;

    json_array_foreach(names, i, name)
    {
        struct span text = span_make(json_string_value(name), json_string_length(name));
        if (catalogue_find(text) >= 0 || unknown++ >= UNKNOWN_SHOWN)
            continue;
        /* By bytes; a character that is cut becomes U+FFFD in the answer. */
        buf_printf(&list, "%s'%.40s'", unknown == 1 ? "" : ", ", json_string_value(name));
        const char *meant = unknown == 1 ? catalogue_nearest(text) : NULL;
        if (meant != NULL)
            buf_printf(&list, " (did you mean '%s'?)", meant);
    }
    if (unknown > UNKNOWN_SHOWN)
        buf_printf(&list, " and %zu more", unknown - UNKNOWN_SHOWN);
    error_set(error, ERR_INVALID, "unknown event%s %s; GET /v1/event_types lists every name",
              unknown == 1 ? "" : "s", list.ptr);
    buf_release(&list);
    return ERR_INVALID;
}

static enum err read_names(const json_t *names, struct event_set *set, struct error *error)
{
    size_t i;
    const json_t *name;
    bool unknown = false;

    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name))
            return error_set(error, ERR_INVALID,
                             "item %zu of 'events' is %s; each must be the name of an event", i + 1,
                             value_kind(name));
        int type = catalogue_find(span_make(json_string_value(name), json_string_length(name)));
        if (type < 0)
            unknown = true;
        else
            event_set_add(set, (size_t)type);
    }
    return unknown ? refuse_unknown(names, error) : OK;
}

static enum err read_events(const json_t *body,
                            const char *action,
                            struct webhook_patch *patch,
                            struct error *error)
{
    const json_t *value = field(body, "events");
    enum patch_events with_list = PATCH_EVENTS_REPLACE;
    enum patch_events without_list = PATCH_EVENTS_ALL;

    if (action != NULL) {
        if (strcmp(action, "add") == 0)
            with_list = PATCH_EVENTS_ADD;
        else if (strcmp(action, "remove") == 0)
            with_list = PATCH_EVENTS_REMOVE;
        else
            return error_set(error, ERR_INVALID,
                             "'events_action' is '%.40s'; it must be 'add' or 'remove', or be left "
                             "out to replace the list",
                             action);
        without_list = PATCH_EVENTS_KEEP;
    }
    if (value != NULL && !json_is_array(value))
        return wrong_type(error, "events", value, "an array of event names");
    if (json_array_size(value) == 0) {
        patch->events_action = without_list;
        return OK;
    }
    patch->events_action = with_list;
    return read_names(value, &patch->events, error);
}

enum err webhook_patch_read(const json_t *body,
                            const char *action,
                            const struct egress *egress,
                            struct webhook_patch *ret_patch,
                            struct error *error)
{
    struct webhook_patch patch = {.active = -1};
    enum err code = read_url(body, egress, &patch, error);

    if (code == OK)
        code = read_name(body, &patch, error);
    if (code == OK)
        code = read_active(body, &patch, error);
    if (code == OK)
        code = read_events(body, action, &patch, error);
    if (code == OK)
        *ret_patch = patch;
    return code;
}

void webhook_add_json(struct buf *buf,
                      const struct webhook *webhook,
                      bool active,
                      const char *public_url)
{
    char uuid[WEBHOOK_UUID_TEXT + 1];
    struct buf link = BUF_INIT;
    const char *comma = "";

    webhook_uuid_text(webhook, uuid);
    buf_printf(&link, "%s/v1/webhooks/%s", public_url, uuid);
    buf_printf(buf, "{\"webhook_id\":\"%s\",\"id\":%u,\"direct_link\":", uuid, webhook->number);
    buf_add_json_string(buf, buf_span(&link));
    buf_release(&link);
    buf_add_text(buf, ",\"created_at\":");
    buf_add_wall(buf, webhook->created_at);
    buf_add_text(buf, ",\"url\":");
    buf_add_json_string(buf, span_from(webhook->url));
    buf_printf(buf, ",\"active\":%s,\"token\":\"%s\",\"custom_name\":", active ? "true" : "false",
               webhook->token);
    buf_add_json_string(buf,
                        span_from(webhook->custom_name != NULL ? webhook->custom_name : "Webhook"));
    buf_add_text(buf, ",\"events\":[");
    for (size_t i = 0; i < catalogue_size(); i++) {
        if (!webhook_wants(webhook, i))
            continue;
        buf_printf(buf, "%s\"%s\"", comma, catalogue_at(i)->name);
        comma = ",";
    }
    buf_add_text(buf, "]}");
}
