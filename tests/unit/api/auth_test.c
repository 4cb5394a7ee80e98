/* auth_test.c: Authorization fields, good and bad; hashes and new credentials. */
#include "api/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/encode.h"

static void basic(char *field, const char *pair)
{
    struct buf text = BUF_INIT;

    buf_add_text(&text, "Basic ");
    buf_add_base64(&text, span_from(pair));
    memcpy(field, text.ptr, text.len + 1);
    buf_release(&text);
}

static void test_absent(void **state)
{
    struct auth auth;

    assert_int_equal(auth_parse(NULL, &auth), ERR_UNAUTHENTICATED);
    assert_int_equal(auth_parse("", &auth), ERR_UNAUTHENTICATED);
    assert_int_equal(auth_parse("  \t", &auth), ERR_UNAUTHENTICATED);
}

static void test_basic(void **state)
{
    struct auth auth;
    char field[200];

    basic(field, "some-id:to:ken");
    assert_int_equal(auth_parse(field, &auth), OK);
    assert_string_equal(auth.api_id, "some-id");
    assert_true(span_eq_text(auth.token, "to:ken"));
    memcpy(field, "bASIC", 5);
    assert_int_equal(auth_parse(field, &auth), OK);
    auth_wipe(&auth);
    assert_int_equal(auth.text[0], 0);
}

static void test_bearer(void **state)
{
    struct auth auth;

    assert_int_equal(auth_parse("Bearer  abc ", &auth), OK);
    assert_null(auth.api_id);
    assert_true(span_eq_text(auth.token, "abc"));
    assert_int_equal(auth_parse("BEARER abc", &auth), OK);
}

static void test_malformed(void **state)
{
    static const char *const fields[] = {
        "Basic",
        "Basic ",
        "Basic !!!notbase64",
        "Basic bm9jb2xvbg==",
        "Basic Og==",
        "Basic YTo=",
        "Bearer",
        "Bearer ",
        "Digest username=x",
        "nonsense",
        "Basic Om==",
        "Basic OmI=",
        "Basic YTpi YTpi",
        "Basic YQA6Yg==" /* a, NUL, : b */,
    };
    struct auth auth;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (auth_parse(fields[i], &auth) != ERR_FORBIDDEN)
            fail_msg("'%s' is not refused", fields[i]);
}

static void test_too_long(void **state)
{
    char pair[1000], field[2000];
    struct auth auth;

    memset(pair, 'a', sizeof(pair));
    pair[10] = ':';
    pair[AUTH_TEXT_MAX] = '\0';
    basic(field, pair);
    assert_int_equal(auth_parse(field, &auth), OK);
    pair[AUTH_TEXT_MAX] = 'a';
    pair[AUTH_TEXT_MAX + 1] = '\0';
    basic(field, pair);
    assert_int_equal(auth_parse(field, &auth), ERR_FORBIDDEN);
    memset(field, 'a', sizeof(field));
    memcpy(field, "Bearer ", 7);
    field[7 + AUTH_TEXT_MAX] = '\0';
    assert_int_equal(auth_parse(field, &auth), OK);
    field[7 + AUTH_TEXT_MAX] = 'a';
    field[8 + AUTH_TEXT_MAX] = '\0';
    assert_int_equal(auth_parse(field, &auth), ERR_FORBIDDEN);
}

static void test_sha256(void **state)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    char text[2 * TOKEN_HASH_BYTES + 1];

    /* FIPS 180-2 appendix B.1, and the empty message */
    auth_sha256(SPAN_LIT("abc"), hash);
    hex_encode(hash, sizeof(hash), text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    auth_sha256(span_from(NULL), hash);
    hex_encode(hash, sizeof(hash), text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_new_credential(void **state)
{
    struct credential a, b;
    char token_a[API_TOKEN_TEXT + 1], token_b[API_TOKEN_TEXT + 1];
    uint8_t hash[TOKEN_HASH_BYTES];

    auth_make_credential(&a, token_a);
    auth_make_credential(&b, token_b);
    assert_int_equal(strlen(a.api_id), API_ID_TEXT);
    assert_int_equal(strlen(token_a), API_TOKEN_TEXT);
    assert_string_not_equal(a.api_id, b.api_id);
    assert_string_not_equal(token_a, token_b);
    auth_sha256(span_from(token_a), hash);
    assert_memory_equal(hash, a.token_hash, sizeof(hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent),         cmocka_unit_test(test_basic),
        cmocka_unit_test(test_bearer),         cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_long),       cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_new_credential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
