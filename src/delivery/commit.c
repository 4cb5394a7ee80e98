/* commit.c: what one commit decides.
 *
 * The order of the queue is the order of the world: an event is matched against the webhooks as
 * the changes before it left them. Changes go to config.db at once; events and records follow in
 * one append. A crash between the two can only lose what nobody was told about.
 *
 * When the disk is full the events of the commit are refused and the records go in alone; when
 * even that fails, the thread waits for room (couriers stop at their result slots meanwhile, and
 * requests are refused at the queue), unless the server is told to stop. */
#include "delivery/commit.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/ulid.h"
#include "delivery/engine_private.h"
#include "delivery/fanout.h"
#include "delivery/snapshot.h"
#include "sys/clock.h"
#include "sys/random.h"

#define FULL_WAIT_US 250000
#define NO_CREATOR   UINT_MAX

struct commit {
    struct engine *engine;
    struct keys *keys;
    struct snapshot *snapshot;
    struct rng rng;
    uint64_t block;     /* of the last commit */
    uint64_t event_seq; /* of the last event */
    struct ulid last_id;
    /* the batch that is being prepared; arrays are kept between commits */
    wall_ms now;
    struct event **events;
    size_t n_events, cap_events;
    struct store_record *records;
    size_t n_records, cap_records;
    struct buf own_bytes; /* key records; their spans are set before the append */
    struct own_record {
        size_t record, offset, len;
    } * own;
    size_t n_own, cap_own;
    struct changed_webhook {
        uint32_t webhook;
        unsigned creator; /* the courier that begins its lane; NO_CREATOR: it exists */
    } * changed;          /* webhooks that the couriers must look at */
    size_t n_changed, cap_changed;
    struct fanout_match match;
    size_t n_snapshot; /* the first of `records`: not of this commit's making */
    atomic_bool give_up;
    bool gave_up;
    bool full; /* said so, and no event was accepted since */
};

struct commit *commit_new(struct engine *engine)
{
    const struct settings *settings = engine->settings;
    struct commit *commit = mem_zero(1, sizeof *commit);
    commit->engine = engine;
    commit->keys =
        keys_new((size_t)settings->idempotency_keys, settings->idempotency_hours * MS_PER_HOUR);
    commit->snapshot = snapshot_new(engine, commit->keys);
    uint8_t seed[32];
    random_bytes(seed, sizeof seed);
    rng_seed_bytes(&commit->rng, seed);
    return commit;
}

void commit_free(struct commit *commit)
{
    if (commit == NULL)
        return;
    keys_free(commit->keys);
    snapshot_free(commit->snapshot);
    buf_release(&commit->own_bytes);
    free(commit->events);
    free(commit->records);
    free(commit->own);
    free(commit->changed);
    fanout_match_release(&commit->match);
    free(commit);
}

void commit_resume(struct commit *commit, const struct store_end *end, uint64_t replayed_bytes)
{
    snapshot_resume(commit->snapshot, replayed_bytes);
    commit->block = end->block;
    commit->event_seq = end->event_seq;
    memcpy(commit->last_id.bytes, end->last_id, ULID_BYTES);
}

struct keys *commit_keys(struct commit *commit)
{
    return commit->keys;
}

static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap == 0 ? 64 : 2 * *cap;
    return mem_realloc(array, *cap * size);
}

static struct ingest_request *ingest_of(struct commit_item *item)
{
    return CONTAINER_OF(item, struct ingest_request, item);
}

static struct results *results_of(struct commit_item *item)
{
    return CONTAINER_OF(item, struct results, item);
}

size_t commit_item_weight(const struct commit_item *item, size_t *bytes)
{
    struct commit_item *own = (struct commit_item *)(uintptr_t)item;
    if (item->kind == COMMIT_INGEST) {
        const struct ingest_request *request = ingest_of(own);
        for (size_t i = 0; i < request->n_events; i++)
            *bytes += request->events[i]->bytes;
        return request->n_events;
    }
    if (item->kind == COMMIT_RESULTS) {
        *bytes += results_of(own)->bytes.len;
        return results_of(own)->n;
    }
    return 1;
}

/* --- preparing --- */

static struct store_record *add_record(
    struct commit *commit, uint8_t kind, uint32_t webhook, uint64_t sequence, struct span bytes)
{
    commit->records =
        grow(commit->records, commit->n_records, &commit->cap_records, sizeof(*commit->records));
    struct store_record *record = &commit->records[commit->n_records++];
    *record = (struct store_record){kind, webhook, sequence, bytes};
    return record;
}

/* A record whose bytes lie in own_bytes, which may move until the append. */
static void add_own_record(struct commit *commit, uint8_t kind, size_t offset)
{
    commit->own = grow(commit->own, commit->n_own, &commit->cap_own, sizeof(*commit->own));
    commit->own[commit->n_own++] = (struct own_record){
        .record = commit->n_records, .offset = offset, .len = commit->own_bytes.len - offset};
    add_record(commit, kind, 0, 0, (struct span){NULL, 0});
}

static void refuse(struct ingest_request *request, enum err code, const char *message)
{
    request->code = code;
    request->refused = true;
    snprintf(request->message, sizeof request->message, "%s", message);
}

static void key_record_of(const struct commit *commit,
                          const struct ingest_request *request,
                          struct key_record *ret_record)
{
    *ret_record = (struct key_record){
        .company = request->company, .n_events = (uint32_t)request->n_events, .at = commit->now};
    memcpy(ret_record->key_hash, request->key_hash, KEY_HASH_BYTES);
    memcpy(ret_record->body_hash, request->body_hash, KEY_HASH_BYTES);
}

/* True when the request is new and its events must go in. */
static bool
check_key(struct commit *commit, struct ingest_request *request, const struct ulid *first_id)
{
    struct key_record record;
    key_record_of(commit, request, &record);
    memcpy(record.first_id, first_id->bytes, ULID_BYTES);
    switch (keys_offer(commit->keys, &record)) {
    case KEYS_NEW: {
        size_t offset = commit->own_bytes.len;
        key_record_encode(&commit->own_bytes, &record);
        add_own_record(commit, RECORD_KEY, offset);
        return true;
    }
    case KEYS_REPEAT:
        request->replayed = true;
        memcpy(request->first_id, record.first_id, EVENT_ID_BYTES);
        request->n_ids = record.n_events;
        return false;
    case KEYS_CONFLICT:
        refuse(request, ERR_CONFLICT,
               "this Idempotency-Key was used with another body within the last hours; use a new "
               "key for a new request");
        return false;
    case KEYS_FULL:
        refuse(request, ERR_LIMIT,
               "too many Idempotency-Keys are remembered; send without one or later");
        return false;
    }
    return false;
}

static void admit(struct commit *commit, struct ingest_request *request)
{
    struct ulid id;
    ulid_next(&commit->last_id, commit->now, &commit->rng, &id);
    request->code = OK;
    if (request->keyed && !check_key(commit, request, &id))
        return;
    memcpy(request->first_id, id.bytes, EVENT_ID_BYTES);
    request->n_ids = request->n_events;
    for (size_t i = 0; i < request->n_events; i++) {
        struct event *event = request->events[i];
        event->seq = ++commit->event_seq;
        event->accepted_at = commit->now;
        event_id_after(id.bytes, i, event->id);
        if (event->timestamp_s < 0)
            event->timestamp_s = commit->now / MS_PER_S;
        fanout_match(commit->engine, &commit->match, event);
        commit->events =
            grow(commit->events, commit->n_events, &commit->cap_events, sizeof(*commit->events));
        commit->events[commit->n_events++] = event;
    }
    memcpy(commit->last_id.bytes, request->events[request->n_events - 1]->id, ULID_BYTES);
}

static void add_changed(struct commit *commit, const struct change *change, uint32_t webhook)
{
    unsigned creator = NO_CREATOR;
    struct url url;
    if (change->kind == CHANGE_WEBHOOK_CREATE && commit->engine->n_couriers > 0) {
        if (url_parse(span_from(change->webhook.url), &url, NULL) != OK)
            BUG("the URL of webhook %u was not checked", webhook);
        creator = courier_index(&url, commit->engine->n_couriers);
    }
    commit->changed =
        grow(commit->changed, commit->n_changed, &commit->cap_changed, sizeof(*commit->changed));
    commit->changed[commit->n_changed++] =
        (struct changed_webhook){.webhook = webhook, .creator = creator};
}

static void prepare(struct commit *commit, struct list *items)
{
    struct list *node;
    LIST_FOREACH (node, items) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (item->kind == COMMIT_INGEST) {
            admit(commit, ingest_of(item));
        } else if (item->kind == COMMIT_CHANGE) {
            struct change *change = CONTAINER_OF(item, struct change, item);
            uint32_t webhook = 0;
            change_apply(commit->engine, change, commit->now, &webhook);
            if (webhook != 0)
                add_changed(commit, change, webhook);
        } else {
            const struct results *results = results_of(item);
            for (size_t i = 0; i < results->n; i++) {
                const struct result_record *record = &results->records[i];
                add_record(commit, record->kind, record->webhook, record->sequence,
                           span_make(results->bytes.ptr + record->offset, record->len));
            }
        }
    }
}

/* --- writing --- */

/* The disk is full: nothing of the events happened. */
static void take_back_events(struct commit *commit, struct list *items)
{
    struct list *node;
    LIST_FOREACH (node, items) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (item->kind != COMMIT_INGEST)
            continue;
        struct ingest_request *request = ingest_of(item);
        if (request->refused)
            continue;
        struct key_record record;
        key_record_of(commit, request, &record);
        if (request->keyed && !request->replayed)
            keys_forget(commit->keys, &record);
        /* A repeat may lean on a request of this very commit, so it is refused as well. */
        refuse(request, ERR_FULL, COMMIT_FULL_TEXT);
        atomic_fetch_add(&commit->engine->metrics.ingest_refused_full, 1);
    }
    ledger_assign_rollback(commit->engine->ledger);
    commit->event_seq -= commit->n_events;
    commit->n_events = 0;
    /* Keys of the snapshot are of earlier commits: they stay. */
    size_t kept = commit->n_snapshot;
    for (size_t i = kept; i < commit->n_records; i++)
        if (commit->records[i].kind != RECORD_KEY)
            commit->records[kept++] = commit->records[i];
    commit->n_records = kept;
}

/* The server is told to stop and there is no room even for results: they are dropped, and so are
 * all that follow, since a log with a gap could not be folded. What they told happens again. */
static void give_up(struct commit *commit)
{
    LOG_WARN("shutting down with a full disk: results of deliveries are not written, those "
             "deliveries are sent again after the next start");
    commit->gave_up = true;
    commit->n_records = 0;
}

void commit_give_up(struct commit *commit)
{
    atomic_store(&commit->give_up, true);
}

/* Once each time, not with every refused request. */
static void tell_full(struct commit *commit, const struct error *error)
{
    if (!commit->full)
        LOG_ERROR("disk full: events are refused until there is room: %s", error->message);
    commit->full = true;
}

static void tell_room(struct commit *commit)
{
    if (commit->full && commit->n_events > 0) {
        LOG_INFO("there is room on the disk again: events are accepted");
        commit->full = false;
    }
}

static void
answer_ingest(struct commit *commit, struct ingest_request *request, struct commit_count *ret_count)
{
    ret_count->events += request->n_events;
    ret_count->requests++;
    if (request->replayed && !request->refused)
        atomic_fetch_add(&commit->engine->metrics.events_replayed, 1);
    for (size_t i = 0; i < request->n_events; i++)
        event_unref(request->events[i]);
    free(request->events);
    request->events = NULL;
    request->done(request);
}

/* There may be no room for a long time: who was refused is told now. */
static void
answer_refused(struct commit *commit, struct list *items, struct commit_count *ret_count)
{
    struct list *node;
    struct list *next;
    LIST_FOREACH_SAFE (node, next, items) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (item->kind != COMMIT_INGEST || !ingest_of(item)->refused)
            continue;
        list_remove(node);
        answer_ingest(commit, ingest_of(item), ret_count);
    }
}

static void append(struct commit *commit, struct list *items, struct commit_count *ret_count)
{
    struct engine *engine = commit->engine;
    bool starved = false;
    if (commit->gave_up)
        commit->n_records = 0;
    for (;;) {
        if (commit->n_events == 0 && commit->n_records == 0)
            break;
        const struct store_batch batch = {
            .block = commit->block + 1,
            .time = commit->now,
            .events = commit->events,
            .n_events = commit->n_events,
            .records = commit->records,
            .n_records = commit->n_records,
        };
        struct error error = {0};
        mono_us begin = clock_mono_us();
        enum err err = store_append(engine->store, &batch, &error);
        histogram_add(&engine->metrics.commit_time, (uint64_t)(clock_mono_us() - begin));
        if (err == OK) {
            commit->block++;
            tell_room(commit);
            break;
        }
        if (err != ERR_FULL)
            fatal("the store failed, a restart recovers what was acknowledged: %s", error.message);
        tell_full(commit, &error);
        if (commit->n_events > 0) {
            take_back_events(commit, items);
        } else if (atomic_load(&commit->give_up)) {
            give_up(commit);
        } else {
            starved = true;
            answer_refused(commit, items, ret_count);
            committer_starve(engine->committer, true);
            usleep(FULL_WAIT_US);
        }
    }
    if (starved)
        committer_starve(engine->committer, false);
}

/* --- afterwards --- */

static void fold(struct commit *commit)
{
    struct ledger *ledger = commit->engine->ledger;
    for (size_t i = 0; i < commit->n_records; i++) {
        const struct store_record *record = &commit->records[i];
        if (record->webhook != 0 && record->kind != RECORD_LANE)
            ledger_fold(ledger, record->kind, record->webhook, record->bytes);
    }
    ledger_assign_commit(ledger);
}

static void count(struct commit *commit, size_t items)
{
    struct metrics *metrics = &commit->engine->metrics;
    atomic_fetch_add(&metrics->commits, 1);
    atomic_fetch_add(&metrics->commit_items, items);
    histogram_add(&metrics->commit_batch, items);
    uint64_t unmatched = 0;
    for (size_t i = 0; i < commit->n_events; i++)
        unmatched += commit->events[i]->n_targets == 0;
    atomic_fetch_add(&metrics->events_accepted, commit->n_events);
    atomic_fetch_add(&metrics->events_unmatched, unmatched);
}

static void answer(struct commit *commit, struct list *items, struct commit_count *ret_count)
{
    struct list *node;
    while ((node = list_pop_front(items)) != NULL) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (item->kind == COMMIT_INGEST) {
            answer_ingest(commit, ingest_of(item), ret_count);
        } else if (item->kind == COMMIT_CHANGE) {
            struct change *change = CONTAINER_OF(item, struct change, item);
            ret_count->requests++;
            /* `done` frees the change; the webhook in it is ours. */
            struct webhook webhook = change->webhook;
            change->done(change);
            webhook_release(&webhook);
        } else {
            struct results *results = results_of(item);
            if (results->courier != NULL)
                courier_committed(results->courier, results->slots);
            struct list *waiter = NULL;
            while ((waiter = list_pop_front(&results->waiters)) != NULL) {
                struct retry_request *request = CONTAINER_OF(waiter, struct retry_request, node);
                request->done(request);
            }
            results_free(results);
        }
    }
}

struct commit_count commit_run(struct commit *commit, struct list *items)
{
    struct engine *engine = commit->engine;
    struct commit_count ret_count = {0};
    commit->now = clock_wall_ms();
    commit->n_events = commit->n_records = commit->n_own = commit->n_changed = 0;
    buf_clear(&commit->own_bytes);
    keys_expire(commit->keys, commit->now);

    /* Snapshot records stand before all others: they are the state before this commit. */
    snapshot_begin_commit(commit->snapshot, commit->block + 1);
    commit->n_snapshot = snapshot_records(commit->snapshot);
    for (size_t i = 0; i < commit->n_snapshot; i++) {
        const struct store_record *record = snapshot_record(commit->snapshot, i);
        add_record(commit, record->kind, record->webhook, 0, record->bytes);
    }
    prepare(commit, items);
    for (size_t i = 0; i < commit->n_own; i++)
        commit->records[commit->own[i].record].bytes =
            span_make(commit->own_bytes.ptr + commit->own[i].offset, commit->own[i].len);
    size_t items_in = commit->n_events + commit->n_records - commit->n_snapshot + commit->n_changed;
    append(commit, items, &ret_count);
    if (!commit->gave_up)
        snapshot_end_commit(commit->snapshot, commit->events, commit->n_events, commit->records,
                            commit->n_records);
    fold(commit);
    count(commit, items_in);

    for (size_t i = 0; i < commit->n_changed; i++)
        for (unsigned c = 0; c < engine->n_couriers; c++)
            courier_configure(engine->couriers[c], commit->changed[i].webhook,
                              commit->changed[i].creator == c);
    fanout_post(engine, commit->events, commit->n_events);
    answer(commit, items, &ret_count);
    return ret_count;
}
