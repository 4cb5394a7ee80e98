/* db.c: see db.h. */
#include "store/sqlite/db.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

void db_close(struct db *db)
{
    if (db->sqlite == NULL)
        return;
    sqlite3_stmt *stmt;
    while ((stmt = sqlite3_next_stmt(db->sqlite, NULL)) != NULL)
        sqlite3_finalize(stmt);
    int rc = sqlite3_close(db->sqlite);
    ASSERT(rc == SQLITE_OK);
    db->sqlite = NULL;
}

enum err db_error(struct db *db, int rc, const char *doing, struct error *error)
{
    int cause = db->sqlite == NULL ? 0 : sqlite3_system_errno(db->sqlite);
    if ((rc & 0xff) == SQLITE_FULL ||
        ((rc & 0xff) == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT)))
        return error_set(error, ERR_FULL, "the disk is full: cannot %s \"%s\"; make room on it",
                         doing, db->path);
    return error_set(error, ERR_STORE, "cannot %s \"%s\": %s (SQLite %d)", doing, db->path,
                     db->sqlite == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db->sqlite), rc);
}

enum err db_exec(struct db *db, const char *sql, struct error *error)
{
    int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : db_error(db, rc, "set up", error);
}

enum err db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret_stmt, struct error *error)
{
    int rc = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);
    return rc == SQLITE_OK ? OK : db_error(db, rc, "query", error);
}

int db_run(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    int reset = sqlite3_reset(stmt);
    if (rc == SQLITE_DONE || rc == SQLITE_ROW)
        return reset;
    return rc;
}

static enum err read_format(struct db *db, int *ret_format, struct error *error)
{
    sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(db, "PRAGMA user_version", &stmt, error);
    if (err != OK)
        return err;
    int rc = sqlite3_step(stmt);
    int format = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        return db_error(db, rc, "open", error);
    *ret_format = format;
    if (format > DB_FORMAT) {
        /* Not even a checkpoint: the file stays as the newer program left it. */
        sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        return error_set(error, ERR_STORE,
                         "\"%s\" has format %d, written by a newer hookswitch, and this one knows "
                         "%d: run the newer one",
                         db->path, format, DB_FORMAT);
    }
    return OK;
}

static enum err set_up(struct db *db, enum db_mode mode, struct error *error)
{
    switch (mode) {
    case DB_READ:
    case DB_READ_FINAL:
        return db_exec(
            db, "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2048", error);
    case DB_WRITE_FULL:
        return db_exec(db,
                       "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768",
                       error);
    case DB_WRITE_DERIVED:
        return db_exec(db,
                       "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                       "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-65536;"
                       "PRAGMA wal_autocheckpoint=4000",
                       error);
    }
    return ERR_BUG;
}

static bool has_wal(const char *path)
{
    char name[PATH_MAX + 8];
    struct stat info;
    snprintf(name, sizeof name, "%s-wal", path);
    return stat(name, &info) == 0 && info.st_size > 0;
}

/* To the URI of a file that does not change: no locks, no shared memory beside it. */
static void immutable_uri(const char *path, char *ret, size_t room)
{
    size_t n = (size_t)snprintf(ret, room, "file:");
    for (; *path != '\0' && n + 16 < room; path++) {
        if (*path == '%' || *path == '?' || *path == '#')
            n += (size_t)snprintf(ret + n, room - n, "%%%02X", (unsigned)*path);
        else
            ret[n++] = *path;
    }
    snprintf(ret + n, room - n, "?immutable=1");
}

static int open_sqlite(struct db *db, const struct vfs *vfs, enum db_mode mode)
{
    char uri[3 * PATH_MAX + 32];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (mode == DB_READ_FINAL && !has_wal(db->path)) {
        immutable_uri(db->path, uri, sizeof uri);
        return sqlite3_open_v2(uri, &db->sqlite,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                               vfs_name(vfs));
    }
    if (mode != DB_READ && mode != DB_READ_FINAL)
        flags |= SQLITE_OPEN_CREATE;
    return sqlite3_open_v2(db->path, &db->sqlite, flags, vfs_name(vfs));
}

enum err db_open(struct db *db,
                 const struct vfs *vfs,
                 const char *path,
                 enum db_mode mode,
                 int *ret_format,
                 struct error *error)
{
    *db = (struct db){0};
    snprintf(db->path, sizeof db->path, "%s", path);
    int rc = open_sqlite(db, vfs, mode);
    enum err err = rc == SQLITE_OK ? OK : db_error(db, rc, "open", error);
    if (err == OK) {
        sqlite3_extended_result_codes(db->sqlite, 1);
        sqlite3_busy_timeout(db->sqlite, DB_BUSY_MS);
        err = read_format(db, ret_format, error);
    }
    if (err == OK)
        err = set_up(db, mode, error);
    if (err != OK) {
        /* A handle comes back even when opening failed. */
        sqlite3_close(db->sqlite);
        db->sqlite = NULL;
    }
    return err;
}

void db_bind_blob(sqlite3_stmt *stmt, int at, struct span bytes)
{
    sqlite3_bind_blob64(stmt, at, bytes.len == 0 ? "" : bytes.ptr, bytes.len, SQLITE_STATIC);
}

void db_bind_text(sqlite3_stmt *stmt, int at, struct span text)
{
    sqlite3_bind_text64(stmt, at, text.len == 0 ? "" : text.ptr, text.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

void db_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
    sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

struct span db_blob(sqlite3_stmt *stmt, int column)
{
    const void *ptr = sqlite3_column_blob(stmt, column);
    return span_make(ptr, (size_t)sqlite3_column_bytes(stmt, column));
}

struct span db_text(sqlite3_stmt *stmt, int column)
{
    const unsigned char *ptr = sqlite3_column_text(stmt, column);
    return span_make(ptr, (size_t)sqlite3_column_bytes(stmt, column));
}

uint64_t db_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}
