/* breaker.h: keeps off a receiver that cannot be reached, and finds out when it can. Pure.
 *
 *            a success, from anywhere
 *      +----------------------------------+
 *      v                                  |
 *   CLOSED --dead (window.h)--> DEAD --probe_at--> DUE --its one attempt starts--> PROBING
 *      ^                         ^                  ^                                | | |
 *      |                         +--failed: longer--|--------------------------------+ | |
 *      |                                            +--it came to nothing--------------+ |
 *      +--answered-----------------------------------------------------------------------+
 *
 * While it is not CLOSED the lane's deliveries wait as they are: what was not tried does not use
 * up its retry schedule. The backlog is let out through the window, never by a timer. It also
 * remembers whether the webhook is proven, as that decides what of the window may be used.
 * Source: the delivery design (breaker: 60 s doubling to 1 h, +-20 %, one probe at window 1). */
#ifndef HOOK_BREAKER_H
#define HOOK_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/rng.h"
#include "hook/verdict.h"
#include "hook/window.h"

#define BREAKER_FIRST_MS       (60 * MS_PER_S)
#define BREAKER_MAX_MS         MS_PER_HOUR
#define BREAKER_JITTER_PERCENT 20

struct breaker_times {
    int64_t
        first_ms;   /* the pause after the first death; 0 = nobody dies, the window shrinks only */
    int64_t max_ms; /* it doubles up to this, >= first_ms */
};

enum breaker_state {
    BREAKER_CLOSED,  /* the window rules */
    BREAKER_DEAD,    /* nothing starts before probe_at */
    BREAKER_DUE,     /* one attempt may start when no older one is in flight */
    BREAKER_PROBING, /* that attempt is in flight */
    BREAKER_STATES
};

struct breaker {
    enum breaker_state state;
    bool proven; /* the last signal was + */
    struct window window;
    int64_t backoff_ms; /* of the last death since the last +; 0 = none */
    mono_ms probe_at;   /* while DEAD */
};

/* CLOSED, with the ceiling of its window. */
void breaker_init(struct breaker *breaker, unsigned limit, bool proven);
/* Attempts in flight at most: 0 = none may start. */
unsigned breaker_allows(const struct breaker *breaker);
/* An attempt starts. */
void breaker_start(struct breaker *breaker);
/* An attempt ended; in_flight counts it. One that started before the death may revive, but it
 * cannot kill again. now only matters at a death: probe_at = now + back-off +-20 %. */
void breaker_end(struct breaker *breaker,
                 enum signal_kind signal,
                 unsigned in_flight,
                 const struct breaker_times *times,
                 mono_ms now,
                 struct rng *rng);
/* Time has passed: from DEAD to DUE when the probe may start. */
void breaker_wake(struct breaker *breaker, mono_ms now);
/* ASSERTs its invariants. */
void breaker_check(const struct breaker *breaker, unsigned in_flight);

#endif
