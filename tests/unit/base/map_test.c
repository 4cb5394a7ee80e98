/* map_test.c: both maps against plain arrays, iteration with removal, SipHash's own vectors. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

enum { KEYS = 3000, STEPS = 200000 };

static char values[KEYS]; /* their addresses are the values */

/* Random puts and removals; the array `there` is the truth. */
static void agrees_with_an_array(void **state)
{
    struct map map = {0};
    struct rng rng;
    bool there[KEYS] = {false};
    size_t count = 0;
    rng_seed(&rng, 1);
    for (int i = 0; i < STEPS; i++) {
        size_t k = rng_below(&rng, KEYS);
        uint64_t key = k * 4096; /* zeros in the low bits */
        if (rng_below(&rng, 5) < 3) {
            assert_ptr_equal(map_put(&map, key, &values[k]), there[k] ? &values[k] : NULL);
            count += !there[k];
            there[k] = true;
        } else {
            assert_ptr_equal(map_remove(&map, key), there[k] ? &values[k] : NULL);
            count -= there[k];
            there[k] = false;
        }
        assert_int_equal(map_len(&map), count);
    }
    for (size_t k = 0; k < KEYS; k++)
        assert_ptr_equal(map_get(&map, k * 4096), there[k] ? &values[k] : NULL);
    assert_null(map_get(&map, 1));
    map_release(&map);
    assert_null(map_get(&map, 0));
    assert_null(map_remove(&map, 0));
}

static void takes_every_key(void **state)
{
    struct map map;
    map_init(&map);
    static const uint64_t keys[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63};
    for (size_t i = 0; i < 4; i++)
        assert_null(map_put(&map, keys[i], &values[i]));
    assert_ptr_equal(map_put(&map, 0, &values[9]), &values[0]);
    assert_ptr_equal(map_get(&map, 0), &values[9]);
    assert_ptr_equal(map_get(&map, UINT64_MAX), &values[2]);
    assert_int_equal(map_len(&map), 4);
    map_release(&map);
}

/* Whatever the shape of the table, each entry comes once, also when some are removed meanwhile. */
static void iterates_while_removing(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        struct map map = {0};
        size_t count = rng_below(&rng, 100);
        for (size_t k = 0; k < count; k++)
            map_put(&map, k, &values[k]);
        bool seen[100] = {false};
        size_t visits = 0;
        size_t left = count;
        uint64_t key;
        void *value;
        for (struct map_iter iter = {0}; map_next(&map, &iter, &key, &value); visits++) {
            assert_ptr_equal(value, &values[key]);
            assert_false(seen[key]);
            seen[key] = true;
            if (rng_below(&rng, 2) == 0) {
                assert_ptr_equal(map_remove(&map, key), value);
                left--;
            }
        }
        assert_int_equal(visits, count);
        assert_int_equal(map_len(&map), left);
        struct map_iter again = {0};
        for (visits = 0; map_next(&map, &again, NULL, &value);)
            visits++;
        assert_int_equal(visits, left);
        map_release(&map);
    }
}

static void strmap_agrees_with_an_array(void **state)
{
    static char names[KEYS][16];
    static bool there[KEYS];
    struct strmap map;
    struct rng rng;
    size_t count = 0;
    rng_seed(&rng, 2);
    strmap_set_hash_key((const uint8_t *)"0123456789abcdef");
    strmap_init(&map);
    strmap_set_hash_key((const uint8_t *)"another hash key"); /* not for this one */
    for (size_t k = 0; k < KEYS; k++)
        snprintf(names[k], sizeof(names[k]), "%zu", k * k);
    for (int i = 0; i < STEPS; i++) {
        size_t k = rng_below(&rng, KEYS);
        struct span key = span_from(names[k]);
        if (rng_below(&rng, 5) < 3) {
            assert_ptr_equal(strmap_put(&map, key, &values[k]), there[k] ? &values[k] : NULL);
            count += !there[k];
            there[k] = true;
        } else {
            assert_ptr_equal(strmap_remove(&map, key), there[k] ? &values[k] : NULL);
            count -= there[k];
            there[k] = false;
        }
    }
    assert_int_equal(strmap_len(&map), count);
    size_t visits = 0;
    struct span key;
    void *value;
    for (struct map_iter iter = {0}; strmap_next(&map, &iter, &key, &value); visits++) {
        size_t k = (size_t)((char *)value - values);
        assert_true(span_eq_text(key, names[k]));
        assert_ptr_equal(strmap_get(&map, key), value);
        assert_ptr_equal(strmap_remove(&map, key), value);
    }
    assert_int_equal(visits, count);
    assert_int_equal(strmap_len(&map), 0);
    strmap_release(&map);
}

static void strmap_compares_bytes(void **state)
{
    struct strmap map;
    strmap_init(&map);
    assert_null(strmap_get(&map, SPAN_LIT("")));
    assert_null(strmap_remove(&map, SPAN_LIT("")));
    strmap_put(&map, SPAN_LIT(""), &values[0]);
    strmap_put(&map, SPAN_LIT("a"), &values[1]);
    strmap_put(&map, SPAN_LIT("a\0"), &values[2]);
    strmap_put(&map, SPAN_LIT("A"), &values[3]);
    assert_int_equal(strmap_len(&map), 4);
    assert_ptr_equal(strmap_get(&map, (struct span){NULL, 0}), &values[0]);
    assert_ptr_equal(strmap_get(&map, SPAN_LIT("a\0")), &values[2]);
    assert_null(strmap_get(&map, SPAN_LIT("a\0\0")));
    strmap_release(&map);
}

/* The new key bytes are taken over, so the old ones may go with the old value. */
static void strmap_put_takes_over_the_key(void **state)
{
    struct strmap map;
    strmap_init(&map);
    char *old = strdup("key");
    strmap_put(&map, span_from(old), &values[0]);
    assert_ptr_equal(strmap_put(&map, SPAN_LIT("key"), &values[1]), &values[0]);
    free(old);
    assert_ptr_equal(strmap_get(&map, SPAN_LIT("key")), &values[1]);
    strmap_release(&map);
}

/* Source: the reference implementation's vectors, key 00 01 .. 0f, message 00 01 .. */
static void siphash_matches_its_vectors(void **state)
{
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_true(siphash(bytes, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(siphash(bytes, NULL, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(siphash(bytes, bytes, 1) == UINT64_C(0x74f839c593dc67fd));
    assert_true(siphash(bytes, bytes, 8) == UINT64_C(0x93f5f5799a932462));
    assert_true(siphash(bytes, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(takes_every_key),
        cmocka_unit_test(iterates_while_removing),
        cmocka_unit_test(strmap_agrees_with_an_array),
        cmocka_unit_test(strmap_compares_bytes),
        cmocka_unit_test(strmap_put_takes_over_the_key),
        cmocka_unit_test(siphash_matches_its_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
