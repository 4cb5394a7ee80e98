/* courier_lane.c: what a lane may start next.
 *
 * The window of LANE_WINDOW sequences after the cursor:
 *
 *   cursor   +1 +2 +3 +4 +5 ...            loaded        last
 *             S  F  h  h  K  h  h  h         |             |
 *   S settled ahead, F in flight, h hot (event in memory), K hot but its order key is in flight
 *
 * Only hot ones start; what lies behind `loaded` is read from the store in stretches, so a
 * backlog costs no memory. Invariants: cursor <= loaded <= cursor + LANE_WINDOW unless nothing
 * is owed; every bit of `flight` is a loaded, unsettled sequence. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delivery/courier_private.h"
#include "sys/clock.h"

/* Fetch when fewer hot events than this can still start. */
#define REFILL_BELOW 16
/* A stretch when memory is short: the courier's, or what the last stretch of this lane found. */
#define REFILL_TIGHT 2
/* So many due retries are looked at for one whose order key is free. */
#define RETRY_SCAN 32
/* Events that a tail has room for at first. */
#define TAIL_MIN 64
/* One lane may hold at most this part of the courier's hot memory. */
#define LANE_SHARE 16

static void timer_fired(struct loop_timer *timer)
{
    work_lane_update(CONTAINER_OF(timer, struct work_lane, timer));
}

struct work_lane *work_lane_new(struct courier *courier, struct target *target)
{
    struct work_lane *w = mem_zero(1, sizeof *w);
    w->courier = courier;
    lane_init(&w->lane, target->webhook.number);
    list_init(&w->gate_node);
    loop_timer_init(&w->timer, timer_fired);
    work_lane_set_target(w, target);
    return w;
}

void work_lane_set_target(struct work_lane *w, struct target *target)
{
    struct host_gate *gate = gate_ref(w->courier, target->host_hash);
    if (w->gate != NULL)
        work_lane_leave_gate(w);
    w->gate = gate;
    target_unref(w->target);
    w->target = target;
}

void work_lane_leave_gate(struct work_lane *w)
{
    struct host_gate *gate = w->gate;
    list_remove(&w->gate_node);
    w->gated = w->woken = false;
    w->gate = NULL;
    gate_wake(w->courier, gate);
    gate_unref(w->courier, gate);
}

static void drop_hot(struct work_lane *w, uint64_t sequence)
{
    if (w->heat == NULL)
        return;
    struct event **slot = &w->heat->hot[sequence % LANE_WINDOW];
    if (*slot == NULL)
        return;
    w->hot_bytes -= (*slot)->bytes;
    w->courier->hot_bytes -= (*slot)->bytes;
    w->tight = false;
    event_unref(*slot);
    *slot = NULL;
}

static void put_hot(struct work_lane *w, uint64_t sequence, struct event *event)
{
    if (w->heat == NULL)
        w->heat = mem_zero(1, sizeof *w->heat);
    ASSERT(w->heat->hot[sequence % LANE_WINDOW] == NULL);
    w->heat->hot[sequence % LANE_WINDOW] = event_ref(event);
    w->hot_bytes += event->bytes;
    w->courier->hot_bytes += event->bytes;
}

/* --- the tail --- */

static struct event *tail_take(struct work_lane *w)
{
    struct event *event = w->tail.ring[w->tail.first % w->tail.cap];
    w->tail.first++;
    w->tail.n--;
    w->hot_bytes -= event->bytes;
    w->courier->hot_bytes -= event->bytes;
    return event;
}

static void tail_clear(struct work_lane *w)
{
    while (w->tail.n > 0)
        event_unref(tail_take(w));
    free(w->tail.ring);
    w->tail.ring = NULL;
    w->tail.cap = 0;
}

static void tail_grow(struct tail *tail)
{
    unsigned cap = tail->cap == 0 ? TAIL_MIN : 2 * tail->cap;
    struct event **ring = mem_zero(cap, sizeof(struct event *));
    for (uint64_t s = tail->first; s < tail->first + tail->n; s++)
        ring[s % cap] = tail->ring[s % tail->cap];
    free(tail->ring);
    tail->ring = ring;
    tail->cap = cap;
}

/* Appends; starts only near the window, since a lane that is far behind would hold events that it
 * needs much later. Half of the courier's memory is for windows alone: tails of a few slow lanes
 * would otherwise leave the others one event at a time. */
static void tail_add(struct work_lane *w, uint64_t sequence, struct event *event)
{
    const struct courier *courier = w->courier;
    if (courier->hot_bytes + event->bytes > courier->hot_limit / 2 || w->tail.n == TAIL_MAX ||
        sequence > w->loaded + TAIL_MAX || (w->tail.n > 0 && sequence != w->tail.first + w->tail.n))
        return;
    if (w->tail.n == w->tail.cap)
        tail_grow(&w->tail);
    if (w->tail.n == 0)
        w->tail.first = sequence;
    w->tail.ring[sequence % w->tail.cap] = event_ref(event);
    w->tail.n++;
    w->hot_bytes += event->bytes;
    w->courier->hot_bytes += event->bytes;
}

/* Moves what follows the window into it. */
static void tail_to_window(struct work_lane *w)
{
    if (w->tail.n > 0 && w->tail.first <= w->loaded)
        tail_clear(w);
    while (w->tail.n > 0 && w->tail.first == w->loaded + 1 &&
           w->loaded < w->lane.cursor + LANE_WINDOW) {
        struct event *event = tail_take(w);
        w->loaded++;
        if (!lane_settled(&w->lane, w->loaded))
            put_hot(w, w->loaded, event);
        event_unref(event);
    }
}

/* Forgets the hot window; only while nothing is in flight. */
static void cool(struct work_lane *w)
{
    tail_clear(w);
    if (w->heat == NULL)
        return;
    ASSERT(w->in_flight == 0);
    for (unsigned i = 0; i < LANE_WINDOW; i++)
        drop_hot(w, i);
    free(w->heat);
    w->heat = NULL;
    w->loaded = w->lane.cursor;
}

void work_lane_free(struct work_lane *w)
{
    cool(w);
    if (w->fetch != NULL) {
        for (size_t i = 0; i < w->fetch->n; i++)
            event_unref(w->fetch->events[i]);
        free(w->fetch);
    }
    list_remove(&w->gate_node);
    if (w->gate != NULL)
        gate_unref(w->courier, w->gate);
    target_unref(w->target);
    lane_release(&w->lane);
    free(w);
}

struct event *work_lane_event(const struct work_lane *w, uint64_t sequence)
{
    return w->heat == NULL ? NULL : w->heat->hot[sequence % LANE_WINDOW];
}

/* --- order keys --- */

void work_lane_take_key(struct work_lane *w, uint64_t order_hash)
{
    if (order_hash == 0)
        return;
    if (w->heat == NULL)
        w->heat = mem_zero(1, sizeof *w->heat);
    ASSERT(w->heat->n_keys < LANE_WINDOW);
    w->heat->keys[w->heat->n_keys++] = order_hash;
}

void work_lane_drop_key(struct work_lane *w, uint64_t order_hash)
{
    if (order_hash == 0)
        return;
    for (unsigned i = 0; i < w->heat->n_keys; i++) {
        if (w->heat->keys[i] == order_hash) {
            w->heat->keys[i] = w->heat->keys[--w->heat->n_keys];
            return;
        }
    }
    BUG("an order key of webhook %u is not in flight", w->lane.webhook);
}

static bool key_in_flight(const struct work_lane *w, uint64_t order_hash)
{
    if (order_hash == 0 || w->heat == NULL)
        return false;
    for (unsigned i = 0; i < w->heat->n_keys; i++)
        if (w->heat->keys[i] == order_hash)
            return true;
    return false;
}

/* --- what may start --- */

/* Bits of loaded sequences that neither are settled nor in flight. */
static uint64_t startable(const struct work_lane *w)
{
    if (w->heat == NULL || w->loaded <= w->lane.cursor)
        return 0;
    uint64_t n = w->loaded - w->lane.cursor;
    uint64_t loaded = n >= LANE_WINDOW ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    return loaded & ~w->lane.ahead & ~w->flight;
}

int work_lane_first(const struct work_lane *w)
{
    for (uint64_t bits = startable(w); bits != 0; bits &= bits - 1) {
        int offset = __builtin_ctzll(bits);
        const struct event *event = work_lane_event(w, w->lane.cursor + 1 + (unsigned)offset);
        ASSERT(event != NULL);
        if (!key_in_flight(w, event->order_hash))
            return offset;
    }
    return -1;
}

/* The next retries in order until one whose key is free, at most RETRY_SCAN of them: each is the
 * least of `frontier`, the positions in the heap whose parents were seen. In order, since of one
 * key the earlier must start first. */
struct lane_retry *work_lane_retry(const struct work_lane *w)
{
    const struct heap *heap = &w->lane.retries_due;
    size_t frontier[RETRY_SCAN + 1] = {0};
    size_t n = heap->len > 0;
    if (n == 0)
        return NULL;
    wall_ms now = clock_wall_ms();
    for (unsigned seen = 0; seen < RETRY_SCAN && n > 0; seen++) {
        size_t least = 0;
        for (size_t i = 1; i < n; i++)
            if (heap->less(heap->nodes[frontier[i]], heap->nodes[frontier[least]]))
                least = i;
        size_t at = frontier[least];
        struct lane_retry *retry = CONTAINER_OF(heap->nodes[at], struct lane_retry, node);
        if (lane_retry_due(&w->lane, retry) > now)
            return NULL;
        if (!key_in_flight(w, retry->order_hash))
            return retry;
        frontier[least] = frontier[--n];
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->len; child++)
            frontier[n++] = child;
    }
    return NULL;
}

/* --- the hot window --- */

void work_lane_moved(struct work_lane *w, uint64_t old_cursor)
{
    uint64_t steps = w->lane.cursor - old_cursor;
    w->flight = steps >= LANE_WINDOW ? 0 : w->flight >> steps;
    for (uint64_t s = old_cursor + 1; s <= w->lane.cursor && s <= old_cursor + LANE_WINDOW; s++)
        drop_hot(w, s);
    if (w->loaded < w->lane.cursor)
        w->loaded = w->lane.cursor;
}

static bool has_budget(const struct work_lane *w, size_t bytes)
{
    const struct courier *courier = w->courier;
    return w->hot_bytes == 0 || (courier->hot_bytes + bytes <= courier->hot_limit &&
                                 w->hot_bytes + bytes <= courier->hot_limit / LANE_SHARE);
}

void work_lane_raise(struct work_lane *w, uint64_t sequence, struct event *event)
{
    lane_raise(&w->lane, sequence);
    if (sequence <= w->loaded || !lane_active(&w->lane) || work_lane_dead(w) ||
        !has_budget(w, event->bytes))
        return;
    bool next = w->loaded + 1 == sequence && sequence <= w->lane.cursor + LANE_WINDOW;
    if (!next || w->fetch != NULL) {
        tail_add(w, sequence, event);
        return;
    }
    put_hot(w, sequence, event);
    w->loaded = sequence;
}

/* Takes one event of a finished fetch; false when the rest of the fetch is of no use. */
static bool
take_fetched(struct work_lane *w, uint64_t sequence, uint64_t event_seq, struct event *event)
{
    if (!lane_active(&w->lane) || work_lane_dead(w) || sequence != w->loaded + 1 ||
        sequence > w->lane.cursor + LANE_WINDOW)
        return false;
    /* The tail is of later use. Left in place, it could fill the lane's share for ever. */
    if (event != NULL && !has_budget(w, event->bytes))
        tail_clear(w);
    if (event != NULL && !has_budget(w, event->bytes)) {
        w->tight = w->lean = true;
        return false;
    }
    w->loaded = sequence;
    if (lane_settled(&w->lane, sequence))
        return true;
    if (event != NULL)
        put_hot(w, sequence, event);
    else
        work_lane_give_up(w, sequence, event_seq);
    return true;
}

static void fetched(struct loop_msg *msg)
{
    struct read_job *job = CONTAINER_OF(msg, struct read_job, msg);
    struct work_lane *w = job->owner;
    ASSERT(w->fetch == job);
    w->fetch = NULL;
    bool useful = true;
    for (size_t i = 0; i < job->n; i++) {
        useful = useful && take_fetched(w, job->from + i, job->seqs[i], job->events[i]);
        event_unref(job->events[i]);
    }
    if (useful)
        w->lean = false;
    free(job);
    work_lane_update(w);
}

static void refill(struct work_lane *w)
{
    uint64_t ahead = w->loaded - w->lane.cursor;
    if (w->fetch != NULL || w->tight || w->loaded >= w->lane.last || ahead >= LANE_WINDOW ||
        __builtin_popcountll(startable(w)) >= REFILL_BELOW)
        return;
    uint64_t n = (w->tail.n > 0 ? w->tail.first - 1 : w->lane.last) - w->loaded;
    if (n > LANE_WINDOW - ahead)
        n = LANE_WINDOW - ahead;
    ASSERT(n > 0);
    bool lean = w->lean || w->courier->hot_bytes > w->courier->hot_limit;
    uint64_t most = lean ? REFILL_TIGHT : READ_JOB_MAX;
    if (n > most)
        n = most;
    struct read_job *job = mem_zero(1, sizeof *job);
    job->msg.handle = fetched;
    job->loop = w->courier->loop;
    job->owner = w;
    job->webhook = w->lane.webhook;
    job->from = w->loaded + 1;
    job->n = (size_t)n;
    w->fetch = job;
    reader_pool_read(w->courier->engine->readers, job);
}

void work_lane_give_up(struct work_lane *w, uint64_t sequence, uint64_t event_seq)
{
    const struct lane_retry *retry = lane_retry_find(&w->lane, sequence);
    const struct attempt attempt = {
        .webhook = w->lane.webhook,
        .sequence = sequence,
        .number = retry == NULL ? 0 : retry->attempts,
        .epoch = w->lane.epoch,
        .event_seq = event_seq,
        .started_at = clock_wall_ms(),
        .outcome = OUTCOME_FAILED,
        .detail = SPAN_LIT("the event is not stored any more"),
    };
    struct results *results = courier_results(w->courier);
    results_begin(results, RECORD_ATTEMPT, w->lane.webhook, sequence);
    attempt_encode(&results->bytes, &attempt);
    results_end(results);
    uint64_t cursor = w->lane.cursor;
    lane_fold_attempt(&w->lane, &attempt);
    work_lane_moved(w, cursor);
    atomic_fetch_add(&w->courier->engine->metrics.attempts_failed, 1);
}

/* --- waiting --- */

void work_lane_suspend(struct work_lane *w, mono_ms until)
{
    if (until > w->suspended_until)
        w->suspended_until = until;
}

bool work_lane_dead(const struct work_lane *w)
{
    return w->sched.breaker.state == BREAKER_DEAD;
}

static void arm(struct work_lane *w, bool open)
{
    struct loop *loop = w->courier->loop;
    mono_ms now = loop_now(loop);
    const struct lane_retry *next = lane_next_retry(&w->lane);
    if (open && w->suspended_until > now) {
        loop_timer_set(loop, &w->timer, w->suspended_until);
        return;
    }
    if (open && work_lane_dead(w)) {
        loop_timer_set(loop, &w->timer, sched_lane_probe_at(&w->sched));
        return;
    }
    wall_ms wait = open && next != NULL ? lane_retry_due(&w->lane, next) - clock_wall_ms() : 0;
    if (wait > 0)
        loop_timer_set(loop, &w->timer, now + wait);
    else
        loop_timer_clear(loop, &w->timer);
}

void work_lane_update(struct work_lane *w)
{
    struct courier *courier = w->courier;
    bool active = lane_active(&w->lane);
    bool leaving = w->gone || w->moving;
    bool open = active && !leaving && !atomic_load(&courier->quiesced);
    if (work_lane_dead(w))
        sched_wake(&courier->sched, &w->sched, loop_now(courier->loop));
    bool dead = work_lane_dead(w);
    if (w->in_flight == 0 && (!active || leaving || dead || w->lane.cursor == w->lane.last))
        cool(w);
    if (leaving && w->in_flight == 0 && w->fetch == NULL) {
        courier_part_with(w);
        return;
    }
    bool suspended = !open || w->gated || w->suspended_until > loop_now(courier->loop);
    /* Those that were held go first, oldest first; then the lane's own order. */
    const struct lane_retry *next = lane_next_retry(&w->lane);
    bool held = next != NULL && next->epoch < w->lane.epoch;
    size_t retries = map_len(&w->lane.retries);
    bool crowded = retries >= (size_t)courier->engine->settings->lane_exceptions;
    if (open && !crowded && !dead)
        tail_to_window(w);
    bool has_first = open && !held && !crowded && work_lane_first(w) >= 0;
    bool has_retry = open && work_lane_retry(w) != NULL;
    sched_update(&courier->sched, &w->sched, has_first, has_retry, suspended);
    if (open && !crowded && !dead)
        refill(w);
    arm(w, open);
    if (w->gate != NULL && !w->gated && w->sched.state != SCHED_READY)
        gate_wake(courier, w->gate);
}
