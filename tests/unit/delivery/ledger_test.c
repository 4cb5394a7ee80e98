/* ledger_test.c: sequences are given out once, gapless, and snapshots restore lanes. */
#include "delivery/ledger.h"

#include <pthread.h>

#include "base/mem.h"
#include "test.h"

static void configure(struct ledger *ledger, uint32_t number, uint32_t epoch)
{
    const struct webhook webhook = {.number = number, .company = 1, .epoch = epoch};
    ledger_configure(ledger, &webhook);
}

static void sequences_are_gapless_over_rollbacks(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_new();
    configure(ledger, 7, 1);
    configure(ledger, 8, 1);
    assert_int_equal(ledger_assign(ledger, 7), 1);
    assert_int_equal(ledger_assign(ledger, 7), 2);
    assert_int_equal(ledger_assign(ledger, 8), 1);
    assert_int_equal(ledger_last(ledger, 7), 0);
    ledger_assign_rollback(ledger);
    assert_int_equal(ledger_assign(ledger, 7), 1);
    ledger_assign_commit(ledger);
    assert_int_equal(ledger_last(ledger, 7), 1);
    assert_int_equal(ledger_last(ledger, 8), 0);
    assert_int_equal(ledger_assign(ledger, 7), 2);
    assert_int_equal(ledger_remove(ledger, 7), 2); /* one committed, one assigned */
    ledger_assign_commit(ledger);
    assert_int_equal(ledger_last(ledger, 7), 0);
    ledger_free(ledger);
}

static void see(void *ctx, const struct lane *lane)
{
    *(struct lane *)ctx = *lane;
}

static void a_walk_restores_every_lane(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_new();
    struct ledger *other = ledger_new();
    for (uint32_t i = 1; i <= 500; i++) {
        configure(ledger, i, 2);
        configure(other, i, 2);
        ledger_raise(ledger, i, i * 10);
    }
    for (uint32_t i = 1; i <= 500; i += 3)
        ledger_remove(ledger, i);
    struct buf buf = BUF_INIT;
    uint32_t number = 0;
    unsigned n = 0;
    for (bool more = ledger_walk(ledger, true, &buf, &number); more;
         more = ledger_walk(ledger, false, &buf, &number), n++) {
        ledger_raise(other, number, 1);
        ledger_restore(other, number, buf_span(&buf));
        buf_clear(&buf);
        assert_int_equal(ledger_last(other, number), number * 10);
    }
    assert_int_equal(n, 500 - 167);
    assert_int_equal(ledger_count(ledger), n);
    buf_release(&buf);
    ledger_free(ledger);
    ledger_free(other);
}

static void a_restored_lane_keeps_the_present_intent(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_new();
    configure(ledger, 1, 1);
    ledger_raise(ledger, 1, 5);
    struct buf buf = BUF_INIT;
    const struct deactivation deactivation = {1, 1, 1000, DEACTIVATED_FAILURES};
    deactivation_encode(&buf, &deactivation);
    ledger_fold(ledger, RECORD_DEACTIVATED, 1, buf_span(&buf));
    struct lane lane;
    assert_true(ledger_with(ledger, 1, see, &lane));
    assert_false(lane_active(&lane));
    buf_clear(&buf);
    uint32_t number = 0;
    assert_true(ledger_walk(ledger, true, &buf, &number));
    /* The webhook was enabled since: epoch 2. */
    struct ledger *after = ledger_new();
    configure(after, 1, 2);
    ledger_restore(after, 1, buf_span(&buf));
    assert_true(ledger_with(after, 1, see, &lane));
    assert_true(lane_active(&lane));
    assert_int_equal(lane_owed(&lane), 5);
    buf_release(&buf);
    ledger_free(ledger);
    ledger_free(after);
}

/* --- looking at all lanes while others are removed --- */

enum { GONE_FIRST = 1, GONE = 900, KEPT = 700 };

static void *remove_many(void *arg)
{
    for (uint32_t i = 0; i < GONE; i++)
        ledger_remove(arg, GONE_FIRST + i);
    return NULL;
}

static void count_kept(void *ctx, const struct lane *lane)
{
    *(unsigned *)ctx += lane->webhook >= GONE_FIRST + GONE;
}

/* Lanes move to other places in the ledger when it is compacted; nobody who looks may miss one. */
static void nobody_is_missed_while_lanes_are_removed(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct ledger *ledger = ledger_new();
        for (uint32_t i = 0; i < GONE + KEPT; i++)
            configure(ledger, GONE_FIRST + i, 1);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, remove_many, ledger), 0);
        for (int look = 0; look < 20; look++) {
            unsigned kept = 0;
            ledger_each(ledger, count_kept, &kept);
            assert_int_equal(kept, KEPT);
        }
        pthread_join(thread, NULL);
        ledger_free(ledger);
    }
}

static void what_was_rolled_back_is_not_owed(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_new();
    configure(ledger, 7, 1);
    assert_int_equal(ledger_assign(ledger, 7), 1);
    ledger_assign_rollback(ledger);
    assert_int_equal(ledger_remove(ledger, 7), 0);
    ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_gapless_over_rollbacks),
        cmocka_unit_test(a_walk_restores_every_lane),
        cmocka_unit_test(a_restored_lane_keeps_the_present_intent),
        cmocka_unit_test(nobody_is_missed_while_lanes_are_removed),
        cmocka_unit_test(what_was_rolled_back_is_not_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
