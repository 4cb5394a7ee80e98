/* window.c: see window.h. */
#include "hook/window.h"

#include "base/err.h"

enum { COHORT_PPM = 1000000 };

void window_init(struct window *window, unsigned limit)
{
    ASSERT(limit > 0);
    *window = (struct window){.limit = limit};
    window->size = window_initial(window);
}

void window_limit(struct window *window, unsigned limit)
{
    ASSERT(limit > 0);
    window->limit = limit;
    if (window->size > limit)
        window->size = limit;
    if (window->up >= window->size || window->down > limit)
        window->up = window->down = 0;
}

unsigned window_initial(const struct window *window)
{
    return window->limit < WINDOW_INITIAL ? window->limit : WINDOW_INITIAL;
}

void window_grow(struct window *window, unsigned in_flight)
{
    window->cohort_ppm = 0;
    if (window->size >= window->limit || window->size >= in_flight + window_initial(window))
        return;
    if (++window->up < window->size)
        return;
    window->size++;
    window->up = window->down = 0;
}

void window_shrink(struct window *window)
{
    if (window->down > 0) {
        window->down--;
        return;
    }
    if (window->size > 1)
        window->size--;
    window->up = 0;
    window->down = window->size;
}

bool window_fail(struct window *window)
{
    window->cohort_ppm += COHORT_PPM / window->size;
    if (window->cohort_ppm >= WINDOW_COHORT_PPM) {
        window->cohort_ppm = 0;
        return true;
    }
    window_shrink(window);
    return false;
}

void window_check(const struct window *window)
{
    ASSERT(window->size >= 1 && window->size <= window->limit);
    ASSERT(window->up < window->size && window->down <= window->limit);
    ASSERT(window->cohort_ppm < WINDOW_COHORT_PPM);
}
