/* fixture.c: see fixture.h. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ulid.h"

static bool engine_is_sqlite;

void fixture_engine(const char *name)
{
    engine_is_sqlite = strcmp(name, "sqlite") == 0;
}

bool fixture_is_sqlite(void)
{
    return engine_is_sqlite;
}

void fixture_open(struct fixture *f)
{
    struct error error = {0};
    enum err err = f->is_sqlite ? store_open_sqlite(&f->conf, &f->store, &error)
                                : store_open_memory(&f->conf, &f->store, &error);
    if (err != OK)
        fail_msg("cannot open: %s", error.message);
}

int fixture_setup(void **state)
{
    struct fixture *f = mem_zero(1, sizeof *f);
    f->is_sqlite = engine_is_sqlite;
    snprintf(f->dir, sizeof f->dir, "%s", "/tmp/hookswitch-store-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    f->conf = (struct store_conf){
        .dir = f->dir, .log_file_bytes = 1 << 30, .log_file_ms = 24 * MS_PER_HOUR, .readers = 2};
    rng_seed(&f->rng, 42);
    f->now = INT64_C(1700000000000);
    f->first_seq = f->first_block = 1;
    fixture_open(f);
    *state = f;
    return 0;
}

void fixture_close(struct fixture *f)
{
    store_memory_keep(f->store);
    store_close(f->store);
    f->store = NULL;
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

void fixture_drop(struct past_block *block)
{
    for (size_t i = 0; i < block->n_events; i++)
        event_unref(block->events[i]);
    for (size_t i = 0; i < block->n_records; i++)
        free((void *)(uintptr_t)block->records[i].bytes.ptr);
    free(block->events);
    free(block->records);
    *block = (struct past_block){0};
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    for (size_t i = 0; i < f->n_blocks; i++)
        fixture_drop(&f->blocks[i]);
    free(f->blocks);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int rc = system(command);
    free(f);
    return rc;
}

/* --- making --- */

static struct event *make_event(struct fixture *f, uint64_t *sequences, uint64_t seq)
{
    char data[8000];
    size_t len = 20 + rng_below(&f->rng, rng_below(&f->rng, 20) == 0 ? 7000 : 300);
    memset(data, 'x', len);
    snprintf(data, sizeof data, "{\"n\":%llu}", (unsigned long long)seq);
    data[strlen(data)] = ' ';
    char key[24];
    snprintf(key, sizeof key, "%u", (unsigned)rng_below(&f->rng, 50));
    struct span order_key = rng_below(&f->rng, 10) == 0 ? (struct span){NULL, 0} : span_from(key);
    struct event *event = event_new(7, SPAN_LIT("call.created"), SPAN_LIT("call"), order_key,
                                    f->now / 1000, span_make(data, len));
    event->seq = seq;
    event->accepted_at = f->now;
    struct event_target targets[WEBHOOKS];
    uint32_t n = 0;
    for (uint32_t webhook = 1; webhook <= WEBHOOKS; webhook++)
        if (rng_below(&f->rng, webhook + 1) < 1 && sequences[webhook] < LANE_MAX)
            targets[n++] = (struct event_target){webhook, ++sequences[webhook]};
    event_set_targets(event, targets, n);
    return event;
}

static struct store_record make_attempt(struct fixture *f)
{
    uint32_t webhook = 1 + (uint32_t)rng_below(&f->rng, WEBHOOKS);
    if (f->last_sequence[webhook] == 0)
        return (struct store_record){.kind = RECORD_KEY, .bytes = span_make(mem_strdup("key"), 3)};
    char body[1024];
    memset(body, 'b', sizeof body);
    struct attempt attempt = {
        .webhook = webhook,
        .sequence = 1 + rng_below(&f->rng, f->last_sequence[webhook]),
        .number = 1 + (uint32_t)rng_below(&f->rng, 9),
        .epoch = 1,
        .event_seq = 1 + rng_below(&f->rng, f->last_seq),
        .event_accepted_at = f->now - 100,
        .started_at = f->now,
        .outcome = (enum outcome)(1 + rng_below(&f->rng, 4)),
        .http_status = (uint16_t)(200 + rng_below(&f->rng, 400)),
        .total_us = (uint32_t)rng_below(&f->rng, 5000000),
        .detail = SPAN_LIT("words"),
        .body = span_make(body, rng_below(&f->rng, sizeof body)),
    };
    struct buf buf = BUF_INIT;
    attempt_encode(&buf, &attempt);
    size_t len = buf.len;
    return (struct store_record){.kind = RECORD_ATTEMPT,
                                 .webhook = webhook,
                                 .sequence = attempt.sequence,
                                 .bytes = span_make(buf_take(&buf), len)};
}

struct past_block *fixture_make(struct fixture *f, size_t n_events, size_t n_records)
{
    static struct past_block made;
    uint64_t sequences[WEBHOOKS + 1];
    memcpy(sequences, f->last_sequence, sizeof sequences);
    f->now += 1 + (wall_ms)rng_below(&f->rng, 20);
    made = (struct past_block){.time = f->now, .n_events = n_events, .n_records = n_records};
    made.events = mem_zero(n_events + 1, sizeof(struct event *));
    made.records = mem_zero(n_records + 1, sizeof(*made.records));
    struct ulid last;
    memcpy(last.bytes, f->last_id, sizeof last.bytes);
    for (size_t i = 0; i < n_events; i++) {
        made.events[i] = make_event(f, sequences, f->last_seq + 1 + i);
        ulid_next(&last, f->now, &f->rng, &last);
        memcpy(made.events[i]->id, last.bytes, EVENT_ID_BYTES);
    }
    for (size_t i = 0; i < n_records; i++)
        made.records[i] = make_attempt(f);
    return &made;
}

enum err fixture_try(struct fixture *f, const struct past_block *block)
{
    struct error error = {0};
    const struct store_batch batch = {.block = f->n_blocks + 1,
                                      .time = block->time,
                                      .events = block->events,
                                      .n_events = block->n_events,
                                      .records = block->records,
                                      .n_records = block->n_records};
    enum err err = store_append(f->store, &batch, &error);
    if (err != OK)
        assert_true(strlen(error.message) > 0);
    return err;
}

void fixture_accept(struct fixture *f, struct past_block *block)
{
    if (f->n_blocks == f->cap_blocks) {
        f->cap_blocks = f->cap_blocks == 0 ? 64 : 2 * f->cap_blocks;
        f->blocks = mem_realloc(f->blocks, f->cap_blocks * sizeof(*f->blocks));
    }
    f->blocks[f->n_blocks++] = *block;
    for (size_t i = 0; i < block->n_events; i++) {
        const struct event *event = block->events[i];
        f->last_seq = event->seq;
        memcpy(f->last_id, event->id, EVENT_ID_BYTES);
        for (uint32_t t = 0; t < event->n_targets; t++)
            f->last_sequence[event->targets[t].webhook] = event->targets[t].sequence;
    }
    *block = (struct past_block){0};
}

enum err fixture_append(struct fixture *f, size_t n_events, size_t n_records)
{
    struct past_block *block = fixture_make(f, n_events, n_records);
    enum err err = fixture_try(f, block);
    if (err == OK)
        fixture_accept(f, block);
    else
        fixture_drop(block);
    return err;
}

void fixture_forget(struct fixture *f, uint64_t first_seq, uint64_t first_block)
{
    f->first_seq = first_seq;
    f->first_block = first_block;
}

/* --- checking --- */

static void assert_same_targets(const struct event *a, const struct event *b)
{
    assert_int_equal(a->n_targets, b->n_targets);
    for (uint32_t i = 0; i < a->n_targets; i++) {
        assert_int_equal(a->targets[i].webhook, b->targets[i].webhook);
        assert_int_equal(a->targets[i].sequence, b->targets[i].sequence);
    }
}

static void assert_same_event(const struct event *a, const struct event *b)
{
    assert_int_equal(a->seq, b->seq);
    assert_memory_equal(a->id, b->id, EVENT_ID_BYTES);
    assert_int_equal(a->company, b->company);
    assert_true(span_eq(a->name, b->name));
    assert_true(span_eq(a->resource, b->resource));
    assert_true(span_eq(a->order_key, b->order_key));
    assert_int_equal(a->order_hash, b->order_hash);
    assert_int_equal(a->timestamp_s, b->timestamp_s);
    assert_int_equal(a->accepted_at, b->accepted_at);
    assert_true(span_eq(a->data, b->data));
    assert_same_targets(a, b);
}

struct replayed {
    const struct fixture *f;
    uint64_t next;
    uint64_t stop; /* an error at this block */
};

static enum err check_block(void *ctx, const struct store_block *block)
{
    struct replayed *replayed = ctx;
    assert_int_equal(block->block, replayed->next++);
    const struct past_block *past = &replayed->f->blocks[block->block - 1];
    assert_int_equal(block->time, past->time);
    assert_int_equal(block->n_events, past->n_events);
    assert_int_equal(block->n_records, past->n_records);
    for (size_t i = 0; i < past->n_events; i++) {
        const struct event *event = block->events[i];
        assert_int_equal(event->seq, past->events[i]->seq);
        assert_int_equal(event->company, past->events[i]->company);
        assert_int_equal(event->order_hash, past->events[i]->order_hash);
        assert_int_equal(event->accepted_at, past->events[i]->accepted_at);
        assert_memory_equal(event->id, past->events[i]->id, EVENT_ID_BYTES);
        assert_int_equal(event->data.len, 0);
        assert_same_targets(event, past->events[i]);
    }
    for (size_t i = 0; i < past->n_records; i++) {
        assert_int_equal(block->records[i].kind, past->records[i].kind);
        assert_int_equal(block->records[i].webhook, past->records[i].webhook);
        assert_int_equal(block->records[i].sequence, past->records[i].sequence);
        assert_true(span_eq(block->records[i].bytes, past->records[i].bytes));
    }
    return block->block == replayed->stop ? ERR_CONFLICT : OK;
}

static void check_replay(struct fixture *f)
{
    struct error error = {0};
    uint64_t from[] = {1, f->n_blocks / 2 + 1, f->n_blocks, f->n_blocks + 1};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        uint64_t begin = from[i] < f->first_block ? f->first_block : from[i];
        struct replayed replayed = {.f = f, .next = begin};
        assert_int_equal(store_replay(f->store, from[i], check_block, &replayed, &error), OK);
        assert_int_equal(replayed.next, begin > f->n_blocks ? begin : f->n_blocks + 1);
    }
    if (f->n_blocks < f->first_block)
        return;
    struct replayed replayed = {.f = f, .next = f->first_block, .stop = f->first_block};
    assert_int_equal(store_replay(f->store, 1, check_block, &replayed, &error), ERR_CONFLICT);
    assert_int_equal(replayed.next, f->first_block + 1);
}

static const struct event *past_event(const struct fixture *f, uint64_t seq)
{
    size_t low = 0;
    size_t high = f->n_blocks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct past_block *block = &f->blocks[middle];
        size_t at = middle;
        while (block->n_events == 0 && at > low)
            block = &f->blocks[--at];
        if (block->n_events == 0 || block->events[block->n_events - 1]->seq < seq)
            low = middle + 1;
        else if (block->events[0]->seq > seq)
            high = at;
        else
            return block->events[seq - block->events[0]->seq];
    }
    return NULL;
}

static void check_events(struct fixture *f)
{
    struct error error = {0};
    enum { STEP = 150 };
    uint64_t seqs[STEP];
    struct event *events[STEP];
    for (uint64_t from = 1; from <= f->last_seq + 5; from += STEP) {
        for (size_t i = 0; i < STEP; i++)
            seqs[i] = from + i;
        assert_int_equal(store_events(f->store, seqs, STEP, events, &error), OK);
        for (size_t i = 0; i < STEP; i++) {
            bool there = seqs[i] >= f->first_seq && seqs[i] <= f->last_seq;
            assert_int_equal(events[i] != NULL, there);
            if (!there)
                continue;
            const struct event *past = past_event(f, seqs[i]);
            assert_non_null(past);
            assert_same_event(events[i], past);
            event_unref(events[i]);
        }
    }
}

static void check_ids(struct fixture *f)
{
    struct error error = {0};
    uint64_t step = 1 + f->last_seq / 200;
    struct event *event;
    for (uint64_t seq = 1; seq <= f->last_seq; seq += step) {
        const struct event *past = past_event(f, seq);
        assert_int_equal(store_event_by_id(f->store, past->id, &event, &error), OK);
        assert_int_equal(event != NULL, seq >= f->first_seq);
        if (event != NULL)
            assert_same_event(event, past);
        event_unref(event);
        uint8_t absent[EVENT_ID_BYTES];
        memcpy(absent, past->id, sizeof absent);
        absent[15] ^= 0x80;
        absent[14] ^= 0x80;
        assert_int_equal(store_event_by_id(f->store, absent, &event, &error), OK);
        assert_null(event);
    }
    static const uint8_t lowest[EVENT_ID_BYTES];
    assert_int_equal(store_event_by_id(f->store, lowest, &event, &error), OK);
    assert_null(event);
}

static void check_lanes(struct fixture *f)
{
    struct error error = {0};
    static uint64_t expected[LANE_MAX + 1];
    static uint64_t seqs[LANE_MAX + 100];
    for (uint32_t webhook = 1; webhook <= WEBHOOKS; webhook++) {
        memset(expected, 0, sizeof expected);
        for (size_t b = f->first_block - 1; b < f->n_blocks; b++)
            for (size_t i = 0; i < f->blocks[b].n_events; i++)
                for (uint32_t t = 0; t < f->blocks[b].events[i]->n_targets; t++)
                    if (f->blocks[b].events[i]->targets[t].webhook == webhook)
                        expected[f->blocks[b].events[i]->targets[t].sequence] =
                            f->blocks[b].events[i]->seq;
        uint64_t last = f->last_sequence[webhook];
        size_t steps[] = {1, 64, 1000};
        for (size_t s = 0; s < 3; s++) {
            size_t stride = steps[s] == 1 ? 37 : steps[s];
            for (uint64_t from = 1; from <= last + 3; from += stride) {
                size_t n = steps[s];
                assert_int_equal(store_lane(f->store, webhook, from, n, seqs, &error), OK);
                for (size_t i = 0; i < n; i++)
                    assert_int_equal(seqs[i], from + i <= last ? expected[from + i] : 0);
            }
        }
    }
    assert_int_equal(store_lane(f->store, 99, 1, 3, seqs, &error), OK);
    assert_true(seqs[0] == 0 && seqs[1] == 0 && seqs[2] == 0);
}

static void assert_same_attempt(const struct attempt *a, struct span record, bool whole)
{
    struct attempt past;
    assert_int_equal(attempt_decode(record, &past), OK);
    assert_int_equal(a->webhook, past.webhook);
    assert_int_equal(a->sequence, past.sequence);
    assert_int_equal(a->number, past.number);
    assert_int_equal(a->outcome, past.outcome);
    assert_int_equal(a->http_status, past.http_status);
    assert_int_equal(a->total_us, past.total_us);
    assert_int_equal(a->started_at, past.started_at);
    if (whole) {
        assert_true(span_eq(a->detail, past.detail));
        assert_true(span_eq(a->body, past.body));
    } else {
        assert_true(a->detail.len == 0 && a->body.len == 0);
    }
}

/* The n-th attempt of a delivery that is still there, or NULL. */
static const struct store_record *
past_attempt(const struct fixture *f, uint32_t webhook, uint64_t sequence, size_t n)
{
    for (size_t b = f->first_block - 1; b < f->n_blocks; b++)
        for (size_t i = 0; i < f->blocks[b].n_records; i++) {
            const struct store_record *record = &f->blocks[b].records[i];
            if (record->kind == RECORD_ATTEMPT && record->webhook == webhook &&
                record->sequence == sequence && n-- == 0)
                return record;
        }
    return NULL;
}

static void check_attempts(struct fixture *f)
{
    struct error error = {0};
    for (uint32_t webhook = 1; webhook <= WEBHOOKS; webhook++) {
        uint64_t last = f->last_sequence[webhook];
        uint64_t step = 1 + last / 40;
        for (uint64_t sequence = 1; sequence <= last + 1; sequence += step) {
            uint64_t seq = 0;
            assert_int_equal(store_lane(f->store, webhook, sequence, 1, &seq, &error), OK);
            struct store_attempts attempts;
            assert_int_equal(store_attempts(f->store, webhook, sequence, &attempts, &error), OK);
            for (size_t i = 0; i < attempts.n; i++) {
                const struct store_record *past = past_attempt(f, webhook, sequence, i);
                assert_non_null(past);
                assert_same_attempt(&attempts.attempts[i], past->bytes, true);
            }
            assert_null(past_attempt(f, webhook, sequence, attempts.n));
            store_attempts_release(&attempts);
        }
        enum { N = 64 };
        struct attempt found[N];
        bool there[N];
        for (uint64_t from = 1; from <= last + 1; from += 200 + N) {
            assert_int_equal(store_last_attempts(f->store, webhook, from, N, found, there, &error),
                             OK);
            for (size_t i = 0; i < N; i += 7) {
                const struct store_record *past = NULL;
                const struct store_record *next;
                for (size_t k = 0; (next = past_attempt(f, webhook, from + i, k)) != NULL; k++)
                    past = next;
                assert_int_equal(there[i], past != NULL);
                if (past != NULL)
                    assert_same_attempt(&found[i], past->bytes, false);
            }
        }
    }
}

static void check_end(struct fixture *f)
{
    struct store_end end;
    store_end(f->store, &end);
    assert_int_equal(end.block, f->n_blocks);
    assert_int_equal(end.event_seq, f->last_seq);
    assert_int_equal(end.first_seq, f->first_seq);
    if (f->last_seq > 0)
        assert_memory_equal(end.last_id, f->last_id, EVENT_ID_BYTES);
    if (f->n_blocks > 0)
        assert_int_equal(end.time, f->blocks[f->n_blocks - 1].time);
}

void fixture_check(struct fixture *f)
{
    check_end(f);
    check_replay(f);
    check_events(f);
    check_ids(f);
    check_lanes(f);
    check_attempts(f);
}
