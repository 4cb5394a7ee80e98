/* memory_read.c: the reading verbs of the memory engine. Callbacks run without the lock. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/memory/memory.h"

/* --- replay --- */

/* A copy of one block that is the caller's: its memory outlives retention. */
struct copy {
    struct store_block block;
    struct event **sources; /* references; targets lie there */
    struct event *events;
    const struct event **pointers;
    struct store_record *records;
    struct buf bytes;
};

static void copy_release(struct copy *copy)
{
    for (size_t i = 0; i < copy->block.n_events; i++)
        event_unref(copy->sources[i]);
    free(copy->sources);
    free(copy->events);
    free(copy->pointers);
    free(copy->records);
    buf_release(&copy->bytes);
}

static void copy_block(const struct world *world, const struct memory_block *from, struct copy *ret)
{
    *ret = (struct copy){.block = {.block = from->block,
                                   .time = from->time,
                                   .n_events = from->n_events,
                                   .n_records = from->n_records}};
    size_t n = from->n_events;
    ret->sources = mem_zero(n + 1, sizeof(struct event *));
    ret->events = mem_zero(n + 1, sizeof(struct event));
    ret->pointers = mem_zero(n + 1, sizeof(struct event *));
    for (size_t i = 0; i < n; i++) {
        struct event *source = world->events[from->first_seq + i - world->end.first_seq];
        ret->sources[i] = event_ref(source);
        ret->events[i] = (struct event){
            .seq = source->seq,
            .company = source->company,
            .order_hash = source->order_hash,
            .timestamp_s = source->timestamp_s,
            .accepted_at = source->accepted_at,
            .targets = source->targets,
            .n_targets = source->n_targets,
        };
        atomic_init(&ret->events[i].refs, 1);
        memcpy(ret->events[i].id, source->id, EVENT_ID_BYTES);
        ret->pointers[i] = &ret->events[i];
    }
    ret->records = mem_zero(from->n_records + 1, sizeof(*ret->records));
    for (size_t i = 0; i < from->n_records; i++)
        buf_add_span(&ret->bytes, from->records[i].bytes);
    const char *at = ret->bytes.ptr;
    for (size_t i = 0; i < from->n_records; i++) {
        ret->records[i] = from->records[i];
        ret->records[i].bytes.ptr = at;
        at = at == NULL ? NULL : at + from->records[i].bytes.len;
    }
    ret->block.events = ret->pointers;
    ret->block.records = ret->records;
}

enum err memory_replay(struct store *store,
                       uint64_t from,
                       enum err (*fn)(void *ctx, const struct store_block *block),
                       void *ctx,
                       struct error *error)
{
    struct memory_store *s = memory_of(store);
    const struct world *world = s->world;
    struct store_end end;
    store_end(store, &end);
    enum err err = OK;
    while (err == OK) {
        struct copy copy;
        pthread_mutex_lock(&s->lock);
        uint64_t first = world->n_blocks == 0 ? UINT64_MAX : world->blocks[0].block;
        if (from < first)
            from = first;
        bool there = from <= end.block;
        if (there)
            copy_block(world, &world->blocks[from - first], &copy);
        pthread_mutex_unlock(&s->lock);
        if (!there)
            break;
        err = fn(ctx, &copy.block);
        copy_release(&copy);
        from++;
    }
    return err;
}

/* --- events --- */

enum err memory_events(struct store *store,
                       const uint64_t *seqs,
                       size_t n,
                       struct event **ret_events,
                       struct error *error)
{
    struct memory_store *s = memory_of(store);
    const struct world *world = s->world;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        uint64_t first = world->end.first_seq;
        bool there = seqs[i] >= first && seqs[i] - first < world->n_events;
        ret_events[i] = there ? event_ref(world->events[seqs[i] - first]) : NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return OK;
}

enum err memory_event_by_id(struct store *store,
                            const uint8_t id[16],
                            struct event **ret_event,
                            struct error *error)
{
    struct memory_store *s = memory_of(store);
    const struct world *world = s->world;
    *ret_event = NULL;
    pthread_mutex_lock(&s->lock);
    size_t low = 0;
    size_t high = world->n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(world->events[middle]->id, id, EVENT_ID_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < world->n_events && memcmp(world->events[low]->id, id, EVENT_ID_BYTES) == 0)
        *ret_event = event_ref(world->events[low]);
    pthread_mutex_unlock(&s->lock);
    return OK;
}

enum err memory_lane(struct store *store,
                     uint32_t webhook,
                     uint64_t from,
                     size_t n,
                     uint64_t *ret_seqs,
                     struct error *error)
{
    struct memory_store *s = memory_of(store);
    memset(ret_seqs, 0, n * sizeof(*ret_seqs));
    pthread_mutex_lock(&s->lock);
    const struct memory_lane *lane = map_get(&s->world->lanes, webhook);
    size_t low = 0;
    size_t high = lane == NULL ? 0 : lane->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lane->entries[middle].sequence < from)
            low = middle + 1;
        else
            high = middle;
    }
    for (; lane != NULL && low < lane->n_entries && lane->entries[low].sequence - from < n; low++)
        ret_seqs[lane->entries[low].sequence - from] = lane->entries[low].seq;
    pthread_mutex_unlock(&s->lock);
    return OK;
}

/* --- attempts --- */

static struct span record_bytes(const struct world *world, const struct memory_ref *ref)
{
    return world->blocks[ref->block - world->blocks[0].block].records[ref->record].bytes;
}

enum err memory_attempts(struct store *store,
                         uint32_t webhook,
                         uint64_t sequence,
                         struct store_attempts *ret_attempts,
                         struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct buf bytes = BUF_INIT;
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    const struct memory_lane *lane = map_get(&s->world->lanes, webhook);
    for (size_t i = 0; lane != NULL && i < lane->n_refs; i++) {
        if (lane->refs[i].sequence != sequence)
            continue;
        buf_add_blob(&bytes, record_bytes(s->world, &lane->refs[i]));
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    struct reader reader = {.in = buf_span(&bytes)};
    struct attempt *attempts = n == 0 ? NULL : mem_zero(n, sizeof *attempts);
    for (size_t i = 0; i < n; i++)
        if (attempt_decode(reader_blob(&reader), &attempts[i]) != OK)
            BUG("an attempt in memory does not decode");
    *ret_attempts =
        (struct store_attempts){.attempts = attempts, .n = n, .memory = buf_take(&bytes)};
    return OK;
}

enum err memory_last_attempts(struct store *store,
                              uint32_t webhook,
                              uint64_t from,
                              size_t n,
                              struct attempt *ret_attempts,
                              bool *ret_found,
                              struct error *error)
{
    struct memory_store *s = memory_of(store);
    for (size_t i = 0; i < n; i++)
        ret_found[i] = false;
    pthread_mutex_lock(&s->lock);
    const struct memory_lane *lane = map_get(&s->world->lanes, webhook);
    for (size_t i = lane == NULL ? 0 : lane->n_refs; i > 0; i--) {
        const struct memory_ref *ref = &lane->refs[i - 1];
        if (ref->sequence < from || ref->sequence - from >= n || ret_found[ref->sequence - from])
            continue;
        struct attempt *attempt = &ret_attempts[ref->sequence - from];
        if (attempt_decode(record_bytes(s->world, ref), attempt) != OK)
            BUG("an attempt in memory does not decode");
        attempt->detail = attempt->body = (struct span){NULL, 0};
        ret_found[ref->sequence - from] = true;
    }
    pthread_mutex_unlock(&s->lock);
    return OK;
}
