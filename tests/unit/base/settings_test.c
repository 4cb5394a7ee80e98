/* settings_test.c: values and their ranges, the three sources and who wins, messages, help. */
#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct settings settings;
    struct error error;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    settings_init(&fixture->settings);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    settings_release(&fixture->settings);
    free(fixture);
    return 0;
}

static enum err set_flag(struct fixture *fixture, const char *name, const char *value)
{
    return settings_set(&fixture->settings, span_from(name), span_from(value),
                        (struct setting_origin){SETTING_FROM_FLAG, 0}, &fixture->error);
}

static enum err parse(struct fixture *fixture, const char *text)
{
    return settings_parse_ini(&fixture->settings, span_from(text), "test.ini", &fixture->error);
}

/* argv and environ are arrays of writable strings by old custom; literals are not. */
static char **copy(const char *const *texts, size_t n)
{
    char **copies = calloc(n + 1, sizeof *copies);

    for (size_t i = 0; i < n; i++)
        copies[i] = strdup(texts[i]);
    return copies;
}

static void free_copy(char **copies)
{
    for (char **text = copies; *text != NULL; text++)
        free(*text);
    free(copies);
}

static enum err apply(struct fixture *fixture, const char *const *variables)
{
    size_t n = 0;

    while (variables[n] != NULL)
        n++;
    char **environment = copy(variables, n);
    enum err err = settings_apply_environment(&fixture->settings, environment, &fixture->error);
    free_copy(environment);
    return err;
}

/* Hands all arguments over as a command would. */
static enum err take(struct fixture *fixture, int argc, const char *const *arguments)
{
    char **argv = copy(arguments, (size_t)argc);
    enum err err = OK;
    int at = 0;

    while (err == OK && at < argc)
        err = settings_take_flag(&fixture->settings, argc, argv, &at, &fixture->error);
    assert_true(err != OK || at == argc);
    free_copy(argv);
    return err;
}

static void assert_message(const struct fixture *fixture, const char *part)
{
    assert_int_equal(fixture->error.code, ERR_USAGE);
    if (strstr(fixture->error.message, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, fixture->error.message);
}

/* ---- the table ------------------------------------------------------------------------- */

static void defaults_are_those_of_the_documents(void **state)
{
    const struct settings *settings = &((struct fixture *)*state)->settings;

    assert_string_equal(settings->data, "./hookswitch-data");
    assert_string_equal(settings->listen, "127.0.0.1:8080");
    assert_null(settings->public_url);
    assert_int_equal(settings->failure_threshold, 10);
    assert_int_equal(settings->deliver_timeout_ms, 5000);
    assert_int_equal(settings->hold_hours, 72);
    assert_int_equal(settings->couriers, 0);
    assert_int_equal(settings->api_rate_limit, 120);
    assert_int_equal(settings->ingest_rate_limit, 0);
    assert_int_equal(settings->max_event_bytes, 1048576);
    assert_int_equal(settings->max_request_bytes, 8 * 1048576);
    assert_int_equal(settings->max_waiting_bytes, 64 * 1048576);
    assert_int_equal(settings->max_discard_bytes, 16 * 1048576);
    assert_int_equal(settings->retry_schedule_s.count, 9);
    assert_int_equal(settings->retry_schedule_s.items[0], 5);
    assert_int_equal(settings->retry_schedule_s.items[8], 86400);
    assert_int_equal(settings->allow_cidr.count, 0);
    assert_false(settings->put_keeps_events);
    assert_int_equal(settings_check(settings, NULL), OK);
}

static void names_are_kebab_case_and_unique(void **state)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &settings_table[i];
        assert_int_equal(strspn(setting->name, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(setting->name));
        assert_true(strncmp(setting->name, "no-", 3) != 0);
        assert_true(setting->max <= INT64_C(1) << 40);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(setting->name, settings_table[j].name);
    }
}

/* ---- values ---------------------------------------------------------------------------- */

static void numbers_keep_to_their_range(void **state)
{
    struct fixture *fixture = *state;
    static const char *const bad[] = {
        "-1", "2147483648", "ten", "10x", "", " 5", "+5", "1e3", "99999999999999999999999"};

    assert_int_equal(set_flag(fixture, "failure-threshold", "2147483647"), OK);
    assert_int_equal(fixture->settings.failure_threshold, 2147483647);
    assert_int_equal(set_flag(fixture, "failure-threshold", "0"), OK);
    assert_int_equal(fixture->settings.failure_threshold, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(set_flag(fixture, "failure-threshold", bad[i]), ERR_USAGE);
        assert_message(fixture, "--failure-threshold: \"");
        assert_message(fixture, "0 to 2147483647 failures");
    }
    assert_int_equal(set_flag(fixture, "deliver-timeout-ms", "99"), ERR_USAGE);
    assert_int_equal(set_flag(fixture, "deliver-timeout-ms", "100"), OK);
    assert_int_equal(set_flag(fixture, "deliver-timeout-ms", "60001"), ERR_USAGE);
    assert_int_equal(fixture->settings.deliver_timeout_ms, 100);
}

static void sizes_take_units(void **state)
{
    static const struct {
        const char *text;
        size_t bytes; /* 0 = refused */
    } cases[] = {
        {"2048", 2048},        {"2048B", 2048},   {"2K", 2048},    {"2KiB", 2048}, {"2 KiB", 2048},
        {"2kib", 2048},        {"1MiB", 1048576}, {"1M", 1048576}, {"2KB", 0},     {"KiB", 0},
        {"2.5KiB", 0},         {"1023", 0},       {"1GiB", 0},     {"2Kx", 0},     {"-2K", 0},
        {"9999999999999G", 0}, {"2K\x01", 0},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum err err = set_flag(fixture, "max-event-bytes", cases[i].text);
        assert_int_equal(err, cases[i].bytes == 0 ? ERR_USAGE : OK);
        if (err == OK)
            assert_int_equal(fixture->settings.max_event_bytes, cases[i].bytes);
    }
}

static void booleans_and_choices_are_exact(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_flag(fixture, "put-keeps-events", "On"), OK);
    assert_true(fixture->settings.put_keeps_events);
    assert_int_equal(set_flag(fixture, "put-keeps-events", "0"), OK);
    assert_false(fixture->settings.put_keeps_events);
    assert_int_equal(set_flag(fixture, "put-keeps-events", "maybe"), ERR_USAGE);
    assert_message(fixture, "yes or no");
    assert_int_equal(set_flag(fixture, "log-level", "warn"), OK);
    assert_int_equal(set_flag(fixture, "log-level", "warn|info"), ERR_USAGE);
    assert_int_equal(set_flag(fixture, "log-level", "war"), ERR_USAGE);
    assert_message(fixture, "debug|info|warn|error");
    assert_string_equal(fixture->settings.log_level, "warn");
}

static void address_ranges_are_checked(void **state)
{
    static const char *const good[] = {"10.0.0.0/8", "127.0.0.1",        "0.0.0.0/0",
                                       "::1",        "fd00::/8",         "::/0",
                                       "::1/128",    "192.168.1.128/25", "::ffff:10.0.0.0/104"};
    static const char *const bad[] = {"10.1.0.0/8", "10.0.0.0/33", "10.0.0/8",     "localhost",
                                      "::1/129",    "fd00::1/8",   "300.0.0.0/8",  "10.0.0.0/",
                                      "/8",         "10.0.0.0/-1", "10.0.0.0/8/8", "",
                                      "[::1]"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(settings_is_cidr(span_from(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(settings_is_cidr(span_from(bad[i])));
    assert_false(settings_is_cidr(span_make("10.0.0.0\0/8", 11)));
}

static void lists_append_within_a_source(void **state)
{
    struct fixture *fixture = *state;
    const char *const argv[] = {"--allow-cidr", "10.0.0.0/8, 127.0.0.1", "--allow-cidr=::1"};

    assert_int_equal(take(fixture, 3, argv), OK);
    assert_int_equal(fixture->settings.allow_cidr.count, 3);
    assert_string_equal(fixture->settings.allow_cidr.items[0], "10.0.0.0/8");
    assert_string_equal(fixture->settings.allow_cidr.items[1], "127.0.0.1");
    assert_string_equal(fixture->settings.allow_cidr.items[2], "::1");
    assert_int_equal(set_flag(fixture, "allow-cidr", "10.0.0.0/8,"), ERR_USAGE);
    assert_int_equal(fixture->settings.allow_cidr.count, 3);

    assert_int_equal(set_flag(fixture, "retry-schedule", "1, 2,3"), OK);
    assert_int_equal(fixture->settings.retry_schedule_s.count, 3); /* the default is replaced */
    assert_int_equal(fixture->settings.retry_schedule_s.items[2], 3);
    assert_int_equal(set_flag(fixture, "retry-schedule", "1,,2"), ERR_USAGE);
    assert_int_equal(set_flag(fixture, "retry-schedule", "0"), ERR_USAGE);
    assert_message(fixture, "1 to 604800 s");
}

static void lists_have_a_limit(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < SETTINGS_INTS_MAX; i++)
        assert_int_equal(set_flag(fixture, "retry-schedule", "7"), OK);
    assert_int_equal(set_flag(fixture, "retry-schedule", "7"), ERR_USAGE);
    assert_int_equal(fixture->settings.retry_schedule_s.count, SETTINGS_INTS_MAX);
    for (int i = 0; i < SETTINGS_LIST_MAX; i++)
        assert_int_equal(set_flag(fixture, "allow-cidr", "10.0.0.0/8"), OK);
    assert_int_equal(set_flag(fixture, "allow-cidr", "10.0.0.0/8"), ERR_USAGE);
}

/* ---- sources --------------------------------------------------------------------------- */

static void flags_have_three_forms(void **state)
{
    struct fixture *fixture = *state;
    const char *const argv[] = {"--hold-hours",       "5",      "--listen=[::1]:0",
                                "--put-keeps-events", "--data", "--odd"};
    const char *const off[] = {"--no-put-keeps-events"}, *const missing[] = {"--listen"};
    const char *const single[] = {"-listen"}, *const word[] = {"--no-listen"};

    assert_int_equal(take(fixture, 6, argv), OK);
    assert_int_equal(fixture->settings.hold_hours, 5);
    assert_string_equal(fixture->settings.listen, "[::1]:0");
    assert_true(fixture->settings.put_keeps_events);
    assert_string_equal(fixture->settings.data, "--odd");
    assert_int_equal(take(fixture, 1, off), OK);
    assert_false(fixture->settings.put_keeps_events);
    assert_int_equal(take(fixture, 1, missing), ERR_USAGE);
    assert_message(fixture, "--listen: the value is missing; give ADDR:PORT");
    assert_int_equal(take(fixture, 1, single), ERR_USAGE);
    assert_int_equal(take(fixture, 1, word), ERR_USAGE);
}

static void unknown_names_get_a_suggestion(void **state)
{
    struct fixture *fixture = *state;
    const char *const flag[] = {"--failure-treshold", "3"}, *const far[] = {"--bogus=1"};
    const char *const typo[] = {"HOOKSWITCH_FAILURE_TRESHOLD=3", NULL};

    assert_int_equal(take(fixture, 2, flag), ERR_USAGE);
    assert_message(fixture, "did you mean \"--failure-threshold\"?");
    assert_int_equal(take(fixture, 1, far), ERR_USAGE);
    assert_message(fixture, "there is no setting \"--bogus\"");
    assert_int_equal(apply(fixture, typo), ERR_USAGE);
    assert_message(fixture, "did you mean \"HOOKSWITCH_FAILURE_THRESHOLD\"?");
    assert_int_equal(parse(fixture, "\nfailure_threshold = 3\n"), ERR_USAGE);
    assert_message(fixture, "test.ini:2: there is no setting \"failure_threshold\"; did you mean "
                            "\"failure-threshold\"?");
}

static void environment_sets_and_ignores(void **state)
{
    struct fixture *fixture = *state;
    const char *const environment[] = {"PATH=/bin",
                                       "HOOKSWITCH_HOLD_HOURS=9",
                                       "HOOKSWITCH_PUBLIC_URL=",
                                       "HOOKSWITCH_ALLOW_CIDR=10.0.0.0/8,::1",
                                       "HOOKSWITCH_SERVICE_HOST=10.0.0.1",
                                       "HOOKSWITCH_nonsense",
                                       NULL};
    const char *const bad[] = {"HOOKSWITCH_HOLD_HOURS=0", NULL};

    assert_int_equal(apply(fixture, environment), OK);
    assert_int_equal(fixture->settings.hold_hours, 9);
    assert_null(fixture->settings.public_url);
    assert_int_equal(fixture->settings.allow_cidr.count, 2);
    assert_int_equal(fixture->settings.unknown_variables.count, 1);
    assert_string_equal(fixture->settings.unknown_variables.items[0], "HOOKSWITCH_SERVICE_HOST");
    assert_int_equal(apply(fixture, bad), ERR_USAGE);
    assert_message(fixture, "HOOKSWITCH_HOLD_HOURS: \"0\" is too small; give 1 to 8760 h");
}

static void files_are_lines(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(parse(fixture, "\xef\xbb\xbf# comment\n; comment\r\n\n[hookswitch]\r\n"
                                    "  hold-hours\t=  9  \r\n"
                                    "public-url = https://x/#a;b=c\n"
                                    "allow-cidr = 10.0.0.0/8\nallow-cidr=::1\n"
                                    "log-level=error"),
                     OK);
    assert_int_equal(fixture->settings.hold_hours, 9);
    assert_string_equal(fixture->settings.public_url, "https://x/#a;b=c");
    assert_int_equal(fixture->settings.allow_cidr.count, 2);
    assert_string_equal(fixture->settings.log_level, "error");
    assert_int_equal(fixture->settings.origin[SETTING_hold_hours].line, 5);
}

static void files_fail_with_their_line(void **state)
{
    static const struct {
        const char *text, *message;
        size_t offset;
    } cases[] = {
        {"a\n", "test.ini:1: \"=\" is missing", 0},
        {"\n\nhold-hours = 0\n", "test.ini:3: hold-hours: \"0\" is too small", 2},
        {"#\n[other]\n", "test.ini:2: a section that is not known", 2},
        {"hold-hours=1\nhold-hours=2\n", "test.ini:2: hold-hours: \"2\" is the second value", 13},
        {"config = x.ini", "cannot be set in the file itself", 0},
        {"hold-hours =", "test.ini:1: hold-hours: \"\" is empty", 0},
        {"= 5", "there is no setting \"\"", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        settings_init(&fixture.settings);
        assert_int_equal(parse(&fixture, cases[i].text), ERR_USAGE);
        assert_message(&fixture, cases[i].message);
        assert_int_equal(fixture.error.offset, cases[i].offset);
        settings_release(&fixture.settings);
    }
}

static void files_may_be_garbage(void **state)
{
    struct fixture *fixture = *state;
    char *large = malloc(SETTINGS_FILE_MAX + 1);

    assert_int_equal(
        settings_parse_ini(&fixture->settings, span_make("data = a\0b", 10), "x", &fixture->error),
        ERR_USAGE);
    assert_string_equal(fixture->error.message,
                        "x:1: data: \"a?b\" has a control character; give DIR");
    memset(large, '\n', SETTINGS_FILE_MAX + 1);
    assert_int_equal(settings_parse_ini(&fixture->settings, span_make(large, SETTINGS_FILE_MAX + 1),
                                        "x", &fixture->error),
                     ERR_USAGE);
    assert_int_equal(
        settings_parse_ini(&fixture->settings, span_make(large, SETTINGS_FILE_MAX), "x", NULL), OK);
    assert_int_equal(settings_parse_ini(&fixture->settings, span_from(NULL), "x", NULL), OK);
    memset(large, 'x', 5000);
    memcpy(large, "data=", 5);
    assert_int_equal(
        settings_parse_ini(&fixture->settings, span_make(large, 5000), "x", &fixture->error),
        ERR_USAGE);
    assert_message(fixture, "is too long");
    free(large);
}

static void stronger_sources_win_in_any_order(void **state)
{
    const char *const environment[] = {"HOOKSWITCH_FAILURE_THRESHOLD=4", "HOOKSWITCH_HOLD_HOURS=4",
                                       "HOOKSWITCH_ALLOW_CIDR=10.0.0.4", NULL};
    static const char file[] = "failure-threshold=3\nhold-hours=3\nidempotency-hours=3\n"
                               "allow-cidr=10.0.0.3\n";
    const char *const argv[] = {"--failure-threshold=5"};

    for (int order = 0; order < 6; order++) {
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        struct fixture fixture;
        settings_init(&fixture.settings);
        for (int i = 0; i < 3; i++) {
            enum err err = orders[order][i] == 0   ? take(&fixture, 1, argv)
                           : orders[order][i] == 1 ? apply(&fixture, environment)
                                                   : parse(&fixture, file);
            assert_int_equal(err, OK);
        }
        assert_int_equal(fixture.settings.failure_threshold, 5);
        assert_int_equal(fixture.settings.hold_hours, 4);
        assert_int_equal(fixture.settings.idempotency_hours, 3);
        assert_int_equal(fixture.settings.allow_cidr.count, 1);
        assert_string_equal(fixture.settings.allow_cidr.items[0], "10.0.0.4");
        settings_release(&fixture.settings);
    }
}

static void weaker_sources_are_checked_all_the_same(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_flag(fixture, "hold-hours", "5"), OK);
    assert_int_equal(parse(fixture, "hold-hours = five\n"), ERR_USAGE);
    assert_message(fixture, "test.ini:1: hold-hours: \"five\"");
}

/* ---- between settings ------------------------------------------------------------------ */

static void settings_must_fit_together(void **state)
{
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        {"tls-cert", "c.pem", "tls-cert is set without tls-key"},
        {"tls-key", "k.pem", "tls-key is set without tls-cert"},
        {"max-event-bytes", "9MiB", "max-event-bytes is larger than max-request-bytes"},
        {"max-request-bytes", "65MiB", "max-request-bytes is larger than max-waiting-bytes"},
        {"hold-hours", "8760", "retention-days is 30"},
        {"listen", "8080", "is not ADDR:PORT"},
        {"listen", "127.0.0.1:65536", "is not ADDR:PORT"},
        {"listen", "127.0.0.1:", "is not ADDR:PORT"},
        {"listen", "::1:80", "is not ADDR:PORT"},
        {"public-url", "example.com", "is no URL"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        settings_init(&fixture.settings);
        assert_int_equal(set_flag(&fixture, cases[i].name, cases[i].value), OK);
        assert_int_equal(settings_check(&fixture.settings, &fixture.error), ERR_USAGE);
        assert_message(&fixture, cases[i].message);
        settings_release(&fixture.settings);
    }
}

static void the_retry_span_counts_jitter(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_flag(fixture, "retry-schedule", "10,20,70"), OK);
    assert_int_equal(settings_retry_span_s(&fixture->settings), 120);
}

/* ---- what people see ------------------------------------------------------------------- */

static void values_read_back_as_they_were_meant(void **state)
{
    struct fixture *fixture = *state;
    struct buf first = BUF_INIT, second = BUF_INIT;
    struct settings copy;

    assert_int_equal(set_flag(fixture, "allow-cidr", "10.0.0.0/8,::1"), OK);
    assert_int_equal(set_flag(fixture, "max-event-bytes", "3000"), OK);
    assert_int_equal(set_flag(fixture, "put-keeps-events", "yes"), OK);
    settings_init(&copy);
    for (int id = 0; id < SETTING_COUNT; id++) {
        buf_clear(&first);
        buf_clear(&second);
        settings_add_value(&first, &fixture->settings, (enum setting_id)id);
        if (first.len == 0)
            continue;
        assert_int_equal(settings_set(&copy, span_from(settings_table[id].name), buf_span(&first),
                                      (struct setting_origin){SETTING_FROM_FLAG, 0}, NULL),
                         OK);
        settings_add_value(&second, &copy, (enum setting_id)id);
        assert_string_equal(first.ptr, second.ptr);
    }
    settings_release(&copy);
    buf_release(&first);
    buf_release(&second);
}

static void origins_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct buf text = BUF_INIT;
    const char *const environment[] = {"HOOKSWITCH_COURIERS=2", NULL};

    assert_int_equal(parse(fixture, "\nhold-hours = 9\n"), OK);
    assert_int_equal(apply(fixture, environment), OK);
    assert_int_equal(set_flag(fixture, "data", "x"), OK);
    settings_add_origin(&text, &fixture->settings, SETTING_hold_hours);
    buf_add_char(&text, ' ');
    settings_add_origin(&text, &fixture->settings, SETTING_couriers);
    buf_add_char(&text, ' ');
    settings_add_origin(&text, &fixture->settings, SETTING_data);
    buf_add_char(&text, ' ');
    settings_add_origin(&text, &fixture->settings, SETTING_listen);
    assert_string_equal(text.ptr, "test.ini:2 environment flag default");
    buf_release(&text);
}

static void help_and_page_show_every_setting(void **state)
{
    struct buf help = BUF_INIT, page = BUF_INIT;
    char needle[80];

    settings_add_help(&help);
    settings_add_markdown(&page);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        snprintf(needle, sizeof needle, "  --%s", settings_table[i].name);
        assert_non_null(strstr(help.ptr, needle));
        snprintf(needle, sizeof needle, "| `%s` |", settings_table[i].name);
        assert_non_null(strstr(page.ptr, needle));
    }
    for (const char *line = help.ptr; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    buf_release(&help);
    buf_release(&page);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(defaults_are_those_of_the_documents),
        cmocka_unit_test(names_are_kebab_case_and_unique),
        WITH(numbers_keep_to_their_range),
        WITH(sizes_take_units),
        WITH(booleans_and_choices_are_exact),
        cmocka_unit_test(address_ranges_are_checked),
        WITH(lists_append_within_a_source),
        WITH(lists_have_a_limit),
        WITH(flags_have_three_forms),
        WITH(unknown_names_get_a_suggestion),
        WITH(environment_sets_and_ignores),
        WITH(files_are_lines),
        cmocka_unit_test(files_fail_with_their_line),
        WITH(files_may_be_garbage),
        cmocka_unit_test(stronger_sources_win_in_any_order),
        WITH(weaker_sources_are_checked_all_the_same),
        cmocka_unit_test(settings_must_fit_together),
        WITH(the_retry_span_counts_jitter),
        WITH(values_read_back_as_they_were_meant),
        WITH(origins_are_told),
        cmocka_unit_test(help_and_page_show_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
