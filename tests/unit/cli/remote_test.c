/* remote_test.c: the command line of the commands over the API. */
#include "cli/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum err nothing(struct remote *remote, struct error *error)
{
    return OK;
}

static const struct remote_flag create_flags[] = {
    {"--name", true, false},
    {"--event", true, true},
    {"--loud", false, false},
    {NULL, false, false},
};
static const struct remote_action actions[] = {
    {"list", 0, "", NULL, nothing},
    {"create", 1, "one URL", create_flags, nothing},
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command command = {.name = "webhooks"};

struct fixture {
    struct remote remote;
    struct error error;
    char *argv[16];
};

static enum err read_line(struct fixture *fixture, const char *first, ...)
{
    va_list args;
    int argc = 0;

    memset(fixture, 0, sizeof *fixture);
    va_start(args, first);
    for (const char *arg = first; arg != NULL && argc < 15; arg = va_arg(args, const char *))
        fixture->argv[argc++] = strdup(arg);
    va_end(args);
    return remote_read(&fixture->remote, &command, actions, argc, fixture->argv, &fixture->error);
}

static void release(struct fixture *fixture)
{
    remote_release(&fixture->remote);
    for (char **arg = fixture->argv; *arg != NULL; arg++)
        free(*arg);
}

static int set_environment(void **state)
{
    unsetenv("HOOKSWITCH_URL");
    unsetenv("HOOKSWITCH_CA_FILE");
    setenv("HOOKSWITCH_API_ID", "id", 1);
    setenv("HOOKSWITCH_API_TOKEN", "token", 1);
    return 0;
}

static void words_and_flags_may_mix(void **state)
{
    struct fixture fixture;

    assert_int_equal(read_line(&fixture, "create", "--name", "A B", "https://x.example/", "--event",
                               "a", "--event=b", "--loud", "--json", NULL),
                     OK);
    const struct remote *remote = &fixture.remote;
    assert_ptr_equal(remote->action, &actions[1]);
    assert_string_equal(remote->words[0], "https://x.example/");
    assert_string_equal(remote_value(remote, "--name"), "A B");
    assert_string_equal(remote_value(remote, "--loud"), "");
    assert_string_equal(remote_value(remote, "--event"), "a");
    assert_int_equal(remote->n_values, 5);
    assert_string_equal(remote->values[2].value, "b");
    assert_true(remote->json);
    release(&fixture);

    assert_int_equal(read_line(&fixture, "create", "--", "--name", NULL), OK);
    assert_string_equal(fixture.remote.words[0], "--name");
    release(&fixture);
}

static void target_comes_from_flag_then_environment_then_default(void **state)
{
    struct fixture fixture;

    assert_int_equal(read_line(&fixture, "list", NULL), OK);
    assert_string_equal(fixture.remote.target.url, "http://127.0.0.1:8080");
    assert_string_equal(fixture.remote.target.api_id, "id");
    assert_string_equal(fixture.remote.target.token, "token");
    assert_null(fixture.remote.target.ca_file);
    release(&fixture);

    setenv("HOOKSWITCH_URL", "https://a.example/v1", 1);
    setenv("HOOKSWITCH_CA_FILE", "/ca.pem", 1);
    setenv("HOOKSWITCH_API_ID", "", 1);
    assert_int_equal(read_line(&fixture, "list", NULL), OK);
    assert_string_equal(fixture.remote.target.url, "https://a.example");
    assert_string_equal(fixture.remote.target.ca_file, "/ca.pem");
    assert_null(fixture.remote.target.api_id);
    release(&fixture);

    assert_int_equal(read_line(&fixture, "list", "--url", "http://b.example", "--api-id=other",
                               "--ca-file", "b.pem", NULL),
                     OK);
    assert_string_equal(fixture.remote.target.url, "http://b.example");
    assert_string_equal(fixture.remote.target.api_id, "other");
    assert_string_equal(fixture.remote.target.ca_file, "b.pem");
    release(&fixture);
}

static void assert_usage(struct fixture *fixture, enum err err, const char *words)
{
    assert_int_equal(err, ERR_USAGE);
    if (strstr(fixture->error.message, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, fixture->error.message);
    release(fixture);
}

static void mistakes_are_named(void **state)
{
    struct fixture f;

    assert_usage(&f, read_line(&f, NULL), "what to do?");
    assert_usage(&f, read_line(&f, "--json", "list", NULL), "what to do?");
    assert_usage(&f, read_line(&f, "lst", NULL), "\"list\", \"create\"");
    assert_usage(&f, read_line(&f, "list", "x", NULL), "no argument");
    assert_usage(&f, read_line(&f, "create", NULL), "one URL");
    assert_usage(&f, read_line(&f, "create", "", NULL), "empty");
    assert_usage(&f, read_line(&f, "create", "a", "b", NULL), "one URL");
    assert_usage(&f, read_line(&f, "create", "a", "--nam", "b", NULL), "\"--name\"?");
    assert_usage(&f, read_line(&f, "list", "--name", "b", NULL), "no flag \"--name\"");
    assert_usage(&f, read_line(&f, "create", "a", "--name", NULL), "needs a value");
    assert_usage(&f, read_line(&f, "create", "a", "--name=b", "--name=c", NULL), "once");
    assert_usage(&f, read_line(&f, "list", "--json=yes", NULL), "takes no value");
    assert_usage(&f, read_line(&f, "list", "--json", "--table", NULL), "exclude");
    assert_usage(&f, read_line(&f, "list", "--api-token", "x", NULL), "HOOKSWITCH_API_TOKEN");
    assert_usage(&f, read_line(&f, "list", "--url", "gopher://x", NULL), "no URL of a server");
    unsetenv("HOOKSWITCH_API_TOKEN");
    assert_usage(&f, read_line(&f, "list", NULL), "HOOKSWITCH_API_TOKEN is not set");
}

static void help_needs_nothing_else(void **state)
{
    struct fixture fixture;

    unsetenv("HOOKSWITCH_API_TOKEN");
    assert_int_equal(read_line(&fixture, "--help", NULL), OK);
    assert_true(fixture.remote.help);
    release(&fixture);
    assert_int_equal(read_line(&fixture, "create", "-h", NULL), OK);
    assert_true(fixture.remote.help);
    release(&fixture);
}

static void paths_are_encoded(void **state)
{
    struct buf path = BUF_INIT;

    remote_add_id(&path, "/v1/webhooks/", "a/b?c d", "/deliveries");
    remote_add_query(&path, "status", NULL);
    remote_add_query(&path, "event", "x&y");
    remote_add_query(&path, "limit", "5");
    assert_string_equal(path.ptr, "/v1/webhooks/a%2Fb%3Fc%20d/deliveries?event=x%26y&limit=5");
    buf_release(&path);
}

static void only_valid_json_is_passed_on(void **state)
{
    struct remote remote = {0};
    struct error error;
    json_t *tree = NULL;

    assert_int_equal(
        remote_add_json(&remote, SPAN_LIT("{\"n\":1e999,\"s\":\"\\u0000\"}\n"), &error), OK);
    assert_string_equal(remote.out.ptr, "{\"n\":1e999,\"s\":\"\\u0000\"}\n");
    assert_int_equal(remote_add_json(&remote, SPAN_LIT("<html>"), &error), ERR_IO);
    assert_int_equal(remote_add_json(&remote, span_from(NULL), &error), OK);
    assert_int_equal(remote_parse(SPAN_LIT("[]"), &tree, &error), ERR_IO);
    assert_int_equal(remote_parse(span_from(NULL), &tree, &error), ERR_IO);
    assert_null(tree);
    buf_release(&remote.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(words_and_flags_may_mix, set_environment),
        cmocka_unit_test_setup(target_comes_from_flag_then_environment_then_default,
                               set_environment),
        cmocka_unit_test_setup(mistakes_are_named, set_environment),
        cmocka_unit_test_setup(help_needs_nothing_else, set_environment),
        cmocka_unit_test(paths_are_encoded),
        cmocka_unit_test(only_valid_json_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
