/* scheduler_test.c: who is picked, and who is not. Whole histories are in tests/sim. */
#include "hook/scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LANES = 4 };

static const struct breaker_times times = {BREAKER_FIRST_MS, BREAKER_MAX_MS};

/* Lanes 0 to 3 are proven and of one company, the fifth is of a second one. */
struct fixture {
    struct sched sched;
    struct sched_company companies[2];
    struct sched_lane lanes[LANES + 1];
    struct rng rng;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    sched_init(&fixture.sched, 8, &times);
    sched_company_init(&fixture.companies[0]);
    sched_company_init(&fixture.companies[1]);
    for (int i = 0; i <= LANES; i++)
        sched_lane_add(&fixture.sched, &fixture.companies[i == LANES], &fixture.lanes[i], 3, true);
    rng_seed(&fixture.rng, 5);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sched_check(&f->sched);
    return 0;
}

static void has(struct fixture *f, int lane, bool first, bool retry)
{
    sched_update(&f->sched, &f->lanes[lane], first, retry, false);
    sched_check(&f->sched);
}

/* The number of the lane that is picked, -1 = none. */
static int pick(struct fixture *f, enum sched_take *ret_take)
{
    enum sched_take take;
    struct sched_lane *lane = sched_pick(&f->sched, &take);
    sched_check(&f->sched);
    if (lane == NULL)
        return -1;
    if (ret_take != NULL)
        *ret_take = take;
    return (int)(lane - f->lanes);
}

static void ends(struct fixture *f, int lane, enum signal_kind signal, mono_ms now)
{
    sched_done(&f->sched, &f->lanes[lane], signal, now, &f->rng);
    sched_check(&f->sched);
}

static void nothing_to_do_picks_nothing(void **state)
{
    assert_int_equal(pick(*state, NULL), -1);
}

static void lanes_come_in_turn(void **state)
{
    struct fixture *f = *state;
    has(f, 2, true, false);
    has(f, 0, true, false);
    has(f, 3, true, false);
    static const int expected[] = {2, 0, 3, 2, 0, 3};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pick(f, NULL), expected[i]);
}

static void an_update_does_not_lose_the_turn(void **state)
{
    struct fixture *f = *state;
    has(f, 0, true, false);
    has(f, 1, true, false);
    assert_int_equal(pick(f, NULL), 0);
    has(f, 1, true, true);
    has(f, 0, true, true);
    assert_int_equal(pick(f, NULL), 1);
}

static void the_limit_of_a_lane_holds(void **state)
{
    struct fixture *f = *state;
    has(f, 1, true, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pick(f, NULL), 1);
    assert_int_equal(f->lanes[1].state, SCHED_FULL);
    assert_int_equal(pick(f, NULL), -1);
    ends(f, 1, SIGNAL_NONE, 0);
    assert_int_equal(f->lanes[1].state, SCHED_READY);
    assert_int_equal(pick(f, NULL), 1);
}

static void the_slots_hold(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < LANES; i++)
        has(f, i, true, false);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pick(f, NULL), i % LANES);
    assert_int_equal(sched_room(&f->sched), 0);
    assert_int_equal(pick(f, NULL), -1);
    ends(f, 3, SIGNAL_NONE, 0);
    assert_int_equal(sched_room(&f->sched), 1);
    assert_int_equal(pick(f, NULL), 0);
}

static void a_suspended_lane_is_left_out(void **state)
{
    struct fixture *f = *state;
    has(f, 0, true, false);
    has(f, 1, true, false);
    sched_update(&f->sched, &f->lanes[0], true, false, true);
    assert_int_equal(f->lanes[0].state, SCHED_WAITING);
    assert_int_equal(pick(f, NULL), 1);
    assert_int_equal(pick(f, NULL), 1);
    has(f, 0, true, false);
    assert_int_equal(pick(f, NULL), 1);
    assert_int_equal(pick(f, NULL), 0);
}

static void a_full_lane_can_be_suspended_and_come_back(void **state)
{
    struct fixture *f = *state;
    has(f, 0, true, false);
    for (int i = 0; i < 3; i++)
        pick(f, NULL);
    sched_update(&f->sched, &f->lanes[0], true, false, true);
    assert_int_equal(f->lanes[0].state, SCHED_WAITING);
    ends(f, 0, SIGNAL_NONE, 0);
    assert_int_equal(f->lanes[0].state, SCHED_WAITING);
    has(f, 0, true, false);
    assert_int_equal(f->lanes[0].state, SCHED_READY);
}

static void first_attempts_outrank_retries_but_do_not_starve_them(void **state)
{
    struct fixture *f = *state;
    unsigned retries = 0;
    has(f, 0, true, true);
    for (int i = 0; i < 100; i++) {
        enum sched_take take = SCHED_FIRST;
        assert_int_equal(pick(f, &take), 0);
        assert_int_equal(take, i % 5 == 4 ? SCHED_RETRY : SCHED_FIRST);
        retries += take == SCHED_RETRY;
        ends(f, 0, SIGNAL_NONE, 0);
    }
    assert_int_equal(retries, 20);
}

static void only_what_is_there_is_taken(void **state)
{
    struct fixture *f = *state;
    enum sched_take take = SCHED_FIRST;
    has(f, 0, false, true);
    assert_int_equal(pick(f, &take), 0);
    assert_int_equal(take, SCHED_RETRY);
    has(f, 0, true, false);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pick(f, &take), 0);
        assert_int_equal(take, SCHED_FIRST);
        ends(f, 0, SIGNAL_NONE, 0);
    }
}

static void a_lowered_limit_stops_picks_until_enough_ended(void **state)
{
    struct fixture *f = *state;
    has(f, 0, true, false);
    pick(f, NULL);
    pick(f, NULL);
    sched_lane_limit(&f->sched, &f->lanes[0], 1);
    assert_int_equal(f->lanes[0].state, SCHED_FULL);
    ends(f, 0, SIGNAL_NONE, 0);
    assert_int_equal(pick(f, NULL), -1);
    ends(f, 0, SIGNAL_NONE, 0);
    assert_int_equal(pick(f, NULL), 0);
    sched_lane_limit(&f->sched, &f->lanes[0], 2); /* a ceiling: the window opens by itself */
    assert_int_equal(pick(f, NULL), -1);
    ends(f, 0, SIGNAL_GOOD, 0);
    assert_int_equal(pick(f, NULL), 0);
    assert_int_equal(pick(f, NULL), 0);
}

/* Four webhooks of one company against one of another: each company has every second pick. */
static void companies_come_in_turn(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i <= LANES; i++)
        has(f, i, true, false);
    static const int expected[] = {0, 4, 1, 4, 2, 4, 3, 0};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pick(f, NULL), expected[i]);
    assert_int_equal(f->lanes[4].state, SCHED_FULL);
}

/* 8 slots: two for those that are not proven, each with its initial window. */
static void those_not_proven_share_a_quarter_of_the_slots(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        has(f, i, true, false);
        assert_int_equal(pick(f, NULL), i);
        ends(f, i, SIGNAL_NEUTRAL, 0);
        assert_int_equal(f->lanes[i].tier, SCHED_UNPROVEN);
        has(f, i, false, false);
    }
    has(f, 0, true, false);
    has(f, 1, true, false);
    assert_int_equal(pick(f, NULL), 0);
    assert_int_equal(pick(f, NULL), 1);
    assert_int_equal(pick(f, NULL), -1);
    assert_int_equal(sched_room(&f->sched), 6);
    has(f, 2, true, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pick(f, NULL), 2);
    ends(f, 0, SIGNAL_GOOD, 0); /* proven: out of the quarter */
    has(f, 0, false, false);
    assert_int_equal(pick(f, NULL), 1);
    assert_int_equal(pick(f, NULL), -1);
}

static void those_not_proven_have_one_pick_in_four(void **state)
{
    struct fixture *f = *state;
    has(f, 0, true, false);
    pick(f, NULL);
    ends(f, 0, SIGNAL_NEUTRAL, 0);
    has(f, 1, true, false);
    unsigned unproven = 0;
    for (int i = 0; i < 400; i++) {
        int picked = pick(f, NULL);
        unproven += picked == 0;
        ends(f, picked, SIGNAL_NONE, 0);
    }
    assert_int_equal(unproven, 100);
}

static void kill_lane(struct fixture *f, int lane)
{
    has(f, lane, true, false);
    while (f->lanes[lane].state != SCHED_DEAD) {
        assert_int_equal(pick(f, NULL), lane);
        ends(f, lane, SIGNAL_COHORT, 1000);
    }
}

static void a_dead_lane_is_left_alone_until_its_probe(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sched_lane_probe_at(&f->lanes[0]), -1);
    kill_lane(f, 0);
    mono_ms at = sched_lane_probe_at(&f->lanes[0]);
    assert_in_range(at, 1000 + 48 * MS_PER_S, 1000 + 72 * MS_PER_S);
    assert_int_equal(pick(f, NULL), -1);
    has(f, 0, true, true);
    sched_wake(&f->sched, &f->lanes[0], at - 1);
    assert_int_equal(f->lanes[0].state, SCHED_DEAD);
    sched_wake(&f->sched, &f->lanes[0], at);
    assert_int_equal(pick(f, NULL), 0);
    assert_int_equal(pick(f, NULL), -1); /* one only */
    ends(f, 0, SIGNAL_GOOD, at);
    assert_int_equal(f->lanes[0].state, SCHED_READY);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pick(f, NULL), 0);
}

static void a_reset_forgets_the_death(void **state)
{
    struct fixture *f = *state;
    kill_lane(f, 0);
    sched_lane_reset(&f->sched, &f->lanes[0], true);
    sched_check(&f->sched);
    assert_int_equal(f->lanes[0].state, SCHED_READY);
    assert_int_equal(f->lanes[0].tier, SCHED_PROVEN);
    assert_int_equal(pick(f, NULL), 0);
    assert_int_equal(pick(f, NULL), 0);
}

static void a_dead_lane_that_is_suspended_shows_as_waiting(void **state)
{
    struct fixture *f = *state;
    kill_lane(f, 0);
    sched_update(&f->sched, &f->lanes[0], true, false, true);
    assert_int_equal(f->lanes[0].state, SCHED_WAITING);
    has(f, 0, true, false);
    assert_int_equal(f->lanes[0].state, SCHED_DEAD);
    sched_lane_remove(&f->sched, &f->lanes[0]);
    sched_check(&f->sched);
}

static void a_lane_can_leave_from_any_state(void **state)
{
    struct fixture *f = *state;
    sched_lane_remove(&f->sched, &f->lanes[0]);
    has(f, 1, true, false);
    sched_lane_remove(&f->sched, &f->lanes[1]);
    sched_update(&f->sched, &f->lanes[2], true, false, true);
    sched_lane_remove(&f->sched, &f->lanes[2]);
    sched_check(&f->sched);
    assert_int_equal(pick(f, NULL), -1);
}

#define SCHED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCHED_TEST(nothing_to_do_picks_nothing),
        SCHED_TEST(lanes_come_in_turn),
        SCHED_TEST(an_update_does_not_lose_the_turn),
        SCHED_TEST(the_limit_of_a_lane_holds),
        SCHED_TEST(the_slots_hold),
        SCHED_TEST(a_suspended_lane_is_left_out),
        SCHED_TEST(a_full_lane_can_be_suspended_and_come_back),
        SCHED_TEST(first_attempts_outrank_retries_but_do_not_starve_them),
        SCHED_TEST(only_what_is_there_is_taken),
        SCHED_TEST(a_lowered_limit_stops_picks_until_enough_ended),
        SCHED_TEST(companies_come_in_turn),
        SCHED_TEST(those_not_proven_share_a_quarter_of_the_slots),
        SCHED_TEST(those_not_proven_have_one_pick_in_four),
        SCHED_TEST(a_dead_lane_is_left_alone_until_its_probe),
        SCHED_TEST(a_reset_forgets_the_death),
        SCHED_TEST(a_dead_lane_that_is_suspended_shows_as_waiting),
        SCHED_TEST(a_lane_can_leave_from_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
