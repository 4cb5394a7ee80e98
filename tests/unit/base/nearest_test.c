/* nearest_test.c: how far two names are apart. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static size_t distance(const char *a, const char *b)
{
    assert_int_equal(nearest_distance(span_from(a), span_from(b)),
                     nearest_distance(span_from(b), span_from(a)));
    return nearest_distance(span_from(a), span_from(b));
}

static void edits_are_counted(void **state)
{
    assert_int_equal(distance("listen", "listen"), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("lisen", "listen"), 1);
    assert_int_equal(distance("lsiten", "listen"), 1);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("HOLD_HOURS", "hold-hours"), 0);
}

static void long_names_have_no_neighbour(void **state)
{
    char name[NEAREST_MAX_BYTES + 1];

    memset(name, 'a', sizeof name);
    assert_int_equal(nearest_distance(span_make(name, sizeof name), SPAN_LIT("a")), SIZE_MAX);
    assert_int_equal(nearest_distance(span_make(name, sizeof name - 1), SPAN_LIT("a")),
                     NEAREST_MAX_BYTES - 1);
    assert_false(nearest_is_slip(SIZE_MAX, 10));
}

static void slips_grow_with_the_name(void **state)
{
    assert_true(nearest_is_slip(1, 4));
    assert_false(nearest_is_slip(2, 4));
    assert_true(nearest_is_slip(3, 10));
    assert_false(nearest_is_slip(4, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(long_names_have_no_neighbour),
        cmocka_unit_test(slips_grow_with_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
