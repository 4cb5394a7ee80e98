/* verdict_test.c: what every outcome means, and its words. */
#include "hook/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void only_2xx_is_delivered(void **state)
{
    for (unsigned status = 200; status <= 999; status++) {
        enum verdict expected = status < 300    ? VERDICT_DELIVERED
                                : status == 410 ? VERDICT_GONE
                                                : VERDICT_FAILED;
        assert_int_equal(verdict_of(HTTP_OK, status), expected);
    }
}

static void our_own_troubles_are_told_from_theirs(void **state)
{
    static const bool local[] = {
#define X(name, slug, sentence, local) local,
#include "http/client_error.def"
#undef X
    };
    for (int error = HTTP_OK + 1; error < HTTP_ERROR_COUNT; error++)
        assert_int_equal(verdict_of((enum http_error)error, 0),
                         local[error] ? VERDICT_LOCAL : VERDICT_FAILED);
}

/* A status that came before the connection broke does not make it a success. */
static void an_error_outweighs_the_status(void **state)
{
    assert_int_equal(verdict_of(HTTP_ERR_RESET, 200), VERDICT_FAILED);
}

static void
assert_text(enum http_error error, unsigned status, const char *detail, const char *expected)
{
    struct buf buf = BUF_INIT;
    verdict_text(&buf, error, status, span_from(detail));
    assert_string_equal(buf.ptr, expected);
    buf_release(&buf);
}

static void says_it_in_words(void **state)
{
    assert_text(HTTP_OK, 503, "", "HTTP 503");
    assert_text(HTTP_ERR_TIMEOUT_RESPONSE, 0, "", "time-out while waiting for the response");
    assert_text(HTTP_OK, 302, "", "HTTP 302: redirects are not followed");
    assert_text(HTTP_ERR_TLS_CERTIFICATE, 0, "self-signed certificate",
                "the certificate is not trusted: self-signed certificate");
    assert_text(HTTP_ERR_TLS_NAME, 0, "", "the certificate is for another host name");
    assert_text(HTTP_ERR_DNS, 0, "the host name does not exist", "the host name does not exist");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_2xx_is_delivered),
        cmocka_unit_test(our_own_troubles_are_told_from_theirs),
        cmocka_unit_test(an_error_outweighs_the_status),
        cmocka_unit_test(says_it_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
