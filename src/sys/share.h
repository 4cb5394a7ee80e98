/* share.h: a bounded quantity that many take from, so divided that nobody can take it all.
 *
 * Who holds several claims may hold at most SHARE_OF_FREE times what is left free: one alone can
 * take 7/8 of all, the next one 7/8 of the rest, and so on; as claims end, the parts even out. An
 * owner's only claim is let in wherever it fits. Owner 0 is nobody in particular: only the limit
 * counts. Thread-safe; every take is matched by a give. Nothing fails. */
#ifndef SYS_SHARE_H
#define SYS_SHARE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

#define SHARE_OF_FREE 7

struct share {
    pthread_mutex_t lock;
    size_t limit;
    atomic_size_t used;
    struct map owners; /* those who hold something */
};

void share_init(struct share *share, size_t limit);
/* Everything must have been given back. */
void share_release(struct share *share);

/* Makes a claim of `amount`, or, with grows, adds `amount` to one that stands. False: there is no
 * room, or the owner's part is used up. While nothing at all is used, a new claim may be larger
 * than the limit. */
MUST_USE bool share_take(struct share *share, uint64_t owner, size_t amount, bool grows);
/* Ends a claim that came to `amount`. */
void share_give(struct share *share, uint64_t owner, size_t amount);

size_t share_used(const struct share *share);

#endif
