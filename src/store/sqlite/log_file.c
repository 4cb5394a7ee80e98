/* log_file.c: a log file and its writer: begun, checkpointed, closed, removed. (log_open.c finds
 * those that are there.)
 *
 * A file is complete from its first transaction on (tables, first seq and block, snapshot mark,
 * last id); one whose creation was cut short has format 0 and is removed. All that a start needs
 * to know about the end of the log stands in the last file. */
#include "store/sqlite/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "sys/clock.h"

#define WAL_PAGES_MAX                                                          \
    (4 * 4096) /* a reader stood in the way so long: wait for it, but shortly: \
                * commits wait as well, and a backup reads for a while */
#define RESTART_WAIT_MS  100
#define RESTART_EVERY_US 1000000

static const char schema[] =
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, id BLOB, company INTEGER, name TEXT,"
    " resource TEXT, order_key BLOB, order_hash INTEGER, timestamp INTEGER, time_ms INTEGER,"
    " targets BLOB, data BLOB);"
    "CREATE TABLE block(k INTEGER PRIMARY KEY, time_ms INTEGER, first_seq INTEGER,"
    " n_events INTEGER, data BLOB);"
    "CREATE TABLE meta(one INTEGER PRIMARY KEY, first_seq INTEGER, first_block INTEGER,"
    " snapshot INTEGER, last_id BLOB, last_time INTEGER);"
    "PRAGMA user_version=1;";

void log_names_path(const char *dir, const char *kind, uint64_t seq, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s-%020" PRIu64 ".db", dir, kind, seq);
    ASSERT(n > 0 && n < PATH_MAX);
}

void log_file_path(const struct sqlite_store *s, const char *kind, uint64_t seq, char ret[PATH_MAX])
{
    log_names_path(s->dir, kind, seq, ret);
}

static void remove_file(const char *path)
{
    char name[PATH_MAX + 8];
    static const char *const endings[] = {"-wal", "-shm", ""};
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
}

void log_file_remove(const struct sqlite_store *s, uint64_t first_seq)
{
    char path[PATH_MAX];
    log_file_path(s, "index", first_seq, path);
    remove_file(path);
    log_file_path(s, "log", first_seq, path);
    remove_file(path);
}

struct log_file *log_file_new(struct sqlite_store *s, uint64_t first_seq, uint64_t first_block)
{
    struct log_file *file = mem_zero(1, sizeof *file);
    file->first_seq = first_seq;
    file->last_seq = first_seq - 1;
    file->first_block = first_block;
    file->last_block = first_block - 1;
    index_init(&file->index, &s->tail_lock);
    file->index.last_block = file->last_block;
    return file;
}

void log_file_free(struct log_file *file)
{
    index_release(&file->index);
    spans_free(file->spans);
    free(file);
}

void log_file_finish(struct sqlite_store *s, struct log_file *file)
{
    index_close(&file->index);
    pthread_mutex_lock(&s->lock);
    file->finished = true;
    pthread_mutex_unlock(&s->lock);
}

void log_file_push(struct sqlite_store *s, struct log_file *file)
{
    pthread_mutex_lock(&s->lock);
    s->files = mem_realloc(s->files, (s->n_files + 1) * sizeof(*s->files));
    s->files[s->n_files++] = file;
    pthread_mutex_unlock(&s->lock);
}

/* --- the writer --- */

static int remember_wal(void *ctx, sqlite3 *sqlite, const char *name, int pages)
{
    struct log_writer *writer = ctx;
    if (pages < writer->wal_pages)
        writer->wal_copied = 0; /* it began again */
    writer->wal_pages = pages;
    return SQLITE_OK;
}

enum err log_writer_prepare(struct log_writer *writer, struct error *error)
{
    const struct {
        const char *sql;
        sqlite3_stmt **stmt;
    } all[] = {
        {"BEGIN IMMEDIATE", &writer->begin},
        {"COMMIT", &writer->commit},
        {"ROLLBACK", &writer->rollback},
        {"INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?)", &writer->put_event},
        {"INSERT INTO block VALUES(?,?,?,?,?)", &writer->put_block},
        {"UPDATE meta SET snapshot=?", &writer->put_mark},
    };
    enum err err = OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && err == OK; i++)
        err = db_prepare(&writer->db, all[i].sql, all[i].stmt, error);
    if (err == OK)
        sqlite3_wal_hook(writer->db.sqlite, remember_wal, writer);
    return err;
}

static enum err
begin_file(struct db *db, const struct store_end *end, uint64_t mark, struct error *error)
{
    enum err err = db_exec(db, "BEGIN IMMEDIATE", error);
    if (err == OK)
        err = db_exec(db, schema, error);
    sqlite3_stmt *stmt = NULL;
    if (err == OK)
        err = db_prepare(db, "INSERT INTO meta VALUES(1,?,?,?,?,?)", &stmt, error);
    if (err != OK)
        return err;
    db_bind_u64(stmt, 1, end->event_seq + 1);
    db_bind_u64(stmt, 2, end->block + 1);
    db_bind_u64(stmt, 3, mark);
    db_bind_blob(stmt, 4, span_make(end->last_id, EVENT_ID_BYTES));
    sqlite3_bind_int64(stmt, 5, end->time);
    int rc = db_run(stmt);
    sqlite3_finalize(stmt);
    if (rc != SQLITE_OK)
        return db_error(db, rc, "begin", error);
    return db_exec(db, "COMMIT", error);
}

static enum err sync_dir(const struct sqlite_store *s, struct error *error)
{
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        return OK;
    return error_set(error, ERR_STORE, "cannot sync \"%s\": %s", s->dir, strerror(cause));
}

/* A new file that follows `end`, with its index, and the writer that writes to it. On failure
 * nothing is left of it. */
static enum err create_file(struct sqlite_store *s,
                            const struct store_end *end,
                            struct log_writer *ret_writer,
                            struct log_file **ret_file,
                            struct error *error)
{
    struct log_writer writer = {0};
    struct log_file *file = log_file_new(s, end->event_seq + 1, end->block + 1);
    char path[PATH_MAX];
    int format = 0;
    log_file_path(s, "log", file->first_seq, path);
    remove_file(path);
    enum err err = db_open(&writer.db, s->vfs, path, DB_WRITE_FULL, &format, error);
    if (err == OK)
        err = begin_file(&writer.db, end, end->snapshot, error);
    if (err == OK)
        err = sync_dir(s, error);
    log_file_path(s, "index", file->first_seq, path);
    if (err == OK) {
        remove_file(path);
        err = index_open(&file->index, s->vfs, path, error);
    }
    if (err != OK) {
        db_close(&writer.db);
        index_close(&file->index);
        log_file_remove(s, file->first_seq);
        log_file_free(file);
        return err;
    }
    *ret_writer = writer;
    *ret_file = file;
    return OK;
}

enum err log_begin_first(struct sqlite_store *s, struct error *error)
{
    struct log_file *file;
    enum err err = create_file(s, &s->end, &s->writer, &file, error);
    if (err != OK)
        return err;
    log_file_push(s, file);
    return log_writer_prepare(&s->writer, error);
}

enum err log_roll(struct sqlite_store *s, struct error *error)
{
    struct log_writer writer;
    struct log_file *file;
    enum err err = create_file(s, &s->end, &writer, &file, error);
    if (err != OK)
        return err;
    /* Closing would do it as well, but not while a reader has the file open. */
    sqlite3_wal_checkpoint_v2(s->writer.db.sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db_close(&s->writer.db);
    s->writer = writer;
    s->durable_mark = s->end.snapshot;
    log_file_push(s, file);
    return log_writer_prepare(&s->writer, error);
}

void log_checkpoint(struct sqlite_store *s, int pages)
{
    struct log_writer *writer = &s->writer;
    if (writer->wal_pages - writer->wal_copied < pages)
        return;
    int mode = SQLITE_CHECKPOINT_PASSIVE;
    mono_us now = clock_mono_us();
    if (writer->wal_pages >= WAL_PAGES_MAX && now >= writer->restart_after_us) {
        mode = SQLITE_CHECKPOINT_RESTART;
        writer->restart_after_us = now + RESTART_EVERY_US;
    }
    int n = 0;
    int copied = 0;
    sqlite3_busy_timeout(writer->db.sqlite, RESTART_WAIT_MS);
    /* Not an error of the log when it fails: all is safe in the WAL, and a later one repeats it. */
    if (sqlite3_wal_checkpoint_v2(writer->db.sqlite, NULL, mode, &n, &copied) == SQLITE_OK &&
        copied >= 0)
        writer->wal_copied = copied;
    sqlite3_busy_timeout(writer->db.sqlite, DB_BUSY_MS);
}

void log_files_close(struct sqlite_store *s)
{
    pool_close(s, NULL);
    struct error error = {0};
    bool more;
    for (size_t i = 0; i < s->n_files; i++) {
        struct log_file *file = s->files[i];
        if (file->index.db.sqlite != NULL &&
            index_flush(&file->index, true, INT64_MAX, &more, &error) != OK)
            LOG_WARN("an index was not finished, the next start does: %s", error.message);
        log_file_free(file);
    }
    free(s->files);
    s->files = NULL;
    s->n_files = 0;
    db_close(&s->writer.db);
}
