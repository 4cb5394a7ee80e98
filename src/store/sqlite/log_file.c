/* log_file.c: the log files of a directory: found and checked at start, begun, closed.
 *
 * A file is complete from its first transaction on (tables, first seq and block, snapshot mark,
 * last id); one whose creation was cut short has format 0 and is removed. All that a start needs
 * to know about the end of the log stands in the last file. */
#include "store/sqlite/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define WAL_PAGES_MAX (4 * 4096) /* a reader stood in the way so long: wait for it */

static const char schema[] =
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, id BLOB, company INTEGER, name TEXT,"
    " resource TEXT, order_key BLOB, order_hash INTEGER, timestamp INTEGER, time_ms INTEGER,"
    " targets BLOB, data BLOB);"
    "CREATE TABLE block(k INTEGER PRIMARY KEY, time_ms INTEGER, first_seq INTEGER,"
    " n_events INTEGER, data BLOB);"
    "CREATE TABLE meta(one INTEGER PRIMARY KEY, first_seq INTEGER, first_block INTEGER,"
    " snapshot INTEGER, last_id BLOB, last_time INTEGER);"
    "PRAGMA user_version=1;";

void log_file_path(const struct sqlite_store *s, const char *kind, uint64_t seq, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s-%020" PRIu64 ".db", s->dir, kind, seq);
    ASSERT(n > 0 && n < PATH_MAX);
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

static struct log_file *file_new(struct sqlite_store *s, uint64_t first_seq, uint64_t first_block)
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

static void push_file(struct sqlite_store *s, struct log_file *file)
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

static enum err prepare_writer(struct log_writer *writer, struct error *error)
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
    struct log_file *file = file_new(s, end->event_seq + 1, end->block + 1);
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

static enum err begin_first(struct sqlite_store *s, struct error *error)
{
    struct log_file *file;
    enum err err = create_file(s, &s->end, &s->writer, &file, error);
    if (err != OK)
        return err;
    push_file(s, file);
    return prepare_writer(&s->writer, error);
}

enum err log_roll(struct sqlite_store *s, struct error *error)
{
    struct log_writer writer;
    struct log_file *file;
    enum err err = create_file(s, &s->end, &writer, &file, error);
    if (err != OK)
        return err;
    /* All that is in the WAL of the old file goes into it, and the WAL goes. */
    db_close(&s->writer.db);
    s->writer = writer;
    s->durable_mark = s->end.snapshot;
    push_file(s, file);
    return prepare_writer(&s->writer, error);
}

void log_checkpoint(struct sqlite_store *s, int pages)
{
    struct log_writer *writer = &s->writer;
    if (writer->wal_pages - writer->wal_copied < pages)
        return;
    int mode =
        writer->wal_pages >= WAL_PAGES_MAX ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    int n = 0;
    int copied = 0;
    /* Not an error of the log when it fails: all is safe in the WAL, and a later one repeats it. */
    if (sqlite3_wal_checkpoint_v2(writer->db.sqlite, NULL, mode, &n, &copied) == SQLITE_OK &&
        copied >= 0)
        writer->wal_copied = copied;
}

/* --- starting --- */

static int compare_seqs(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

struct seqs {
    uint64_t *list;
    size_t n;
};

/* The first seqs in the names of all files of one kind, ascending. */
static enum err
list_files(const struct sqlite_store *s, const char *kind, struct seqs *ret, struct error *error)
{
    *ret = (struct seqs){0};
    DIR *dir = opendir(s->dir);
    if (dir == NULL)
        return error_set(error, ERR_STORE, "cannot read the directory \"%s\": %s", s->dir,
                         strerror(errno));
    size_t prefix = strlen(kind);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strncmp(name, kind, prefix) != 0 || strlen(name) != prefix + 1 + 20 + 3 ||
            strcmp(name + prefix + 21, ".db") != 0)
            continue;
        ret->list = mem_realloc(ret->list, (ret->n + 1) * sizeof(*ret->list));
        ret->list[ret->n++] = strtoull(name + prefix + 1, NULL, 10);
    }
    closedir(dir);
    if (ret->n > 0)
        qsort(ret->list, ret->n, sizeof(*ret->list), compare_seqs);
    return OK;
}

/* Runs a query that gives one row and hands it over; `seq` is its parameter, when it has one. */
static enum err one_row(struct db *db,
                        const char *sql,
                        uint64_t seq,
                        void (*row)(struct log_file *file, struct store_end *end, sqlite3_stmt *s),
                        struct log_file *file,
                        struct store_end *end,
                        struct error *error)
{
    sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(db, sql, &stmt, error);
    if (err != OK)
        return err;
    if (sqlite3_bind_parameter_count(stmt) > 0)
        db_bind_u64(stmt, 1, seq);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        row(file, end, stmt);
    else if (rc == SQLITE_DONE)
        err = error_set(error, ERR_CORRUPT, "\"%s\" lacks what it should hold: restore a copy",
                        db->path);
    else
        err = db_error(db, rc, "read", error);
    sqlite3_finalize(stmt);
    return err;
}

static void copy_id(uint8_t ret_id[EVENT_ID_BYTES], struct span id)
{
    if (id.len == EVENT_ID_BYTES)
        memcpy(ret_id, id.ptr, EVENT_ID_BYTES);
}

static void take_meta(struct log_file *file, struct store_end *end, sqlite3_stmt *row)
{
    file->first_block = db_u64(row, 0);
    end->snapshot = db_u64(row, 1);
    copy_id(end->last_id, db_blob(row, 2));
    end->time = sqlite3_column_int64(row, 3);
    file->last_block = file->first_block - 1;
}

static void take_last_block(struct log_file *file, struct store_end *end, sqlite3_stmt *row)
{
    if (sqlite3_column_type(row, 0) == SQLITE_NULL)
        return;
    file->last_block = db_u64(row, 0);
    end->time = sqlite3_column_int64(row, 1);
}

static void take_first_block(struct log_file *file, struct store_end *end, sqlite3_stmt *row)
{
    file->born_at = sqlite3_column_int64(row, 0);
}

static void take_last_seq(struct log_file *file, struct store_end *end, sqlite3_stmt *row)
{
    if (sqlite3_column_type(row, 0) == SQLITE_NULL)
        return;
    file->last_seq = db_u64(row, 0);
    copy_id(file->last_id, db_blob(row, 1));
    copy_id(end->last_id, db_blob(row, 1));
}

static void take_first_id(struct log_file *file, struct store_end *end, sqlite3_stmt *row)
{
    copy_id(file->first_id, db_blob(row, 0));
}

/* Reads what a file holds; *end becomes the end of the log if this is the last file. */
static enum err
load_file(struct db *db, struct log_file *file, struct store_end *end, struct error *error)
{
    enum err err = one_row(db, "SELECT first_block,snapshot,last_id,last_time FROM meta", 0,
                           take_meta, file, end, error);
    if (err == OK)
        err = one_row(db, "SELECT max(k),time_ms FROM block", 0, take_last_block, file, end, error);
    if (err == OK && file->last_block >= file->first_block)
        err = one_row(db, "SELECT time_ms FROM block WHERE k=?", file->first_block,
                      take_first_block, file, end, error);
    if (err == OK)
        err = one_row(db, "SELECT max(seq),id FROM event", 0, take_last_seq, file, end, error);
    if (err == OK && file->last_seq >= file->first_seq)
        err = one_row(db, "SELECT id FROM event WHERE seq=?", file->first_seq, take_first_id, file,
                      end, error);
    file->last_time = end->time;
    file->index.last_block = file->last_block;
    end->block = file->last_block;
    end->event_seq = file->last_seq;
    return err;
}

/* The next file; `last`: its creation may have been cut short, then it is removed. */
static enum err
open_file(struct sqlite_store *s, uint64_t first_seq, bool last, struct error *error)
{
    struct db db;
    char path[PATH_MAX];
    int format = 0;
    log_file_path(s, "log", first_seq, path);
    enum err err = db_open(&db, s->vfs, path, DB_READ, &format, error);
    if (err != OK)
        return err;
    if (format == 0 && last) {
        db_close(&db);
        log_file_remove(s, first_seq);
        return OK;
    }
    struct log_file *file = file_new(s, first_seq, 1);
    const struct log_file *before = s->n_files == 0 ? NULL : s->files[s->n_files - 1];
    err = load_file(&db, file, &s->end, error);
    db_close(&db);
    if (err == OK && before != NULL &&
        (before->last_seq + 1 != first_seq || before->last_block + 1 != file->first_block))
        err = error_set(error, ERR_CORRUPT,
                        "\"%s\" does not follow the file before it: a log file is missing, "
                        "restore it from a copy",
                        path);
    if (err != OK) {
        log_file_free(file);
        return err;
    }
    struct stat info;
    if (stat(path, &info) == 0)
        file->bytes = (uint64_t)info.st_size;
    push_file(s, file);
    return OK;
}

struct fold {
    struct index *index;
    struct error *error;
};

static enum err fold_block(void *ctx, const struct store_block *block, struct span blob)
{
    const struct fold *fold = ctx;
    struct index *index = fold->index;
    pthread_mutex_lock(index->lock);
    for (size_t i = 0; i < block->n_events; i++)
        index_add_event(index, block->block, block->events[i]);
    for (size_t i = 0; i < block->n_records; i++)
        index_add_record(index, block->block, &block->records[i],
                         (uint32_t)(block->records[i].bytes.ptr - blob.ptr));
    index_end_block(index, block->block);
    pthread_mutex_unlock(index->lock);
    bool more;
    return index_flush(index, false, INT64_MAX, &more, fold->error);
}

/* Opens the index of a file and folds what it lacks. */
static enum err open_index(struct sqlite_store *s, struct log_file *file, struct error *error)
{
    char path[PATH_MAX];
    log_file_path(s, "index", file->first_seq, path);
    enum err err = index_open(&file->index, s->vfs, path, error);
    if (err != OK)
        return err;
    uint64_t from = file->index.mark + 1;
    if (from < file->first_block)
        from = file->first_block;
    struct read_conn *conn;
    if (from <= file->last_block) {
        err = pool_acquire(s, file, &conn, error);
        if (err != OK)
            return err;
        struct fold fold = {&file->index, error};
        err = replay_file(conn, from, fold_block, &fold, error);
        pool_release(s, conn);
    }
    if (err == OK && file != s->files[s->n_files - 1]) {
        bool more;
        err = index_flush(&file->index, true, INT64_MAX, &more, error);
        if (err == OK)
            log_file_finish(s, file);
    }
    return err;
}

static enum err open_writer(struct sqlite_store *s, struct error *error)
{
    char path[PATH_MAX];
    int format;
    log_file_path(s, "log", s->files[s->n_files - 1]->first_seq, path);
    enum err err = db_open(&s->writer.db, s->vfs, path, DB_WRITE_FULL, &format, error);
    return err == OK ? prepare_writer(&s->writer, error) : err;
}

static void remove_orphans(struct sqlite_store *s, const struct seqs *logs)
{
    struct seqs indexes;
    if (list_files(s, "index", &indexes, NULL) != OK)
        return;
    for (size_t i = 0; i < indexes.n; i++) {
        if (logs->n > 0 && bsearch(&indexes.list[i], logs->list, logs->n, sizeof(*logs->list),
                                   compare_seqs) != NULL)
            continue;
        log_file_remove(s, indexes.list[i]);
    }
    free(indexes.list);
}

/* Refuses the file when its format is newer; other troubles are met when it is really opened. */
static enum err
check_format(const struct sqlite_store *s, const char *kind, uint64_t seq, struct error *error)
{
    struct db db;
    struct error met = {0};
    char path[PATH_MAX];
    int format = 0;
    log_file_path(s, kind, seq, path);
    enum err err = db_open(&db, s->vfs, path, DB_READ, &format, &met);
    db_close(&db);
    if (err == OK || format <= DB_FORMAT)
        return OK;
    return error_set(error, err, "%s", met.message);
}

enum err log_files_check(struct sqlite_store *s, struct error *error)
{
    static const char *const kinds[] = {"log", "index"};
    enum err err = OK;
    for (size_t k = 0; k < 2 && err == OK; k++) {
        struct seqs files;
        err = list_files(s, kinds[k], &files, error);
        for (size_t i = 0; i < files.n && err == OK; i++)
            err = check_format(s, kinds[k], files.list[i], error);
        free(files.list);
    }
    return err;
}

enum err log_files_open(struct sqlite_store *s, struct error *error)
{
    struct seqs logs;
    enum err err = list_files(s, "log", &logs, error);
    if (err != OK)
        return err;
    for (size_t i = 0; i < logs.n && err == OK; i++)
        err = open_file(s, logs.list[i], i + 1 == logs.n, error);
    if (err == OK)
        remove_orphans(s, &logs);
    free(logs.list);
    if (err != OK)
        return err;
    if (s->n_files == 0) {
        err = begin_first(s, error);
    } else {
        err = open_writer(s, error);
        for (size_t i = 0; i < s->n_files && err == OK; i++)
            err = open_index(s, s->files[i], error);
    }
    if (err == OK)
        s->end.first_seq = s->files[0]->first_seq;
    s->durable_mark = s->end.snapshot;
    return err;
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
