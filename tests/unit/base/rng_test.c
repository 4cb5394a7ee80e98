/* rng_test.c: the known sequence, and the shapes of the derived numbers. */
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The first outputs of xoshiro256** from the state 1, 2, 3, 4, worked out from its definition:
 * the first is rotl(2 * 5, 7) * 9. */
static void follows_its_definition(void **state)
{
    uint8_t seed[32] = {[0] = 1, [8] = 2, [16] = 3, [24] = 4};
    struct rng rng;
    rng_seed_bytes(&rng, seed);
    assert_true(rng_next(&rng) == 11520);
    assert_true(rng_next(&rng) == 0);
    assert_true(rng_next(&rng) == UINT64_C(1509978240));
    assert_true(rng_next(&rng) == UINT64_C(1215971899390074240));
}

/* Source: splitmix64 from 0, whose first output is well known. */
static void the_same_seed_gives_the_same_numbers(void **state)
{
    struct rng a, b;
    rng_seed(&a, 0);
    assert_true(a.state[0] == UINT64_C(0xE220A8397B1DCDAF));
    rng_seed(&b, 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_next(&a) == rng_next(&b));
    rng_seed(&b, 1);
    assert_true(rng_next(&a) != rng_next(&b));
}

static void never_sticks_at_zero(void **state)
{
    uint8_t seed[32] = {0};
    struct rng rng;
    rng_seed_bytes(&rng, seed);
    assert_true((rng_next(&rng) | rng_next(&rng)) != 0);
}

static void stays_below_the_bound_and_reaches_everything(void **state)
{
    struct rng rng;
    unsigned counts[7] = {0};
    rng_seed(&rng, 5);
    for (int i = 0; i < 70000; i++) {
        uint64_t x = rng_below(&rng, 7);
        assert_true(x < 7);
        counts[x]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 1000; i++) {
        assert_true(rng_below(&rng, 1) == 0);
        assert_true(rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void fractions_fill_the_unit(void **state)
{
    struct rng rng;
    double sum = 0;
    rng_seed(&rng, 6);
    for (int i = 0; i < 10000; i++) {
        double x = rng_fraction(&rng);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum > 4800 && sum < 5200);
}

static void fills_exactly(void **state)
{
    struct rng rng;
    for (size_t len = 0; len <= 24; len++) {
        uint8_t bytes[26];
        memset(bytes, 0xEE, sizeof(bytes));
        rng_seed(&rng, len);
        rng_fill(&rng, bytes + 1, len);
        assert_int_equal(bytes[0], 0xEE);
        assert_int_equal(bytes[len + 1], 0xEE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_its_definition),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(never_sticks_at_zero),
        cmocka_unit_test(stays_below_the_bound_and_reaches_everything),
        cmocka_unit_test(fractions_fill_the_unit),
        cmocka_unit_test(fills_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
