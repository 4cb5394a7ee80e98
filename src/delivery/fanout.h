/* fanout.h: which webhooks an event is owed to (before the commit), and telling their couriers
 * (after it). */
#ifndef DELIVERY_FANOUT_H
#define DELIVERY_FANOUT_H

#include "delivery/engine_private.h"

/* Scratch memory of the committer. */
struct fanout_match {
    struct event_target *targets;
    size_t cap;
};
void fanout_match_release(struct fanout_match *match);

/* Gives the event its targets: each active or held webhook of its company that wants it, with
 * that webhook's next sequence. Cost: linear in the company's webhooks. */
void fanout_match(struct engine *engine, struct fanout_match *match, struct event *event);

/* Hands committed events to the couriers: one allocation per commit, none per delivery. */
void fanout_post(struct engine *engine, struct event *const *events, size_t n_events);

#endif
