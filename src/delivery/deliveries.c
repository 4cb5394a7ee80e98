/* deliveries.c: the delivery log: what became of each (webhook, sequence).
 *
 * A delivery's status is told by two sources: the lane (what is still owed, under the ledger's
 * lock) and the last attempt in the log (how it ended). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ulid.h"
#include "delivery/engine_private.h"
#include "hook/envelope.h"

#define PAGE_STEP 64
#define SCAN_MAX  10000

static const char *const status_names[DELIVERY_STATUS_COUNT] = {
    [DELIVERY_OWED] = "owed", [DELIVERY_DELIVERED] = "delivered", [DELIVERY_RETRYING] = "retrying",
    [DELIVERY_HELD] = "held", [DELIVERY_FAILED] = "failed",       [DELIVERY_EXPIRED] = "expired",
};

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
    char ulid[ULID_TEXT_LEN + 1];
    struct ulid id;
    memcpy(id.bytes, delivery->event->id, ULID_BYTES);
    ulid_text(&id, ulid);
    snprintf(ret_text, DELIVERY_ID_TEXT + 1, "dlv_%s-%u", ulid, delivery->webhook);
}

enum err
delivery_id_parse(struct span text, uint8_t ret_event_id[EVENT_ID_BYTES], uint32_t *ret_webhook)
{
    const size_t prefix = 4 + ULID_TEXT_LEN + 1;
    struct ulid id;
    if (text.len <= prefix || text.len > prefix + 10 || !span_starts(text, "dlv_") ||
        text.ptr[prefix - 1] != '-' || !ulid_parse(span_make(text.ptr + 4, ULID_TEXT_LEN), &id) ||
        text.ptr[prefix] == '0')
        return ERR_INVALID;
    uint64_t webhook = 0;
    for (size_t i = prefix; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return ERR_INVALID;
        webhook = webhook * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (webhook > UINT32_MAX)
        return ERR_INVALID;
    memcpy(ret_event_id, id.bytes, ULID_BYTES);
    *ret_webhook = (uint32_t)webhook;
    return OK;
}

/* What the lane knows of n sequences from `from` on. */
struct lane_look {
    uint64_t from;
    size_t n;
    struct lane_state {
        bool owed;    /* not finished */
        bool started; /* a retry: had attempts */
        wall_ms due_at;
        uint32_t attempts;
    } states[PAGE_STEP];
    bool active;
    uint64_t last;
};

static void look(void *ctx, const struct lane *lane)
{
    struct lane_look *ret = ctx;
    ret->active = lane_active(lane);
    ret->last = lane->last;
    for (size_t i = 0; i < ret->n; i++) {
        uint64_t sequence = ret->from + i;
        struct lane_state *state = &ret->states[i];
        const struct lane_retry *retry = lane_retry_find(lane, sequence);
        *state = (struct lane_state){0};
        if (retry != NULL) {
            *state = (struct lane_state){.owed = true,
                                         .started = true,
                                         .attempts = retry->attempts,
                                         .due_at = retry->epoch < lane->epoch ? 0 : retry->due_at};
        } else if (sequence <= lane->last && !lane_settled(lane, sequence)) {
            state->owed = true;
        }
    }
}

static void fill(struct delivery *delivery,
                 const struct lane_state *state,
                 bool active,
                 const struct attempt *last_attempt)
{
    delivery->attempts = last_attempt == NULL ? 0 : last_attempt->number;
    if (state->owed) {
        if (state->started)
            delivery->attempts = state->attempts;
        delivery->status = !active          ? DELIVERY_HELD
                           : state->started ? DELIVERY_RETRYING
                                            : DELIVERY_OWED;
        delivery->next_attempt_at = active ? state->due_at : 0;
        return;
    }
    if (last_attempt != NULL && last_attempt->outcome == OUTCOME_DELIVERED)
        delivery->status = DELIVERY_DELIVERED;
    else if (last_attempt != NULL && last_attempt->outcome == OUTCOME_FAILED)
        delivery->status = DELIVERY_FAILED;
    else
        delivery->status = DELIVERY_EXPIRED;
}

/* One stretch of sequences of a page. */
struct stretch {
    struct lane_look look;
    struct attempt attempts[PAGE_STEP];
    bool found[PAGE_STEP];
    uint64_t seqs[PAGE_STEP];
};

static enum err
stretch_load(struct engine *engine, uint32_t webhook, struct stretch *stretch, struct error *error)
{
    uint64_t from = stretch->look.from;
    size_t n = stretch->look.n;
    ledger_with(engine->ledger, webhook, look, &stretch->look);
    enum err err = store_lane(engine->store, webhook, from, n, stretch->seqs, error);
    if (err == OK)
        err = store_last_attempts(engine->store, webhook, from, n, stretch->attempts,
                                  stretch->found, error);
    return err;
}

static enum err add_delivery(struct engine *engine,
                             const struct delivery_query *query,
                             const struct stretch *stretch,
                             size_t i,
                             struct delivery_page *page,
                             struct error *error)
{
    struct delivery delivery = {.webhook = query->webhook, .sequence = stretch->look.from + i};
    fill(&delivery, &stretch->look.states[i], stretch->look.active,
         stretch->found[i] ? &stretch->attempts[i] : NULL);
    if (stretch->seqs[i] == 0 || (query->status >= 0 && (int)delivery.status != query->status))
        return OK;
    enum err err = store_events(engine->store, &stretch->seqs[i], 1, &delivery.event, error);
    if (err != OK || delivery.event == NULL)
        return err;
    if (query->event_type >= 0 && catalogue_find(delivery.event->name) != query->event_type) {
        event_unref(delivery.event);
        return OK;
    }
    page->deliveries[page->n++] = delivery;
    return OK;
}

enum err engine_deliveries(struct engine *engine,
                           const struct delivery_query *query,
                           struct delivery_page *ret_page,
                           struct error *error)
{
    *ret_page = (struct delivery_page){0};
    struct delivery_page page = {.deliveries = mem_zero(query->limit, sizeof(struct delivery))};
    uint64_t end = ledger_last(engine->ledger, query->webhook) + 1; /* exclusive */
    if (query->before != 0 && query->before < end)
        end = query->before;
    struct stretch *stretch = mem_alloc(sizeof *stretch);
    size_t scanned = 0;
    enum err err = OK;
    while (err == OK && end > 1 && page.n < query->limit && scanned < SCAN_MAX) {
        size_t n = end - 1 < PAGE_STEP ? (size_t)(end - 1) : PAGE_STEP;
        *stretch = (struct stretch){.look = {.from = end - n, .n = n}};
        err = stretch_load(engine, query->webhook, stretch, error);
        for (size_t i = n; err == OK && i > 0 && page.n < query->limit; i--) {
            err = add_delivery(engine, query, stretch, i - 1, &page, error);
            end = stretch->look.from + i - 1;
        }
        scanned += n;
    }
    free(stretch);
    page.next = end > 1 ? end : 0;
    if (err != OK) {
        delivery_page_release(&page);
        return err;
    }
    *ret_page = page;
    return OK;
}

void delivery_page_release(struct delivery_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        event_unref(page->deliveries[i].event);
    free(page->deliveries);
    *page = (struct delivery_page){0};
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
    uint64_t last = ledger_last(engine->ledger, webhook);
    size_t found = after >= last ? 0 : last - after < n ? (size_t)(last - after) : n;
    uint64_t *seqs = mem_zero(found + 1, sizeof *seqs);
    enum err err = store_lane(engine->store, webhook, after + 1, found, seqs, error);
    for (size_t i = 0; err == OK && i < found; i++) {
        ret_events[i] = NULL;
        if (seqs[i] != 0)
            err = store_events(engine->store, &seqs[i], 1, &ret_events[i], error);
        if (err != OK)
            found = i;
    }
    free(seqs);
    if (err != OK) {
        for (size_t i = 0; i < found; i++)
            event_unref(ret_events[i]);
        return err;
    }
    *ret_n = found;
    *ret_last = last;
    return OK;
}

/* The delivery of one target of an event (without the event). */
static enum err delivery_of(struct engine *engine,
                            const struct event_target *target,
                            struct delivery *ret_delivery,
                            struct error *error)
{
    struct lane_look lane = {.from = target->sequence, .n = 1};
    struct attempt attempt;
    bool found = false;
    *ret_delivery = (struct delivery){.webhook = target->webhook, .sequence = target->sequence};
    ledger_with(engine->ledger, target->webhook, look, &lane);
    enum err err = store_last_attempts(engine->store, target->webhook, target->sequence, 1,
                                       &attempt, &found, error);
    if (err == OK)
        fill(ret_delivery, &lane.states[0], lane.active, found ? &attempt : NULL);
    return err;
}

enum err engine_delivery(struct engine *engine,
                         const uint8_t event_id[EVENT_ID_BYTES],
                         uint32_t webhook,
                         struct delivery *ret_delivery,
                         struct store_attempts *ret_attempts,
                         struct error *error)
{
    struct event *event = NULL;
    enum err err = store_event_by_id(engine->store, event_id, &event, error);
    if (err != OK)
        return err;
    const struct event_target *target = NULL;
    for (uint32_t i = 0; event != NULL && i < event->n_targets; i++)
        if (event->targets[i].webhook == webhook)
            target = &event->targets[i];
    if (target == NULL) {
        event_unref(event);
        return error_set(error, ERR_NOT_FOUND,
                         "there is no such delivery; it may be older than the retention");
    }
    struct delivery delivery;
    err = delivery_of(engine, target, &delivery, error);
    if (err == OK)
        err = store_attempts(engine->store, webhook, target->sequence, ret_attempts, error);
    if (err != OK) {
        event_unref(event);
        return err;
    }
    delivery.event = event;
    *ret_delivery = delivery;
    return OK;
}

enum err engine_event(struct engine *engine,
                      uint32_t company,
                      const uint8_t event_id[EVENT_ID_BYTES],
                      struct event **ret_event,
                      struct delivery **ret_targets,
                      size_t *ret_n,
                      struct error *error)
{
    struct event *event = NULL;
    enum err err = store_event_by_id(engine->store, event_id, &event, error);
    if (err != OK)
        return err;
    if (event == NULL || event->company != company) {
        event_unref(event);
        return error_set(error, ERR_NOT_FOUND,
                         "there is no such event; it may be older than the retention");
    }
    struct delivery *targets = mem_zero(event->n_targets + 1, sizeof *targets);
    for (uint32_t i = 0; err == OK && i < event->n_targets; i++)
        err = delivery_of(engine, &event->targets[i], &targets[i], error);
    if (err != OK) {
        free(targets);
        event_unref(event);
        return err;
    }
    *ret_event = event;
    *ret_targets = targets;
    *ret_n = event->n_targets;
    return OK;
}

enum err engine_attempt_head(struct engine *engine,
                             const struct event *event,
                             const struct webhook *webhook,
                             const struct attempt *attempt,
                             struct buf *ret_head,
                             struct error *error)
{
    char *url_text = NULL;
    if (webhook == NULL)
        return error_set(error, ERR_NOT_FOUND, "the webhook was deleted");
    enum err err =
        store_webhook_url(engine->store, attempt->webhook, attempt->url_revision, &url_text, error);
    if (err != OK)
        return err;
    if (url_text == NULL)
        return error_set(error, ERR_NOT_FOUND, "the URL of this attempt is not known any more");
    struct url url;
    err = url_parse(span_from(url_text), &url, error);
    if (err != OK) {
        free(url_text);
        return err;
    }
    struct buf prefix = BUF_INIT;
    envelope_prefix(&prefix, event, webhook->token);
    const struct span parts[] = {buf_span(&prefix), event->data, SPAN_LIT(ENVELOPE_END)};
    struct ulid ulid;
    char id[EVENT_ID_TEXT_LEN + 1];
    memcpy(ulid.bytes, event->id, ULID_BYTES);
    event_id_text(&ulid, id);
    char signature[SIGNATURE_TEXT + 1];
    struct signer *signer = signer_new();
    signer_sign(signer, span_make(webhook->secret, WEBHOOK_SECRET_BYTES), span_from(id),
                attempt->sent_timestamp_s, parts, 3, signature);
    signer_free(signer);
    const struct envelope_head head = {
        .url = &url,
        .event = event,
        .sequence = attempt->sequence,
        .attempt = attempt->number,
        .timestamp_s = attempt->sent_timestamp_s,
        .body_bytes = parts[0].len + parts[1].len + parts[2].len,
        .signature = span_from(signature),
    };
    envelope_head(ret_head, &head);
    buf_release(&prefix);
    free(url_text);
    return OK;
}
