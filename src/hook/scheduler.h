/* scheduler.h: which lane of a courier loop may start its next attempt. Pure: no clock, no HTTP.
 *
 * It knows of a lane whether it has work, how much of it is in flight, whether it has to wait, and
 * how its receiver did so far (hook/breaker.h); what that work is, and when a suspension ends, is
 * the courier's business. A pick goes down three steps, each O(1) and in turn:
 *
 *   tier: proven | unproven  -->  ring of companies  -->  its ring of READY lanes  -->  first or
 *                                                                                        retry
 *
 * - A company takes one turn, however many webhooks it has; a webhook takes one turn, however much
 *   it is owed.
 * - Lanes that are not proven (their last attempt did not reach a receiver that is alive) share a
 *   quarter of the slots: while these are taken, that tier is shut. They get one pick in four
 *   while others wait too.
 * - A lane that may not start leaves its ring and returns when it may: nobody is looked at in
 *   vain, and while a slot is free and a tier that is not shut has a READY lane, a pick is made.
 *
 *         +------------ READY: on the rings, will be picked in turn ------------+
 *         | ^               | ^                 | ^                        | ^
 * no work | | work   limit  | | an      has to  | | may go on    breaker   | | probe is due, or
 *         | |       reached | | attempt   wait  | |              opened    | | reset
 *         v |               v | ended           v |                        v |
 *        IDLE              FULL               WAITING                     DEAD
 *
 * Each state has one list in `struct sched`, READY has the rings; every lane is on exactly one.
 * Only READY may follow or precede every other state. Nothing here allocates: the caller embeds
 * `struct sched_lane` and `struct sched_company`. Not thread-safe: one per courier loop. */
#ifndef HOOK_SCHEDULER_H
#define HOOK_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/rng.h"
#include "hook/breaker.h"

enum sched_state {
    SCHED_IDLE,    /* nothing to start */
    SCHED_READY,   /* has work and room for it */
    SCHED_FULL,    /* as many in flight as its window allows */
    SCHED_WAITING, /* suspended: told to wait, or inactive */
    SCHED_DEAD,    /* nothing before its probe */
    SCHED_STATES
};

enum sched_tier { SCHED_PROVEN, SCHED_UNPROVEN, SCHED_TIERS };

/* What a picked lane is to start. */
enum sched_take { SCHED_FIRST, SCHED_RETRY };

/* One in so many picks of a lane goes to a retry when it has one. */
#define SCHED_RETRY_SHARE 5
/* One in so many slots is for the lanes that are not proven, and so many of the picks. */
#define SCHED_UNPROVEN_SHARE 4

/* The ring entries of a company; the caller finds it by its number and keeps it while it has
 * lanes. Read-only outside. */
struct sched_company {
    struct list node[SCHED_TIERS];  /* on sched.ring[tier] while ready[tier] is not empty */
    struct list ready[SCHED_TIERS]; /* its READY lanes */
    size_t lanes;                   /* in any state; at 0 the caller may free it */
};

/* Read-only outside; changed by the functions below. */
struct sched_lane {
    struct list node; /* on a list of its state; CONTAINER_OF leads back to the owner's struct */
    struct sched_company *company;
    struct breaker breaker;
    enum sched_state state;
    enum sched_tier tier; /* follows breaker.proven */
    unsigned in_flight;   /* may exceed what the breaker allows when that fell meanwhile */
    bool has_first;
    bool has_retry;
    bool suspended;
    unsigned since_retry; /* first attempts picked while a retry was there, < SCHED_RETRY_SHARE */
};

struct sched {
    struct breaker_times times;
    unsigned slots;                  /* attempts in flight over all lanes, at most */
    unsigned in_flight[SCHED_TIERS]; /* by the tier that the lanes have now */
    unsigned since_unproven;         /* proven ones picked while an unproven one could be */
    struct list ring[SCHED_TIERS];   /* of companies */
    struct list lists[SCHED_STATES]; /* of lanes; that of READY stays empty */
    size_t counts[SCHED_STATES];     /* lanes by state */
};

/* slots: 1 and up. */
void sched_init(struct sched *sched, unsigned slots, const struct breaker_times *times);
void sched_company_init(struct sched_company *company);

/* Joins, IDLE. limit: ceiling of its window, 1 and up. proven: as its last outcome says. The
 * memory of both stays where it is until sched_lane_remove. */
void sched_lane_add(struct sched *sched,
                    struct sched_company *company,
                    struct sched_lane *lane,
                    unsigned limit,
                    bool proven);
/* Leaves. Nothing of it may be in flight (BUG). */
void sched_lane_remove(struct sched *sched, struct sched_lane *lane);
/* A new ceiling, in force from the next pick; what is in flight over it stays. */
void sched_lane_limit(struct sched *sched, struct sched_lane *lane, unsigned limit);
/* Forgets how the receiver did: it was enabled again, or is another one now (which is not proven).
 */
void sched_lane_reset(struct sched *sched, struct sched_lane *lane, bool proven);

/* What the lane has to start now: a first attempt, a retry that is due. suspended: not before the
 * next call says otherwise. A lane that stays READY keeps its turn. O(1). */
void sched_update(
    struct sched *sched, struct sched_lane *lane, bool has_first, bool has_retry, bool suspended);

/* Slots that are free. */
static inline unsigned sched_room(const struct sched *sched)
{
    return sched->slots - sched->in_flight[SCHED_PROVEN] - sched->in_flight[SCHED_UNPROVEN];
}

/* The next lane in turn and what it is to start, counted as in flight until sched_done; NULL when
 * no slot is free or no tier that is open has a READY lane, and only then. The caller tells by
 * sched_update what the lane has left before it picks again. O(1). */
struct sched_lane *sched_pick(struct sched *sched, enum sched_take *ret_take);

/* An attempt of the lane ended; SIGNAL_NONE when it could not be started after all, or was our own
 * trouble. O(1). */
void sched_done(struct sched *sched,
                struct sched_lane *lane,
                enum signal_kind signal,
                mono_ms now,
                struct rng *rng);
/* Time has passed: to be called for a lane whose probe is due (sched_lane_probe_at). */
void sched_wake(struct sched *sched, struct sched_lane *lane, mono_ms now);
/* When a lane that is dead may be probed, -1 for any other. */
mono_ms sched_lane_probe_at(const struct sched_lane *lane);

/* ASSERTs every invariant. For tests and simulations. Cost: linear in the lanes. */
void sched_check(const struct sched *sched);

#endif
