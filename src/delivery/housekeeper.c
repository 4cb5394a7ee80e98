/* housekeeper.c: a thread that sleeps most of the time. */
#include "delivery/housekeeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/engine_private.h"
#include "sys/clock.h"
#include "sys/thread.h"

#define TICK_S          2
#define EXPIRE_EVERY_MS (30 * MS_PER_S)
#define RETAIN_EVERY_MS (10 * MS_PER_MIN)
#define STEP_MS         MS_PER_MIN
#define GUARD_MS        MS_PER_HOUR

struct housekeeper {
    struct engine *engine;
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct clock_guard guard;
};

/* --- the clock --- */

void clock_guard_init(struct clock_guard *guard, wall_ms wall, mono_ms mono, wall_ms last_record)
{
    *guard = (struct clock_guard){.wall = wall, .mono = mono, .safe_at = mono};
    /* A log from the future: the clock was wrong then, or is wrong now. */
    if (last_record > wall + STEP_MS)
        guard->safe_at = mono + GUARD_MS;
}

bool clock_guard_safe(struct clock_guard *guard, wall_ms wall, mono_ms mono)
{
    wall_ms drift = (wall - guard->wall) - (mono - guard->mono);
    guard->wall = wall;
    guard->mono = mono;
    if (drift > STEP_MS || drift < -STEP_MS)
        guard->safe_at = mono + GUARD_MS;
    return mono >= guard->safe_at;
}

/* --- expiry of holds --- */

struct candidate {
    uint32_t webhook;
    uint32_t epoch;
    uint64_t from, last; /* the owed range */
};

struct candidates {
    wall_ms before; /* a hold that began before this may have something to expire */
    struct candidate *list;
    size_t n, cap;
    uint64_t keep_seq; /* lowest event of any retry */
    bool retaining;
};

static wall_ms hold_began(const struct lane *lane)
{
    wall_ms began = 0;
    if (lane->paused)
        began = lane->paused_at;
    if (lane->deactivated && lane->deactivated_at > began)
        began = lane->deactivated_at;
    return began;
}

static void push(struct candidates *all, struct candidate candidate)
{
    if (all->n == all->cap) {
        all->cap = all->cap == 0 ? 64 : 2 * all->cap;
        all->list = mem_realloc(all->list, all->cap * sizeof(*all->list));
    }
    all->list[all->n++] = candidate;
}

static void consider_hold(void *ctx, const struct lane *lane)
{
    struct candidates *all = ctx;
    if (lane_active(lane))
        return;
    if (lane_owed(lane) == 0 || hold_began(lane) >= all->before)
        return;
    push(all, (struct candidate){lane->webhook, lane->epoch, lane_oldest_owed(lane), lane->last});
}

/* 0 when the event is gone (older than everything). */
static wall_ms
accepted_at(struct engine *engine, uint32_t webhook, uint64_t sequence, uint64_t *ret_seq)
{
    struct error error = {0};
    uint64_t seq = 0;
    struct event *event = NULL;
    if (store_lane(engine->store, webhook, sequence, 1, &seq, &error) != OK)
        fatal("the log cannot be read: %s", error.message);
    if (seq != 0 && store_events(engine->store, &seq, 1, &event, &error) != OK)
        fatal("the log cannot be read: %s", error.message);
    *ret_seq = seq;
    wall_ms at = event == NULL ? 0 : event->accepted_at;
    event_unref(event);
    return at;
}

/* The highest sequence of the range whose event was accepted before `before`; from - 1: none. */
static uint64_t
expired_through(struct engine *engine, const struct candidate *candidate, wall_ms before)
{
    uint64_t low = candidate->from - 1;
    uint64_t high = candidate->last;
    uint64_t seq = 0;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (accepted_at(engine, candidate->webhook, middle, &seq) < before)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void housekeeper_expire(struct engine *engine, wall_ms now)
{
    wall_ms before = now - engine->settings->hold_hours * MS_PER_HOUR;
    struct candidates all = {.before = before};
    ledger_each(engine->ledger, consider_hold, &all);
    for (size_t i = 0; i < all.n; i++) {
        uint64_t through = expired_through(engine, &all.list[i], before);
        if (through < all.list[i].from)
            continue;
        for (unsigned c = 0; c < engine->n_couriers; c++)
            courier_expire(engine->couriers[c], all.list[i].webhook, all.list[i].epoch, through);
    }
    free(all.list);
}

/* --- gauges --- */

struct sums {
    uint64_t lanes, inactive, owed, held;
};

static void add_up(void *ctx, const struct lane *lane)
{
    struct sums *sums = ctx;
    uint64_t owed = lane_owed(lane);
    sums->lanes++;
    sums->owed += owed;
    if (lane_active(lane))
        return;
    sums->inactive++;
    sums->held += owed;
}

static void measure(struct engine *engine)
{
    struct sums sums = {0};
    ledger_each(engine->ledger, add_up, &sums);
    atomic_store(&engine->metrics.lanes, sums.lanes);
    atomic_store(&engine->metrics.lanes_inactive, sums.inactive);
    atomic_store(&engine->metrics.deliveries_owed, sums.owed);
    atomic_store(&engine->metrics.deliveries_held, sums.held);
}

/* --- retention --- */

static void consider_owed(void *ctx, const struct lane *lane)
{
    struct candidates *all = ctx;
    struct map_iter iter = {0};
    void *value = NULL;
    while (map_next(&lane->retries, &iter, NULL, &value)) {
        const struct lane_retry *retry = value;
        if (retry->event_seq < all->keep_seq)
            all->keep_seq = retry->event_seq;
    }
    if (lane->cursor < lane->last)
        push(all, (struct candidate){lane->webhook, lane->epoch, lane->cursor + 1, lane->last});
}

static void retain(struct engine *engine, wall_ms now)
{
    struct store_end end;
    store_end(engine->store, &end);
    struct candidates all = {.keep_seq = UINT64_MAX};
    ledger_each(engine->ledger, consider_owed, &all);
    for (size_t i = 0; i < all.n; i++) {
        uint64_t seq = 0;
        accepted_at(engine, all.list[i].webhook, all.list[i].from, &seq);
        if (seq != 0 && seq < all.keep_seq)
            all.keep_seq = seq;
    }
    free(all.list);
    struct error error = {0};
    unsigned files = 0;
    wall_ms before = now - engine->settings->retention_days * 24 * MS_PER_HOUR;
    if (store_retain(engine->store, before, all.keep_seq, &files, &error) != OK)
        LOG_ERROR("old log files could not be removed: %s", error.message);
    if (files > 0)
        LOG_FIELDS(LOG_LEVEL_INFO, "old log files removed", LOG_NUM("files", files));
}

/* --- the thread --- */

static bool sleep_tick(struct housekeeper *housekeeper)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    pthread_mutex_lock(&housekeeper->lock);
    int rc = 0;
    while (!housekeeper->stop && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&housekeeper->wake, &housekeeper->lock, &until);
    bool stop = housekeeper->stop;
    pthread_mutex_unlock(&housekeeper->lock);
    return !stop;
}

static void housekeeper_run(void *arg)
{
    struct housekeeper *housekeeper = arg;
    struct engine *engine = housekeeper->engine;
    mono_ms expire_at = 0;
    mono_ms retain_at = clock_mono_ms() + MS_PER_MIN;
    bool warned = false;
    do {
        mono_ms mono = clock_mono_ms();
        wall_ms wall = clock_wall_ms();
        bool safe = clock_guard_safe(&housekeeper->guard, wall, mono);
        if (!safe && !warned)
            LOG_WARN("the clock stepped: nothing is deleted by age for an hour");
        warned = !safe;
        measure(engine);
        if (safe && mono >= expire_at) {
            housekeeper_expire(engine, wall);
            expire_at = mono + EXPIRE_EVERY_MS;
        }
        if (safe && mono >= retain_at) {
            retain(engine, wall);
            retain_at = mono + RETAIN_EVERY_MS;
        }
    } while (sleep_tick(housekeeper));
}

struct housekeeper *housekeeper_start(struct engine *engine, wall_ms last_record_at)
{
    struct housekeeper *housekeeper = mem_zero(1, sizeof *housekeeper);
    housekeeper->engine = engine;
    pthread_mutex_init(&housekeeper->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&housekeeper->wake, &attr);
    pthread_condattr_destroy(&attr);
    clock_guard_init(&housekeeper->guard, clock_wall_ms(), clock_mono_ms(), last_record_at);
    thread_start(&housekeeper->thread, "housekeeper", housekeeper_run, housekeeper);
    return housekeeper;
}

void housekeeper_stop(struct housekeeper *housekeeper)
{
    if (housekeeper == NULL)
        return;
    pthread_mutex_lock(&housekeeper->lock);
    housekeeper->stop = true;
    pthread_cond_signal(&housekeeper->wake);
    pthread_mutex_unlock(&housekeeper->lock);
    thread_join(&housekeeper->thread);
    pthread_cond_destroy(&housekeeper->wake);
    pthread_mutex_destroy(&housekeeper->lock);
    free(housekeeper);
}
