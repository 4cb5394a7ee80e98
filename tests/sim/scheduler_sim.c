/* scheduler_sim.c: the picker under random load, and what a hanging receiver costs the others.
 *
 * usage: test_sim_scheduler [SEEDS [FIRST]] */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/rng.h"
#include "hook/scheduler.h"

enum { LANES_MAX = 40, COMPANIES_MAX = 8, STEPS = 2000, DEFAULT_SEEDS = 4000 };

static const struct breaker_times times = {BREAKER_FIRST_MS, BREAKER_MAX_MS};

static uint64_t current_seed;

static void tell_seed(int signal_number)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "failed at seed %" PRIu64 "\n", current_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(2);
}

/* --- random load --- */

struct model {
    struct sched_lane lane;
    unsigned company;
    bool joined;
    bool was_ready;
    enum sched_tier tier;   /* on that ring, when was_ready */
    bool passed[LANES_MAX]; /* those picked since it joined its ring or had its own turn */
    unsigned denied;        /* first attempts in a row while it had a retry */
};

struct firm {
    struct sched_company company;
    bool was_ready[SCHED_TIERS];
    bool passed[SCHED_TIERS][COMPANIES_MAX];
};

struct world {
    struct rng rng;
    struct sched sched;
    mono_ms now;
    struct firm firms[COMPANIES_MAX];
    size_t n_firms;
    struct model models[LANES_MAX];
    size_t n;
};

static bool coin(struct world *w)
{
    return rng_below(&w->rng, 2) != 0;
}

/* Who joined a ring meanwhile stands behind all others: what was picked before does not count. */
static void note_rings(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct model *model = &w->models[i];
        bool ready = model->joined && model->lane.state == SCHED_READY;
        if (ready && (!model->was_ready || model->tier != model->lane.tier))
            memset(model->passed, 0, sizeof(model->passed));
        model->was_ready = ready;
        model->tier = model->lane.tier;
    }
    for (size_t i = 0; i < w->n_firms; i++) {
        struct firm *firm = &w->firms[i];
        for (unsigned tier = 0; tier < SCHED_TIERS; tier++) {
            bool ready = !list_empty(&firm->company.ready[tier]);
            if (ready && !firm->was_ready[tier])
                memset(firm->passed[tier], 0, sizeof(firm->passed[tier]));
            firm->was_ready[tier] = ready;
        }
    }
}

/* A lane waits at most one turn of its company's ring, a company one of the ring of companies:
 * nobody passes anybody twice. */
static void note_pick(struct world *w, struct model *picked, enum sched_tier tier)
{
    size_t number = (size_t)(picked - w->models);
    for (size_t i = 0; i < w->n; i++) {
        struct model *other = &w->models[i];
        if (!other->was_ready || other->tier != tier || other->company != picked->company)
            continue;
        ASSERT(other == picked || !other->passed[number]);
        other->passed[number] = true;
    }
    memset(picked->passed, 0, sizeof(picked->passed));
    for (size_t i = 0; i < w->n_firms; i++) {
        struct firm *firm = &w->firms[i];
        ASSERT(i == picked->company || !firm->was_ready[tier] ||
               !firm->passed[tier][picked->company]);
        firm->passed[tier][picked->company] = true;
    }
    memset(w->firms[picked->company].passed[tier], 0, sizeof(w->firms[0].passed[0]));
}

static void update(struct world *w, struct model *model)
{
    bool has_retry = coin(w);
    if (!has_retry)
        model->denied = 0;
    sched_update(&w->sched, &model->lane, coin(w), has_retry, rng_below(&w->rng, 5) == 0);
}

static unsigned share_of(const struct sched *sched)
{
    return sched->slots < SCHED_UNPROVEN_SHARE ? 1 : sched->slots / SCHED_UNPROVEN_SHARE;
}

static void pick(struct world *w)
{
    enum sched_take take;
    bool open = w->sched.in_flight[SCHED_UNPROVEN] < share_of(&w->sched);
    bool possible =
        sched_room(&w->sched) > 0 && (!list_empty(&w->sched.ring[SCHED_PROVEN]) ||
                                      (open && !list_empty(&w->sched.ring[SCHED_UNPROVEN])));
    struct sched_lane *lane = sched_pick(&w->sched, &take);
    ASSERT((lane != NULL) == possible); /* work-conserving */
    if (lane == NULL)
        return;
    struct model *model = CONTAINER_OF(lane, struct model, lane);
    ASSERT(take == SCHED_FIRST ? lane->has_first : lane->has_retry);
    ASSERT(lane->in_flight <= breaker_allows(&lane->breaker));
    ASSERT(lane->tier == SCHED_PROVEN || open);
    model->denied = take == SCHED_RETRY || !lane->has_retry ? 0 : model->denied + 1;
    ASSERT(model->denied < SCHED_RETRY_SHARE);
    note_pick(w, model, lane->tier);
}

static void end(struct world *w, struct model *model)
{
    static const enum signal_kind kinds[] = {
        SIGNAL_GOOD,    SIGNAL_GOOD, SIGNAL_GOOD,   SIGNAL_NONE,   SIGNAL_NEUTRAL,
        SIGNAL_SUSPEND, SIGNAL_BAD,  SIGNAL_COHORT, SIGNAL_COHORT, SIGNAL_COHORT};
    if (model->lane.in_flight == 0)
        return;
    /* Every third receiver is gone for good: else none would ever be dead. */
    bool gone = (model - w->models) % 3 == 0;
    enum signal_kind signal =
        gone ? SIGNAL_COHORT : kinds[rng_below(&w->rng, sizeof(kinds) / sizeof(kinds[0]))];
    sched_done(&w->sched, &model->lane, signal, w->now, &w->rng);
}

static void join(struct world *w, struct model *model)
{
    model->company = (unsigned)rng_below(&w->rng, w->n_firms);
    sched_lane_add(&w->sched, &w->firms[model->company].company, &model->lane,
                   1 + (unsigned)rng_below(&w->rng, 25), coin(w));
    model->joined = true;
    model->denied = 0;
}

static void step(struct world *w)
{
    struct model *model = &w->models[rng_below(&w->rng, w->n)];
    uint64_t what = rng_below(&w->rng, 100);
    w->now += (mono_ms)rng_below(&w->rng, 1000);
    if (!model->joined) {
        join(w, model);
    } else if (what < 30) {
        update(w, model);
    } else if (what < 60) {
        pick(w);
    } else if (what < 90) {
        end(w, model);
    } else if (what < 94) {
        sched_wake(&w->sched, &model->lane, w->now);
    } else if (what < 97) {
        sched_lane_limit(&w->sched, &model->lane, 1 + (unsigned)rng_below(&w->rng, 25));
    } else if (what < 98) {
        sched_lane_reset(&w->sched, &model->lane, coin(w));
    } else if (model->lane.in_flight == 0) {
        sched_lane_remove(&w->sched, &model->lane);
        model->joined = false;
    }
    sched_check(&w->sched);
    note_rings(w);
}

static void random_load(uint64_t seed)
{
    static struct world w;
    w = (struct world){0};
    rng_seed(&w.rng, seed);
    w.n = 1 + rng_below(&w.rng, LANES_MAX);
    w.n_firms = 1 + rng_below(&w.rng, COMPANIES_MAX);
    sched_init(&w.sched, 1 + (unsigned)rng_below(&w.rng, 60), &times);
    for (size_t i = 0; i < w.n_firms; i++)
        sched_company_init(&w.firms[i].company);
    for (int i = 0; i < STEPS; i++)
        step(&w);
}

/* --- receivers that hang --- */

enum { SITES = 50, HANGING_MAX = 250, SLOTS = 256 };
enum { WELL_MS = 100, HANGING_MS = 30000, RUN_MS = 120000 };

struct site {
    struct sched_lane lane;
    bool hangs;
};

struct request {
    struct heap_node node;
    mono_ms ends;
    struct site *site;
};

static bool ends_first(const struct heap_node *a, const struct heap_node *b)
{
    return ((const struct request *)(const void *)a)->ends <
           ((const struct request *)(const void *)b)->ends;
}

struct rush {
    struct rng rng;
    struct sched sched;
    struct sched_company company;
    struct site sites[SITES + HANGING_MAX];
    unsigned n;
    struct heap heap;
    struct request requests[SLOTS];
    struct request *spare[SLOTS];
    size_t n_spare;
    mono_ms now;
};

static void start_all(struct rush *r)
{
    enum sched_take take;
    struct sched_lane *lane;
    while ((lane = sched_pick(&r->sched, &take)) != NULL) {
        struct request *request = r->spare[--r->n_spare];
        request->site = CONTAINER_OF(lane, struct site, lane);
        request->ends = r->now + (request->site->hangs ? HANGING_MS : WELL_MS);
        heap_push(&r->heap, &request->node);
    }
}

/* Deliveries per second that 50 healthy receivers with endless work get beside so many that hang,
 * all of one company, over slots for a quarter of what they could use. */
static unsigned healthy_rate(unsigned hanging)
{
    static struct rush rush;
    struct rush *r = &rush;
    unsigned done = 0;
    *r = (struct rush){.n = SITES + hanging};
    rng_seed(&r->rng, 1);
    sched_init(&r->sched, SLOTS, &times);
    sched_company_init(&r->company);
    heap_init(&r->heap, ends_first);
    for (size_t i = 0; i < SLOTS; i++)
        r->spare[r->n_spare++] = &r->requests[i];
    for (unsigned i = 0; i < r->n; i++) {
        r->sites[i].hangs = i >= SITES;
        sched_lane_add(&r->sched, &r->company, &r->sites[i].lane, WINDOW_LIMIT, i < SITES);
        sched_update(&r->sched, &r->sites[i].lane, true, false, false);
    }
    while (r->now < RUN_MS) {
        start_all(r);
        struct request *ended = CONTAINER_OF(heap_pop(&r->heap), struct request, node);
        struct site *site = ended->site;
        r->now = ended->ends;
        done += !site->hangs;
        sched_done(&r->sched, &site->lane, site->hangs ? SIGNAL_COHORT : SIGNAL_GOOD, r->now,
                   &r->rng);
        for (unsigned i = SITES; site->hangs && i < r->n; i++)
            sched_wake(&r->sched, &r->sites[i].lane, r->now);
        r->spare[r->n_spare++] = ended;
    }
    heap_release(&r->heap);
    return done / (RUN_MS / 1000);
}

/* Those that hang can have a quarter of the slots, so the others keep three. */
static void hanging_receivers_cost_a_quarter_at_most(void)
{
    static const unsigned hanging[] = {0, 30, 120, 250};
    unsigned alone = healthy_rate(0);
    ASSERT(alone >= SLOTS * 1000 / WELL_MS * 98 / 100);
    for (size_t i = 0; i < sizeof(hanging) / sizeof(hanging[0]); i++) {
        unsigned rate = healthy_rate(hanging[i]);
        printf("%u hanging receivers: %u deliveries/s to 50 healthy ones\n", hanging[i], rate);
        ASSERT(rate >= alone * 74 / 100);
    }
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEEDS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    signal(SIGABRT, tell_seed);
    for (current_seed = first; current_seed < first + seeds; current_seed++)
        random_load(current_seed);
    hanging_receivers_cost_a_quarter_at_most();
    return 0;
}
