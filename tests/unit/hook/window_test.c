/* window_test.c: the 1/N law step by step. Whole runs are in tests/sim. */
#include "hook/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct window opened(unsigned limit)
{
    struct window window;
    window_init(&window, limit);
    window_check(&window);
    return window;
}

static void opens_at_five_or_at_its_ceiling(void **state)
{
    assert_int_equal(opened(WINDOW_LIMIT).size, 5);
    assert_int_equal(opened(3).size, 3);
    assert_int_equal(opened(1).size, 1);
}

static void grows_at_the_end_of_a_cycle_of_its_size(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    for (int i = 0; i < 4; i++)
        window_grow(&window, 5);
    assert_int_equal(window.size, 5);
    window_grow(&window, 5);
    assert_int_equal(window.size, 6);
    for (int i = 0; i < 5; i++)
        window_grow(&window, 6);
    assert_int_equal(window.size, 6);
    window_grow(&window, 6);
    assert_int_equal(window.size, 7);
}

static void shrinks_at_the_start_of_a_cycle(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    window_shrink(&window);
    assert_int_equal(window.size, 4);
    for (int i = 0; i < 4; i++)
        window_shrink(&window);
    assert_int_equal(window.size, 4);
    window_shrink(&window);
    assert_int_equal(window.size, 3);
}

static void a_change_clears_the_credit_of_the_other_side(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    for (int i = 0; i < 4; i++)
        window_grow(&window, 5);
    window_shrink(&window);
    assert_int_equal(window.up, 0);
    for (int i = 0; i < 4; i++)
        window_grow(&window, 5);
    assert_int_equal(window.size, 5);
    assert_int_equal(window.down, 0);
}

static void an_idle_receiver_banks_nothing(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    for (int i = 0; i < 1000; i++)
        window_grow(&window, 1);
    assert_int_equal(window.size, 6); /* 6 >= 1 + 5 */
}

static void stays_between_one_and_its_ceiling(void **state)
{
    struct window window = opened(7);
    for (int i = 0; i < 1000; i++)
        window_grow(&window, 7);
    assert_int_equal(window.size, 7);
    for (int i = 0; i < 1000; i++) {
        window_shrink(&window);
        window_check(&window);
    }
    assert_int_equal(window.size, 1);
}

static void a_new_ceiling_cuts(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    for (int i = 0; i < 1000; i++)
        window_grow(&window, 20);
    assert_int_equal(window.size, 20);
    window_limit(&window, 4);
    window_check(&window);
    assert_int_equal(window.size, 4);
    assert_int_equal(window_initial(&window), 4);
    window_limit(&window, 30);
    for (int i = 0; i < 1000; i++)
        window_grow(&window, 30);
    assert_int_equal(window.size, 30);
}

static unsigned failures_until_dead(struct window *window)
{
    unsigned n = 1;
    for (; !window_fail(window); n++)
        window_check(window);
    return n;
}

/* 5 at the first, then four and so on: what three cohorts cost. */
static void three_failed_cohorts_are_death(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    assert_int_equal(failures_until_dead(&window), 11);
    struct window one = opened(1);
    assert_int_equal(failures_until_dead(&one), 3);
}

static void a_success_forgives_the_cohort(void **state)
{
    struct window window = opened(WINDOW_LIMIT);
    for (int i = 0; i < 100; i++) {
        assert_false(window_fail(&window));
        if (i % 2 == 1)
            window_grow(&window, 1);
    }
    assert_int_equal(window.cohort_ppm, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_at_five_or_at_its_ceiling),
        cmocka_unit_test(grows_at_the_end_of_a_cycle_of_its_size),
        cmocka_unit_test(shrinks_at_the_start_of_a_cycle),
        cmocka_unit_test(a_change_clears_the_credit_of_the_other_side),
        cmocka_unit_test(an_idle_receiver_banks_nothing),
        cmocka_unit_test(stays_between_one_and_its_ceiling),
        cmocka_unit_test(a_new_ceiling_cuts),
        cmocka_unit_test(three_failed_cohorts_are_death),
        cmocka_unit_test(a_success_forgives_the_cohort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
