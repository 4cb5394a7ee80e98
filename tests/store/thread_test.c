/* thread_test.c: readers in parallel with the writer, over rolling files and retention. A reader
 * never sees half a commit, and always sees what was acknowledged before it asked. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"
#include "sys/thread.h"

enum { READERS = 3, COMMITS = 400, EVENTS = 8 };

struct shared {
    struct store *store;
    _Atomic uint64_t acknowledged; /* events; sequence n of webhook 1 is event n */
    atomic_bool stop;
    atomic_uint failures; /* cmocka's asserts are not for threads */
    atomic_uint rounds;
};

static void expect(struct shared *shared, bool true_thing)
{
    if (!true_thing)
        atomic_fetch_add(&shared->failures, 1);
}

static enum err count_block(void *ctx, const struct store_block *block)
{
    *(uint64_t *)ctx += block->n_events;
    return block->n_events == EVENTS && block->n_records == EVENTS ? OK : ERR_CORRUPT;
}

static void read_some(struct shared *shared, struct rng *rng)
{
    struct error error = {0};
    uint64_t last = atomic_load(&shared->acknowledged);
    struct store_end end;
    store_end(shared->store, &end);
    expect(shared, end.event_seq >= last && end.event_seq % EVENTS == 0);
    if (last == 0)
        return;
    uint64_t from = 1 + rng_below(rng, last);
    uint64_t seqs[16];
    expect(shared, store_lane(shared->store, 1, from, 16, seqs, &error) == OK);
    for (size_t i = 0; i < 16 && from + i <= last; i++)
        expect(shared, seqs[i] == from + i || (seqs[i] == 0 && from + i < end.event_seq));
    struct event *events[4];
    uint64_t some[4] = {from, from + 1, from + 2, from + 3};
    expect(shared, store_events(shared->store, some, 4, events, &error) == OK);
    store_end(shared->store, &end);
    for (size_t i = 0; i < 4; i++) {
        if (some[i] <= last && some[i] >= end.first_seq)
            expect(shared, events[i] != NULL && events[i]->seq == some[i]);
        struct event *found = NULL;
        if (events[i] != NULL)
            expect(shared, store_event_by_id(shared->store, events[i]->id, &found, &error) == OK);
        event_unref(found);
        event_unref(events[i]);
    }
    struct store_attempts attempts = {0};
    expect(shared, store_attempts(shared->store, 1, from, &attempts, &error) == OK);
    store_end(shared->store, &end);
    if (from >= end.first_seq)
        expect(shared, attempts.n == 1 && attempts.attempts[0].sequence == from);
    store_attempts_release(&attempts);
}

static void reader_run(void *arg)
{
    struct shared *shared = arg;
    static atomic_uint number;
    struct rng rng;
    rng_seed(&rng, atomic_fetch_add(&number, 1));
    while (!atomic_load(&shared->stop)) {
        read_some(shared, &rng);
        if (atomic_fetch_add(&shared->rounds, 1) % 50 == 0) {
            struct error error = {0};
            struct store_end end;
            uint64_t events = 0;
            store_end(shared->store, &end);
            expect(shared,
                   store_replay(shared->store, end.block, count_block, &events, &error) == OK);
        }
    }
}

/* One target each: webhook 1; and the attempt that delivers it in the same commit. */
static enum err commit(struct fixture *f, uint64_t block)
{
    struct error error = {0};
    struct event *events[EVENTS];
    struct store_record records[EVENTS];
    struct buf bytes[EVENTS];
    for (size_t i = 0; i < EVENTS; i++) {
        uint64_t seq = (block - 1) * EVENTS + 1 + i;
        events[i] = event_new(1, SPAN_LIT("call.created"), SPAN_LIT("call"), SPAN_LIT("1"), 1,
                              SPAN_LIT("{}"));
        events[i]->seq = seq;
        events[i]->accepted_at = (wall_ms)block;
        for (size_t b = 0; b < 8; b++)
            events[i]->id[8 + b] = (uint8_t)(seq >> (56 - 8 * b));
        event_set_targets(events[i], &(struct event_target){1, seq}, 1);
        bytes[i] = BUF_INIT;
        attempt_encode(&bytes[i], &(struct attempt){.webhook = 1,
                                                    .sequence = seq,
                                                    .number = 1,
                                                    .outcome = OUTCOME_DELIVERED});
        records[i] = (struct store_record){RECORD_ATTEMPT, 1, seq, buf_span(&bytes[i])};
    }
    const struct store_batch batch = {block, (wall_ms)block, events, EVENTS, records, EVENTS};
    enum err err = store_append(f->store, &batch, &error);
    for (size_t i = 0; i < EVENTS; i++) {
        event_unref(events[i]);
        buf_release(&bytes[i]);
    }
    return err;
}

static void readers_and_writer(void **state)
{
    struct fixture *f = *state;
    f->conf.log_file_bytes = 100000;
    fixture_reopen(f);
    struct shared shared = {.store = f->store};
    struct thread threads[READERS];
    struct error error = {0};
    for (size_t i = 0; i < READERS; i++)
        thread_start(&threads[i], "reader", reader_run, &shared);
    for (uint64_t block = 1; block <= COMMITS; block++) {
        assert_int_equal(commit(f, block), OK);
        atomic_store(&shared.acknowledged, block * EVENTS);
        store_maintain(f->store, 1);
        if (block % 100 != 0)
            continue;
        unsigned files;
        assert_int_equal(store_mark_snapshot(f->store, block, &error), OK);
        assert_int_equal(store_retain(f->store, (wall_ms)block - 150, UINT64_MAX, &files, &error),
                         OK);
    }
    /* Some reading also when nothing is written. */
    unsigned rounds = atomic_load(&shared.rounds);
    while (atomic_load(&shared.rounds) < rounds + 200 && atomic_load(&shared.failures) == 0)
        store_maintain(f->store, 1);
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < READERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(atomic_load(&shared.failures), 0);
    struct store_end end;
    store_end(f->store, &end);
    assert_int_equal(end.event_seq, COMMITS * EVENTS);
    assert_true(end.first_seq > 1);
}

int main(int argc, char **argv)
{
    fixture_engine(argc > 1 ? argv[1] : "sqlite");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_and_writer, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
