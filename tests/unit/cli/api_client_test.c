/* api_client_test.c: base URLs, credentials, and what refusals say. No network. */
#include "cli/api_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void base_urls_lose_their_end(void **state)
{
    static const char *const rows[][2] = {
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080"},
        {"https://hooks.example.com/v1", "https://hooks.example.com"},
        {"https://hooks.example.com/v1/", "https://hooks.example.com"},
        {"https://example.com/hooks/", "https://example.com/hooks"},
        {"http://[::1]:8080", "http://[::1]:8080"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {OK, ERROR_NO_OFFSET, ""};
        struct buf url = BUF_INIT;
        assert_int_equal(api_base_url(rows[i][0], &url, &error), OK);
        assert_string_equal(url.ptr, rows[i][1]);
        buf_release(&url);
    }
}

static void what_is_no_base_url_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "127.0.0.1:8080",
        "example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "https://me:secret@example.com",
        "https://me@example.com",
        "https://example.com/?a=b",
        "https://example.com/#here",
        "http://exa mple.com",
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {OK, ERROR_NO_OFFSET, ""};
        struct buf url = BUF_INIT;
        if (api_base_url(rows[i], &url, &error) != ERR_USAGE)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(url.len, 0);
        assert_null(strstr(error.message, "secret"));
        buf_release(&url);
    }
}

static enum err check(const char *api_id, const char *token)
{
    struct api_target target = {.url = "http://h", .api_id = api_id, .token = token};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    enum err err = api_check_credentials(&target, &error);

    /* The message may be logged: it repeats no token. */
    if (token != NULL && token[0] != '\0')
        assert_null(strstr(error.message, token));
    return err;
}

static void credentials_are_visible_text(void **state)
{
    assert_int_equal(check("abc", "0123"), OK);
    assert_int_equal(check(NULL, "0123"), OK);
    assert_int_equal(check("abc", NULL), ERR_USAGE);
    assert_int_equal(check("abc", ""), ERR_USAGE);
    assert_int_equal(check("abc", "01\r\nHost: x"), ERR_USAGE);
    assert_int_equal(check("a:b", "0123"), ERR_USAGE);
    assert_int_equal(check("a b", "0123"), ERR_USAGE);
}

static void assert_refusal(long status, const char *body, enum err code, const char *words)
{
    struct error error = {OK, ERROR_NO_OFFSET, ""};

    assert_int_equal(api_refusal(status, span_from(body), "http://h", &error), code);
    assert_int_equal(error.code, code);
    if (strstr(error.message, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
}

static void refusals_say_what_to_do(void **state)
{
    assert_refusal(400,
                   "{\"error\":\"Bad Request\",\"troubleshoot\":\"'url' is missing\","
                   "\"success\":false}",
                   ERR_INVALID, "'url' is missing");
    assert_refusal(404, "{\"troubleshoot\":\"there is no webhook '9'\"}", ERR_NOT_FOUND,
                   "no webhook '9'");
    assert_refusal(401, "{\"message\":\"Unauthorized\"}", ERR_UNAUTHENTICATED,
                   "HOOKSWITCH_API_TOKEN");
    assert_refusal(403, "{\"message\":\"Forbidden\"}", ERR_FORBIDDEN, "HOOKSWITCH_API_ID");
    assert_refusal(404, "{\"message\":\"Not Found\"}", ERR_NOT_FOUND, "Hookswitch server");
    assert_refusal(302, "", ERR_IO, "redirect");
    assert_refusal(502, "<html>Bad Gateway</html>", ERR_IO, "HTTP 502");
    assert_refusal(507, "{\"troubleshoot\":7}", ERR_FULL, "HTTP 507");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_urls_lose_their_end),
        cmocka_unit_test(what_is_no_base_url_is_refused),
        cmocka_unit_test(credentials_are_visible_text),
        cmocka_unit_test(refusals_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
