/* engine.h: the parts of the SQLite engine that its files share. Private to sqlite/.
 *
 *   write_lock   who changes the log: append, maintain, retain, mark. Taken first.
 *   lock         files[], end, pool, free room. Held for moments, never over I/O.
 *   tail_lock    the tails of all indexes. Taken last. */
#ifndef STORE_SQLITE_ENGINE_H
#define STORE_SQLITE_ENGINE_H

#include <pthread.h>

#include "base/list.h"
#include "store/sqlite/config.h"
#include "store/sqlite/db.h"
#include "store/sqlite/index.h"
#include "store/sqlite/pack.h"
#include "store/store_private.h"

/* One log file with its index. Changed under `lock`; the last of files[] grows. */
struct log_file {
    uint64_t first_seq; /* its name */
    uint64_t last_seq;  /* first_seq - 1: no events yet */
    uint64_t first_block, last_block;
    uint8_t first_id[EVENT_ID_BYTES], last_id[EVENT_ID_BYTES];
    wall_ms born_at;   /* time of the first block, 0 = none yet */
    wall_ms last_time; /* of the last block */
    uint64_t bytes;    /* about */
    struct index index;
    bool finished;            /* it has a successor and its index is complete */
    struct file_spans *spans; /* of a finished file, once known: span.c */
    size_t n_span_rows;
    bool too_many_spans;
    unsigned refs; /* readers that use the file now */
    unsigned busy; /* connections in use */
};

/* A reading connection to one log file and its index; on pool.idle or with one thread. */
struct read_conn {
    struct list node;
    struct log_file *file;
    struct db log, index;
    sqlite3_stmt *begin, *begin_index, *commit, *commit_index;
    sqlite3_stmt *event, *id, *block, *blocks, *targets;
    sqlite3_stmt *seqs, *refs;
};

/* The writing connection to the last file. */
struct log_writer {
    struct db db;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *put_event, *put_block, *put_mark;
    int wal_pages;            /* in the WAL after the last commit */
    int wal_copied;           /* of them, checkpointed */
    int64_t restart_after_us; /* no waiting for readers before */
};

struct sqlite_store {
    struct store store;
    struct store_conf conf;
    char dir[PATH_MAX];
    struct vfs *vfs;
    struct config *config;

    pthread_mutex_t write_lock;
    struct log_writer writer;
    bool failed;            /* a commit failed: what is on disk is unknown until a restart */
    uint64_t durable_mark;  /* snapshot mark in the last file's meta */
    int64_t roll_after_us;  /* no attempt to roll before */
    int64_t flush_after_us; /* no attempt to flush before */
    int64_t last_append_us;
    struct buf targets_buf, block_buf;
    uint32_t *offsets;
    size_t cap_offsets;

    pthread_mutex_t lock;
    pthread_cond_t released; /* a connection or a file was given back */
    struct log_file **files; /* ascending */
    size_t n_files;
    struct store_end end;
    struct list idle; /* read_conn, least recently used first */
    unsigned n_conns;
    size_t span_rows; /* of all files */
    uint64_t free_bytes;
    int64_t free_read_us; /* when it was read */
    uint64_t commits, commit_us;

    pthread_mutex_t tail_lock;
};

static inline struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)(void *)store;
}

/* --- log_file.c, log_open.c --- */
/* The first seqs in the names of all files of one kind ("log", "index") in a directory, ascending;
 * free ret->list. */
struct log_names {
    uint64_t *list;
    size_t n;
};
MUST_USE enum err
log_names_read(const char *dir, const char *kind, struct log_names *ret, struct error *error);
void log_names_path(const char *dir, const char *kind, uint64_t seq, char ret[PATH_MAX]);
void log_file_path(const struct sqlite_store *s,
                   const char *kind,
                   uint64_t seq,
                   char ret[PATH_MAX]);
/* Refuses files of a newer format before anything is changed. */
MUST_USE enum err log_files_check(struct sqlite_store *s, struct error *error);
/* True when the directory holds log files, opened or not. */
bool log_files_exist(struct sqlite_store *s);
/* Opens every file of the directory, creates the first one, prepares the writer. */
MUST_USE enum err log_files_open(struct sqlite_store *s, struct error *error);
void log_files_close(struct sqlite_store *s);
struct log_file *log_file_new(struct sqlite_store *s, uint64_t first_seq, uint64_t first_block);
/* Appends it to files[]. */
void log_file_push(struct sqlite_store *s, struct log_file *file);
/* The statements of a writer that is open. */
MUST_USE enum err log_writer_prepare(struct log_writer *writer, struct error *error);
/* Creates the first file of an empty directory, with its writer. */
MUST_USE enum err log_begin_first(struct sqlite_store *s, struct error *error);
/* Removes the file and its index, which nobody has open. */
void log_file_remove(const struct sqlite_store *s, uint64_t first_seq);
void log_file_free(struct log_file *file);
/* Nothing will change in the file and its index any more. */
void log_file_finish(struct sqlite_store *s, struct log_file *file);
/* Begins a new file behind the last one. Under write_lock. */
MUST_USE enum err log_roll(struct sqlite_store *s, struct error *error);
/* Copies the WAL of the last file into it when it is long. Under write_lock. */
void log_checkpoint(struct sqlite_store *s, int pages);

/* --- pool.c --- */
/* The files as they are now, ascending; they stay until they are unpinned. */
struct pinned {
    struct log_file **files;
    size_t n;
};
void files_pin(struct sqlite_store *s, struct pinned *ret_pinned);
void files_unpin(struct sqlite_store *s, struct pinned *pinned);
/* A connection to a pinned file; waits while `readers` of them are in use. */
MUST_USE enum err pool_acquire(struct sqlite_store *s,
                               struct log_file *file,
                               struct read_conn **ret_conn,
                               struct error *error);
void pool_release(struct sqlite_store *s, struct read_conn *conn);
/* Closes the idle connections of a file (NULL: of all files). */
void pool_close(struct sqlite_store *s, const struct log_file *file);

/* --- span.c --- */
enum span_table { SPAN_SEQS, SPAN_ATTEMPTS, SPAN_TABLES };
/* Whether the pinned file can hold any of the sequences from..from+n-1. */
MUST_USE enum err spans_may_hold(struct sqlite_store *s,
                                 struct log_file *file,
                                 enum span_table table,
                                 uint32_t webhook,
                                 uint64_t from,
                                 size_t n,
                                 bool *ret_may,
                                 struct error *error);
void spans_free(struct file_spans *spans);

/* --- append.c --- */
enum err sqlite_append(struct store *store, const struct store_batch *batch, struct error *error);
bool sqlite_maintain(struct store *store, int budget_ms);
enum err sqlite_mark_snapshot(struct store *store, uint64_t first, struct error *error);
enum err sqlite_retain(struct store *store,
                       wall_ms before,
                       uint64_t keep_seq,
                       unsigned *ret_files,
                       struct error *error);
uint64_t sqlite_free_bytes(struct sqlite_store *s);

/* --- replay.c, read.c, read_attempts.c --- */
/* Calls fn for the blocks >= from of one file; `blob` is what the records' spans point into. */
typedef enum err replay_fn(void *ctx, const struct store_block *block, struct span blob);
MUST_USE enum err
replay_file(struct read_conn *conn, uint64_t from, replay_fn *fn, void *ctx, struct error *error);
enum err sqlite_replay(struct store *store,
                       uint64_t from,
                       enum err (*fn)(void *ctx, const struct store_block *block),
                       void *ctx,
                       struct error *error);
enum err sqlite_events(struct store *store,
                       const uint64_t *seqs,
                       size_t n,
                       struct event **ret_events,
                       struct error *error);
enum err sqlite_event_by_id(struct store *store,
                            const uint8_t id[16],
                            struct event **ret_event,
                            struct error *error);
enum err sqlite_lane(struct store *store,
                     uint32_t webhook,
                     uint64_t from,
                     size_t n,
                     uint64_t *ret_seqs,
                     struct error *error);
enum err sqlite_attempts(struct store *store,
                         uint32_t webhook,
                         uint64_t sequence,
                         struct store_attempts *ret_attempts,
                         struct error *error);
enum err sqlite_last_attempts(struct store *store,
                              uint32_t webhook,
                              uint64_t from,
                              size_t n,
                              struct attempt *ret_attempts,
                              bool *ret_found,
                              struct error *error);

#endif
