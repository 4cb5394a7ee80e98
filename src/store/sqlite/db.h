/* db.h: SQLite as this engine uses it: opening, errors in words, statements, formats.
 *
 * A `struct db` is one connection and its path; one thread at a time. */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <limits.h>
#include <sqlite3.h>

#include "base/err.h"
#include "base/span.h"
#include "store/sqlite/vfs.h"

/* Of all files; a file with a greater one was written by a newer program and is left alone. */
#define DB_FORMAT 1

/* Readers of ours hold no transaction over 100 ms, so whoever waits longer than this found a bug.
 */
#define DB_BUSY_MS 10000

struct db {
    sqlite3 *sqlite;
    char path[PATH_MAX];
};

enum db_mode {
    DB_READ,          /* must exist; query_only */
    DB_READ_FINAL,    /* as DB_READ, of a file that nobody writes to any more: nothing has to be
                       * written beside it (a full disk!) unless it left a write-ahead log */
    DB_WRITE_FULL,    /* created when missing; every commit is fsynced */
    DB_WRITE_DERIVED, /* created when missing; a power cut may take back the last commits */
};

/* Opens, refuses newer formats (ERR_STORE) and leaves such a file as it is. ret_format: 0 = the
 * file is new or its creation was cut short; also set when it is newer. On failure the db is
 * closed. */
MUST_USE enum err db_open(struct db *db,
                          const struct vfs *vfs,
                          const char *path,
                          enum db_mode mode,
                          int *ret_format,
                          struct error *error);
void db_close(struct db *db); /* harmless when it is not open */

/* What SQLite says about a failure while `doing` ("append to"), as ERR_FULL when there was no room
 * and ERR_STORE otherwise. */
enum err db_error(struct db *db, int rc, const char *doing, struct error *error);

MUST_USE enum err db_exec(struct db *db, const char *sql, struct error *error);
/* Prepared to be kept. */
MUST_USE enum err
db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret_stmt, struct error *error);

/* Steps once and resets; for statements that give no rows. */
int db_run(sqlite3_stmt *stmt);

/* Binds without copying: the bytes must live until the statement ran. Empty is an empty blob or
 * text, never NULL. */
void db_bind_blob(sqlite3_stmt *stmt, int at, struct span bytes);
void db_bind_text(sqlite3_stmt *stmt, int at, struct span text);
void db_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value);

/* Valid until the statement steps or resets. */
struct span db_blob(sqlite3_stmt *stmt, int column);
struct span db_text(sqlite3_stmt *stmt, int column);
uint64_t db_u64(sqlite3_stmt *stmt, int column);

#endif
