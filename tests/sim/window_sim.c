/* window_sim.c: the window law against receivers whose figures are published, or were measured
 * when the law was chosen. Integers and a seed: the same figures for ever, so they are a
 * regression test. A request takes a second of the simulated time, one that finds the receiver
 * full is refused at once; the window is always used up.
 *
 * usage: test_sim_window [SEEDS] */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "hook/window.h"

enum { DEFAULT_SEEDS = 40, SERVICE_MS = 1000, REFUSAL_MS = 1, CAPACITY = 5 };

struct request {
    mono_ms ends;
    bool refused;
};

struct run {
    struct rng rng;
    struct window window;
    struct request requests[WINDOW_LIMIT];
    unsigned busy;
    unsigned accepted; /* of those */
    mono_ms now;
    double busy_ms; /* integral of busy over time */
    unsigned long good, refused;
    bool dead;
};

/* A request that starts now: when it ends and how. */
typedef struct request (*receiver_fn)(struct run *run);

static struct request serve(const struct run *run, bool fails)
{
    return (struct request){.ends = run->now + SERVICE_MS, .refused = fails};
}

static struct request takes_five_at_once(struct run *run)
{
    if (run->accepted < CAPACITY)
        return serve(run, false);
    return (struct request){.ends = run->now + REFUSAL_MS, .refused = true};
}

static struct request one_of_four_is_broken(struct run *run)
{
    return serve(run, rng_below(&run->rng, 4) == 0);
}

static struct request is_gone(struct run *run)
{
    return serve(run, true);
}

/* Starts what the window allows. */
static void fill(struct run *run, receiver_fn receive)
{
    while (run->busy < run->window.size) {
        struct request request = receive(run);
        run->requests[run->busy++] = request;
        run->accepted += !request.refused;
    }
}

/* The request that ends next, taken out; in_flight counts it until the caller says otherwise. */
static struct request next(struct run *run)
{
    unsigned first = 0;
    for (unsigned i = 1; i < run->busy; i++)
        if (run->requests[i].ends < run->requests[first].ends)
            first = i;
    struct request request = run->requests[first];
    run->requests[first] = run->requests[run->busy - 1];
    run->busy_ms += (double)(run->busy * (request.ends - run->now));
    run->now = request.ends;
    return request;
}

static void simulate(struct run *run, uint64_t seed, receiver_fn receive, mono_ms until)
{
    *run = (struct run){0};
    rng_seed(&run->rng, seed);
    window_init(&run->window, WINDOW_LIMIT);
    while (run->now < until && !run->dead) {
        fill(run, receive);
        struct request request = next(run);
        if (request.refused) {
            run->refused++;
            run->dead = window_fail(&run->window);
        } else {
            run->good++;
            run->accepted--;
            window_grow(&run->window, run->busy);
        }
        run->busy--;
        window_check(&run->window);
    }
}

static double mean_busy(receiver_fn receive, uint64_t seeds, mono_ms until)
{
    double sum = 0;
    struct run run;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        simulate(&run, seed, receive, until);
        ASSERT(!run.dead);
        sum += run.busy_ms / (double)run.now;
    }
    return sum / (double)seeds;
}

static double refused_percent(uint64_t seeds, mono_ms until)
{
    unsigned long refused = 0, all = 0;
    struct run run;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        simulate(&run, seed, takes_five_at_once, until);
        ASSERT(!run.dead);
        refused += run.refused;
        all += run.refused + run.good;
    }
    return 100.0 * (double)refused / (double)all;
}

static unsigned long tries_until_dead(void)
{
    struct run run;
    simulate(&run, 1, is_gone, MS_PER_HOUR);
    ASSERT(run.dead);
    return run.refused;
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEEDS;
    double refused = refused_percent(seeds, 2000 * MS_PER_S);
    double after_a_minute = mean_busy(one_of_four_is_broken, seeds, 60 * MS_PER_S);
    double in_the_long_run = mean_busy(one_of_four_is_broken, seeds, 2000 * MS_PER_S);
    unsigned long tries = tries_until_dead();
    printf("takes 5 at once: %.1f %% refused; 1 of 4 back ends broken: %.1f busy in a minute, %.1f "
           "in 2,000 s; gone: dead after %lu tries\n",
           refused, after_a_minute, in_the_long_run, tries);
    ASSERT(refused >= 16.5 && refused <= 17.0);
    ASSERT(in_the_long_run >= 16.1 && in_the_long_run <= 16.7);
    ASSERT(after_a_minute >= 6.8 && after_a_minute <= 7.2);
    ASSERT(tries == 11);
    return 0;
}
