/* paging_test.c: page parameters and the links of the meta object. */
#include "api/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_http.h"

static enum err read(const char *query, struct paging *paging, struct error *error)
{
    char target[300] = "/list?";
    struct http_request *request;
    enum err code;

    strncat(target, query, sizeof(target) - 7);
    request = fake_request("GET", target, NULL);
    code = paging_read(request, paging, error);
    fake_request_free(request);
    return code;
}

static void test_defaults(void **state)
{
    struct paging paging;

    assert_int_equal(read("", &paging, NULL), OK);
    assert_int_equal(paging.page, 1);
    assert_int_equal(paging.per_page, 20);
    assert_false(paging.descending);
    assert_int_equal(paging_offset(&paging), 0);
}

static void test_values(void **state)
{
    struct paging paging;

    assert_int_equal(read("page=3&per_page=50&order=desc&from=1&to=2", &paging, NULL), OK);
    assert_int_equal(paging.page, 3);
    assert_int_equal(paging.per_page, 50);
    assert_true(paging.descending);
    assert_int_equal(paging_offset(&paging), 100);
    assert_int_equal(read("order=asc", &paging, NULL), OK);
    assert_false(paging.descending);
}

static void test_refused(void **state)
{
    static const char *const queries[] = {
        "per_page=0",     "per_page=51",   "per_page=-1",     "per_page=",
        "per_page=1.5",   "per_page=many", "per_page",        "page=0",
        "page=+1",        "page=%201",     "page=2147483648", "page=99999999999999999999",
        "order=sideways", "order="};
    struct paging paging;
    struct error error;

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        char name[20] = "";
        memcpy(name, queries[i], strcspn(queries[i], "="));
        assert_int_equal(read(queries[i], &paging, &error), ERR_INVALID);
        assert_non_null(strstr(error.message, name));
    }
}

static void
check_meta(struct paging paging, size_t count, size_t total, const char *query, const char *wanted)
{
    struct buf buf = BUF_INIT;

    paging_add_meta(&buf, &paging, count, total, "https://x.test/v1/list", query);
    assert_string_equal(buf.ptr, wanted);
    buf_release(&buf);
}

static void test_meta(void **state)
{
    check_meta((struct paging){1, 20, false}, 0, 0, "",
               "{\"count\":0,\"total\":0,\"current_page\":1,\"per_page\":20,"
               "\"next_page_link\":null,\"previous_page_link\":null}");
    check_meta((struct paging){1, 20, false}, 20, 20, "",
               "{\"count\":20,\"total\":20,\"current_page\":1,\"per_page\":20,"
               "\"next_page_link\":null,\"previous_page_link\":null}");
    check_meta((struct paging){1, 20, false}, 20, 21, "",
               "{\"count\":20,\"total\":21,\"current_page\":1,\"per_page\":20,"
               "\"next_page_link\":\"https://x.test/v1/list?page=2&per_page=20\","
               "\"previous_page_link\":null}");
    check_meta((struct paging){2, 20, false}, 1, 21, "page=2",
               "{\"count\":1,\"total\":21,\"current_page\":2,\"per_page\":20,"
               "\"next_page_link\":null,"
               "\"previous_page_link\":\"https://x.test/v1/list?page=1&per_page=20\"}");
}

static void test_links_keep_filters(void **state)
{
    check_meta((struct paging){2, 1, true}, 1, 3,
               "page=2&order=desc&&per_page=1&from=%22\"&pages=1",
               "{\"count\":1,\"total\":3,\"current_page\":2,\"per_page\":1,"
               "\"next_page_link\":\"https://x.test/v1/list?page=3&per_page=1&order=desc&"
               "from=%22\\\"&pages=1\","
               "\"previous_page_link\":\"https://x.test/v1/list?page=1&per_page=1&order=desc&"
               "from=%22\\\"&pages=1\"}");
}

static void test_behind_the_end(void **state)
{
    check_meta((struct paging){9, 2, false}, 0, 5, "",
               "{\"count\":0,\"total\":5,\"current_page\":9,\"per_page\":2,"
               "\"next_page_link\":null,"
               "\"previous_page_link\":\"https://x.test/v1/list?page=3&per_page=2\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_links_keep_filters),
        cmocka_unit_test(test_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
