/* router_test.c: patterns, parameters, methods. */
#include "api/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUTE(method, pattern)                                     \
    {                                                              \
        HTTP_##method, pattern, NULL, ROUTE_OPEN, ROUTE_NONE, NULL \
    }
static const struct route routes[] = {
    ROUTE(GET, "/"),           ROUTE(GET, "/things"),        ROUTE(POST, "/things"),
    ROUTE(PUT, "/things/:id"), ROUTE(DELETE, "/things/:id"), ROUTE(GET, "/things/:id/parts/:part"),
};

static struct route_match match;

static enum err find(enum http_method method, const char *path)
{
    return router_match(routes, sizeof(routes) / sizeof(routes[0]), method, span_from(path),
                        &match);
}

static void test_finds(void **state)
{
    assert_int_equal(find(HTTP_GET, "/"), OK);
    assert_ptr_equal(match.route, &routes[0]);
    assert_int_equal(find(HTTP_POST, "/things"), OK);
    assert_ptr_equal(match.route, &routes[2]);
    assert_int_equal(find(HTTP_DELETE, "/things/%41x"), OK);
    assert_true(span_eq_text(match.params[0], "%41x"));
    assert_int_equal(find(HTTP_GET, "/things/a/parts/b.c"), OK);
    assert_true(span_eq_text(match.params[0], "a"));
    assert_true(span_eq_text(match.params[1], "b.c"));
}

static void test_head_is_get(void **state)
{
    assert_int_equal(find(HTTP_HEAD, "/things"), OK);
    assert_ptr_equal(match.route, &routes[1]);
}

static void test_unknown(void **state)
{
    static const char *const paths[] = {"",
                                        "/x",
                                        "/thing",
                                        "/thingsx",
                                        "/things/",
                                        "/things//",
                                        "/things//parts/x",
                                        "//",
                                        "/things/a/",
                                        "/things/a/parts",
                                        "/things/a/parts/",
                                        "/things/a/parts/b/c",
                                        "/%74hings",
                                        "things",
                                        "/THINGS"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (find(HTTP_GET, paths[i]) != ERR_NOT_FOUND)
            fail_msg("'%s' was found", paths[i]);
}

static void test_wrong_method(void **state)
{
    struct buf allow = BUF_INIT;

    assert_int_equal(find(HTTP_DELETE, "/things"), ERR_METHOD);
    router_add_allow(&allow, match.methods);
    assert_string_equal(allow.ptr, "GET, HEAD, POST");
    buf_clear(&allow);
    assert_int_equal(find(HTTP_OTHER, "/things/a"), ERR_METHOD);
    assert_ptr_equal(match.route, &routes[3]);
    router_add_allow(&allow, match.methods);
    assert_string_equal(allow.ptr, "PUT, DELETE");
    buf_release(&allow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_head_is_get),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_wrong_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
