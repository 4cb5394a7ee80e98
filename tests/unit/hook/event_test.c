/* event_test.c: events own their texts, count their references and hash their order keys. */
#include "hook/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void copies_everything_it_is_given(void **state)
{
    char name[] = "call.created";
    char resource[] = "call";
    char key[] = "812";
    char data[] = "{\"id\":812}";
    struct event *event = event_new(7, span_from(name), span_from(resource), span_from(key),
                                    1718000000, span_from(data));
    memset(name, 'x', sizeof(name) - 1);
    memset(resource, 'x', sizeof(resource) - 1);
    memset(key, 'x', sizeof(key) - 1);
    memset(data, 'x', sizeof(data) - 1);
    assert_true(span_eq_text(event->name, "call.created"));
    assert_true(span_eq_text(event->resource, "call"));
    assert_true(span_eq_text(event->order_key, "812"));
    assert_true(span_eq_text(event->data, "{\"id\":812}"));
    assert_int_equal(event->company, 7);
    assert_int_equal(event->timestamp_s, 1718000000);
    assert_int_equal(event->seq, 0);
    assert_int_equal(event->accepted_at, 0);
    assert_int_equal(event->n_targets, 0);
    assert_true(event->bytes >= sizeof(*event) + 12 + 4 + 3 + 10);
    event_unref(event);
}

static void lives_until_the_last_reference_goes(void **state)
{
    struct event *event =
        event_new(1, SPAN_LIT("a.b"), SPAN_LIT("a"), SPAN_LIT(""), 0, SPAN_LIT("{}"));
    assert_ptr_equal(event_ref(event), event);
    event_unref(event);
    assert_true(span_eq_text(event->data, "{}"));
    event_unref(event);
    event_unref(NULL);
}

static void targets_are_copied_replaced_and_weighed(void **state)
{
    struct event *event =
        event_new(1, SPAN_LIT("a.b"), SPAN_LIT("a"), SPAN_LIT(""), 0, SPAN_LIT("{}"));
    size_t bytes = event->bytes;
    struct event_target targets[3] = {{1, 10}, {2, 20}, {3, 30}};
    event_set_targets(event, targets, 3);
    targets[1].sequence = 99;
    assert_int_equal(event->n_targets, 3);
    assert_int_equal(event->targets[1].webhook, 2);
    assert_int_equal(event->targets[1].sequence, 20);
    assert_int_equal(event->bytes, bytes + sizeof(targets));
    event_set_targets(event, targets, 1);
    assert_int_equal(event->n_targets, 1);
    assert_int_equal(event->bytes, bytes + sizeof(targets[0]));
    event_set_targets(event, NULL, 0);
    assert_null(event->targets);
    assert_int_equal(event->bytes, bytes);
    event_unref(event);
}

static void the_order_hash_tells_resources_and_keys_apart(void **state)
{
    uint64_t hash = event_order_hash(SPAN_LIT("call"), SPAN_LIT("812"));
    assert_int_equal(hash, event_order_hash(SPAN_LIT("call"), SPAN_LIT("812")));
    assert_int_not_equal(hash, 0);
    assert_int_not_equal(hash, event_order_hash(SPAN_LIT("call"), SPAN_LIT("813")));
    assert_int_not_equal(hash, event_order_hash(SPAN_LIT("user"), SPAN_LIT("812")));
    assert_int_not_equal(hash, event_order_hash(SPAN_LIT("call8"), SPAN_LIT("12")));
    assert_int_not_equal(hash, event_order_hash(SPAN_LIT("call"), SPAN_LIT("\"812\"")));
    assert_int_equal(event_order_hash(SPAN_LIT("call"), SPAN_LIT("")), 0);
}

/* It is stored in the log: a change would break the order of what is owed across an upgrade. */
static void the_order_hash_never_changes(void **state)
{
    assert_int_equal(event_order_hash(SPAN_LIT("call"), SPAN_LIT("812")),
                     UINT64_C(0x41d5c349fb051702));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_everything_it_is_given),
        cmocka_unit_test(lives_until_the_last_reference_goes),
        cmocka_unit_test(targets_are_copied_replaced_and_weighed),
        cmocka_unit_test(the_order_hash_tells_resources_and_keys_apart),
        cmocka_unit_test(the_order_hash_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
