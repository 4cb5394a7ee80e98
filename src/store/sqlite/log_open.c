/* log_open.c: a start: finds the log files of a directory, checks that they follow each other,
 * learns where the log ends, and folds into each index what it lacks. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/sqlite/engine.h"

static int compare_seqs(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

enum err
log_names_read(const char *path, const char *kind, struct log_names *ret, struct error *error)
{
    *ret = (struct log_names){0};
    DIR *dir = opendir(path);
    if (dir == NULL)
        return error_set(error, ERR_STORE, "cannot read the directory \"%s\": %s", path,
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
    struct log_file *file = log_file_new(s, first_seq, 1);
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
    log_file_push(s, file);
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
    return err == OK ? log_writer_prepare(&s->writer, error) : err;
}

static void remove_orphans(struct sqlite_store *s, const struct log_names *logs)
{
    struct log_names indexes;
    if (log_names_read(s->dir, "index", &indexes, NULL) != OK)
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
        struct log_names files;
        err = log_names_read(s->dir, kinds[k], &files, error);
        for (size_t i = 0; i < files.n && err == OK; i++)
            err = check_format(s, kinds[k], files.list[i], error);
        free(files.list);
    }
    return err;
}

bool log_files_exist(struct sqlite_store *s)
{
    struct log_names logs = {0};
    bool exist = log_names_read(s->dir, "log", &logs, NULL) == OK && logs.n > 0;
    free(logs.list);
    return exist;
}

enum err log_files_open(struct sqlite_store *s, struct error *error)
{
    struct log_names logs;
    enum err err = log_names_read(s->dir, "log", &logs, error);
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
        err = log_begin_first(s, error);
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
