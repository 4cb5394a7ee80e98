/* webhook_test.c: copies, subscriptions, texts and names of webhooks. */
#include "hook/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void a_copy_owns_its_texts(void **state)
{
    struct webhook webhook = {.number = 5, .url = mem_strdup("https://example.com/"), .epoch = 3};
    struct webhook copy;
    webhook_copy(&webhook, &copy);
    assert_int_equal(copy.number, 5);
    assert_int_equal(copy.epoch, 3);
    assert_ptr_not_equal(copy.url, webhook.url);
    assert_string_equal(copy.url, webhook.url);
    assert_null(copy.custom_name);
    webhook_release(&webhook);
    assert_null(webhook.url);
    webhook_release(&webhook);
    copy.custom_name = mem_strdup("My hook");
    webhook_copy(&copy, &webhook);
    assert_string_equal(webhook.custom_name, "My hook");
    webhook_release(&copy);
    webhook_release(&webhook);
}

static void wants_what_it_subscribed_to(void **state)
{
    struct webhook webhook = {.all_events = true};
    assert_true(webhook_wants(&webhook, 0));
    assert_true(webhook_wants(&webhook, EVENT_SET_MAX - 1));
    webhook.all_events = false;
    assert_false(webhook_wants(&webhook, 0));
    event_set_add(&webhook.events, 7);
    assert_true(webhook_wants(&webhook, 7));
    assert_false(webhook_wants(&webhook, 8));
}

static void writes_its_ids(void **state)
{
    struct webhook webhook = {.uuid = {0xa5, 0x32, 0x1f, 0x51, 0x8e, 0x05, 0x48, 0x2a, 0xb2, 0xd2,
                                       0xa2, 0x59, 0x6d, 0x6e, 0x54, 0x7f}};
    char uuid[WEBHOOK_UUID_TEXT + 1], secret[WEBHOOK_SECRET_TEXT + 1];
    webhook_uuid_text(&webhook, uuid);
    assert_string_equal(uuid, "a5321f51-8e05-482a-b2d2-a2596d6e547f");
    memset(webhook.secret, 'Z', sizeof(webhook.secret));
    webhook_secret_text(&webhook, secret);
    assert_string_equal(secret, "whsec_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=");
}

static void accepts_name(const char *name)
{
    struct error error;
    assert_int_equal(webhook_check_name(span_from(name), &error), OK);
}

static void refuses_name(struct span name, size_t offset, const char *message)
{
    struct error error;
    assert_int_equal(webhook_check_name(name, &error), ERR_INVALID);
    assert_int_equal(error.offset, offset);
    assert_non_null(strstr(error.message, message));
}

static void names_are_text_on_one_line(void **state)
{
    char name[256 * 4 + 1] = "";
    accepts_name("");
    accepts_name("Webhook");
    accepts_name("Zo\xC3\xAB \xE2\x80\x94 \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x93\x9E \xC2\xA0");
    for (int i = 0; i < 255; i++)
        strcat(name, "\xF0\x9F\x93\x9E");
    accepts_name(name);
    strcat(name, "x");
    refuses_name(span_from(name), ERROR_NO_OFFSET, "256 characters long: at most 255");
    refuses_name(SPAN_LIT("a\nb"), 1, "control character at byte 1");
    refuses_name(SPAN_LIT("a\tb"), 1, "control");
    refuses_name(SPAN_LIT("ab\0"), 2, "control");
    refuses_name(SPAN_LIT("\x7F"), 0, "control");
    refuses_name(SPAN_LIT("abc\xC2\x85"), 3, "control");
    refuses_name(SPAN_LIT("abc\xC2"), 3, "not valid UTF-8 at byte 3");
    refuses_name(SPAN_LIT("\xED\xA0\x80"), 0, "not valid UTF-8");
    refuses_name(SPAN_LIT("\xC0\x80"), 0, "not valid UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_owns_its_texts),
        cmocka_unit_test(wants_what_it_subscribed_to),
        cmocka_unit_test(writes_its_ids),
        cmocka_unit_test(names_are_text_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
