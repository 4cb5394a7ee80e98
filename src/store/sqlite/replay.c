/* replay.c: the log from a block on, in pages: no read transaction lasts longer than PAGE_MS. */
#include "store/sqlite/engine.h"

#include <stdlib.h>

#include "base/mem.h"
#include "sys/clock.h"

#define PAGE_MS 50

/* What one block is decoded into; kept from block to block. */
struct page {
    struct records records;
    struct targets targets;
    struct event *events;
    const struct event **pointers;
    size_t cap;
};

static void page_release(struct page *page)
{
    free(page->records.list);
    free(page->targets.list);
    free(page->events);
    free(page->pointers);
}

static enum err corrupt(const struct read_conn *conn, uint64_t block, struct error *error)
{
    return error_set(error, ERR_CORRUPT, "block %llu of \"%s\" cannot be read: restore a copy",
                     (unsigned long long)block, conn->log.path);
}

static enum err read_events(
    struct read_conn *conn, uint64_t first_seq, size_t n, struct page *page, struct error *error)
{
    if (n > page->cap) {
        page->cap = n;
        page->events = mem_realloc(page->events, n * sizeof(*page->events));
        page->pointers = mem_realloc(page->pointers, n * sizeof(*page->pointers));
    }
    page->targets.n = 0;
    sqlite3_stmt *stmt = conn->targets;
    db_bind_u64(stmt, 1, first_seq);
    db_bind_u64(stmt, 2, first_seq + n - 1);
    int rc = SQLITE_DONE;
    size_t at = 0;
    bool fits = true;
    while (n > 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW && at < n && fits) {
        struct event *event = &page->events[at];
        *event = (struct event){
            .seq = db_u64(stmt, 0),
            .company = (uint32_t)db_u64(stmt, 2),
            .order_hash = db_u64(stmt, 3),
            .timestamp_s = sqlite3_column_int64(stmt, 4),
            .accepted_at = sqlite3_column_int64(stmt, 5),
        };
        atomic_init(&event->refs, 1);
        struct span id = db_blob(stmt, 1);
        fits = event->seq == first_seq + at && id.len == EVENT_ID_BYTES &&
               targets_unpack(db_blob(stmt, 6), &page->targets, &event->n_targets) == OK;
        if (fits)
            memcpy(event->id, id.ptr, EVENT_ID_BYTES);
        page->pointers[at++] = event;
    }
    sqlite3_reset(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return db_error(&conn->log, rc, "read", error);
    if (!fits || at != n)
        return ERR_CORRUPT;
    /* The array of targets moved while it grew. */
    struct event_target *targets = page->targets.list;
    for (size_t i = 0; i < n; i++) {
        page->events[i].targets = page->events[i].n_targets == 0 ? NULL : targets;
        targets += page->events[i].n_targets;
    }
    return OK;
}

static enum err replay_row(struct read_conn *conn,
                           sqlite3_stmt *row,
                           struct page *page,
                           replay_fn *fn,
                           void *ctx,
                           struct error *error)
{
    struct store_block block = {
        .block = db_u64(row, 0),
        .time = sqlite3_column_int64(row, 1),
        .n_events = (size_t)db_u64(row, 3),
    };
    struct span blob = db_blob(row, 4);
    enum err err = read_events(conn, db_u64(row, 2), block.n_events, page, error);
    if (err == OK)
        err = block_unpack(blob, &page->records);
    if (err == ERR_CORRUPT)
        return corrupt(conn, block.block, error);
    if (err != OK)
        return err;
    block.events = page->pointers;
    block.records = page->records.list;
    block.n_records = page->records.n;
    return fn(ctx, &block, blob);
}

enum err
replay_file(struct read_conn *conn, uint64_t from, replay_fn *fn, void *ctx, struct error *error)
{
    struct page page = {0};
    enum err err = OK;
    int rc = SQLITE_ROW;
    while (err == OK && rc == SQLITE_ROW) {
        mono_us end = clock_mono_us() + PAGE_MS * 1000;
        rc = db_run(conn->begin);
        if (rc != SQLITE_OK)
            break;
        db_bind_u64(conn->blocks, 1, from);
        while (err == OK && (rc = sqlite3_step(conn->blocks)) == SQLITE_ROW) {
            uint64_t block = db_u64(conn->blocks, 0);
            if (block != from) {
                err = corrupt(conn, from, error);
                break;
            }
            err = replay_row(conn, conn->blocks, &page, fn, ctx, error);
            from = block + 1;
            if (clock_mono_us() >= end)
                break;
        }
        sqlite3_reset(conn->blocks);
        db_run(conn->commit);
    }
    page_release(&page);
    if (err == OK && rc != SQLITE_DONE)
        return db_error(&conn->log, rc, "read", error);
    return err;
}

struct forward {
    enum err (*fn)(void *ctx, const struct store_block *block);
    void *ctx;
};

static enum err forward(void *ctx, const struct store_block *block, struct span blob)
{
    const struct forward *to = ctx;
    return to->fn(to->ctx, block);
}

enum err sqlite_replay(struct store *store,
                       uint64_t from,
                       enum err (*fn)(void *ctx, const struct store_block *block),
                       void *ctx,
                       struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    struct forward to = {fn, ctx};
    struct pinned pinned;
    files_pin(s, &pinned);
    struct store_end end;
    store_end(store, &end);
    enum err err = OK;
    if (from < pinned.files[0]->first_block)
        from = pinned.files[0]->first_block;
    for (size_t i = 0; i < pinned.n && err == OK; i++) {
        /* A file's blocks end where the next one's begin (both stand since it was made). */
        uint64_t behind = i + 1 < pinned.n ? pinned.files[i + 1]->first_block : end.block + 1;
        if (from >= behind)
            continue;
        struct read_conn *conn;
        err = pool_acquire(s, pinned.files[i], &conn, error);
        if (err != OK)
            break;
        err = replay_file(conn, from, forward, &to, error);
        pool_release(s, conn);
        from = behind;
    }
    files_unpin(s, &pinned);
    return err;
}
