/* options_test.c: words, flags of the command, settings and the file together. */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct options options;
    struct error error;
    bool json;
    char *argv[16];
};

/* Reads the NULL-terminated arguments; argv wants writable strings. */
static enum err read_all(struct fixture *fixture, const char *first, ...)
{
    const struct option_flag flags[] = {{"--json", &fixture->json}, {NULL, NULL}};
    va_list args;
    int argc = 0;

    va_start(args, first);
    for (const char *arg = first; arg != NULL && argc < 15; arg = va_arg(args, const char *))
        fixture->argv[argc++] = strdup(arg);
    va_end(args);
    return options_read(&fixture->options, argc, fixture->argv, flags, &fixture->error);
}

static void release(struct fixture *fixture)
{
    options_release(&fixture->options);
    for (char **arg = fixture->argv; *arg != NULL; arg++)
        free(*arg);
    memset(fixture, 0, sizeof *fixture);
}

static void words_and_flags_may_mix(void **state)
{
    struct fixture fixture = {0};

    assert_int_equal(
        read_all(&fixture, "add", "--data", "x", "Acme", "--json", "--hold-hours=5", "-", NULL),
        OK);
    assert_int_equal(fixture.options.n_words, 3);
    assert_string_equal(fixture.options.words[0], "add");
    assert_string_equal(fixture.options.words[1], "Acme");
    assert_string_equal(fixture.options.words[2], "-");
    assert_true(fixture.json);
    assert_string_equal(fixture.options.settings.data, "x");
    assert_int_equal(fixture.options.settings.hold_hours, 5);
    release(&fixture);

    assert_int_equal(read_all(&fixture, "add", "--", "--json", NULL), OK);
    assert_string_equal(fixture.options.words[1], "--json");
    assert_false(fixture.json);
    release(&fixture);
}

static void help_wins_over_what_follows(void **state)
{
    struct fixture fixture = {0};

    assert_int_equal(read_all(&fixture, "--help", "--bogus", NULL), OK);
    assert_true(fixture.options.help);
    release(&fixture);
    assert_int_equal(read_all(&fixture, "--bogus", NULL), ERR_USAGE);
    release(&fixture);
}

static void the_file_is_read_and_checked(void **state)
{
    struct fixture fixture = {0};
    char path[] = "/tmp/hookswitch-ini-XXXXXX";
    int fd = mkstemp(path);

    assert_true(write(fd, "hold-hours = 9\n", 15) == 15);
    assert_int_equal(read_all(&fixture, "--config", path, NULL), OK);
    assert_int_equal(fixture.options.settings.hold_hours, 9);
    release(&fixture);
    assert_true(write(fd, "tls-cert = x.pem\n", 17) == 17);
    assert_int_equal(read_all(&fixture, "--config", path, NULL), ERR_USAGE);
    assert_non_null(strstr(fixture.error.message, "tls-key"));
    release(&fixture);
    for (int i = 0; i < SETTINGS_FILE_MAX / 1024; i++) {
        char lines[1024];
        memset(lines, '\n', sizeof lines);
        assert_true(write(fd, lines, sizeof lines) == (ssize_t)sizeof lines);
    }
    close(fd);
    assert_int_equal(read_all(&fixture, "--config", path, NULL), ERR_USAGE);
    assert_non_null(strstr(fixture.error.message, "larger than"));
    release(&fixture);
    unlink(path);
    assert_int_equal(read_all(&fixture, "--config", path, NULL), ERR_USAGE);
    assert_non_null(strstr(fixture.error.message, path));
    release(&fixture);
    assert_int_equal(read_all(&fixture, "--config", "/tmp", NULL), ERR_USAGE);
    release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_flags_may_mix),
        cmocka_unit_test(help_wins_over_what_follows),
        cmocka_unit_test(the_file_is_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
