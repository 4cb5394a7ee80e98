/* read.c: events by position and by id, and the map (webhook, sequence) -> event. Any thread.
 *
 * Ids ascend with seq, and seqs have no gaps inside a file, so an id is found by halving: the
 * file by its first and last id, then some twenty rows. No index over ids has to be kept. */
#include "store/sqlite/engine.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_ONCE 64 /* in one read transaction */

static struct event *event_of_row(sqlite3_stmt *row, uint64_t seq, struct targets *targets)
{
    uint32_t n = 0;
    targets->n = 0;
    struct span id = db_blob(row, 0);
    if (id.len != EVENT_ID_BYTES || targets_unpack(db_blob(row, 8), targets, &n) != OK)
        return NULL;
    struct event *event = event_new((uint32_t)db_u64(row, 1), db_text(row, 2), db_text(row, 3),
                                    db_blob(row, 4), sqlite3_column_int64(row, 6), db_blob(row, 9));
    memcpy(event->id, id.ptr, EVENT_ID_BYTES);
    event->seq = seq;
    event->order_hash = db_u64(row, 5);
    event->accepted_at = sqlite3_column_int64(row, 7);
    event_set_targets(event, targets->list, n);
    return event;
}

static enum err corrupt(const struct read_conn *conn, uint64_t seq, struct error *error)
{
    return error_set(error, ERR_CORRUPT, "event %llu of \"%s\" cannot be read: restore a copy",
                     (unsigned long long)seq, conn->log.path);
}

/* Events seqs[0..n), all of one file, in one transaction. */
static enum err read_some(struct read_conn *conn,
                          const uint64_t *seqs,
                          size_t n,
                          struct event **ret_events,
                          struct error *error)
{
    struct targets targets = {0};
    enum err err = OK;
    int rc = db_run(conn->begin);
    for (size_t i = 0; i < n && err == OK && rc == SQLITE_OK; i++) {
        db_bind_u64(conn->event, 1, seqs[i]);
        rc = sqlite3_step(conn->event);
        if (rc == SQLITE_ROW) {
            ret_events[i] = event_of_row(conn->event, seqs[i], &targets);
            if (ret_events[i] == NULL)
                err = corrupt(conn, seqs[i], error);
        }
        if (rc == SQLITE_ROW || rc == SQLITE_DONE)
            rc = SQLITE_OK;
        sqlite3_reset(conn->event);
    }
    if (rc != SQLITE_OK)
        err = db_error(&conn->log, rc, "read", error);
    if (sqlite3_get_autocommit(conn->log.sqlite) == 0)
        db_run(conn->commit);
    free(targets.list);
    return err;
}

static enum err read_of_file(struct sqlite_store *s,
                             struct log_file *file,
                             const uint64_t *seqs,
                             size_t n,
                             struct event **ret_events,
                             struct error *error)
{
    struct read_conn *conn;
    enum err err = pool_acquire(s, file, &conn, error);
    if (err != OK)
        return err;
    for (size_t at = 0; at < n && err == OK; at += EVENTS_AT_ONCE) {
        size_t step = n - at < EVENTS_AT_ONCE ? n - at : EVENTS_AT_ONCE;
        err = read_some(conn, seqs + at, step, ret_events + at, error);
    }
    pool_release(s, conn);
    return err;
}

enum err sqlite_events(struct store *store,
                       const uint64_t *seqs,
                       size_t n,
                       struct event **ret_events,
                       struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct pinned pinned;
    memset(ret_events, 0, n * sizeof(struct event *));
    files_pin(s, &pinned);
    enum err err = OK;
    size_t at = 0;
    for (size_t i = 0; i < pinned.n && at < n && err == OK; i++) {
        struct log_file *file = pinned.files[i];
        while (at < n && seqs[at] < file->first_seq)
            at++; /* gone */
        uint64_t behind = i + 1 < pinned.n ? pinned.files[i + 1]->first_seq : UINT64_MAX;
        size_t end = at;
        while (end < n && seqs[end] < behind)
            end++;
        if (end > at)
            err = read_of_file(s, file, seqs + at, end - at, ret_events + at, error);
        at = end;
    }
    files_unpin(s, &pinned);
    for (size_t i = 0; i < n && err != OK; i++) {
        event_unref(ret_events[i]);
        ret_events[i] = NULL;
    }
    return err;
}

/* --- by id --- */

/* The id of an event that exists. */
static enum err
read_id(struct read_conn *conn, uint64_t seq, uint8_t ret_id[16], struct error *error)
{
    enum err err = OK;
    db_bind_u64(conn->id, 1, seq);
    int rc = sqlite3_step(conn->id);
    if (rc == SQLITE_ROW && db_blob(conn->id, 0).len == EVENT_ID_BYTES)
        memcpy(ret_id, db_blob(conn->id, 0).ptr, EVENT_ID_BYTES);
    else if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        err = corrupt(conn, seq, error);
    else
        err = db_error(&conn->log, rc, "read", error);
    sqlite3_reset(conn->id);
    return err;
}

/* Between low and high, both there. */
static enum err find_in_file(struct read_conn *conn,
                             const uint8_t id[16],
                             uint64_t low,
                             uint64_t high,
                             struct event **ret_event,
                             struct error *error)
{
    while (low <= high) {
        uint64_t middle = low + (high - low) / 2;
        uint8_t at[EVENT_ID_BYTES];
        enum err err = read_id(conn, middle, at, error);
        if (err != OK)
            return err;
        int order = memcmp(at, id, EVENT_ID_BYTES);
        if (order == 0)
            return read_some(conn, &middle, 1, ret_event, error);
        if (order < 0)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return OK;
}

enum err sqlite_event_by_id(struct store *store,
                            const uint8_t id[16],
                            struct event **ret_event,
                            struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct log_file *file = NULL;
    uint64_t low = 0;
    uint64_t high = 0;
    *ret_event = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_files && file == NULL; i++) {
        struct log_file *one = s->files[i];
        if (one->last_seq < one->first_seq || memcmp(id, one->first_id, EVENT_ID_BYTES) < 0 ||
            memcmp(id, one->last_id, EVENT_ID_BYTES) > 0)
            continue;
        file = one;
        file->refs++;
        low = file->first_seq;
        high = file->last_seq;
    }
    pthread_mutex_unlock(&s->lock);
    if (file == NULL)
        return OK;
    struct read_conn *conn;
    enum err err = pool_acquire(s, file, &conn, error);
    if (err == OK) {
        err = find_in_file(conn, id, low, high, ret_event, error);
        pool_release(s, conn);
    }
    pthread_mutex_lock(&s->lock);
    file->refs--;
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* --- (webhook, sequence) -> event --- */

/* From the rows of one index file, where ret_seqs is 0. */
static enum err read_entries(struct read_conn *conn,
                             uint32_t webhook,
                             uint64_t from,
                             size_t n,
                             uint64_t *ret_seqs,
                             struct error *error)
{
    sqlite3_stmt *stmt = conn->seqs;
    enum err err = OK;
    int rc;
    db_bind_u64(stmt, 1, webhook);
    db_bind_u64(stmt, 2, from / CHUNK);
    db_bind_u64(stmt, 3, (from + n - 1) / CHUNK);
    while (err == OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct lane_entry entries[CHUNK];
        size_t n_entries = 0;
        err = entries_unpack(db_blob(stmt, 1), db_u64(stmt, 0), entries, &n_entries);
        if (err != OK)
            error_set(error, err, "\"%s\" is damaged: remove it, a start makes it again",
                      conn->index.path);
        for (size_t i = 0; i < n_entries; i++)
            if (entries[i].sequence >= from && entries[i].sequence - from < n)
                ret_seqs[entries[i].sequence - from] = entries[i].seq;
    }
    sqlite3_reset(stmt);
    if (err == OK && rc != SQLITE_DONE)
        err = db_error(&conn->index, rc, "read", error);
    return err;
}

static bool all_found(const uint64_t *seqs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seqs[i] == 0)
            return false;
    return true;
}

enum err sqlite_lane(struct store *store,
                     uint32_t webhook,
                     uint64_t from,
                     size_t n,
                     uint64_t *ret_seqs,
                     struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct pinned pinned;
    enum err err = OK;
    memset(ret_seqs, 0, n * sizeof(*ret_seqs));
    files_pin(s, &pinned);
    /* Newest first; once `from` was seen, older files can only hold what comes before it. The
     * tail before the file: what leaves the tail is in the file by then. */
    for (size_t i = pinned.n; i > 0 && err == OK && n > 0 && ret_seqs[0] == 0; i--) {
        struct log_file *file = pinned.files[i - 1];
        bool may = false;
        err = spans_may_hold(s, file, SPAN_SEQS, webhook, from, n, &may, error);
        if (err != OK || !may)
            continue;
        index_tail_entries(&file->index, webhook, from, n, ret_seqs);
        if (all_found(ret_seqs, n))
            break;
        struct read_conn *conn;
        err = pool_acquire(s, file, &conn, error);
        if (err != OK)
            break;
        err = read_entries(conn, webhook, from, n, ret_seqs, error);
        pool_release(s, conn);
    }
    files_unpin(s, &pinned);
    return err;
}
