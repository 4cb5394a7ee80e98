/* index_flush.c: from the tail to the rows of the index file.
 *
 * A row costs a random page, so it is written when there is much to put into it: lanes with a
 * chunk's worth go when READY_BYTES of them came together; all others, oldest first, only when
 * the tail is too large or holds the mark back too far (which a start would have to fold again). */
#include "store/sqlite/index_private.h"

#include <stdlib.h>

#include "sys/clock.h"

#define READY_BYTES (2 * 1024 * 1024)
#define TAIL_BYTES  (16 * 1024 * 1024)
#define MARK_LAG    20000 /* blocks */

/* Merges `n` new entries of one chunk into its row. */
static int merge_entries(struct index *index,
                         uint32_t webhook,
                         uint64_t chunk,
                         const struct lane_entry *entries,
                         size_t n)
{
    struct lane_entry merged[CHUNK];
    uint64_t seqs[CHUNK] = {0};
    size_t n_merged = 0;
    sqlite3_stmt *get = index->get_entries;
    db_bind_u64(get, 1, webhook);
    db_bind_u64(get, 2, chunk);
    int rc = sqlite3_step(get);
    if (rc == SQLITE_ROW && entries_unpack(db_blob(get, 0), chunk, merged, &n_merged) != OK)
        rc = SQLITE_CORRUPT;
    sqlite3_reset(get);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc;
    for (size_t i = 0; i < n_merged; i++)
        seqs[merged[i].sequence % CHUNK] = merged[i].seq;
    for (size_t i = 0; i < n; i++)
        seqs[entries[i].sequence % CHUNK] = entries[i].seq;
    n_merged = 0;
    for (unsigned slot = 0; slot < CHUNK; slot++)
        if (seqs[slot] != 0)
            merged[n_merged++] =
                (struct lane_entry){.sequence = chunk * CHUNK + slot, .seq = seqs[slot]};
    buf_clear(&index->buf);
    entries_pack(&index->buf, merged, n_merged);
    db_bind_u64(index->put_entries, 1, webhook);
    db_bind_u64(index->put_entries, 2, chunk);
    db_bind_blob(index->put_entries, 3, buf_span(&index->buf));
    return db_run(index->put_entries);
}

/* Merges `n` new references of one chunk into its row. */
static int merge_refs(
    struct index *index, uint32_t webhook, uint64_t chunk, const struct attempt_ref *refs, size_t n)
{
    sqlite3_stmt *get = index->get_refs;
    index->merged.n = 0;
    db_bind_u64(get, 1, webhook);
    db_bind_u64(get, 2, chunk);
    int rc = sqlite3_step(get);
    if (rc == SQLITE_ROW && refs_unpack(db_blob(get, 0), chunk, &index->merged) != OK)
        rc = SQLITE_CORRUPT;
    sqlite3_reset(get);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc;
    for (size_t i = 0; i < n; i++)
        refs_add(&index->merged, refs[i]);
    refs_sort(&index->merged);
    buf_clear(&index->buf);
    refs_pack(&index->buf, index->merged.list, index->merged.n);
    db_bind_u64(index->put_refs, 1, webhook);
    db_bind_u64(index->put_refs, 2, chunk);
    db_bind_blob(index->put_refs, 3, buf_span(&index->buf));
    return db_run(index->put_refs);
}

static int compare_chunks(const void *a, const void *b)
{
    uint64_t left = ((const struct attempt_ref *)a)->sequence / CHUNK;
    uint64_t right = ((const struct attempt_ref *)b)->sequence / CHUNK;
    return (left > right) - (left < right);
}

static int flush_lane(struct index *index, const struct tail_lane *lane)
{
    int rc = SQLITE_OK;
    size_t end = 0;
    for (size_t at = 0; at < lane->n_entries && rc == SQLITE_OK; at = end) {
        uint64_t chunk = lane->entries[at].sequence / CHUNK;
        for (end = at + 1; end < lane->n_entries; end++)
            if (lane->entries[end].sequence / CHUNK != chunk)
                break;
        rc = merge_entries(index, lane->webhook, chunk, lane->entries + at, end - at);
    }
    /* A sorted copy: readers look into the lane meanwhile. */
    struct refs *sorted = &index->sorted;
    sorted->n = 0;
    for (size_t i = 0; i < lane->refs.n; i++)
        refs_add(sorted, lane->refs.list[i]);
    if (sorted->n > 0)
        qsort(sorted->list, sorted->n, sizeof(*sorted->list), compare_chunks);
    for (size_t at = 0; at < sorted->n && rc == SQLITE_OK; at = end) {
        uint64_t chunk = sorted->list[at].sequence / CHUNK;
        for (end = at + 1; end < sorted->n; end++)
            if (sorted->list[end].sequence / CHUNK != chunk)
                break;
        rc = merge_refs(index, lane->webhook, chunk, sorted->list + at, end - at);
    }
    return rc;
}

/* The first lane that is due behind those that were written; NULL: nothing is due. */
static struct tail_lane *due_lane(struct index *index, bool all, bool ready, size_t left_bytes)
{
    if (ready)
        return list_empty(&index->ready) ? NULL
                                         : CONTAINER_OF(index->ready.next, struct tail_lane, ready);
    if (list_empty(&index->age))
        return NULL;
    struct tail_lane *lane = CONTAINER_OF(index->age.next, struct tail_lane, age);
    bool old = lane->first_block + MARK_LAG / 2 < index->last_block;
    return all || old || left_bytes > TAIL_BYTES / 2 ? lane : NULL;
}

/* Moves written lanes aside, so that the lists lead to the next one. */
static void set_aside(struct index *index, struct tail_lane *lane, struct list *written)
{
    if (!list_empty(&lane->ready))
        index->ready_bytes -= tail_lane_bytes(lane);
    list_remove(&lane->ready);
    list_remove(&lane->age);
    list_push_back(written, &lane->age);
}

/* The lanes that are left are the newer ones, so the oldest of them stands first. */
static uint64_t mark_now(const struct index *index)
{
    if (list_empty(&index->age))
        return index->last_block;
    return CONTAINER_OF(index->age.next, struct tail_lane, age)->first_block - 1;
}

/* Nothing was written after all: back to the front, in order of age. */
static void put_back(struct index *index, struct list *written)
{
    struct list *node;
    while (!list_empty(written)) {
        node = written->prev;
        struct tail_lane *lane = CONTAINER_OF(node, struct tail_lane, age);
        list_remove(node);
        struct list *at = index->age.next;
        while (at != &index->age &&
               CONTAINER_OF(at, struct tail_lane, age)->first_block < lane->first_block)
            at = at->next;
        list_add_before(at, node);
        if (lane->n_entries + lane->refs.n >= CHUNK) {
            list_push_back(&index->ready, &lane->ready);
            index->ready_bytes += tail_lane_bytes(lane);
        }
    }
}

/* One transaction. */
static int flush_some(struct index *index, bool all, bool ready, int64_t until_us, bool *ret_more)
{
    struct list written;
    list_init(&written);
    size_t left_bytes = index->bytes;
    struct tail_lane *lane = NULL;
    int rc = db_run(index->begin);
    while (rc == SQLITE_OK && (lane = due_lane(index, all, ready, left_bytes)) != NULL) {
        if (!list_empty(&written) && clock_mono_us() >= until_us)
            break;
        rc = flush_lane(index, lane);
        left_bytes -= tail_lane_bytes(lane);
        set_aside(index, lane, &written);
    }
    uint64_t mark = mark_now(index);
    if (rc == SQLITE_OK) {
        db_bind_u64(index->put_mark, 1, mark);
        rc = db_run(index->put_mark);
    }
    if (rc == SQLITE_OK)
        rc = db_run(index->commit);
    if (rc != SQLITE_OK) {
        if (sqlite3_get_autocommit(index->db.sqlite) == 0)
            db_run(index->rollback);
        put_back(index, &written);
        return rc;
    }
    index->mark = mark;
    *ret_more = lane != NULL;
    /* Only now: a reader looks into the tail first, then into the file. */
    pthread_mutex_lock(index->lock);
    while (!list_empty(&written))
        index_drop_lane(index, CONTAINER_OF(written.next, struct tail_lane, age));
    pthread_mutex_unlock(index->lock);
    return SQLITE_OK;
}

enum err
index_flush(struct index *index, bool all, int64_t until_us, bool *ret_more, struct error *error)
{
    *ret_more = false;
    bool ready = !all && index->ready_bytes >= READY_BYTES;
    bool old = !list_empty(&index->age) && mark_now(index) + MARK_LAG < index->last_block;
    bool needed = ready || old || index->bytes > TAIL_BYTES ||
                  (all && (index->bytes > 0 || index->mark < index->last_block));
    if (!needed)
        return OK;
    ASSERT(index->db.sqlite != NULL);
    int rc = flush_some(index, all, ready, until_us, ret_more);
    return rc == SQLITE_OK ? OK : db_error(&index->db, rc, "write", error);
}
