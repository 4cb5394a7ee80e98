/* envelope_test.c: the bytes that go over the wire, exactly. */
#include "hook/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ulid.h"

static struct event *call_created(int64_t timestamp_s)
{
    struct event *event = event_new(1, SPAN_LIT("call.created"), SPAN_LIT("call"), SPAN_LIT("812"),
                                    timestamp_s, SPAN_LIT("{\"id\":812}"));
    struct ulid id;
    assert_true(event_id_parse(SPAN_LIT("evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"), &id));
    memcpy(event->id, id.bytes, sizeof(event->id));
    return event;
}

static void the_body_has_five_fields_in_order(void **state)
{
    struct event *event = call_created(1718000000);
    struct buf body = BUF_INIT;
    buf_add_text(&body, "left over");
    envelope_prefix(&body, event, "45XXYYZZa08");
    buf_add_span(&body, event->data);
    buf_add_text(&body, ENVELOPE_END);
    assert_string_equal(
        body.ptr, "{\"resource\":\"call\",\"event\":\"call.created\",\"timestamp\":1718000000,"
                  "\"token\":\"45XXYYZZa08\",\"data\":{\"id\":812}}");
    buf_release(&body);
    event_unref(event);
}

static void any_timestamp_is_written(void **state)
{
    static const struct {
        int64_t timestamp_s;
        const char *text;
    } cases[] = {
        {0, "\"timestamp\":0,"},
        {-1, "\"timestamp\":-1,"},
        {INT64_MAX, "\"timestamp\":9223372036854775807,"},
        {INT64_MIN, "\"timestamp\":-9223372036854775808,"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct event *event = call_created(cases[i].timestamp_s);
        struct buf body = BUF_INIT;
        envelope_prefix(&body, event, "t");
        assert_non_null(strstr(body.ptr, cases[i].text));
        buf_release(&body);
        event_unref(event);
    }
}

static void assert_head(const char *url_text, const char *begin)
{
    struct event *event = call_created(1718000000);
    struct url url;
    struct buf head = BUF_INIT;
    assert_int_equal(url_parse(span_from(url_text), &url, NULL), OK);
    struct envelope_head fields = {
        .url = &url,
        .event = event,
        .sequence = UINT64_MAX,
        .attempt = 3,
        .timestamp_s = 1718000005,
        .body_bytes = 132,
        .signature = SPAN_LIT("v1,pmC+MSRtGVHb0H8aWnQ0/unu3WY16NtnOO54EPC9mG4="),
    };
    buf_add_text(&head, "left over");
    envelope_head(&head, &fields);
    size_t begin_len = strlen(begin);
    assert_true(head.len > begin_len);
    assert_memory_equal(head.ptr, begin, begin_len);
    assert_string_equal(head.ptr + begin_len,
                        "content-type: application/json\r\n"
                        "user-agent: hookswitch/" HOOKSWITCH_VERSION "\r\n"
                        "content-length: 132\r\n"
                        "webhook-id: evt_01ARZ3NDEKTSV4RRFFQ69G5FAV\r\n"
                        "webhook-timestamp: 1718000005\r\n"
                        "webhook-signature: v1,pmC+MSRtGVHb0H8aWnQ0/unu3WY16NtnOO54EPC9mG4=\r\n"
                        "hookswitch-sequence: 18446744073709551615\r\n"
                        "hookswitch-attempt: 3\r\n"
                        "aircall-origin: webhooks\r\n"
                        "\r\n");
    buf_release(&head);
    event_unref(event);
}

static void the_head_is_complete(void **state)
{
    assert_head("https://example.com/hook?t=1&x=%20",
                "POST /hook?t=1&x=%20 HTTP/1.1\r\nhost: example.com\r\n");
    assert_head("https://Example.com:8443", "POST / HTTP/1.1\r\nhost: Example.com:8443\r\n");
    assert_head("https://example.com?x", "POST /?x HTTP/1.1\r\nhost: example.com\r\n");
    assert_head("https://[2001:db8::1]:9/#f", "POST / HTTP/1.1\r\nhost: [2001:db8::1]:9\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_has_five_fields_in_order),
        cmocka_unit_test(any_timestamp_is_written),
        cmocka_unit_test(the_head_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
