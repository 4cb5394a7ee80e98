/* metrics.c: histograms of the delivery room. */
#include "delivery/metrics.h"

#include <math.h>

void histogram_add(struct histogram *histogram, uint64_t value_us)
{
    unsigned bucket = 0;
    uint64_t bound = 100;
    while (bucket < HISTOGRAM_BUCKETS - 1 && value_us > bound) {
        bound *= 2;
        bucket++;
    }
    atomic_fetch_add_explicit(&histogram->bucket[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, value_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
}

double histogram_bound_s(unsigned bucket)
{
    if (bucket >= HISTOGRAM_BUCKETS - 1)
        return INFINITY;
    return (double)(UINT64_C(100) << bucket) / 1e6;
}
