/* append.c: one commit: one transaction in the last log file, one fsync, then the tail of its
 * index; and what goes on between commits: index rows, checkpoints, rolling. */
#include "store/sqlite/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/mem.h"
#include "sys/clock.h"

#define WAL_PAGES    4096 /* 16 MB: then the WAL is copied into its file */
#define FREE_US      1000000
#define RETRY_US     1000000
#define IDLE_US      1000000
#define TAIL_LIMIT   ((size_t)128 << 20) /* of an index that cannot be written */
#define SLICE_MIN_US 500

uint64_t sqlite_free_bytes(struct sqlite_store *s)
{
    int64_t now = clock_mono_us();
    pthread_mutex_lock(&s->lock);
    bool known = s->free_read_us != 0 && now - s->free_read_us < FREE_US;
    uint64_t bytes = s->free_bytes;
    pthread_mutex_unlock(&s->lock);
    if (known)
        return bytes;
    struct statvfs info;
    if (statvfs(s->dir, &info) != 0)
        return UINT64_MAX; /* the append itself will tell */
    bytes = (uint64_t)info.f_bavail * info.f_frsize;
    pthread_mutex_lock(&s->lock);
    s->free_bytes = bytes;
    s->free_read_us = now;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* --- one transaction --- */

static int put_event(struct sqlite_store *s, const struct event *event)
{
    sqlite3_stmt *stmt = s->writer.put_event;
    buf_clear(&s->targets_buf);
    targets_pack(&s->targets_buf, event);
    db_bind_u64(stmt, 1, event->seq);
    db_bind_blob(stmt, 2, span_make(event->id, EVENT_ID_BYTES));
    db_bind_u64(stmt, 3, event->company);
    db_bind_text(stmt, 4, event->name);
    db_bind_text(stmt, 5, event->resource);
    db_bind_blob(stmt, 6, event->order_key);
    db_bind_u64(stmt, 7, event->order_hash);
    sqlite3_bind_int64(stmt, 8, event->timestamp_s);
    sqlite3_bind_int64(stmt, 9, event->accepted_at);
    db_bind_blob(stmt, 10, buf_span(&s->targets_buf));
    db_bind_blob(stmt, 11, event->data);
    return db_run(stmt);
}

static int put_block(struct sqlite_store *s, const struct store_batch *batch)
{
    sqlite3_stmt *stmt = s->writer.put_block;
    if (batch->n_records > s->cap_offsets) {
        s->cap_offsets = 2 * batch->n_records;
        s->offsets = mem_realloc(s->offsets, s->cap_offsets * sizeof(*s->offsets));
    }
    buf_clear(&s->block_buf);
    block_pack(&s->block_buf, batch->records, batch->n_records, s->offsets);
    db_bind_u64(stmt, 1, batch->block);
    sqlite3_bind_int64(stmt, 2, batch->time);
    db_bind_u64(stmt, 3, s->end.event_seq + 1);
    db_bind_u64(stmt, 4, batch->n_events);
    db_bind_blob(stmt, 5, buf_span(&s->block_buf));
    return db_run(stmt);
}

static int put_mark(struct sqlite_store *s)
{
    db_bind_u64(s->writer.put_mark, 1, s->end.snapshot);
    return db_run(s->writer.put_mark);
}

static int transact(struct sqlite_store *s, const struct store_batch *batch)
{
    struct log_writer *writer = &s->writer;
    int rc = db_run(writer->begin);
    for (size_t i = 0; i < batch->n_events && rc == SQLITE_OK; i++)
        rc = put_event(s, batch->events[i]);
    if (rc == SQLITE_OK)
        rc = put_block(s, batch);
    if (rc == SQLITE_OK && s->durable_mark != s->end.snapshot)
        rc = put_mark(s);
    if (rc == SQLITE_OK)
        rc = db_run(writer->commit);
    return rc;
}

static void roll_back(struct sqlite_store *s)
{
    if (sqlite3_get_autocommit(s->writer.db.sqlite) == 0)
        db_run(s->writer.rollback);
}

/* --- afterwards --- */

static void fold(struct sqlite_store *s, struct log_file *file, const struct store_batch *batch)
{
    struct index *index = &file->index;
    pthread_mutex_lock(&s->tail_lock);
    for (size_t i = 0; i < batch->n_events; i++)
        index_add_event(index, batch->block, batch->events[i]);
    for (size_t i = 0; i < batch->n_records; i++)
        index_add_record(index, batch->block, &batch->records[i], s->offsets[i]);
    index_end_block(index, batch->block);
    pthread_mutex_unlock(&s->tail_lock);
}

/* The log grew: under `lock`, because readers look here for what there is. */
static void move_end(struct sqlite_store *s,
                     struct log_file *file,
                     const struct store_batch *batch,
                     uint64_t us)
{
    uint64_t bytes = s->block_buf.len;
    for (size_t i = 0; i < batch->n_events; i++)
        bytes += batch->events[i]->bytes;

    pthread_mutex_lock(&s->lock);
    if (batch->n_events > 0) {
        const struct event *last = batch->events[batch->n_events - 1];
        if (file->last_seq < file->first_seq)
            memcpy(file->first_id, batch->events[0]->id, EVENT_ID_BYTES);
        memcpy(file->last_id, last->id, EVENT_ID_BYTES);
        memcpy(s->end.last_id, last->id, EVENT_ID_BYTES);
        file->last_seq = s->end.event_seq = last->seq;
    }
    if (file->born_at == 0)
        file->born_at = batch->time;
    file->last_block = s->end.block = batch->block;
    file->last_time = s->end.time = batch->time;
    file->bytes += bytes;
    s->commits++;
    s->commit_us += us;

    pthread_mutex_unlock(&s->lock);
}

static bool is_ripe(const struct sqlite_store *s, const struct log_file *file, wall_ms now)
{
    /* A file is named by its first event, so one without events cannot have a successor. */
    if (file->last_seq < file->first_seq)
        return false;
    return file->bytes >= (uint64_t)s->conf.log_file_bytes ||
           now - file->born_at >= s->conf.log_file_ms;
}

static struct log_file *last_file(const struct sqlite_store *s)
{
    return s->files[s->n_files - 1];
}

/* A new file when the last one is ripe. One that cannot be made is no reason to stop: the old one
 * grows on, and it is tried again later. */
static void roll_if_ripe(struct sqlite_store *s, wall_ms now)
{
    if (!is_ripe(s, last_file(s), now) || clock_mono_us() < s->roll_after_us)
        return;
    struct error error = {0};
    if (log_roll(s, &error) == OK)
        return;
    LOG_WARN("no new log file, the old one grows on: %s", error.message);
    s->roll_after_us = clock_mono_us() + RETRY_US;
}

static enum err refuse_failed(struct error *error)
{
    return error_set(error, ERR_STORE, "the store failed before; restart to recover");
}

enum err sqlite_append(struct store *store, const struct store_batch *batch, struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    enum err err = OK;
    pthread_mutex_lock(&s->write_lock);
    store_check_batch(&s->end, batch);
    if (s->failed) {
        err = refuse_failed(error);
    } else if (batch->n_events > 0 && s->conf.min_free_bytes > 0 &&
               sqlite_free_bytes(s) < (uint64_t)s->conf.min_free_bytes) {
        err = error_set(error, ERR_FULL, "less than %lld bytes are free in \"%s\"; make room",
                        (long long)s->conf.min_free_bytes, s->dir);
    }
    if (err == OK)
        roll_if_ripe(s, batch->time);
    if (err == OK && s->writer.db.sqlite == NULL)
        err = refuse_failed(error);
    if (err == OK) {
        int64_t begin = clock_mono_us();
        int rc = transact(s, batch);
        if (rc == SQLITE_OK) {
            s->durable_mark = s->end.snapshot;
            s->last_append_us = clock_mono_us();
            struct log_file *file = last_file(s);
            fold(s, file, batch);
            move_end(s, file, batch, (uint64_t)(s->last_append_us - begin));
            log_checkpoint(s, 2 * WAL_PAGES);
        } else {
            err = db_error(&s->writer.db, rc, "append to", error);
            roll_back(s);
            s->failed = err != ERR_FULL;
        }
    }
    pthread_mutex_unlock(&s->write_lock);
    return err;
}

enum err sqlite_mark_snapshot(struct store *store, uint64_t first, struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    pthread_mutex_lock(&s->write_lock);
    if (s->failed) {
        pthread_mutex_unlock(&s->write_lock);
        return refuse_failed(error);
    }
    pthread_mutex_lock(&s->lock);
    s->end.snapshot = first;
    pthread_mutex_unlock(&s->lock);
    enum err err = OK;
    int rc = put_mark(s);
    if (rc == SQLITE_OK)
        s->durable_mark = first;
    else
        err = db_error(&s->writer.db, rc, "append to", error);
    /* Without room it goes with the next commit that finds some; until then no file is dropped
     * that recovery would need. */
    if (err == ERR_FULL)
        err = OK;
    s->failed = err != OK;
    pthread_mutex_unlock(&s->write_lock);
    return err;
}

/* --- between commits --- */

/* Index rows of one file. Returns true when there is more. */
static bool flush_file(struct sqlite_store *s, struct log_file *file, bool all, int64_t until)
{
    bool more = false;
    struct error error = {0};
    if (index_flush(&file->index, all, until, &more, &error) == OK)
        return more;
    LOG_WARN("the index cannot be written, its rows wait in memory: %s", error.message);
    s->flush_after_us = clock_mono_us() + RETRY_US;
    if (file->index.bytes > TAIL_LIMIT) {
        LOG_ERROR("the index cannot be written for too long");
        s->failed = true;
    }
    return false;
}

/* All rows of the files before the last, then their indexes are closed. */
static bool finish_files(struct sqlite_store *s, int64_t until)
{
    for (size_t i = 0; i + 1 < s->n_files; i++) {
        struct log_file *file = s->files[i];
        if (file->index.db.sqlite == NULL)
            continue;
        if (flush_file(s, file, true, until))
            return true;
        if (clock_mono_us() < s->flush_after_us)
            return false;
        log_file_finish(s, file);
    }
    return false;
}

bool sqlite_maintain(struct store *store, int budget_ms)
{
    struct sqlite_store *s = sqlite_of(store);
    bool more = false;
    pthread_mutex_lock(&s->write_lock);
    int64_t now = clock_mono_us();
    int64_t until = now + (int64_t)budget_ms * 1000;
    if (!s->failed) {
        bool idle = now - s->last_append_us >= IDLE_US;
        /* By the log's own clock: one that steps must not begin files. */
        roll_if_ripe(s, s->end.time);
        log_checkpoint(s, idle ? 256 : WAL_PAGES);
        if (now >= s->flush_after_us) {
            until = clock_mono_us() + SLICE_MIN_US > until ? clock_mono_us() + SLICE_MIN_US : until;
            more = finish_files(s, until);
            if (!more && s->flush_after_us <= now)
                more = flush_file(s, last_file(s), idle, until);
        }
    }
    pthread_mutex_unlock(&s->write_lock);
    return more;
}

/* --- retention --- */

/* Takes the oldest file out when it may go, else NULL. Under write_lock. */
static struct log_file *take_oldest(struct sqlite_store *s, wall_ms before, uint64_t keep_seq)
{
    pthread_mutex_lock(&s->lock);
    struct log_file *file = s->files[0];
    bool goes = s->n_files > 1 && file->last_time < before && file->last_seq < keep_seq &&
                file->last_block < s->durable_mark;
    if (goes) {
        s->n_files--;
        memmove(s->files, s->files + 1, s->n_files * sizeof(*s->files));
        s->end.first_seq = s->files[0]->first_seq;
    }
    pthread_mutex_unlock(&s->lock);
    return goes ? file : NULL;
}

/* Waits for its last reader, then it goes. Outside write_lock: unlinking a gigabyte takes a
 * while. Files go oldest first, so a crash between two leaves no hole. */
static void drop_file(struct sqlite_store *s, struct log_file *file)
{
    pthread_mutex_lock(&s->lock);
    while (file->refs > 0)
        pthread_cond_wait(&s->released, &s->lock);
    s->span_rows -= file->n_span_rows;
    pthread_mutex_unlock(&s->lock);
    pool_close(s, file);
    index_close(&file->index);
    log_file_remove(s, file->first_seq);
    log_file_free(file);
}

enum err sqlite_retain(struct store *store,
                       wall_ms before,
                       uint64_t keep_seq,
                       unsigned *ret_files,
                       struct error *error)
{
    struct sqlite_store *s = sqlite_of(store);
    unsigned n = 0;
    for (;;) {
        pthread_mutex_lock(&s->write_lock);
        struct log_file *file = take_oldest(s, before, keep_seq);
        pthread_mutex_unlock(&s->write_lock);
        if (file == NULL)
            break;
        drop_file(s, file);
        n++;
    }
    *ret_files = n;
    return OK;
}
