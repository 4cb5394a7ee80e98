/* fault_test.c: the anomaly loop: the Nth write or fsync fails, for N = 1, 2, 3 ... until the
 * operation succeeds. After each failure a restart: what was acknowledged is there, and what
 * failed is there whole or not at all. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"

enum { NTH_MAX = 400 };

/* After a failed append and a restart: whether the block went in after all. */
static void settle(struct fixture *f, struct past_block *block)
{
    struct store_end end;
    store_end(f->store, &end);
    if (end.block == f->n_blocks + 1) {
        fixture_accept(f, block);
    } else {
        assert_int_equal(end.block, f->n_blocks);
        fixture_drop(block);
    }
    fixture_check(f);
}

/* Appends, maintains and rolls under a fault. True when all of it went through. */
static bool append_under(struct fixture *f, enum store_fault fault, unsigned nth)
{
    bool whole = true;
    store_inject_fault(f->store, fault, nth);
    for (size_t i = 0; i < 6; i++) {
        struct past_block block = *fixture_make(f, i == 5 ? 0 : 4, 6);
        enum err err = fixture_try(f, &block);
        if (err == OK) {
            fixture_accept(f, &block);
            store_maintain(f->store, 5);
            continue;
        }
        whole = false;
        if (fault == STORE_FAULT_FULL)
            assert_int_equal(err, ERR_FULL);
        if (err == ERR_FULL) {
            fixture_drop(&block);
            fixture_check(f);
            continue;
        }
        assert_int_equal(err, ERR_STORE);
        /* Until the restart nothing more is accepted. */
        assert_int_equal(fixture_try(f, &block), ERR_STORE);
        fixture_reopen(f);
        settle(f, &block);
    }
    return whole;
}

/* How a fault ends that did not make an append fail (a roll or an index that waits). */
static void loop(struct fixture *f, enum store_fault fault)
{
    unsigned quiet = 0;
    for (unsigned nth = 1; nth < NTH_MAX && quiet < 3; nth++) {
        bool whole = append_under(f, fault, nth);
        quiet = whole ? quiet + 1 : 0;
        fixture_reopen(f);
        fixture_check(f);
    }
    assert_true(quiet > 0);
}

static void writes_fail(void **state)
{
    loop(*state, STORE_FAULT_WRITE);
}

static void syncs_fail(void **state)
{
    loop(*state, STORE_FAULT_SYNC);
}

static void the_disk_is_full(void **state)
{
    loop(*state, STORE_FAULT_FULL);
}

static void roll_under(struct fixture *f, enum store_fault fault)
{
    f->conf.log_file_bytes = 12000;
    for (unsigned nth = 1; nth < 60; nth += 4) {
        fixture_reopen(f);
        append_under(f, fault, nth);
    }
    fixture_reopen(f);
    fixture_check(f);
}

static void rolls_when_writes_fail(void **state)
{
    roll_under(*state, STORE_FAULT_WRITE);
}

static void rolls_when_syncs_fail(void **state)
{
    roll_under(*state, STORE_FAULT_SYNC);
}

static void rolls_when_the_disk_is_full(void **state)
{
    roll_under(*state, STORE_FAULT_FULL);
}

static void snapshot_marks_fail(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct store_end end;
    assert_int_equal(fixture_append(f, 3, 3), OK);
    enum err err = ERR_STORE;
    uint64_t mark = 0;
    for (unsigned nth = 1; nth < NTH_MAX && err != OK; nth++) {
        assert_int_equal(fixture_append(f, 3, 3), OK);
        store_inject_fault(f->store, STORE_FAULT_WRITE, nth);
        err = store_mark_snapshot(f->store, f->n_blocks, &error);
        uint64_t before = mark;
        if (err == OK)
            mark = f->n_blocks;
        fixture_reopen(f);
        store_end(f->store, &end);
        assert_true(end.snapshot == mark || (err != OK && end.snapshot == f->n_blocks));
        assert_true(end.snapshot >= before);
        mark = end.snapshot;
        fixture_check(f);
    }
    assert_int_equal(err, OK);
}

struct count {
    size_t companies, webhooks;
};

static void count_company(void *ctx, const struct company *company)
{
    ((struct count *)ctx)->companies++;
}

static void count_credential(void *ctx, const struct credential *credential)
{
}

static void count_webhook(void *ctx, const struct webhook *webhook)
{
    ((struct count *)ctx)->webhooks++;
}

static struct count count_conf(struct fixture *f)
{
    struct error error = {0};
    struct count count = {0};
    const struct store_conf_visitor visitor = {count_company, count_credential, count_webhook,
                                               &count};
    assert_int_equal(store_load_conf(f->store, &visitor, &error), OK);
    return count;
}

static void changes_fail(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    for (int fault = STORE_FAULT_WRITE; fault <= STORE_FAULT_FULL; fault++) {
        enum err err = ERR_STORE;
        for (unsigned nth = 1; nth < NTH_MAX && err != OK; nth++) {
            struct webhook webhook = {.url = mem_strdup("https://example.com/"),
                                      .url_revision = 1,
                                      .all_events = true,
                                      .epoch = 1};
            memset(webhook.uuid, (int)nth, sizeof webhook.uuid);
            webhook.uuid[0] = (uint8_t)fault;
            webhook.token[0] = (char)('a' + fault);
            memset(webhook.token + 1, 'A' + (int)nth, WEBHOOK_TOKEN_TEXT - 1);
            struct count before = count_conf(f);
            store_inject_fault(f->store, (enum store_fault)fault, nth);
            err = store_put_webhook(f->store, &webhook, &error);
            if (err != OK)
                assert_int_equal(webhook.number, 0);
            fixture_reopen(f);
            struct count after = count_conf(f);
            if (err == OK)
                assert_int_equal(after.webhooks, before.webhooks + 1);
            else
                assert_in_range(after.webhooks, before.webhooks, before.webhooks + 1);
            webhook_release(&webhook);
        }
        assert_int_equal(err, OK);
    }
}

/* What was refused for want of room is not there, also not later. */
static void refused_for_room_stays_away(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_append(f, 3, 3), OK);
    for (unsigned nth = 1; nth < 40; nth++) {
        store_inject_fault(f->store, STORE_FAULT_FULL, nth);
        while (fixture_append(f, 5, 2) == OK)
            ;
        if (nth % 2 == 0)
            assert_int_equal(fixture_append(f, 1, 1), OK);
        if (nth % 5 == 0) {
            fixture_reopen(f);
            fixture_check(f);
        }
    }
    fixture_check(f);
}

int main(int argc, char **argv)
{
    fixture_engine(argc > 1 ? argv[1] : "sqlite");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(writes_fail),
        TEST(syncs_fail),
        TEST(the_disk_is_full),
        TEST(rolls_when_writes_fail),
        TEST(rolls_when_syncs_fail),
        TEST(rolls_when_the_disk_is_full),
        TEST(snapshot_marks_fail),
        TEST(changes_fail),
        TEST(refused_for_room_stays_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
