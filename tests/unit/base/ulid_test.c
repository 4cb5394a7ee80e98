/* ulid_test.c: order whatever the clock does, and one text per id. */
#include "base/ulid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ids_only_grow(void **state)
{
    struct rng rng;
    struct ulid last, next;
    wall_ms now = INT64_C(1700000000000);
    rng_seed(&rng, 1);
    ulid_next(NULL, now, &rng, &last);
    for (int i = 0; i < 100000; i++) {
        now += (wall_ms)rng_below(&rng, 5) - 2; /* forth, back, or not at all */
        ulid_next(&last, now, &rng, &next);
        assert_true(ulid_cmp(&last, &next) < 0);
        assert_true(ulid_time(&next) >= now);
        last = next;
    }
}

static void carries_the_time(void **state)
{
    struct rng rng;
    struct ulid id;
    rng_seed(&rng, 2);
    ulid_next(NULL, INT64_C(1469918176385), &rng, &id);
    assert_int_equal(ulid_time(&id), INT64_C(1469918176385));
    char text[ULID_TEXT_LEN + 1];
    ulid_text(&id, text);
    assert_memory_equal(text, "01ARYZ6S41", 10); /* the example of the ULID spec */
    ulid_next(NULL, -5, &rng, &id);
    assert_int_equal(ulid_time(&id), 0);
    ulid_next(NULL, WALL_NEVER, &rng, &id);
    assert_int_equal(ulid_time(&id), (INT64_C(1) << 48) - 1);
}

static void a_full_millisecond_runs_over_into_the_next(void **state)
{
    struct rng rng;
    struct ulid id = {{0, 0, 0, 0, 0, 9}};
    rng_seed(&rng, 3);
    memset(id.bytes + 6, 0xFF, 10);
    ulid_next(&id, 9, &rng, &id);
    assert_int_equal(ulid_time(&id), 10);
    ulid_next(&id, 9, &rng, &id);
    assert_int_equal(ulid_time(&id), 10);
    assert_int_equal(id.bytes[15], 1);
    ulid_next(&id, 11, &rng, &id);
    assert_int_equal(ulid_time(&id), 11);
}

static void texts_sort_as_the_ids_do(void **state)
{
    struct rng rng;
    struct ulid a, b, back;
    char a_text[ULID_TEXT_LEN + 1], b_text[ULID_TEXT_LEN + 1];
    rng_seed(&rng, 4);
    for (int i = 0; i < 20000; i++) {
        rng_fill(&rng, a.bytes, sizeof(a.bytes));
        rng_fill(&rng, b.bytes, sizeof(b.bytes));
        memcpy(b.bytes, a.bytes, rng_below(&rng, ULID_BYTES + 1));
        ulid_text(&a, a_text);
        ulid_text(&b, b_text);
        int bytes = ulid_cmp(&a, &b);
        int texts = strcmp(a_text, b_text);
        assert_int_equal((bytes > 0) - (bytes < 0), (texts > 0) - (texts < 0));
        assert_true(ulid_parse(span_from(a_text), &back));
        assert_memory_equal(back.bytes, a.bytes, ULID_BYTES);
    }
}

static void parses_its_own_form_only(void **state)
{
    struct ulid id = {{42}};
    assert_true(ulid_parse(SPAN_LIT("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &id));
    for (int i = 0; i < ULID_BYTES; i++)
        assert_int_equal(id.bytes[i], 0xFF);
    static const char *const bad[] = {
        "",
        "01ARYZ6S41TSV4RRFFQ69G5FA",
        "01ARYZ6S41TSV4RRFFQ69G5FAVX",
        "01aryz6s41tsv4rrffq69g5fav",
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01ARYZ6S41TSV4RRFFQ69G5FAI",
        "01ARYZ6S41TSV4RRFFQ69G5FAL",
        "01ARYZ6S41TSV4RRFFQ69G5FAO",
        "01ARYZ6S41TSV4RRFFQ69G5FAU",
        "01ARYZ6S41-TSV4RRFFQ69G5FA",
        "\3771ARYZ6S41TSV4RRFFQ69G5FAV",
        "/1ARYZ6S41TSV4RRFFQ69G5FAV",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(ulid_parse(span_from(bad[i]), &id));
    assert_false(ulid_parse(SPAN_LIT("01ARYZ6S41TSV4RRFFQ69G5FA\0"), &id));
    assert_int_equal(id.bytes[0], 0xFF);
}

static void event_ids_have_a_prefix(void **state)
{
    struct ulid id, back;
    char text[EVENT_ID_TEXT_LEN + 1];
    assert_true(ulid_parse(SPAN_LIT("01ARYZ6S41TSV4RRFFQ69G5FAV"), &id));
    event_id_text(&id, text);
    assert_string_equal(text, "evt_01ARYZ6S41TSV4RRFFQ69G5FAV");
    assert_true(event_id_parse(span_from(text), &back));
    assert_int_equal(ulid_cmp(&id, &back), 0);
    assert_false(event_id_parse(span_from(text + 4), &back));
    assert_false(event_id_parse(SPAN_LIT("EVT_01ARYZ6S41TSV4RRFFQ69G5FAV"), &back));
    assert_false(event_id_parse(SPAN_LIT("evt_"), &back));
    assert_false(event_id_parse(SPAN_LIT("ev"), &back));
    assert_false(event_id_parse(SPAN_LIT(""), &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_only_grow),
        cmocka_unit_test(carries_the_time),
        cmocka_unit_test(a_full_millisecond_runs_over_into_the_next),
        cmocka_unit_test(texts_sort_as_the_ids_do),
        cmocka_unit_test(parses_its_own_form_only),
        cmocka_unit_test(event_ids_have_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
