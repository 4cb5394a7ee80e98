/* metrics.h: the figures of the delivery room, updated by any thread, read by /metrics. */
#ifndef DELIVERY_METRICS_H
#define DELIVERY_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* A histogram with upper bounds in microseconds, as Prometheus wants them (cumulative when
 * rendered, plain here). Bounds: 100 us * 2^i, the last bucket is +Inf. */
#define HISTOGRAM_BUCKETS 20
struct histogram {
    atomic_uint_fast64_t bucket[HISTOGRAM_BUCKETS];
    atomic_uint_fast64_t sum_us;
    atomic_uint_fast64_t count;
};
void histogram_add(struct histogram *histogram, uint64_t value_us);
/* Upper bound of bucket i in seconds; the last one is infinity. */
double histogram_bound_s(unsigned bucket);

struct metrics {
    atomic_uint_fast64_t events_accepted;  /* 202, repeats by Idempotency-Key not counted */
    atomic_uint_fast64_t events_unmatched; /* of those, owed to nobody */
    atomic_uint_fast64_t events_replayed;  /* answers repeated by Idempotency-Key */
    atomic_uint_fast64_t ingest_refused_full, ingest_refused_busy;
    atomic_uint_fast64_t commits, commit_items;
    struct histogram commit_time, commit_batch; /* commit_batch counts items, not microseconds */
    atomic_uint_fast64_t attempts_delivered, attempts_retry, attempts_failed, attempts_held;
    atomic_uint_fast64_t attempts_local; /* our own troubles: not counted as attempts */
    atomic_uint_fast64_t deliveries_expired, deliveries_dropped;
    atomic_uint_fast64_t deactivations, enables;
    struct histogram attempt_time; /* DNS to head of response */
    struct histogram
        accept_to_first_byte; /* first attempts: acceptance to the response's first byte */
    /* gauges, refreshed by their owners */
    atomic_uint_fast64_t in_flight, lanes, lanes_inactive, lanes_dead, hot_bytes, commit_queue;
    atomic_uint_fast64_t deliveries_owed,
        deliveries_held; /* held: of those, by inactive webhooks */
    atomic_uint_fast64_t connections, idle_connections, handshakes, resumed, reused, stale_retries;
    atomic_uint_fast64_t network_paused; /* 1 while deliveries pause: the fault is ours */
};

#endif
