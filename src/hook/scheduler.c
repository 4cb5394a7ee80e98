/* scheduler.c: see scheduler.h. One door changes the state of a lane: sched_move. */
#include "hook/scheduler.h"

#include "base/err.h"

/* [from][to] */
static const bool may_follow[SCHED_STATES][SCHED_STATES] = {
    [SCHED_IDLE] = {[SCHED_READY] = true},
    [SCHED_READY] =
        {[SCHED_IDLE] = true, [SCHED_FULL] = true, [SCHED_WAITING] = true, [SCHED_DEAD] = true},
    [SCHED_FULL] = {[SCHED_READY] = true},
    [SCHED_WAITING] = {[SCHED_READY] = true},
    [SCHED_DEAD] = {[SCHED_READY] = true},
};

/* --- rings --- */

static void join_ring(struct sched *sched, struct sched_lane *lane)
{
    struct sched_company *company = lane->company;
    if (list_empty(&company->ready[lane->tier]))
        list_push_back(&sched->ring[lane->tier], &company->node[lane->tier]);
    list_push_back(&company->ready[lane->tier], &lane->node);
}

static void leave_ring(struct sched_lane *lane)
{
    struct sched_company *company = lane->company;
    list_remove(&lane->node);
    if (list_empty(&company->ready[lane->tier]))
        list_remove(&company->node[lane->tier]);
}

/* --- states --- */

static void sched_move(struct sched *sched, struct sched_lane *lane, enum sched_state to)
{
    ASSERT(may_follow[lane->state][to]);
    if (lane->state == SCHED_READY)
        leave_ring(lane);
    else
        list_remove(&lane->node);
    sched->counts[lane->state]--;
    if (to == SCHED_READY)
        join_ring(sched, lane);
    else
        list_push_back(&sched->lists[to], &lane->node);
    sched->counts[to]++;
    lane->state = to;
}

/* Where the lane belongs. Waiting comes first: a suspended lane shows as such, whatever it has. */
static enum sched_state state_for(const struct sched_lane *lane)
{
    if (lane->suspended)
        return SCHED_WAITING;
    if (lane->breaker.state == BREAKER_DEAD)
        return SCHED_DEAD;
    if (!lane->has_first && !lane->has_retry)
        return SCHED_IDLE;
    return lane->in_flight >= breaker_allows(&lane->breaker) ? SCHED_FULL : SCHED_READY;
}

static enum sched_tier tier_for(const struct sched_lane *lane)
{
    return lane->breaker.proven ? SCHED_PROVEN : SCHED_UNPROVEN;
}

/* Changes the ring: the turn in the old one is lost. */
static void change_tier(struct sched *sched, struct sched_lane *lane)
{
    bool ready = lane->state == SCHED_READY;
    if (ready)
        leave_ring(lane);
    sched->in_flight[lane->tier] -= lane->in_flight;
    lane->tier = tier_for(lane);
    sched->in_flight[lane->tier] += lane->in_flight;
    if (ready)
        join_ring(sched, lane);
}

/* From one state that is not READY to another it goes through READY, for no time at all. */
static void settle(struct sched *sched, struct sched_lane *lane)
{
    if (lane->tier != tier_for(lane))
        change_tier(sched, lane);
    enum sched_state to = state_for(lane);
    if (to == lane->state)
        return;
    if (lane->state != SCHED_READY)
        sched_move(sched, lane, SCHED_READY);
    if (to != SCHED_READY)
        sched_move(sched, lane, to);
}

/* --- coming and going --- */

void sched_init(struct sched *sched, unsigned slots, const struct breaker_times *times)
{
    ASSERT(slots > 0 && times->first_ms >= 0 && times->max_ms >= times->first_ms);
    *sched = (struct sched){.slots = slots, .times = *times};
    for (unsigned state = 0; state < SCHED_STATES; state++)
        list_init(&sched->lists[state]);
    for (unsigned tier = 0; tier < SCHED_TIERS; tier++)
        list_init(&sched->ring[tier]);
}

void sched_company_init(struct sched_company *company)
{
    company->lanes = 0;
    for (unsigned tier = 0; tier < SCHED_TIERS; tier++) {
        list_init(&company->node[tier]);
        list_init(&company->ready[tier]);
    }
}

void sched_lane_add(struct sched *sched,
                    struct sched_company *company,
                    struct sched_lane *lane,
                    unsigned limit,
                    bool proven)
{
    *lane = (struct sched_lane){.state = SCHED_IDLE, .company = company};
    breaker_init(&lane->breaker, limit, proven);
    lane->tier = tier_for(lane);
    company->lanes++;
    list_push_back(&sched->lists[SCHED_IDLE], &lane->node);
    sched->counts[SCHED_IDLE]++;
}

void sched_lane_remove(struct sched *sched, struct sched_lane *lane)
{
    ASSERT(lane->in_flight == 0);
    if (lane->state == SCHED_READY)
        leave_ring(lane);
    else
        list_remove(&lane->node);
    sched->counts[lane->state]--;
    lane->company->lanes--;
}

void sched_lane_limit(struct sched *sched, struct sched_lane *lane, unsigned limit)
{
    window_limit(&lane->breaker.window, limit);
    settle(sched, lane);
}

void sched_lane_reset(struct sched *sched, struct sched_lane *lane, bool proven)
{
    breaker_init(&lane->breaker, lane->breaker.window.limit, proven);
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

/* --- picking --- */

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

/* Lanes that lose their proof with much in flight may overdraw the share for as long as that
 * takes; nothing is started on top. */
static bool unproven_open(const struct sched *sched)
{
    unsigned share = sched->slots / SCHED_UNPROVEN_SHARE;
    return sched->in_flight[SCHED_UNPROVEN] < (share > 0 ? share : 1);
}

/* SCHED_TIERS = none. What is picked for want of a proven lane is nobody's turn: at a host without
 * room such picks are in vain, and would use up the turn each time. */
static enum sched_tier choose_tier(struct sched *sched)
{
    bool proven = !list_empty(&sched->ring[SCHED_PROVEN]);
    bool unproven = !list_empty(&sched->ring[SCHED_UNPROVEN]) && unproven_open(sched);
    bool turn = sched->since_unproven + 1 >= SCHED_UNPROVEN_SHARE;
    if (unproven && (turn || !proven)) {
        sched->since_unproven = proven ? 0 : sched->since_unproven;
        return SCHED_UNPROVEN;
    }
    if (unproven)
        sched->since_unproven++;
    return proven ? SCHED_PROVEN : SCHED_TIERS;
}

struct sched_lane *sched_pick(struct sched *sched, enum sched_take *ret_take)
{
    if (sched_room(sched) == 0)
        return NULL;
    enum sched_tier tier = choose_tier(sched);
    if (tier == SCHED_TIERS)
        return NULL;
    struct list *head = sched->ring[tier].next;
    struct sched_company *company = CONTAINER_OF(head - tier, struct sched_company, node);
    list_remove(head);
    list_push_back(&sched->ring[tier], head);
    struct list *node = list_pop_front(&company->ready[tier]);
    list_push_back(&company->ready[tier], node);
    struct sched_lane *lane = CONTAINER_OF(node, struct sched_lane, node);
    ASSERT(lane->state == SCHED_READY && lane->tier == tier);
    *ret_take = choose(lane);
    breaker_start(&lane->breaker);
    lane->in_flight++;
    sched->in_flight[tier]++;
    settle(sched, lane);
    return lane;
}

void sched_done(struct sched *sched,
                struct sched_lane *lane,
                enum signal_kind signal,
                mono_ms now,
                struct rng *rng)
{
    ASSERT(lane->in_flight > 0 && sched->in_flight[lane->tier] > 0);
    breaker_end(&lane->breaker, signal, lane->in_flight, &sched->times, now, rng);
    lane->in_flight--;
    sched->in_flight[lane->tier]--;
    settle(sched, lane);
}

void sched_wake(struct sched *sched, struct sched_lane *lane, mono_ms now)
{
    breaker_wake(&lane->breaker, now);
    settle(sched, lane);
}

mono_ms sched_lane_probe_at(const struct sched_lane *lane)
{
    return lane->breaker.state == BREAKER_DEAD ? lane->breaker.probe_at : -1;
}

/* --- checking --- */

struct tally {
    size_t counts[SCHED_STATES];
    unsigned in_flight[SCHED_TIERS];
};

static void check_lane(const struct sched_lane *lane, enum sched_state state, struct tally *tally)
{
    ASSERT(lane->state == state && state == state_for(lane));
    ASSERT(lane->tier == tier_for(lane) && lane->company->lanes > 0);
    ASSERT(lane->since_retry < SCHED_RETRY_SHARE);
    breaker_check(&lane->breaker, lane->in_flight);
    tally->counts[state]++;
    tally->in_flight[lane->tier] += lane->in_flight;
}

static void check_ring(const struct sched *sched, unsigned tier, struct tally *tally)
{
    struct list *entry;
    LIST_FOREACH (entry, &sched->ring[tier]) {
        const struct sched_company *company =
            CONTAINER_OF(entry - tier, struct sched_company, node);
        ASSERT(!list_empty(&company->ready[tier]));
        struct list *node;
        LIST_FOREACH (node, &company->ready[tier]) {
            const struct sched_lane *lane = CONTAINER_OF(node, struct sched_lane, node);
            ASSERT(lane->tier == tier && lane->company == company);
            check_lane(lane, SCHED_READY, tally);
        }
    }
}

void sched_check(const struct sched *sched)
{
    struct tally tally = {0};
    ASSERT(list_empty(&sched->lists[SCHED_READY]));
    for (unsigned state = 0; state < SCHED_STATES; state++) {
        struct list *node;
        LIST_FOREACH (node, &sched->lists[state])
            check_lane(CONTAINER_OF(node, struct sched_lane, node), (enum sched_state)state,
                       &tally);
    }
    for (unsigned tier = 0; tier < SCHED_TIERS; tier++)
        check_ring(sched, tier, &tally);
    for (unsigned state = 0; state < SCHED_STATES; state++)
        ASSERT(tally.counts[state] == sched->counts[state]);
    for (unsigned tier = 0; tier < SCHED_TIERS; tier++)
        ASSERT(tally.in_flight[tier] == sched->in_flight[tier]);
    ASSERT(sched->in_flight[SCHED_PROVEN] + sched->in_flight[SCHED_UNPROVEN] <= sched->slots);
    ASSERT(sched->since_unproven < SCHED_UNPROVEN_SHARE);
}
