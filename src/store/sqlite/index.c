/* index.c: see index.h: the file and the tail; index_flush.c moves one into the other. */
#include "store/sqlite/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite/index_private.h"

static const char schema[] =
    "BEGIN;"
    "CREATE TABLE seqs(webhook INTEGER, chunk INTEGER, data BLOB, PRIMARY KEY(webhook, chunk))"
    " WITHOUT ROWID;"
    "CREATE TABLE attempts(webhook INTEGER, chunk INTEGER, data BLOB,"
    " PRIMARY KEY(webhook, chunk)) WITHOUT ROWID;"
    "CREATE TABLE mark(one INTEGER PRIMARY KEY, block INTEGER);"
    "INSERT INTO mark VALUES(1, 0);"
    "PRAGMA user_version=1;"
    "COMMIT;";

void index_init(struct index *index, pthread_mutex_t *lock)
{
    *index = (struct index){.lock = lock};
    map_init(&index->lanes);
    list_init(&index->age);
    list_init(&index->ready);
}

static enum err prepare(struct index *index, struct error *error)
{
    const struct {
        const char *sql;
        sqlite3_stmt **stmt;
    } all[] = {
        {"BEGIN IMMEDIATE", &index->begin},
        {"COMMIT", &index->commit},
        {"ROLLBACK", &index->rollback},
        {"SELECT data FROM seqs WHERE webhook=? AND chunk=?", &index->get_entries},
        {"REPLACE INTO seqs VALUES(?,?,?)", &index->put_entries},
        {"SELECT data FROM attempts WHERE webhook=? AND chunk=?", &index->get_refs},
        {"REPLACE INTO attempts VALUES(?,?,?)", &index->put_refs},
        {"UPDATE mark SET block=?", &index->put_mark},
    };
    enum err err = OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && err == OK; i++)
        err = db_prepare(&index->db, all[i].sql, all[i].stmt, error);
    return err;
}

static enum err open_once(struct index *index,
                          const struct vfs *vfs,
                          const char *path,
                          int *ret_format,
                          struct error *error)
{
    enum err err = db_open(&index->db, vfs, path, DB_WRITE_DERIVED, ret_format, error);
    if (err == OK && *ret_format == 0)
        err = db_exec(&index->db, schema, error);
    if (err == OK)
        err = prepare(index, error);
    sqlite3_stmt *stmt = NULL;
    if (err == OK)
        err = db_prepare(&index->db, "SELECT block FROM mark", &stmt, error);
    if (err == OK) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            index->mark = db_u64(stmt, 0);
        else
            err = db_error(&index->db, rc, "read", error);
        sqlite3_finalize(stmt);
    }
    if (err != OK)
        index_close(index);
    return err;
}

enum err
index_open(struct index *index, const struct vfs *vfs, const char *path, struct error *error)
{
    struct error first = {0};
    int format = 0;
    enum err err = open_once(index, vfs, path, &format, &first);
    if (err == ERR_STORE && format <= DB_FORMAT) {
        LOG_WARN("an index is made again from its log: %s", first.message);
        char name[PATH_MAX + 8];
        static const char *const endings[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "%s%s", path, endings[i]);
            unlink(name);
        }
        return open_once(index, vfs, path, &format, error);
    }
    if (err != OK && error != NULL)
        *error = first;
    return err;
}

void index_close(struct index *index)
{
    db_close(&index->db);
}

void index_release(struct index *index)
{
    index_close(index);
    struct list *node;
    struct list *next;
    LIST_FOREACH_SAFE (node, next, &index->age)
        index_drop_lane(index, CONTAINER_OF(node, struct tail_lane, age));
    map_release(&index->lanes);
    buf_release(&index->buf);
    free(index->merged.list);
    free(index->sorted.list);
    index->merged = index->sorted = (struct refs){0};
}

/* --- the tail --- */

size_t tail_lane_bytes(const struct tail_lane *lane)
{
    return lane->n_entries * sizeof(*lane->entries) + lane->refs.n * sizeof(*lane->refs.list);
}

void index_drop_lane(struct index *index, struct tail_lane *lane)
{
    size_t bytes = tail_lane_bytes(lane);
    index->bytes -= bytes;
    if (!list_empty(&lane->ready))
        index->ready_bytes -= bytes;
    list_remove(&lane->age);
    list_remove(&lane->ready);
    map_remove(&index->lanes, lane->webhook);
    free(lane->entries);
    free(lane->refs.list);
    free(lane);
}

static struct tail_lane *lane_of(struct index *index, uint32_t webhook, uint64_t block)
{
    struct tail_lane *lane = map_get(&index->lanes, webhook);
    if (lane != NULL)
        return lane;
    lane = mem_zero(1, sizeof *lane);
    lane->webhook = webhook;
    lane->first_block = block;
    list_push_back(&index->age, &lane->age);
    list_init(&lane->ready);
    map_put(&index->lanes, webhook, lane);
    return lane;
}

/* The lane grew by one thing of so many bytes. */
static void grown(struct index *index, struct tail_lane *lane, size_t bytes)
{
    index->bytes += bytes;
    if (!list_empty(&lane->ready)) {
        index->ready_bytes += bytes;
    } else if (lane->n_entries + lane->refs.n >= CHUNK) {
        list_push_back(&index->ready, &lane->ready);
        index->ready_bytes += tail_lane_bytes(lane);
    }
}

void index_add_event(struct index *index, uint64_t block, const struct event *event)
{
    for (uint32_t i = 0; i < event->n_targets; i++) {
        const struct event_target *target = &event->targets[i];
        struct tail_lane *lane = lane_of(index, target->webhook, block);
        if (lane->n_entries == lane->cap_entries) {
            lane->cap_entries = lane->cap_entries == 0 ? 8 : 2 * lane->cap_entries;
            lane->entries = mem_realloc(lane->entries, lane->cap_entries * sizeof(*lane->entries));
        }
        lane->entries[lane->n_entries++] =
            (struct lane_entry){.sequence = target->sequence, .seq = event->seq};
        grown(index, lane, sizeof(*lane->entries));
    }
}

void index_add_record(struct index *index,
                      uint64_t block,
                      const struct store_record *record,
                      uint32_t offset)
{
    if (record->kind != RECORD_ATTEMPT || record->webhook == 0 || record->sequence == 0)
        return;
    struct tail_lane *lane = lane_of(index, record->webhook, block);
    refs_add(&lane->refs, (struct attempt_ref){.sequence = record->sequence,
                                               .block = block,
                                               .offset = offset,
                                               .len = (uint32_t)record->bytes.len,
                                               .outcome = attempt_outcome(record->bytes)});
    grown(index, lane, sizeof(struct attempt_ref));
}

void index_end_block(struct index *index, uint64_t block)
{
    index->last_block = block;
}

/* --- looking up --- */

void index_tail_entries(
    struct index *index, uint32_t webhook, uint64_t from, size_t n, uint64_t *ret_seqs)
{
    pthread_mutex_lock(index->lock);
    const struct tail_lane *lane = map_get(&index->lanes, webhook);
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
    pthread_mutex_unlock(index->lock);
}

void index_tail_refs(
    struct index *index, uint32_t webhook, uint64_t from, size_t n, struct refs *refs)
{
    pthread_mutex_lock(index->lock);
    const struct tail_lane *lane = map_get(&index->lanes, webhook);
    for (size_t i = 0; lane != NULL && i < lane->refs.n; i++)
        if (lane->refs.list[i].sequence >= from && lane->refs.list[i].sequence - from < n)
            refs_add(refs, lane->refs.list[i]);
    pthread_mutex_unlock(index->lock);
}
