/* lane.c: see lane.h. The state and its folds; lane_judge.c decides, lane_codec.c is the snapshot,
 * lane_text.c the words.
 *
 * A sequence is in exactly one of these places:
 *
 *     not settled --first attempt--> in `retries` --retry--> (again in `retries`)
 *          |               |              |            |
 *          |               v              v            v
 *          +--expiry--> delivered | failed | expired            (a counter, nothing else is kept)
 *
 * Every fold first asks whether the sequence is still where the record found it; that makes it
 * idempotent. */
#include "hook/lane.h"

#include <stdlib.h>

#include "base/mem.h"
#include "hook/verdict.h"

/* As CONTAINER_OF, for a node that is only looked at. */
static const struct lane_retry *retry_of(const struct heap_node *node)
{
    return (const struct lane_retry *)(const void *)((const char *)node -
                                                     offsetof(struct lane_retry, node));
}

static bool due_first(const struct heap_node *a, const struct heap_node *b)
{
    const struct lane_retry *x = retry_of(a);
    const struct lane_retry *y = retry_of(b);
    if (x->heap_due != y->heap_due)
        return x->heap_due < y->heap_due;
    return x->sequence < y->sequence;
}

void lane_init(struct lane *lane, uint32_t webhook)
{
    *lane = (struct lane){.webhook = webhook};
    map_init(&lane->retries);
    heap_init(&lane->retries_due, due_first);
}

void lane_release(struct lane *lane)
{
    heap_release(&lane->retries_due);
    struct map_iter iter = {0};
    void *retry;
    while (map_next(&lane->retries, &iter, NULL, &retry))
        free(retry);
    map_release(&lane->retries);
    lane_init(lane, lane->webhook);
}

/* --- asking --- */

bool lane_active(const struct lane *lane)
{
    return !lane->paused && !lane->deactivated;
}

uint64_t lane_owed(const struct lane *lane)
{
    uint64_t unsettled = lane->last - lane->cursor - (unsigned)__builtin_popcountll(lane->ahead);
    return unsettled + map_len(&lane->retries);
}

bool lane_settled(const struct lane *lane, uint64_t sequence)
{
    if (sequence <= lane->cursor)
        return true;
    uint64_t bit = sequence - lane->cursor - 1;
    return bit < LANE_WINDOW && (lane->ahead >> bit & 1) != 0;
}

struct lane_retry *lane_retry_find(const struct lane *lane, uint64_t sequence)
{
    return map_get(&lane->retries, sequence);
}

uint64_t lane_oldest_owed(const struct lane *lane)
{
    uint64_t oldest = lane->cursor < lane->last ? lane->cursor + 1 : UINT64_MAX;
    struct map_iter iter = {0};
    uint64_t sequence;
    void *retry;
    while (map_next(&lane->retries, &iter, &sequence, &retry))
        oldest = sequence < oldest ? sequence : oldest;
    return oldest == UINT64_MAX ? 0 : oldest;
}

void lane_check(const struct lane *lane)
{
    ASSERT(lane->cursor <= lane->last);
    ASSERT((lane->ahead & 1) == 0);
    uint64_t room = lane->last - lane->cursor;
    ASSERT(room >= LANE_WINDOW || lane->ahead >> room == 0);
    ASSERT((lane->failures == 0) == (lane->first_failure_at == 0));
    size_t waiting = 0;
    struct map_iter iter = {0};
    uint64_t sequence;
    void *value;
    while (map_next(&lane->retries, &iter, &sequence, &value)) {
        const struct lane_retry *retry = value;
        ASSERT(retry->sequence == sequence && sequence >= 1);
        ASSERT(lane_settled(lane, sequence));
        ASSERT(heap_has(&retry->node) == !retry->in_flight);
        ASSERT(retry->in_flight || retry->heap_due == lane_retry_due(lane, retry));
        waiting += !retry->in_flight;
    }
    ASSERT(waiting == lane->retries_due.len);
    uint64_t tallied = 0;
    for (unsigned i = 0; i < LANE_TALLY; i++)
        tallied += lane->tally[i].count;
    ASSERT(tallied == lane->failures);
}

/* --- retries --- */

wall_ms lane_retry_due(const struct lane *lane, const struct lane_retry *retry)
{
    return retry->epoch < lane->epoch ? 0 : retry->due_at;
}

struct lane_retry *lane_next_retry(const struct lane *lane)
{
    struct heap_node *node = heap_peek(&lane->retries_due);
    return node == NULL ? NULL : CONTAINER_OF(node, struct lane_retry, node);
}

/* Puts the retry into the heap, or where it belongs there after a change. */
static void enqueue(struct lane *lane, struct lane_retry *retry)
{
    retry->in_flight = false;
    retry->heap_due = lane_retry_due(lane, retry);
    if (heap_has(&retry->node))
        heap_update(&lane->retries_due, &retry->node);
    else
        heap_push(&lane->retries_due, &retry->node);
}

void lane_retry_start(struct lane *lane, struct lane_retry *retry)
{
    ASSERT(!retry->in_flight);
    heap_remove(&lane->retries_due, &retry->node);
    retry->in_flight = true;
}

void lane_retry_cancel(struct lane *lane, struct lane_retry *retry)
{
    ASSERT(retry->in_flight);
    enqueue(lane, retry);
}

static void end_retry(struct lane *lane, struct lane_retry *retry)
{
    heap_remove(&lane->retries_due, &retry->node);
    map_remove(&lane->retries, retry->sequence);
    free(retry);
}

static void put_retry(struct lane *lane, const struct attempt *attempt)
{
    struct lane_retry *retry = lane_retry_find(lane, attempt->sequence);
    if (retry == NULL) {
        retry = mem_zero(1, sizeof(*retry));
        map_put(&lane->retries, attempt->sequence, retry);
    }
    retry->sequence = attempt->sequence;
    retry->event_seq = attempt->event_seq;
    retry->order_hash = attempt->order_hash;
    retry->event_accepted_at = attempt->event_accepted_at;
    retry->due_at = attempt->outcome == OUTCOME_RETRY ? attempt->due_at : 0;
    retry->attempts = attempt->number;
    retry->epoch = attempt->epoch;
    retry->step = attempt->step;
    enqueue(lane, retry);
}

/* --- folding --- */

static void clear_failures(struct lane *lane)
{
    lane->failures = 0;
    lane->first_failure_at = 0;
    memset(lane->tally, 0, sizeof(lane->tally));
}

void lane_configure(struct lane *lane, uint32_t epoch, bool paused, wall_ms paused_at)
{
    if (epoch < lane->epoch)
        return;
    lane->paused = paused;
    lane->paused_at = paused ? paused_at : 0;
    if (epoch == lane->epoch)
        return;
    lane->epoch = epoch;
    clear_failures(lane);
    lane->deactivated = false;
    lane->reason = 0;
    lane->deactivated_at = 0;
    struct map_iter iter = {0};
    void *value;
    while (map_next(&lane->retries, &iter, NULL, &value)) {
        struct lane_retry *retry = value;
        if (!retry->in_flight)
            enqueue(lane, retry);
    }
}

void lane_raise(struct lane *lane, uint64_t last)
{
    if (last > lane->last)
        lane->last = last;
}

/* Moves the cursor over what is settled right behind it. */
static void advance(struct lane *lane)
{
    while ((lane->ahead & 1) != 0) {
        lane->ahead >>= 1;
        lane->cursor++;
    }
}

static void settle(struct lane *lane, uint64_t sequence)
{
    /* Nobody may start an attempt outside the window, and records come in order: a record that
     * breaks this was not written by us. */
    ASSERT(sequence > lane->cursor && sequence - lane->cursor <= LANE_WINDOW);
    ASSERT(sequence <= lane->last);
    lane->ahead |= UINT64_C(1) << (sequence - lane->cursor - 1);
    advance(lane);
}

static void tally_failure(struct lane *lane, const struct attempt *attempt)
{
    struct lane_tally *slot = lane->tally;
    const struct lane_tally *others = &lane->tally[LANE_TALLY - 1];
    while (slot < others && slot->count > 0 &&
           (slot->http_status != attempt->http_status || slot->error != attempt->error))
        slot++;
    slot->count++;
    if (slot == others)
        return; /* stays without status and error */
    slot->http_status = attempt->http_status;
    slot->error = attempt->error;
}

static void count_health(struct lane *lane, const struct attempt *attempt)
{
    bool delivered = attempt->outcome == OUTCOME_DELIVERED;
    enum signal_kind signal = signal_of((enum http_error)attempt->error, attempt->http_status);
    if (signal != SIGNAL_NONE)
        lane->proven = signal == SIGNAL_GOOD;
    if (delivered)
        lane->last_success_at = attempt->started_at;
    if (attempt->epoch != lane->epoch)
        return;
    if (delivered && !lane->deactivated)
        clear_failures(lane);
    if (!attempt->counted)
        return;
    if (lane->failures == 0)
        lane->first_failure_at = attempt->started_at;
    lane->failures++;
    tally_failure(lane, attempt);
}

void lane_fold_attempt(struct lane *lane, const struct attempt *attempt)
{
    struct lane_retry *retry = lane_retry_find(lane, attempt->sequence);
    bool requested = attempt->number > (retry == NULL ? 0 : retry->attempts);
    if (!lane_settled(lane, attempt->sequence))
        settle(lane, attempt->sequence);
    else if (retry == NULL || (!requested && attempt->outcome != OUTCOME_FAILED))
        return; /* finished, expired or folded before */
    if (requested)
        count_health(lane, attempt);
    switch (attempt->outcome) {
    case OUTCOME_RETRY:
    case OUTCOME_HELD:
        put_retry(lane, attempt);
        return;
    case OUTCOME_DELIVERED:
        lane->delivered++;
        break;
    case OUTCOME_FAILED:
        lane->failed++;
        break;
    }
    if (retry != NULL)
        end_retry(lane, retry);
}

void lane_fold_deactivation(struct lane *lane, const struct deactivation *deactivation)
{
    if (deactivation->epoch != lane->epoch || lane->deactivated)
        return;
    lane->deactivated = true;
    lane->reason = deactivation->reason;
    lane->deactivated_at = deactivation->at;
}

/* Ends the retries up to `through`; returns how many. */
static uint64_t expire_retries(struct lane *lane, uint64_t through)
{
    uint64_t ended = 0;
    struct map_iter iter = {0};
    uint64_t sequence;
    void *retry;
    while (map_next(&lane->retries, &iter, &sequence, &retry)) {
        if (sequence > through)
            continue;
        end_retry(lane, retry);
        ended++;
    }
    return ended;
}

void lane_fold_expiry(struct lane *lane, const struct expiry *expiry)
{
    uint64_t through = expiry->through < lane->last ? expiry->through : lane->last;
    lane->expired += expire_retries(lane, through);
    if (through <= lane->cursor)
        return;
    uint64_t steps = through - lane->cursor;
    uint64_t passed =
        steps < LANE_WINDOW ? lane->ahead & ((UINT64_C(1) << steps) - 1) : lane->ahead;
    lane->expired += steps - (unsigned)__builtin_popcountll(passed);
    lane->ahead = steps < LANE_WINDOW ? lane->ahead >> steps : 0;
    lane->cursor = through;
    advance(lane);
}

void lane_fold_reopening(struct lane *lane, const struct reopening *reopening)
{
    struct lane_retry *retry = lane_retry_find(lane, reopening->sequence);
    if (reopening->sequence > lane->last || !lane_settled(lane, reopening->sequence) ||
        (retry != NULL && retry->in_flight))
        return;
    if (retry == NULL) {
        retry = mem_zero(1, sizeof(*retry));
        map_put(&lane->retries, reopening->sequence, retry);
        retry->sequence = reopening->sequence;
        retry->event_seq = reopening->event_seq;
        retry->order_hash = reopening->order_hash;
        retry->event_accepted_at = reopening->event_accepted_at;
        retry->attempts = reopening->attempts;
        retry->epoch = lane->epoch;
    }
    retry->due_at = reopening->at;
    retry->step = 0;
    enqueue(lane, retry);
}
