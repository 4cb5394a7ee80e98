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

static void every_outcome_has_its_signal(void **state)
{
    static const struct {
        unsigned status;
        enum signal_kind signal;
    } answers[] = {
        {200, SIGNAL_GOOD},    {204, SIGNAL_GOOD},    {301, SIGNAL_GOOD},    {404, SIGNAL_GOOD},
        {499, SIGNAL_GOOD},    {410, SIGNAL_NONE},    {429, SIGNAL_SUSPEND}, {503, SIGNAL_SUSPEND},
        {502, SIGNAL_BAD},     {504, SIGNAL_BAD},     {500, SIGNAL_NEUTRAL}, {501, SIGNAL_NEUTRAL},
        {505, SIGNAL_NEUTRAL}, {999, SIGNAL_NEUTRAL},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        assert_int_equal(signal_of(HTTP_OK, answers[i].status), answers[i].signal);
    for (int number = HTTP_OK + 1; number < HTTP_ERROR_COUNT; number++) {
        enum http_error error = (enum http_error)number;
        enum signal_kind expected = SIGNAL_COHORT;
        if (http_error_is_local(error) || error == HTTP_ERR_ADDRESS_REFUSED)
            expected = SIGNAL_NONE;
        if (error == HTTP_ERR_MALFORMED || error == HTTP_ERR_HEAD_TOO_LARGE)
            expected = SIGNAL_BAD;
        assert_int_equal(signal_of(error, 200), expected);
    }
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
        cmocka_unit_test(every_outcome_has_its_signal),
        cmocka_unit_test(says_it_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
