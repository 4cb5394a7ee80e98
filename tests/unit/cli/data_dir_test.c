/* data_dir_test.c: the directory, its mode and its lock. */
#include "cli/data_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char parent[64];
    char path[80];
    struct error error;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    strcpy(fixture->parent, "/tmp/hookswitch-dir-XXXXXX");
    assert_non_null(mkdtemp(fixture->parent));
    snprintf(fixture->path, sizeof fixture->path, "%s/data", fixture->parent);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char lock[100];

    snprintf(lock, sizeof lock, "%s/lock", fixture->path);
    unlink(lock);
    rmdir(fixture->path);
    unlink(fixture->path);
    rmdir(fixture->parent);
    free(fixture);
    return 0;
}

static void the_directory_is_private(void **state)
{
    struct fixture *fixture = *state;
    struct stat stat_buf;
    mode_t mask = umask(0377);

    assert_int_equal(data_dir_make(fixture->path, &fixture->error), OK);
    umask(mask);
    assert_int_equal(stat(fixture->path, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0700);
    assert_int_equal(data_dir_make(fixture->path, &fixture->error), OK);
}

static void what_is_no_directory_is_refused(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->path, "w");
    char deep[100];

    fclose(file);
    assert_int_equal(data_dir_make(fixture->path, &fixture->error), ERR_IO);
    assert_non_null(strstr(fixture->error.message, "is not a directory"));
    snprintf(deep, sizeof deep, "%s/none/data", fixture->parent);
    assert_int_equal(data_dir_make(deep, &fixture->error), ERR_IO);
    assert_non_null(strstr(fixture->error.message, "No such file"));
}

static void one_holds_the_lock(void **state)
{
    struct fixture *fixture = *state;
    struct data_dir first, second;
    char pid[40];

    assert_int_equal(data_dir_make(fixture->path, &fixture->error), OK);
    assert_int_equal(data_dir_lock(&first, fixture->path, "serve", &fixture->error), OK);
    assert_int_equal(data_dir_lock(&second, fixture->path, "command", &fixture->error), ERR_BUSY);
    snprintf(pid, sizeof pid, "(pid %ld)", (long)getpid());
    assert_non_null(strstr(fixture->error.message, pid));
    assert_non_null(strstr(fixture->error.message, fixture->path));
    data_dir_unlock(&second); /* holds nothing, frees nothing */
    assert_int_equal(data_dir_lock(&second, fixture->path, "command", &fixture->error), ERR_BUSY);
    data_dir_unlock(&first);
    assert_int_equal(data_dir_lock(&second, fixture->path, "command", &fixture->error), OK);
    data_dir_unlock(&second);
}

static void a_server_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct data_dir first, second;

    assert_int_equal(data_dir_make(fixture->path, &fixture->error), OK);
    assert_int_equal(data_dir_lock(&first, fixture->path, "serve", &fixture->error), OK);
    /* an hour: the test would time out if it waited */
    assert_int_equal(data_dir_lock_for_server(&second, fixture->path, 3600 * 1000, &fixture->error),
                     ERR_BUSY);
    data_dir_unlock(&first);
    assert_int_equal(data_dir_lock(&first, fixture->path, "command", &fixture->error), OK);
    assert_int_equal(data_dir_lock_for_server(&second, fixture->path, 50, &fixture->error),
                     ERR_BUSY);
    data_dir_unlock(&first);
    assert_int_equal(data_dir_lock_for_server(&second, fixture->path, 50, &fixture->error), OK);
    data_dir_unlock(&second);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(the_directory_is_private),
        WITH(what_is_no_directory_is_refused),
        WITH(one_holds_the_lock),
        WITH(a_server_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
