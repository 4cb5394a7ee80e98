/* fake_engine.c: see fake_engine.h. */
#include "fake_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/ulid.h"

struct engine *fake_engine_new(void)
{
    struct engine *engine = mem_zero(1, sizeof(*engine));

    engine->registry = registry_new();
    engine->ready = true;
    return engine;
}

static void forget_events(struct engine *engine)
{
    for (size_t i = 0; i < engine->n_events; i++)
        event_unref(engine->events[i]);
    free(engine->events);
    engine->events = NULL;
    engine->n_events = 0;
}

void fake_engine_free(struct engine *engine)
{
    forget_events(engine);
    registry_free(engine->registry);
    free(engine);
}

struct registry *engine_registry(struct engine *engine)
{
    return engine->registry;
}

struct metrics *engine_metrics(struct engine *engine)
{
    return &engine->metrics;
}

struct store *engine_store(struct engine *engine)
{
    return NULL;
}

bool engine_ready(struct engine *engine)
{
    return engine->ready;
}

/* --- ingest --- */

void event_id_after(const uint8_t id[EVENT_ID_BYTES], size_t steps, uint8_t ret_id[EVENT_ID_BYTES])
{
    memmove(ret_id, id, EVENT_ID_BYTES);
    ret_id[EVENT_ID_BYTES - 1] = (uint8_t)(ret_id[EVENT_ID_BYTES - 1] + steps);
}

void fake_engine_finish(struct engine *engine)
{
    struct ingest_request *ingest = engine->ingest;

    ingest->code = engine->code;
    if (engine->message != NULL)
        (void)snprintf(ingest->message, sizeof(ingest->message), "%s", engine->message);
    ingest->n_ids = ingest->n_events;
    memset(ingest->first_id, 0, sizeof(ingest->first_id));
    ingest->done(ingest);
}

void engine_ingest(struct engine *engine, struct ingest_request *request)
{
    forget_events(engine);
    engine->ingest = request;
    engine->events = request->events;
    engine->n_events = request->n_events;
    if (!engine->hold)
        fake_engine_finish(engine);
}

/* --- changes --- */

static void apply_webhook(struct engine *engine, struct change *change)
{
    const struct webhook_patch *patch = &change->patch;
    struct webhook webhook = {0};

    if (change->kind == CHANGE_WEBHOOK_UPDATE) {
        webhook_copy(registry_peek(engine->registry, change->webhook_number), &webhook);
    } else {
        webhook.number = ++engine->numbers;
        webhook.company = change->company_id;
        webhook.created_at = 1700000000123;
        webhook.uuid[15] = (uint8_t)webhook.number;
        uuid_v4_set_bits(webhook.uuid);
        (void)snprintf(webhook.token, sizeof(webhook.token), "%032u", webhook.number);
    }
    if (patch->url != NULL) {
        free(webhook.url);
        webhook.url = mem_strdup(patch->url);
    }
    if (patch->custom_name != NULL) {
        free(webhook.custom_name);
        webhook.custom_name = mem_strdup(patch->custom_name);
    }
    if (patch->events_action != PATCH_EVENTS_KEEP)
        webhook.all_events = patch->events_action == PATCH_EVENTS_ALL;
    if (patch->events_action == PATCH_EVENTS_REPLACE)
        webhook.events = patch->events;
    webhook.paused = patch->active == 0;
    registry_put_webhook(engine->registry, &webhook);
    change->webhook = webhook;
    change->active = !webhook.paused;
}

static void apply(struct engine *engine, struct change *change)
{
    switch (change->kind) {
    case CHANGE_COMPANY_ADD:
        change->company.id = ++engine->numbers;
        registry_put_company(engine->registry, &change->company);
        change->credential.company = change->company.id;
        registry_put_credential(engine->registry, &change->credential);
        break;
    case CHANGE_CREDENTIAL_ADD:
        registry_put_credential(engine->registry, &change->credential);
        break;
    case CHANGE_CREDENTIAL_REVOKE:
        registry_delete_credential(engine->registry, change->credential.api_id);
        break;
    case CHANGE_WEBHOOK_CREATE:
    case CHANGE_WEBHOOK_UPDATE:
        apply_webhook(engine, change);
        break;
    case CHANGE_WEBHOOK_DELETE:
        registry_delete_webhook(engine->registry, change->webhook_number);
        break;
    }
}

void engine_change(struct engine *engine, struct change *change)
{
    engine->kind = change->kind;
    engine->patch = change->patch;
    if (change->patch.url != NULL)
        (void)snprintf(engine->patch_url, sizeof(engine->patch_url), "%s", change->patch.url);
    change->result = (struct error){.code = OK, .offset = ERROR_NO_OFFSET};
    if (engine->code != OK)
        error_set(&change->result, engine->code, "%s", engine->message);
    else
        apply(engine, change);
    struct webhook webhook = change->webhook;
    change->done(change);
    webhook_release(&webhook);
}

/* --- reads --- */

bool engine_webhook_status(struct engine *engine, uint32_t webhook, struct webhook_status *ret)
{
    *ret = engine->status;
    return true;
}

bool engine_webhook_active(struct engine *engine, uint32_t webhook)
{
    return !registry_peek(engine->registry, webhook)->paused;
}

static const char *const status_names[] = {"owed", "delivered", "retrying",
                                           "held", "failed",    "expired"};

const char *delivery_status_name(enum delivery_status status)
{
    return status_names[status];
}

int delivery_status_find(struct span name)
{
    for (int i = 0; i < DELIVERY_STATUS_COUNT; i++)
        if (span_eq_text(name, status_names[i]))
            return i;
    return -1;
}

void delivery_id_text(const struct delivery *delivery, char *ret_text)
{
    struct ulid id;

    memcpy(id.bytes, delivery->event->id, ULID_BYTES);
    memcpy(ret_text, "dlv_", 4);
    ulid_text(&id, ret_text + 4);
    (void)snprintf(ret_text + 4 + ULID_TEXT_LEN, DELIVERY_ID_TEXT - 4 - ULID_TEXT_LEN, "-%u",
                   delivery->webhook);
}

enum err
delivery_id_parse(struct span text, uint8_t ret_event_id[EVENT_ID_BYTES], uint32_t *ret_webhook)
{
    struct ulid id;

    if (text.len < 6 + ULID_TEXT_LEN || !span_starts(text, "dlv_") ||
        !ulid_parse(span_make(text.ptr + 4, ULID_TEXT_LEN), &id))
        return ERR_INVALID;
    memcpy(ret_event_id, id.bytes, ULID_BYTES);
    *ret_webhook = (uint32_t)(text.ptr[5 + ULID_TEXT_LEN] - '0');
    return OK;
}

static struct delivery fake_delivery(struct engine *engine, uint32_t webhook)
{
    return (struct delivery){.webhook = webhook,
                             .sequence = 42,
                             .event = engine->event != NULL ? event_ref(engine->event) : NULL,
                             .status = engine->delivery_status,
                             .attempts = 1};
}

void engine_retry(struct engine *engine, struct retry_request *request)
{
    engine->retried = request->sequence;
    request->code = engine->retry_code;
    request->done(request);
}

enum err engine_webhook_events(struct engine *engine,
                               uint32_t webhook,
                               uint64_t after,
                               size_t n,
                               struct event **ret_events,
                               size_t *ret_n,
                               uint64_t *ret_last,
                               struct error *error)
{
    (void)webhook;
    (void)error;
    *ret_last = 3;
    *ret_n = after < 3 && n > 0 ? 1 : 0;
    /* The second of three is gone. */
    if (*ret_n > 0)
        ret_events[0] = after == 1 ? NULL : fake_delivery(engine, webhook).event;
    return OK;
}

enum err engine_deliveries(struct engine *engine,
                           const struct delivery_query *query,
                           struct delivery_page *ret_page,
                           struct error *error)
{
    engine->query = *query;
    ret_page->deliveries = mem_zero(2, sizeof(struct delivery));
    ret_page->deliveries[0] = fake_delivery(engine, query->webhook);
    ret_page->deliveries[1].webhook = query->webhook; /* its event is gone */
    ret_page->n = 2;
    ret_page->next = engine->next;
    return OK;
}

void delivery_page_release(struct delivery_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        event_unref(page->deliveries[i].event);
    free(page->deliveries);
}

enum err engine_delivery(struct engine *engine,
                         const uint8_t event_id[EVENT_ID_BYTES],
                         uint32_t webhook,
                         struct delivery *ret_delivery,
                         struct store_attempts *ret_attempts,
                         struct error *error)
{
    if (engine->event == NULL || memcmp(engine->event->id, event_id, EVENT_ID_BYTES) != 0)
        return error_set(error, ERR_NOT_FOUND, "there is none");
    *ret_delivery = fake_delivery(engine, webhook);
    ret_attempts->attempts = mem_zero(1, sizeof(struct attempt));
    ret_attempts->attempts[0] = engine->attempt;
    ret_attempts->n = 1;
    return OK;
}

void store_attempts_release(struct store_attempts *attempts)
{
    free(attempts->attempts);
}

enum err engine_event(struct engine *engine,
                      uint32_t company,
                      const uint8_t event_id[EVENT_ID_BYTES],
                      struct event **ret_event,
                      struct delivery **ret_targets,
                      size_t *ret_n,
                      struct error *error)
{
    if (engine->event == NULL || memcmp(engine->event->id, event_id, EVENT_ID_BYTES) != 0 ||
        engine->event->company != company)
        return error_set(error, ERR_NOT_FOUND, "there is none");
    *ret_event = event_ref(engine->event);
    *ret_n = engine->event->n_targets;
    *ret_targets = mem_zero(*ret_n + 1, sizeof(struct delivery));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_targets)[i] = (struct delivery){.webhook = engine->event->targets[i].webhook,
                                              .status = engine->delivery_status,
                                              .attempts = 1};
    return OK;
}

enum err engine_attempt_head(struct engine *engine,
                             const struct event *event,
                             const struct webhook *webhook,
                             const struct attempt *attempt,
                             struct buf *ret_head,
                             struct error *error)
{
    buf_add_text(ret_head, "POST / HTTP/1.1\r\n\r\n");
    return OK;
}

/* --- what lies below and is not under test --- */

void store_stats(struct store *store, struct store_stats *ret_stats)
{
    *ret_stats = (struct store_stats){.bytes_on_disk = 4096};
}

enum err
store_load_conf(struct store *store, const struct store_conf_visitor *visitor, struct error *error)
{
    return OK;
}
