/* scheduler_sim.c: the picker under random load, and what a hanging receiver costs the others.
 *
 * usage: test_sim_scheduler [SEEDS [FIRST]] */
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

enum { LANES_MAX = 40, STEPS = 2000, DEFAULT_SEEDS = 2000 };

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
    bool joined;
    size_t ahead;    /* lanes that were before it on the ring when it joined, less those picked */
    unsigned denied; /* first attempts in a row while it had a retry */
};

struct world {
    struct rng rng;
    struct sched sched;
    struct model models[LANES_MAX];
    size_t n;
};

static bool coin(struct world *w)
{
    return rng_below(&w->rng, 2) != 0;
}

/* Call around anything that may change states: who joins the ring stands behind all others. */
static void after_change(struct world *w, struct model *model, enum sched_state before)
{
    if (model->lane.state == SCHED_READY && before != SCHED_READY)
        model->ahead = w->sched.counts[SCHED_READY] - 1;
}

static void update(struct world *w, struct model *model)
{
    enum sched_state before = model->lane.state;
    bool has_retry = coin(w);
    if (!has_retry)
        model->denied = 0;
    sched_update(&w->sched, &model->lane, coin(w), has_retry, rng_below(&w->rng, 5) == 0);
    after_change(w, model, before);
}

static void pick(struct world *w)
{
    enum sched_take take;
    bool possible = sched_room(&w->sched) > 0 && w->sched.counts[SCHED_READY] > 0;
    struct sched_lane *lane = sched_pick(&w->sched, &take);
    ASSERT((lane != NULL) == possible); /* work-conserving */
    if (lane == NULL)
        return;
    struct model *model = CONTAINER_OF(lane, struct model, lane);
    ASSERT(take == SCHED_FIRST ? lane->has_first : lane->has_retry);
    model->denied = take == SCHED_RETRY || !lane->has_retry ? 0 : model->denied + 1;
    ASSERT(model->denied < SCHED_RETRY_SHARE);
    for (size_t i = 0; i < w->n; i++) {
        struct model *other = &w->models[i];
        if (!other->joined || other == model || other->lane.state != SCHED_READY)
            continue;
        ASSERT(other->ahead > 0); /* nobody is passed twice */
        other->ahead--;
    }
    if (lane->state == SCHED_READY)
        model->ahead = w->sched.counts[SCHED_READY] - 1;
}

/* A lane that leaves the ring without being picked shortens the wait of some of the others. */
static void count_ahead_anew(struct world *w)
{
    size_t ahead = 0;
    struct list *node;
    LIST_FOREACH (node, &w->sched.lists[SCHED_READY]) {
        struct model *model = CONTAINER_OF(node, struct model, lane.node);
        ASSERT(ahead <= model->ahead);
        model->ahead = ahead++;
    }
}

static void step(struct world *w)
{
    struct model *model = &w->models[rng_below(&w->rng, w->n)];
    enum sched_state before = model->lane.state;
    uint64_t what = rng_below(&w->rng, 100);
    if (!model->joined) {
        sched_lane_add(&w->sched, &model->lane, 1 + (unsigned)rng_below(&w->rng, 5));
        model->joined = true;
        model->denied = 0;
    } else if (what < 30) {
        update(w, model);
    } else if (what < 65) {
        pick(w);
    } else if (what < 95) {
        if (model->lane.in_flight > 0) {
            sched_done(&w->sched, &model->lane);
            after_change(w, model, before);
        }
    } else if (what < 98) {
        sched_lane_limit(&w->sched, &model->lane, 1 + (unsigned)rng_below(&w->rng, 5));
        after_change(w, model, before);
    } else if (model->lane.in_flight == 0) {
        sched_lane_remove(&w->sched, &model->lane);
        model->joined = false;
    }
    sched_check(&w->sched);
    count_ahead_anew(w);
}

static void random_load(uint64_t seed)
{
    static struct world w;
    w = (struct world){0};
    rng_seed(&w.rng, seed);
    w.n = 1 + rng_below(&w.rng, LANES_MAX);
    sched_init(&w.sched, 1 + (unsigned)rng_below(&w.rng, 60));
    for (int i = 0; i < STEPS; i++)
        step(&w);
}

/* --- hanging receivers --- */

enum { SITES = 50, HANGING_MAX = 250, SLOTS = 2048, LIMIT = 4 };
enum { WELL_MS = 100, HANGING_MS = 5000, RUN_MS = 60000 };

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

/* Deliveries that 50 healthy receivers with endless work get in a minute beside so many hanging
 * ones. */
static unsigned healthy_deliveries(unsigned hanging)
{
    static struct site sites[SITES + HANGING_MAX];
    struct request *requests = mem_zero(SLOTS, sizeof(*requests));
    size_t free_requests = SLOTS;
    struct request **spare = mem_zero(SLOTS, sizeof(*spare));
    struct sched sched;
    struct heap heap;
    unsigned done = 0;
    sched_init(&sched, SLOTS);
    heap_init(&heap, ends_first);
    for (size_t i = 0; i < SLOTS; i++)
        spare[i] = &requests[i];
    for (unsigned i = 0; i < SITES + hanging; i++) {
        sched_lane_add(&sched, &sites[i].lane, LIMIT);
        sites[i].hangs = i >= SITES;
        sched_update(&sched, &sites[i].lane, true, false, false);
    }
    for (mono_ms now = 0; now < RUN_MS;) {
        enum sched_take take;
        struct sched_lane *lane;
        while ((lane = sched_pick(&sched, &take)) != NULL) {
            struct request *request = spare[--free_requests];
            request->site = CONTAINER_OF(lane, struct site, lane);
            request->ends = now + (request->site->hangs ? HANGING_MS : WELL_MS);
            heap_push(&heap, &request->node);
        }
        struct request *ended = CONTAINER_OF(heap_pop(&heap), struct request, node);
        now = ended->ends;
        done += !ended->site->hangs;
        sched_done(&sched, &ended->site->lane);
        spare[free_requests++] = ended;
    }
    heap_release(&heap);
    free(requests);
    free(spare);
    return done;
}

static void hanging_receivers_cost_nobody_else(void)
{
    static const unsigned hanging[] = {0, 10, 50, 250};
    unsigned alone = healthy_deliveries(0);
    for (size_t i = 0; i < sizeof(hanging) / sizeof(hanging[0]); i++) {
        unsigned done = healthy_deliveries(hanging[i]);
        printf("%u hanging receivers: %u deliveries to 50 healthy ones in a minute\n", hanging[i],
               done);
        ASSERT(done == alone);
    }
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEEDS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    signal(SIGABRT, tell_seed);
    for (current_seed = first; current_seed < first + seeds; current_seed++)
        random_load(current_seed);
    hanging_receivers_cost_nobody_else();
    return 0;
}
