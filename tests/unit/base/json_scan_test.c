/* json_scan_test.c: what the ingest path accepts and refuses, byte by byte. */
#include "base/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

/* Validates a copy that ends where the memory ends, so that ASan sees a step too far. */
static enum err validate(struct span text, struct error *error)
{
    char *copy = mem_alloc(text.len);
    memcpy(copy, text.ptr, text.len);
    enum err code = scan_validate(span_make(copy, text.len), error);
    free(copy);
    return code;
}

static void accepts_every_kind_of_value(void **state)
{
    static const char *const valid[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "123456789012345678901234567890.5e123456",
        "\"\"",
        "[]",
        "{}",
        " \t\r\n[ ] \n",
        "[1,2 , [ ] ,{}]",
        "{\"a\":{\"b\":[{\"c\":null}]},\"a\":1}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABcd\"",
        "\"\\ud83d\\ude00\"",
        "\"\x7f\"",
        "\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80\"",
        "\"\xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"",
        "{\"a long key, over sixteen bytes\":\"a long text without anything in it that is odd\"}",
    };
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        struct error error = {0};
        if (validate(span_from(valid[i]), &error) != OK)
            fail_msg("%s: %s", valid[i], error.message);
    }
}

struct refusal {
    const char *text;
    size_t offset;
    const char *part; /* of the message */
};

static void refuses_with_an_offset_and_a_sentence(void **state)
{
    static const struct refusal refusals[] = {
        {"", 0, "expected a value, found the end"},
        {"  ", 2, "expected a value"},
        {"\xef\xbb\xbf{}", 0, "byte order mark"},
        {"'a'", 0, "expected a value, found '"},
        {"nul", 0, "did you mean null"},
        {"nulll", 4, "expected the end of the text"},
        {"True", 0, "expected a value"},
        {"NaN", 0, "expected a value"},
        {"{} {}", 3, "expected the end of the text"},
        {"[1]]", 3, "expected the end of the text"},
        {"01", 0, "superfluous 0"},
        {"-01", 1, "superfluous 0"},
        {"-", 1, "a digit behind '-'"},
        {"+1", 0, "expected a value"},
        {".5", 0, "expected a value"},
        {"1.", 2, "behind the decimal point"},
        {"1.e5", 2, "behind the decimal point"},
        {"1e", 2, "in the exponent"},
        {"1e+", 3, "in the exponent"},
        {"0x10", 1, "expected the end of the text"},
        {"[1 2]", 3, "',' or ']' after a value, found 2"},
        {"[1,]", 3, "a comma must not stand before ]"},
        {"[,1]", 1, "expected a value"},
        {"[1", 2, "',' or ']' after a value, found the end"},
        {"[1}", 2, "',' or ']' after a value, found }"},
        {"{\"a\" 1}", 5, "':' after a key, found 1"},
        {"{\"a\":1,}", 7, "a comma must not stand before }"},
        {"{a:1}", 1, "a key in double quotes, found a"},
        {"{1:1}", 1, "a key in double quotes"},
        {"{\"a\":}", 5, "expected a value, found }"},
        {"{\"a\":1", 6, "',' or '}' after a value"},
        {"{\"a\":1]", 6, "',' or '}' after a value, found ]"},
        {"{,}", 1, "a key in double quotes"},
        {"\"abc", 0, "has no end"},
        {"\"abcdefghijklmnopqrstuvwxyz", 0, "has no end"},
        {"\"abc\\\"", 0, "has no end"},
        {"\"a\nb\"", 2, "must be written as \\u000a"},
        {"\"abcdefghijklmnopqrst\x01\"", 21, "must be written as \\u0001"},
        {"\"\\x41\"", 1, "a backslash must be followed"},
        {"\"\\", 1, "a backslash must be followed"},
        {"\"\\u12G4\"", 1, "four hexadecimal digits"},
        {"\"\\u12", 1, "four hexadecimal digits"},
        {"\"\\ud83d\"", 1, "half of a surrogate pair"},
        {"\"\\ud83dx\\ude00\"", 1, "half of a surrogate pair"},
        {"\"\\ud83d\\ud83d\"", 1, "half of a surrogate pair"},
        {"\"\\ude00\"", 1, "half of a surrogate pair"},
        {"\"\xc0\x80\"", 1, "not valid UTF-8"},
        {"\"\xc1\xbf\"", 1, "not valid UTF-8"},
        {"\"\xe0\x9f\xbf\"", 1, "not valid UTF-8"},
        {"\"\xed\xa0\x80\"", 1, "not valid UTF-8"},
        {"\"\xf0\x8f\xbf\xbf\"", 1, "not valid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", 1, "not valid UTF-8"},
        {"\"\xf5\x80\x80\x80\"", 1, "not valid UTF-8"},
        {"\"\x80\"", 1, "not valid UTF-8"},
        {"\"\xe2\x82\"", 1, "not valid UTF-8"},
        {"\"\xe2", 1, "not valid UTF-8"},
        {"[\"a\",\xff]", 5, "found the byte 0xFF"},
        {"/* */ 1", 0, "expected a value, found /"},
        {"[1,\f2]", 3, "found the byte 0x0C"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct error error = {0};
        if (validate(span_from(r->text), &error) != ERR_INVALID)
            fail_msg("accepted: %s", r->text);
        char start[32];
        snprintf(start, sizeof(start), "byte %zu: ", r->offset);
        if (error.code != ERR_INVALID || error.offset != r->offset ||
            strncmp(error.message, start, strlen(start)) != 0 ||
            strstr(error.message, r->part) == NULL)
            fail_msg("%s: offset %zu, %s", r->text, error.offset, error.message);
    }
}

static void refuses_a_nul_byte_everywhere(void **state)
{
    static const char *const texts[] = {"[1, 2]", "{\"a\":\"b\"} "};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = strlen(texts[i]);
        for (size_t at = 0; at <= len; at++) {
            char text[32] = {0};
            memcpy(text, texts[i], at);
            memcpy(text + at + 1, texts[i] + at, len - at);
            assert_int_equal(validate(span_make(text, len + 1), NULL), ERR_INVALID);
        }
    }
}

/* Every prefix of a valid document is invalid, and none is read beyond its end. */
static void refuses_every_prefix(void **state)
{
    static const char text[] = "{\"a\":[-1.5e+3,true,null,\"\\u00e9\\ud83d\\ude00 \xe2\x82\xac\"],"
                               "\"key\":{\"x\":false}}";
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_int_equal(validate(span_make(text, len), NULL), ERR_INVALID);
    assert_int_equal(validate(span_from(text), NULL), OK);
}

static enum err validate_nested(size_t depth, bool objects)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < depth; i++)
        buf_add_text(&text, objects && i % 2 == 0 ? "{\"k\":" : "[");
    buf_add_char(&text, '1');
    for (size_t i = depth; i-- > 0;)
        buf_add_char(&text, objects && i % 2 == 0 ? '}' : ']');
    enum err code = validate(buf_span(&text), NULL);
    buf_release(&text);
    return code;
}

static void limits_the_depth(void **state)
{
    for (int objects = 0; objects < 2; objects++) {
        assert_int_equal(validate_nested(1, objects), OK);
        assert_int_equal(validate_nested(SCAN_MAX_DEPTH, objects), OK);
        assert_int_equal(validate_nested(SCAN_MAX_DEPTH + 1, objects), ERR_INVALID);
        assert_int_equal(validate_nested(100000, objects), ERR_INVALID);
    }
}

/* The odd byte is found at every distance from the start of a wide step. */
static void finds_the_end_of_strings_of_every_length(void **state)
{
    for (size_t len = 0; len < 70; len++) {
        char text[80];
        memset(text, 'x', sizeof(text));
        text[0] = text[len + 1] = '"';
        assert_int_equal(validate(span_make(text, len + 2), NULL), OK);
        for (size_t at = 1; at <= len; at++) {
            struct error error = {0};
            text[at] = 0x1F;
            assert_int_equal(validate(span_make(text, len + 2), &error), ERR_INVALID);
            assert_int_equal(error.offset, at);
            text[at] = (char)0x80;
            assert_int_equal(validate(span_make(text, len + 2), &error), ERR_INVALID);
            assert_int_equal(error.offset, at);
            text[at] = 'x';
        }
    }
}

static void assert_span(struct span span, const char *text)
{
    if (!span_eq_text(span, text))
        fail_msg("'%.*s' is not '%s'", (int)span.len, span.ptr, text);
}

static void walks_an_event(void **state)
{
    struct span text =
        span_from(" {\"event\" : \"call.created\", \"d\\u0061ta\":{\"id\": 7 , \"x\":"
                  "[1,{}]}, \"timestamp\":1700000000} ");
    struct scan_cursor cursor;
    struct scan_value key, value;
    struct error error;
    int seen = 0;
    scan_cursor_init(&cursor, text, &error);
    assert_true(scan_enter_object(&cursor));
    while (scan_next_key(&cursor, &key)) {
        assert_int_equal(key.kind, SCAN_STRING);
        assert_true(scan_take(&cursor, &value));
        assert_ptr_equal(value.raw.ptr, text.ptr + value.offset);
        if (scan_string_is(&key, "event")) {
            assert_int_equal(value.kind, SCAN_STRING);
            assert_span(value.raw, "\"call.created\"");
            assert_span(scan_inner(&value), "call.created");
            assert_true(scan_string_is(&value, "call.created"));
            assert_false(scan_string_is(&value, "call.create"));
            assert_false(scan_string_is(&value, "call.created2"));
            seen += 1;
        } else if (scan_string_is(&key, "data")) {
            assert_true(key.escaped);
            assert_int_equal(value.kind, SCAN_OBJECT);
            assert_span(value.raw, "{\"id\": 7 , \"x\":[1,{}]}");
            seen += 10;
        } else if (scan_string_is(&key, "timestamp")) {
            int64_t number = 0;
            assert_true(scan_integer(&value, &number));
            assert_int_equal(number, 1700000000);
            seen += 100;
        }
    }
    assert_int_equal(scan_finish(&cursor), OK);
    assert_int_equal(seen, 111);
    assert_false(scan_next_key(&(struct scan_cursor){.failed = true}, &key));
}

static void walks_a_batch(void **state)
{
    struct scan_cursor cursor;
    struct scan_value key, value;
    int items = 0;
    scan_cursor_init(&cursor, span_from("{\"events\":[{\"a\":1},{},{\"b\":[]},5],\"z\":0}"), NULL);
    assert_true(scan_enter_object(&cursor));
    assert_true(scan_next_key(&cursor, &key));
    assert_true(scan_enter_array(&cursor));
    while (scan_next_item(&cursor)) {
        enum scan_kind kind;
        assert_true(scan_peek(&cursor, &kind));
        if (kind == SCAN_NUMBER) {
            assert_true(scan_take(&cursor, &value));
            items += 100;
            continue;
        }
        assert_true(scan_enter_object(&cursor));
        while (scan_next_key(&cursor, &key))
            assert_true(scan_take(&cursor, &value));
        items++;
    }
    assert_true(scan_next_key(&cursor, &key));
    assert_true(scan_string_is(&key, "z"));
    assert_true(scan_take(&cursor, &value));
    assert_false(scan_next_key(&cursor, &key));
    assert_int_equal(scan_finish(&cursor), OK);
    assert_int_equal(items, 103);
}

static void keeps_the_first_complaint(void **state)
{
    struct scan_cursor cursor;
    struct scan_value key;
    struct error error;
    scan_cursor_init(&cursor, span_from("{\"evnt\":1,}"), &error);
    assert_true(scan_enter_object(&cursor));
    assert_true(scan_next_key(&cursor, &key));
    struct span name = scan_inner(&key);
    assert_false(scan_fail(&cursor, key.offset, "unknown key '%.*s'", (int)name.len, name.ptr));
    assert_false(scan_fail(&cursor, 5, "another"));
    assert_false(scan_next_key(&cursor, &key));
    assert_true(scan_failed(&cursor));
    assert_int_equal(scan_finish(&cursor), ERR_INVALID);
    assert_string_equal(error.message, "byte 1: unknown key 'evnt'");
    assert_int_equal(error.offset, 1);
}

static void complains_about_the_wrong_kind(void **state)
{
    struct scan_cursor cursor;
    struct error error;
    scan_cursor_init(&cursor, span_from(" [1]"), &error);
    assert_false(scan_enter_object(&cursor));
    assert_int_equal(scan_finish(&cursor), ERR_INVALID);
    assert_string_equal(error.message, "byte 1: expected an object, found [");
}

static void takes_strings_apart(void **state)
{
    static const char expected[] = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0end";
    struct scan_cursor cursor;
    struct scan_value value;
    struct buf text = BUF_INIT;
    scan_cursor_init(&cursor,
                     span_from("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\uDE00"
                               "\\u0000end\""),
                     NULL);
    assert_true(scan_take(&cursor, &value));
    scan_string_add(&value, &text);
    assert_int_equal(text.len, sizeof(expected) - 1);
    assert_memory_equal(text.ptr, expected, sizeof(expected) - 1);
    assert_false(scan_string_is(&value, "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    buf_clear(&text);
    scan_cursor_init(&cursor, span_from("\"caf\\u00e9\""), NULL);
    assert_true(scan_take(&cursor, &value));
    assert_true(scan_string_is(&value, "caf\xc3\xa9"));
    assert_false(scan_string_is(&value, "caf"));
    assert_false(scan_string_is(&value, "caf\xc3\xa9s"));
    buf_release(&text);
}

static void reads_integers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t number;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"null", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scan_cursor cursor;
        struct scan_value value;
        int64_t number = 42;
        scan_cursor_init(&cursor, span_from(cases[i].text), NULL);
        assert_true(scan_take(&cursor, &value));
        assert_int_equal(scan_integer(&value, &number), cases[i].ok);
        assert_true(number == (cases[i].ok ? cases[i].number : 42));
    }
}

static void finds_values_by_path(void **state)
{
    struct scan_value value = {.offset = 99};
    struct span object =
        span_from("{ \"a\":{\"id\":1,\"b\":{\"id\":\"x\"}}, \"id\": \"call-1\",\"\\u0063\":12, "
                  "\"two\":1,\"two\":2,\"n\":{\"two\":{\"x\":1},\"\\u0074wo\":0}}");
    assert_int_equal(scan_find(object, "id", &value), SCAN_FOUND);
    assert_span(value.raw, "\"call-1\"");
    assert_ptr_equal(object.ptr + value.offset, value.raw.ptr);
    assert_int_equal(scan_find(object, "c", &value), SCAN_FOUND);
    assert_true(value.integer);
    assert_span(value.raw, "12");
    assert_int_equal(scan_find(object, "a.b.id", &value), SCAN_FOUND);
    assert_span(value.raw, "\"x\"");
    assert_ptr_equal(object.ptr + value.offset, value.raw.ptr);
    value.offset = 99;
    assert_int_equal(scan_find(object, "i", &value), SCAN_ABSENT);
    assert_int_equal(scan_find(object, "id.x", &value), SCAN_ABSENT);
    assert_int_equal(scan_find(object, "", &value), SCAN_ABSENT);
    assert_int_equal(scan_find(object, "two", &value), SCAN_TWICE);
    assert_int_equal(scan_find(object, "n.two.x", &value), SCAN_TWICE);
    assert_int_equal(scan_find(SPAN_LIT("[1]"), "id", &value), SCAN_ABSENT);
    assert_int_equal(scan_find(SPAN_LIT("{\"id\":1"), "id", &value), SCAN_ABSENT);
    assert_int_equal(scan_find(SPAN_LIT(""), "id", &value), SCAN_ABSENT);
    assert_int_equal(value.offset, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_kind_of_value),
        cmocka_unit_test(refuses_with_an_offset_and_a_sentence),
        cmocka_unit_test(refuses_a_nul_byte_everywhere),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(limits_the_depth),
        cmocka_unit_test(finds_the_end_of_strings_of_every_length),
        cmocka_unit_test(walks_an_event),
        cmocka_unit_test(walks_a_batch),
        cmocka_unit_test(keeps_the_first_complaint),
        cmocka_unit_test(complains_about_the_wrong_kind),
        cmocka_unit_test(takes_strings_apart),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(finds_values_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
