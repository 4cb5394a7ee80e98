/* attempt_test.c: records come back as they were written, and damage is noticed. */
#include "hook/attempt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"

static void assert_same(const struct attempt *a, const struct attempt *b)
{
    assert_int_equal(a->webhook, b->webhook);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->url_revision, b->url_revision);
    assert_int_equal(a->event_seq, b->event_seq);
    assert_int_equal(a->order_hash, b->order_hash);
    assert_int_equal(a->event_accepted_at, b->event_accepted_at);
    assert_int_equal(a->started_at, b->started_at);
    assert_int_equal(a->sent_timestamp_s, b->sent_timestamp_s);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->due_at, b->due_at);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->counted, b->counted);
    assert_int_equal(a->http_status, b->http_status);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->reused, b->reused);
    assert_int_equal(a->resumed, b->resumed);
    assert_int_equal(a->dns_us, b->dns_us);
    assert_int_equal(a->connect_us, b->connect_us);
    assert_int_equal(a->tls_us, b->tls_us);
    assert_int_equal(a->first_byte_us, b->first_byte_us);
    assert_int_equal(a->total_us, b->total_us);
    assert_true(span_eq(a->detail, b->detail));
    assert_true(span_eq(a->body, b->body));
    assert_int_equal(a->peer_len, b->peer_len);
    assert_memory_equal(a->peer, b->peer, a->peer_len);
}

static const struct attempt failed = {
    .peer = {203, 0, 113, 7},
    .peer_len = 4,
    .webhook = 12,
    .sequence = 812,
    .number = 3,
    .epoch = 2,
    .url_revision = 1,
    .event_seq = 90000,
    .order_hash = UINT64_C(0xFEDCBA9876543210),
    .event_accepted_at = INT64_C(1780000000123),
    .started_at = INT64_C(1780000001456),
    .sent_timestamp_s = 1780000001,
    .outcome = OUTCOME_RETRY,
    .due_at = INT64_C(1780000301456),
    .step = 2,
    .counted = true,
    .http_status = 503,
    .error = 0,
    .reused = true,
    .resumed = true,
    .dns_us = 1,
    .connect_us = 300,
    .tls_us = 20000,
    .first_byte_us = 4000000,
    .total_us = UINT32_MAX,
    .detail = {"try later", 9},
    .body = {"<html>\0</html>", 14},
};

static void an_attempt_comes_back(void **state)
{
    struct buf buf = BUF_INIT;
    struct attempt back;
    attempt_encode(&buf, &failed);
    assert_int_equal(attempt_decode(buf_span(&buf), &back), OK);
    assert_same(&failed, &back);
    buf_release(&buf);
}

static void a_delivered_attempt_is_small(void **state)
{
    struct attempt attempt = failed;
    attempt.outcome = OUTCOME_DELIVERED;
    attempt.due_at = 0;
    attempt.first_byte_us = 20000;
    attempt.total_us = 40000;
    attempt.detail = attempt.body = (struct span){0};
    struct buf buf = BUF_INIT;
    attempt_encode(&buf, &attempt);
    assert_in_range(buf.len, 1, 61);
    buf_release(&buf);
}

static void extreme_numbers_come_back(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        struct attempt attempt = failed;
        int64_t times[] = {INT64_MIN, INT64_MAX, 0, -1, 1, (int64_t)rng_next(&rng)};
        attempt.event_accepted_at = times[rng_below(&rng, 6)];
        attempt.started_at = times[rng_below(&rng, 6)];
        attempt.sent_timestamp_s = times[rng_below(&rng, 6)];
        attempt.due_at = times[rng_below(&rng, 6)];
        attempt.sequence = rng_below(&rng, 2) != 0 ? UINT64_MAX : 1;
        attempt.webhook = (uint32_t)rng_next(&rng);
        attempt.error = UINT16_MAX;
        attempt.step = UINT8_MAX;
        struct buf buf = BUF_INIT;
        struct attempt back;
        attempt_encode(&buf, &attempt);
        assert_int_equal(attempt_decode(buf_span(&buf), &back), OK);
        assert_same(&attempt, &back);
        buf_release(&buf);
    }
}

/* Whatever a damaged disk hands us: an error or a record, never a read outside (ASan watches). */
static void damage_is_noticed_or_harmless(void **state)
{
    struct buf buf = BUF_INIT;
    struct attempt back;
    attempt_encode(&buf, &failed);
    for (size_t len = 0; len < buf.len; len++) {
        char *copy = mem_alloc(len + 1);
        memcpy(copy, buf.ptr, len);
        assert_int_equal(attempt_decode(span_make(copy, len), &back), ERR_CORRUPT);
        free(copy);
    }
    buf_add_char(&buf, 'x');
    assert_int_equal(attempt_decode(buf_span(&buf), &back), ERR_CORRUPT);
    struct rng rng;
    rng_seed(&rng, 2);
    for (int i = 0; i < 20000; i++) {
        char *copy = mem_alloc(buf.len - 1);
        memcpy(copy, buf.ptr, buf.len - 1);
        copy[rng_below(&rng, buf.len - 1)] = (char)rng_next(&rng);
        if (attempt_decode(span_make(copy, buf.len - 1), &back) == OK)
            assert_in_range(back.outcome, OUTCOME_DELIVERED, OUTCOME_HELD);
        free(copy);
    }
    buf_release(&buf);
}

static void a_newer_format_is_refused(void **state)
{
    struct buf buf = BUF_INIT;
    struct attempt back;
    attempt_encode(&buf, &failed);
    buf.ptr[0] = 2;
    assert_int_equal(attempt_decode(buf_span(&buf), &back), ERR_CORRUPT);
    buf_release(&buf);
}

static void a_deactivation_comes_back(void **state)
{
    struct deactivation in = {12, 3, INT64_C(1780000000123), DEACTIVATED_GONE};
    struct deactivation out;
    struct buf buf = BUF_INIT;
    deactivation_encode(&buf, &in);
    assert_int_equal(deactivation_decode(buf_span(&buf), &out), OK);
    assert_int_equal(out.webhook, 12);
    assert_int_equal(out.epoch, 3);
    assert_int_equal(out.at, in.at);
    assert_int_equal(out.reason, DEACTIVATED_GONE);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(deactivation_decode(span_make(buf.ptr, len), &out), ERR_CORRUPT);
    buf.ptr[1] = 3;
    assert_int_equal(deactivation_decode(buf_span(&buf), &out), ERR_CORRUPT);
    buf_release(&buf);
}

static void an_expiry_comes_back(void **state)
{
    struct expiry in = {12, 99999, 1234, INT64_C(1780000000123)};
    struct expiry out;
    struct buf buf = BUF_INIT;
    expiry_encode(&buf, &in);
    assert_int_equal(expiry_decode(buf_span(&buf), &out), OK);
    assert_int_equal(out.webhook, 12);
    assert_int_equal(out.through, 99999);
    assert_int_equal(out.count, 1234);
    assert_int_equal(out.at, in.at);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(expiry_decode(span_make(buf.ptr, len), &out), ERR_CORRUPT);
    buf_release(&buf);
}

static void a_reopening_comes_back(void **state)
{
    struct reopening in = {12, 99999, 1234, UINT64_MAX, INT64_C(1780000000123), 7, 1780000000999};
    struct reopening out;
    struct buf buf = BUF_INIT;
    reopening_encode(&buf, &in);
    assert_int_equal(reopening_decode(buf_span(&buf), &out), OK);
    assert_int_equal(out.webhook, 12);
    assert_int_equal(out.sequence, 99999);
    assert_int_equal(out.event_seq, 1234);
    assert_true(out.order_hash == UINT64_MAX);
    assert_int_equal(out.event_accepted_at, in.event_accepted_at);
    assert_int_equal(out.attempts, 7);
    assert_int_equal(out.at, in.at);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(reopening_decode(span_make(buf.ptr, len), &out), ERR_CORRUPT);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attempt_comes_back),
        cmocka_unit_test(a_delivered_attempt_is_small),
        cmocka_unit_test(extreme_numbers_come_back),
        cmocka_unit_test(damage_is_noticed_or_harmless),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(a_deactivation_comes_back),
        cmocka_unit_test(an_expiry_comes_back),
        cmocka_unit_test(a_reopening_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
