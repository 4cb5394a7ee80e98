/* network_test.c: when failures are taken for our own. */
#include "delivery/network.h"

#include "test.h"

static bool fail_many(struct network *network, uint64_t from, uint64_t n, mono_ms now)
{
    bool suspect = false;
    for (uint64_t host = from; host < from + n; host++)
        suspect = network_note(network, host, false, now + (mono_ms)(host - from) * 101);
    return suspect;
}

static void prove(struct network *network, uint64_t n, mono_ms now)
{
    for (uint64_t host = 1; host <= n; host++)
        assert_false(network_note(network, host, true, now));
}

static void few_hosts_prove_nothing(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 19, 1000);
    assert_false(fail_many(&network, 1, 19, 2000));
    network_release(&network);
}

static void hosts_that_never_answered_do_not_count(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 30, 1000);
    assert_false(fail_many(&network, 1000, 500, 2000));
    network_release(&network);
}

static void more_than_half_is_ours_until_most_answer(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 40, 1000);
    assert_false(fail_many(&network, 1, 20, 2000));
    assert_true(fail_many(&network, 21, 1, 5000));
    /* Answers of the failing ones clear it. */
    bool suspect = true;
    for (uint64_t host = 1; host <= 5; host++)
        suspect = network_note(&network, host, true, 6000 + (mono_ms)host * 101);
    assert_false(suspect);
    network_release(&network);
}

/* The first failures of an outage come within milliseconds. */
static void the_balance_tips_at_once(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 40, 1000);
    for (uint64_t host = 1; host <= 20; host++)
        for (int again = 0; again < 3; again++)
            assert_false(network_note(&network, host, false, 2000));
    assert_true(network_note(&network, 21, false, 2000));
    network_release(&network);
}

static void the_watch_tells_when_it_changes(void **state)
{
    (void)state;
    struct network_watch *watch = network_watch_new();
    bool changed = false;
    for (uint64_t host = 1; host <= 20; host++)
        assert_false(network_watch_note(watch, host, true, 1000, &changed));
    for (uint64_t host = 1; host <= 11; host++) {
        assert_false(changed);
        bool suspect = network_watch_note(watch, host, false, 2000, &changed);
        assert_int_equal(suspect, host == 11);
    }
    assert_true(changed);
    assert_true(network_watch_note(watch, 12, false, 2001, &changed));
    assert_false(changed);
    network_watch_free(watch);
}

static void old_failures_are_forgotten(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 40, 1000);
    assert_false(fail_many(&network, 1, 20, 2000));
    assert_false(fail_many(&network, 21, 3, 2000 + 20 * 101 + 30 * MS_PER_S));
    network_release(&network);
}

static void suspicion_ends_when_failures_age(void **state)
{
    (void)state;
    struct network network;
    network_init(&network);
    prove(&network, 40, 1000);
    assert_true(fail_many(&network, 1, 40, 2000));
    assert_false(network_note(&network, 1, false, 2000 + 40 * 101 + 31 * MS_PER_S));
    network_release(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_hosts_prove_nothing),
        cmocka_unit_test(hosts_that_never_answered_do_not_count),
        cmocka_unit_test(more_than_half_is_ours_until_most_answer),
        cmocka_unit_test(the_balance_tips_at_once),
        cmocka_unit_test(the_watch_tells_when_it_changes),
        cmocka_unit_test(old_failures_are_forgotten),
        cmocka_unit_test(suspicion_ends_when_failures_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
