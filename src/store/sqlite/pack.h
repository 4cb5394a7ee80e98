/* pack.h: how events' targets, blocks of records and index rows lie in blobs. Pure. */
#ifndef STORE_SQLITE_PACK_H
#define STORE_SQLITE_PACK_H

#include "base/buf.h"
#include "store/store.h"

/* Index rows hold so many sequences of one webhook: those with the same sequence / CHUNK. */
#define CHUNK 64

/* "The event at `seq` is the sequence-th one owed to the webhook." */
struct lane_entry {
    uint64_t sequence, seq;
};

/* Where the record of an attempt lies. */
struct attempt_ref {
    uint64_t sequence;
    uint64_t block;
    uint32_t offset, len; /* in the block's blob */
    uint8_t outcome;
};

void targets_pack(struct buf *buf, const struct event *event);
/* Appends to *targets, a growing array; ret_n: how many. */
struct targets {
    struct event_target *list;
    size_t n, cap;
};
MUST_USE enum err targets_unpack(struct span bytes, struct targets *targets, uint32_t *ret_n);

/* offsets[i]: where the bytes of record i begin in the blob. */
void block_pack(struct buf *buf,
                const struct store_record *records,
                size_t n,
                uint32_t *ret_offsets);
/* Replaces the contents of *records; spans point into `bytes`. */
struct records {
    struct store_record *list;
    size_t n, cap;
};
MUST_USE enum err block_unpack(struct span bytes, struct records *records);

/* The outcome of an attempt's record, or 0 when it does not decode. */
uint8_t attempt_outcome(struct span record);

/* Entries of one chunk: ascending by sequence, no sequence twice. */
void entries_pack(struct buf *buf, const struct lane_entry *entries, size_t n);
MUST_USE enum err
entries_unpack(struct span bytes, uint64_t chunk, struct lane_entry ret[CHUNK], size_t *ret_n);

/* References of one chunk: ascending by (block, offset). */
struct refs {
    struct attempt_ref *list;
    size_t n, cap;
};
void refs_pack(struct buf *buf, const struct attempt_ref *refs, size_t n);
/* Appends. */
MUST_USE enum err refs_unpack(struct span bytes, uint64_t chunk, struct refs *refs);
void refs_add(struct refs *refs, struct attempt_ref ref);
/* Orders by (block, offset) and drops repeats. */
void refs_sort(struct refs *refs);

#endif
