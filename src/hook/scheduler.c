/* scheduler.c: see scheduler.h. One door changes the state of a lane: sched_move. */
#include "hook/scheduler.h"

#include "base/err.h"

/* [from][to] */
static const bool may_follow[SCHED_STATES][SCHED_STATES] = {
    [SCHED_IDLE] = {[SCHED_READY] = true},
    [SCHED_READY] = {[SCHED_IDLE] = true, [SCHED_FULL] = true, [SCHED_WAITING] = true},
    [SCHED_FULL] = {[SCHED_READY] = true},
    [SCHED_WAITING] = {[SCHED_READY] = true},
};

static void sched_move(struct sched *sched, struct sched_lane *lane, enum sched_state to)
{
    ASSERT(may_follow[lane->state][to]);
    list_remove(&lane->node);
    sched->counts[lane->state]--;
    list_push_back(&sched->lists[to], &lane->node);
    sched->counts[to]++;
    lane->state = to;
}

/* Where the lane belongs. Waiting comes first: a suspended lane shows as such, whatever it has. */
static enum sched_state state_for(const struct sched_lane *lane)
{
    if (lane->suspended)
        return SCHED_WAITING;
    if (!lane->has_first && !lane->has_retry)
        return SCHED_IDLE;
    return lane->in_flight >= lane->limit ? SCHED_FULL : SCHED_READY;
}

/* From one state that is not READY to another it goes through READY, for no time at all. */
static void settle(struct sched *sched, struct sched_lane *lane)
{
    enum sched_state to = state_for(lane);
    if (to == lane->state)
        return;
    if (lane->state != SCHED_READY)
        sched_move(sched, lane, SCHED_READY);
    if (to != SCHED_READY)
        sched_move(sched, lane, to);
}

void sched_init(struct sched *sched, unsigned slots)
{
    ASSERT(slots > 0);
    *sched = (struct sched){.slots = slots};
    for (unsigned state = 0; state < SCHED_STATES; state++)
        list_init(&sched->lists[state]);
}

void sched_lane_add(struct sched *sched, struct sched_lane *lane, unsigned limit)
{
    ASSERT(limit > 0);
    *lane = (struct sched_lane){.state = SCHED_IDLE, .limit = limit};
    list_push_back(&sched->lists[SCHED_IDLE], &lane->node);
    sched->counts[SCHED_IDLE]++;
}

void sched_lane_remove(struct sched *sched, struct sched_lane *lane)
{
    ASSERT(lane->in_flight == 0);
    list_remove(&lane->node);
    sched->counts[lane->state]--;
}

void sched_lane_limit(struct sched *sched, struct sched_lane *lane, unsigned limit)
{
    ASSERT(limit > 0);
    lane->limit = limit;
    settle(sched, lane);
}

void sched_update(
    struct sched *sched, struct sched_lane *lane, bool has_first, bool has_retry, bool suspended)
{
    lane->has_first = has_first;
    lane->has_retry = has_retry;
    lane->suspended = suspended;
    settle(sched, lane);
}

/* First attempts before retries, but a retry that waits gets one pick in SCHED_RETRY_SHARE. */
static enum sched_take choose(struct sched_lane *lane)
{
    bool turn = lane->since_retry + 1 >= SCHED_RETRY_SHARE;
    if (lane->has_retry && (turn || !lane->has_first)) {
        lane->since_retry = 0;
        return SCHED_RETRY;
    }
    if (lane->has_retry)
        lane->since_retry++;
    return SCHED_FIRST;
}

struct sched_lane *sched_pick(struct sched *sched, enum sched_take *ret_take)
{
    struct list *ring = &sched->lists[SCHED_READY];
    if (sched->in_flight >= sched->slots || list_empty(ring))
        return NULL;
    struct sched_lane *lane = CONTAINER_OF(list_pop_front(ring), struct sched_lane, node);
    list_push_back(ring, &lane->node);
    ASSERT(lane->state == SCHED_READY && lane->in_flight < lane->limit);
    *ret_take = choose(lane);
    lane->in_flight++;
    sched->in_flight++;
    settle(sched, lane);
    return lane;
}

void sched_done(struct sched *sched, struct sched_lane *lane)
{
    ASSERT(lane->in_flight > 0 && sched->in_flight > 0);
    lane->in_flight--;
    sched->in_flight--;
    settle(sched, lane);
}

static void check_lane(const struct sched_lane *lane, enum sched_state state)
{
    ASSERT(lane->state == state && state == state_for(lane));
    ASSERT(lane->limit > 0 && lane->since_retry < SCHED_RETRY_SHARE);
}

void sched_check(const struct sched *sched)
{
    unsigned long in_flight = 0;
    for (unsigned state = 0; state < SCHED_STATES; state++) {
        size_t count = 0;
        struct list *node;
        LIST_FOREACH (node, &sched->lists[state]) {
            const struct sched_lane *lane = CONTAINER_OF(node, struct sched_lane, node);
            check_lane(lane, (enum sched_state)state);
            in_flight += lane->in_flight;
            count++;
        }
        ASSERT(count == sched->counts[state]);
    }
    ASSERT(in_flight == sched->in_flight && sched->in_flight <= sched->slots);
}
