/* log_test.c: one line per call, in both forms, whatever a peer put into the text. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/json_scan.h"

static struct buf lines = BUF_INIT;
static size_t sink_calls;

static void sink(void *arg, const char *line, size_t len)
{
    assert_ptr_equal(arg, &lines);
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1));
    buf_add(&lines, line, len);
    sink_calls++;
}

static wall_ms now(void)
{
    return INT64_C(1700000000123);
}

static void start(enum log_format format, enum log_level level)
{
    struct log_setup setup = {level, format, sink, &lines, now};
    buf_clear(&lines);
    sink_calls = 0;
    log_init(&setup);
}

static int stop(void **state)
{
    log_init(NULL);
    buf_release(&lines);
    return 0;
}

static void writes_lines_for_people(void **state)
{
    start(LOG_FORMAT_HUMAN, LOG_LEVEL_INFO);
    LOG_FIELDS(LOG_LEVEL_WARN, "webhook disabled", LOG_TEXT("webhook", "w-1"),
               LOG_NUM("failures", 10), LOG_TEXT("why", "7 x time-out"), LOG_TEXT("none", ""),
               LOG_TEXT("odd", "a=\"b\""));
    LOG_ERROR("cannot read '%s'", "file");
    assert_string_equal(lines.ptr,
                        "2023-11-14T22:13:20.123Z warn  webhook disabled webhook=w-1 failures=10 "
                        "why=\"7 x time-out\" none=\"\" odd=\"a=\\\"b\\\"\"\n"
                        "2023-11-14T22:13:20.123Z error cannot read 'file'\n");
}

static void writes_json(void **state)
{
    start(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    LOG_FIELDS(LOG_LEVEL_INFO, "say \"hi\"", LOG_SPAN("text", SPAN_LIT("a\0\\b")),
               LOG_NUM("n", INT64_MIN));
    assert_string_equal(
        lines.ptr, "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\"message\":"
                   "\"say \\\"hi\\\"\",\"text\":\"a\\u0000\\\\b\",\"n\":-9223372036854775808}\n");
}

static void drops_what_is_less_important(void **state)
{
    start(LOG_FORMAT_HUMAN, LOG_LEVEL_WARN);
    LOG_INFO("no");
    LOG_DEBUG("no");
    assert_int_equal(sink_calls, 0);
    assert_false(log_on(LOG_LEVEL_INFO));
    assert_true(log_on(LOG_LEVEL_WARN));
    LOG_WARN("yes");
    LOG_ERROR("yes");
    assert_int_equal(sink_calls, 2);
}

static void is_silent_before_set_up(void **state)
{
    log_init(NULL);
    assert_false(log_on(LOG_LEVEL_ERROR));
    LOG_ERROR("nobody hears this");
    assert_false(log_last_words("nor this"));
}

/* Line feeds, escape sequences of terminals in 7 and 8 bits, bytes that are not UTF-8. */
static void cannot_be_forged(void **state)
{
    static const char evil[] = "a\nb\r\x1b[2J\x7f\xc2\x9b"
                               "c\xff\xc3\xa9";
    start(LOG_FORMAT_HUMAN, LOG_LEVEL_INFO);
    LOG_FIELDS(LOG_LEVEL_INFO, evil, LOG_TEXT("x", evil));
    assert_string_equal(
        lines.ptr,
        "2023-11-14T22:13:20.123Z info  a\\nb\\u000d\\u001b[2J\\u007f\\u009bc\xef\xbf\xbd\xc3\xa9 "
        "x=\"a\\nb\\u000d\\u001b[2J\\u007f\\u009bc\xef\xbf\xbd\xc3\xa9\"\n");
    start(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    LOG_INFO("%s", evil);
    assert_int_equal(scan_validate(buf_span(&lines), NULL), OK);
}

/* Whatever the lengths, a line ends in time, and as JSON it stays whole. */
static void cuts_long_texts(void **state)
{
    static char text[2 * LOG_LINE_MAX];
    static const char *const units[] = {"x", "\x01", "\"", "\xf0\x9f\x98\x80", "\xff"};
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        size_t step = strlen(units[u]);
        for (size_t len = LOG_LINE_MAX - 300; len < LOG_LINE_MAX + 200; len++) {
            size_t count = u == 0 ? len : len / 6;
            for (size_t i = 0; i < count; i++)
                memcpy(text + i * step, units[u], step);
            struct log_field fields[] = {
                LOG_TEXT("a", "short"),  LOG_SPAN("long", span_make(text, count * step)),
                LOG_NUM("n", INT64_MIN), LOG_SPAN("more", span_make(text, count * step)),
                LOG_NUM("z", INT64_MAX),
            };
            start(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
            log_event(LOG_LEVEL_INFO, "message", fields, 5);
            log_write(LOG_LEVEL_INFO, "%.*s", (int)(count * step), text);
            assert_int_equal(sink_calls, 2);
            size_t first = span_find(buf_span(&lines), '\n') + 1;
            assert_true(first <= LOG_LINE_MAX && lines.len - first <= LOG_LINE_MAX);
            assert_int_equal(scan_validate(span_make(lines.ptr, first), NULL), OK);
            assert_int_equal(scan_validate(span_from_at(buf_span(&lines), first), NULL), OK);
            start(LOG_FORMAT_HUMAN, LOG_LEVEL_INFO);
            log_event(LOG_LEVEL_INFO, "message", fields, 5);
            assert_true(lines.len <= LOG_LINE_MAX);
        }
    }
}

static void knows_the_levels(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;
    assert_true(log_level_parse(SPAN_LIT("debug"), &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_false(log_level_parse(SPAN_LIT("Debug"), &level));
    assert_false(log_level_parse(SPAN_LIT(""), &level));
    assert_string_equal(log_level_name(LOG_LEVEL_WARN), "warn");
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 1000; i++)
        LOG_FIELDS(LOG_LEVEL_INFO, "line", LOG_NUM("i", i));
    return NULL;
}

static void threads_take_turns(void **state)
{
    pthread_t threads[4];
    start(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sink_calls, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(writes_lines_for_people, stop),
        cmocka_unit_test_teardown(writes_json, stop),
        cmocka_unit_test_teardown(drops_what_is_less_important, stop),
        cmocka_unit_test_teardown(is_silent_before_set_up, stop),
        cmocka_unit_test_teardown(cannot_be_forged, stop),
        cmocka_unit_test_teardown(cuts_long_texts, stop),
        cmocka_unit_test_teardown(knows_the_levels, stop),
        cmocka_unit_test_teardown(threads_take_turns, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
