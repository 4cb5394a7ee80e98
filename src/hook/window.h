/* window.h: how many attempts one webhook may have in flight. Pure.
 *
 * The 1/N law in integers: after about `size` successes in a row the window grows by one, at the
 * END of that cycle; among about `size` failures it shrinks by one, at the START of the cycle.
 * So it creeps up and is never halved, and a receiver that takes only five at once is refused one
 * request in six instead of every second one (tests/sim/window_sim.c measures it). An idle
 * receiver cannot bank a window: it grows only when nearly all of it is in use.
 *
 * Beside the size it keeps the failed cohort: each failure of a whole window without one success
 * between adds up to 1,000,000; at WINDOW_COHORT_PPM the receiver counts as dead (breaker.h).
 * Source: Postfix's SCHEDULER_README ("1/N feedback"), without the rounding guard of its code. */
#ifndef HOOK_WINDOW_H
#define HOOK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_INITIAL    5
#define WINDOW_LIMIT      20 /* the default ceiling */
#define WINDOW_COHORT_PPM 3000000

struct window {
    unsigned size;       /* 1 <= size <= limit */
    unsigned limit;      /* its ceiling */
    unsigned up, down;   /* credit of the running cycle; up < size, down <= limit */
    uint32_t cohort_ppm; /* < WINDOW_COHORT_PPM */
};

/* Opens at min(WINDOW_INITIAL, limit), without credit and without a cohort. limit: 1 and up. */
void window_init(struct window *window, unsigned limit);
/* A new ceiling, 1 and up; a larger size is cut. */
void window_limit(struct window *window, unsigned limit);
/* Where it opens, and what a webhook that is not proven may have: min(WINDOW_INITIAL, limit). */
unsigned window_initial(const struct window *window);
/* A success. in_flight counts the one that is ending. */
void window_grow(struct window *window, unsigned in_flight);
/* A failure that asks for fewer requests: 429, 502, 503, 504. */
void window_shrink(struct window *window);
/* A failure to be reached at all: shrinks and adds to the cohort. True = dead now. */
bool window_fail(struct window *window);
/* ASSERTs the ranges above. */
void window_check(const struct window *window);

#endif
