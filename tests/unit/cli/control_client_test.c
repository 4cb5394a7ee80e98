/* control_client_test.c: what counts as a whole answer of the control socket. */
#include "cli/control_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void whole_answers_are_taken(void **state)
{
    unsigned status = 0;
    struct span body;

    assert_true(control_parse_answer(SPAN_LIT("HTTP/1.1 200 OK\r\nDate: x\r\ncontent-length:  2"
                                              "\r\nA: b:c\r\n\r\n{}"),
                                     &status, &body));
    assert_int_equal(status, 200);
    assert_true(span_eq_text(body, "{}"));
    assert_true(control_parse_answer(SPAN_LIT("HTTP/1.1 204 No Content\r\n\r\n"), &status, &body));
    assert_int_equal(status, 204);
    assert_int_equal(body.len, 0);
}

static void all_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
    };
    unsigned status;
    struct span body;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(control_parse_answer(span_from(bad[i]), &status, &body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answers_are_taken),
        cmocka_unit_test(all_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
