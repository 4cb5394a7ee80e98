/* read_attempts.c: the attempts of a delivery: references from tails and indexes, then the
 * records from the blocks they lie in. Any thread. */
#include "store/sqlite/engine.h"

#include <stdlib.h>

#include "base/mem.h"

/* References of one file, ascending by (block, offset); appended to *refs from refs->n on. */
static enum err find_refs(struct sqlite_store *s,
                          struct log_file *file,
                          struct read_conn *conn,
                          uint32_t webhook,
                          uint64_t from,
                          size_t n,
                          struct refs *refs,
                          struct error *error)
{
    enum err err = OK;
    int rc;
    sqlite3_stmt *stmt = conn->refs;
    refs->n = 0;
    index_tail_refs(&file->index, webhook, from, n, refs);
    db_bind_u64(stmt, 1, webhook);
    db_bind_u64(stmt, 2, from / CHUNK);
    db_bind_u64(stmt, 3, (from + n - 1) / CHUNK);
    while (err == OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        err = refs_unpack(db_blob(stmt, 1), db_u64(stmt, 0), refs);
        if (err != OK)
            error_set(error, err, "\"%s\" is damaged: remove it, a start makes it again",
                      conn->index.path);
    }
    sqlite3_reset(stmt);
    if (err == OK && rc != SQLITE_DONE)
        err = db_error(&conn->index, rc, "read", error);
    /* Rows hold their whole chunk. */
    size_t kept = 0;
    for (size_t i = 0; i < refs->n; i++)
        if (refs->list[i].sequence >= from && refs->list[i].sequence - from < n)
            refs->list[kept++] = refs->list[i];
    refs->n = kept;
    refs_sort(refs);
    return err;
}

/* Reads the bytes of a record and appends them. *blob is reused from block to block. */
static enum err read_record(struct read_conn *conn,
                            const struct attempt_ref *ref,
                            sqlite3_blob **blob,
                            struct buf *buf,
                            struct error *error)
{
    int rc = *blob == NULL ? sqlite3_blob_open(conn->log.sqlite, "main", "block", "data",
                                               (sqlite3_int64)ref->block, 0, blob)
                           : sqlite3_blob_reopen(*blob, (sqlite3_int64)ref->block);
    if (rc == SQLITE_OK) {
        buf_reserve(buf, ref->len);
        rc = sqlite3_blob_read(*blob, buf->ptr + buf->len, (int)ref->len, (int)ref->offset);
    }
    if (rc != SQLITE_OK)
        return db_error(&conn->log, rc, "read", error);
    buf->len += ref->len;
    return OK;
}

static enum err damaged(const struct read_conn *conn, struct error *error)
{
    return error_set(error, ERR_CORRUPT, "an attempt in \"%s\" cannot be read", conn->log.path);
}

/* The first file that can hold attempts of a sequence: the one that holds its event. */
static enum err first_file(struct store *store,
                           const struct pinned *pinned,
                           uint32_t webhook,
                           uint64_t sequence,
                           size_t *ret_first,
                           struct error *error)
{
    uint64_t seq;
    enum err err = sqlite_lane(store, webhook, sequence, 1, &seq, error);
    size_t first = 0;
    while (err == OK && first + 1 < pinned->n && pinned->files[first + 1]->first_seq <= seq)
        first++;
    *ret_first = first;
    return err;
}

/* --- all attempts of one delivery --- */

static enum err add_attempts(struct sqlite_store *s,
                             struct log_file *file,
                             uint32_t webhook,
                             uint64_t sequence,
                             struct refs *refs,
                             struct buf *bytes,
                             struct error *error)
{
    struct read_conn *conn;
    bool may = false;
    refs->n = 0;
    enum err err = spans_may_hold(s, file, SPAN_ATTEMPTS, webhook, sequence, 1, &may, error);
    if (err != OK || !may)
        return err;
    err = pool_acquire(s, file, &conn, error);
    if (err != OK)
        return err;
    err = find_refs(s, file, conn, webhook, sequence, 1, refs, error);
    sqlite3_blob *blob = NULL;
    for (size_t i = 0; i < refs->n && err == OK; i++) {
        struct buf record = BUF_INIT;
        err = read_record(conn, &refs->list[i], &blob, &record, error);
        if (err == OK)
            buf_add_blob(bytes, buf_span(&record));
        buf_release(&record);
    }
    sqlite3_blob_close(blob);
    pool_release(s, conn);
    return err;
}

enum err sqlite_attempts(struct store *store,
                         uint32_t webhook,
                         uint64_t sequence,
                         struct store_attempts *ret_attempts,
                         struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct pinned pinned;
    struct refs refs = {0};
    struct buf bytes = BUF_INIT;
    size_t first = 0;
    size_t n = 0;
    files_pin(s, &pinned);
    enum err err = first_file(store, &pinned, webhook, sequence, &first, error);
    for (size_t i = first; i < pinned.n && err == OK; i++) {
        err = add_attempts(s, pinned.files[i], webhook, sequence, &refs, &bytes, error);
        n += refs.n;
    }
    files_unpin(s, &pinned);
    free(refs.list);
    struct reader reader = {.in = buf_span(&bytes)};
    struct attempt *attempts = n == 0 || err != OK ? NULL : mem_zero(n, sizeof *attempts);
    for (size_t i = 0; i < n && err == OK; i++)
        if (attempt_decode(reader_blob(&reader), &attempts[i]) != OK)
            err = error_set(error, ERR_CORRUPT, "an attempt in \"%s\" cannot be read", s->dir);
    if (err != OK) {
        free(attempts);
        buf_release(&bytes);
        return err;
    }
    *ret_attempts =
        (struct store_attempts){.attempts = attempts, .n = n, .memory = buf_take(&bytes)};
    return OK;
}

/* --- the last attempts of many --- */

/* Fills what is not found yet from one file. */
static enum err add_last(struct sqlite_store *s,
                         struct log_file *file,
                         uint32_t webhook,
                         uint64_t from,
                         size_t n,
                         struct refs *refs,
                         struct attempt *ret_attempts,
                         bool *ret_found,
                         struct error *error)
{
    struct read_conn *conn;
    bool may = false;
    enum err err = spans_may_hold(s, file, SPAN_ATTEMPTS, webhook, from, n, &may, error);
    if (err != OK || !may)
        return err;
    err = pool_acquire(s, file, &conn, error);
    if (err != OK)
        return err;
    err = find_refs(s, file, conn, webhook, from, n, refs, error);
    sqlite3_blob *blob = NULL;
    struct buf bytes = BUF_INIT;
    for (size_t i = refs->n; i > 0 && err == OK; i--) {
        size_t at = (size_t)(refs->list[i - 1].sequence - from);
        if (ret_found[at])
            continue;
        buf_clear(&bytes);
        err = read_record(conn, &refs->list[i - 1], &blob, &bytes, error);
        if (err == OK && attempt_decode(buf_span(&bytes), &ret_attempts[at]) != OK)
            err = damaged(conn, error);
        ret_attempts[at].detail = ret_attempts[at].body = (struct span){NULL, 0};
        ret_found[at] = err == OK;
    }
    buf_release(&bytes);
    sqlite3_blob_close(blob);
    pool_release(s, conn);
    return err;
}

enum err sqlite_last_attempts(struct store *store,
                              uint32_t webhook,
                              uint64_t from,
                              size_t n,
                              struct attempt *ret_attempts,
                              bool *ret_found,
                              struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct pinned pinned;
    struct refs refs = {0};
    size_t first = 0;
    size_t missing = n;
    for (size_t i = 0; i < n; i++)
        ret_found[i] = false;
    if (n == 0)
        return OK;
    files_pin(s, &pinned);
    enum err err = first_file(store, &pinned, webhook, from, &first, error);
    for (size_t i = pinned.n; i > first && missing > 0 && err == OK; i--) {
        err = add_last(s, pinned.files[i - 1], webhook, from, n, &refs, ret_attempts, ret_found,
                       error);
        missing = 0;
        for (size_t at = 0; at < n; at++)
            missing += !ret_found[at];
    }
    files_unpin(s, &pinned);
    free(refs.list);
    return err;
}
