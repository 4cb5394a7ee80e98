/* events.c: POST /v1/events, the door of everything that is delivered, and what became of it.
 *
 * The hot path: the body is scanned in place, each event is copied once (event_new), and one answer
 * buffer of known size is written. Nothing else is allocated per event. The 202 is written by the
 * committer's thread, after the fsync. */
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/handlers.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/ulid.h"
#include "hook/ingest.h"
#include "sys/clock.h"

#define KEY_MAX 255

/* --- refusing --- */

/* "events[3], byte 120: ..." -- the message may begin with its offset already. */
static void add_first_error(struct buf *sentence, const struct ingest *ingest)
{
    const struct ingest_error *error = &ingest->errors[0];

    if (ingest->batch)
        buf_printf(sentence, "events[%zu]: ", error->index);
    if (strncmp(error->message, "byte ", 5) != 0)
        buf_printf(sentence, "byte %zu: ", error->offset);
    buf_add_text(sentence, error->message);
    if (ingest->n_errors > 1)
        buf_printf(sentence, " (the first of %zu errors; nothing was accepted)", ingest->n_errors);
}

static void fail_ingest(struct call *call, enum err code, const struct ingest *ingest)
{
    unsigned status = code == ERR_TOO_LARGE ? 413 : 400;
    struct buf body = BUF_INIT, sentence = BUF_INIT;

    if (ingest->n_errors == 0)
        buf_add_text(&sentence, err_sentence(code));
    else
        add_first_error(&sentence, ingest);
    call_add_failure(&body, status, buf_span(&sentence));
    buf_add_text(&body, ",\"errors\":[");
    for (size_t i = 0; i < ingest->n_errors; i++) {
        const struct ingest_error *error = &ingest->errors[i];
        buf_printf(&body, "%s{\"index\":%zu,\"offset\":%zu,\"message\":", i == 0 ? "" : ",",
                   error->index, error->offset);
        buf_add_json_string(&body, span_from(error->message));
        buf_add_char(&body, '}');
    }
    buf_add_text(&body, "]}");
    buf_release(&sentence);
    call_answer(call, status, &body);
}

/* --- accepting --- */

/* Sets the key's and the body's hash when there is an Idempotency-Key. False: it answered 400. */
static bool read_key(struct call *call, struct ingest_request *ingest)
{
    struct span key = span_from(http_request_header(call->request, "Idempotency-Key"));
    uint8_t hash[TOKEN_HASH_BYTES];
    bool visible = true;

    if (key.ptr == NULL)
        return true;
    for (size_t i = 0; i < key.len; i++)
        visible = visible && key.ptr[i] > 0x20 && key.ptr[i] < 0x7F;
    if (!visible || key.len == 0 || key.len > KEY_MAX) {
        call_fail(call, 400,
                  "the 'Idempotency-Key' is not valid; it must be 1 to %d visible ASCII characters "
                  "without spaces, a UUID for instance",
                  KEY_MAX);
        return false;
    }
    ingest->keyed = true;
    auth_sha256(key, hash);
    memcpy(ingest->key_hash, hash, KEY_HASH_BYTES);
    auth_sha256(http_request_body(call->request), hash);
    memcpy(ingest->body_hash, hash, KEY_HASH_BYTES);
    return true;
}

static struct event **make_events(uint32_t company, const struct ingest *ingest)
{
    struct event **events = mem_alloc(ingest->n_events * sizeof(struct event *));
    int64_t now_s = clock_wall_ms() / MS_PER_S;

    for (size_t i = 0; i < ingest->n_events; i++) {
        const struct ingest_event *one = &ingest->events[i];
        const struct event_type *type = catalogue_at((size_t)one->type);
        events[i] =
            event_new(company, span_from(type->name), span_from(type->resource), one->order_key,
                      one->has_timestamp ? one->timestamp_s : now_s, one->data);
    }
    return events;
}

static void answer_accepted(struct call *call, const struct ingest_request *ingest)
{
    static const char open[] = "{\"id\":\"";
    struct buf body = BUF_INIT;
    char text[EVENT_ID_TEXT_LEN + 1];
    struct ulid id;

    buf_reserve(&body, 16 + ingest->n_ids * (sizeof(open) + EVENT_ID_TEXT_LEN + 3));
    buf_add_text(&body, "{\"events\":[");
    memcpy(id.bytes, ingest->first_id, ULID_BYTES);
    for (size_t i = 0; i < ingest->n_ids; i++) {
        if (i > 0) {
            event_id_after(id.bytes, 1, id.bytes);
            buf_add_char(&body, ',');
        }
        event_id_text(&id, text);
        buf_add(&body, open, sizeof(open) - 1);
        buf_add(&body, text, EVENT_ID_TEXT_LEN);
        buf_add(&body, "\"}", 2);
    }
    buf_add(&body, "]}", 2);
    if (ingest->replayed)
        http_answer_header(call->request, "Idempotency-Replayed", "true");
    call_answer(call, 202, &body);
}

static void ingest_done(struct ingest_request *ingest)
{
    struct call *call = ingest->arg;

    share_give(&call->api->queue, call->company, call->queued);
    if (ingest->code == OK)
        answer_accepted(call, ingest);
    else
        call_fail_code(call, ingest->code, ingest->message);
}

/* The commit queue is everybody's: who floods it is told so before the others are. */
static bool enter_queue(struct call *call, size_t n_events)
{
    if (share_take(&call->api->queue, call->company, n_events, false)) {
        call->queued = n_events;
        return true;
    }
    call_fail_later(call, 429, 1,
                    "too many events wait to be written; try again in a moment, with fewer "
                    "requests at once");
    return false;
}

void events_post(struct call *call)
{
    const struct settings *settings = call->api->settings;
    struct ingest_limits limits = {(size_t)settings->max_batch_events, settings->max_event_bytes};
    struct ingest ingest;
    enum err code;

    if (!call_body_is_json(call))
        return;
    if (!http_request_has_body(call->request)) {
        call_fail(call, 400,
                  "the body is empty; send {\"event\":...,\"data\":{...}} or "
                  "{\"events\":[...]}");
        return;
    }
    if (!read_key(call, &call->ingest))
        return;
    code = ingest_parse(http_request_body(call->request), &limits, &ingest);
    if (code != OK) {
        fail_ingest(call, code, &ingest);
    } else if (call_charge_events(call, ingest.n_events) && enter_queue(call, ingest.n_events)) {
        call->ingest.company = call->company;
        call->ingest.events = make_events(call->company, &ingest);
        call->ingest.n_events = ingest.n_events;
        call->ingest.done = ingest_done;
        call->ingest.arg = call;
        engine_ingest(call->api->engine, &call->ingest);
    }
    ingest_release(&ingest);
}

/* --- reading --- */

static void add_delivery(struct call *call, struct buf *body, const struct delivery *delivery)
{
    struct webhook webhook;
    char uuid[WEBHOOK_UUID_TEXT + 1];
    char id[DELIVERY_ID_TEXT + 1];

    delivery_id_text(delivery, id);
    buf_printf(body, "{\"id\":\"%s\",\"webhook_id\":", id);
    if (registry_webhook_by_number(engine_registry(call->api->engine), call->company,
                                   delivery->webhook, &webhook)) {
        webhook_uuid_text(&webhook, uuid);
        webhook_release(&webhook);
        buf_printf(body, "\"%s\"", uuid);
    } else {
        buf_add_text(body, "null"); /* deleted since */
    }
    buf_printf(body, ",\"status\":\"%s\",\"attempts\":%u}", delivery_status_name(delivery->status),
               delivery->attempts);
}

static void
answer_event(struct call *call, struct event *event, struct delivery *deliveries, size_t n)
{
    struct buf body = BUF_INIT;
    struct span id = call->match.params[0];

    buf_reserve(&body, event->data.len + 512 + n * 160);
    buf_printf(&body, "{\"id\":\"%.*s\",\"event\":", (int)id.len, id.ptr);
    buf_add_json_string(&body, event->name);
    buf_add_text(&body, ",\"resource\":");
    buf_add_json_string(&body, event->resource);
    buf_printf(&body, ",\"timestamp\":%lld,\"created_at\":", (long long)event->timestamp_s);
    buf_add_wall(&body, event->accepted_at);
    buf_printf(&body, ",\"owed_to\":%zu,\"deliveries\":[", n);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(&body, ',');
        deliveries[i].event = event; /* borrowed, for the id */
        add_delivery(call, &body, &deliveries[i]);
    }
    buf_add_text(&body, "],\"data\":");
    buf_add_span(&body, event->data);
    buf_add_char(&body, '}');
    call_answer(call, 200, &body);
}

void events_get(struct call *call)
{
    struct span text = call->match.params[0];
    struct ulid id;
    struct event *event = NULL;
    struct delivery *deliveries = NULL;
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    size_t n = 0;
    enum err code = ERR_NOT_FOUND;

    if (event_id_parse(text, &id))
        code = engine_event(call->api->engine, call->company, id.bytes, &event, &deliveries, &n,
                            &error);
    if (code == OK) {
        answer_event(call, event, deliveries, n);
        event_unref(event);
        free(deliveries);
    } else if (code == ERR_NOT_FOUND) {
        call_fail(call, 404,
                  "there is no event '%.*s'; ids look like evt_01K... and are kept for %d days",
                  text.len > 60 ? 60 : (int)text.len, text.ptr,
                  call->api->settings->retention_days);
    } else {
        call_fail_code(call, code, error.message);
    }
}

void event_types_get(struct call *call)
{
    struct buf body = BUF_INIT;

    buf_add_text(&body, "{\"event_types\":[");
    for (size_t i = 0; i < catalogue_size(); i++) {
        const struct event_type *type = catalogue_at(i);
        buf_printf(&body,
                   "%s{\"name\":\"%s\",\"resource\":\"%s\",\"description\":", i == 0 ? "" : ",",
                   type->name, type->resource);
        buf_add_json_string(&body, span_from(type->description));
        buf_add_char(&body, '}');
    }
    buf_add_text(&body, "]}");
    call_answer(call, 200, &body);
}
