/* event.h: an accepted event in memory, shared by committer, couriers and readers.
 *
 * Immutable after the commit that made it durable; counted references; the memory of all its
 * texts is its own. Pure. */
#ifndef HOOK_EVENT_H
#define HOOK_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/span.h"

#define EVENT_ID_BYTES 16

/* "This event is the sequence-th one owed to that webhook." */
struct event_target {
    uint32_t webhook;
    uint64_t sequence;
};

struct event {
    atomic_uint refs;
    uint64_t seq;               /* position in the log, from 1; 0 before the commit */
    uint8_t id[EVENT_ID_BYTES]; /* ULID, ascending with seq */
    uint32_t company;
    struct span name;      /* "call.created" */
    struct span resource;  /* "call" */
    struct span order_key; /* raw JSON scalar of the order-key path; empty = unordered */
    uint64_t order_hash;   /* of (resource, order_key), never 0; 0 = unordered */
    int64_t timestamp_s;   /* the envelope's */
    wall_ms accepted_at;
    struct span data;             /* the producer's bytes */
    struct event_target *targets; /* owned; n_targets 0 = nobody subscribed */
    uint32_t n_targets;
    size_t bytes; /* memory it takes, for the limits */
};

/* Copies all spans; seq, id, accepted_at and targets are left zero. One reference. */
struct event *event_new(uint32_t company,
                        struct span name,
                        struct span resource,
                        struct span order_key,
                        int64_t timestamp_s,
                        struct span data);
struct event *event_ref(struct event *event);
void event_unref(struct event *event); /* NULL allowed; any thread */
/* Copies; replaces earlier ones. Before the commit only. */
void event_set_targets(struct event *event, const struct event_target *targets, uint32_t n);

/* Stable 64-bit hash of (resource, key), never 0 unless key is empty. */
uint64_t event_order_hash(struct span resource, struct span key);

#endif
