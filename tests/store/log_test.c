/* log_test.c: the log of either engine: what was appended is what is read, also after restarts,
 * over many small files, and after retention. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static void an_empty_store_is_empty(void **state)
{
    struct fixture *f = *state;
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
}

static void reads_what_was_appended(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(fixture_append(f, rng_below(&f->rng, 12), rng_below(&f->rng, 20)), OK);
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(fixture_append(f, 1, 0), OK);
    assert_int_equal(fixture_append(f, 0, 5), OK);
    fixture_check(f);
}

/* Enough that index rows leave the tail while others stay. */
static void reads_from_tail_and_rows(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(fixture_append(f, 30, 30), OK);
        while (store_maintain(f->store, 5))
            ;
        if (i % 100 == 99)
            fixture_reopen(f);
    }
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
}

static void rolls_over_small_files(void **state)
{
    struct fixture *f = *state;
    f->conf.log_file_bytes = 40000;
    fixture_reopen(f);
    for (size_t i = 0; i < 120; i++) {
        assert_int_equal(fixture_append(f, rng_below(&f->rng, 10), rng_below(&f->rng, 30)), OK);
        if (i % 3 == 0)
            store_maintain(f->store, 1);
        if (i % 40 == 39)
            fixture_check(f);
    }
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_true(stats.log_files > 3);
    fixture_reopen(f);
    fixture_check(f);
}

static void rolls_by_age(void **state)
{
    struct fixture *f = *state;
    f->conf.log_file_ms = 1000;
    fixture_reopen(f);
    struct store_stats stats;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture_append(f, 1, 0), OK);
        f->now += 2000;
    }
    assert_int_equal(fixture_append(f, 0, 1), OK);
    store_stats(f->store, &stats);
    assert_int_equal(stats.log_files, 4);
    /* The last file has no event, so it stays. */
    f->now += 2000;
    assert_int_equal(fixture_append(f, 0, 1), OK);
    store_stats(f->store, &stats);
    assert_int_equal(stats.log_files, 4);
    fixture_reopen(f);
    fixture_check(f);
}

static void the_snapshot_mark_stays(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct store_end end;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fixture_append(f, 1, 1), OK);
    store_end(f->store, &end);
    assert_int_equal(end.snapshot, 0);
    assert_int_equal(store_mark_snapshot(f->store, 3, &error), OK);
    store_end(f->store, &end);
    assert_int_equal(end.snapshot, 3);
    fixture_reopen(f);
    store_end(f->store, &end);
    assert_int_equal(end.snapshot, 3);
    f->conf.log_file_ms = 1;
    fixture_reopen(f);
    f->now += 10;
    assert_int_equal(fixture_append(f, 1, 1), OK);
    fixture_reopen(f);
    store_end(f->store, &end);
    assert_int_equal(end.snapshot, 3);
    fixture_check(f);
}

static unsigned retain(struct fixture *f, wall_ms before, uint64_t keep_seq)
{
    struct error error = {0};
    unsigned files = 0;
    assert_int_equal(store_retain(f->store, before, keep_seq, &files, &error), OK);
    return files;
}

static void retention_drops_whole_files(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    f->conf.log_file_ms = 1;
    fixture_reopen(f);
    for (size_t i = 0; i < 6; i++) { /* six files of two events each */
        f->now += 100;
        assert_int_equal(fixture_append(f, 2, 3), OK);
    }
    assert_int_equal(retain(f, WALL_NEVER, UINT64_MAX), 0); /* no snapshot */
    assert_int_equal(store_mark_snapshot(f->store, 5, &error), OK);
    assert_int_equal(retain(f, 0, UINT64_MAX), 0); /* too young */
    assert_int_equal(retain(f, WALL_NEVER, 1), 0); /* still owed */
    assert_int_equal(retain(f, f->blocks[1].time, UINT64_MAX), 1);
    fixture_forget(f, 3, 2);
    fixture_check(f);
    assert_int_equal(retain(f, WALL_NEVER, 5), 1);
    fixture_forget(f, 5, 3);
    fixture_check(f);
    assert_int_equal(retain(f, WALL_NEVER, UINT64_MAX), 2); /* up to the mark */
    fixture_forget(f, 9, 5);
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
    assert_int_equal(store_mark_snapshot(f->store, 7, &error), OK);
    assert_int_equal(retain(f, WALL_NEVER, UINT64_MAX), 1); /* never the last file */
    fixture_forget(f, 11, 6);
    f->now += 100;
    assert_int_equal(fixture_append(f, 2, 3), OK);
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_append(f, 2, 2), OK);
    for (unsigned nth = 1; nth < 4; nth++) {
        store_inject_fault(f->store, STORE_FAULT_FULL, nth);
        enum err err;
        while ((err = fixture_append(f, 3, 1)) == OK)
            ;
        assert_int_equal(err, ERR_FULL);
        fixture_check(f);
        assert_int_equal(fixture_append(f, 3, 3), OK);
    }
    fixture_check(f);
    fixture_reopen(f);
    fixture_check(f);
}

static void min_free_keeps_room_for_records(void **state)
{
    struct fixture *f = *state;
    if (!f->is_sqlite)
        skip();
    f->conf.min_free_bytes = INT64_MAX;
    fixture_reopen(f);
    assert_int_equal(fixture_append(f, 1, 1), ERR_FULL);
    assert_int_equal(fixture_append(f, 0, 1), OK);
    fixture_check(f);
}

int main(int argc, char **argv)
{
    fixture_engine(argc > 1 ? argv[1] : "sqlite");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(an_empty_store_is_empty),
        TEST(reads_what_was_appended),
        TEST(reads_from_tail_and_rows),
        TEST(rolls_over_small_files),
        TEST(rolls_by_age),
        TEST(the_snapshot_mark_stays),
        TEST(retention_drops_whole_files),
        TEST(a_full_disk_refuses_and_recovers),
        TEST(min_free_keeps_room_for_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
