/* rate.c: one lock, one small entry per company. A window is measured on the monotonic clock; the
 * wall clock only names its end, once, so that every answer of a window shows the same second. */
#include "api/rate.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

struct window {
    mono_ms ends;
    int64_t reset_s;
    uint32_t used;
};

struct rate {
    uint32_t limit;
    int64_t window_ms;
    pthread_mutex_t lock;
    struct map windows; /* company -> struct window */
};

struct rate *rate_new(uint32_t limit, int64_t window_ms)
{
    struct rate *rate = mem_zero(1, sizeof(*rate));

    ASSERT(window_ms > 0);
    rate->limit = limit;
    rate->window_ms = window_ms;
    pthread_mutex_init(&rate->lock, NULL);
    map_init(&rate->windows);
    return rate;
}

void rate_free(struct rate *rate)
{
    struct map_iter iter = {0};
    void *window;

    if (rate == NULL)
        return;
    while (map_next(&rate->windows, &iter, NULL, &window))
        free(window);
    map_release(&rate->windows);
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

static int64_t seconds_up(int64_t ms)
{
    return (ms + MS_PER_S - 1) / MS_PER_S;
}

static struct window *find(struct rate *rate, uint32_t company)
{
    struct window *window = map_get(&rate->windows, company);

    if (window == NULL) {
        window = mem_zero(1, sizeof(*window));
        window->ends = INT64_MIN;
        map_put(&rate->windows, company, window);
    }
    return window;
}

static bool take(const struct rate *rate, struct window *window, uint32_t cost, wall_ms wall)
{
    uint32_t left = rate->limit - window->used;

    ASSERT(rate->limit > 0);
    if (cost <= left && left > 0) {
        window->used += cost;
        return true;
    }
    if (window->used > 0)
        return false;
    /* A fresh window and more than a whole one: let it pass and borrow from the next ones. */
    int64_t more = (cost - 1) / rate->limit;
    window->used = rate->limit;
    window->ends += more * rate->window_ms;
    window->reset_s = seconds_up(wall + (more + 1) * rate->window_ms);
    return true;
}

bool rate_take(struct rate *rate,
               uint32_t company,
               uint32_t cost,
               mono_ms now,
               wall_ms wall,
               struct rate_view *ret_view)
{
    if (rate->limit == 0) {
        *ret_view =
            (struct rate_view){RATE_UNLIMITED, RATE_UNLIMITED, seconds_up(wall + rate->window_ms),
                               (uint32_t)seconds_up(rate->window_ms)};
        return true;
    }
    pthread_mutex_lock(&rate->lock);
    struct window *window = find(rate, company);
    if (now >= window->ends) {
        window->used = 0;
        window->ends = now + rate->window_ms;
        window->reset_s = seconds_up(wall + rate->window_ms);
    }
    bool taken = take(rate, window, cost, wall);
    *ret_view = (struct rate_view){rate->limit, rate->limit - window->used, window->reset_s,
                                   (uint32_t)seconds_up(window->ends - now)};
    pthread_mutex_unlock(&rate->lock);
    return taken;
}
