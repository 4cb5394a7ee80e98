/* keys_test.c: Idempotency-Keys: same answer, conflict, age, limit, records, walks. */
#include "delivery/keys.h"

#include <string.h>

#include "test.h"

static struct key_record make(uint32_t company, uint8_t key, uint8_t body, uint8_t id, wall_ms at)
{
    struct key_record record = {.company = company, .n_events = 3, .at = at};
    memset(record.key_hash, key, KEY_HASH_BYTES);
    memset(record.body_hash, body, KEY_HASH_BYTES);
    memset(record.first_id, id, EVENT_ID_BYTES);
    return record;
}

static void repeats_give_the_first_answer(void **state)
{
    (void)state;
    struct keys *keys = keys_new(10, 1000);
    struct key_record first = make(1, 1, 1, 7, 0);
    struct key_record again = make(1, 1, 1, 9, 999);
    again.n_events = 1;
    assert_int_equal(keys_offer(keys, &first), KEYS_NEW);
    assert_int_equal(keys_offer(keys, &again), KEYS_REPEAT);
    assert_memory_equal(again.first_id, first.first_id, EVENT_ID_BYTES);
    assert_int_equal(again.n_events, 3);
    struct key_record other_body = make(1, 1, 2, 9, 10);
    assert_int_equal(keys_offer(keys, &other_body), KEYS_CONFLICT);
    struct key_record other_company = make(2, 1, 2, 9, 10);
    assert_int_equal(keys_offer(keys, &other_company), KEYS_NEW);
    keys_free(keys);
}

static void keys_are_forgotten_by_age_alone(void **state)
{
    (void)state;
    struct keys *keys = keys_new(2, 1000);
    struct key_record a = make(1, 1, 1, 1, 0);
    struct key_record b = make(2, 2, 1, 2, 500);
    struct key_record c = make(3, 3, 1, 3, 999);
    assert_int_equal(keys_offer(keys, &a), KEYS_NEW);
    assert_int_equal(keys_offer(keys, &b), KEYS_NEW);
    assert_int_equal(keys_offer(keys, &c), KEYS_FULL);
    keys_expire(keys, 999);
    assert_int_equal(keys_count(keys), 2);
    keys_expire(keys, 1000);
    assert_int_equal(keys_count(keys), 1);
    assert_int_equal(keys_offer(keys, &c), KEYS_NEW);
    /* The one of time 0 is new again with another body. */
    keys_expire(keys, 1500);
    struct key_record a2 = make(1, 1, 9, 9, 1500);
    assert_int_equal(keys_offer(keys, &a2), KEYS_NEW);
    keys_free(keys);
}

static void one_company_leaves_room_for_others(void **state)
{
    (void)state;
    struct keys *keys = keys_new(160, 1000);
    enum keys_answer answer = KEYS_NEW;
    unsigned n = 0;
    for (; answer == KEYS_NEW && n < 200; n++) {
        struct key_record record = make(1, (uint8_t)n, 1, 1, 0);
        answer = keys_offer(keys, &record);
    }
    assert_int_equal(answer, KEYS_FULL);
    assert_in_range(keys_count(keys), 100, 150);
    struct key_record other = make(2, 1, 1, 1, 0);
    assert_int_equal(keys_offer(keys, &other), KEYS_NEW);
    keys_free(keys);
}

static void forgetting_takes_back(void **state)
{
    (void)state;
    struct keys *keys = keys_new(2, 1000);
    struct key_record a = make(1, 1, 1, 1, 0);
    assert_int_equal(keys_offer(keys, &a), KEYS_NEW);
    keys_forget(keys, &a);
    keys_forget(keys, &a);
    struct key_record other = make(1, 1, 2, 1, 0);
    assert_int_equal(keys_offer(keys, &other), KEYS_NEW);
    keys_free(keys);
}

static void records_survive_coding(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    struct key_record record = make(77, 5, 6, 7, 123456789012);
    struct key_record back;
    key_record_encode(&buf, &record);
    assert_int_equal(key_record_decode(buf_span(&buf), &back), OK);
    assert_memory_equal(&back, &record, sizeof record);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(key_record_decode(span_make(buf.ptr, len), &back), ERR_CORRUPT);
    struct keys *keys = keys_new(10, 1000);
    keys_restore(keys, &record, record.at + 1000);
    assert_int_equal(keys_count(keys), 0);
    keys_restore(keys, &record, record.at + 999);
    keys_restore(keys, &record, record.at + 999);
    assert_int_equal(keys_count(keys), 1);
    keys_free(keys);
    buf_release(&buf);
}

static void a_walk_survives_expiry(void **state)
{
    (void)state;
    struct keys *keys = keys_new(100, 1000);
    for (uint8_t i = 0; i < 50; i++) {
        struct key_record record = make(1, i, i, i, i);
        assert_int_equal(keys_offer(keys, &record), KEYS_NEW);
    }
    const struct key_record *at = keys_walk(keys, true);
    assert_int_equal(at->at, 0);
    keys_expire(keys, 1010); /* 0..10 go; the walk stood on 1 */
    unsigned seen = 0;
    for (at = keys_walk(keys, false); at != NULL; at = keys_walk(keys, false), seen++)
        assert_int_equal(at->at, 11 + seen);
    assert_int_equal(seen, 39);
    assert_null(keys_walk(keys, false));
    keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_give_the_first_answer),
        cmocka_unit_test(keys_are_forgotten_by_age_alone),
        cmocka_unit_test(one_company_leaves_room_for_others),
        cmocka_unit_test(forgetting_takes_back),
        cmocka_unit_test(records_survive_coding),
        cmocka_unit_test(a_walk_survives_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
