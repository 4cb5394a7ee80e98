/* recovery_test.c: what a restart makes of snapshots that are spread over commits, of full disks,
 * and of being restarted often. */
#include <stdlib.h>

#include "delivery/engine_private.h"
#include "store/store_private.h"
#include "sys/clock.h"
#include "world.h"

/* Hands in the outcome of the first attempt of each sequence, as a courier would. */
static void
attempts(struct world *world, uint32_t webhook, uint64_t from, uint64_t to, enum outcome outcome)
{
    struct results *results = results_new(NULL);
    for (uint64_t sequence = from; sequence <= to; sequence++) {
        const struct attempt attempt = {.webhook = webhook,
                                        .sequence = sequence,
                                        .number = 1,
                                        .epoch = 1,
                                        .event_seq = sequence,
                                        .started_at = clock_wall_ms(),
                                        .due_at = clock_wall_ms() + MS_PER_HOUR,
                                        .outcome = outcome};
        results_begin(results, RECORD_ATTEMPT, webhook, sequence);
        attempt_encode(&results->bytes, &attempt);
        results_end(results);
    }
    committer_results(world->engine->committer, results);
}

static void deliver(struct world *world, uint32_t webhook, uint64_t sequence)
{
    attempts(world, webhook, sequence, sequence, OUTCOME_DELIVERED);
}

/* Everything that was handed to the committer before this call is committed when it returns. */
static void settle(struct world *world, uint32_t webhook)
{
    world_update_webhook(world, webhook, NULL, -1);
}

static uint64_t owed(struct world *world, uint32_t webhook)
{
    struct webhook_status status;
    assert_true(engine_webhook_status(world->engine, webhook, &status));
    return status.owed;
}

/* The log is folded from the snapshot's begin, where the pieces of most lanes are still to come.
 * One lane with many retries fills the first piece, so the other one's is in a later commit. */
static void a_snapshot_over_many_commits_is_folded(void **state)
{
    struct world *world = *state;
    enum { EVENTS = 20000, BEFORE = 1000 };
    world->settings.snapshot_bytes = INT64_MAX;
    uint32_t failing = world_add_webhook(world);
    uint32_t good = world_add_webhook(world);
    struct ingest_request request = {0};
    world_ingest(world, &request, EVENTS);
    assert_int_equal(request.code, OK);
    attempts(world, failing, 1, EVENTS, OUTCOME_RETRY);
    attempts(world, good, 1, BEFORE, OUTCOME_DELIVERED);
    settle(world, good);
    struct store_end end;
    store_end(world->store, &end);
    assert_int_equal(end.snapshot, 0);
    uint64_t begin = end.block + 1;
    uint64_t sequence = BEFORE;
    world->settings.snapshot_bytes = 0;
    while (end.snapshot == 0 && sequence < EVENTS) {
        deliver(world, good, ++sequence);
        settle(world, good);
        store_end(world->store, &end);
    }
    assert_int_equal(end.snapshot, begin);
    assert_true(end.block > begin); /* else this tests nothing */
    deliver(world, good, ++sequence);
    settle(world, good);
    world_restart(world);
    assert_int_equal(owed(world, good), EVENTS - sequence);
    assert_int_equal(owed(world, failing), EVENTS);
}

static void keys_in_a_snapshot_survive_a_full_disk(void **state)
{
    struct world *world = *state;
    struct ingest_request first = {.keyed = true, .key_hash = {1}, .body_hash = {1}};
    world_ingest(world, &first, 1);
    assert_int_equal(first.code, OK);
    world->settings.snapshot_bytes = 0;
    store_inject_fault(world->store, STORE_FAULT_FULL, 1);
    struct ingest_request refused = {0};
    world_ingest(world, &refused, 1);
    assert_int_equal(refused.code, ERR_FULL);
    struct store_end end;
    store_end(world->store, &end);
    assert_int_not_equal(end.snapshot, 0);
    world_restart(world);
    struct ingest_request other = {.keyed = true, .key_hash = {1}, .body_hash = {2}};
    world_ingest(world, &other, 1);
    assert_int_equal(other.code, ERR_CONFLICT);
}

/* A server that never appends much before it is restarted still takes its snapshots. */
static void restarts_do_not_put_the_snapshot_off(void **state)
{
    struct world *world = *state;
    uint32_t webhook = world_add_webhook(world);
    world->settings.snapshot_bytes = 20000;
    struct store_end end = {0};
    for (int round = 0; round < 40 && end.snapshot == 0; round++) {
        struct ingest_request request = {0};
        world_ingest(world, &request, 10);
        settle(world, webhook);
        world_restart(world);
        store_end(world->store, &end);
    }
    assert_int_not_equal(end.snapshot, 0);
    assert_int_equal(owed(world, webhook), end.event_seq);
}

/* --- a disk without room for anything --- */

static const struct store_ops *real_ops;

/* Refuses the batch with the first attempt's result for ever, and takes every other one. */
static enum err
append_but_not_the_first(struct store *store, const struct store_batch *batch, struct error *error)
{
    for (size_t i = 0; i < batch->n_records; i++)
        if (batch->records[i].sequence == 1)
            return error_set(error, ERR_FULL, "there is no room");
    return real_ops->append(store, batch, error);
}

/* The results are lost, so they stay owed; later ones must not leave a gap behind them. */
static void a_full_disk_does_not_keep_the_server_from_stopping(void **state)
{
    struct world *world = *state;
    enum { EVENTS = 200 };
    world->settings.commit_batch_items = 1;
    uint32_t webhook = world_add_webhook(world);
    struct ingest_request request = {0};
    world_ingest(world, &request, EVENTS);
    engine_stop(world->engine, 0);
    real_ops = world->store->ops;
    struct store_ops full = *real_ops;
    full.append = append_but_not_the_first;
    world->store->ops = &full;
    world_start(world);
    for (uint64_t sequence = 1; sequence <= EVENTS; sequence++)
        deliver(world, webhook, sequence);
    engine_stop(world->engine, 0);
    world->store->ops = real_ops;
    world_start(world);
    assert_int_equal(owed(world, webhook), EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_snapshot_over_many_commits_is_folded),
        WORLD_TEST(keys_in_a_snapshot_survive_a_full_disk),
        WORLD_TEST(restarts_do_not_put_the_snapshot_off),
        WORLD_TEST(a_full_disk_does_not_keep_the_server_from_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
