/* lane.h: what a webhook is owed, as a fold of records. Pure.
 *
 *   sequence:  1 2 3 4 5 6 7 8 9 10 11 12 ...            last
 *              . . r . . | a . a .                          ^ raised by commits
 *                        ^ cursor
 *   up to the cursor every sequence had its first attempt; those that failed are in `retries` (r).
 *   After the cursor at most LANE_WINDOW sequences may be settled ahead of it (a, a bitmap).
 *
 * The same fold runs twice: in the courier on what it has done (working copy) and in the ledger on
 * what is committed; after a restart the courier starts from the ledger's. Both see the records
 * of a lane in the same order, so the window invariant holds in both:
 *   0 <= cursor <= last, ahead bit 0 is clear, every retry's sequence <= cursor + LANE_WINDOW,
 *   failures counts only attempts of the current epoch.
 */
#ifndef HOOK_LANE_H
#define HOOK_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/rng.h"
#include "hook/attempt.h"

#define LANE_WINDOW 64
#define LANE_TALLY  6

/* A delivery whose first attempt failed. Owned by its lane; a fold may free it, so whoever waits
 * for an attempt remembers the sequence, not the pointer. */
struct lane_retry {
    struct heap_node node; /* in lane.retries_due, by (heap_due, sequence) */
    wall_ms heap_due;      /* lane_retry_due when it was put there; private to lane.c */
    uint64_t sequence;
    uint64_t event_seq;
    uint64_t order_hash;
    wall_ms event_accepted_at;
    wall_ms due_at;    /* 0 when it was held */
    uint32_t attempts; /* so far */
    uint32_t epoch;    /* of the last attempt; < lane.epoch = was held, due at once */
    uint8_t step;
    bool in_flight; /* working copy only: such a one is out of the heap */
};

/* "3 x 503": what the failures since the last success were. */
struct lane_tally {
    uint16_t http_status; /* 0 = error */
    uint16_t error;
    uint32_t count;
};

struct lane {
    uint32_t webhook;
    uint32_t epoch; /* the webhook's current one */
    uint64_t cursor;
    uint64_t last;
    uint64_t ahead;          /* bit i: sequence cursor + 1 + i is settled */
    struct map retries;      /* sequence -> struct lane_retry */
    struct heap retries_due; /* those not in flight */
    bool paused;             /* by hand, copied from the webhook */
    wall_ms paused_at;
    /* health, of the current epoch */
    uint32_t failures;        /* consecutive failed requests */
    wall_ms first_failure_at; /* of those; 0 when none */
    bool deactivated;
    enum deactivation_reason reason;
    wall_ms deactivated_at;
    struct lane_tally tally[LANE_TALLY]; /* the last slot gathers "others" */
    bool proven;                         /* the last outcome came from a live site: SIGNAL_GOOD */
    wall_ms last_success_at;
    /* counters since the webhook exists */
    uint64_t delivered, failed, expired;
};

void lane_init(struct lane *lane, uint32_t webhook);
void lane_release(struct lane *lane);

bool lane_active(const struct lane *lane);
/* Deliveries not finished: after the cursor and not settled, plus retries. */
uint64_t lane_owed(const struct lane *lane);
bool lane_settled(const struct lane *lane, uint64_t sequence); /* first attempt done */
struct lane_retry *lane_retry_find(const struct lane *lane, uint64_t sequence);
/* The lowest sequence still owed, or 0. Cost: linear in the retries. */
uint64_t lane_oldest_owed(const struct lane *lane);
/* ASSERTs every invariant above. For tests and simulations. Cost: linear in the retries. */
void lane_check(const struct lane *lane);

/* --- retries, as the working copy takes them --- */

/* When the retry may start: 0 (at once) when it was held in an older epoch, else its due_at. Says
 * nothing about the lane being active. */
wall_ms lane_retry_due(const struct lane *lane, const struct lane_retry *retry);
/* The retry that is due first among those not in flight, or NULL: held ones before all others, the
 * oldest sequence first among equals. Left where it is. O(1). */
struct lane_retry *lane_next_retry(const struct lane *lane);
/* Marks it as in flight and takes it out of the heap. A fold of its attempt (or an expiry) ends
 * that; so does lane_retry_cancel, for an attempt that led to nothing (VERDICT_LOCAL). */
void lane_retry_start(struct lane *lane, struct lane_retry *retry);
void lane_retry_cancel(struct lane *lane, struct lane_retry *retry);

/* --- folding; every one is idempotent where the record was folded before --- */

/* The webhook's intent. A new epoch clears failures, tally and deactivation, and makes every
 * retry due at once with its schedule restarted (attempt numbers go on). An older epoch than the
 * lane's is ignored. Where among the records the new epoch comes makes no difference to the
 * result, as long as it comes before the first record of that epoch: the ledger hears of it
 * earlier than the courier, and recovery before all others. */
void lane_configure(struct lane *lane, uint32_t epoch, bool paused, wall_ms paused_at);
void lane_raise(struct lane *lane, uint64_t last); /* never lowers */
/* A finished attempt: settles a first attempt, makes, moves or ends a retry; counts health when
 * the attempt's epoch is current. Attempts of deliveries that expired meanwhile are ignored. One
 * that was given up without a request says nothing about health. A success after the deactivation
 * counts as delivered, and leaves the reasons of the deactivation standing. */
void lane_fold_attempt(struct lane *lane, const struct attempt *attempt);
/* One of another epoch than the lane's is ignored. */
void lane_fold_deactivation(struct lane *lane, const struct deactivation *deactivation);
/* `expired` grows by what was really still owed up to `through`, not by expiry->count. */
void lane_fold_expiry(struct lane *lane, const struct expiry *expiry);
/* A delivery whose first attempt is over is a retry again, or its retry is due now with the
 * schedule restarted. One that was not started, or whose retry is in flight, is left alone. */
void lane_fold_reopening(struct lane *lane, const struct reopening *reopening);

/* Snapshot of everything above (a lane that was never owed anything encodes in a few bytes). */
void lane_encode(struct buf *buf, const struct lane *lane);
/* Replaces the contents of an initialised lane, which is untouched on ERR_CORRUPT. */
MUST_USE enum err lane_decode(struct span bytes, struct lane *lane);

/* --- deciding (the courier, before it folds) --- */

struct retry_schedule {
    uint32_t delay_s[64];
    unsigned n;
    unsigned jitter_percent;
};

struct lane_policy {
    uint32_t failure_threshold; /* 0 = never deactivate */
    struct retry_schedule schedule;
};

/* What a request led to, from hook/verdict.h. */
enum verdict {
    VERDICT_DELIVERED,
    VERDICT_FAILED, /* counted, retried */
    VERDICT_GONE,   /* 410: deactivates at once, the delivery is held */
    VERDICT_LOCAL,  /* our own trouble: no attempt, nothing counted */
};

/* Fills outcome, due_at, step and counted of *attempt (whose other fields are set), and says
 * whether this attempt deactivates the webhook now (then *ret_deactivation is filled, to be folded
 * behind the attempt and recorded behind it in the same commit; should a crash still tear them
 * apart, the lane is active with too many failures, and the next failure deactivates it).
 * retry_after_s: honoured for 429 and 503, -1 none, capped at 3600: due not before. A failure
 * while the lane is inactive is OUTCOME_HELD; so is the one that deactivates, and it never
 * exhausts. One of an older epoch in a lane that was enabled meanwhile is due again at once.
 * `previous` is the delivery's retry entry (lane_retry_find), NULL for a first attempt or when the
 * delivery expired meanwhile. Not for VERDICT_LOCAL. */
bool lane_judge(const struct lane *lane,
                const struct lane_policy *policy,
                enum verdict verdict,
                int64_t retry_after_s,
                const struct lane_retry *previous,
                wall_ms now,
                struct rng *rng,
                struct attempt *attempt,
                struct deactivation *ret_deactivation);

/* "inactive since 2026-11-25 01:02:03 UTC after 10 consecutive failed requests: 7 x time-out
 * while waiting for the response, 3 x 503; first failure 2026-... ; 214 deliveries held" or
 * "active; no failure since the last success" or "active; 7 of 10 failures: ..." or "switched off
 * by hand since ...". timeout_ms shows the deadline in the time-out's words ("at 5.0 s"). */
void lane_ledger_text(struct buf *buf, const struct lane *lane, uint32_t threshold, int timeout_ms);

#endif
