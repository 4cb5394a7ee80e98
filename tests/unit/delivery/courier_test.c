/* courier_test.c: what couriers start, and when, against doors: listeners that accept and then
 * either say nothing or hang up. No TLS is needed for that: every attempt ends before HTTP. */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "delivery/courier.h"
#include "hook/lane.h"
#include "store/store_private.h"
#include "sys/clock.h"
#include "world.h"

#define AWAIT_MS 20000

struct door {
    int listener;
    char url[64];
};

static void door_open(struct door *door)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof address;
    door->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(door->listener, 64), 0);
    getsockname(door->listener, (struct sockaddr *)&address, &len);
    snprintf(door->url, sizeof door->url, "https://127.0.0.1:%u/hook", ntohs(address.sin_port));
}

/* The next connection, or -1 when none comes. */
static int door_accept(const struct door *door, int wait_ms)
{
    struct pollfd fd = {.fd = door->listener, .events = POLLIN};
    return poll(&fd, 1, wait_ms) == 1 ? accept(door->listener, NULL, NULL) : -1;
}

static int set_up(void **state)
{
    world_set_up(state);
    struct world *world = *state;
    struct error error = {0};
    assert_int_equal(egress_open(&world->egress, SPAN_LIT("127.0.0.0/8"), &error), OK);
    world->settings.couriers = 2;
    world->settings.deliver_timeout_ms = 60000;
    world->settings.failure_threshold = 0;
    world->deliver = true;
    return 0;
}

static void await_failures(struct world *world, uint32_t webhook, uint32_t failures)
{
    struct webhook_status status = {0};
    for (int i = 0; i < AWAIT_MS && status.failures < failures; i++) {
        usleep(1000);
        assert_true(engine_webhook_status(world->engine, webhook, &status));
    }
    assert_int_equal(status.failures, failures);
}

/* A host that takes one connection at a time. The first webhook waits for its second turn when it
 * is switched off by its first failure; the turn must pass to the second webhook. */
static void a_turn_at_a_host_passes_those_who_lost_their_work(void **state)
{
    struct world *world = *state;
    struct door door;
    struct door other;
    door_open(&door);
    door_open(&other);
    world->settings.couriers = 1;
    world->settings.host_connections = 1;
    world->settings.failure_threshold = 1;
    world_restart(world);
    struct ingest_request request[3] = {{0}};
    uint32_t first = world_add_webhook_at(world, door.url);
    world_ingest_id(world, &request[0], 1, 1);
    int connection = door_accept(&door, AWAIT_MS);
    assert_true(connection >= 0);
    world_ingest_id(world, &request[1], 1, 2);
    uint32_t second = world_add_webhook_at(world, door.url);
    uint32_t third = world_add_webhook_at(world, other.url);
    world_ingest_id(world, &request[2], 1, 3);
    /* The third one's turn came, so the second one's did: it waits at the door. */
    int fence = door_accept(&other, AWAIT_MS);
    assert_true(fence >= 0);
    close(connection);
    connection = door_accept(&door, AWAIT_MS);
    assert_true(connection >= 0);
    close(connection);
    await_failures(world, first, 1);
    await_failures(world, second, 1);
    close(fence);
    await_failures(world, third, 1);
    close(door.listener);
    close(other.listener);
}

/* The same when those in the queue leave it: one for another host, one for good. */
static void a_turn_at_a_host_passes_those_who_went(void **state)
{
    struct world *world = *state;
    struct door door;
    struct door other;
    door_open(&door);
    door_open(&other);
    world->settings.host_connections = 1;
    world_restart(world);
    uint32_t webhooks[4];
    int connection = -1;
    for (int i = 0; i < 4; i++) {
        struct ingest_request request = {0};
        webhooks[i] = world_add_webhook_at(world, door.url);
        world_ingest(world, &request, 1);
        if (i == 0)
            connection = door_accept(&door, AWAIT_MS);
    }
    assert_true(connection >= 0);
    world_update_webhook(world, webhooks[0], NULL, 0);
    world_update_webhook(world, webhooks[1], other.url, -1);
    struct change change = {
        .kind = CHANGE_WEBHOOK_DELETE, .company_id = world->company, .webhook_number = webhooks[2]};
    assert_int_equal(world_change(world, &change), OK);
    close(connection);
    connection = door_accept(&door, AWAIT_MS);
    assert_true(connection >= 0);
    close(connection);
    connection = door_accept(&other, AWAIT_MS);
    assert_true(connection >= 0);
    close(connection);
    await_failures(world, webhooks[3], 1);
    close(door.listener);
    close(other.listener);
}

/* Held deliveries of two calls: the second event of the first call waits for the first one, the
 * other call's does not. */
static void a_busy_key_does_not_hold_up_the_retries_of_others(void **state)
{
    struct world *world = *state;
    struct door broken;
    struct door silent;
    door_open(&broken);
    door_open(&silent);
    world_restart(world);
    uint32_t webhook = world_add_webhook_at(world, broken.url);
    const unsigned calls[] = {1, 1, 2};
    for (uint32_t i = 0; i < 3; i++) {
        struct ingest_request request = {0};
        world_ingest_id(world, &request, 1, calls[i]);
        int connection = door_accept(&broken, AWAIT_MS);
        assert_true(connection >= 0);
        close(connection);
        await_failures(world, webhook, i + 1);
    }
    world_update_webhook(world, webhook, silent.url, 1);
    int one = door_accept(&silent, AWAIT_MS);
    int two = door_accept(&silent, AWAIT_MS);
    assert_true(one >= 0);
    assert_true(two >= 0);
    assert_int_equal(door_accept(&silent, 0), -1);
    close(one);
    close(two);
    close(broken.listener);
    close(silent.listener);
}

/* A backlog, and behind it new events that are kept in memory until the lane's share is full: the
 * backlog between them must still be read from the store. Nothing gets stuck on the way. */
static void new_events_do_not_shut_out_the_backlog(void **state)
{
    struct world *world = *state;
    enum { BACKLOG = 100, MORE = 900 };
    struct door door;
    door_open(&door);
    world->settings.couriers = 1;
    world->settings.breaker_first_s = 0;
    world->settings.hot_bytes = 16 * 100 * 300; /* a lane's share: about 100 of these events */
    world_restart(world);
    uint32_t webhook = world_add_webhook_at(world, door.url);
    world_update_webhook(world, webhook, NULL, 0);
    for (unsigned i = 1; i <= BACKLOG; i++) {
        struct ingest_request request = {0};
        /* Those behind the window are big. */
        world_ingest_padded(world, &request, 1, i, i > LANE_WINDOW ? 20000 : 0);
    }
    world_update_webhook(world, webhook, NULL, 1);
    int first = door_accept(&door, AWAIT_MS);
    assert_true(first >= 0);
    for (unsigned i = 1; i <= MORE; i++) {
        struct ingest_request request = {0};
        world_ingest_id(world, &request, 1, i);
    }
    close(first);
    struct webhook_status status = {0};
    for (int i = 0; i < AWAIT_MS && status.failures < BACKLOG + MORE; i++) {
        for (int fd; (fd = door_accept(&door, 1)) >= 0;)
            close(fd);
        assert_true(engine_webhook_status(world->engine, webhook, &status));
    }
    assert_int_equal(status.failures, BACKLOG + MORE);
    close(door.listener);
}

/* --- a lane between two couriers --- */

/* A log sink that stops one courier in its tracks: its thread waits in each of its lines until the
 * test lets it go on. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool known;
    pthread_t courier;
    unsigned lines, allowed; /* of that courier: begun, and those that may end */
    uint32_t webhook;
    uint32_t numbers[8]; /* of the webhook's attempts, in the order of their commit */
    size_t n_numbers;
} stage = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void sink(void *arg, const char *line, size_t len)
{
    (void)arg;
    if (memmem(line, len, "webhook deactivated", 19) == NULL)
        return;
    pthread_mutex_lock(&stage.lock);
    if (!stage.known) {
        stage.known = true;
        stage.courier = pthread_self();
    }
    if (pthread_equal(stage.courier, pthread_self())) {
        unsigned mine = ++stage.lines;
        pthread_cond_broadcast(&stage.changed);
        while (stage.allowed < mine)
            pthread_cond_wait(&stage.changed, &stage.lock);
    }
    pthread_mutex_unlock(&stage.lock);
}

static const struct store_ops *real_ops;

static enum err
noting_append(struct store *store, const struct store_batch *batch, struct error *error)
{
    enum err err = real_ops->append(store, batch, error);
    pthread_mutex_lock(&stage.lock);
    for (size_t i = 0; i < batch->n_records; i++) {
        struct attempt attempt;
        if (batch->records[i].kind != RECORD_ATTEMPT || batch->records[i].webhook != stage.webhook)
            continue;
        assert_int_equal(attempt_decode(batch->records[i].bytes, &attempt), OK);
        stage.numbers[stage.n_numbers++ % 8] = attempt.number;
    }
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.lock);
    return err;
}

static void await_line(unsigned line)
{
    pthread_mutex_lock(&stage.lock);
    while (stage.lines < line)
        pthread_cond_wait(&stage.changed, &stage.lock);
    pthread_mutex_unlock(&stage.lock);
}

static void allow_lines(unsigned lines)
{
    pthread_mutex_lock(&stage.lock);
    stage.allowed = lines;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.lock);
}

/* A door that belongs to that courier of two. */
static void door_open_at(struct door *door, unsigned courier)
{
    struct url url;
    for (;;) {
        door_open(door);
        assert_int_equal(url_parse(span_from(door->url), &url, NULL), OK);
        if (courier_index(&url, 2) == courier)
            return;
        close(door->listener);
    }
}

/* Two events are owed to it: two attempts at once. */
struct pair {
    struct door door;
    int connections[2];
};

static void pair_accept(struct pair *pair, int i)
{
    pair->connections[i] = door_accept(&pair->door, AWAIT_MS);
    assert_true(pair->connections[i] >= 0);
}

static void pair_fail(struct pair *pair)
{
    close(pair->connections[0]);
    close(pair->connections[1]);
}

static void await_number(uint32_t number)
{
    pthread_mutex_lock(&stage.lock);
    while (stage.n_numbers == 0 || stage.numbers[stage.n_numbers - 1] != number)
        pthread_cond_wait(&stage.changed, &stage.lock);
    pthread_mutex_unlock(&stage.lock);
}

/* A webhook's attempt at its old host ends while that courier has much to do in the same turn; the
 * new courier is quicker. Still the log has the old attempt's result first. The two pairs are
 * switched off by their failures: the line that says so stops the courier, once so that it finds
 * several ends in its next turn, and once behind the move. */
static void results_of_a_moving_lane_keep_their_order(void **state)
{
    struct world *world = *state;
    struct pair pairs[2];
    struct door here;
    struct door there;
    const struct log_setup setup = {
        .level = LOG_LEVEL_WARN, .format = LOG_FORMAT_JSON, .sink = sink, .now = clock_wall_ms};
    world->settings.failure_threshold = 2;
    engine_stop(world->engine, 0);
    log_init(&setup);
    real_ops = world->store->ops;
    struct store_ops noting = *real_ops;
    noting.append = noting_append;
    world->store->ops = &noting;
    world_start(world);
    door_open_at(&here, 0);
    door_open_at(&there, 1);
    for (int i = 0; i < 2; i++) {
        door_open_at(&pairs[i].door, 0);
        world_add_webhook_at(world, pairs[i].door.url);
    }
    struct ingest_request request[2] = {{0}};
    world_ingest_id(world, &request[0], 1, 1);
    stage.webhook = world_add_webhook_at(world, here.url);
    world_ingest_id(world, &request[1], 1, 2);
    for (int i = 0; i < 4; i++)
        pair_accept(&pairs[i / 2], i % 2);
    int connection = door_accept(&here, AWAIT_MS);
    assert_true(connection >= 0);
    world_update_webhook(world, stage.webhook, there.url, 1);
    pair_fail(&pairs[0]);
    await_line(1);
    close(connection);
    pair_fail(&pairs[1]);
    allow_lines(1);
    await_line(2);
    connection = door_accept(&there, AWAIT_MS);
    assert_true(connection >= 0);
    close(connection);
    await_number(2);
    allow_lines(UINT32_MAX);
    engine_stop(world->engine, 0);
    log_init(NULL);
    world->store->ops = real_ops;
    world->deliver = false;
    world_start(world);
    assert_int_equal(stage.n_numbers, 2);
    assert_int_equal(stage.numbers[0], 1);
    assert_int_equal(stage.numbers[1], 2);
    close(here.listener);
    close(there.listener);
    close(pairs[0].door.listener);
    close(pairs[1].door.listener);
}

#define COURIER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COURIER_TEST(a_turn_at_a_host_passes_those_who_lost_their_work),
        COURIER_TEST(a_turn_at_a_host_passes_those_who_went),
        COURIER_TEST(a_busy_key_does_not_hold_up_the_retries_of_others),
        COURIER_TEST(new_events_do_not_shut_out_the_backlog),
        COURIER_TEST(results_of_a_moving_lane_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
