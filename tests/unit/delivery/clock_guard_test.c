/* clock_guard_test.c: a clock that steps deletes nothing for an hour. */
#include "delivery/housekeeper.h"

#include "test.h"

#define T0 INT64_C(1732622896000)

static void a_steady_clock_is_safe(void **state)
{
    (void)state;
    struct clock_guard guard;
    clock_guard_init(&guard, T0, 500, T0 - 1000);
    assert_true(clock_guard_safe(&guard, T0, 500));
    assert_true(clock_guard_safe(&guard, T0 + 3600000, 500 + 3600000));
    assert_true(clock_guard_safe(&guard, T0 + 3600000 + 59000, 500 + 3600000)); /* under a minute */
}

static void a_step_waits_an_hour_of_monotonic_time(void **state)
{
    (void)state;
    const wall_ms steps[] = {61000, -61000, 90 * 24 * MS_PER_HOUR};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct clock_guard guard;
        clock_guard_init(&guard, T0, 0, T0);
        wall_ms wall = T0 + steps[i];
        assert_false(clock_guard_safe(&guard, wall, 0));
        assert_false(clock_guard_safe(&guard, wall + MS_PER_HOUR - 1, MS_PER_HOUR - 1));
        assert_true(clock_guard_safe(&guard, wall + MS_PER_HOUR, MS_PER_HOUR));
    }
}

static void a_log_from_the_future_waits_too(void **state)
{
    (void)state;
    struct clock_guard guard;
    clock_guard_init(&guard, T0, 0, T0 + 2 * MS_PER_MIN);
    assert_false(clock_guard_safe(&guard, T0 + 1000, 1000));
    assert_true(clock_guard_safe(&guard, T0 + MS_PER_HOUR, MS_PER_HOUR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_clock_is_safe),
        cmocka_unit_test(a_step_waits_an_hour_of_monotonic_time),
        cmocka_unit_test(a_log_from_the_future_waits_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
