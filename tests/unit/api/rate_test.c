/* rate_test.c: windows per company on a clock that the test turns. */
#include "api/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WALL INT64_C(1700000000000)

static struct rate_view view;

static bool take(struct rate *rate, uint32_t company, uint32_t cost, mono_ms now)
{
    return rate_take(rate, company, cost, now, WALL + now, &view);
}

static void test_counts_down_and_refuses(void **state)
{
    struct rate *rate = rate_new(3, 60000);

    for (uint32_t left = 3; left-- > 0;) {
        assert_true(take(rate, 1, 1, 1000));
        assert_int_equal(view.remaining, left);
    }
    assert_false(take(rate, 1, 1, 1001));
    assert_int_equal(view.limit, 3);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.reset_in_s, 60);
    assert_false(take(rate, 1, 0, 1001));
    rate_free(rate);
}

static void test_window_starts_with_the_first_call(void **state)
{
    struct rate *rate = rate_new(1, 60000);

    assert_true(take(rate, 1, 1, 5000));
    assert_int_equal(view.reset_s, WALL / 1000 + 65);
    assert_false(take(rate, 1, 1, 64999));
    assert_int_equal(view.reset_in_s, 1);
    assert_int_equal(view.reset_s, WALL / 1000 + 65);
    assert_true(take(rate, 1, 1, 65000));
    assert_int_equal(view.reset_s, WALL / 1000 + 125);
    rate_free(rate);
}

static void test_companies_are_apart(void **state)
{
    struct rate *rate = rate_new(1, 60000);

    for (uint32_t company = 1; company <= 1000; company++)
        assert_true(take(rate, company, 1, 0));
    for (uint32_t company = 1; company <= 1000; company++)
        assert_false(take(rate, company, 1, 1));
    rate_free(rate);
}

static void test_off(void **state)
{
    struct rate *rate = rate_new(0, 1000);

    for (int i = 0; i < 10000; i++)
        assert_true(take(rate, 1, 1000000, 0));
    assert_int_equal(view.limit, RATE_UNLIMITED);
    assert_int_equal(view.remaining, RATE_UNLIMITED);
    assert_int_equal(view.reset_in_s, 1);
    rate_free(rate);
}

static void test_costs(void **state)
{
    struct rate *rate = rate_new(100, 1000);

    assert_true(take(rate, 1, 60, 0));
    assert_false(take(rate, 1, 60, 1)); /* takes nothing */
    assert_int_equal(view.remaining, 40);
    assert_true(take(rate, 1, 40, 1));
    assert_false(take(rate, 1, 1, 999));
    assert_true(take(rate, 1, 1, 1000));
    rate_free(rate);
}

/* A batch over the limit passes in a fresh window and is paid off by the next ones. */
static void test_larger_than_the_limit(void **state)
{
    struct rate *rate = rate_new(100, 1000);

    assert_true(take(rate, 1, 0, 0));
    assert_true(take(rate, 1, 250, 0));
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.reset_in_s, 3);
    assert_int_equal(view.reset_s, WALL / 1000 + 3);
    assert_false(take(rate, 1, 1, 2999));
    assert_true(take(rate, 1, 1, 3000));
    assert_false(take(rate, 1, 250, 3001));
    assert_int_equal(view.remaining, 99);
    rate_free(rate);
}

static void test_clock_steps_do_not_matter(void **state)
{
    struct rate *rate = rate_new(2, 60000);

    assert_true(rate_take(rate, 1, 1, 0, WALL, &view));
    assert_true(rate_take(rate, 1, 1, 10, WALL - 3600000, &view));
    assert_int_equal(view.reset_s, WALL / 1000 + 60);
    assert_false(rate_take(rate, 1, 1, 20, WALL + 3600000, &view));
    rate_free(rate);
    rate_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_down_and_refuses),
        cmocka_unit_test(test_window_starts_with_the_first_call),
        cmocka_unit_test(test_companies_are_apart),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_larger_than_the_limit),
        cmocka_unit_test(test_clock_steps_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
