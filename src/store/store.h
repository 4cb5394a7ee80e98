/* store.h: the verbs of durable storage; engines: store/sqlite, store/memory (test double that
 * ships), later PostgreSQL.
 *
 * Verbs block; who may not block calls them from another thread (the committer's thread for all
 * writing verbs, reader threads and API threads for reading ones). So asynchrony has one home,
 * delivery/, and an engine stays a plain library.
 *   writers: append, maintain, mark_snapshot, put_*, delete_*: one thread, the committer's (or
 *   before it starts).
 *   readers: everything else, and retain: any thread, in parallel with the writer; they see
 *   committed data only.
 * A failure of append other than ERR_FULL is fatal for the caller: restart recovers. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "hook/attempt.h"
#include "hook/company.h"
#include "hook/event.h"
#include "hook/webhook.h"

struct store;

struct store_conf {
    const char *dir;        /* the data directory (exists); ignored by memory */
    int64_t log_file_bytes; /* a log file rolls at this size ... */
    int64_t log_file_ms;    /* ... or this age */
    unsigned readers;       /* reading connections, 1..16 */
    int64_t min_free_bytes; /* below: append of events answers ERR_FULL, records still go in */
};

/* One record of a block. kind: enum record_kind. Attempts are indexed by (webhook, sequence). */
struct store_record {
    uint8_t kind;
    uint32_t webhook;  /* 0 when it belongs to none */
    uint64_t sequence; /* 0 when it belongs to none */
    struct span bytes;
};

/* What one commit decides. Durable (fsync) when append returns OK, all or nothing. */
struct store_batch {
    uint64_t block; /* number of this commit, ascending from 1 without gaps */
    wall_ms time;
    struct event *const *events; /* seq ascending without gaps, targets set */
    size_t n_events;
    const struct store_record *records;
    size_t n_records;
};

/* Opens or creates; verifies the format number; never changes data of a newer format. */
MUST_USE enum err
store_open_sqlite(const struct store_conf *conf, struct store **ret_store, struct error *error);
MUST_USE enum err
store_open_memory(const struct store_conf *conf, struct store **ret_store, struct error *error);
/* Checkpoints and closes. The memory engine forgets everything, unless store_memory_keep. */
void store_close(struct store *store);
/* The memory engine: what it holds outlives the next store_close and is what the next
 * store_open_memory finds, as if the process had been restarted. Nothing in other engines. */
void store_memory_keep(struct store *store);

/* --- the log, writing --- */

MUST_USE enum err
store_append(struct store *store, const struct store_batch *batch, struct error *error);
/* Called by the committer when idle and after batches: index flushes, checkpoints, rolling;
 * at most about budget_ms of work. Returns true when there is more to do. */
bool store_maintain(struct store *store, int budget_ms);
/* Remember that a complete snapshot of all lanes begins at block `first`: recovery starts there. */
MUST_USE enum err store_mark_snapshot(struct store *store, uint64_t first, struct error *error);
/* Drops whole log files (with their index) whose every event is older than `before`, has seq <
 * keep_seq, and whose blocks are before the snapshot mark. ret_files: how many went. */
MUST_USE enum err store_retain(struct store *store,
                               wall_ms before,
                               uint64_t keep_seq,
                               unsigned *ret_files,
                               struct error *error);

/* --- the log, reading --- */

struct store_end {
    uint64_t block;      /* last block, 0 = none */
    uint64_t event_seq;  /* last event, 0 = none */
    uint64_t first_seq;  /* oldest event still there */
    uint8_t last_id[16]; /* id of the last event */
    wall_ms time;        /* of the last block */
    uint64_t snapshot;   /* first block of the last complete snapshot, 0 = none */
};
void store_end(struct store *store, struct store_end *ret_end);

/* Recovery: calls fn for every block >= from in order, its records and the targets of the events
 * that were committed with it (events carry no data here: spans empty, ids and targets set).
 * fn returning an error stops and is returned. */
struct store_block {
    uint64_t block;
    wall_ms time;
    const struct event *const *events;
    size_t n_events;
    const struct store_record *records;
    size_t n_records;
};
MUST_USE enum err store_replay(struct store *store,
                               uint64_t from,
                               enum err (*fn)(void *ctx, const struct store_block *block),
                               void *ctx,
                               struct error *error);

/* By position: up to n events of seqs[] (ascending); ret_events[i] is a new reference or NULL
 * when that seq is gone (retention). */
MUST_USE enum err store_events(struct store *store,
                               const uint64_t *seqs,
                               size_t n,
                               struct event **ret_events,
                               struct error *error);
/* By id. OK with *ret_event NULL when there is none. */
MUST_USE enum err store_event_by_id(struct store *store,
                                    const uint8_t id[16],
                                    struct event **ret_event,
                                    struct error *error);
/* The map (webhook, sequence) -> event seq: fills ret_seqs[i] for sequences from..from+n-1;
 * 0 = gone or not yet. */
MUST_USE enum err store_lane(struct store *store,
                             uint32_t webhook,
                             uint64_t from,
                             size_t n,
                             uint64_t *ret_seqs,
                             struct error *error);
/* Every attempt of a delivery in order of commit. Bodies and details are copied into the result. */
struct store_attempts {
    struct attempt *attempts; /* owned with all its spans: store_attempts_release */
    size_t n;
    void *memory;
};
MUST_USE enum err store_attempts(struct store *store,
                                 uint32_t webhook,
                                 uint64_t sequence,
                                 struct store_attempts *ret_attempts,
                                 struct error *error);
void store_attempts_release(struct store_attempts *attempts);
/* As store_attempts, but only the last attempt of each of n sequences from..from+n-1 (without
 * body): found[i] false when there is none. For lists. */
MUST_USE enum err store_last_attempts(struct store *store,
                                      uint32_t webhook,
                                      uint64_t from,
                                      size_t n,
                                      struct attempt *ret_attempts,
                                      bool *ret_found,
                                      struct error *error);

/* --- config.db: what companies, credentials and webhooks are; each call durable and atomic --- */

/* ERR_EXISTS when the name is taken. Ids are given by the store when 0 and never reused. first: a
 * credential that is made with it or not at all (its company is filled in), or NULL. */
MUST_USE enum err store_put_company(struct store *store,
                                    struct company *company,
                                    struct credential *first,
                                    struct error *error);
MUST_USE enum err
store_put_credential(struct store *store, const struct credential *credential, struct error *error);
MUST_USE enum err
store_delete_credential(struct store *store, const char *api_id, struct error *error);
/* Inserts (number 0: given by the store, never reused) or replaces by number. A changed
 * url_revision also keeps (number, revision, url) in the URL history. ERR_EXISTS when the token
 * or uuid is taken. */
MUST_USE enum err
store_put_webhook(struct store *store, struct webhook *webhook, struct error *error);
MUST_USE enum err store_delete_webhook(struct store *store, uint32_t number, struct error *error);
/* The URL of a revision; malloc'ed; OK with NULL when unknown. Kept after deletion. */
MUST_USE enum err store_webhook_url(
    struct store *store, uint32_t number, uint32_t revision, char **ret_url, struct error *error);
/* Everything, at start. Callbacks get borrowed objects. */
struct store_conf_visitor {
    void (*company)(void *ctx, const struct company *company);
    void (*credential)(void *ctx, const struct credential *credential);
    void (*webhook)(void *ctx, const struct webhook *webhook);
    void *ctx;
};
MUST_USE enum err
store_load_conf(struct store *store, const struct store_conf_visitor *visitor, struct error *error);

/* --- figures --- */

struct store_stats {
    uint64_t bytes_on_disk, free_bytes, log_files;
    uint64_t commits, fsync_us_total, commit_us_total;
};
void store_stats(struct store *store, struct store_stats *ret_stats);

/* --- copies of a whole data directory; no open store is needed --- */

/* While a copy goes on: bytes done and about how many there will be. false = stop. */
struct store_watch {
    bool (*step)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};
struct store_copied {
    uint64_t files, bytes;
    uint64_t first_seq, event_seq; /* oldest and last event in the copy; event_seq 0 = none */
    uint64_t block;                /* last commit in the copy, 0 = none */
    wall_ms time;                  /* of that commit */
};
/* Copies the data in `from` into `to`, an existing directory of our own, while a server works on
 * `from` or not. The copy is what a power cut at some moment of the call would have left: all that
 * was acknowledged before the call is in it. Durable on return. What an earlier copy left in `to`
 * is removed first; after a failure nothing is left there. Takes no lock and changes nothing, but
 * a write-ahead log that a crash left may be folded into its file. ERR_NOT_FOUND when `from` holds
 * no data; ERR_SHUTDOWN when the watch said stop. Blocks; any thread. */
MUST_USE enum err store_backup(const char *from,
                               const char *to,
                               const struct store_watch *watch,
                               struct store_copied *ret_copied,
                               struct error *error);
/* The way back: as store_backup, and verifies every file of the copy (format, SQLite's integrity
 * check, that the log has no gap). `to` is an existing, empty directory and becomes a data
 * directory with the last step: until then no store can be opened there. ERR_CORRUPT when the copy
 * is bad. */
MUST_USE enum err store_restore(const char *from,
                                const char *to,
                                const struct store_watch *watch,
                                struct store_copied *ret_copied,
                                struct error *error);

/* --- faults, for tests: the nth write, fsync or rename from now on fails once --- */
enum store_fault { STORE_FAULT_NONE, STORE_FAULT_WRITE, STORE_FAULT_SYNC, STORE_FAULT_FULL };
void store_inject_fault(struct store *store, enum store_fault fault, unsigned countdown);

#endif
