/* engine_test.c: ingest and changes through the engine's door over the memory store, without
 * couriers: what is committed, what is refused, what a restart finds. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

static void events_get_consecutive_ids_and_sequences(void **state)
{
    struct world *world = *state;
    uint32_t webhook = world_add_webhook(world);
    struct ingest_request request = {0};
    world_ingest(world, &request, 3);
    assert_int_equal(request.code, OK);
    assert_int_equal(request.n_ids, 3);
    for (size_t i = 0; i < 3; i++) {
        uint8_t id[EVENT_ID_BYTES];
        struct event *event = NULL;
        struct delivery *targets = NULL;
        size_t n = 0;
        struct error error = {0};
        event_id_after(request.first_id, i, id);
        assert_int_equal(
            engine_event(world->engine, world->company, id, &event, &targets, &n, &error), OK);
        assert_int_equal(n, 1);
        assert_int_equal(targets[0].webhook, webhook);
        assert_int_equal(targets[0].sequence, i + 1);
        assert_int_equal(targets[0].status, DELIVERY_OWED);
        free(targets);
        event_unref(event);
        assert_int_equal(
            engine_event(world->engine, world->company + 1, id, &event, &targets, &n, &error),
            ERR_NOT_FOUND);
    }
}

static void a_key_repeats_and_survives_a_restart(void **state)
{
    struct world *world = *state;
    struct ingest_request first = {.keyed = true, .key_hash = {1}, .body_hash = {1}};
    world_ingest(world, &first, 2);
    assert_int_equal(first.code, OK);
    for (int round = 0; round < 2; round++) {
        struct ingest_request again = {.keyed = true, .key_hash = {1}, .body_hash = {1}};
        world_ingest(world, &again, 2);
        assert_int_equal(again.code, OK);
        assert_true(again.replayed);
        assert_int_equal(again.n_ids, 2);
        assert_memory_equal(again.first_id, first.first_id, EVENT_ID_BYTES);
        struct ingest_request other = {.keyed = true, .key_hash = {1}, .body_hash = {2}};
        world_ingest(world, &other, 2);
        assert_int_equal(other.code, ERR_CONFLICT);
        engine_stop(world->engine, 0);
        world_start(world);
    }
    struct store_end end;
    store_end(world->store, &end);
    assert_int_equal(end.event_seq, 2);
}

static void a_full_disk_refuses_events_and_nothing_else(void **state)
{
    struct world *world = *state;
    uint32_t webhook = world_add_webhook(world);
    store_inject_fault(world->store, STORE_FAULT_FULL, 1);
    struct ingest_request refused = {.keyed = true, .key_hash = {3}, .body_hash = {1}};
    world_ingest(world, &refused, 2);
    assert_int_equal(refused.code, ERR_FULL);
    /* The key was not taken, and no sequence was lost. */
    struct ingest_request accepted = {.keyed = true, .key_hash = {3}, .body_hash = {9}};
    world_ingest(world, &accepted, 1);
    assert_int_equal(accepted.code, OK);
    assert_false(accepted.replayed);
    struct webhook_status status;
    assert_true(engine_webhook_status(world->engine, webhook, &status));
    assert_int_equal(status.last_sequence, 1);
    assert_int_equal(status.owed, 1);
}

static void what_is_owed_survives_and_deleted_webhooks_do_not(void **state)
{
    struct world *world = *state;
    uint32_t kept = world_add_webhook(world);
    uint32_t deleted = world_add_webhook(world);
    struct ingest_request request = {0};
    world_ingest(world, &request, 5);
    struct change change = {
        .kind = CHANGE_WEBHOOK_DELETE, .company_id = world->company, .webhook_number = deleted};
    assert_int_equal(world_change(world, &change), OK);
    assert_int_equal(change.dropped, 5);
    assert_int_equal(world_change(world, &change), ERR_NOT_FOUND);
    struct change pause = {.kind = CHANGE_WEBHOOK_UPDATE,
                           .company_id = world->company,
                           .webhook_number = kept,
                           .patch = {.events_action = PATCH_EVENTS_KEEP, .active = 0}};
    assert_int_equal(world_change(world, &pause), OK);
    for (int round = 0; round < 2; round++) {
        struct webhook_status status;
        assert_false(engine_webhook_status(world->engine, deleted, &status));
        assert_true(engine_webhook_status(world->engine, kept, &status));
        assert_false(status.active);
        assert_true(status.paused);
        assert_int_equal(status.held, 5);
        assert_int_not_equal(status.oldest_owed_at, 0);
        engine_stop(world->engine, 0);
        world_start(world);
    }
}

static void a_stopping_engine_refuses(void **state)
{
    struct world *world = *state;
    engine_quiesce(world->engine);
    assert_false(engine_ready(world->engine));
    struct ingest_request request = {0};
    world_ingest(world, &request, 1);
    assert_int_equal(request.code, ERR_SHUTDOWN);
    struct change change = {.kind = CHANGE_WEBHOOK_DELETE, .webhook_number = 1};
    assert_int_equal(world_change(world, &change), ERR_SHUTDOWN);
}

static void the_list_of_deliveries_pages_backwards(void **state)
{
    struct world *world = *state;
    uint32_t webhook = world_add_webhook(world);
    for (int i = 0; i < 3; i++) {
        struct ingest_request request = {0};
        world_ingest(world, &request, 50);
    }
    struct delivery_query query = {.webhook = webhook, .status = -1, .event_type = -1, .limit = 40};
    uint64_t expected = 150;
    do {
        struct delivery_page page;
        struct error error = {0};
        assert_int_equal(engine_deliveries(world->engine, &query, &page, &error), OK);
        for (size_t i = 0; i < page.n; i++, expected--)
            assert_int_equal(page.deliveries[i].sequence, expected);
        query.before = page.next;
        delivery_page_release(&page);
    } while (query.before != 0);
    assert_int_equal(expected, 0);
    query.status = DELIVERY_DELIVERED;
    struct delivery_page page;
    struct error error = {0};
    assert_int_equal(engine_deliveries(world->engine, &query, &page, &error), OK);
    assert_int_equal(page.n, 0);
    assert_int_equal(page.next, 0);
    delivery_page_release(&page);
}

static void delivery_ids_parse_strictly(void **state)
{
    (void)state;
    uint8_t id[EVENT_ID_BYTES];
    uint32_t webhook = 0;
    assert_int_equal(delivery_id_parse(SPAN_LIT("dlv_01JDH8Z0000000000000000000-12"), id, &webhook),
                     OK);
    assert_int_equal(webhook, 12);
    const char *bad[] = {"",
                         "dlv_",
                         "dlv_01JDH8Z0000000000000000000-",
                         "dlv_01JDH8Z0000000000000000000-01",
                         "dlv_01JDH8Z0000000000000000000-4294967296",
                         "evt_01JDH8Z0000000000000000000-1",
                         "dlv_01JDH8Z0000000000000000000-1x",
                         "dlv_01JDH8Z000000000000000000U-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(delivery_id_parse(span_from(bad[i]), id, &webhook), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(events_get_consecutive_ids_and_sequences),
        WORLD_TEST(a_key_repeats_and_survives_a_restart),
        WORLD_TEST(a_full_disk_refuses_events_and_nothing_else),
        WORLD_TEST(what_is_owed_survives_and_deleted_webhooks_do_not),
        WORLD_TEST(a_stopping_engine_refuses),
        WORLD_TEST(the_list_of_deliveries_pages_backwards),
        cmocka_unit_test(delivery_ids_parse_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
