/* snapshot.h: lanes and keys, written piece by piece into the blocks of ordinary commits.
 *
 * Recovery starts at the block in which the last complete snapshot began. A lane's piece is its
 * state before the commit that carries it; what was folded into it before that is replaced, what
 * comes after it is folded on top. So no commit has to carry more than a small piece. */
#ifndef DELIVERY_SNAPSHOT_H
#define DELIVERY_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "delivery/keys.h"
#include "store/store.h"

struct snapshot;
struct engine;

struct snapshot *snapshot_new(struct engine *engine, struct keys *keys);
void snapshot_free(struct snapshot *snapshot);
/* Recovery folded so much: a server that is restarted often must not put the next one off for
 * ever. Before the first commit. */
void snapshot_resume(struct snapshot *snapshot, uint64_t replayed_bytes);

/* Prepares the records that commit `block` shall carry; may be none. */
void snapshot_begin_commit(struct snapshot *snapshot, uint64_t block);
size_t snapshot_records(const struct snapshot *snapshot);
const struct store_record *snapshot_record(const struct snapshot *snapshot, size_t i);
/* The commit is durable: counts its bytes, and marks the snapshot if it is complete now. */
void snapshot_end_commit(struct snapshot *snapshot,
                         struct event *const *events,
                         size_t n_events,
                         const struct store_record *records,
                         size_t n_records);

#endif
