/* err_test.c: the error table, filling errors, and how the process ends itself. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void every_error_is_described(void **state)
{
    for (unsigned code = 0; code < ERR_COUNT; code++) {
        assert_true(strlen(err_slug((enum err)code)) > 0);
        assert_true(strlen(err_sentence((enum err)code)) > 0);
        assert_in_range(err_http_status((enum err)code), 200, 599);
        assert_in_range(err_exit_status((enum err)code), 0, 2);
        for (unsigned other = 0; other < code; other++)
            assert_string_not_equal(err_slug((enum err)code), err_slug((enum err)other));
    }
    assert_int_equal(err_class(ERR_INVALID), ERR_CLASS_REFUSE);
    assert_int_equal(err_http_status(ERR_FULL), 507);
    assert_int_equal(err_exit_status(ERR_USAGE), 2);
}

static void fills_an_error(void **state)
{
    struct error error;
    assert_int_equal(error_set(&error, ERR_LIMIT, "at most %d", 7), ERR_LIMIT);
    assert_int_equal(error.code, ERR_LIMIT);
    assert_true(error.offset == ERROR_NO_OFFSET);
    assert_string_equal(error.message, "at most 7");
    assert_int_equal(error_set_at(&error, ERR_INVALID, 17, "odd"), ERR_INVALID);
    assert_int_equal(error.offset, 17);
    assert_int_equal(error_set(NULL, ERR_BUSY, "nobody listens"), ERR_BUSY);
    assert_int_equal(error_set_at(NULL, ERR_BUSY, 3, "nobody listens"), ERR_BUSY);
}

static void wraps_its_own_message(void **state)
{
    struct error error;
    (void)error_set(&error, ERR_IO, "no room");
    (void)error_set(&error, ERR_STORE, "cannot write: %s", error.message);
    assert_string_equal(error.message, "cannot write: no room");
}

static void cuts_long_messages(void **state)
{
    struct error error;
    (void)error_set(&error, ERR_IO, "%1000d", 1);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

/* ---- endings, each in a child whose stderr is a pipe ---- */

static int stderr_now;

static void to_stderr(void *arg, const char *line, size_t len)
{
    assert_int_equal(write(STDERR_FILENO, line, len), (ssize_t)len);
}

static void log_to_stderr(void)
{
    struct log_setup setup = {.format = LOG_FORMAT_JSON, .sink = to_stderr};
    log_init(&setup);
}

static void fatal_sink(void *arg, const char *line, size_t len)
{
    fatal("the sink broke");
}

static void end_by_fatal(void)
{
    fatal("disk '%s' is gone", "sda");
}

static void end_by_fatal_in_log(void)
{
    log_to_stderr();
    end_by_fatal();
}

static void end_by_fatal_in_the_sink(void)
{
    struct log_setup setup = {.sink = fatal_sink};
    log_init(&setup);
    LOG_ERROR("x");
}

static void end_by_bug(void)
{
    ASSERT(stderr_now < 0);
}

static void end_by_bug_in_log(void)
{
    log_to_stderr();
    end_by_bug();
}

static void end_by_memory(void)
{
    volatile size_t much = SIZE_MAX / 4;
    free(mem_alloc(much));
}

static void end_by_zeroed_memory(void)
{
    volatile size_t much = SIZE_MAX / 4;
    free(mem_zero(much, 16));
}

/* Returns the wait status; *ret_text is what the child wrote. */
static int run(void (*ending)(void), char ret_text[4096])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        ending();
        _exit(77);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; len < 4095 && (got = read(ends[0], ret_text + len, 4095 - len)) > 0;)
        len += (size_t)got;
    ret_text[len] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void fatal_exits_with_1(void **state)
{
    char text[4096];
    int status = run(end_by_fatal, text);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(text, "hookswitch: disk 'sda' is gone\n");
    status = run(end_by_fatal_in_log, text);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(
        text, "{\"time\":\"-\",\"level\":\"error\",\"message\":\"disk 'sda' is gone\"}\n");
    status = run(end_by_fatal_in_the_sink, text);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(text, "hookswitch: the sink broke\n");
}

static void bug_aborts(void **state)
{
    char text[4096];
    int status = run(end_by_bug, text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "hookswitch: bug at "));
    assert_non_null(strstr(text, "err_test.c:"));
    assert_non_null(strstr(text, "assertion failed: stderr_now < 0\n"));
    status = run(end_by_bug_in_log, text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "\"message\":\"bug at "));
}

static void out_of_memory_is_fatal(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* its allocator ends the process by itself */
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#    endif
#endif
    char text[4096];
    int status = run(end_by_memory, text);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(text, "out of memory"));
    status = run(end_by_zeroed_memory, text);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(text, "out of memory"));
}

static void memory_is_never_null(void **state)
{
    void *nothing = mem_alloc(0);
    assert_non_null(nothing);
    nothing = mem_realloc(nothing, 0);
    assert_non_null(nothing);
    free(nothing);
    char *zeros = mem_zero(3, 2);
    assert_memory_equal(zeros, "\0\0\0\0\0\0", 6);
    free(zeros);
    free(mem_zero(0, 0));
    char *copy = mem_strndup("abcdef", 3);
    assert_string_equal(copy, "abc");
    free(copy);
    copy = mem_strndup(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
    copy = mem_strdup("x");
    assert_string_equal(copy, "x");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_is_described), cmocka_unit_test(fills_an_error),
        cmocka_unit_test(wraps_its_own_message),    cmocka_unit_test(cuts_long_messages),
        cmocka_unit_test(fatal_exits_with_1),       cmocka_unit_test(bug_aborts),
        cmocka_unit_test(out_of_memory_is_fatal),   cmocka_unit_test(memory_is_never_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
