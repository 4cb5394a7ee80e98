/* courier_retry.c: a delivery that somebody asks for again.
 *
 * The courier that has the lane folds and records it, so that both copies of the fold see it in the
 * same order as the results of attempts. Which courier that is, only the couriers know: they are
 * asked in turn. A lane that is on its way between two of them is at none for a moment. */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/courier_private.h"
#include "sys/clock.h"

struct retry_msg {
    struct loop_msg msg;
    struct courier *courier;
    struct retry_request *request;
};

/* Folds and records; true when the answer waits for the commit. */
static bool reopen(struct work_lane *w, struct retry_request *request)
{
    const struct lane_retry *retry = lane_retry_find(&w->lane, request->sequence);
    request->code = OK;
    if (!lane_active(&w->lane) || !lane_settled(&w->lane, request->sequence)) {
        request->code = ERR_CONFLICT;
        return false;
    }
    if (retry != NULL && retry->in_flight)
        return false; /* it is being sent at this moment */
    const struct reopening reopening = {
        .webhook = request->webhook,
        .sequence = request->sequence,
        .event_seq = request->event_seq,
        .order_hash = request->order_hash,
        .event_accepted_at = request->event_accepted_at,
        .attempts = request->attempts,
        .at = clock_wall_ms(),
    };
    struct results *results = courier_results(w->courier);
    results_begin(results, RECORD_REOPENED, request->webhook, request->sequence);
    reopening_encode(&results->bytes, &reopening);
    results_end(results);
    lane_fold_reopening(&w->lane, &reopening);
    list_push_back(&results->waiters, &request->node);
    work_lane_update(w);
    return true;
}

static void handle_retry(struct loop_msg *msg)
{
    struct retry_msg *carrier = CONTAINER_OF(msg, struct retry_msg, msg);
    struct courier *courier = carrier->courier;
    struct retry_request *request = carrier->request;
    free(carrier);
    struct work_lane *w = map_get(&courier->lanes, request->webhook);
    unsigned next = courier->index + 1;
    if (w != NULL && !w->gone) {
        if (!reopen(w, request))
            request->done(request);
    } else if (next < courier->engine->n_couriers) {
        courier_retry(courier->engine->couriers[next], request);
    } else {
        request->code = ERR_BUSY;
        request->done(request);
    }
}

void courier_retry(struct courier *courier, struct retry_request *request)
{
    struct retry_msg *carrier = mem_zero(1, sizeof *carrier);
    carrier->msg.handle = handle_retry;
    carrier->courier = courier;
    carrier->request = request;
    loop_post(courier->loop, &carrier->msg);
}
