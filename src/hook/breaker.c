/* breaker.c: see breaker.h. One door changes the state: move. */
#include "hook/breaker.h"

#include "base/err.h"

enum { PERCENT = 100 };

/* [from][to] */
static const bool may_follow[BREAKER_STATES][BREAKER_STATES] = {
    [BREAKER_CLOSED] = {[BREAKER_DEAD] = true},
    [BREAKER_DEAD] = {[BREAKER_DUE] = true, [BREAKER_CLOSED] = true},
    [BREAKER_DUE] = {[BREAKER_PROBING] = true, [BREAKER_CLOSED] = true},
    [BREAKER_PROBING] = {[BREAKER_DEAD] = true, [BREAKER_DUE] = true, [BREAKER_CLOSED] = true},
};

static void move(struct breaker *breaker, enum breaker_state to)
{
    ASSERT(may_follow[breaker->state][to]);
    breaker->state = to;
}

void breaker_init(struct breaker *breaker, unsigned limit, bool proven)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED, .proven = proven};
    window_init(&breaker->window, limit);
}

unsigned breaker_allows(const struct breaker *breaker)
{
    if (breaker->state == BREAKER_DEAD)
        return 0;
    if (breaker->state != BREAKER_CLOSED)
        return 1;
    unsigned initial = window_initial(&breaker->window);
    bool capped = !breaker->proven && breaker->window.size > initial;
    return capped ? initial : breaker->window.size;
}

void breaker_start(struct breaker *breaker)
{
    ASSERT(breaker->state != BREAKER_DEAD && breaker->state != BREAKER_PROBING);
    if (breaker->state == BREAKER_DUE)
        move(breaker, BREAKER_PROBING);
}

/* Spread, so that what died together is not probed together. */
static void
die(struct breaker *breaker, const struct breaker_times *times, mono_ms now, struct rng *rng)
{
    int64_t next_ms = breaker->backoff_ms == 0 ? times->first_ms : 2 * breaker->backoff_ms;
    breaker->backoff_ms = next_ms < times->max_ms ? next_ms : times->max_ms;
    int64_t spread_ms = breaker->backoff_ms * BREAKER_JITTER_PERCENT / PERCENT;
    int64_t offset_ms = (int64_t)rng_below(rng, (uint64_t)(2 * spread_ms + 1));
    breaker->probe_at = now + breaker->backoff_ms - spread_ms + offset_ms;
    move(breaker, BREAKER_DEAD);
}

/* From any state that is not CLOSED. An answer that is no success opens the window by one only
 * and keeps the back-off: it proves that somebody is there, not that deliveries succeed. */
static void revive(struct breaker *breaker, bool success)
{
    move(breaker, BREAKER_CLOSED);
    breaker->probe_at = 0;
    window_init(&breaker->window, breaker->window.limit);
    if (success)
        breaker->backoff_ms = 0;
    else
        breaker->window.size = 1;
}

static void end_closed(struct breaker *breaker,
                       enum signal_kind signal,
                       unsigned in_flight,
                       const struct breaker_times *times,
                       mono_ms now,
                       struct rng *rng)
{
    switch (signal) {
    case SIGNAL_GOOD:
        breaker->backoff_ms = 0;
        window_grow(&breaker->window, in_flight);
        break;
    case SIGNAL_BAD:
    case SIGNAL_SUSPEND:
        window_shrink(&breaker->window);
        break;
    case SIGNAL_COHORT:
        if (window_fail(&breaker->window) && times->first_ms > 0)
            die(breaker, times, now, rng);
        break;
    case SIGNAL_NEUTRAL:
    case SIGNAL_NONE:
        break;
    }
}

static void end_probe(struct breaker *breaker,
                      enum signal_kind signal,
                      const struct breaker_times *times,
                      mono_ms now,
                      struct rng *rng)
{
    switch (signal) {
    case SIGNAL_GOOD:
        break; /* revived already */
    case SIGNAL_NEUTRAL:
    case SIGNAL_SUSPEND:
        revive(breaker, false);
        break;
    case SIGNAL_BAD:
    case SIGNAL_COHORT:
        die(breaker, times, now, rng);
        break;
    case SIGNAL_NONE:
        move(breaker, BREAKER_DUE);
        break;
    }
}

void breaker_end(struct breaker *breaker,
                 enum signal_kind signal,
                 unsigned in_flight,
                 const struct breaker_times *times,
                 mono_ms now,
                 struct rng *rng)
{
    ASSERT(in_flight > 0);
    if (signal != SIGNAL_NONE)
        breaker->proven = signal == SIGNAL_GOOD;
    if (breaker->state == BREAKER_CLOSED)
        end_closed(breaker, signal, in_flight, times, now, rng);
    else if (signal == SIGNAL_GOOD)
        revive(breaker, true);
    else if (breaker->state == BREAKER_PROBING)
        end_probe(breaker, signal, times, now, rng);
}

void breaker_wake(struct breaker *breaker, mono_ms now)
{
    if (breaker->state == BREAKER_DEAD && now >= breaker->probe_at)
        move(breaker, BREAKER_DUE);
}

void breaker_check(const struct breaker *breaker, unsigned in_flight)
{
    window_check(&breaker->window);
    ASSERT(breaker->state != BREAKER_PROBING || in_flight == 1);
    ASSERT(breaker->backoff_ms >= 0);
    ASSERT(breaker->state == BREAKER_CLOSED || breaker->backoff_ms > 0);
}
