/* engine.c: starts and stops the parts of the room in order, and passes calls on.
 *
 * Start: registry and ledger from the store (recovery) -> couriers with their lanes -> committer
 * -> housekeeper. Stop: new work refused, the queue committed and answered, picking stopped,
 * attempts awaited, their results committed, threads joined. */
#include "delivery/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/engine_private.h"
#include "delivery/housekeeper.h"
#include "delivery/reader.h"
#include "sys/clock.h"

#define READER_THREADS 2
#define STOP_POLL_US   5000

static void read_policy(struct engine *engine)
{
    const struct settings *settings = engine->settings;
    struct lane_policy *policy = &engine->policy;
    policy->failure_threshold = (uint32_t)settings->failure_threshold;
    policy->schedule.jitter_percent = (unsigned)settings->retry_jitter_percent;
    size_t n = settings->retry_schedule_s.count;
    size_t max = sizeof policy->schedule.delay_s / sizeof policy->schedule.delay_s[0];
    for (size_t i = 0; i < n && i < max; i++)
        policy->schedule.delay_s[policy->schedule.n++] =
            (uint32_t)settings->retry_schedule_s.items[i];
}

/* What is owed must not be older than what is kept. */
static enum err check_retention(const struct engine *engine, struct error *error)
{
    int64_t span_ms = engine->settings->hold_hours * MS_PER_HOUR + 24 * MS_PER_HOUR;
    for (unsigned i = 0; i < engine->policy.schedule.n; i++)
        span_ms += engine->policy.schedule.delay_s[i] * MS_PER_S;
    int64_t days = (span_ms + 24 * MS_PER_HOUR - 1) / (24 * MS_PER_HOUR);
    if (engine->settings->retention_days >= days)
        return OK;
    return error_set(
        error, ERR_USAGE,
        "retention-days %d is too short: --hold-hours and --retry-schedule may keep an "
        "event owed for %lld days; raise it to at least that",
        engine->settings->retention_days, (long long)days);
}

static void adopt(void *ctx, const struct webhook *webhook)
{
    struct engine *engine = ctx;
    for (unsigned i = 0; i < engine->n_couriers; i++)
        courier_adopt(engine->couriers[i], webhook->number);
}

static enum err start_couriers(struct engine *engine, struct error *error)
{
    unsigned n = (unsigned)engine->settings->couriers;
    if (n == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        n = cores < 1 ? 1 : (unsigned)cores;
    }
    engine->couriers = mem_zero(n, sizeof(struct courier *));
    for (unsigned i = 0; i < n; i++) {
        engine->couriers[i] = courier_new(engine, i, n, error);
        if (engine->couriers[i] == NULL)
            return error->code == OK ? ERR_IO : error->code;
        engine->n_couriers++;
    }
    registry_each_webhook(engine->registry, adopt, engine);
    for (unsigned i = 0; i < n; i++)
        courier_start(engine->couriers[i]);
    return OK;
}

static void engine_free(struct engine *engine)
{
    for (unsigned i = 0; i < engine->n_couriers; i++)
        courier_free(engine->couriers[i]);
    free(engine->couriers);
    committer_free(engine->committer);
    ledger_free(engine->ledger);
    registry_free(engine->registry);
    network_watch_free(engine->network);
    free(engine);
}

enum err engine_start(const struct settings *settings,
                      struct store *store,
                      const struct egress *egress,
                      bool deliver,
                      struct engine **ret_engine,
                      struct error *error)
{
    struct engine *engine = mem_zero(1, sizeof *engine);
    engine->settings = settings;
    engine->store = store;
    engine->egress = egress;
    engine->network = network_watch_new();
    read_policy(engine);
    enum err err = check_retention(engine, error);
    if (err != OK) {
        engine_free(engine);
        return err;
    }
    engine->registry = registry_new();
    engine->ledger = ledger_new();
    engine->committer = committer_new(engine);
    err = recovery_run(engine, error);
    if (err != OK) {
        engine_free(engine);
        return err;
    }
    if (deliver) {
        engine->readers = reader_pool_new(store, READER_THREADS);
        err = start_couriers(engine, error);
    }
    if (err != OK) {
        for (unsigned i = 0; i < engine->n_couriers; i++)
            courier_stop(engine->couriers[i]);
        reader_pool_free(engine->readers);
        engine_free(engine);
        return err;
    }
    committer_start(engine->committer);
    struct store_end end;
    store_end(store, &end);
    if (deliver)
        engine->housekeeper = housekeeper_start(engine, end.time);
    *ret_engine = engine;
    return OK;
}

void engine_quiesce(struct engine *engine)
{
    committer_quiesce(engine->committer);
}

static unsigned in_flight(const struct engine *engine)
{
    unsigned n = 0;
    for (unsigned i = 0; i < engine->n_couriers; i++)
        n += courier_in_flight(engine->couriers[i]);
    return n;
}

void engine_stop(struct engine *engine, int timeout_ms)
{
    if (engine == NULL)
        return;
    engine_quiesce(engine);
    housekeeper_stop(engine->housekeeper);
    for (unsigned i = 0; i < engine->n_couriers; i++)
        courier_quiesce(engine->couriers[i]);
    mono_ms deadline = clock_mono_ms() + timeout_ms;
    while (in_flight(engine) > 0 && clock_mono_ms() < deadline)
        usleep(STOP_POLL_US);
    unsigned left = in_flight(engine);
    if (left > 0)
        LOG_WARN("%u attempts were still in flight at shutdown: they stay owed and are sent again",
                 left);
    /* Couriers ask the readers and feed the committer, so they end first. What a reader posts to
     * an ended loop is freed with the courier. */
    for (unsigned i = 0; i < engine->n_couriers; i++)
        courier_stop(engine->couriers[i]);
    reader_pool_free(engine->readers);
    committer_stop(engine->committer);
    engine_free(engine);
}

struct registry *engine_registry(struct engine *engine)
{
    return engine->registry;
}

struct metrics *engine_metrics(struct engine *engine)
{
    return &engine->metrics;
}

struct store *engine_store(struct engine *engine)
{
    return engine->store;
}

void event_id_after(const uint8_t id[EVENT_ID_BYTES], size_t steps, uint8_t ret_id[EVENT_ID_BYTES])
{
    uint64_t carry = steps;
    for (size_t i = EVENT_ID_BYTES; i > 0; i--) {
        carry += id[i - 1];
        ret_id[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
}

void engine_ingest(struct engine *engine, struct ingest_request *request)
{
    request->refused = request->replayed = false;
    committer_ingest(engine->committer, request);
}

void engine_change(struct engine *engine, struct change *change)
{
    memset(&change->webhook, 0, sizeof change->webhook);
    committer_change(engine->committer, change);
}

void engine_retry(struct engine *engine, struct retry_request *request)
{
    bool known = ledger_last(engine->ledger, request->webhook) > 0;
    request->code = !known ? ERR_NOT_FOUND : !engine_ready(engine) ? ERR_SHUTDOWN : OK;
    if (request->code == OK && engine->n_couriers > 0)
        courier_retry(engine->couriers[0], request);
    else
        request->done(request);
}

bool engine_ready(struct engine *engine)
{
    return committer_accepting(engine->committer);
}

/* --- status --- */

struct status_look {
    struct webhook_status *status;
    uint32_t threshold;
    int timeout_ms;
    uint64_t oldest;
    wall_ms oldest_at; /* when the oldest is a retry */
};

static void look(void *ctx, const struct lane *lane)
{
    struct status_look *ret = ctx;
    struct webhook_status *status = ret->status;
    status->active = lane_active(lane);
    status->paused = lane->paused;
    status->failures = lane->failures;
    status->threshold = ret->threshold;
    status->owed = lane_owed(lane);
    status->held = status->active ? 0 : status->owed;
    status->delivered = lane->delivered;
    status->failed = lane->failed;
    status->expired = lane->expired;
    status->last_sequence = lane->last;
    ret->oldest = lane_oldest_owed(lane);
    const struct lane_retry *retry = lane_retry_find(lane, ret->oldest);
    ret->oldest_at = retry == NULL ? 0 : retry->event_accepted_at;
    struct buf text = BUF_INIT;
    lane_ledger_text(&text, lane, ret->threshold, ret->timeout_ms);
    size_t len = text.len < sizeof status->ledger - 1 ? text.len : sizeof status->ledger - 1;
    memcpy(status->ledger, text.ptr, len);
    status->ledger[len] = '\0';
    buf_release(&text);
}

bool engine_webhook_status(struct engine *engine, uint32_t webhook, struct webhook_status *ret)
{
    struct webhook_status status = {0};
    struct status_look ctx = {.status = &status,
                              .threshold = engine->policy.failure_threshold,
                              .timeout_ms = engine->settings->deliver_timeout_ms};
    if (!ledger_with(engine->ledger, webhook, look, &ctx))
        return false;
    status.oldest_owed_at = ctx.oldest_at;
    if (ctx.oldest != 0 && ctx.oldest_at == 0) {
        struct error error = {0};
        uint64_t seq = 0;
        struct event *event = NULL;
        if (store_lane(engine->store, webhook, ctx.oldest, 1, &seq, &error) == OK && seq != 0 &&
            store_events(engine->store, &seq, 1, &event, &error) == OK && event != NULL)
            status.oldest_owed_at = event->accepted_at;
        event_unref(event);
    }
    *ret = status;
    return true;
}

static void look_active(void *ctx, const struct lane *lane)
{
    *(bool *)ctx = lane_active(lane);
}

bool engine_webhook_active(struct engine *engine, uint32_t webhook)
{
    bool active = false;
    ledger_with(engine->ledger, webhook, look_active, &active);
    return active;
}
