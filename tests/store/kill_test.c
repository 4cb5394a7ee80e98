/* kill_test.c: a child appends in a loop and says which blocks were acknowledged; it is killed
 * with SIGKILL at a random moment; the directory must hold all of them. SQLite only. Each round
 * goes on where the one before was killed. Also: what a start makes of strange files. */
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

enum { ROUNDS = 10 };

/* What block k holds follows from k alone, so that the parent can check it. */
static size_t events_of(uint64_t block)
{
    return (size_t)(block * 7919 % 13);
}

static struct event *event_of(uint64_t block, uint64_t seq)
{
    char data[1500];
    memset(data, 'a' + (int)(seq % 26), sizeof data);
    struct event *event = event_new(1, SPAN_LIT("call.ended"), SPAN_LIT("call"), SPAN_LIT("\"k\""),
                                    (int64_t)block, span_make(data, 100 + seq * 31 % 1400));
    event->seq = seq;
    event->accepted_at = (wall_ms)block;
    for (size_t b = 0; b < 8; b++)
        event->id[8 + b] = (uint8_t)(seq >> (56 - 8 * b));
    const struct event_target targets[] = {{1, seq}, {2 + (uint32_t)(seq % 200), seq}};
    event_set_targets(event, targets, 2);
    return event;
}

static enum err commit(struct store *store, uint64_t block, uint64_t first_seq)
{
    struct error error = {0};
    struct event *events[13];
    size_t n = events_of(block);
    for (size_t i = 0; i < n; i++)
        events[i] = event_of(block, first_seq + i);
    struct buf bytes = BUF_INIT;
    attempt_encode(&bytes, &(struct attempt){.webhook = 1,
                                             .sequence = first_seq,
                                             .number = (uint32_t)block,
                                             .outcome = OUTCOME_RETRY});
    const struct store_record record = {RECORD_ATTEMPT, 1, first_seq, buf_span(&bytes)};
    const struct store_batch batch = {block, (wall_ms)block, events, n, &record, 1};
    enum err err = store_append(store, &batch, &error);
    for (size_t i = 0; i < n; i++)
        event_unref(events[i]);
    buf_release(&bytes);
    return err;
}

/* The child: never returns. */
static _Noreturn void append_for_ever(const struct store_conf *conf, int pipe_end)
{
    struct store *store;
    struct error error = {0};
    struct store_end end;
    if (store_open_sqlite(conf, &store, &error) != OK)
        _exit(2);
    store_end(store, &end);
    for (uint64_t block = end.block + 1;; block++) {
        store_end(store, &end);
        if (commit(store, block, end.event_seq + 1) != OK)
            _exit(3);
        if (write(pipe_end, &block, sizeof block) != sizeof block)
            _exit(4);
        if (block % 100 == 0 && store_mark_snapshot(store, block - 20, &error) != OK)
            _exit(5);
        store_maintain(store, 1);
    }
}

struct checked {
    uint64_t block, seq;
};

static enum err check_block(void *ctx, const struct store_block *block)
{
    struct checked *checked = ctx;
    assert_int_equal(block->block, ++checked->block);
    assert_int_equal(block->n_events, events_of(block->block));
    assert_int_equal(block->n_records, 1);
    for (size_t i = 0; i < block->n_events; i++) {
        assert_int_equal(block->events[i]->seq, ++checked->seq);
        assert_int_equal(block->events[i]->n_targets, 2);
    }
    return OK;
}

static void check_events(struct fixture *f, uint64_t first, uint64_t last)
{
    struct error error = {0};
    for (uint64_t seq = first; seq <= last; seq++) {
        struct event *event;
        uint64_t found = 0;
        assert_int_equal(store_events(f->store, &seq, 1, &event, &error), OK);
        assert_non_null(event);
        struct event *expected = event_of((uint64_t)event->accepted_at, seq);
        assert_true(span_eq(event->data, expected->data));
        assert_memory_equal(event->id, expected->id, EVENT_ID_BYTES);
        event_unref(expected);
        event_unref(event);
        assert_int_equal(store_lane(f->store, 2 + (uint32_t)(seq % 200), seq, 1, &found, &error),
                         OK);
        assert_int_equal(found, seq);
    }
}

/* Every file of the directory by SQLite's own check. */
static void check_integrity(struct fixture *f)
{
    char command[200];
    snprintf(command, sizeof command, "ls %s/*.db", f->dir);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    char path[200];
    while (fgets(path, sizeof path, list) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        sqlite3 *sqlite;
        sqlite3_stmt *stmt;
        assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(sqlite, "PRAGMA integrity_check", -1, &stmt, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
        sqlite3_finalize(stmt);
        sqlite3_close(sqlite);
    }
    pclose(list);
}

static void survives_kill_9(void **state)
{
    struct fixture *f = *state;
    f->conf.log_file_bytes = 300000;
    uint64_t acknowledged = 0;
    uint64_t checked_seq = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        store_close(f->store);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            append_for_ever(&f->conf, ends[1]);
        }
        close(ends[1]);
        /* Killed when so many blocks were acknowledged: some 10 ms to a second. */
        uint64_t until = acknowledged + 1 + rng_below(&f->rng, 200);
        uint64_t block = 0;
        ssize_t n;
        bool killed = false;
        while ((n = read(ends[0], &block, sizeof block)) == sizeof block) {
            assert_int_equal(block > acknowledged, true);
            acknowledged = block;
            if (block >= until && !killed) {
                kill(child, SIGKILL);
                killed = true;
            }
        }
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        fixture_open(f);
        struct error error = {0};
        struct store_end end;
        struct checked checked = {0};
        store_end(f->store, &end);
        assert_in_range(end.block, acknowledged, acknowledged + 1);
        acknowledged = end.block;
        assert_int_equal(store_replay(f->store, 1, check_block, &checked, &error), OK);
        assert_int_equal(checked.block, end.block);
        assert_int_equal(checked.seq, end.event_seq);
        check_events(f, checked_seq + 1, end.event_seq);
        checked_seq = end.event_seq;
        check_integrity(f);
    }
}

/* --- strange files --- */

static void shell(struct fixture *f, const char *what)
{
    char command[300];
    snprintf(command, sizeof command, "cd %s && %s", f->dir, what);
    assert_int_equal(system(command), 0);
}

static void set_format(struct fixture *f, const char *name, int format)
{
    char path[200];
    char sql[60];
    sqlite3 *sqlite;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", format);
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sqlite);
}

static void refuses_newer_formats(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"config.db", "log-00000000000000000001.db",
                                        "index-00000000000000000001.db"};
    assert_int_equal(fixture_append(f, 3, 3), OK);
    for (size_t i = 0; i < 3; i++) {
        struct error error = {0};
        struct store *store = NULL;
        fixture_close(f);
        set_format(f, names[i], 2);
        shell(f, "md5sum *.db > sums");
        assert_int_equal(store_open_sqlite(&f->conf, &store, &error), ERR_STORE);
        assert_non_null(strstr(error.message, "newer"));
        assert_non_null(strstr(error.message, names[i]));
        shell(f, "md5sum --quiet -c sums");
        set_format(f, names[i], 1);
        fixture_open(f);
        fixture_check(f);
    }
}

static void makes_indexes_again(void **state)
{
    struct fixture *f = *state;
    f->conf.log_file_bytes = 40000;
    fixture_reopen(f);
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(fixture_append(f, 5, 10), OK);
    fixture_close(f);
    shell(f, "rm index-*");
    fixture_open(f);
    fixture_check(f);
    fixture_close(f);
    shell(f, "for i in index-*.db; do printf 'no database' > $i; done");
    fixture_open(f);
    fixture_check(f);
}

static void cleans_up_what_was_cut_short(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(fixture_append(f, 5, 10), OK);
    fixture_close(f);
    shell(f, ": > log-00000000000000000051.db; : > index-00000000000000000077.db");
    fixture_open(f);
    fixture_check(f);
    shell(f, "test ! -e index-00000000000000000077.db");
    assert_int_equal(fixture_append(f, 5, 10), OK);
    fixture_check(f);
}

static void misses_a_missing_file(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct store *store = NULL;
    f->conf.log_file_ms = 1;
    fixture_reopen(f);
    for (size_t i = 0; i < 3; i++) {
        f->now += 10;
        assert_int_equal(fixture_append(f, 1, 1), OK);
    }
    fixture_close(f);
    shell(f, "mv log-00000000000000000002.db kept");
    assert_int_equal(store_open_sqlite(&f->conf, &store, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.message, "missing"));
    shell(f, "mv kept log-00000000000000000002.db");
    fixture_open(f);
    fixture_check(f);
}

int main(void)
{
    fixture_engine("sqlite");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(survives_kill_9),       TEST(refuses_newer_formats),
        TEST(makes_indexes_again),   TEST(cleans_up_what_was_cut_short),
        TEST(misses_a_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
