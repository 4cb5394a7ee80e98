/* encode_test.c: texts of bytes, there and back, and what the decoders refuse. */
#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void hex_goes_there_and_back(void **state)
{
    char text[9];
    uint8_t bytes[4];
    hex_encode("\x00\x1f\xab\xff", 4, text);
    assert_string_equal(text, "001fabff");
    assert_true(hex_decode(SPAN_LIT("001FabFF"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x1f\xab\xff", 4);
    assert_false(hex_decode(SPAN_LIT("001fabf"), bytes, 4));
    assert_false(hex_decode(SPAN_LIT("001fabff00"), bytes, 4));
    assert_false(hex_decode(SPAN_LIT("001fabfg"), bytes, 4));
    assert_false(hex_decode(SPAN_LIT("0x1fabff"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x1f\xab\xff", 4);
    hex_encode(NULL, 0, text);
    assert_string_equal(text, "");
}

/* Source: RFC 4648 section 10. */
static void base64_matches_its_vectors(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    struct buf buf = BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&buf);
        buf_add_base64(&buf, span_from(cases[i].bytes));
        assert_int_equal(buf.len, BASE64_LEN(strlen(cases[i].bytes)));
        assert_true(span_eq_text(buf_span(&buf), cases[i].text));
        buf_clear(&buf);
        assert_true(buf_add_base64_decoded(&buf, span_from(cases[i].text)));
        assert_true(span_eq_text(buf_span(&buf), cases[i].bytes));
    }
    buf_release(&buf);
}

static void base64_refuses_what_is_not_canonical(void **state)
{
    static const char *const bad[] = {
        "Z",
        "Zg",
        "Zg=",
        "Zg===",
        "Zh==",
        "Zm9=",
        "=",
        "====",
        "Z===",
        "Zg==Zg==",
        "Zm9v Zg=",
        "Zm9vYg=a",
        "Zm9v\n",
        "Z-__",
        "Zm9*",
        "Zm=v",
        "Zm9vZ",
        "=Zg=",
        "\xff\xff\xff\xff",
    };
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "before");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (buf_add_base64_decoded(&buf, span_from(bad[i])))
            fail_msg("accepted: %s", bad[i]);
        assert_string_equal(buf.ptr, "before");
    }
    buf_release(&buf);
}

static void base64_keeps_every_byte(void **state)
{
    uint8_t bytes[256];
    struct buf text = BUF_INIT;
    struct buf back = BUF_INIT;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        buf_clear(&text);
        buf_clear(&back);
        buf_add_base64(&text, span_make(bytes, len));
        assert_true(buf_add_base64_decoded(&back, buf_span(&text)));
        assert_true(span_eq(buf_span(&back), span_make(bytes, len)));
    }
    buf_release(&text);
    buf_release(&back);
}

static void percent_goes_there_and_back(void **state)
{
    struct buf buf = BUF_INIT;
    buf_add_percent(&buf, SPAN_LIT("a-Z_0.~ /?%+&\xc3\xa9\0"));
    assert_string_equal(buf.ptr, "a-Z_0.~%20%2F%3F%25%2B%26%C3%A9%00");
    struct buf back = BUF_INIT;
    assert_true(buf_add_percent_decoded(&back, buf_span(&buf)));
    assert_true(span_eq(buf_span(&back), SPAN_LIT("a-Z_0.~ /?%+&\xc3\xa9\0")));
    buf_clear(&back);
    assert_true(buf_add_percent_decoded(&back, SPAN_LIT("a+b%2b%2B")));
    assert_string_equal(back.ptr, "a+b++");
    buf_clear(&back);
    assert_true(buf_add_form_decoded(&back, SPAN_LIT("a+b%2b")));
    assert_string_equal(back.ptr, "a b+");
    static const char *const bad[] = {"%", "%4", "x%4", "%4g", "%g4", "%%41", "% 41"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(buf_add_percent_decoded(&back, span_from(bad[i])));
        assert_string_equal(back.ptr, "a b+");
    }
    buf_release(&buf);
    buf_release(&back);
}

static void uuid_goes_there_and_back(void **state)
{
    uint8_t random[UUID_BYTES];
    uint8_t back[UUID_BYTES];
    char text[UUID_TEXT_LEN + 1];
    memset(random, 0xFF, sizeof(random));
    uuid_v4_text(random, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_true(uuid_parse(SPAN_LIT("FFFFFFFF-ffff-4FFF-bfff-ffffffFFFFFF"), back));
    uuid_v4_set_bits(random);
    assert_memory_equal(back, random, sizeof(back));
    memset(random, 0, sizeof(random));
    uuid_v4_text(random, text);
    assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
    uuid_text((const uint8_t *)"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10",
              text);
    assert_string_equal(text, "01234567-89ab-cdef-fedc-ba9876543210");
}

static void uuid_refuses_other_forms(void **state)
{
    static const char *const bad[] = {
        "",
        "12",
        "01234567-89ab-cdef-fedc-ba987654321",
        "01234567-89ab-cdef-fedc-ba98765432100",
        "0123456789abcdeffedcba9876543210",
        "{01234567-89ab-cdef-fedc-ba9876543210}",
        "01234567-89ab-cdef-fedc-ba987654321g",
        "01234567089ab-cdef-fedc-ba9876543210",
        "0123456-789ab-cdef-fedc-ba9876543210",
        "01234567-89ab-cdef-fedc--a9876543210",
        " 1234567-89ab-cdef-fedc-ba9876543210",
    };
    uint8_t bytes[UUID_BYTES] = {42};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(uuid_parse(span_from(bad[i]), bytes));
    assert_int_equal(bytes[0], 42);
}

static void tells_the_time(void **state)
{
    static const struct {
        wall_ms time;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1700000000123), "2023-11-14T22:13:20.123Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
        {WALL_NEVER, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[WALL_TEXT_LEN + 1];
        wall_text(cases[i].time, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(base64_matches_its_vectors),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(base64_keeps_every_byte),
        cmocka_unit_test(percent_goes_there_and_back),
        cmocka_unit_test(uuid_goes_there_and_back),
        cmocka_unit_test(uuid_refuses_other_forms),
        cmocka_unit_test(tells_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
