/* buf_test.c: growing, escaping, and records that are read back. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows_and_stays_terminated(void **state)
{
    struct buf buf = BUF_INIT;
    for (int i = 0; i < 10000; i++) {
        buf_add_char(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.ptr[buf.len], '\0');
    }
    assert_int_equal(buf.len, 10000);
    assert_int_equal(buf.ptr[9999], 'a' + 9999 % 26);
    buf_cut(&buf, 3);
    assert_string_equal(buf.ptr, "abc");
    buf_clear(&buf);
    assert_string_equal(buf.ptr, "");
    buf_release(&buf);
    assert_null(buf.ptr);
    buf_release(&buf);
}

static void adds_nothing_as_an_empty_string(void **state)
{
    struct buf buf = BUF_INIT;
    buf_add(&buf, NULL, 0);
    assert_string_equal(buf.ptr, "");
    buf_add_span(&buf, (struct span){NULL, 0});
    assert_int_equal(buf.len, 0);
    buf_release(&buf);
    buf_clear(&buf);
    char *taken = buf_take(&buf);
    assert_string_equal(taken, "");
    assert_null(buf.ptr);
    free(taken);
}

static void prints_what_fits_and_what_does_not(void **state)
{
    struct buf buf = BUF_INIT;
    for (int width = 0; width < 300; width++) {
        buf_clear(&buf);
        buf_printf(&buf, "<%*d>", width, 7);
        assert_int_equal(buf.len, (width == 0 ? 1 : width) + 2);
        assert_int_equal(strlen(buf.ptr), buf.len);
        assert_int_equal(buf.ptr[buf.len - 1], '>');
    }
    buf_add_text(&buf, "!");
    assert_int_equal(buf.ptr[buf.len - 1], '!');
    char *taken = buf_take(&buf);
    assert_int_equal(strlen(taken), 302);
    free(taken);
}

static void writes_json_strings(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xff"
         "a\xc3",
         "\"\xef\xbf\xbd"
         "a\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct buf buf = BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&buf);
        buf_add_json_string(&buf, span_from(cases[i].text));
        assert_string_equal(buf.ptr, cases[i].json);
    }
    buf_clear(&buf);
    buf_add_json_string(&buf, SPAN_LIT("a\0b"));
    assert_string_equal(buf.ptr, "\"a\\u0000b\"");
    buf_release(&buf);
}

static const uint64_t numbers[] = {
    0,
    1,
    127,
    128,
    255,
    256,
    16383,
    16384,
    UINT32_MAX,
    UINT64_C(1) << 62,
    UINT64_C(1) << 63,
    UINT64_MAX,
};
enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static void reads_back_what_was_added(void **state)
{
    struct buf buf = BUF_INIT;
    for (size_t i = 0; i < NUMBERS; i++) {
        buf_add_u8(&buf, (uint8_t)numbers[i]);
        buf_add_u32(&buf, (uint32_t)numbers[i]);
        buf_add_u64(&buf, numbers[i]);
        buf_add_varint(&buf, numbers[i]);
        buf_add_blob(&buf, span_make("blob of text", i));
    }
    struct reader reader = {.in = buf_span(&buf)};
    for (size_t i = 0; i < NUMBERS; i++) {
        assert_int_equal(reader_u8(&reader), (uint8_t)numbers[i]);
        assert_int_equal(reader_u32(&reader), (uint32_t)numbers[i]);
        assert_true(reader_u64(&reader) == numbers[i]);
        assert_true(reader_varint(&reader) == numbers[i]);
        assert_true(span_eq(reader_blob(&reader), span_make("blob of text", i)));
    }
    assert_false(reader.failed);
    assert_int_equal(reader.at, buf.len);
    assert_int_equal(reader_u8(&reader), 0);
    assert_true(reader.failed);
    buf_release(&buf);
}

static void writes_little_endian(void **state)
{
    struct buf buf = BUF_INIT;
    buf_add_u32(&buf, 0x01020304);
    buf_add_varint(&buf, 300);
    assert_int_equal(buf.len, 6);
    assert_memory_equal(buf.ptr, "\x04\x03\x02\x01\xac\x02", 6);
    buf_release(&buf);
}

static void fails_on_a_short_input_and_stays_failed(void **state)
{
    struct buf buf = BUF_INIT;
    buf_add_blob(&buf, span_from("0123456789"));
    for (size_t len = 0; len < buf.len; len++) {
        struct reader reader = {.in = {buf.ptr, len}};
        struct span blob = reader_blob(&reader);
        assert_true(reader.failed);
        assert_int_equal(blob.len, 0);
        assert_non_null(blob.ptr);
        assert_int_equal(reader_u8(&reader), 0);
        assert_int_equal(reader_u32(&reader), 0);
        assert_true(reader_u64(&reader) == 0);
        assert_true(reader_varint(&reader) == 0);
    }
    buf_release(&buf);
}

static void refuses_varints_that_are_too_long(void **state)
{
    static const struct span bad[] = {
        {"\x80\x00", 2},                                      /* 0 in two bytes */
        {"\xff\x80\x00", 3},                                  /* superfluous end */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},     /* 2^64 and more */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11}, /* no end within ten bytes */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},          /* short */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},     /* a blob of 2^64 - 1 bytes */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reader reader = {.in = bad[i]};
        assert_int_equal(reader_blob(&reader).len, 0);
        assert_true(reader.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(adds_nothing_as_an_empty_string),
        cmocka_unit_test(prints_what_fits_and_what_does_not),
        cmocka_unit_test(writes_json_strings),
        cmocka_unit_test(reads_back_what_was_added),
        cmocka_unit_test(writes_little_endian),
        cmocka_unit_test(fails_on_a_short_input_and_stays_failed),
        cmocka_unit_test(refuses_varints_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
