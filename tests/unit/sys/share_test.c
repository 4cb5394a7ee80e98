/* share_test.c: nobody takes everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/share.h"

static size_t take_all(struct share *share, uint64_t owner, size_t step)
{
    size_t taken = 0;

    while (share_take(share, owner, step, false))
        taken++;
    return taken;
}

static void give_all(struct share *share, uint64_t owner, size_t step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        share_give(share, owner, step);
}

static void leaves_something_for_the_next(void **state)
{
    struct share share;
    static const size_t least[] = {0, 8750, 1093, 136, 17};
    size_t taken[5];

    share_init(&share, 10000);
    for (uint64_t owner = 1; owner < 5; owner++) {
        taken[owner] = take_all(&share, owner, 1);
        assert_in_range(taken[owner], least[owner], least[owner] + 7);
    }
    /* The first one is far over its part now: what becomes free is for the others. */
    give_all(&share, 1, 1, 1000);
    taken[1] -= 1000;
    assert_false(share_take(&share, 1, 1, false));
    assert_true(share_take(&share, 4, 1, false));
    taken[4]++;
    for (uint64_t owner = 1; owner < 5; owner++)
        give_all(&share, owner, 1, taken[owner]);
    assert_int_equal(share_used(&share), 0);
    share_release(&share);
}

static void lets_one_claim_in_where_it_fits(void **state)
{
    struct share share;

    share_init(&share, 100);
    assert_true(share_take(&share, 1, 60, false));
    assert_true(share_take(&share, 1, 40, true)); /* it grows to all there is */
    assert_false(share_take(&share, 1, 1, true));
    assert_false(share_take(&share, 2, 1, false));
    share_give(&share, 1, 100);
    assert_true(share_take(&share, 2, 30, false));
    assert_true(share_take(&share, 1, 70, false));
    share_give(&share, 1, 70);
    share_give(&share, 2, 30);
    share_release(&share);
}

static void lets_in_what_is_larger_than_all(void **state)
{
    struct share share;

    share_init(&share, 100);
    assert_true(share_take(&share, 1, 1000, false));
    assert_false(share_take(&share, 2, 1, false));
    share_give(&share, 1, 1000);
    assert_true(share_take(&share, 2, 1, false));
    assert_false(share_take(&share, 1, 100, false));
    share_give(&share, 2, 1);
    share_release(&share);
}

static void counts_only_the_limit_for_nobody(void **state)
{
    struct share share;

    share_init(&share, 100);
    assert_int_equal(take_all(&share, 0, 10), 10);
    give_all(&share, 0, 10, 10);
    share_release(&share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_something_for_the_next),
        cmocka_unit_test(lets_one_claim_in_where_it_fits),
        cmocka_unit_test(lets_in_what_is_larger_than_all),
        cmocka_unit_test(counts_only_the_limit_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
