/* year_sim.c: a year of a courier's scheduling on fake time: receivers that are well, hang, refuse,
 * fail or ask for patience by turns, for hours and days. Every invariant is asserted at every step,
 * and over the year: a receiver that cannot be reached is left alone but for its probes, one that
 * is well again is found within the longest pause, nobody waits behind another's receiver for
 * longer than a time-out, and nothing that was owed is lost.
 *
 * usage: test_sim_year [SEEDS [FIRST]]: the first of them lives a year, the others a week */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/mem.h"
#include "base/rng.h"
#include "hook/scheduler.h"

enum { PLACES = 24, COMPANIES = 6, SLOTS = 48, DEFAULT_SEEDS = 100, TIMEOUT_MS = 5000 };

#define DAY_MS    (24 * MS_PER_HOUR)
#define WEEK_MS   (7 * DAY_MS)
#define YEAR_MS   (365 * DAY_MS)
#define PAUSE_MAX (BREAKER_MAX_MS + BREAKER_MAX_MS * BREAKER_JITTER_PERCENT / 100)
#define PAUSE_MIN (BREAKER_MAX_MS - BREAKER_MAX_MS * BREAKER_JITTER_PERCENT / 100)

/* Until dead from the largest window (three cohorts of 20, 19, 18), what is in flight then, and
 * the probes of the first hour. */
enum { TRIES_UNTIL_DEAD = 60, TRIES_EARLY = TRIES_UNTIL_DEAD + WINDOW_LIMIT + 7 };

enum mode { WELL, HANGS, GONE, FAILS, BUSY, FLAKY, MODES };

struct place {
    struct sched_lane lane;
    enum mode mode;
    mono_ms mode_since;
    unsigned tries;  /* since then */
    unsigned fresh;  /* first attempts that may start */
    struct list due; /* retries that may start: struct item */
    unsigned n_due;
    unsigned waiting; /* retries that are not due yet */
    mono_ms suspended_until;
    mono_ms wakes_at;    /* a timer is set for then; 0 = none */
    mono_ms ready_since; /* on the proven ring since then, -1 = not on it */
};

enum kind { ARRIVAL, MODE, WAKE, RETRY, END };

struct item {
    struct heap_node node;
    struct list link; /* on place.due */
    mono_ms at;
    enum kind kind;
    struct place *place;
    unsigned step; /* RETRY, END: attempts before this one */
    enum signal_kind signal;
};

struct year {
    struct rng rng;
    struct sched sched;
    struct sched_company companies[COMPANIES];
    struct place places[PLACES];
    struct heap heap;
    mono_ms now, until;
    uint64_t accepted, delivered, attempts, deaths, steps;
};

static uint64_t current_seed;

static void tell_seed(int signal_number)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "failed at seed %" PRIu64 "\n", current_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(2);
}

static bool comes_first(const struct heap_node *a, const struct heap_node *b)
{
    return ((const struct item *)(const void *)a)->at < ((const struct item *)(const void *)b)->at;
}

static mono_ms between(struct year *y, mono_ms least, mono_ms most)
{
    return least + (mono_ms)rng_below(&y->rng, (uint64_t)(most - least + 1));
}

static struct item *plan(struct year *y, struct place *place, enum kind kind, mono_ms at)
{
    struct item *item = mem_zero(1, sizeof(*item));
    item->kind = kind;
    item->place = place;
    item->at = at;
    heap_push(&y->heap, &item->node);
    return item;
}

/* --- the scheduler's side --- */

static bool unreachable(enum mode mode)
{
    return mode == HANGS || mode == GONE;
}

static void set_timer(struct year *y, struct place *place)
{
    mono_ms at = sched_lane_probe_at(&place->lane);
    if (at < 0)
        at = place->suspended_until;
    if (at <= y->now || place->wakes_at == at)
        return;
    place->wakes_at = at;
    plan(y, place, WAKE, at);
}

static void watch(struct year *y, struct place *place)
{
    bool on_ring = place->lane.state == SCHED_READY && place->lane.tier == SCHED_PROVEN;
    if (!on_ring)
        place->ready_since = -1;
    else if (place->ready_since < 0)
        place->ready_since = y->now;
    ASSERT(!on_ring || y->now - place->ready_since <= TIMEOUT_MS);
    bool well = place->mode == WELL && y->now - place->mode_since > PAUSE_MAX + 2 * TIMEOUT_MS;
    ASSERT(!well || place->lane.state != SCHED_DEAD || place->fresh + place->n_due == 0);
}

static void update(struct year *y, struct place *place)
{
    sched_wake(&y->sched, &place->lane, y->now);
    sched_update(&y->sched, &place->lane, place->fresh > 0, place->n_due > 0,
                 y->now < place->suspended_until);
    sched_check(&y->sched);
    watch(y, place);
    set_timer(y, place);
    y->steps++;
}

static enum signal_kind answer(struct year *y, enum mode mode, mono_ms *ret_takes)
{
    *ret_takes = between(y, 20, 2000);
    switch (mode) {
    case HANGS:
        *ret_takes = TIMEOUT_MS;
        return SIGNAL_COHORT;
    case GONE:
        *ret_takes = 1;
        return SIGNAL_COHORT;
    case FAILS:
        return rng_below(&y->rng, 2) == 0 ? SIGNAL_NEUTRAL : SIGNAL_BAD;
    case BUSY:
        return SIGNAL_SUSPEND;
    case FLAKY:
        return rng_below(&y->rng, 4) == 0 ? SIGNAL_COHORT : SIGNAL_GOOD;
    case WELL:
    case MODES:
        break;
    }
    return SIGNAL_GOOD;
}

static void start(struct year *y, struct place *place, enum sched_take take)
{
    unsigned step = 0;
    if (take == SCHED_FIRST) {
        place->fresh--;
    } else {
        struct item *retry = CONTAINER_OF(list_pop_front(&place->due), struct item, link);
        step = retry->step;
        free(retry);
        place->n_due--;
    }
    mono_ms takes = 0;
    enum signal_kind signal = answer(y, place->mode, &takes);
    struct item *end = plan(y, place, END, y->now + takes);
    end->step = step;
    end->signal = signal;
    place->tries++;
    y->attempts++;
}

static void start_all(struct year *y)
{
    enum sched_take take;
    struct sched_lane *lane;
    unsigned share = SLOTS / SCHED_UNPROVEN_SHARE;
    while ((lane = sched_pick(&y->sched, &take)) != NULL) {
        struct place *place = CONTAINER_OF(lane, struct place, lane);
        ASSERT(lane->in_flight <= breaker_allows(&lane->breaker));
        ASSERT(lane->tier == SCHED_PROVEN || y->sched.in_flight[SCHED_UNPROVEN] <= share);
        place->ready_since = -1;
        start(y, place, take);
        update(y, place);
    }
    ASSERT(sched_room(&y->sched) == 0 || list_empty(&y->sched.ring[SCHED_PROVEN]));
}

/* --- what happens --- */

static void arrive(struct year *y, struct place *place)
{
    unsigned n = 1 + (unsigned)rng_below(&y->rng, rng_below(&y->rng, 20) == 0 ? 300 : 12);
    place->fresh += n;
    y->accepted += n;
    if (y->now < y->until)
        plan(y, place, ARRIVAL, y->now + between(y, MS_PER_S, 4 * MS_PER_HOUR));
    update(y, place);
}

static void change_mode(struct year *y, struct place *place)
{
    mono_ms lasted = y->now - place->mode_since;
    unsigned most = TRIES_EARLY + (unsigned)(lasted / PAUSE_MIN);
    ASSERT(!unreachable(place->mode) || place->tries <= most);
    bool well = y->now >= y->until || place->mode != WELL;
    place->mode = well ? WELL : (enum mode)(1 + rng_below(&y->rng, MODES - 1));
    place->mode_since = y->now;
    place->tries = 0;
    mono_ms next = y->now + between(y, MS_PER_MIN, well ? 6 * DAY_MS : DAY_MS);
    if (y->now < y->until)
        plan(y, place, MODE, next < y->until ? next : y->until);
}

static mono_ms retry_pause(struct year *y, unsigned step)
{
    static const int minutes[] = {0, 5, 30, 120, 300, 600};
    mono_ms pause = step == 0 ? 5 * MS_PER_S : minutes[step > 5 ? 5 : step] * MS_PER_MIN;
    return between(y, pause * 8 / 10, pause * 12 / 10);
}

static void end(struct year *y, const struct item *ended)
{
    struct place *place = ended->place;
    bool was_dead = place->lane.breaker.state == BREAKER_DEAD;
    sched_done(&y->sched, &place->lane, ended->signal, y->now, &y->rng);
    y->deaths += !was_dead && place->lane.breaker.state == BREAKER_DEAD;
    if (ended->signal == SIGNAL_GOOD) {
        y->delivered++;
    } else {
        struct item *retry = plan(y, place, RETRY, y->now + retry_pause(y, ended->step));
        retry->step = ended->step + 1;
        place->waiting++;
    }
    if (ended->signal == SIGNAL_SUSPEND)
        place->suspended_until = y->now + between(y, MS_PER_S, MS_PER_HOUR);
    update(y, place);
}

static void happen(struct year *y, struct item *item)
{
    struct place *place = item->place;
    switch (item->kind) {
    case ARRIVAL:
        arrive(y, place);
        break;
    case MODE:
        change_mode(y, place);
        break;
    case WAKE:
        update(y, place);
        break;
    case RETRY:
        list_push_back(&place->due, &item->link);
        place->n_due++;
        place->waiting--;
        update(y, place);
        return; /* kept until it starts */
    case END:
        end(y, item);
        break;
    }
    free(item);
}

static void begin(struct year *y, uint64_t seed, mono_ms until)
{
    static const struct breaker_times times = {BREAKER_FIRST_MS, BREAKER_MAX_MS};
    *y = (struct year){.now = 1, .until = until};
    rng_seed(&y->rng, seed);
    heap_init(&y->heap, comes_first);
    sched_init(&y->sched, SLOTS, &times);
    for (unsigned i = 0; i < COMPANIES; i++)
        sched_company_init(&y->companies[i]);
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *place = &y->places[i];
        /* The first company has most of the webhooks. */
        unsigned company = i < PLACES / 2 ? 0 : i % COMPANIES;
        sched_lane_add(&y->sched, &y->companies[company], &place->lane, WINDOW_LIMIT, false);
        list_init(&place->due);
        place->ready_since = -1;
        place->mode_since = y->now;
        plan(y, place, ARRIVAL, between(y, 1, MS_PER_HOUR));
        plan(y, place, MODE, between(y, 1, DAY_MS));
    }
}

/* After `until` all are well and nothing arrives: what is left is what was owed. */
static void live(uint64_t seed, mono_ms until)
{
    static struct year year;
    struct year *y = &year;
    begin(y, seed, until);
    struct heap_node *node;
    while ((node = heap_pop(&y->heap)) != NULL) {
        struct item *item = CONTAINER_OF(node, struct item, node);
        y->now = item->at;
        happen(y, item);
        start_all(y);
    }
    heap_release(&y->heap);
    ASSERT(y->delivered == y->accepted);
    ASSERT(y->sched.counts[SCHED_IDLE] == PLACES);
    ASSERT(y->now < until + 3 * DAY_MS);
    if (until == YEAR_MS)
        printf("a year: %" PRIu64 " events, %" PRIu64 " attempts, %" PRIu64 " deaths, %" PRIu64
               " steps\n",
               y->accepted, y->attempts, y->deaths, y->steps);
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEEDS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    signal(SIGABRT, tell_seed);
    for (current_seed = first; current_seed < first + seeds; current_seed++)
        live(current_seed, current_seed == first ? YEAR_MS : WEEK_MS);
    return 0;
}
