/* index_private.h: between index.c and index_flush.c. */
#ifndef STORE_SQLITE_INDEX_PRIVATE_H
#define STORE_SQLITE_INDEX_PRIVATE_H

#include "store/sqlite/index.h"

size_t tail_lane_bytes(const struct tail_lane *lane);
/* Frees it; the caller has the lock, or is the only one who knows the index. */
void index_drop_lane(struct index *index, struct tail_lane *lane);

#endif
