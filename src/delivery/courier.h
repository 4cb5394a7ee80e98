/* courier.h: one loop thread that delivers for the webhooks whose host:port hashes to it.
 *
 * Owns connections, TLS sessions, DNS answers and the working lanes of its webhooks; nothing of
 * that is locked. Other threads only post to it; none of the calls blocks. */
#ifndef DELIVERY_COURIER_H
#define DELIVERY_COURIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hook/event.h"
#include "http/url.h"

struct courier;
struct engine;

/* The events of one commit, shared by all couriers. */
struct fanout {
    atomic_uint refs;
    size_t n_events;
    struct event *events[];
};
void fanout_unref(struct fanout *fanout);

/* NULL with *error when the trust store or the resolver cannot be set up. */
struct courier *
courier_new(struct engine *engine, unsigned index, unsigned n_couriers, struct error *error);
/* Before courier_start: takes over the ledger's lane of a webhook (if it is this courier's). */
void courier_adopt(struct courier *courier, uint32_t webhook);
void courier_start(struct courier *courier);

/* --- any thread --- */

/* The webhook was created, changed or deleted: look at the registry. `create`: it is new and
 * this courier is the one that begins its lane (should its URL have changed since, the lane moves
 * on from here; without that rule two couriers could both begin it). */
void courier_configure(struct courier *courier, uint32_t webhook, bool create);
/* New events; takes one reference of the fanout. */
void courier_fanout(struct courier *courier, struct fanout *fanout);
/* So many results of this courier were committed: their slots are free again. */
void courier_committed(struct courier *courier, unsigned n_results);
/* Give up what is owed up to `through` if the webhook is still in the inactive epoch that it was
 * in when the caller looked. */
void courier_expire(struct courier *courier, uint32_t webhook, uint32_t epoch, uint64_t through);
/* Looks whether the lane is here; else passes the request on to the next courier, and ends it with
 * ERR_BUSY behind the last. */
struct retry_request;
void courier_retry(struct courier *courier, struct retry_request *request);
/* Stop picking. */
void courier_quiesce(struct courier *courier);
/* Attempts in flight. */
unsigned courier_in_flight(const struct courier *courier);
/* Ends the loop (attempts still in flight are given up: they stay owed), joins, and hands over the
 * last results. Then courier_free. */
void courier_stop(struct courier *courier);
void courier_free(struct courier *courier);

/* Which of n couriers owns a URL's host:port. */
unsigned courier_index(const struct url *url, unsigned n_couriers);

#endif
