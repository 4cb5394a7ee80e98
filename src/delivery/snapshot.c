/* snapshot.c: when to begin one, and how much of it goes into a commit.
 *
 * A snapshot begins when the log has grown by --snapshot-bytes and by eight times the size of
 * the last snapshot: so snapshots are at most an eighth of what is written, and recovery folds a
 * bounded part of the log. */
#include "delivery/snapshot.h"

#include <stdlib.h>

#include "base/mem.h"
#include "delivery/engine_private.h"

#define GROWTH_FACTOR 8
#define PIECE_BYTES   (128 * 1024)

enum phase { SNAPSHOT_IDLE, SNAPSHOT_LANES, SNAPSHOT_KEYS };

struct snapshot {
    struct engine *engine;
    struct keys *keys;
    enum phase phase;
    uint64_t first_block;     /* where the running one began */
    uint64_t bytes_since;     /* appended since the last one was complete */
    uint64_t size, last_size; /* bytes of the running one, of the last one */
    bool complete;            /* this commit carries the end */
    struct buf buf;
    struct store_record *records;
    size_t *offsets;
    size_t n, cap;
};

struct snapshot *snapshot_new(struct engine *engine, struct keys *keys)
{
    struct snapshot *snapshot = mem_zero(1, sizeof *snapshot);
    snapshot->engine = engine;
    snapshot->keys = keys;
    return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    buf_release(&snapshot->buf);
    free(snapshot->records);
    free(snapshot->offsets);
    free(snapshot);
}

void snapshot_resume(struct snapshot *snapshot, uint64_t replayed_bytes)
{
    snapshot->bytes_since = replayed_bytes;
}

/* The record begins at `offset` of the buffer and ends at its present end. */
static void add(struct snapshot *snapshot, uint8_t kind, uint32_t webhook, size_t offset)
{
    if (snapshot->n == snapshot->cap) {
        snapshot->cap = snapshot->cap == 0 ? 64 : 2 * snapshot->cap;
        snapshot->records =
            mem_realloc(snapshot->records, snapshot->cap * sizeof(*snapshot->records));
        snapshot->offsets =
            mem_realloc(snapshot->offsets, snapshot->cap * sizeof(*snapshot->offsets));
    }
    snapshot->offsets[snapshot->n] = offset;
    snapshot->records[snapshot->n++] = (struct store_record){
        .kind = kind, .webhook = webhook, .bytes = {NULL, snapshot->buf.len - offset}};
}

static void add_lanes(struct snapshot *snapshot, bool begin)
{
    while (snapshot->buf.len < PIECE_BYTES) {
        size_t offset = snapshot->buf.len;
        uint32_t webhook = 0;
        if (!ledger_walk(snapshot->engine->ledger, begin, &snapshot->buf, &webhook)) {
            snapshot->phase = SNAPSHOT_KEYS;
            return;
        }
        begin = false;
        add(snapshot, RECORD_LANE, webhook, offset);
    }
}

static void add_keys(struct snapshot *snapshot, bool begin)
{
    while (snapshot->buf.len < PIECE_BYTES) {
        size_t offset = snapshot->buf.len;
        const struct key_record *record = keys_walk(snapshot->keys, begin);
        begin = false;
        if (record == NULL) {
            add(snapshot, RECORD_SNAPSHOT_END, 0, offset);
            snapshot->complete = true;
            return;
        }
        key_record_encode(&snapshot->buf, record);
        add(snapshot, RECORD_KEY, 0, offset);
    }
}

void snapshot_begin_commit(struct snapshot *snapshot, uint64_t block)
{
    snapshot->n = 0;
    snapshot->complete = false;
    buf_clear(&snapshot->buf);
    uint64_t threshold = snapshot->engine->settings->snapshot_bytes;
    if (threshold < GROWTH_FACTOR * snapshot->last_size)
        threshold = GROWTH_FACTOR * snapshot->last_size;
    bool begin = snapshot->phase == SNAPSHOT_IDLE && snapshot->bytes_since >= threshold;
    if (begin) {
        snapshot->phase = SNAPSHOT_LANES;
        snapshot->first_block = block;
        snapshot->size = 0;
        add(snapshot, RECORD_SNAPSHOT_BEGIN, 0, 0);
    }
    bool begin_keys = false;
    if (snapshot->phase == SNAPSHOT_LANES) {
        add_lanes(snapshot, begin);
        begin_keys = snapshot->phase == SNAPSHOT_KEYS;
    }
    if (snapshot->phase == SNAPSHOT_KEYS)
        add_keys(snapshot, begin_keys);
    for (size_t i = 0; i < snapshot->n; i++)
        snapshot->records[i].bytes.ptr =
            snapshot->buf.ptr == NULL ? NULL : snapshot->buf.ptr + snapshot->offsets[i];
    snapshot->size += snapshot->buf.len;
}

size_t snapshot_records(const struct snapshot *snapshot)
{
    return snapshot->n;
}

const struct store_record *snapshot_record(const struct snapshot *snapshot, size_t i)
{
    return &snapshot->records[i];
}

void snapshot_end_commit(struct snapshot *snapshot,
                         struct event *const *events,
                         size_t n_events,
                         const struct store_record *records,
                         size_t n_records)
{
    for (size_t i = 0; i < n_events; i++)
        snapshot->bytes_since += events[i]->bytes;
    for (size_t i = 0; i < n_records; i++)
        snapshot->bytes_since += records[i].bytes.len;
    if (!snapshot->complete)
        return;
    struct error error = {0};
    if (store_mark_snapshot(snapshot->engine->store, snapshot->first_block, &error) != OK)
        fatal("the snapshot mark cannot be written: %s", error.message);
    snapshot->phase = SNAPSHOT_IDLE;
    snapshot->last_size = snapshot->size;
    snapshot->bytes_since = 0;
}
