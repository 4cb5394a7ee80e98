/* ingest_test.c: what POST /v1/events accepts, and what it says to everything else. */
#include "hook/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

static const struct ingest_limits limits = {.max_events = 1000, .max_event_bytes = 1048576};

/* Parses a copy that ends where the memory ends, so that ASan sees a step too far; the spans of
 * the result point into *ret_copy. */
static enum err parse(struct span body, struct ingest *ret_ingest, char **ret_copy)
{
    *ret_copy = mem_alloc(body.len + (body.len == 0));
    if (body.len > 0)
        memcpy(*ret_copy, body.ptr, body.len);
    return ingest_parse(span_make(*ret_copy, body.len), &limits, ret_ingest);
}

static void assert_event(const struct ingest_event *event,
                         const char *name,
                         const char *data,
                         const char *order_key)
{
    assert_string_equal(catalogue_at((size_t)event->type)->name, name);
    assert_true(span_eq_text(event->data, data));
    assert_true(span_eq_text(event->order_key, order_key));
}

static void accepts_one(const char *body, const char *name, const char *data, const char *order_key)
{
    struct ingest ingest;
    char *copy;
    if (parse(span_from(body), &ingest, &copy) != OK)
        fail_msg("%s: %s", body, ingest.errors[0].message);
    assert_int_equal(ingest.n_events, 1);
    assert_event(&ingest.events[0], name, data, order_key);
    ingest_release(&ingest);
    free(copy);
}

static void refuses(const char *body, size_t index, size_t offset, const char *message)
{
    struct ingest ingest;
    char *copy;
    assert_int_equal(parse(span_from(body), &ingest, &copy), ERR_INVALID);
    assert_true(ingest.n_errors >= 1);
    const struct ingest_error *error = &ingest.errors[0];
    if (error->index != index || error->offset != offset || strstr(error->message, message) == NULL)
        fail_msg("%s\n-> [%zu] %zu: %s", body, error->index, error->offset, error->message);
    ingest_release(&ingest);
    free(copy);
}

static void one_event_is_accepted(void **state)
{
    accepts_one("{\"event\":\"call.created\",\"data\":{\"id\":812}}", "call.created",
                "{\"id\":812}", "812");
    accepts_one(" { \"data\" : { } , \"event\" : \"call.ended\" } \n", "call.ended", "{ }", "");
    accepts_one("{\"event\":\"call.\\u0063reated\",\"d\\u0061ta\":{\"id\":\"\\u00e9\"}}",
                "call.created", "{\"id\":\"\\u00e9\"}", "\"\\u00e9\"");
    accepts_one("{\"event\":\"user.created.v2\",\"data\":{\"x\":{\"id\":1},\"id\":2}}",
                "user.created.v2", "{\"x\":{\"id\":1},\"id\":2}", "2");
    accepts_one("{\"event\":\"topics.created\",\"data\":{\"id\":1,\"call_id\":2}}",
                "topics.created", "{\"id\":1,\"call_id\":2}", "2");
}

static void what_is_no_key_leaves_the_event_unordered(void **state)
{
    static const char *const ids[] = {"null", "true", "1.5", "1e3", "[1]", "{\"id\":1}"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char data[64], body[128];
        snprintf(data, sizeof(data), "{\"id\":%s}", ids[i]);
        snprintf(body, sizeof(body), "{\"event\":\"call.created\",\"data\":%s}", data);
        accepts_one(body, "call.created", data, "");
    }
}

static void timestamps_are_unix_seconds(void **state)
{
    struct ingest ingest;
    char *copy;
    assert_int_equal(
        parse(SPAN_LIT("{\"event\":\"call.created\",\"data\":{},\"timestamp\":0}"), &ingest, &copy),
        OK);
    assert_true(ingest.events[0].has_timestamp);
    assert_int_equal(ingest.events[0].timestamp_s, 0);
    ingest_release(&ingest);
    free(copy);
    assert_int_equal(
        parse(SPAN_LIT("{\"event\":\"call.created\",\"data\":{},\"timestamp\":253402300799}"),
              &ingest, &copy),
        OK);
    assert_int_equal(ingest.events[0].timestamp_s, INT64_C(253402300799));
    ingest_release(&ingest);
    free(copy);
    static const char *const bad[] = {"-1",   "253402300800",        "1.0", "1e3", "\"1\"",
                                      "null", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"event\":\"call.created\",\"data\":{},\"timestamp\":%s}",
                 bad[i]);
        refuses(body, 0, 46, "'timestamp' must be an integer");
    }
}

static void a_batch_is_accepted(void **state)
{
    struct ingest ingest;
    char *copy;
    assert_int_equal(
        parse(SPAN_LIT("{\"events\":[{\"event\":\"call.created\",\"data\":{\"id\":1}},"
                       "{\"event\":\"call.ended\",\"data\":{\"id\":1},\"timestamp\":5},"
                       " {\"data\":{},\"event\":\"number.opened\"} ] }"),
              &ingest, &copy),
        OK);
    assert_true(ingest.batch);
    assert_int_equal(ingest.n_events, 3);
    assert_event(&ingest.events[0], "call.created", "{\"id\":1}", "1");
    assert_event(&ingest.events[1], "call.ended", "{\"id\":1}", "1");
    assert_event(&ingest.events[2], "number.opened", "{}", "");
    assert_false(ingest.events[0].has_timestamp);
    assert_int_equal(ingest.events[1].timestamp_s, 5);
    ingest_release(&ingest);
    free(copy);
}

static void single_events_are_refused_with_reason_and_place(void **state)
{
    refuses("", 0, 0, "");
    refuses("nonsense", 0, 0, "");
    refuses("[]", 0, 0, "object");
    refuses("{}", 0, 0, "'event' is missing");
    refuses("{\"event\":\"call.created\"}", 0, 0, "'data' is missing");
    refuses("{\"data\":{}}", 0, 0, "'event' is missing");
    refuses("{\"event\":\"call.nothing\",\"data\":{}}", 0, 9, "unknown event 'call.nothing'");
    refuses("{\"event\":\"call.endd\",\"data\":{}}", 0, 9,
            "unknown event 'call.endd' (did you mean 'call.ended'?)");
    refuses("{\"event\":7,\"data\":{}}", 0, 9, "'event' must be a string");
    refuses("{\"event\":\"call.created\",\"data\":[]}", 0, 31, "'data' must be an object");
    refuses("{\"event\":\"call.created\",\"data\":null}", 0, 31, "'data' must be an object");
    refuses("{\"event\":\"call.created\",\"data\":{},\"x\":1}", 0, 34, "unknown key 'x'");
    refuses("{\"event\":\"call.created\",\"event\":\"call.ended\",\"data\":{}}", 0, 24,
            "'event' occurs twice");
    refuses("{\"event\":\"call.created\",\"data\":{\"id\":1,\"id\":2}}", 0, 31, "'id' twice");
    refuses("{\"event\":\"call.created\",\"data\":{}} x", 0, 35, "");
    refuses("{\"event\":\"call.created\",\"data\":{\"a\":}}", 0, 36, "byte 36");
    refuses("{\"event\":\"call.created\",\"data\":{\"a\":\"\xC0\x80\"}}", 0, 37, "UTF-8");
    refuses("{\"event\":\"call.created\",\"data\":{}", 0, 33, "");
}

static void batches_are_refused_with_index_and_place(void **state)
{
    refuses("{\"events\":[]}", 0, 1, "'events' is empty");
    refuses("{\"events\":{}}", 0, 10, "'events' must be an array");
    refuses("{\"events\":[1]}", 0, 11, "an event must be an object");
    refuses("{\"events\":[{\"event\":\"call.ended\",\"data\":{}}, {}]}", 1, 45,
            "'event' is missing");
    refuses("{\"events\":[{\"event\":\"call.ended\",\"data\":{}}, x]}", 1, 45, "byte 45");
    refuses("{\"events\":[{\"event\":\"call.ended\",\"data\":{}}],\"event\":\"call.ended\"}", 0, 1,
            "must stand alone");
    refuses("{\"events\":[{\"event\":\"call.ended\",\"data\":{}}],\"events\":[]}", 0, 45,
            "'events' occurs twice");
}

static void all_mistakes_of_a_batch_are_told(void **state)
{
    struct ingest ingest;
    char *copy;
    struct buf body = BUF_INIT;
    buf_add_text(&body, "{\"events\":[");
    for (int i = 0; i < 30; i++)
        buf_printf(&body, "%s{\"event\":\"%s\",\"data\":{}}", i == 0 ? "" : ",",
                   i % 2 == 0 ? "call.ended" : "wrong");
    buf_add_text(&body, "]}");
    assert_int_equal(parse(buf_span(&body), &ingest, &copy), ERR_INVALID);
    assert_int_equal(ingest.n_errors, 15);
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(ingest.errors[i].index, 2 * i + 1);
    ingest_release(&ingest);
    free(copy);
    buf_release(&body);
}

static void at_most_so_many_mistakes_are_told(void **state)
{
    struct ingest ingest;
    char *copy;
    struct buf body = BUF_INIT;
    buf_add_text(&body, "{\"events\":[");
    for (int i = 0; i < 500; i++)
        buf_add_text(&body, i == 0 ? "1" : ",1");
    buf_add_text(&body, "]}");
    assert_int_equal(parse(buf_span(&body), &ingest, &copy), ERR_INVALID);
    assert_int_equal(ingest.n_errors, INGEST_ERRORS_MAX);
    ingest_release(&ingest);
    free(copy);
    buf_release(&body);
}

static void add_batch(struct buf *body, int n)
{
    buf_add_text(body, "{\"events\":[");
    for (int i = 0; i < n; i++)
        buf_printf(body, "%s{\"event\":\"call.ended\",\"data\":{\"id\":%d}}", i == 0 ? "" : ",", i);
    buf_add_text(body, "]}");
}

static void a_batch_has_at_most_so_many_events(void **state)
{
    struct ingest ingest;
    char *copy;
    struct buf body = BUF_INIT;
    add_batch(&body, 1000);
    assert_int_equal(parse(buf_span(&body), &ingest, &copy), OK);
    assert_int_equal(ingest.n_events, 1000);
    ingest_release(&ingest);
    free(copy);
    buf_clear(&body);
    add_batch(&body, 1001);
    assert_int_equal(parse(buf_span(&body), &ingest, &copy), ERR_INVALID);
    assert_non_null(strstr(ingest.errors[0].message, "more than 1000 events"));
    ingest_release(&ingest);
    free(copy);
    buf_release(&body);
}

static void an_event_has_at_most_so_many_bytes(void **state)
{
    static const struct ingest_limits small = {.max_events = 10, .max_event_bytes = 100};
    struct buf body = BUF_INIT;
    struct ingest ingest;
    for (int batch = 0; batch < 2; batch++) {
        buf_clear(&body);
        buf_add_text(&body, batch != 0 ? "{\"events\":[" : "");
        buf_printf(&body, "{\"event\":\"call.ended\",\"data\":{\"x\":\"%0100d\"}}", 0);
        buf_add_text(&body, batch != 0 ? "]}" : "");
        assert_int_equal(ingest_parse(buf_span(&body), &small, &ingest), ERR_TOO_LARGE);
        assert_non_null(strstr(ingest.errors[0].message, "larger than 100 bytes"));
        ingest_release(&ingest);
    }
    buf_release(&body);
}

static void depth_is_bounded(void **state)
{
    struct ingest ingest;
    char *copy;
    for (int depth = 60; depth < 70; depth++) { /* of the whole document */
        struct buf body = BUF_INIT;
        buf_add_text(&body, "{\"event\":\"call.ended\",\"data\":{\"x\":");
        for (int i = 2; i < depth; i++)
            buf_add_char(&body, '[');
        for (int i = 2; i < depth; i++)
            buf_add_char(&body, ']');
        buf_add_text(&body, "}}");
        assert_int_equal(parse(buf_span(&body), &ingest, &copy), depth <= 64 ? OK : ERR_INVALID);
        ingest_release(&ingest);
        free(copy);
        buf_release(&body);
    }
}

/* Cut anywhere, it is refused and nothing is read outside. */
static void no_prefix_is_accepted(void **state)
{
    static const char whole[] = "{\"events\":[{\"event\":\"call.ended\",\"timestamp\":7,\"data\":"
                                "{\"id\":\"\\u00e9\",\"x\":[1,{}]}},{\"event\":\"call.hold\","
                                "\"data\":{}}]}";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        struct ingest ingest;
        char *copy;
        assert_int_equal(parse(span_make(whole, len), &ingest, &copy), ERR_INVALID);
        assert_true(ingest.errors[0].offset <= len);
        ingest_release(&ingest);
        free(copy);
    }
}

static void long_names_are_shown_cut_at_a_character(void **state)
{
    struct buf body = BUF_INIT;
    struct ingest ingest;
    buf_add_text(&body, "{\"event\":\"x");
    for (int i = 0; i < 200; i++)
        buf_add_text(&body, "\xE6\x9D\xB1");
    buf_add_text(&body, "\",\"data\":{}}");
    assert_int_equal(ingest_parse(buf_span(&body), &limits, &ingest), ERR_INVALID);
    assert_non_null(strstr(ingest.errors[0].message, "\xE6\x9D\xB1': GET /v1/event_types"));
    ingest_release(&ingest);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_accepted),
        cmocka_unit_test(what_is_no_key_leaves_the_event_unordered),
        cmocka_unit_test(timestamps_are_unix_seconds),
        cmocka_unit_test(a_batch_is_accepted),
        cmocka_unit_test(single_events_are_refused_with_reason_and_place),
        cmocka_unit_test(batches_are_refused_with_index_and_place),
        cmocka_unit_test(all_mistakes_of_a_batch_are_told),
        cmocka_unit_test(at_most_so_many_mistakes_are_told),
        cmocka_unit_test(a_batch_has_at_most_so_many_events),
        cmocka_unit_test(an_event_has_at_most_so_many_bytes),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(no_prefix_is_accepted),
        cmocka_unit_test(long_names_are_shown_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
