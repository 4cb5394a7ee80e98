/* table_test.c: columns line up by characters, not bytes. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void columns_line_up(void **state)
{
    static const char *const heads[] = {"id", "name", "hooks"};
    static const char *const first[] = {"1", "Z\xc3\xbcrich AG", "0"};
    static const char *const second[] = {"12345", "", "7"};
    struct table table;
    struct buf text = BUF_INIT;

    table_init(&table, heads, 3);
    table_add(&table, first);
    table_add(&table, second);
    table_print(&table, &text);
    assert_string_equal(text.ptr, "id     name       hooks\n"
                                  "1      Z\xc3\xbcrich AG  0\n"
                                  "12345             7\n");
    table_release(&table);
    buf_release(&text);
}

static void last_column_is_cut_to_the_width(void **state)
{
    static const char *const heads[] = {"id", "url"};
    static const char *const row[] = {"1", "Z\xc3\xbcrich-Z\xc3\xbcrich-AG"};
    struct table table;
    struct buf text = BUF_INIT;

    table_init(&table, heads, 2);
    table_add(&table, row);
    table.width = 14;
    table_print(&table, &text);
    assert_string_equal(text.ptr, "id  url\n1   Z\xc3\xbcrich-...\n");
    buf_clear(&text);
    table.width = 11; /* less room than is worth it */
    table_print(&table, &text);
    assert_string_equal(text.ptr, "id  url\n1   Z\xc3\xbcrich-Z\xc3\xbcrich-AG\n");
    table_release(&table);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(last_column_is_cut_to_the_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
