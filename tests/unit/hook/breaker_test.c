/* breaker_test.c: death, the probe and what brings a receiver back. */
#include "hook/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct breaker_times times = {BREAKER_FIRST_MS, BREAKER_MAX_MS};

struct fixture {
    struct breaker breaker;
    struct rng rng;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    rng_seed(&fixture.rng, 7);
    breaker_init(&fixture.breaker, WINDOW_LIMIT, true);
    *state = &fixture;
    return 0;
}

static void end(struct fixture *f, enum signal_kind signal, unsigned in_flight, mono_ms now)
{
    breaker_end(&f->breaker, signal, in_flight, &times, now, &f->rng);
}

static void kill_it(struct fixture *f, mono_ms now)
{
    while (f->breaker.state == BREAKER_CLOSED)
        end(f, SIGNAL_COHORT, 5, now);
    assert_int_equal(f->breaker.state, BREAKER_DEAD);
}

/* From DEAD through the probe, whose signal it is. Returns when it was. */
static mono_ms probe(struct fixture *f, enum signal_kind signal)
{
    mono_ms at = f->breaker.probe_at;
    breaker_wake(&f->breaker, at - 1);
    assert_int_equal(breaker_allows(&f->breaker), 0);
    breaker_wake(&f->breaker, at);
    assert_int_equal(breaker_allows(&f->breaker), 1);
    breaker_start(&f->breaker);
    breaker_check(&f->breaker, 1);
    end(f, signal, 1, at);
    return at;
}

static void allows_its_window_if_proven_and_the_initial_one_else(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        end(f, SIGNAL_GOOD, 5, 0);
    assert_int_equal(breaker_allows(&f->breaker), 6);
    end(f, SIGNAL_NEUTRAL, 6, 0);
    assert_false(f->breaker.proven);
    assert_int_equal(breaker_allows(&f->breaker), 5);
    end(f, SIGNAL_GOOD, 5, 0);
    assert_int_equal(breaker_allows(&f->breaker), 6);
}

static void what_says_nothing_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct breaker before = f->breaker;
    for (int i = 0; i < 100; i++)
        end(f, SIGNAL_NONE, 5, 0);
    assert_memory_equal(&f->breaker, &before, sizeof(before));
}

/* A gateway that answers 502 or 503 is there: fewer requests, but never none. */
static void only_who_cannot_be_reached_dies(void **state)
{
    static const enum signal_kind kinds[] = {SIGNAL_BAD, SIGNAL_SUSPEND, SIGNAL_NEUTRAL};
    struct fixture *f = *state;
    for (int i = 0; i < 300; i++)
        end(f, kinds[i % 3], 5, 0);
    assert_int_equal(breaker_allows(&f->breaker), 1);
    kill_it(f, 0);
    assert_int_equal(breaker_allows(&f->breaker), 0);
}

static void the_pause_doubles_up_to_an_hour_with_jitter(void **state)
{
    struct fixture *f = *state;
    int64_t expected = 60 * MS_PER_S;
    mono_ms now = 1000;
    kill_it(f, now);
    for (int i = 0; i < 12; i++) {
        int64_t pause = f->breaker.probe_at - now;
        assert_in_range(pause, expected * 8 / 10, expected * 12 / 10);
        now = probe(f, i % 2 == 0 ? SIGNAL_COHORT : SIGNAL_BAD);
        assert_int_equal(f->breaker.state, BREAKER_DEAD);
        expected = 2 * expected < MS_PER_HOUR ? 2 * expected : MS_PER_HOUR;
    }
}

static void a_probe_that_succeeds_opens_the_window_and_forgets(void **state)
{
    struct fixture *f = *state;
    kill_it(f, 0);
    probe(f, SIGNAL_COHORT);
    probe(f, SIGNAL_GOOD);
    assert_int_equal(f->breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_allows(&f->breaker), WINDOW_INITIAL);
    kill_it(f, 0);
    assert_in_range(f->breaker.probe_at, 48 * MS_PER_S, 72 * MS_PER_S);
}

/* Somebody is there, but no delivery succeeded yet. */
static void a_probe_with_an_answer_opens_it_by_one(void **state)
{
    struct fixture *f = *state;
    kill_it(f, 0);
    probe(f, SIGNAL_NEUTRAL);
    assert_int_equal(f->breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_allows(&f->breaker), 1);
    kill_it(f, 0);
    assert_in_range(f->breaker.probe_at, 96 * MS_PER_S, 144 * MS_PER_S);
}

static void a_probe_that_came_to_nothing_is_repeated(void **state)
{
    struct fixture *f = *state;
    kill_it(f, 0);
    probe(f, SIGNAL_NONE);
    assert_int_equal(f->breaker.state, BREAKER_DUE);
    assert_int_equal(breaker_allows(&f->breaker), 1);
}

static void stragglers_revive_but_do_not_kill_again(void **state)
{
    struct fixture *f = *state;
    kill_it(f, 0);
    mono_ms at = f->breaker.probe_at;
    end(f, SIGNAL_COHORT, 4, at - 1);
    assert_int_equal(f->breaker.probe_at, at);
    breaker_wake(&f->breaker, at);
    end(f, SIGNAL_COHORT, 3, at);
    assert_int_equal(f->breaker.state, BREAKER_DUE);
    end(f, SIGNAL_GOOD, 2, at);
    assert_int_equal(f->breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_allows(&f->breaker), WINDOW_INITIAL);
}

static void without_a_pause_nobody_dies(void **state)
{
    static const struct breaker_times never = {0, 0};
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        breaker_end(&f->breaker, SIGNAL_COHORT, 5, &never, 0, &f->rng);
        breaker_check(&f->breaker, 5);
    }
    assert_int_equal(breaker_allows(&f->breaker), 1);
}

#define BREAKER_TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BREAKER_TEST(allows_its_window_if_proven_and_the_initial_one_else),
        BREAKER_TEST(what_says_nothing_changes_nothing),
        BREAKER_TEST(only_who_cannot_be_reached_dies),
        BREAKER_TEST(the_pause_doubles_up_to_an_hour_with_jitter),
        BREAKER_TEST(a_probe_that_succeeds_opens_the_window_and_forgets),
        BREAKER_TEST(a_probe_with_an_answer_opens_it_by_one),
        BREAKER_TEST(a_probe_that_came_to_nothing_is_repeated),
        BREAKER_TEST(without_a_pause_nobody_dies),
        BREAKER_TEST(stragglers_revive_but_do_not_kill_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
