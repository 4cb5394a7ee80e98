/* lane_judge.c: what a finished request means for its delivery and its lane; see lane.h. */
#include "base/err.h"
#include "hook/lane.h"

enum { RETRY_AFTER_MAX_S = 3600, PERCENT = 100 };

/* Still to be done by this attempt: neither finished nor expired since it started. */
static bool
owes(const struct lane *lane, const struct lane_retry *previous, const struct attempt *attempt)
{
    return previous != NULL || !lane_settled(lane, attempt->sequence);
}

/* The schedule restarts with every epoch. */
static unsigned next_step(const struct lane *lane, const struct lane_retry *previous)
{
    return previous == NULL || previous->epoch < lane->epoch ? 0 : previous->step;
}

/* A delay with its jitter: evenly between (100 - j) % and (100 + j) %. */
static int64_t jittered_ms(const struct retry_schedule *schedule, unsigned step, struct rng *rng)
{
    int64_t delay_ms = schedule->delay_s[step] * MS_PER_S;
    int64_t spread_ms = delay_ms * schedule->jitter_percent / PERCENT;
    if (spread_ms == 0)
        return delay_ms;
    return delay_ms - spread_ms + (int64_t)rng_below(rng, (uint64_t)(2 * spread_ms + 1));
}

static int64_t retry_after_ms(const struct attempt *attempt, int64_t retry_after_s)
{
    if (retry_after_s < 0 || (attempt->http_status != 429 && attempt->http_status != 503))
        return 0;
    return (retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S) * MS_PER_S;
}

static void judge_retry(const struct lane *lane,
                        const struct retry_schedule *schedule,
                        int64_t retry_after_s,
                        const struct lane_retry *previous,
                        wall_ms now,
                        struct rng *rng,
                        struct attempt *attempt)
{
    ASSERT(schedule->n <= sizeof(schedule->delay_s) / sizeof(schedule->delay_s[0]));
    if (attempt->epoch < lane->epoch) { /* enabled meanwhile: as if it had been held */
        attempt->outcome = OUTCOME_RETRY;
        attempt->due_at = now;
        return;
    }
    unsigned step = next_step(lane, previous);
    if (step >= schedule->n) {
        attempt->outcome = OUTCOME_FAILED;
        return;
    }
    int64_t delay_ms = jittered_ms(schedule, step, rng);
    int64_t at_least_ms = retry_after_ms(attempt, retry_after_s);
    attempt->outcome = OUTCOME_RETRY;
    attempt->due_at = now + (delay_ms > at_least_ms ? delay_ms : at_least_ms);
    attempt->step = (uint8_t)(step + 1);
}

bool lane_judge(const struct lane *lane,
                const struct lane_policy *policy,
                enum verdict verdict,
                int64_t retry_after_s,
                const struct lane_retry *previous,
                wall_ms now,
                struct rng *rng,
                struct attempt *attempt,
                struct deactivation *ret_deactivation)
{
    ASSERT(verdict != VERDICT_LOCAL);
    attempt->due_at = 0;
    attempt->step = 0;
    attempt->counted = false;
    if (verdict == VERDICT_DELIVERED) {
        attempt->outcome = OUTCOME_DELIVERED;
        return false;
    }
    if (!owes(lane, previous, attempt)) { /* the fold ignores it; the log shows it */
        attempt->outcome = OUTCOME_FAILED;
        return false;
    }
    if (!lane_active(lane)) {
        attempt->outcome = OUTCOME_HELD;
        return false;
    }
    attempt->counted = attempt->epoch == lane->epoch;
    bool too_many =
        policy->failure_threshold > 0 && lane->failures + 1 >= policy->failure_threshold;
    if (attempt->counted && (verdict == VERDICT_GONE || too_many)) {
        attempt->outcome = OUTCOME_HELD;
        *ret_deactivation = (struct deactivation){
            .webhook = lane->webhook,
            .epoch = lane->epoch,
            .at = now,
            .reason = verdict == VERDICT_GONE ? DEACTIVATED_GONE : DEACTIVATED_FAILURES,
        };
        return true;
    }
    judge_retry(lane, &policy->schedule, retry_after_s, previous, now, rng, attempt);
    return false;
}
