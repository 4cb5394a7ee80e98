/* backup_test.c: copies that are taken while the log grows, rolls and loses its oldest files. The
 * watch of a copy is called between its steps: there this test does what a server would. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "fixture.h"

#define WALL_NEVER INT64_MAX

struct scene {
    struct fixture *f;
    char copy[96], back[96];
    unsigned calls;
    unsigned stop_at;   /* the watch says stop at this call; 0 = never */
    unsigned append;    /* commits at each call ... */
    unsigned append_to; /* ... up to this call */
    unsigned retain_at; /* all but the newest files go at this call; 0 = never */
};

static void begin(struct scene *scene, struct fixture *f)
{
    *scene = (struct scene){.f = f};
    snprintf(scene->copy, sizeof scene->copy, "%s/copy", f->dir);
    snprintf(scene->back, sizeof scene->back, "%s/back", f->dir);
    assert_int_equal(mkdir(scene->copy, 0700), 0);
    assert_int_equal(mkdir(scene->back, 0700), 0);
}

static void grow(struct fixture *f, unsigned commits)
{
    for (unsigned i = 0; i < commits; i++) {
        assert_int_equal(fixture_append(f, 4, 6), OK);
        store_maintain(f->store, 100);
    }
}

static bool happen(void *ctx, uint64_t done, uint64_t total)
{
    struct scene *scene = ctx;
    struct error error = {0};
    unsigned files;
    assert_true(done <= total);
    scene->calls++;
    if (scene->calls <= scene->append_to)
        grow(scene->f, scene->append);
    if (scene->calls == scene->retain_at) {
        assert_int_equal(store_mark_snapshot(scene->f->store, scene->f->n_blocks, &error), OK);
        assert_int_equal(store_retain(scene->f->store, WALL_NEVER, UINT64_MAX, &files, &error), OK);
        assert_true(files > 0);
    }
    return scene->calls != scene->stop_at;
}

static size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static enum err check_block(void *ctx, const struct store_block *block)
{
    const struct fixture *f = ctx;
    assert_in_range(block->block, 1, f->n_blocks);
    const struct past_block *past = &f->blocks[block->block - 1];
    assert_int_equal(block->time, past->time);
    assert_int_equal(block->n_events, past->n_events);
    assert_int_equal(block->n_records, past->n_records);
    for (size_t i = 0; i < block->n_events; i++)
        assert_memory_equal(block->events[i]->id, past->events[i]->id, EVENT_ID_BYTES);
    return OK;
}

/* What was restored is the history from its first file on, up to some commit. */
static void check_copy(struct scene *scene, const struct store_copied *copied, uint64_t at_least)
{
    struct error error = {0};
    struct store_copied back = {0};
    assert_int_equal(store_restore(scene->copy, scene->back, NULL, &back, &error), OK);
    assert_int_equal(back.block, copied->block);
    assert_int_equal(back.event_seq, copied->event_seq);
    assert_int_equal(back.first_seq, copied->first_seq);
    assert_in_range(copied->block, at_least, scene->f->n_blocks);
    struct store_conf conf = scene->f->conf;
    conf.dir = scene->back;
    struct store *store = NULL;
    assert_int_equal(store_open_sqlite(&conf, &store, &error), OK);
    struct store_end end;
    store_end(store, &end);
    assert_int_equal(end.block, copied->block);
    assert_int_equal(end.event_seq, copied->event_seq);
    assert_int_equal(end.first_seq, copied->first_seq);
    uint64_t from = end.snapshot == 0 ? 1 : end.snapshot;
    assert_int_equal(store_replay(store, from, check_block, scene->f, &error), OK);
    store_close(store);
}

static void back_up(struct scene *scene)
{
    struct error error = {0};
    struct store_copied copied = {0};
    const struct store_watch watch = {happen, scene};
    uint64_t before = scene->f->n_blocks;
    enum err err = store_backup(scene->f->dir, scene->copy, &watch, &copied, &error);
    if (err != OK)
        fail_msg("no backup: %s", error.message);
    assert_int_equal(copied.files, count_files(scene->copy));
    check_copy(scene, &copied, before);
}

static void an_idle_store(void **state)
{
    struct scene scene;
    begin(&scene, *state);
    grow(scene.f, 20);
    back_up(&scene);
}

static void a_store_without_events(void **state)
{
    struct scene scene;
    begin(&scene, *state);
    back_up(&scene);
}

static void a_log_that_grows_and_rolls(void **state)
{
    struct scene scene;
    begin(&scene, *state);
    scene.f->conf.log_file_bytes = 12000;
    fixture_reopen(scene.f);
    grow(scene.f, 40);
    scene.append = 5;
    scene.append_to = 30;
    back_up(&scene);
    assert_true(scene.f->n_blocks > 100);
}

/* Each step finds new files: the copy is cut at some point and ends. */
static void a_log_that_rolls_faster_than_it_is_copied(void **state)
{
    struct scene scene;
    begin(&scene, *state);
    scene.f->conf.log_file_bytes = 1;
    fixture_reopen(scene.f);
    grow(scene.f, 5);
    scene.append = 3;
    scene.append_to = 1000;
    back_up(&scene);
}

static void retention_meanwhile(void **state)
{
    for (unsigned at = 1; at < 24; at++) {
        struct scene scene;
        begin(&scene, *state);
        scene.f->conf.log_file_bytes = 12000;
        fixture_reopen(scene.f);
        grow(scene.f, 40);
        scene.append = 1;
        scene.append_to = 4;
        scene.retain_at = at;
        back_up(&scene);
        char command[256];
        snprintf(command, sizeof command, "rm -rf '%s' '%s'", scene.copy, scene.back);
        assert_int_equal(system(command), 0);
        if (scene.calls < at)
            break;
    }
}

static void a_stop_at_any_step_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct error error = {0};
    struct store_copied copied = {0};
    begin(&scene, f);
    f->conf.log_file_bytes = 12000;
    fixture_reopen(f);
    grow(f, 30);
    const struct store_watch watch = {happen, &scene};
    enum err err = ERR_SHUTDOWN;
    for (unsigned at = 1; err != OK; at++) {
        assert_true(at < 200);
        scene.calls = 0;
        scene.stop_at = at;
        err = store_backup(f->dir, scene.copy, &watch, &copied, &error);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_SHUTDOWN);
        assert_int_equal(count_files(scene.copy), 0);
    }
    err = ERR_SHUTDOWN;
    for (unsigned at = 1; err != OK; at++) {
        assert_true(at < 400);
        scene.calls = 0;
        scene.stop_at = at;
        err = store_restore(scene.copy, scene.back, &watch, &copied, &error);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_SHUTDOWN);
        assert_int_equal(count_files(scene.back), 0);
    }
}

int main(int argc, char **argv)
{
    fixture_engine(argc > 1 ? argv[1] : "sqlite");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(an_idle_store),
        TEST(a_store_without_events),
        TEST(a_log_that_grows_and_rolls),
        TEST(a_log_that_rolls_faster_than_it_is_copied),
        TEST(retention_meanwhile),
        TEST(a_stop_at_any_step_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
