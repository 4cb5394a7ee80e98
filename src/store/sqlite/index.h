/* index.h: the derived index of one log file: (webhook, sequence) -> event, and -> attempts.
 *
 *   commit --> tail (memory) --> index-FIRSTSEQ.db, in rows of 64 sequences, with a mark: every
 *                                block up to it is in; a start folds the blocks behind it again
 *
 * Never synced for its own sake and never needed for safety: a lost or damaged index is made again
 * from its log. Filling and flushing is the writer's; looking up is any thread's. A row that is
 * folded twice is the same row.
 *
 * The tail is guarded by `lock`, which the owner of the index gives (one for all files): only the
 * writer changes it, so the writer reads without. */
#ifndef STORE_SQLITE_INDEX_H
#define STORE_SQLITE_INDEX_H

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "store/sqlite/db.h"
#include "store/sqlite/pack.h"

/* What of one webhook is not in the file yet. */
struct tail_lane {
    struct list age;   /* index.age, by first_block */
    struct list ready; /* index.ready when there is a chunk's worth */
    uint32_t webhook;
    uint64_t first_block;       /* of the oldest entry */
    struct lane_entry *entries; /* ascending by sequence */
    size_t n_entries, cap_entries;
    struct refs refs; /* ascending by (block, offset) */
};

struct index {
    struct db db;
    pthread_mutex_t *lock;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *get_entries, *put_entries, *get_refs, *put_refs, *put_mark;
    uint64_t mark;
    struct map lanes; /* webhook -> struct tail_lane, those with something in them */
    struct list age, ready;
    size_t bytes;       /* of the tail */
    size_t ready_bytes; /* of it, in ready lanes */
    uint64_t last_block;
    struct buf buf;
    struct refs merged, sorted; /* scratch of a flush */
};

void index_init(struct index *index, pthread_mutex_t *lock);
/* Opens or creates the file, anew when it is damaged; reads the mark. */
MUST_USE enum err
index_open(struct index *index, const struct vfs *vfs, const char *path, struct error *error);
/* Closes the file; the tail, if any is left, is forgotten by index_release. */
void index_close(struct index *index);
void index_release(struct index *index);

/* Folds what a commit holds; the caller has the lock. offsets: as block_pack gave them. */
void index_add_event(struct index *index, uint64_t block, const struct event *event);
void index_add_record(struct index *index,
                      uint64_t block,
                      const struct store_record *record,
                      uint32_t offset);
/* The block was folded whole. */
void index_end_block(struct index *index, uint64_t block);

/* Writes to the file what is due: full rows first, everything when the tail grew too large or too
 * old or `all`; until `until`. OK when it stopped in time; *ret_more: there is more to write. */
MUST_USE enum err
index_flush(struct index *index, bool all, int64_t until_us, bool *ret_more, struct error *error);

/* From the tail only: sequences from..from+n-1; fills ret_seqs where it is 0. Any thread. */
void index_tail_entries(
    struct index *index, uint32_t webhook, uint64_t from, size_t n, uint64_t *ret_seqs);
/* The same for attempts; appends. */
void index_tail_refs(
    struct index *index, uint32_t webhook, uint64_t from, size_t n, struct refs *refs);

#endif
