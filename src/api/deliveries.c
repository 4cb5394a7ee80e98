/* deliveries.c: the delivery log: what was owed to a webhook, and every attempt of it.
 *
 * Listed by cursor, not by page: the log grows at its head while it is read. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/paging.h"
#include "api/webhooks.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/ulid.h"
#include "hook/verdict.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200

/* --- cursors --- */

/* Opaque to clients: a letter for the kind, so that another kind may come, and the sequence. */
static void add_cursor(struct buf *buf, uint64_t before)
{
    buf_printf(buf, "\"s%016llx\"", (unsigned long long)before);
}

static enum err read_cursor(const char *text, uint64_t *ret_before, struct error *error)
{
    uint8_t bytes[8];
    uint64_t before = 0;

    *ret_before = 0;
    if (text == NULL)
        return OK;
    if (text[0] == 's' && hex_decode(span_from(text + 1), bytes, sizeof(bytes))) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            before = before << 8 | bytes[i];
    }
    if (before == 0)
        return error_set(error, ERR_INVALID,
                         "'before' is no cursor of ours; use the 'next' of an earlier answer, or "
                         "leave it out to begin with the newest");
    *ret_before = before;
    return OK;
}

/* --- the list --- */

static enum err read_status(const char *text, int *ret_status, struct error *error)
{
    struct buf names = BUF_INIT;

    *ret_status = text == NULL ? -1 : delivery_status_find(span_from(text));
    if (text == NULL || *ret_status >= 0)
        return OK;
    for (int i = 0; i < DELIVERY_STATUS_COUNT; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : ", ",
                   delivery_status_name((enum delivery_status)i));
    error_set(error, ERR_INVALID, "'status' is '%.40s'; it must be one of %s", text, names.ptr);
    buf_release(&names);
    return ERR_INVALID;
}

static enum err refuse_event(const char *name, struct error *error)
{
    const char *meant = catalogue_nearest(span_from(name));

    return error_set(error, ERR_INVALID,
                     "'event' is '%.60s', which is no event%s%s%s; GET /v1/event_types lists every "
                     "name",
                     name, meant != NULL ? " (did you mean '" : "", meant != NULL ? meant : "",
                     meant != NULL ? "'?)" : "");
}

static enum err read_query(struct call *call, struct delivery_query *query, struct error *error)
{
    struct http_request *request = call->request;
    const char *event = http_request_param(request, "event");
    enum err code = read_status(http_request_param(request, "status"), &query->status, error);

    if (code == OK)
        code = paging_number("limit", http_request_param(request, "limit"), 1, LIMIT_MAX,
                             LIMIT_DEFAULT, &query->limit, error);
    if (code == OK)
        code = read_cursor(http_request_param(request, "before"), &query->before, error);
    if (code != OK)
        return code;
    query->event_type = event == NULL ? -1 : catalogue_find(span_from(event));
    return event == NULL || query->event_type >= 0 ? OK : refuse_event(event, error);
}

/* The fields of the list, without the closing brace. */
static void add_delivery(struct buf *buf, const struct delivery *delivery)
{
    const struct event *event = delivery->event;
    char id[DELIVERY_ID_TEXT + 1], event_id[EVENT_ID_TEXT_LEN + 1];
    struct ulid ulid;

    delivery_id_text(delivery, id);
    memcpy(ulid.bytes, event->id, ULID_BYTES);
    event_id_text(&ulid, event_id);
    buf_printf(buf, "{\"id\":\"%s\",\"event_id\":\"%s\",\"event\":", id, event_id);
    buf_add_json_string(buf, event->name);
    buf_printf(buf, ",\"status\":\"%s\",\"attempts\":%u,\"next_attempt_at\":",
               delivery_status_name(delivery->status), delivery->attempts);
    buf_add_wall(buf, delivery->next_attempt_at);
    buf_add_text(buf, ",\"created_at\":");
    buf_add_wall(buf, event->accepted_at);
}

void deliveries_list(struct call *call)
{
    struct webhook webhook;
    struct delivery_query query = {0};
    struct delivery_page page = {NULL, 0, 0};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct buf body = BUF_INIT;
    const char *comma = "";

    if (!webhooks_find(call, &webhook))
        return;
    query.webhook = webhook.number;
    webhook_release(&webhook);
    enum err code = read_query(call, &query, &error);
    if (code == OK)
        code = engine_deliveries(call->api->engine, &query, &page, &error);
    if (code != OK) {
        call_fail_code(call, code, error.message);
        return;
    }
    buf_add_text(&body, "{\"deliveries\":[");
    for (size_t i = 0; i < page.n; i++) {
        /* Retention took the event, and with it everything that could be told. */
        if (page.deliveries[i].event == NULL)
            continue;
        buf_add_text(&body, comma);
        add_delivery(&body, &page.deliveries[i]);
        buf_add_char(&body, '}');
        comma = ",";
    }
    buf_add_text(&body, "],\"next\":");
    if (page.next > 0)
        add_cursor(&body, page.next);
    else
        buf_add_text(&body, "null");
    buf_add_char(&body, '}');
    delivery_page_release(&page);
    call_answer(call, 200, &body);
}

/* --- what a receiver missed --- */

#define EVENTS_LIMIT_DEFAULT 20
#define EVENTS_LIMIT_MAX     100
/* An answer ends behind the event that brings it over this. */
#define EVENTS_BYTES (8u << 20)

static enum err read_after(const char *text, uint64_t *ret_after, struct error *error)
{
    char *end = NULL;

    *ret_after = 0;
    if (text == NULL)
        return OK;
    if (text[0] >= '0' && text[0] <= '9' && strlen(text) < 20)
        *ret_after = strtoull(text, &end, 10);
    if (end != NULL && *end == '\0')
        return OK;
    return error_set(
        error, ERR_INVALID,
        "'after' is '%.40s'; it must be a sequence: the hookswitch-sequence of the last "
        "request that you have",
        text);
}

static void add_missed(struct buf *buf, uint64_t sequence, const struct event *event)
{
    char id[EVENT_ID_TEXT_LEN + 1];
    struct ulid ulid;

    buf_printf(buf, "{\"sequence\":%llu", (unsigned long long)sequence);
    if (event == NULL) {
        buf_add_text(buf, ",\"gone\":true}");
        return;
    }
    memcpy(ulid.bytes, event->id, ULID_BYTES);
    event_id_text(&ulid, id);
    buf_printf(buf, ",\"id\":\"%s\",\"event\":", id);
    buf_add_json_string(buf, event->name);
    buf_add_text(buf, ",\"resource\":");
    buf_add_json_string(buf, event->resource);
    buf_printf(buf, ",\"timestamp\":%lld,\"created_at\":", (long long)event->timestamp_s);
    buf_add_wall(buf, event->accepted_at);
    buf_add_text(buf, ",\"data\":");
    buf_add_span(buf, event->data);
    buf_add_char(buf, '}');
}

void webhook_events_list(struct call *call)
{
    struct webhook webhook;
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct buf body = BUF_INIT;
    uint64_t after = 0, last = 0;
    uint32_t limit = 0, listed = 0;

    if (!webhooks_find(call, &webhook))
        return;
    uint32_t number = webhook.number;
    webhook_release(&webhook);
    enum err code = read_after(http_request_param(call->request, "after"), &after, &error);
    if (code == OK)
        code = paging_number("limit", http_request_param(call->request, "limit"), 1,
                             EVENTS_LIMIT_MAX, EVENTS_LIMIT_DEFAULT, &limit, &error);
    buf_add_text(&body, "{\"events\":[");
    /* One by one: they may be a megabyte each. */
    for (bool more = true; code == OK && more && body.len < EVENTS_BYTES; listed++) {
        struct event *event = NULL;
        size_t n = 0;
        code = engine_webhook_events(call->api->engine, number, after, listed < limit, &event, &n,
                                     &last, &error);
        more = n > 0;
        if (code != OK || !more)
            break;
        if (listed > 0)
            buf_add_char(&body, ',');
        add_missed(&body, ++after, event);
        event_unref(event);
    }
    if (code != OK) {
        buf_release(&body);
        call_fail_code(call, code, error.message);
        return;
    }
    buf_printf(&body, "],\"last\":%llu,\"next\":", (unsigned long long)last);
    if (after < last)
        buf_printf(&body, "%llu}", (unsigned long long)after);
    else
        buf_add_text(&body, "null}");
    call_answer(call, 200, &body);
}

/* --- one delivery --- */

static const char *outcome_name(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DELIVERED:
        return "delivered";
    case OUTCOME_RETRY:
        return "retry";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_HELD:
        return "held";
    }
    return "unknown";
}

static void add_text_or_null(struct buf *buf, const char *name, struct span text)
{
    buf_printf(buf, ",\"%s\":", name);
    if (text.len > 0)
        buf_add_json_string(buf, text);
    else
        buf_add_text(buf, "null");
}

static void add_error(struct buf *buf, const struct attempt *attempt)
{
    bool failed = attempt->outcome != OUTCOME_DELIVERED;
    enum http_error error =
        attempt->error < HTTP_ERROR_COUNT ? (enum http_error)attempt->error : HTTP_OK;
    struct buf words = BUF_INIT;

    add_text_or_null(buf, "error",
                     error != HTTP_OK ? span_from(http_error_slug(error)) : span_from(NULL));
    if (failed)
        verdict_text(&words, error, attempt->http_status, attempt->detail);
    add_text_or_null(buf, "reason", buf_span(&words));
    buf_release(&words);
}

static void add_attempt(struct buf *buf, const struct attempt *attempt, struct span head)
{
    buf_printf(buf, "{\"attempt\":%u,\"started_at\":", attempt->number);
    buf_add_wall(buf, attempt->started_at);
    buf_printf(buf, ",\"outcome\":\"%s\",\"status\":", outcome_name(attempt->outcome));
    if (attempt->http_status > 0)
        buf_printf(buf, "%u", attempt->http_status);
    else
        buf_add_text(buf, "null");
    add_error(buf, attempt);
    buf_printf(buf, ",\"counted\":%s,\"next_attempt_at\":", attempt->counted ? "true" : "false");
    buf_add_wall(buf, attempt->outcome == OUTCOME_RETRY ? attempt->due_at : 0);
    buf_printf(buf,
               ",\"timings\":{\"dns\":%u,\"connect\":%u,\"tls\":%u,\"first_byte\":%u,\"total\":%u}",
               attempt->dns_us, attempt->connect_us, attempt->tls_us, attempt->first_byte_us,
               attempt->total_us);
    buf_printf(buf, ",\"connection_reused\":%s,\"tls_resumed\":%s",
               attempt->reused ? "true" : "false", attempt->resumed ? "true" : "false");
    char peer[INET6_ADDRSTRLEN] = "";
    if (attempt->peer_len > 0)
        inet_ntop(attempt->peer_len == 4 ? AF_INET : AF_INET6, attempt->peer, peer, sizeof(peer));
    add_text_or_null(buf, "peer", span_from(peer));
    add_text_or_null(buf, "request", head);
    add_text_or_null(buf, "response_body", attempt->body);
    buf_add_char(buf, '}');
}

static void answer_delivery(struct call *call,
                            const struct delivery *delivery,
                            const struct store_attempts *attempts)
{
    struct webhook webhook;
    struct buf body = BUF_INIT, head = BUF_INIT;
    char uuid[WEBHOOK_UUID_TEXT + 1];
    bool known = registry_webhook_by_number(engine_registry(call->api->engine), call->company,
                                            delivery->webhook, &webhook);

    add_delivery(&body, delivery);
    if (known)
        webhook_uuid_text(&webhook, uuid);
    add_text_or_null(&body, "webhook_id", known ? span_from(uuid) : span_from(NULL));
    buf_printf(&body, ",\"sequence\":%llu,\"attempt_log\":[",
               (unsigned long long)delivery->sequence);
    for (size_t i = 0; i < attempts->n; i++) {
        buf_clear(&head);
        /* Without the webhook its secret is gone, and with it the signature. */
        if (!known || engine_attempt_head(call->api->engine, delivery->event, &webhook,
                                          &attempts->attempts[i], &head, NULL) != OK)
            buf_clear(&head);
        if (i > 0)
            buf_add_char(&body, ',');
        add_attempt(&body, &attempts->attempts[i], buf_span(&head));
    }
    buf_add_text(&body, "]}");
    if (known)
        webhook_release(&webhook);
    buf_release(&head);
    call_answer(call, 200, &body);
}

static void fail_unknown(struct call *call)
{
    struct span id = call->match.params[0];

    call_fail(call, 404,
              "there is no delivery '%.*s'; GET /v1/webhooks/:id/deliveries lists those of a "
              "webhook",
              id.len > 80 ? 80 : (int)id.len, id.ptr);
}

/* The delivery of the path, with its event; false when the call is answered. Another company's
 * delivery is as unknown as one that never was. */
static bool
find_delivery(struct call *call, struct delivery *ret_delivery, struct store_attempts *ret_attempts)
{
    uint8_t event_id[EVENT_ID_BYTES];
    uint32_t webhook;
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    enum err code = delivery_id_parse(call->match.params[0], event_id, &webhook);

    *ret_delivery = (struct delivery){0};
    *ret_attempts = (struct store_attempts){NULL, 0, NULL};
    if (code == OK)
        code = engine_delivery(call->api->engine, event_id, webhook, ret_delivery, ret_attempts,
                               &error);
    else
        code = ERR_NOT_FOUND;
    if (code == OK && ret_delivery->event != NULL && ret_delivery->event->company == call->company)
        return true;
    if (code == OK || code == ERR_NOT_FOUND)
        fail_unknown(call);
    else
        call_fail_code(call, code, error.message);
    event_unref(ret_delivery->event);
    store_attempts_release(ret_attempts);
    return false;
}

void deliveries_get(struct call *call)
{
    struct delivery delivery;
    struct store_attempts attempts;

    if (!find_delivery(call, &delivery, &attempts))
        return;
    answer_delivery(call, &delivery, &attempts);
    event_unref(delivery.event);
    store_attempts_release(&attempts);
}

/* --- once more --- */

struct once_more {
    struct retry_request request;
    struct call *call;
    char id[DELIVERY_ID_TEXT + 1];
};

static void retry_done(struct retry_request *request)
{
    struct once_more *more = request->arg;
    struct call *call = more->call;
    struct buf body = BUF_INIT;

    switch ((int)request->code) {
    case OK:
        buf_printf(&body, "{\"id\":\"%s\",\"status\":\"retrying\"}", more->id);
        call_answer(call, 202, &body);
        break;
    case ERR_CONFLICT:
        call_fail(
            call, 409,
            "the webhook is inactive, or the delivery still waits for its first attempt: enable "
            "the webhook (PUT active:true), which brings what it is owed");
        break;
    case ERR_BUSY:
        call_fail(call, 503, "the webhook's URL was changed this moment; try again in a second");
        break;
    default:
        call_fail_code(call, request->code, err_sentence(request->code));
    }
    free(more);
}

void deliveries_retry(struct call *call)
{
    struct delivery delivery;
    struct store_attempts attempts;

    if (!find_delivery(call, &delivery, &attempts))
        return;
    struct once_more *more = mem_zero(1, sizeof(*more));
    more->call = call;
    delivery_id_text(&delivery, more->id);
    more->request = (struct retry_request){
        .webhook = delivery.webhook,
        .sequence = delivery.sequence,
        .event_seq = delivery.event->seq,
        .order_hash = delivery.event->order_hash,
        .event_accepted_at = delivery.event->accepted_at,
        .attempts = delivery.attempts,
        .done = retry_done,
        .arg = more,
    };
    event_unref(delivery.event);
    store_attempts_release(&attempts);
    engine_retry(call->api->engine, &more->request);
}
