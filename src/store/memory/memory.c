/* memory.c: the memory engine: opening, appending, retention, faults. See memory.h. */
#include "store/memory/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What store_memory_keep left for the next store_open_memory. */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct world *kept_world;

void *memory_grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap == 0 ? 16 : 2 * *cap;
    return mem_realloc(array, *cap * size);
}

/* --- the world --- */

static struct world *world_new(void)
{
    struct world *world = mem_zero(1, sizeof *world);
    map_init(&world->lanes);
    world->end.first_seq = 1;
    return world;
}

static void world_free(struct world *world)
{
    if (world == NULL)
        return;
    for (size_t i = 0; i < world->n_events; i++)
        event_unref(world->events[i]);
    for (size_t i = 0; i < world->n_blocks; i++)
        free(world->blocks[i].records);
    struct map_iter iter = {0};
    void *value;
    while (map_next(&world->lanes, &iter, NULL, &value)) {
        struct memory_lane *lane = value;
        free(lane->entries);
        free(lane->refs);
        free(lane);
    }
    map_release(&world->lanes);
    free(world->events);
    free(world->blocks);
    free(world->files);
    memory_config_release(world);
    free(world);
}

static void push_file(struct world *world)
{
    world->files =
        memory_grow(world->files, world->n_files, &world->cap_files, sizeof(*world->files));
    world->files[world->n_files++] = (struct memory_file){.first_seq = world->end.event_seq + 1,
                                                          .first_block = world->end.block + 1};
}

/* --- faults --- */

/* One operation of this kind; true when it is the one that fails. */
static bool is_struck(struct memory_store *s, enum store_fault fault)
{
    if (s->fault != fault || s->countdown == 0 || --s->countdown > 0)
        return false;
    s->fault = STORE_FAULT_NONE;
    return true;
}

enum err memory_touch_disk(struct memory_store *s, struct error *error)
{
    if (is_struck(s, STORE_FAULT_FULL))
        return error_set(error, ERR_FULL, "the disk is full (as the test wants it)");
    if (is_struck(s, STORE_FAULT_WRITE))
        return error_set(error, ERR_STORE, "a write failed (as the test wants it)");
    if (is_struck(s, STORE_FAULT_SYNC))
        return error_set(error, ERR_STORE, "an fsync failed (as the test wants it)");
    return OK;
}

static void memory_inject_fault(struct store *store, enum store_fault fault, unsigned countdown)
{
    struct memory_store *s = memory_of(store);
    pthread_mutex_lock(&s->lock);
    s->fault = fault;
    s->countdown = countdown;
    pthread_mutex_unlock(&s->lock);
}

/* --- appending --- */

static struct memory_lane *lane_of(struct world *world, uint32_t webhook)
{
    struct memory_lane *lane = map_get(&world->lanes, webhook);
    if (lane == NULL) {
        lane = mem_zero(1, sizeof *lane);
        map_put(&world->lanes, webhook, lane);
    }
    return lane;
}

static void add_event(struct world *world, struct event *event)
{
    world->events =
        memory_grow(world->events, world->n_events, &world->cap_events, sizeof(struct event *));
    world->events[world->n_events++] = event_ref(event);
    for (uint32_t i = 0; i < event->n_targets; i++) {
        struct memory_lane *lane = lane_of(world, event->targets[i].webhook);
        lane->entries =
            memory_grow(lane->entries, lane->n_entries, &lane->cap_entries, sizeof(*lane->entries));
        lane->entries[lane->n_entries++] =
            (struct memory_entry){.sequence = event->targets[i].sequence, .seq = event->seq};
    }
}

static struct store_record *copy_records(const struct store_record *records, size_t n)
{
    size_t bytes = n * sizeof(*records);
    for (size_t i = 0; i < n; i++)
        bytes += records[i].bytes.len;
    struct store_record *copies = mem_alloc(bytes + 1);
    char *at = (char *)(copies + n);
    for (size_t i = 0; i < n; i++) {
        copies[i] = records[i];
        copies[i].bytes = span_make(at, records[i].bytes.len);
        if (records[i].bytes.len > 0)
            memcpy(at, records[i].bytes.ptr, records[i].bytes.len);
        at += records[i].bytes.len;
    }
    return copies;
}

static void add_records(struct world *world, const struct store_batch *batch)
{
    world->blocks =
        memory_grow(world->blocks, world->n_blocks, &world->cap_blocks, sizeof(*world->blocks));
    world->blocks[world->n_blocks++] = (struct memory_block){
        .block = batch->block,
        .time = batch->time,
        .first_seq = world->end.event_seq + 1,
        .n_events = batch->n_events,
        .records = copy_records(batch->records, batch->n_records),
        .n_records = batch->n_records,
    };
    for (size_t i = 0; i < batch->n_records; i++) {
        const struct store_record *record = &batch->records[i];
        if (record->kind != RECORD_ATTEMPT || record->webhook == 0 || record->sequence == 0)
            continue;
        struct memory_lane *lane = lane_of(world, record->webhook);
        lane->refs = memory_grow(lane->refs, lane->n_refs, &lane->cap_refs, sizeof(*lane->refs));
        lane->refs[lane->n_refs++] =
            (struct memory_ref){.sequence = record->sequence, .block = batch->block, .record = i};
    }
}

static void apply(struct world *world, const struct store_batch *batch)
{
    struct memory_file *file = &world->files[world->n_files - 1];
    add_records(world, batch);
    for (size_t i = 0; i < batch->n_events; i++) {
        add_event(world, batch->events[i]);
        file->bytes += batch->events[i]->bytes;
    }
    for (size_t i = 0; i < batch->n_records; i++)
        file->bytes += batch->records[i].bytes.len;
    if (file->born_at == 0)
        file->born_at = batch->time;
    file->last_time = world->end.time = batch->time;
    world->end.block = batch->block;
    if (batch->n_events > 0) {
        const struct event *last = batch->events[batch->n_events - 1];
        world->end.event_seq = last->seq;
        memcpy(world->end.last_id, last->id, EVENT_ID_BYTES);
    }
}

static void roll_if_ripe(struct memory_store *s, wall_ms now)
{
    const struct memory_file *file = &s->world->files[s->world->n_files - 1];
    if (file->first_seq <= s->world->end.event_seq &&
        (file->bytes >= (uint64_t)s->conf.log_file_bytes ||
         now - file->born_at >= s->conf.log_file_ms))
        push_file(s->world);
}

static enum err
memory_append(struct store *store, const struct store_batch *batch, struct error *error)
{
    struct memory_store *s = memory_of(store);
    pthread_mutex_lock(&s->lock);
    store_check_batch(&s->world->end, batch);
    enum err err = OK;
    if (s->failed)
        err = error_set(error, ERR_STORE, "the store failed before; restart to recover");
    else
        err = memory_touch_disk(s, error);
    if (err == OK) {
        roll_if_ripe(s, batch->time);
        apply(s->world, batch);
        s->commits++;
    }
    s->failed = s->failed || (err != OK && err != ERR_FULL);
    pthread_mutex_unlock(&s->lock);
    return err;
}

static bool memory_maintain(struct store *store, int budget_ms)
{
    return false;
}

static enum err memory_mark_snapshot(struct store *store, uint64_t first, struct error *error)
{
    struct memory_store *s = memory_of(store);
    pthread_mutex_lock(&s->lock);
    enum err err = memory_touch_disk(s, error);
    if (err == OK || err == ERR_FULL)
        s->world->end.snapshot = first;
    pthread_mutex_unlock(&s->lock);
    return err == ERR_FULL ? OK : err;
}

/* --- retention --- */

/* Takes the first `gone` of *n things out of an array, which may be NULL when it is empty. */
static void shift(void *array, size_t *n, size_t gone, size_t size)
{
    *n -= gone;
    if (gone > 0 && *n > 0)
        memmove(array, (char *)array + gone * size, *n * size);
}

static void drop_oldest(struct world *world)
{
    shift(world->files, &world->n_files, 1, sizeof(*world->files));
    uint64_t first_seq = world->files[0].first_seq;
    uint64_t first_block = world->files[0].first_block;
    size_t n = (size_t)(first_seq - world->end.first_seq);
    for (size_t i = 0; i < n; i++)
        event_unref(world->events[i]);
    shift(world->events, &world->n_events, n, sizeof(struct event *));
    world->end.first_seq = first_seq;
    n = 0;
    while (n < world->n_blocks && world->blocks[n].block < first_block)
        free(world->blocks[n++].records);
    shift(world->blocks, &world->n_blocks, n, sizeof(*world->blocks));
    struct map_iter iter = {0};
    void *value;
    while (map_next(&world->lanes, &iter, NULL, &value)) {
        struct memory_lane *lane = value;
        n = 0;
        while (n < lane->n_entries && lane->entries[n].seq < first_seq)
            n++;
        shift(lane->entries, &lane->n_entries, n, sizeof(*lane->entries));
        n = 0;
        while (n < lane->n_refs && lane->refs[n].block < first_block)
            n++;
        shift(lane->refs, &lane->n_refs, n, sizeof(*lane->refs));
    }
}

static enum err memory_retain(struct store *store,
                              wall_ms before,
                              uint64_t keep_seq,
                              unsigned *ret_files,
                              struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    unsigned n = 0;
    pthread_mutex_lock(&s->lock);
    while (world->n_files > 1 && world->files[0].last_time < before &&
           world->files[1].first_seq - 1 < keep_seq &&
           world->files[1].first_block - 1 < world->end.snapshot) {
        drop_oldest(world);
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    *ret_files = n;
    return OK;
}

/* --- opening, closing, figures --- */

static void memory_end(struct store *store, struct store_end *ret_end)
{
    struct memory_store *s = memory_of(store);
    pthread_mutex_lock(&s->lock);
    *ret_end = s->world->end;
    pthread_mutex_unlock(&s->lock);
}

static void memory_stats(struct store *store, struct store_stats *ret_stats)
{
    struct memory_store *s = memory_of(store);
    pthread_mutex_lock(&s->lock);
    *ret_stats = (struct store_stats){
        .free_bytes = UINT64_MAX, .log_files = s->world->n_files, .commits = s->commits};
    pthread_mutex_unlock(&s->lock);
}

static void memory_keep(struct store *store)
{
    memory_of(store)->kept = true;
}

static void memory_close(struct store *store)
{
    struct memory_store *s = memory_of(store);
    if (s->kept) {
        pthread_mutex_lock(&kept_lock);
        world_free(kept_world);
        kept_world = s->world;
        pthread_mutex_unlock(&kept_lock);
    } else {
        world_free(s->world);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct store_ops ops = {
    .close = memory_close,
    .append = memory_append,
    .maintain = memory_maintain,
    .mark_snapshot = memory_mark_snapshot,
    .retain = memory_retain,
    .end = memory_end,
    .replay = memory_replay,
    .events = memory_events,
    .event_by_id = memory_event_by_id,
    .lane = memory_lane,
    .attempts = memory_attempts,
    .last_attempts = memory_last_attempts,
    .put_company = memory_put_company,
    .put_credential = memory_put_credential,
    .delete_credential = memory_delete_credential,
    .put_webhook = memory_put_webhook,
    .delete_webhook = memory_delete_webhook,
    .webhook_url = memory_webhook_url,
    .load_conf = memory_load_conf,
    .stats = memory_stats,
    .inject_fault = memory_inject_fault,
    .keep = memory_keep,
};

enum err
store_open_memory(const struct store_conf *conf, struct store **ret_store, struct error *error)
{
    struct memory_store *s = mem_zero(1, sizeof *s);
    s->store.ops = &ops;
    s->conf = *conf;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&kept_lock);
    s->world = kept_world;
    kept_world = NULL;
    pthread_mutex_unlock(&kept_lock);
    if (s->world == NULL) {
        s->world = world_new();
        push_file(s->world);
    }
    *ret_store = &s->store;
    return OK;
}
