/* scheduler.h: which lane of a courier loop may start its next attempt. Pure: no clock, no HTTP.
 *
 * It knows of a lane only whether it has work, how much of it is in flight and whether it has to
 * wait; what that work is, and when a suspension ends, is the courier's business. The policy is
 * simple today (lanes in turn, a fixed limit per lane, first attempts before retries); windows,
 * breakers and shares will change `limit` and add lists behind the same door.
 *
 *                 +--------- READY: on the ring, will be picked in turn ---------+
 *                 | ^                       | ^                                  | ^
 *         no work | | work     limit reached | | an attempt ended      suspended | | resumed
 *                 v |                       v |                                  v |
 *                IDLE                      FULL                               WAITING
 *
 * Each state has one list in `struct sched`; every lane is on exactly one. Only READY may follow
 * or precede every other state. Nothing here allocates: the caller embeds `struct sched_lane`.
 * Not thread-safe: one per courier loop. */
#ifndef HOOK_SCHEDULER_H
#define HOOK_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

enum sched_state {
    SCHED_IDLE,    /* nothing to start */
    SCHED_READY,   /* has work and room for it */
    SCHED_FULL,    /* as many in flight as its limit allows */
    SCHED_WAITING, /* suspended: told to wait, or inactive */
    SCHED_STATES
};

/* What a picked lane is to start. */
enum sched_take { SCHED_FIRST, SCHED_RETRY };

/* One in so many picks of a lane goes to a retry when it has one. */
#define SCHED_RETRY_SHARE 5

/* Read-only outside; changed by the functions below. */
struct sched_lane {
    struct list node; /* on sched.lists[state]; CONTAINER_OF leads back to the owner's struct */
    enum sched_state state;
    unsigned in_flight; /* <= limit, unless the limit was lowered meanwhile */
    unsigned limit;
    bool has_first;
    bool has_retry;
    bool suspended;
    unsigned since_retry; /* first attempts picked while a retry was there, < SCHED_RETRY_SHARE */
};

struct sched {
    unsigned slots;     /* attempts in flight over all lanes, at most */
    unsigned in_flight; /* the sum over all lanes */
    struct list lists[SCHED_STATES];
    size_t counts[SCHED_STATES]; /* their lengths */
};

/* slots: 1 and up. */
void sched_init(struct sched *sched, unsigned slots);

/* Joins, IDLE. limit: attempts of this lane in flight at most, 1 and up. The memory stays where it
 * is until sched_lane_remove. */
void sched_lane_add(struct sched *sched, struct sched_lane *lane, unsigned limit);
/* Leaves. Nothing of it may be in flight (BUG). */
void sched_lane_remove(struct sched *sched, struct sched_lane *lane);
/* A new limit, in force from the next pick; what is in flight over it stays. */
void sched_lane_limit(struct sched *sched, struct sched_lane *lane, unsigned limit);

/* What the lane has to start now: a first attempt, a retry that is due. suspended: not before the
 * next call says otherwise. A lane that stays READY keeps its turn. O(1). */
void sched_update(
    struct sched *sched, struct sched_lane *lane, bool has_first, bool has_retry, bool suspended);

/* Slots that are free. */
static inline unsigned sched_room(const struct sched *sched)
{
    return sched->slots - sched->in_flight;
}

/* The next lane in turn and what it is to start, counted as in flight until sched_done; NULL when
 * no slot is free or no lane is READY, and only then. The caller tells by sched_update what the
 * lane has left before it picks again. O(1). */
struct sched_lane *sched_pick(struct sched *sched, enum sched_take *ret_take);

/* An attempt of the lane ended (or could not be started after all). O(1). */
void sched_done(struct sched *sched, struct sched_lane *lane);

/* ASSERTs every invariant. For tests and simulations. Cost: linear in the lanes. */
void sched_check(const struct sched *sched);

#endif
