/* courier.c: the thread of a courier: what arrives from outside, and the turn.
 *
 * Messages that carry memory free it when they are handled; what is still queued when the loop
 * ends is handled by courier_free, so nothing leaks at shutdown. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/courier_private.h"
#include "sys/clock.h"

/* Attempts started per turn: keeps timers and answers prompt when much is owed. */
#define PICKS_PER_TURN 256
#define TELL_EVERY_MS  1000
/* Descriptors that are not for idle connections: files, listeners, inbound connections. */
#define RESERVED_FDS 512

/* --- targets --- */

struct target *target_ref(struct target *target)
{
    target->refs++;
    return target;
}

void target_unref(struct target *target)
{
    if (target == NULL || --target->refs > 0)
        return;
    webhook_release(&target->webhook);
    free(target);
}

/* FNV-1a over "host:port"; every start must find the same courier, so no random key. */
static uint64_t hash_host(const struct url *url)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = url->host; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    hash = (hash ^ (url->port & 0xff)) * UINT64_C(0x100000001b3);
    hash = (hash ^ (url->port >> 8)) * UINT64_C(0x100000001b3);
    return hash_u64(hash);
}

unsigned courier_index(const struct url *url, unsigned n_couriers)
{
    return (unsigned)(hash_host(url) % n_couriers);
}

/* Takes the contents of *webhook. */
static struct target *target_new(struct webhook *webhook)
{
    struct target *target = mem_zero(1, sizeof *target);
    target->refs = 1;
    target->webhook = *webhook;
    if (url_parse(span_from(target->webhook.url), &target->url, NULL) != OK)
        fatal("the stored URL of webhook %u is not valid", webhook->number);
    target->host_hash = hash_host(&target->url);
    return target;
}

struct results *courier_results(struct courier *courier)
{
    if (courier->results == NULL)
        courier->results = results_new(courier);
    return courier->results;
}

void courier_flush(struct courier *courier)
{
    struct results *results = courier->results;
    courier->results = NULL;
    if (results != NULL)
        committer_results(courier->engine->committer, results);
}

/* --- lanes come and go --- */

static struct company_ring *company_ring(struct courier *courier, uint32_t number)
{
    struct company_ring *ring = map_get(&courier->companies, number);
    if (ring != NULL)
        return ring;
    ring = mem_zero(1, sizeof *ring);
    ring->number = number;
    sched_company_init(&ring->sched);
    map_put(&courier->companies, number, ring);
    return ring;
}

/* The lane is this courier's from now on. proven: its last outcome was one of this receiver. */
static void lane_join(struct courier *courier, struct work_lane *w, bool proven)
{
    struct company_ring *ring = company_ring(courier, w->target->webhook.company);
    sched_lane_add(&courier->sched, &ring->sched, &w->sched,
                   (unsigned)courier->engine->settings->webhook_concurrency, proven);
    w->url_revision = w->target->webhook.url_revision;
    map_put(&courier->lanes, w->lane.webhook, w);
}

static void lane_leave(struct courier *courier, struct work_lane *w)
{
    struct company_ring *ring = CONTAINER_OF(w->sched.company, struct company_ring, sched);
    sched_lane_remove(&courier->sched, &w->sched);
    if (ring->sched.lanes == 0) {
        map_remove(&courier->companies, ring->number);
        free(ring);
    }
    map_remove(&courier->lanes, w->lane.webhook);
}

static void copy_lane(void *ctx, const struct lane *lane)
{
    lane_encode(ctx, lane);
}

static bool is_mine(const struct courier *courier, const struct target *target)
{
    return target->host_hash % courier->engine->n_couriers == courier->index;
}

static void apply_webhook(struct work_lane *w)
{
    const struct webhook *webhook = &w->target->webhook;
    bool same_url = webhook->url_revision == w->url_revision;
    bool anew = !same_url || webhook->epoch > w->lane.epoch;
    lane_configure(&w->lane, webhook->epoch, webhook->paused, webhook->paused_at);
    w->suspended_until = 0;
    w->url_revision = webhook->url_revision;
    if (anew)
        sched_lane_reset(&w->courier->sched, &w->sched, same_url && w->sched.breaker.proven);
}

void courier_adopt(struct courier *courier, uint32_t number)
{
    struct webhook webhook;
    if (!registry_webhook_any(courier->engine->registry, number, &webhook))
        return;
    struct target *target = target_new(&webhook);
    if (target->host_hash % (unsigned)courier->engine->n_couriers != courier->index) {
        target_unref(target);
        return;
    }
    struct work_lane *w = work_lane_new(courier, target);
    struct buf buf = BUF_INIT;
    ledger_with(courier->engine->ledger, number, copy_lane, &buf);
    if (buf.len > 0 && lane_decode(buf_span(&buf), &w->lane) != OK)
        BUG("the lane of webhook %u cannot be copied", number);
    buf_release(&buf);
    lane_join(courier, w, w->lane.proven);
    apply_webhook(w);
    w->loaded = w->lane.cursor;
    work_lane_update(w);
}

static void arrive(struct loop_msg *msg)
{
    struct work_lane *w = CONTAINER_OF(msg, struct work_lane, move);
    struct courier *courier = w->courier;
    struct webhook webhook;
    lane_join(courier, w, false);
    w->moving = false;
    w->loaded = w->lane.cursor;
    /* The registry may be newer than what made the lane move. */
    if (registry_webhook_any(courier->engine->registry, w->lane.webhook, &webhook)) {
        work_lane_set_target(w, target_new(&webhook));
        apply_webhook(w);
        w->moving = !is_mine(courier, w->target);
        /* Events that were committed while the lane was between two couriers. */
        lane_raise(&w->lane, ledger_last(courier->engine->ledger, w->lane.webhook));
    } else {
        w->gone = true;
    }
    work_lane_update(w);
}

void courier_part_with(struct work_lane *w)
{
    struct courier *courier = w->courier;
    /* At shutdown lanes stay where they are: the other loop may be gone. */
    if (!w->gone && atomic_load(&courier->quiesced))
        return;
    lane_leave(courier, w);
    loop_timer_clear(courier->loop, &w->timer);
    if (w->gate != NULL)
        work_lane_leave_gate(w);
    if (w->gone) {
        work_lane_free(w);
        return;
    }
    courier_flush(courier);
    unsigned next = (unsigned)(w->target->host_hash % courier->engine->n_couriers);
    w->courier = courier->engine->couriers[next];
    w->move.handle = arrive;
    loop_post(w->courier->loop, &w->move);
}

/* --- messages --- */

struct configure_msg {
    struct loop_msg msg;
    struct courier *courier;
    uint32_t webhook;
    bool create;
};

static void handle_configure(struct loop_msg *msg)
{
    struct configure_msg *configure = CONTAINER_OF(msg, struct configure_msg, msg);
    struct courier *courier = configure->courier;
    uint32_t number = configure->webhook;
    bool create = configure->create;
    free(configure);
    struct work_lane *w = map_get(&courier->lanes, number);
    if (w == NULL && !create)
        return;
    struct webhook webhook;
    bool exists = registry_webhook_any(courier->engine->registry, number, &webhook);
    if (!exists) {
        if (w != NULL) {
            w->gone = true;
            work_lane_update(w);
        }
        return;
    }
    struct target *target = target_new(&webhook);
    if (w == NULL) {
        w = work_lane_new(courier, target);
        lane_join(courier, w, false);
    } else {
        work_lane_set_target(w, target);
    }
    apply_webhook(w);
    w->moving = !is_mine(courier, w->target);
    work_lane_update(w);
}

void courier_configure(struct courier *courier, uint32_t webhook, bool create)
{
    struct configure_msg *configure = mem_zero(1, sizeof *configure);
    configure->msg.handle = handle_configure;
    configure->courier = courier;
    configure->webhook = webhook;
    configure->create = create;
    loop_post(courier->loop, &configure->msg);
}

struct fanout_msg {
    struct loop_msg msg;
    struct courier *courier;
    struct fanout *fanout;
};

static void handle_fanout(struct loop_msg *msg)
{
    struct fanout_msg *carrier = CONTAINER_OF(msg, struct fanout_msg, msg);
    struct courier *courier = carrier->courier;
    struct fanout *fanout = carrier->fanout;
    free(carrier);
    for (size_t i = 0; i < fanout->n_events; i++) {
        struct event *event = fanout->events[i];
        for (uint32_t t = 0; t < event->n_targets; t++) {
            struct work_lane *w = map_get(&courier->lanes, event->targets[t].webhook);
            if (w == NULL)
                continue;
            work_lane_raise(w, event->targets[t].sequence, event);
            work_lane_update(w);
        }
    }
    fanout_unref(fanout);
}

void courier_fanout(struct courier *courier, struct fanout *fanout)
{
    struct fanout_msg *carrier = mem_zero(1, sizeof *carrier);
    carrier->msg.handle = handle_fanout;
    carrier->courier = courier;
    carrier->fanout = fanout;
    loop_post(courier->loop, &carrier->msg);
}

struct expire_msg {
    struct loop_msg msg;
    struct courier *courier;
    uint32_t webhook;
    uint32_t epoch;
    uint64_t through;
};

static void handle_expire(struct loop_msg *msg)
{
    struct expire_msg *expire = CONTAINER_OF(msg, struct expire_msg, msg);
    struct courier *courier = expire->courier;
    struct work_lane *w = map_get(&courier->lanes, expire->webhook);
    uint32_t epoch = expire->epoch;
    uint64_t through = expire->through;
    free(expire);
    /* A webhook that was enabled meanwhile keeps what it is owed, even if it is inactive again: its
     * hold began anew. One with attempts in flight is asked again in the next round. */
    if (w == NULL || lane_active(&w->lane) || w->lane.epoch != epoch || w->in_flight > 0 ||
        w->fetch != NULL || through > w->lane.last)
        return;
    uint64_t owed = lane_owed(&w->lane);
    struct expiry expiry = {.webhook = w->lane.webhook, .through = through, .at = clock_wall_ms()};
    uint64_t cursor = w->lane.cursor;
    lane_fold_expiry(&w->lane, &expiry);
    work_lane_moved(w, cursor);
    expiry.count = owed - lane_owed(&w->lane);
    struct results *results = courier_results(courier);
    results_begin(results, RECORD_EXPIRED, expiry.webhook, through);
    expiry_encode(&results->bytes, &expiry);
    results_end(results);
    atomic_fetch_add(&courier->engine->metrics.deliveries_expired, expiry.count);
    LOG_FIELDS(LOG_LEVEL_WARN, "held deliveries expired", LOG_NUM("webhook", expiry.webhook),
               LOG_NUM("count", expiry.count));
    work_lane_update(w);
}

void courier_expire(struct courier *courier, uint32_t webhook, uint32_t epoch, uint64_t through)
{
    struct expire_msg *expire = mem_zero(1, sizeof *expire);
    expire->msg.handle = handle_expire;
    expire->courier = courier;
    expire->webhook = webhook;
    expire->epoch = epoch;
    expire->through = through;
    loop_post(courier->loop, &expire->msg);
}

static void handle_slots(struct loop_msg *msg)
{
    struct courier *courier = CONTAINER_OF(msg, struct courier, slots_msg);
    atomic_store(&courier->slots_posted, false);
    courier->slots_taken -= atomic_exchange(&courier->slots_back, 0);
}

void courier_committed(struct courier *courier, unsigned n_results)
{
    atomic_fetch_add(&courier->slots_back, n_results);
    if (!atomic_exchange(&courier->slots_posted, true))
        loop_post(courier->loop, &courier->slots_msg);
}

static void handle_quiesce(struct loop_msg *msg)
{
    free(msg); /* the turn after it is all that was wanted */
}

void courier_quiesce(struct courier *courier)
{
    atomic_store(&courier->quiesced, true);
    struct loop_msg *msg = mem_zero(1, sizeof *msg);
    msg->handle = handle_quiesce;
    loop_post(courier->loop, msg);
}

unsigned courier_in_flight(const struct courier *courier)
{
    return atomic_load_explicit(&courier->in_flight, memory_order_relaxed);
}

/* --- the turn --- */

static void handle_again(struct loop_msg *msg)
{
    CONTAINER_OF(msg, struct courier, again)->again_posted = false;
}

static void not_started(struct work_lane *w)
{
    struct courier *courier = w->courier;
    sched_done(&courier->sched, &w->sched, SIGNAL_NONE, loop_now(courier->loop), &courier->rng);
}

/* Starts one attempt; false when nothing can start. */
static bool pick_one(struct courier *courier)
{
    enum sched_take kind = SCHED_FIRST;
    struct sched_lane *picked = sched_pick(&courier->sched, &kind);
    if (picked == NULL)
        return false;
    struct work_lane *w = CONTAINER_OF(picked, struct work_lane, sched);
    if (!gate_has_room(w)) {
        gate_wait(w);
        not_started(w);
        work_lane_update(w);
        return true;
    }
    w->woken = false;
    int offset = kind == SCHED_FIRST ? work_lane_first(w) : -1;
    struct lane_retry *retry = kind == SCHED_RETRY ? work_lane_retry(w) : NULL;
    if (offset >= 0)
        run_first(w, (unsigned)offset);
    else if (retry != NULL)
        run_retry(w, retry);
    else
        not_started(w); /* the wall clock went back: not due any more */
    work_lane_update(w);
    return true;
}

static void turn(void *arg)
{
    struct courier *courier = arg;
    unsigned picks = 0;
    bool more = !atomic_load(&courier->quiesced);
    while (more && picks < PICKS_PER_TURN && courier->slots_taken < courier->slots_limit) {
        more = pick_one(courier);
        picks++;
    }
    if (more && picks == PICKS_PER_TURN && !courier->again_posted) {
        courier->again_posted = true;
        loop_post(courier->loop, &courier->again);
    }
    courier_flush(courier);
}

#define TELL(field, metric)                                           \
    do {                                                              \
        atomic_fetch_add(&metrics->metric, now->field - told->field); \
    } while (0)

static void tell(struct courier *courier)
{
    struct metrics *metrics = &courier->engine->metrics;
    const struct http_client_stats *now = http_client_stats(courier->client);
    const struct http_client_stats *told = &courier->told;
    TELL(connections, connections);
    TELL(idle_connections, idle_connections);
    TELL(handshakes, handshakes);
    TELL(resumed, resumed);
    TELL(reused, reused);
    TELL(stale_retries, stale_retries);
    courier->told = *now;
    /* Sums over all couriers, so each adds what changed; a decrease wraps, as it should. */
    atomic_fetch_add(&metrics->hot_bytes, (uint64_t)courier->hot_bytes - courier->told_hot_bytes);
    courier->told_hot_bytes = courier->hot_bytes;
    unsigned in_flight = courier_in_flight(courier);
    atomic_fetch_add(&metrics->in_flight, (uint64_t)in_flight - courier->told_in_flight);
    courier->told_in_flight = in_flight;
    size_t dead = courier->sched.counts[SCHED_DEAD];
    atomic_fetch_add(&metrics->lanes_dead, (uint64_t)dead - courier->told_dead);
    courier->told_dead = dead;
}

static void tell_fired(struct loop_timer *timer)
{
    struct courier *courier = CONTAINER_OF(timer, struct courier, tell);
    tell(courier);
    loop_timer_set(courier->loop, timer, loop_now(courier->loop) + TELL_EVERY_MS);
}

/* --- life --- */

static bool allow(void *ctx, const struct sockaddr *address)
{
    return egress_allows(ctx, address);
}

static unsigned idle_ceiling(const struct engine *engine, unsigned n_couriers)
{
    unsigned ceiling = (unsigned)engine->settings->idle_connections;
    struct rlimit limit;
    if (ceiling == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t inbound = (rlim_t)engine->settings->max_connections;
        rlim_t reserved = inbound + RESERVED_FDS;
        rlim_t room = limit.rlim_cur > reserved ? limit.rlim_cur - reserved : limit.rlim_cur / 4;
        ceiling = room > 1000000 ? 1000000 : (unsigned)room;
    }
    ceiling /= n_couriers;
    return ceiling == 0 ? 1 : ceiling;
}

static unsigned share(int total, unsigned n)
{
    unsigned part = (unsigned)total / n;
    return part == 0 ? 1 : part;
}

struct courier *
courier_new(struct engine *engine, unsigned index, unsigned n_couriers, struct error *error)
{
    const struct settings *settings = engine->settings;
    struct courier *courier = mem_zero(1, sizeof *courier);
    courier->engine = engine;
    courier->index = index;
    courier->loop = loop_new();
    const struct http_client_conf conf = {
        .allow = allow,
        .allow_ctx = (void *)(uintptr_t)engine->egress,
        .ca_file = settings->ca_file,
        .host_connections = (unsigned)settings->host_connections,
        .idle_connections = idle_ceiling(engine, n_couriers),
        .idle_timeout_ms = settings->idle_connection_s * 1000,
        .head_bytes = settings->response_head_bytes,
        .drain_bytes = settings->response_drain_bytes,
        .keep_body_bytes = settings->response_keep_bytes,
    };
    courier->client = http_client_new(courier->loop, &conf, error);
    if (courier->client == NULL) {
        loop_free(courier->loop);
        free(courier);
        return NULL;
    }
    courier->signer = signer_new();
    rng_seed(&courier->rng, (uint64_t)clock_mono_us() * (index + 1));
    int max_s = settings->breaker_max_s;
    const struct breaker_times times = {
        .first_ms = settings->breaker_first_s * MS_PER_S,
        .max_ms =
            (max_s > settings->breaker_first_s ? max_s : settings->breaker_first_s) * MS_PER_S,
    };
    sched_init(&courier->sched, (unsigned)settings->courier_slots, &times);
    map_init(&courier->companies);
    map_init(&courier->lanes);
    map_init(&courier->hosts);
    list_init(&courier->runs);
    list_init(&courier->free_runs);
    courier->hot_limit = settings->hot_bytes / n_couriers;
    courier->slots_limit = share(settings->result_slots, n_couriers);
    courier->again.handle = handle_again;
    courier->slots_msg.handle = handle_slots;
    loop_timer_init(&courier->tell, tell_fired);
    loop_on_turn(courier->loop, turn, courier);
    return courier;
}

static void courier_run(void *arg)
{
    struct courier *courier = arg;
    loop_timer_set(courier->loop, &courier->tell, loop_now(courier->loop) + TELL_EVERY_MS);
    loop_run(courier->loop);
}

void courier_start(struct courier *courier)
{
    courier->started = true;
    thread_start(&courier->thread, "courier", courier_run, courier);
}

void courier_stop(struct courier *courier)
{
    if (!courier->started)
        return;
    loop_stop(courier->loop);
    thread_join(&courier->thread);
    courier->started = false;
    courier_flush(courier);
}

/* The loop has ended: whatever was posted to it is handled here, then everything is freed. */
void courier_free(struct courier *courier)
{
    if (courier == NULL)
        return;
    ASSERT(!courier->started);
    atomic_store(&courier->quiesced, true);
    loop_drain(courier->loop);
    struct list *node = NULL;
    while ((node = list_pop_front(&courier->runs)) != NULL)
        run_abandon(CONTAINER_OF(node, struct run, node));
    while ((node = list_pop_front(&courier->free_runs)) != NULL)
        run_free(CONTAINER_OF(node, struct run, node));
    struct map_iter iter = {0};
    void *value = NULL;
    while (map_next(&courier->lanes, &iter, NULL, &value)) {
        struct work_lane *w = value;
        w->in_flight = 0;
        loop_timer_clear(courier->loop, &w->timer);
        work_lane_free(w);
    }
    iter = (struct map_iter){0};
    while (map_next(&courier->companies, &iter, NULL, &value))
        free(value);
    results_free(courier->results);
    loop_timer_clear(courier->loop, &courier->tell);
    http_client_free(courier->client);
    signer_free(courier->signer);
    map_release(&courier->companies);
    map_release(&courier->lanes);
    map_release(&courier->hosts);
    loop_free(courier->loop);
    free(courier);
}
