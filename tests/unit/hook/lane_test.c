/* lane_test.c: the rules of what is owed, held, retried, counted and expired, one by one. Whole
 * histories are in tests/sim. */
#include "hook/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/client.h"

#define T0 INT64_C(1780000000000) /* 2026-05-28 20:26:40 UTC */

static const struct lane_policy policy = {
    .failure_threshold = 10,
    .schedule = {.delay_s = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400}, .n = 9},
};

struct fixture {
    struct lane lane;
    struct rng rng;
    wall_ms now;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.now = T0};
    lane_init(&fixture.lane, 7);
    lane_configure(&fixture.lane, 1, false, 0);
    rng_seed(&fixture.rng, 1);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    lane_check(&f->lane);
    lane_release(&f->lane);
    return 0;
}

/* The attempt that the courier would make of `sequence` now. */
static struct attempt attempt_of(struct fixture *f, uint64_t sequence)
{
    const struct lane_retry *retry = lane_retry_find(&f->lane, sequence);
    return (struct attempt){
        .webhook = 7,
        .sequence = sequence,
        .number = retry == NULL ? 1 : retry->attempts + 1,
        .epoch = f->lane.epoch,
        .event_seq = 1000 + sequence,
        .event_accepted_at = T0,
        .started_at = f->now,
    };
}

/* Judges and folds; returns whether it deactivated. */
static bool finish_by(struct fixture *f,
                      struct attempt *attempt,
                      enum verdict verdict,
                      int64_t retry_after_s,
                      const struct lane_policy *by)
{
    struct deactivation deactivation;
    bool off = lane_judge(&f->lane, by, verdict, retry_after_s,
                          lane_retry_find(&f->lane, attempt->sequence), f->now, &f->rng, attempt,
                          &deactivation);
    lane_fold_attempt(&f->lane, attempt);
    if (off)
        lane_fold_deactivation(&f->lane, &deactivation);
    lane_check(&f->lane);
    return off;
}

static bool finish(struct fixture *f, struct attempt *attempt, enum verdict verdict)
{
    static const uint16_t usual[] = {
        [VERDICT_DELIVERED] = 200, [VERDICT_FAILED] = 503, [VERDICT_GONE] = 410};
    if (attempt->http_status == 0 && attempt->error == 0)
        attempt->http_status = usual[verdict];
    return finish_by(f, attempt, verdict, -1, &policy);
}

static bool run(struct fixture *f, uint64_t sequence, enum verdict verdict)
{
    struct attempt attempt = attempt_of(f, sequence);
    return finish(f, &attempt, verdict);
}

static void is_owed_what_was_raised(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(lane_owed(&f->lane), 0);
    assert_int_equal(lane_oldest_owed(&f->lane), 0);
    lane_raise(&f->lane, 5);
    lane_raise(&f->lane, 3);
    assert_int_equal(f->lane.last, 5);
    assert_int_equal(lane_owed(&f->lane), 5);
    assert_int_equal(lane_oldest_owed(&f->lane), 1);
}

static void settles_ahead_of_the_cursor(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 70);
    run(f, 3, VERDICT_DELIVERED);
    run(f, 64, VERDICT_DELIVERED);
    assert_int_equal(f->lane.cursor, 0);
    assert_true(lane_settled(&f->lane, 3) && lane_settled(&f->lane, 64));
    assert_false(lane_settled(&f->lane, 1) || lane_settled(&f->lane, 65));
    assert_int_equal(lane_owed(&f->lane), 68);
    run(f, 1, VERDICT_DELIVERED);
    assert_int_equal(f->lane.cursor, 1);
    run(f, 2, VERDICT_FAILED);
    assert_int_equal(f->lane.cursor, 3);
    assert_int_equal(lane_owed(&f->lane), 67);
    assert_int_equal(lane_oldest_owed(&f->lane), 2);
    assert_int_equal(f->lane.delivered, 3);
}

static void a_failure_is_retried_by_the_schedule_and_then_failed(void **state)
{
    struct fixture *f = *state;
    struct lane_policy never = policy;
    never.failure_threshold = 0;
    lane_raise(&f->lane, 1);
    for (unsigned i = 0; i < policy.schedule.n; i++) {
        struct attempt attempt = attempt_of(f, 1);
        assert_int_equal(attempt.number, i + 1);
        assert_false(finish_by(f, &attempt, VERDICT_FAILED, -1, &never));
        assert_int_equal(attempt.outcome, OUTCOME_RETRY);
        assert_int_equal(attempt.step, i + 1);
        assert_int_equal(attempt.due_at, f->now + policy.schedule.delay_s[i] * 1000);
        struct lane_retry *retry = lane_next_retry(&f->lane);
        assert_int_equal(lane_retry_due(&f->lane, retry), attempt.due_at);
        f->now = attempt.due_at;
    }
    struct attempt attempt = attempt_of(f, 1);
    assert_false(finish_by(f, &attempt, VERDICT_FAILED, -1, &never));
    assert_int_equal(attempt.outcome, OUTCOME_FAILED);
    assert_int_equal(attempt.number, 10);
    assert_int_equal(lane_owed(&f->lane), 0);
    assert_int_equal(f->lane.failed, 1);
    assert_null(lane_next_retry(&f->lane));
}

static void jitter_stays_within_its_percent_and_reaches_both_ends(void **state)
{
    struct fixture *f = *state;
    struct lane_policy shaky = {.schedule = {.delay_s = {1}, .n = 1, .jitter_percent = 20}};
    bool low = false, high = false;
    for (uint64_t sequence = 1; sequence <= 20000; sequence++) {
        lane_raise(&f->lane, sequence);
        struct attempt attempt = attempt_of(f, sequence);
        struct deactivation ignored;
        lane_judge(&f->lane, &shaky, VERDICT_FAILED, -1, NULL, f->now, &f->rng, &attempt, &ignored);
        assert_in_range(attempt.due_at - f->now, 800, 1200);
        low |= attempt.due_at - f->now == 800;
        high |= attempt.due_at - f->now == 1200;
    }
    assert_true(low && high);
}

static wall_ms delay_after(struct fixture *f, uint16_t status, int64_t retry_after_s)
{
    struct attempt attempt = attempt_of(f, 1);
    struct deactivation ignored;
    attempt.http_status = status;
    lane_judge(&f->lane, &policy, VERDICT_FAILED, retry_after_s, NULL, f->now, &f->rng, &attempt,
               &ignored);
    return attempt.due_at - f->now;
}

static void retry_after_is_honoured_up_to_an_hour(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 1);
    assert_int_equal(delay_after(f, 503, -1), 5000);
    assert_int_equal(delay_after(f, 503, 0), 5000);
    assert_int_equal(delay_after(f, 503, 2), 5000);
    assert_int_equal(delay_after(f, 503, 60), 60000);
    assert_int_equal(delay_after(f, 429, 3600), 3600000);
    assert_int_equal(delay_after(f, 429, INT64_MAX), 3600000);
    assert_int_equal(delay_after(f, 500, 60), 5000);
    assert_int_equal(delay_after(f, 0, 60), 5000);
}

static void ten_failures_in_a_row_deactivate_and_hold(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 20);
    for (uint64_t i = 1; i < 10; i++)
        assert_false(run(f, i, VERDICT_FAILED));
    assert_true(lane_active(&f->lane));
    struct attempt tenth = attempt_of(f, 10);
    assert_true(finish(f, &tenth, VERDICT_FAILED));
    assert_int_equal(tenth.outcome, OUTCOME_HELD);
    assert_false(lane_active(&f->lane));
    assert_int_equal(f->lane.failures, 10);
    assert_int_equal(f->lane.first_failure_at, T0);
    assert_int_equal(f->lane.deactivated_at, T0);
    assert_int_equal(f->lane.reason, DEACTIVATED_FAILURES);
    assert_int_equal(lane_owed(&f->lane), 20);
}

static void a_success_resets_the_count(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 30);
    for (uint64_t i = 1; i <= 27; i++)
        assert_false(run(f, i, i % 9 == 0 ? VERDICT_DELIVERED : VERDICT_FAILED));
    assert_int_equal(f->lane.failures, 0);
    assert_true(f->lane.proven);
    assert_int_equal(f->lane.last_success_at, T0);
    run(f, 28, VERDICT_FAILED);
    assert_false(f->lane.proven);
}

/* Proven is the receiver, not the delivery: a 404 comes from a site that is alive, and a 410 or a
 * refused address says nothing. */
static void proven_follows_the_signal(void **state)
{
    static const struct {
        uint16_t status, error;
        bool proven;
    } outcomes[] = {
        {404, 0, true},
        {500, 0, false},
        {301, 0, true},
        {0, HTTP_ERR_ADDRESS_REFUSED, true},
        {0, HTTP_ERR_TIMEOUT_RESPONSE, false},
    };
    struct fixture *f = *state;
    lane_raise(&f->lane, 30);
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        struct attempt attempt = attempt_of(f, i + 1);
        attempt.http_status = outcomes[i].status;
        attempt.error = outcomes[i].error;
        finish(f, &attempt, VERDICT_FAILED);
        assert_int_equal(f->lane.proven, outcomes[i].proven);
    }
}

static void threshold_zero_never_deactivates(void **state)
{
    struct fixture *f = *state;
    struct lane_policy never = policy;
    never.failure_threshold = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        lane_raise(&f->lane, i);
        struct attempt attempt = attempt_of(f, i);
        assert_false(finish_by(f, &attempt, VERDICT_FAILED, -1, &never));
    }
    assert_int_equal(f->lane.failures, 1000);
}

static void gone_deactivates_at_once_and_holds(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 2);
    struct attempt attempt = attempt_of(f, 1);
    assert_true(finish(f, &attempt, VERDICT_GONE));
    assert_int_equal(attempt.outcome, OUTCOME_HELD);
    assert_int_equal(f->lane.reason, DEACTIVATED_GONE);
    assert_int_equal(lane_owed(&f->lane), 2);
}

/* The one that deactivates would have been the last of its schedule: held, not failed. */
static void the_deactivating_attempt_never_exhausts(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 1);
    for (int i = 0; i < 10; i++) {
        f->now += 86400 * 2000;
        assert_int_equal(run(f, 1, VERDICT_FAILED), i == 9);
    }
    assert_int_equal(lane_owed(&f->lane), 1);
    assert_int_equal(f->lane.failed, 0);
}

static void an_enable_makes_retries_due_with_a_fresh_schedule(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 20);
    for (uint64_t i = 10; i >= 1; i--)
        run(f, i, VERDICT_FAILED);
    lane_configure(&f->lane, 2, false, 0);
    assert_true(lane_active(&f->lane));
    assert_int_equal(f->lane.failures, 0);
    assert_int_equal(f->lane.first_failure_at, 0);
    for (uint64_t i = 1; i <= 10; i++) {
        struct lane_retry *retry = lane_next_retry(&f->lane);
        assert_int_equal(retry->sequence, i);
        assert_int_equal(lane_retry_due(&f->lane, retry), 0);
        lane_retry_start(&f->lane, retry);
        struct attempt attempt = attempt_of(f, i);
        assert_int_equal(attempt.number, 2);
        assert_int_equal(finish(f, &attempt, VERDICT_FAILED), i == 10);
        assert_int_equal(attempt.step, i == 10 ? 0 : 1); /* the first delay again */
        assert_int_equal(attempt.due_at, i == 10 ? 0 : f->now + 5000);
    }
}

static void held_ones_come_before_those_of_this_epoch(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    run(f, 2, VERDICT_FAILED);
    run(f, 1, VERDICT_FAILED);
    lane_configure(&f->lane, 2, false, 0);
    f->now = 1; /* a clock that was set back must not overtake what was held */
    run(f, 3, VERDICT_FAILED);
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 1);
    lane_retry_start(&f->lane, lane_next_retry(&f->lane));
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 2);
    lane_retry_start(&f->lane, lane_next_retry(&f->lane));
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 3);
    lane_retry_cancel(&f->lane, lane_retry_find(&f->lane, 1));
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 1);
}

static void a_pause_holds_and_keeps_the_retries(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    run(f, 1, VERDICT_FAILED);
    struct attempt flying = attempt_of(f, 2);
    lane_configure(&f->lane, 2, true, T0 + 5);
    assert_false(lane_active(&f->lane));
    assert_int_equal(f->lane.paused_at, T0 + 5);
    assert_false(finish(f, &flying, VERDICT_FAILED));
    assert_int_equal(flying.outcome, OUTCOME_HELD);
    assert_false(flying.counted);
    assert_int_equal(f->lane.failures, 0);
    assert_int_equal(lane_owed(&f->lane), 3);
    lane_configure(&f->lane, 3, false, 0);
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 1);
    assert_int_equal(lane_retry_due(&f->lane, lane_retry_find(&f->lane, 2)), 0);
}

static void late_results_of_an_older_epoch_do_not_count(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 40);
    struct attempt late[3];
    for (uint64_t i = 0; i < 3; i++)
        late[i] = attempt_of(f, 11 + i);
    for (uint64_t i = 1; i <= 10; i++)
        run(f, i, VERDICT_FAILED);
    assert_false(finish(f, &late[0], VERDICT_DELIVERED));
    assert_false(lane_active(&f->lane)); /* does not re-activate */
    assert_int_equal(f->lane.failures, 10);
    assert_int_equal(f->lane.delivered, 1);
    lane_configure(&f->lane, 2, false, 0);
    run(f, 20, VERDICT_FAILED);
    assert_false(finish(f, &late[1], VERDICT_DELIVERED));
    assert_int_equal(late[1].outcome, OUTCOME_DELIVERED);
    assert_int_equal(f->lane.failures, 1); /* and does not reset */
    assert_false(finish(f, &late[2], VERDICT_GONE));
    assert_int_equal(late[2].outcome, OUTCOME_RETRY);
    assert_true(lane_active(&f->lane));
    assert_int_equal(lane_retry_due(&f->lane, lane_retry_find(&f->lane, 13)), 0);
}

static void a_straggler_behind_the_deactivation_is_held_uncounted(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 20);
    struct attempt straggler = attempt_of(f, 11);
    for (uint64_t i = 1; i <= 10; i++)
        run(f, i, VERDICT_FAILED);
    assert_false(finish(f, &straggler, VERDICT_FAILED));
    assert_int_equal(straggler.outcome, OUTCOME_HELD);
    assert_int_equal(f->lane.failures, 10);
}

/* A crash between the commits of the attempt and of its deactivation. */
static void a_lost_deactivation_is_made_up_for_by_the_next_failure(void **state)
{
    struct fixture *f = *state;
    struct deactivation lost;
    lane_raise(&f->lane, 20);
    for (uint64_t i = 1; i < 10; i++)
        run(f, i, VERDICT_FAILED);
    struct attempt tenth = attempt_of(f, 10);
    assert_true(
        lane_judge(&f->lane, &policy, VERDICT_FAILED, -1, NULL, f->now, &f->rng, &tenth, &lost));
    lane_fold_attempt(&f->lane, &tenth);
    assert_true(lane_active(&f->lane));
    assert_int_equal(lane_next_retry(&f->lane)->sequence, 10); /* was held: due at once */
    assert_int_equal(lane_retry_due(&f->lane, lane_next_retry(&f->lane)), 0);
    assert_true(run(f, 11, VERDICT_FAILED));
    assert_false(lane_active(&f->lane));
}

static void older_epochs_and_their_deactivations_are_ignored(void **state)
{
    struct fixture *f = *state;
    lane_configure(&f->lane, 5, false, 0);
    lane_configure(&f->lane, 4, true, T0);
    assert_int_equal(f->lane.epoch, 5);
    assert_false(f->lane.paused);
    struct deactivation old = {7, 4, T0, DEACTIVATED_GONE};
    lane_fold_deactivation(&f->lane, &old);
    assert_true(lane_active(&f->lane));
    old.epoch = 5;
    lane_fold_deactivation(&f->lane, &old);
    assert_false(lane_active(&f->lane));
    lane_configure(&f->lane, 5, false, 0); /* the same intent again changes nothing */
    assert_false(lane_active(&f->lane));
}

static void expiry_counts_what_was_really_owed(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 100);
    run(f, 1, VERDICT_FAILED);
    run(f, 2, VERDICT_DELIVERED);
    run(f, 4, VERDICT_FAILED);
    run(f, 6, VERDICT_DELIVERED);
    run(f, 7, VERDICT_DELIVERED);
    struct expiry expiry = {7, 5, 3, T0};
    lane_fold_expiry(&f->lane, &expiry); /* 1 and 4 retried, 3 and 5 unsettled */
    assert_int_equal(f->lane.expired, 4);
    assert_int_equal(f->lane.cursor, 7);
    assert_int_equal(lane_owed(&f->lane), 93);
    lane_fold_expiry(&f->lane, &expiry);
    assert_int_equal(f->lane.expired, 4);
    expiry.through = 7;
    lane_fold_expiry(&f->lane, &expiry);
    assert_int_equal(f->lane.expired, 4);
    expiry.through = 1000;
    lane_fold_expiry(&f->lane, &expiry);
    assert_int_equal(f->lane.expired, 97);
    assert_int_equal(f->lane.cursor, 100);
    assert_int_equal(lane_owed(&f->lane), 0);
}

static void expiry_of_exactly_one_window(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 64);
    run(f, 64, VERDICT_DELIVERED);
    struct expiry expiry = {7, 64, 63, T0};
    lane_fold_expiry(&f->lane, &expiry);
    assert_int_equal(f->lane.expired, 63);
    assert_int_equal(f->lane.cursor, 64);
    assert_int_equal(f->lane.ahead, 0);
}

static void what_expired_in_flight_stays_expired(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    run(f, 1, VERDICT_FAILED);
    lane_retry_start(&f->lane, lane_next_retry(&f->lane));
    struct attempt retry = attempt_of(f, 1);
    struct attempt first = attempt_of(f, 2);
    struct expiry expiry = {7, 2, 2, T0};
    lane_fold_expiry(&f->lane, &expiry);
    finish(f, &retry, VERDICT_DELIVERED);
    finish(f, &first, VERDICT_FAILED);
    assert_int_equal(first.outcome, OUTCOME_FAILED);
    assert_false(first.counted);
    assert_int_equal(f->lane.delivered, 0);
    assert_int_equal(f->lane.failed, 0);
    assert_int_equal(f->lane.expired, 2);
    assert_int_equal(f->lane.failures, 1);
    assert_int_equal(lane_owed(&f->lane), 1);
}

static void folding_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 5);
    struct attempt one = attempt_of(f, 1);
    finish(f, &one, VERDICT_FAILED);
    struct attempt two = attempt_of(f, 2);
    finish(f, &two, VERDICT_DELIVERED);
    struct attempt again = attempt_of(f, 1);
    finish(f, &again, VERDICT_FAILED);
    struct attempt three = attempt_of(f, 4);
    finish(f, &three, VERDICT_FAILED);
    struct buf before = BUF_INIT, after = BUF_INIT;
    lane_encode(&before, &f->lane);
    lane_fold_attempt(&f->lane, &one);
    lane_fold_attempt(&f->lane, &two);
    lane_fold_attempt(&f->lane, &again);
    lane_fold_attempt(&f->lane, &three);
    lane_encode(&after, &f->lane);
    assert_true(span_eq(buf_span(&before), buf_span(&after)));
    buf_release(&before);
    buf_release(&after);
}

static void give_up(struct fixture *f, uint64_t sequence)
{
    const struct lane_retry *retry = lane_retry_find(&f->lane, sequence);
    struct attempt attempt = attempt_of(f, sequence);
    attempt.number = retry == NULL ? 0 : retry->attempts;
    attempt.outcome = OUTCOME_FAILED;
    struct buf bytes = BUF_INIT;
    struct attempt back;
    attempt_encode(&bytes, &attempt);
    assert_int_equal(attempt_decode(buf_span(&bytes), &back), OK);
    lane_fold_attempt(&f->lane, &back);
    lane_fold_attempt(&f->lane, &back);
    buf_release(&bytes);
}

/* The event is not stored any more: no request, no word about the receiver. */
static void a_delivery_can_be_given_up_without_a_request(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    run(f, 1, VERDICT_FAILED);
    run(f, 2, VERDICT_DELIVERED);
    run(f, 1, VERDICT_FAILED);
    lane_retry_start(&f->lane, lane_next_retry(&f->lane));
    give_up(f, 1);
    give_up(f, 3);
    assert_int_equal(f->lane.failed, 2);
    assert_int_equal(f->lane.failures, 1);
    assert_int_equal(lane_owed(&f->lane), 0);
    assert_int_equal(f->lane.cursor, 3);
}

/* --- snapshot --- */

static void assert_round_trip(const struct lane *lane)
{
    struct buf first = BUF_INIT, second = BUF_INIT;
    struct lane back;
    lane_init(&back, 1);
    lane_encode(&first, lane);
    assert_int_equal(lane_decode(buf_span(&first), &back), OK);
    lane_check(&back);
    lane_encode(&second, &back);
    assert_true(span_eq(buf_span(&first), buf_span(&second)));
    assert_int_equal(back.webhook, lane->webhook);
    assert_int_equal(lane_owed(&back), lane_owed(lane));
    lane_release(&back);
    buf_release(&first);
    buf_release(&second);
}

static void a_snapshot_comes_back(void **state)
{
    struct fixture *f = *state;
    assert_round_trip(&f->lane);
    lane_raise(&f->lane, 100);
    for (uint64_t i = 30; i > 1; i--)
        run(f, i, i % 4 == 0 ? VERDICT_DELIVERED : VERDICT_FAILED);
    assert_round_trip(&f->lane);
    for (uint64_t i = 40; i > 30; i--)
        run(f, i, VERDICT_FAILED);
    assert_false(lane_active(&f->lane));
    assert_round_trip(&f->lane);
    lane_configure(&f->lane, 2, true, T0 + 77);
    assert_round_trip(&f->lane);
}

static void a_lane_without_history_is_a_few_bytes(void **state)
{
    struct fixture *f = *state;
    struct buf buf = BUF_INIT;
    lane_encode(&buf, &f->lane);
    assert_in_range(buf.len, 1, 8);
    buf_release(&buf);
}

static void a_damaged_snapshot_changes_nothing(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 100);
    for (uint64_t i = 12; i > 1; i--)
        run(f, i, VERDICT_FAILED);
    struct buf buf = BUF_INIT;
    lane_encode(&buf, &f->lane);
    struct lane target;
    lane_init(&target, 3);
    lane_raise(&target, 9);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(lane_decode(span_make(buf.ptr, len), &target), ERR_CORRUPT);
    assert_int_equal(target.last, 9);
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 50000; i++) {
        size_t at = rng_below(&rng, buf.len);
        char was = buf.ptr[at];
        buf.ptr[at] = (char)rng_next(&rng);
        if (lane_decode(buf_span(&buf), &target) == OK)
            lane_check(&target);
        buf.ptr[at] = was;
    }
    lane_release(&target);
    buf_release(&buf);
}

/* --- words --- */

static void assert_ledger(struct fixture *f, uint32_t threshold, const char *text)
{
    struct buf buf = BUF_INIT;
    lane_ledger_text(&buf, &f->lane, threshold, 5000);
    assert_string_equal(buf.ptr, text);
    buf_release(&buf);
}

static void the_ledger_of_an_active_webhook(void **state)
{
    struct fixture *f = *state;
    assert_ledger(f, 10, "active; nothing has failed so far");
    lane_raise(&f->lane, 10);
    run(f, 1, VERDICT_DELIVERED);
    assert_ledger(f, 10, "active; no failure since the last success");
    run(f, 2, VERDICT_FAILED);
    assert_ledger(f, 10,
                  "active; 1 of 10 failures: 1 x 503; first failure 2026-05-28 20:26:40 UTC");
    assert_ledger(f, 0, "active; 1 failure: 1 x 503; first failure 2026-05-28 20:26:40 UTC");
}

static void the_ledger_of_a_deactivated_webhook(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 12345);
    for (uint64_t i = 1; i <= 10; i++) {
        struct attempt attempt = attempt_of(f, i);
        attempt.http_status = i <= 3 ? 503 : 0;
        attempt.error = i <= 3 ? HTTP_OK : HTTP_ERR_TIMEOUT_RESPONSE;
        finish(f, &attempt, VERDICT_FAILED);
        f->now += 61000;
    }
    assert_ledger(f, 10,
                  "inactive since 2026-05-28 20:35:49 UTC after 10 consecutive failed requests: "
                  "7 x time-out while waiting for the response at 5.0 s, 3 x 503; "
                  "first failure 2026-05-28 20:26:40 UTC; 12,345 deliveries held");
}

static void the_ledger_of_a_receiver_that_is_gone(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 1);
    run(f, 1, VERDICT_GONE);
    assert_ledger(
        f, 10,
        "inactive since 2026-05-28 20:26:40 UTC because the receiver answered 410 (gone); "
        "1 delivery held");
}

static void the_ledger_of_a_webhook_switched_off_by_hand(void **state)
{
    struct fixture *f = *state;
    lane_configure(&f->lane, 2, true, T0);
    assert_ledger(f, 10, "switched off by hand since 2026-05-28 20:26:40 UTC; 0 deliveries held");
}

static void many_kinds_of_failure_are_gathered(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 8);
    for (uint16_t i = 1; i <= 8; i++) {
        struct attempt attempt = attempt_of(f, i);
        attempt.http_status = (uint16_t)(500 + i);
        finish(f, &attempt, VERDICT_FAILED);
    }
    assert_ledger(f, 10,
                  "active; 8 of 10 failures: 3 x other failures, 1 x 501, 1 x 502, 1 x 503, "
                  "1 x 504, 1 x 505; first failure 2026-05-28 20:26:40 UTC");
}

#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void reopen(struct fixture *f, uint64_t sequence, uint32_t attempts)
{
    const struct reopening reopening = {.webhook = 7,
                                        .sequence = sequence,
                                        .event_seq = 1000 + sequence,
                                        .event_accepted_at = T0,
                                        .attempts = attempts,
                                        .at = f->now};
    lane_fold_reopening(&f->lane, &reopening);
    lane_check(&f->lane);
}

static void a_finished_delivery_is_opened_again(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    run(f, 1, VERDICT_DELIVERED);
    assert_int_equal(lane_owed(&f->lane), 2);
    reopen(f, 1, 1);
    assert_int_equal(lane_owed(&f->lane), 3);
    assert_int_equal(lane_oldest_owed(&f->lane), 1);
    struct lane_retry *retry = lane_next_retry(&f->lane);
    assert_int_equal(retry->sequence, 1);
    assert_int_equal(lane_retry_due(&f->lane, retry), f->now);
    struct attempt attempt = attempt_of(f, 1);
    assert_int_equal(attempt.number, 2);
    finish(f, &attempt, VERDICT_DELIVERED);
    assert_int_equal(lane_owed(&f->lane), 2);
    assert_null(lane_next_retry(&f->lane));
}

static void what_was_not_started_is_left_alone(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 3);
    reopen(f, 2, 0);
    reopen(f, 4, 0);
    assert_int_equal(lane_owed(&f->lane), 3);
    assert_null(lane_next_retry(&f->lane));
}

static void a_waiting_retry_is_due_at_once_with_a_fresh_schedule(void **state)
{
    struct fixture *f = *state;
    lane_raise(&f->lane, 1);
    run(f, 1, VERDICT_FAILED);
    f->now += 5000;
    run(f, 1, VERDICT_FAILED);
    assert_true(lane_retry_due(&f->lane, lane_next_retry(&f->lane)) > f->now);
    reopen(f, 1, 2);
    struct lane_retry *retry = lane_next_retry(&f->lane);
    assert_int_equal(lane_retry_due(&f->lane, retry), f->now);
    assert_int_equal(retry->step, 0);
    assert_int_equal(retry->attempts, 2);
    lane_retry_start(&f->lane, retry);
    reopen(f, 1, 2); /* in flight: nothing changes */
    assert_true(retry->in_flight);
    lane_retry_cancel(&f->lane, retry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LANE_TEST(is_owed_what_was_raised),
        LANE_TEST(settles_ahead_of_the_cursor),
        LANE_TEST(a_failure_is_retried_by_the_schedule_and_then_failed),
        LANE_TEST(jitter_stays_within_its_percent_and_reaches_both_ends),
        LANE_TEST(retry_after_is_honoured_up_to_an_hour),
        LANE_TEST(ten_failures_in_a_row_deactivate_and_hold),
        LANE_TEST(a_success_resets_the_count),
        LANE_TEST(proven_follows_the_signal),
        LANE_TEST(threshold_zero_never_deactivates),
        LANE_TEST(gone_deactivates_at_once_and_holds),
        LANE_TEST(the_deactivating_attempt_never_exhausts),
        LANE_TEST(an_enable_makes_retries_due_with_a_fresh_schedule),
        LANE_TEST(held_ones_come_before_those_of_this_epoch),
        LANE_TEST(a_pause_holds_and_keeps_the_retries),
        LANE_TEST(late_results_of_an_older_epoch_do_not_count),
        LANE_TEST(a_straggler_behind_the_deactivation_is_held_uncounted),
        LANE_TEST(a_lost_deactivation_is_made_up_for_by_the_next_failure),
        LANE_TEST(older_epochs_and_their_deactivations_are_ignored),
        LANE_TEST(expiry_counts_what_was_really_owed),
        LANE_TEST(expiry_of_exactly_one_window),
        LANE_TEST(what_expired_in_flight_stays_expired),
        LANE_TEST(folding_again_changes_nothing),
        LANE_TEST(a_delivery_can_be_given_up_without_a_request),
        LANE_TEST(a_snapshot_comes_back),
        LANE_TEST(a_lane_without_history_is_a_few_bytes),
        LANE_TEST(a_damaged_snapshot_changes_nothing),
        LANE_TEST(the_ledger_of_an_active_webhook),
        LANE_TEST(the_ledger_of_a_deactivated_webhook),
        LANE_TEST(the_ledger_of_a_receiver_that_is_gone),
        LANE_TEST(the_ledger_of_a_webhook_switched_off_by_hand),
        LANE_TEST(many_kinds_of_failure_are_gathered),
        LANE_TEST(a_finished_delivery_is_opened_again),
        LANE_TEST(what_was_not_started_is_left_alone),
        LANE_TEST(a_waiting_retry_is_due_at_once_with_a_fresh_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
