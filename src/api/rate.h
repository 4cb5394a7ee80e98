/* rate.h: fixed windows per company. The time is an argument. Any thread.
 *
 *   |<------- window ------->|          starts with the first call after the last one ended
 *   x  x x   x     (limit)   |x ...     what is over the limit waits for the next window
 *
 * One entry of about 100 bytes per company that ever called; companies are made by the operator,
 * so callers cannot make it grow. */
#ifndef API_RATE_H
#define API_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct rate;

/* limit 0 = off. window_ms > 0. */
struct rate *rate_new(uint32_t limit, int64_t window_ms);
void rate_free(struct rate *rate); /* NULL allowed */

/* What a limit that is off shows as limit and remaining: any client can count with it, and none
 * ever waits. */
#define RATE_UNLIMITED INT32_MAX

struct rate_view {
    uint32_t limit;
    uint32_t remaining;
    int64_t reset_s;     /* UNIX seconds at which the window ends */
    uint32_t reset_in_s; /* seconds until then, at least 1 */
};

/* Takes `cost` from the company's window: false (and nothing taken) when it has not so much left.
 * Cost 0 takes nothing and is false when nothing is left. A cost over the whole limit passes
 * in a fresh window, which then lasts as many windows as it is worth: so a batch larger than the
 * limit is possible, and the average stays. *ret_view is always filled. */
bool rate_take(struct rate *rate,
               uint32_t company,
               uint32_t cost,
               mono_ms now,
               wall_ms wall,
               struct rate_view *ret_view);

#endif
