/* safe_text_test.c: what a terminal obeys does not reach it. */
#include "cli/safe_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_line(struct span text, const char *wanted)
{
    struct buf buf = BUF_INIT;

    safe_add(&buf, text);
    buf_add_text(&buf, "");
    assert_string_equal(buf.ptr, wanted);
    buf_release(&buf);
}

static void lines_hold_nothing_that_a_terminal_obeys(void **state)
{
    assert_line(SPAN_LIT("Z\xc3\xbcrich \xf0\x9f\x98\x80"), "Z\xc3\xbcrich \xf0\x9f\x98\x80");
    assert_line(SPAN_LIT("\x1b[2Jred"), "?[2Jred");
    assert_line(SPAN_LIT("a\rb\nc\td\x7f"), "a?b?c?d?");
    assert_line(SPAN_LIT("nul\0end"), "nul?end");
    assert_line(SPAN_LIT("\xc2\x9b"
                         "2J"),
                "?2J"); /* C1: CSI */
    assert_line(SPAN_LIT("\xc2\xa0"), "\xc2\xa0");
    assert_line(SPAN_LIT("\xe2\x80\xae"
                         "exe.txt"),
                "?exe.txt"); /* right-to-left override */
    assert_line(SPAN_LIT("\xe2\x81\xa6"), "?");
    assert_line(SPAN_LIT("\xe2\x80\xa6"), "\xe2\x80\xa6");
    assert_line(SPAN_LIT("\xff\xc3"), "??");
    assert_line(span_from(NULL), "");
}

static void blocks_keep_lines(void **state)
{
    struct buf buf = BUF_INIT;

    safe_add_lines(&buf, "> ", SPAN_LIT("a: b\r\n\r\n\tx\x1b\nlast"));
    assert_string_equal(buf.ptr, "> a: b\n> \n>     x?\n> last\n");
    buf_clear(&buf);
    safe_add_lines(&buf, "> ", SPAN_LIT("one\n"));
    assert_string_equal(buf.ptr, "> one\n");
    buf_clear(&buf);
    safe_add_lines(&buf, "> ", span_from(NULL));
    assert_int_equal(buf.len, 0);
    buf_release(&buf);
}

static void json_stays_the_same_json(void **state)
{
    struct buf buf = BUF_INIT;

    safe_add_json(&buf, SPAN_LIT("{\"a\":\"\x7f\xc2\x9b\xc2\xa9\xc3\xbc\\u001b\"}"));
    assert_string_equal(buf.ptr, "{\"a\":\"\\u007f\\u009b\xc2\xa9\xc3\xbc\\u001b\"}");
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_hold_nothing_that_a_terminal_obeys),
        cmocka_unit_test(blocks_keep_lines),
        cmocka_unit_test(json_stays_the_same_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
