/* webhooks.c: /v1/webhooks: the resource that every Aircall client knows.
 *
 * Changes are answered from the committer's thread, when they are durable and in force; until then
 * the texts of the patch live in the body that `struct update` owns. */
#include "api/webhooks.h"

#include <stdlib.h>

#include "api/handlers.h"
#include "api/paging.h"
#include "api/webhook_body.h"
#include "base/encode.h"
#include "base/mem.h"

/* --- finding --- */

static bool parse_number(struct span text, uint32_t *ret_number)
{
    uint64_t number = 0;

    if (text.len == 0 || text.len > 10 || text.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret_number = (uint32_t)number;
    return number <= INT32_MAX;
}

static void fail_unknown(struct call *call)
{
    struct span id = call->match.params[0];

    call_fail(call, 404, "there is no webhook '%.*s'; GET /v1/webhooks lists those of your company",
              id.len > 60 ? 60 : (int)id.len, id.ptr);
}

bool webhooks_find(struct call *call, struct webhook *ret_webhook)
{
    struct registry *registry = engine_registry(call->api->engine);
    struct span id = call->match.params[0];
    uint8_t uuid[UUID_BYTES];
    uint32_t number;

    if (uuid_parse(id, uuid) &&
        registry_webhook_by_uuid(registry, call->company, uuid, ret_webhook))
        return true;
    if (parse_number(id, &number) &&
        registry_webhook_by_number(registry, call->company, number, ret_webhook))
        return true;
    fail_unknown(call);
    return false;
}

/* --- reading --- */

static void add_webhook(struct call *call, struct buf *buf, const struct webhook *webhook)
{
    webhook_add_json(buf, webhook, engine_webhook_active(call->api->engine, webhook->number),
                     api_public_url(call->api));
}

void webhooks_list(struct call *call)
{
    struct registry *registry = engine_registry(call->api->engine);
    struct webhook webhooks[PER_PAGE_MAX];
    struct paging paging;
    struct error error;
    struct buf body = BUF_INIT, base = BUF_INIT;

    if (paging_read(call->request, &paging, &error) != OK) {
        call_fail(call, 400, "%s", error.message);
        return;
    }
    size_t n = registry_webhooks(registry, call->company, paging.descending, paging_offset(&paging),
                                 paging.per_page, webhooks);
    size_t total = registry_webhook_count(registry, call->company);
    buf_printf(&base, "%s/v1/webhooks", api_public_url(call->api));
    buf_add_text(&body, "{\"meta\":");
    paging_add_meta(&body, &paging, n, total, base.ptr, http_request_query(call->request));
    buf_add_text(&body, ",\"webhooks\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(&body, ',');
        add_webhook(call, &body, &webhooks[i]);
        webhook_release(&webhooks[i]);
    }
    buf_add_text(&body, "]}");
    buf_release(&base);
    call_answer(call, 200, &body);
}

void webhooks_get(struct call *call)
{
    struct webhook webhook;
    struct buf body = BUF_INIT;

    if (!webhooks_find(call, &webhook))
        return;
    buf_add_text(&body, "{\"webhook\":");
    add_webhook(call, &body, &webhook);
    buf_add_char(&body, '}');
    webhook_release(&webhook);
    call_answer(call, 200, &body);
}

void webhooks_secret(struct call *call)
{
    struct webhook webhook;
    char secret[WEBHOOK_SECRET_TEXT + 1];
    struct buf body = BUF_INIT;

    if (!webhooks_find(call, &webhook))
        return;
    webhook_secret_text(&webhook, secret);
    webhook_release(&webhook);
    buf_printf(&body, "{\"secret\":\"%s\"}", secret);
    call_answer(call, 200, &body);
}

void webhooks_status(struct call *call)
{
    struct webhook webhook;
    struct webhook_status status;
    struct buf body = BUF_INIT;

    if (!webhooks_find(call, &webhook))
        return;
    bool known = engine_webhook_status(call->api->engine, webhook.number, &status);
    webhook_release(&webhook);
    if (!known) {
        fail_unknown(call);
        return;
    }
    buf_printf(&body, "{\"active\":%s,\"paused\":%s,\"failures\":%u,\"threshold\":%u",
               status.active ? "true" : "false", status.paused ? "true" : "false", status.failures,
               status.threshold);
    buf_printf(&body,
               ",\"owed\":%llu,\"held\":%llu,\"oldest_owed_at\":", (unsigned long long)status.owed,
               (unsigned long long)status.held);
    buf_add_wall(&body, status.oldest_owed_at);
    buf_printf(&body, ",\"delivered\":%llu,\"failed\":%llu,\"expired\":%llu,\"ledger\":",
               (unsigned long long)status.delivered, (unsigned long long)status.failed,
               (unsigned long long)status.expired);
    buf_add_json_string(&body, span_from(status.ledger));
    buf_add_char(&body, '}');
    call_answer(call, 200, &body);
}

/* --- changing --- */

/* A change on its way through the committer. */
struct update {
    struct change change;
    struct call *call;
    json_t *body; /* owns the texts of the patch */
};

static void update_free(struct update *update)
{
    json_decref(update->body);
    free(update);
}

static void update_done(struct change *change)
{
    struct update *update = change->arg;
    struct call *call = update->call;
    struct buf body = BUF_INIT;
    enum err code = change->result.code;

    if (code == OK && change->kind == CHANGE_WEBHOOK_DELETE) {
        call_answer(call, 204, &body);
    } else if (code == OK) {
        buf_add_text(&body, "{\"webhook\":");
        webhook_add_json(&body, &change->webhook, change->active, api_public_url(call->api));
        buf_add_char(&body, '}');
        call_answer(call, change->kind == CHANGE_WEBHOOK_CREATE ? 201 : 200, &body);
    } else if (code == ERR_NOT_FOUND) {
        fail_unknown(call);
    } else if (code == ERR_LIMIT || code == ERR_EXISTS) {
        /* "100 webhooks per company" is no limit that waiting helps against. */
        call_fail(call, 400, "%s", change->result.message);
    } else {
        call_fail_code(call, code, change->result.message);
    }
    update_free(update);
}

static struct update *update_new(struct call *call, enum change_kind kind, json_t *body)
{
    struct update *update = mem_zero(1, sizeof(*update));

    update->call = call;
    update->body = body;
    update->change.kind = kind;
    update->change.company_id = call->company;
    update->change.done = update_done;
    update->change.arg = update;
    return update;
}

/* Reads the patch; on failure answers, frees and gives false. */
static bool read_patch(struct update *update, const char *action)
{
    struct call *call = update->call;
    struct webhook_patch *patch = &update->change.patch;
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    enum err code = webhook_patch_read(update->body, action, call->api->egress, patch, &error);

    if (code == OK && update->change.kind == CHANGE_WEBHOOK_CREATE && patch->url == NULL)
        code = error_set(&error, ERR_INVALID,
                         "'url' is missing; send the https URL that shall receive the events");
    if (code == OK)
        return true;
    update_free(update);
    call_fail(call, 400, "%s", error.message[0] != '\0' ? error.message : err_sentence(code));
    return false;
}

void webhooks_create(struct call *call)
{
    json_t *body = call_object(call);
    struct update *update;

    if (body == NULL)
        return;
    update = update_new(call, CHANGE_WEBHOOK_CREATE, body);
    if (read_patch(update, NULL))
        engine_change(call->api->engine, &update->change);
}

void webhooks_update(struct call *call)
{
    struct webhook webhook;
    struct update *update;
    json_t *body;

    if (!webhooks_find(call, &webhook))
        return;
    uint32_t number = webhook.number;
    webhook_release(&webhook);
    body = call_object(call);
    if (body == NULL)
        return;
    update = update_new(call, CHANGE_WEBHOOK_UPDATE, body);
    update->change.webhook_number = number;
    bool no_events = json_object_get(body, "events") == NULL;
    if (!read_patch(update, http_request_param(call->request, "events_action")))
        return;
    /* What the documents of the API say surprises many: so a server may choose otherwise. */
    if (call->api->settings->put_keeps_events && no_events)
        update->change.patch.events_action = PATCH_EVENTS_KEEP;
    engine_change(call->api->engine, &update->change);
}

void webhooks_delete(struct call *call)
{
    struct webhook webhook;
    struct update *update;

    if (!webhooks_find(call, &webhook))
        return;
    update = update_new(call, CHANGE_WEBHOOK_DELETE, NULL);
    update->change.webhook_number = webhook.number;
    webhook_release(&webhook);
    engine_change(call->api->engine, &update->change);
}
