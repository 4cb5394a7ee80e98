/* lane_sim.c: one webhook over simulated weeks, thousands of times.
 *
 *   courier's working copy --attempts, expiries--> pending --commit--> ledger's copy --> log
 *            ^                                                  |                        |
 *            +------------- notes (new events, new epochs) <----+      recovery <--------+
 *
 * At random: events come, the receiver is well, flaky, dead or gone, the user pauses and enables,
 * held deliveries expire, the process is killed at any moment. Beside it an oracle keeps the same
 * books in the plainest way there is, one array element per sequence. After every step all
 * invariants are asserted; whenever nothing is under way, working copy, ledger and oracle must
 * agree field by field, and so must a ledger that is folded anew from snapshot and log. In the end
 * the receiver is well, and every sequence must have ended exactly once.
 *
 * usage: test_sim_lane [SEEDS [FIRST]] */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "hook/lane.h"

#define START   INT64_C(1780000000000)
#define HOLD    (72 * MS_PER_HOUR)
#define WEBHOOK 7

enum { SEQUENCES_MAX = 600, FLYING_MAX = 12, STEPS = 500, DEFAULT_SEEDS = 3000 };
enum mood { WELL, FLAKY, DEAD, GONE, MOODS };
enum fate { OWED, DELIVERED, FAILED, EXPIRED };

struct flight {
    struct attempt attempt;
    bool is_retry;
};

/* A record of the log, or a raise of `last` (kind 0). */
struct entry {
    uint8_t kind;
    uint64_t last;
    char *bytes;
    size_t len;
};

struct entries {
    struct entry *list;
    size_t n, cap;
};

struct oracle {
    enum fate fates[SEQUENCES_MAX + 1];
    uint32_t attempts[SEQUENCES_MAX + 1];
    uint32_t epoch, failures;
    bool deactivated;
    uint64_t counts[EXPIRED + 1];
};

/* What the courier hears later than the ledger. */
struct note {
    uint64_t last;
    uint32_t epoch;
    bool paused;
    wall_ms paused_at;
};

struct world {
    struct rng rng;
    wall_ms now;
    enum mood mood;
    struct lane_policy policy;
    struct lane working, ledger;
    struct oracle oracle; /* of the committed records */
    wall_ms accepted_at[SEQUENCES_MAX + 1];
    uint32_t epoch; /* the webhook's intent */
    bool paused;
    wall_ms paused_at;
    struct flight flying[FLYING_MAX];
    size_t n_flying;
    struct entries pending, log;
    struct note notes[STEPS + 1];
    size_t n_notes, told;
    size_t snapshot;      /* the log's tail begins here ... */
    char *snapshot_bytes; /* ... behind this snapshot */
    size_t snapshot_len;
    unsigned crashes, enables, compared;
};

static uint64_t current_seed;

static void tell_seed(int signal_number)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "failed at seed %" PRIu64 "\n", current_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(2);
}

static bool chance(struct world *w, unsigned percent)
{
    return rng_below(&w->rng, 100) < percent;
}

static void entries_add(struct entries *entries, struct entry entry)
{
    if (entries->n == entries->cap) {
        entries->cap = entries->cap == 0 ? 64 : 2 * entries->cap;
        entries->list = mem_realloc(entries->list, entries->cap * sizeof(entry));
    }
    entries->list[entries->n++] = entry;
}

static void entries_clear(struct entries *entries)
{
    for (size_t i = 0; i < entries->n; i++)
        free(entries->list[i].bytes);
    entries->n = 0;
}

static void record(struct world *w, uint8_t kind, struct buf *bytes)
{
    size_t len = bytes->len;
    entries_add(&w->pending, (struct entry){.kind = kind, .bytes = buf_take(bytes), .len = len});
}

/* --- the oracle --- */

static void oracle_end(struct oracle *oracle, uint64_t sequence, enum fate fate)
{
    ASSERT(oracle->fates[sequence] == OWED); /* ends once */
    oracle->fates[sequence] = fate;
    oracle->counts[fate]++;
}

static void oracle_attempt(struct oracle *oracle, const struct attempt *attempt)
{
    uint64_t sequence = attempt->sequence;
    if (oracle->fates[sequence] != OWED)
        return;
    if (attempt->detail.len > 0) { /* given up */
        oracle_end(oracle, sequence, FAILED);
        return;
    }
    if (attempt->number <= oracle->attempts[sequence])
        return;
    ASSERT(attempt->number == oracle->attempts[sequence] + 1);
    oracle->attempts[sequence] = attempt->number;
    if (attempt->outcome == OUTCOME_DELIVERED)
        oracle_end(oracle, sequence, DELIVERED);
    if (attempt->outcome == OUTCOME_FAILED)
        oracle_end(oracle, sequence, FAILED);
    if (attempt->epoch != oracle->epoch)
        return;
    if (attempt->counted)
        oracle->failures++;
    else if (attempt->outcome == OUTCOME_DELIVERED && !oracle->deactivated)
        oracle->failures = 0;
}

static void oracle_fold(struct oracle *oracle, uint64_t last, const struct entry *entry)
{
    struct span bytes = span_make(entry->bytes, entry->len);
    struct attempt attempt;
    struct deactivation deactivation;
    struct expiry expiry;
    if (entry->kind == RECORD_ATTEMPT) {
        ASSERT(attempt_decode(bytes, &attempt) == OK);
        oracle_attempt(oracle, &attempt);
    } else if (entry->kind == RECORD_DEACTIVATED) {
        ASSERT(deactivation_decode(bytes, &deactivation) == OK);
        oracle->deactivated |= deactivation.epoch == oracle->epoch;
    } else if (entry->kind == RECORD_EXPIRED) {
        ASSERT(expiry_decode(bytes, &expiry) == OK);
        ASSERT(expiry.through <= last);
        uint64_t count = 0;
        for (uint64_t s = 1; s <= expiry.through; s++) {
            if (oracle->fates[s] != OWED)
                continue;
            oracle_end(oracle, s, EXPIRED);
            count++;
        }
        ASSERT(count == expiry.count);
    }
}

static bool is_owed(const struct lane *lane, uint64_t sequence)
{
    return !lane_settled(lane, sequence) || lane_retry_find(lane, sequence) != NULL;
}

static void compare_oracle(const struct world *w)
{
    const struct oracle *o = &w->oracle;
    const struct lane *l = &w->ledger;
    uint64_t owed = 0;
    for (uint64_t s = 1; s <= l->last; s++) {
        ASSERT(is_owed(l, s) == (o->fates[s] == OWED));
        owed += o->fates[s] == OWED;
    }
    ASSERT(owed == lane_owed(l));
    ASSERT(o->counts[DELIVERED] == l->delivered && o->counts[FAILED] == l->failed);
    ASSERT(o->counts[EXPIRED] == l->expired);
    ASSERT(l->delivered + l->failed + l->expired + owed == l->last);
    ASSERT(o->failures == l->failures && o->deactivated == l->deactivated);
    ASSERT(o->epoch == l->epoch);
}

/* --- two lanes, field by field --- */

static void compare_retries(const struct lane *a, const struct lane *b)
{
    struct map_iter iter = {0};
    uint64_t sequence;
    void *value;
    ASSERT(map_len(&a->retries) == map_len(&b->retries));
    while (map_next(&a->retries, &iter, &sequence, &value)) {
        const struct lane_retry *x = value;
        const struct lane_retry *y = lane_retry_find(b, sequence);
        ASSERT(y != NULL && x->sequence == y->sequence && x->event_seq == y->event_seq);
        ASSERT(x->order_hash == y->order_hash && x->event_accepted_at == y->event_accepted_at);
        ASSERT(x->due_at == y->due_at && x->attempts == y->attempts && x->epoch == y->epoch);
        ASSERT(x->step == y->step && lane_retry_due(a, x) == lane_retry_due(b, y));
    }
}

static void compare_lanes(const struct lane *a, const struct lane *b)
{
    ASSERT(a->webhook == b->webhook && a->epoch == b->epoch && a->cursor == b->cursor);
    ASSERT(a->last == b->last && a->ahead == b->ahead);
    ASSERT(a->paused == b->paused && a->paused_at == b->paused_at);
    ASSERT(a->failures == b->failures && a->first_failure_at == b->first_failure_at);
    ASSERT(a->deactivated == b->deactivated && a->reason == b->reason);
    ASSERT(a->deactivated_at == b->deactivated_at);
    for (unsigned i = 0; i < LANE_TALLY; i++) {
        ASSERT(a->tally[i].http_status == b->tally[i].http_status);
        ASSERT(a->tally[i].error == b->tally[i].error && a->tally[i].count == b->tally[i].count);
    }
    ASSERT(a->proven == b->proven && a->last_success_at == b->last_success_at);
    ASSERT(a->delivered == b->delivered && a->failed == b->failed && a->expired == b->expired);
    compare_retries(a, b);
}

/* --- the ledger and its log --- */

static void fold(struct lane *lane, const struct entry *entry)
{
    struct span bytes = span_make(entry->bytes, entry->len);
    struct attempt attempt;
    struct deactivation deactivation;
    struct expiry expiry;
    if (entry->kind == 0) {
        lane_raise(lane, entry->last);
    } else if (entry->kind == RECORD_ATTEMPT) {
        ASSERT(attempt_decode(bytes, &attempt) == OK);
        lane_fold_attempt(lane, &attempt);
    } else if (entry->kind == RECORD_DEACTIVATED) {
        ASSERT(deactivation_decode(bytes, &deactivation) == OK);
        lane_fold_deactivation(lane, &deactivation);
    } else {
        ASSERT(expiry_decode(bytes, &expiry) == OK);
        lane_fold_expiry(lane, &expiry);
    }
}

/* Makes the first n pending records durable; a deactivation goes with its attempt. Sometimes one is
 * folded twice: no difference. */
static void commit(struct world *w, size_t n)
{
    if (n < w->pending.n && w->pending.list[n].kind == RECORD_DEACTIVATED)
        n++;
    for (size_t i = 0; i < n; i++) {
        const struct entry *entry = &w->pending.list[i];
        oracle_fold(&w->oracle, w->ledger.last, entry);
        fold(&w->ledger, entry);
        if (chance(w, 5))
            fold(&w->ledger, entry);
        entries_add(&w->log, *entry);
    }
    size_t left = w->pending.n - n;
    if (left > 0)
        memmove(w->pending.list, w->pending.list + n, left * sizeof(*w->pending.list));
    w->pending.n = left;
}

static void note(struct world *w)
{
    ASSERT(w->n_notes < sizeof(w->notes) / sizeof(w->notes[0]));
    w->notes[w->n_notes++] = (struct note){w->ledger.last, w->epoch, w->paused, w->paused_at};
}

static void hear(struct world *w)
{
    if (w->told == w->n_notes)
        return;
    const struct note *next = &w->notes[w->told++];
    lane_configure(&w->working, next->epoch, next->paused, next->paused_at);
    lane_raise(&w->working, next->last);
}

static void accept_events(struct world *w)
{
    uint64_t n = rng_below(&w->rng, chance(w, 10) ? 90 : 6);
    uint64_t last = w->ledger.last + n < SEQUENCES_MAX ? w->ledger.last + n : SEQUENCES_MAX;
    for (uint64_t s = w->ledger.last + 1; s <= last; s++)
        w->accepted_at[s] = w->now;
    struct entry entry = {.last = last};
    fold(&w->ledger, &entry);
    entries_add(&w->log, entry);
    note(w);
}

static void configure(struct world *w, bool paused)
{
    w->epoch++;
    w->enables += !paused;
    w->paused = paused;
    w->paused_at = paused ? w->now : 0;
    lane_configure(&w->ledger, w->epoch, paused, w->paused_at);
    w->oracle.epoch = w->epoch;
    w->oracle.failures = 0;
    w->oracle.deactivated = false;
    note(w);
}

static void take_snapshot(struct world *w)
{
    struct buf buf = BUF_INIT;
    lane_encode(&buf, &w->ledger);
    free(w->snapshot_bytes);
    w->snapshot_len = buf.len;
    w->snapshot_bytes = buf_take(&buf);
    w->snapshot = w->log.n;
}

/* From the snapshot (NULL: from nothing) and the log behind it, under today's intent. */
static void recover(const struct world *w, bool from_snapshot, struct lane *ret_lane)
{
    lane_init(ret_lane, WEBHOOK);
    lane_configure(ret_lane, w->epoch, w->paused, w->paused_at);
    size_t from = 0;
    if (from_snapshot && w->snapshot_bytes != NULL) {
        ASSERT(lane_decode(span_make(w->snapshot_bytes, w->snapshot_len), ret_lane) == OK);
        lane_configure(ret_lane, w->epoch, w->paused, w->paused_at);
        from = w->snapshot;
    }
    for (size_t i = from; i < w->log.n; i++)
        fold(ret_lane, &w->log.list[i]);
    lane_check(ret_lane);
}

static void restart_courier(struct world *w)
{
    struct buf buf = BUF_INIT;
    lane_encode(&buf, &w->ledger);
    ASSERT(lane_decode(buf_span(&buf), &w->working) == OK);
    buf_release(&buf);
    compare_lanes(&w->working, &w->ledger);
    w->n_flying = 0;
    w->told = w->n_notes;
}

/* kill -9: what was not committed never happened. */
static void crash(struct world *w)
{
    struct lane whole, tail;
    recover(w, false, &whole);
    recover(w, true, &tail);
    compare_lanes(&whole, &w->ledger);
    compare_lanes(&tail, &w->ledger);
    lane_release(&whole);
    lane_release(&w->ledger);
    w->ledger = tail;
    entries_clear(&w->pending);
    restart_courier(w);
    w->crashes++;
}

/* --- the courier --- */

static bool is_flying(const struct world *w, uint64_t sequence)
{
    for (size_t i = 0; i < w->n_flying; i++) {
        if (w->flying[i].attempt.sequence == sequence)
            return true;
    }
    return false;
}

static uint64_t next_first(const struct world *w)
{
    const struct lane *lane = &w->working;
    for (uint64_t s = lane->cursor + 1; s <= lane->last && s <= lane->cursor + LANE_WINDOW; s++) {
        if (!lane_settled(lane, s) && !is_flying(w, s))
            return s;
    }
    return 0;
}

static void start(struct world *w, uint64_t sequence, struct lane_retry *retry)
{
    if (retry != NULL)
        lane_retry_start(&w->working, retry);
    w->flying[w->n_flying++] = (struct flight){
        .attempt = {.webhook = WEBHOOK,
                    .sequence = sequence,
                    .number = retry == NULL ? 1 : retry->attempts + 1,
                    .epoch = w->working.epoch,
                    .url_revision = 1,
                    .event_seq = 10 * sequence,
                    .order_hash = sequence % 7,
                    .event_accepted_at = w->accepted_at[sequence],
                    .started_at = w->now},
        .is_retry = retry != NULL,
    };
}

/* lane_next_retry against a search through all of them. */
static void check_next_retry(const struct world *w)
{
    const struct lane *lane = &w->working;
    const struct lane_retry *best = NULL;
    wall_ms best_due = 0;
    struct map_iter iter = {0};
    void *value;
    while (map_next(&lane->retries, &iter, NULL, &value)) {
        const struct lane_retry *retry = value;
        wall_ms due = retry->epoch < w->working.epoch ? 0 : retry->due_at;
        if (retry->in_flight ||
            (best != NULL &&
             (due > best_due || (due == best_due && retry->sequence > best->sequence))))
            continue;
        best = retry;
        best_due = due;
    }
    ASSERT(lane_next_retry(lane) == best);
    ASSERT(best == NULL || lane_retry_due(lane, best) == best_due);
}

static void start_some(struct world *w)
{
    check_next_retry(w);
    while (lane_active(&w->working) && w->n_flying < FLYING_MAX && chance(w, 90)) {
        struct lane_retry *retry = lane_next_retry(&w->working);
        uint64_t first = next_first(w);
        if (retry != NULL && lane_retry_due(&w->working, retry) <= w->now &&
            (first == 0 || chance(w, 40)))
            start(w, retry->sequence, retry);
        else if (first != 0)
            start(w, first, NULL);
        else
            break;
    }
}

static enum verdict ask_receiver(struct world *w, struct attempt *attempt, int64_t *ret_after_s)
{
    static const unsigned well_percent[MOODS] = {[WELL] = 98, [FLAKY] = 60, [DEAD] = 1, [GONE] = 0};
    static const uint16_t bad[] = {0, 301, 404, 429, 500, 502, 503, 504};
    *ret_after_s = -1;
    if (chance(w, 2))
        return VERDICT_LOCAL;
    if (chance(w, well_percent[w->mood])) {
        attempt->http_status = 204;
        return VERDICT_DELIVERED;
    }
    if (w->mood == GONE && chance(w, 50)) {
        attempt->http_status = 410;
        return VERDICT_GONE;
    }
    attempt->http_status = bad[rng_below(&w->rng, sizeof(bad) / sizeof(bad[0]))];
    attempt->error = attempt->http_status == 0 ? 20 : 0;
    if (chance(w, 30))
        *ret_after_s = (int64_t)rng_below(&w->rng, 7200);
    return VERDICT_FAILED;
}

/* The rules, said once more from outside. */
static void check_judgement(const struct world *w,
                            const struct attempt *attempt,
                            const struct lane_retry *previous,
                            int64_t after_s,
                            bool deactivates)
{
    const struct lane *lane = &w->working;
    bool current = attempt->epoch == lane->epoch;
    if (attempt->outcome == OUTCOME_HELD)
        ASSERT(deactivates || !lane_active(lane));
    if (deactivates)
        ASSERT(current && attempt->outcome == OUTCOME_HELD && attempt->counted);
    if (attempt->counted)
        ASSERT(current && lane_active(lane));
    if (attempt->outcome != OUTCOME_RETRY || !current)
        return;
    unsigned step = previous == NULL || previous->epoch < lane->epoch ? 0 : previous->step;
    int64_t delay_ms = w->policy.schedule.delay_s[step] * MS_PER_S;
    int64_t waits_ms = attempt->due_at - w->now;
    bool told = after_s >= 0 && (attempt->http_status == 429 || attempt->http_status == 503);
    int64_t told_ms = !told ? 0 : (after_s < 3600 ? after_s : 3600) * MS_PER_S;
    ASSERT(waits_ms >= told_ms && waits_ms >= delay_ms * 80 / 100);
    ASSERT(waits_ms <= delay_ms * 120 / 100 || waits_ms == told_ms);
    ASSERT(attempt->step == step + 1 && attempt->step <= w->policy.schedule.n);
}

static void finish(struct world *w, size_t index)
{
    struct flight flight = w->flying[index];
    struct attempt *attempt = &flight.attempt;
    struct deactivation deactivation = {0};
    struct buf bytes = BUF_INIT;
    int64_t after_s;
    w->flying[index] = w->flying[--w->n_flying];
    struct lane_retry *previous = lane_retry_find(&w->working, attempt->sequence);
    enum verdict verdict = ask_receiver(w, attempt, &after_s);
    if (verdict == VERDICT_LOCAL) {
        if (previous != NULL)
            lane_retry_cancel(&w->working, previous);
        return;
    }
    ASSERT(previous == NULL || (flight.is_retry && previous->in_flight));
    bool off = lane_judge(&w->working, &w->policy, verdict, after_s, previous, w->now, &w->rng,
                          attempt, &deactivation);
    check_judgement(w, attempt, previous, after_s, off);
    attempt_encode(&bytes, attempt);
    lane_fold_attempt(&w->working, attempt);
    record(w, RECORD_ATTEMPT, &bytes);
    if (off) {
        ASSERT(verdict == VERDICT_GONE || w->working.failures >= w->policy.failure_threshold);
        deactivation_encode(&bytes, &deactivation);
        lane_fold_deactivation(&w->working, &deactivation);
        record(w, RECORD_DEACTIVATED, &bytes);
    }
}

/* The event of some delivery is not stored any more: given up without a request. */
static void give_up(struct world *w)
{
    struct lane *lane = &w->working;
    uint64_t sequence = lane_oldest_owed(lane) + rng_below(&w->rng, 3);
    if (sequence == 0 || sequence > lane->last || sequence > lane->cursor + LANE_WINDOW ||
        !is_owed(lane, sequence) || is_flying(w, sequence))
        return;
    const struct lane_retry *retry = lane_retry_find(lane, sequence);
    struct attempt attempt = {
        .webhook = WEBHOOK,
        .sequence = sequence,
        .number = retry == NULL ? 0 : retry->attempts,
        .epoch = lane->epoch,
        .started_at = w->now,
        .outcome = OUTCOME_FAILED,
        .detail = SPAN_LIT("gone"),
    };
    struct buf bytes = BUF_INIT;
    attempt_encode(&bytes, &attempt);
    lane_fold_attempt(lane, &attempt);
    record(w, RECORD_ATTEMPT, &bytes);
}

/* What an inactive lane has held for too long. */
static void expire(struct world *w)
{
    const struct lane *lane = &w->working;
    if (lane_active(lane))
        return;
    wall_ms since = lane->paused ? lane->paused_at : lane->deactivated_at;
    uint64_t through = 0;
    for (uint64_t s = 1; s <= lane->last; s++) {
        wall_ms held = w->accepted_at[s] > since ? w->accepted_at[s] : since;
        if (is_owed(lane, s) && held + HOLD <= w->now)
            through = s;
    }
    uint64_t count = 0;
    for (uint64_t s = 1; s <= through; s++)
        count += is_owed(lane, s);
    if (count == 0)
        return;
    struct expiry expiry = {WEBHOOK, through, count, w->now};
    struct buf bytes = BUF_INIT;
    uint64_t before = lane->expired;
    expiry_encode(&bytes, &expiry);
    lane_fold_expiry(&w->working, &expiry);
    ASSERT(w->working.expired == before + count);
    record(w, RECORD_EXPIRED, &bytes);
}

/* --- the run --- */

static void check(struct world *w)
{
    lane_check(&w->working);
    lane_check(&w->ledger);
    ASSERT(w->policy.failure_threshold == 0 || !lane_active(&w->working) ||
           w->working.failures < w->policy.failure_threshold);
    for (size_t i = 0; i < w->n_flying; i++) {
        const struct flight *flight = &w->flying[i];
        const struct lane_retry *retry = lane_retry_find(&w->working, flight->attempt.sequence);
        ASSERT(retry == NULL || retry->in_flight);
    }
    if (w->pending.n == 0 && w->told == w->n_notes) {
        compare_lanes(&w->working, &w->ledger);
        compare_oracle(w);
        w->compared++;
    }
}

static void let_time_pass(struct world *w)
{
    const struct lane_retry *retry = lane_next_retry(&w->working);
    wall_ms due = retry == NULL ? 0 : lane_retry_due(&w->working, retry);
    if (due > w->now && chance(w, 60))
        w->now = due;
    else
        w->now += (wall_ms)rng_below(
            &w->rng, (uint64_t)(chance(w, 30) ? 48 * MS_PER_HOUR : 10 * MS_PER_MIN));
}

static void step(struct world *w)
{
    uint64_t what = rng_below(&w->rng, 100);
    if (what < 14 && w->ledger.last < SEQUENCES_MAX) {
        accept_events(w);
    } else if (what < 40) {
        start_some(w);
    } else if (what < 60) {
        for (uint64_t n = rng_below(&w->rng, FLYING_MAX); n > 0 && w->n_flying > 0; n--)
            finish(w, rng_below(&w->rng, w->n_flying));
    } else if (what < 70) {
        commit(w, chance(w, 50) ? w->pending.n : rng_below(&w->rng, w->pending.n + 1));
    } else if (what < 80) {
        hear(w);
    } else if (what < 90) {
        let_time_pass(w);
    } else if (what < 92) {
        w->mood = (enum mood)rng_below(&w->rng, MOODS);
    } else if (what < 94) {
        configure(w, chance(w, 30));
    } else if (what < 97) {
        expire(w);
    } else if (what < 98) {
        take_snapshot(w);
    } else if (what < 99) {
        crash(w);
    } else {
        give_up(w);
    }
}

/* Nothing under way any more. */
static void settle(struct world *w)
{
    while (w->told < w->n_notes)
        hear(w);
    while (w->n_flying > 0)
        finish(w, 0);
    commit(w, w->pending.n);
    check(w);
}

/* The receiver is well and the webhook enabled: all that is owed must come through. */
static void drain(struct world *w)
{
    settle(w);
    configure(w, false);
    w->mood = WELL;
    for (unsigned round = 0; lane_owed(&w->ledger) > 0; round++) {
        ASSERT(round < 10000);
        settle(w);
        if (!lane_active(&w->ledger))
            configure(w, false);
        start_some(w);
        let_time_pass(w);
    }
    settle(w);
    for (uint64_t s = 1; s <= w->ledger.last; s++)
        ASSERT(w->oracle.fates[s] != OWED);
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){
        .now = START,
        .policy = {.schedule = {.delay_s = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400},
                                .n = 9,
                                .jitter_percent = 20}},
    };
    rng_seed(&w->rng, seed);
    static const uint32_t thresholds[] = {10, 10, 10, 0, 1, 3, 50};
    w->policy.failure_threshold = thresholds[rng_below(&w->rng, 7)];
    if (chance(w, 40))
        w->policy.schedule.n = (unsigned)rng_below(&w->rng, 9);
    w->mood = (enum mood)rng_below(&w->rng, MOODS);
    lane_init(&w->working, WEBHOOK);
    lane_init(&w->ledger, WEBHOOK);
    configure(w, false);
    hear(w);
}

static void world_release(struct world *w)
{
    lane_release(&w->working);
    lane_release(&w->ledger);
    entries_clear(&w->pending);
    entries_clear(&w->log);
    free(w->pending.list);
    free(w->log.list);
    free(w->snapshot_bytes);
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_SEEDS;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct world *w = mem_alloc(sizeof(*w));
    uint64_t counts[EXPIRED + 1] = {0}, crashes = 0, enables = 0, days = 0, compared = 0;
    signal(SIGABRT, tell_seed);
    for (current_seed = first; current_seed < first + seeds; current_seed++) {
        world_init(w, current_seed);
        for (unsigned i = 0; i < STEPS; i++) {
            step(w);
            check(w);
        }
        drain(w);
        for (unsigned fate = DELIVERED; fate <= EXPIRED; fate++)
            counts[fate] += w->oracle.counts[fate];
        crashes += w->crashes;
        enables += w->enables;
        compared += w->compared;
        days += (uint64_t)((w->now - START) / (24 * MS_PER_HOUR));
        world_release(w);
    }
    free(w);
    printf("%" PRIu64 " lanes over %" PRIu64 " days: %" PRIu64 " delivered, %" PRIu64 " failed, "
           "%" PRIu64 " expired; %" PRIu64 " crashes, %" PRIu64 " enables, %" PRIu64
           " comparisons\n",
           seeds, days, counts[DELIVERED], counts[FAILED], counts[EXPIRED], crashes, enables,
           compared);
    /* A simulation in which something never happened shows nothing about it. */
    bool all = counts[DELIVERED] > 0 && counts[FAILED] > 0 && counts[EXPIRED] > 0 && crashes > 0;
    return argc > 1 || all ? 0 : 1;
}
