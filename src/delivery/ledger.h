/* ledger.h: every lane as it is committed, and the numbers that the next commit may give out.
 *
 * The committer's thread is the only writer: it may read without the lock and takes it to write.
 * Any other thread looks through ledger_with, under the lock. Couriers hold working copies that
 * run ahead of this one by what is not committed yet; after a restart they start from here. */
#ifndef DELIVERY_LEDGER_H
#define DELIVERY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "hook/lane.h"
#include "hook/webhook.h"

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);

/* --- any thread --- */

/* Calls fn with the lane under the lock; false when there is no such webhook. */
bool ledger_with(struct ledger *ledger,
                 uint32_t webhook,
                 void (*fn)(void *ctx, const struct lane *lane),
                 void *ctx);
/* Calls fn for every lane under the lock, which is taken anew for every 256 lanes. */
void ledger_each(struct ledger *ledger, void (*fn)(void *ctx, const struct lane *lane), void *ctx);
/* The committed `last` of a webhook; 0 when unknown. */
uint64_t ledger_last(struct ledger *ledger, uint32_t webhook);

/* --- the committer's thread --- */

/* A new webhook, or a new epoch or pause of one. */
void ledger_configure(struct ledger *ledger, const struct webhook *webhook);
/* Forgets a lane; returns how many deliveries it was owed. */
uint64_t ledger_remove(struct ledger *ledger, uint32_t webhook);
/* The next sequence of a webhook; given out once, until committed or rolled back. */
uint64_t ledger_assign(struct ledger *ledger, uint32_t webhook);
/* The events of this commit were refused: what was assigned since the last call of either is
 * given out again, or stands. */
void ledger_assign_rollback(struct ledger *ledger);
void ledger_assign_commit(struct ledger *ledger);
/* A committed record or, in recovery, a record or target of the log. Records of webhooks that do
 * not exist any more are ignored. */
void ledger_fold(struct ledger *ledger, uint8_t kind, uint32_t webhook, struct span bytes);
void ledger_raise(struct ledger *ledger, uint32_t webhook, uint64_t sequence);
/* Recovery: a lane of a snapshot replaces what was folded so far; the webhook's present intent
 * (epoch, pause) is applied at once, since later records are of that epoch. */
void ledger_restore(struct ledger *ledger, uint32_t webhook, struct span bytes);
/* Recovery: while on, a record that does not fit its lane is skipped. The log is folded from the
 * begin of a snapshot, which is spread over several commits: until a lane's own piece comes,
 * records speak of a past of the lane that is not known, and that piece replaces the lane anyway.
 */
void ledger_partial(struct ledger *ledger, bool partial);

/* Snapshot walk: encodes the next lane into *buf; false at the end. Lanes that were added after
 * `begin` may be left out: their whole history lies behind the snapshot's begin. */
bool ledger_walk(struct ledger *ledger, bool begin, struct buf *buf, uint32_t *ret_webhook);
size_t ledger_count(const struct ledger *ledger);

#endif
