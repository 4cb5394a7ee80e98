/* backup.c: copies of a whole data directory, taken beside a server that writes or without one.
 *
 * Each file is copied by SQLite's backup interface inside one reading transaction, so that its copy
 * is of one moment whatever is committed meanwhile. Between the files the order does it:
 *
 *   1. log files, oldest to newest. All but the last are final; the last is cut after some commit.
 *      So the copy of the log is a beginning of the log. Files that appear meanwhile are taken in
 *      another round, copies of files that retention took meanwhile are dropped.
 *   2. config.db. A webhook is in it before the log mentions it; copied first, it would lack
 *      those that were made since, and a start would take their events for those of deleted ones.
 *      That it knows more than the log is what any crash leaves.
 *
 * Indexes of final log files are copied as well: they could be made again, but a start after a
 * disaster should not take long. The last one is left out: it could be ahead of the log's copy.
 *
 * config.db gets its name last: log files without it are refused by every start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sqlite/engine.h"

#define STEP_PAGES 1024 /* 4 MiB between two looks at the watch */
#define ROUNDS     100  /* a log that rolls faster than it can be copied is cut then */
#define VERIFY_OPS 100000

struct copy {
    const char *from, *to;
    const char *journal; /* how the copies stand: WAL to be served, DELETE to be kept */
    struct vfs *vfs;
    const struct store_watch *watch;
    bool stopped;          /* the watch said so */
    bool chown;            /* root copies for the owner of `to` */
    bool verify;           /* the copies are read through afterwards, which counts as work */
    struct stat owner;     /* of `to` */
    uint64_t done, total;  /* bytes, for the watch */
    struct log_names have; /* log files that stand in `to` */
    struct store_copied sum;
    struct error *error;
};

static bool watch(struct copy *copy, uint64_t bytes)
{
    if (copy->watch != NULL && !copy->stopped) {
        uint64_t done = copy->done + bytes;
        uint64_t total = copy->total > done ? copy->total : done;
        copy->stopped = !copy->watch->step(copy->watch->ctx, done, total);
    }
    return !copy->stopped;
}

static enum err stopped(struct copy *copy)
{
    return error_set(copy->error, ERR_SHUTDOWN, "interrupted: the copy is not complete");
}

static enum err failed(struct copy *copy, const char *doing, const char *path)
{
    int cause = errno;
    return error_set(copy->error, cause == ENOSPC || cause == EDQUOT ? ERR_FULL : ERR_IO,
                     "cannot %s \"%s\": %s", doing, path, strerror(cause));
}

static uint64_t bytes_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static bool is_missing(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 && errno == ENOENT;
}

static void remove_db(const char *path)
{
    static const char *const endings[] = {"-journal", "-wal", "-shm", ""};
    char name[PATH_MAX + 64];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
}

/* --- one file --- */

/* The new file, private from the first moment. */
static enum err create(struct copy *copy, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(copy, "create", path);
    enum err err = OK;
    if (copy->chown && fchown(fd, copy->owner.st_uid, copy->owner.st_gid) != 0)
        err = failed(copy, "give away", path);
    close(fd);
    return err;
}

static enum err sync_path(struct copy *copy, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err err = fd < 0 || fsync(fd) != 0 ? failed(copy, "sync", path) : OK;
    if (fd >= 0)
        close(fd);
    return err;
}

/* Opens without db_open, which would make it a file of the running server. */
static enum err open_target(struct copy *copy, struct db *db, const char *path, const char *pragma)
{
    *db = (struct db){0};
    snprintf(db->path, sizeof db->path, "%s", path);
    int rc = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             vfs_name(copy->vfs));
    enum err err = rc == SQLITE_OK ? OK : db_error(db, rc, "open", copy->error);
    return err == OK ? db_exec(db, pragma, copy->error) : err;
}

static enum err transfer(struct copy *copy, struct db *source, struct db *target)
{
    sqlite3_backup *backup = sqlite3_backup_init(target->sqlite, "main", source->sqlite, "main");
    if (backup == NULL)
        return db_error(target, sqlite3_errcode(target->sqlite), "write", copy->error);
    uint64_t base = copy->done;
    int rc;
    while ((rc = sqlite3_backup_step(backup, STEP_PAGES)) == SQLITE_OK) {
        int copied = sqlite3_backup_pagecount(backup) - sqlite3_backup_remaining(backup);
        if (!watch(copy, (uint64_t)copied * 4096))
            break;
    }
    copy->done = base + (uint64_t)sqlite3_backup_pagecount(backup) * 4096;
    int finished = sqlite3_backup_finish(backup);
    if (copy->stopped)
        return stopped(copy);
    if (rc == SQLITE_DONE && finished == SQLITE_OK)
        return OK;
    /* The backup blames one of the two: what the source says is said with its name. */
    int of_source = sqlite3_errcode(source->sqlite);
    if (of_source != SQLITE_OK && of_source != SQLITE_ROW && of_source != SQLITE_DONE)
        return db_error(source, of_source, "read", copy->error);
    return db_error(target, finished, "write", copy->error);
}

/* From the file at `from`, as it is at one moment, to the new file at `to`. A file that was not
 * there or not yet begun is none: *ret_copied false. */
static enum err
copy_db(struct copy *copy, const char *from, enum db_mode mode, const char *to, bool *ret_copied)
{
    struct db source;
    struct db target = {0};
    struct error why = {0};
    int format = 0;
    *ret_copied = false;
    enum err err = db_open(&source, copy->vfs, from, mode, &format, &why);
    if (err != OK) {
        if (is_missing(from))
            return OK;
        return error_set(copy->error, err, "%s", why.message);
    }
    if (format == 0) {
        db_close(&source);
        return OK;
    }
    /* The transaction holds the moment; the backup would begin anew after every commit. */
    err = db_exec(&source, "BEGIN; SELECT count(*) FROM sqlite_master", copy->error);
    if (err == OK)
        err = create(copy, to);
    if (err == OK)
        err = open_target(copy, &target, to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL");
    if (err == OK)
        err = transfer(copy, &source, &target);
    db_close(&target);
    db_close(&source);

    char pragma[48];
    snprintf(pragma, sizeof pragma, "PRAGMA journal_mode=%s", copy->journal);
    if (err == OK)
        err = open_target(copy, &target, to, pragma);
    db_close(&target);
    if (err == OK)
        err = sync_path(copy, to);
    if (err != OK) {
        remove_db(to);
        return err;
    }
    copy->sum.files++;
    copy->sum.bytes += bytes_of(to);
    *ret_copied = true;
    return watch(copy, 0) ? OK : stopped(copy);
}

static enum err
copy_named(struct copy *copy, const char *kind, uint64_t seq, enum db_mode mode, bool *ret_copied)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    log_names_path(copy->from, kind, seq, from);
    log_names_path(copy->to, kind, seq, to);
    return copy_db(copy, from, mode, to, ret_copied);
}

/* --- the log --- */

static bool holds(const struct log_names *names, uint64_t seq)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i] == seq)
            return true;
    return false;
}

static void keep(struct log_names *names, uint64_t seq)
{
    names->list = mem_realloc(names->list, (names->n + 1) * sizeof(*names->list));
    names->list[names->n++] = seq;
}

/* Removes the copy of a log file and of its index. */
static void drop(struct copy *copy, uint64_t seq)
{
    static const char *const kinds[] = {"index", "log"};
    char path[PATH_MAX];
    for (size_t i = 0; i < 2; i++) {
        log_names_path(copy->to, kinds[i], seq, path);
        uint64_t bytes = bytes_of(path);
        copy->sum.files -= bytes > 0;
        copy->sum.bytes -= bytes;
        remove_db(path);
    }
}

/* Retention took the oldest files meanwhile: their copies would stand before a gap. */
static void drop_retained(struct copy *copy, const struct log_names *listed)
{
    size_t kept = 0;
    for (size_t i = 0; i < copy->have.n; i++) {
        if (holds(listed, copy->have.list[i]))
            copy->have.list[kept++] = copy->have.list[i];
        else
            drop(copy, copy->have.list[i]);
    }
    copy->have.n = kept;
}

static void estimate(struct copy *copy, const struct log_names *listed)
{
    char path[PATH_MAX + 16];
    uint64_t bytes = 0;
    for (size_t i = 0; i < listed->n; i++) {
        if (holds(&copy->have, listed->list[i]))
            continue;
        log_names_path(copy->from, "log", listed->list[i], path);
        bytes += bytes_of(path);
        log_names_path(copy->from, "index", listed->list[i], path);
        bytes += i + 1 < listed->n ? bytes_of(path) : 0;
    }
    snprintf(path, sizeof path, "%s/config.db", copy->from);
    bytes += bytes_of(path);
    copy->total = copy->done + bytes + (copy->verify ? copy->sum.bytes + bytes : 0);
}

/* A log file whose successor is there, with its index if there is a good one. (Without room for
 * the index there is none for the log, which says so.) */
static enum err copy_final(struct copy *copy, uint64_t seq, bool *ret_copied)
{
    bool indexed;
    struct error *error = copy->error;
    copy->error = NULL;
    (void)!copy_named(copy, "index", seq, DB_READ, &indexed);
    copy->error = error;
    enum err err =
        copy->stopped ? stopped(copy) : copy_named(copy, "log", seq, DB_READ_FINAL, ret_copied);
    if (err == OK && *ret_copied)
        keep(&copy->have, seq);
    else
        drop(copy, seq);
    return err;
}

/* The last log file, as it is now. One that is not begun has nothing in it: it is the first one of
 * all, or its creation was cut short, or goes on just now. One that is gone was given up or, very
 * old already, taken by retention: then things are looked at again. */
static enum err copy_last(struct copy *copy, uint64_t seq, bool *ret_again)
{
    char path[PATH_MAX];
    bool copied;
    log_names_path(copy->from, "log", seq, path);
    enum err err = copy_named(copy, "log", seq, DB_READ, &copied);
    if (err == OK && copied)
        keep(&copy->have, seq);
    else if (err == OK)
        *ret_again = is_missing(path);
    return err;
}

/* The files of one listing. *ret_again: others have to be looked for before the last is cut, or
 * one was taken meanwhile. */
static enum err copy_round(struct copy *copy, bool last_round, bool *ret_again)
{
    struct log_names listed;
    bool copied = true;
    enum err err = log_names_read(copy->from, "log", &listed, copy->error);
    if (err != OK)
        return err;
    *ret_again = false;
    drop_retained(copy, &listed);
    estimate(copy, &listed);
    for (size_t i = 0; i + 1 < listed.n && err == OK && copied; i++) {
        if (holds(&copy->have, listed.list[i]))
            continue;
        err = copy_final(copy, listed.list[i], &copied);
        *ret_again = !last_round || !copied;
    }
    if (err == OK && listed.n > 0 && !*ret_again)
        err = copy_last(copy, listed.list[listed.n - 1], ret_again);
    free(listed.list);
    return err;
}

static enum err copy_log(struct copy *copy)
{
    bool again = true;
    for (int round = 1; again && round <= ROUNDS; round++) {
        enum err err = copy_round(copy, round == ROUNDS, &again);
        if (err != OK)
            return err;
    }
    if (again)
        return error_set(copy->error, ERR_BUSY,
                         "the log changes faster than it can be copied; run the command again");
    return OK;
}

/* --- what was copied --- */

struct extent {
    uint64_t first_seq, first_block, block, seq;
    wall_ms time;
};

static enum err read_extent(struct copy *copy, struct db *db, struct extent *ret)
{
    sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(db,
                              "SELECT first_seq, first_block,"
                              " ifnull((SELECT max(k) FROM block), first_block - 1),"
                              " ifnull((SELECT max(seq) FROM event), first_seq - 1),"
                              " ifnull((SELECT time_ms FROM block ORDER BY k DESC LIMIT 1),"
                              " last_time) FROM meta",
                              &stmt, copy->error);
    if (err != OK)
        return err;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = (struct extent){.first_seq = db_u64(stmt, 0),
                               .first_block = db_u64(stmt, 1),
                               .block = db_u64(stmt, 2),
                               .seq = db_u64(stmt, 3),
                               .time = sqlite3_column_int64(stmt, 4)};
    else
        err = error_set(copy->error, ERR_CORRUPT, "\"%s\" lacks what a log file begins with",
                        db->path);
    sqlite3_finalize(stmt);
    return err;
}

static int go_on(void *ctx)
{
    return watch(ctx, 0) ? 0 : 1;
}

static enum err check_integrity(struct copy *copy, struct db *db)
{
    sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(db, "PRAGMA integrity_check(1)", &stmt, copy->error);
    if (err != OK)
        return err;
    sqlite3_progress_handler(db->sqlite, VERIFY_OPS, go_on, copy);
    int rc = sqlite3_step(stmt);
    sqlite3_progress_handler(db->sqlite, 0, NULL, NULL);
    struct span said = rc == SQLITE_ROW ? db_text(stmt, 0) : span_from(sqlite3_errstr(rc));
    if (copy->stopped)
        err = stopped(copy);
    else if (!span_eq_text(said, "ok"))
        err = error_set(copy->error, ERR_CORRUPT,
                        "the copy \"%s\" is damaged: %.*s; restore another backup", db->path,
                        (int)(said.len < 200 ? said.len : 200), said.ptr);
    sqlite3_finalize(stmt);
    copy->done += bytes_of(db->path);
    return err;
}

/* One copy: opens, knows its format, and, when asked, is sound. */
static enum err check_file(struct copy *copy, const char *path, struct extent *ret_extent)
{
    struct db db;
    int format = 0;
    enum err err = db_open(&db, copy->vfs, path, DB_READ, &format, copy->error);
    if (err == OK && ret_extent != NULL)
        err = read_extent(copy, &db, ret_extent);
    if (err == OK && copy->verify)
        err = check_integrity(copy, &db);
    db_close(&db);
    return err;
}

/* A bad index is no reason to refuse the copy: it is made again. */
static enum err check_index(struct copy *copy, uint64_t seq)
{
    char path[PATH_MAX];
    log_names_path(copy->to, "index", seq, path);
    if (!copy->verify || is_missing(path))
        return OK;
    struct error *error = copy->error;
    copy->error = NULL;
    enum err err = check_file(copy, path, NULL);
    copy->error = error;
    if (copy->stopped)
        return stopped(copy);
    if (err != OK)
        remove_db(path);
    return OK;
}

static enum err check_log(struct copy *copy)
{
    struct extent before = {0};
    for (size_t i = 0; i < copy->have.n; i++) {
        struct extent extent = {0};
        char path[PATH_MAX];
        log_names_path(copy->to, "log", copy->have.list[i], path);
        enum err err = check_file(copy, path, &extent);
        if (err == OK)
            err = check_index(copy, copy->have.list[i]);
        if (err != OK)
            return err;
        if (i == 0)
            copy->sum.first_seq = extent.first_seq;
        /* Also when a file was being begun, seen here, and given up for lack of room. */
        else if (before.seq + 1 != extent.first_seq || before.block + 1 != extent.first_block)
            return error_set(copy->error, ERR_CORRUPT,
                             "the copy \"%s\" does not follow the log file before it: run the "
                             "command again, or, if that does not help, a log file is missing",
                             path);
        before = extent;
    }
    copy->sum.event_seq = before.seq;
    copy->sum.block = before.block;
    copy->sum.time = before.time;
    return OK;
}

/* --- all --- */

static void clear(const char *dir)
{
    static const char *const kinds[] = {"index", "log"};
    static const char *const names[] = {"config.db", "config.db.partial"};
    char path[PATH_MAX + 32];
    for (size_t k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[k]);
        remove_db(path);
        struct log_names found;
        if (log_names_read(dir, kinds[k], &found, NULL) != OK)
            continue;
        for (size_t i = 0; i < found.n; i++) {
            log_names_path(dir, kinds[k], found.list[i], path);
            remove_db(path);
        }
        free(found.list);
    }
}

static enum err copy_config(struct copy *copy)
{
    char from[PATH_MAX + 32];
    char partial[PATH_MAX + 32];
    char to[PATH_MAX + 32];
    bool copied = false;
    snprintf(from, sizeof from, "%s/config.db", copy->from);
    snprintf(partial, sizeof partial, "%s/config.db.partial", copy->to);
    snprintf(to, sizeof to, "%s/config.db", copy->to);
    enum err err = copy_db(copy, from, DB_READ, partial, &copied);
    if (err == OK && !copied)
        err = error_set(copy->error, ERR_NOT_FOUND, "\"%s\" is gone or empty", from);
    if (err == OK)
        err = check_log(copy);
    if (err == OK)
        err = check_file(copy, partial, NULL);
    /* The names of the log files are durable before that which makes them a data directory. */
    if (err == OK)
        err = sync_path(copy, copy->to);
    if (err == OK && rename(partial, to) != 0)
        err = failed(copy, "rename", partial);
    return err == OK ? sync_path(copy, copy->to) : err;
}

static enum err check_source(struct copy *copy)
{
    char path[PATH_MAX + 16];
    struct stat info;
    if (strlen(copy->from) + 64 > PATH_MAX || strlen(copy->to) + 64 > PATH_MAX)
        return error_set(copy->error, ERR_IO, "the path of the directory is too long");
    snprintf(path, sizeof path, "%s/config.db", copy->from);
    if (stat(path, &info) == 0)
        return OK;
    if (errno != ENOENT && errno != ENOTDIR)
        return failed(copy, "read", path);
    return error_set(copy->error, ERR_NOT_FOUND,
                     "\"%s\" holds no data of hookswitch (there is no config.db in it)",
                     copy->from);
}

static enum err copy_all(struct copy *copy, struct store_copied *ret_copied)
{
    enum err err = check_source(copy);
    if (err != OK)
        return err;
    if (stat(copy->to, &copy->owner) != 0)
        return failed(copy, "use", copy->to);
    copy->chown = geteuid() == 0 && copy->owner.st_uid != 0;
    copy->vfs = vfs_new();
    clear(copy->to);
    err = copy_log(copy);
    if (err == OK)
        err = copy_config(copy);
    if (err == OK)
        *ret_copied = copy->sum;
    else
        clear(copy->to);
    free(copy->have.list);
    vfs_free(copy->vfs);
    return err;
}

enum err store_backup(const char *from,
                      const char *to,
                      const struct store_watch *watch,
                      struct store_copied *ret_copied,
                      struct error *error)
{
    struct copy copy = {.from = from, .to = to, .watch = watch, .error = error};
    /* One file each, which also opens where nothing can be written. */
    copy.journal = "DELETE";
    return copy_all(&copy, ret_copied);
}

enum err store_restore(const char *from,
                       const char *to,
                       const struct store_watch *watch,
                       struct store_copied *ret_copied,
                       struct error *error)
{
    struct copy copy = {.from = from, .to = to, .watch = watch, .error = error};
    copy.journal = "WAL";
    copy.verify = true;
    return copy_all(&copy, ret_copied);
}
