/* catalogue_test.c: the table is whole and every name can be found. */
#include "hook/catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_name_is_found_at_its_place(void **state)
{
    for (size_t i = 0; i < catalogue_size(); i++)
        assert_int_equal(catalogue_find(span_from(catalogue_at(i)->name)), i);
}

static void other_names_are_not_found(void **state)
{
    static const char *const names[] = {"",
                                        "call",
                                        "call.",
                                        "call.create",
                                        "call.created ",
                                        "Call.created",
                                        "call.unarchived",
                                        "tag.created",
                                        "user.created.v3"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(catalogue_find(span_from(names[i])), -1);
    assert_int_equal(catalogue_find(SPAN_LIT("call.created\0")), -1);
    for (unsigned i = 0; i < 10000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "call.%u", i);
        assert_int_equal(catalogue_find(span_from(name)), -1);
    }
}

static size_t count(const char *resource)
{
    size_t n = 0;
    for (size_t i = 0; i < catalogue_size(); i++)
        n += span_eq_text(span_from(resource), catalogue_at(i)->resource);
    return n;
}

static void has_every_group_whole(void **state)
{
    assert_int_equal(count("call"), 19);
    assert_int_equal(count("user"), 16);
    assert_int_equal(count("number"), 4);
    assert_int_equal(count("contact"), 3);
    assert_int_equal(count("message"), 6);
    assert_int_equal(count("integration"), 1);
    assert_int_equal(count("conversation_intelligence"), 12);
    assert_int_equal(count("ai_voice_agent"), 4);
    assert_int_equal(count("analytics"), 2);
    assert_int_equal(count("outbound_campaign"), 1);
    assert_int_equal(catalogue_size(), 68);
}

/* Names go into JSON, URLs and logs as they stand. */
static void rows_are_well_formed(void **state)
{
    for (size_t i = 0; i < catalogue_size(); i++) {
        const struct event_type *type = catalogue_at(i);
        for (const char *c = type->name; *c != '\0'; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '_' || *c == '.' || *c == '2');
        struct span words = span_from(type->description);
        assert_true(words.len > 10 && words.ptr[words.len - 1] == '.');
        assert_true(type->order_path[0] != '\0');
    }
}

static void sets_hold_what_was_added(void **state)
{
    struct event_set set = {0};
    assert_true(event_set_empty(&set));
    for (size_t i = 0; i < EVENT_SET_MAX; i += 3)
        event_set_add(&set, i);
    for (size_t i = 0; i < EVENT_SET_MAX; i++)
        assert_int_equal(event_set_has(&set, i), i % 3 == 0);
    for (size_t i = 0; i < EVENT_SET_MAX; i++)
        event_set_remove(&set, i);
    assert_true(event_set_empty(&set));
    event_set_add(&set, EVENT_SET_MAX - 1);
    assert_false(event_set_empty(&set));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_at_its_place),
        cmocka_unit_test(other_names_are_not_found),
        cmocka_unit_test(has_every_group_whole),
        cmocka_unit_test(rows_are_well_formed),
        cmocka_unit_test(sets_hold_what_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
