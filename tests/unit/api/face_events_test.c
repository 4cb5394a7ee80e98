/* face_events_test.c: events in, and the delivery log. */
#include "face.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth.h"

#define ONE "{\"event\":\"call.created\",\"data\":{\"id\":1,\"n\":1.50}}"

static void test_ingest(void **state)
{
    struct face *face = *state;

    call(face, "POST", "/v1/events", ONE, 202);
    assert_string_equal(face->request->answer.ptr,
                        "{\"events\":[{\"id\":\"evt_00000000000000000000000000\"}]}");
    const struct event *event = face->engine->events[0];
    assert_true(span_eq_text(event->name, "call.created"));
    assert_true(span_eq_text(event->data, "{\"id\":1,\"n\":1.50}"));
    assert_true(span_eq_text(event->order_key, "1"));
    assert_true(event->timestamp_s > 1700000000);
    assert_int_equal(event->company, 1);
    call(face, "POST", "/v1/events",
         "{\"events\":[" ONE ",{\"event\":\"call.ended\",\"data\":{},\"timestamp\":5}]}", 202);
    assert_string_equal(face->request->answer.ptr,
                        "{\"events\":[{\"id\":\"evt_00000000000000000000000000\"},"
                        "{\"id\":\"evt_00000000000000000000000001\"}]}");
    assert_int_equal(face->engine->events[1]->timestamp_s, 5);
}

static void test_ingest_refused(void **state)
{
    struct face *face = *state;

    refused(face, "POST", "/v1/events", NULL, 400, "empty");
    refused(face, "POST", "/v1/events", "{\"event\":\"call.created\",\"data\":[]}", 400, "byte ");
    refused(face, "POST", "/v1/events",
            "{\"events\":[" ONE ",{\"event\":\"x\",\"data\":{}},{\"event\":\"y\",\"data\":{}}]}",
            400, "events[1]: byte ");
    const json_t *errors = json_object_get(face->answer, "errors");
    assert_int_equal(json_array_size(errors), 2);
    assert_int_equal(number_of(json_array_get(errors, 1), "index"), 2);
    assert_true(number_of(json_array_get(errors, 1), "offset") > 0);
    assert_non_null(strstr(text_of(face->answer, "troubleshoot"), "first of 2 errors"));
    assert_null(face->engine->ingest);
}

static void test_ingest_outcomes(void **state)
{
    static const struct {
        enum err code;
        unsigned status;
        const char *retry;
    } rows[] = {{ERR_CONFLICT, 409, NULL},
                {ERR_LIMIT, 429, "1"},
                {ERR_FULL, 507, NULL},
                {ERR_SHUTDOWN, 503, "1"}};
    struct face *face = *state;

    face->engine->message = "because";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        face->engine->code = rows[i].code;
        refused(face, "POST", "/v1/events", ONE, rows[i].status, "because");
        const char *retry = fake_answer_field(face->request, "Retry-After");
        assert_int_equal(retry != NULL, rows[i].retry != NULL);
        if (retry != NULL)
            assert_string_equal(retry, rows[i].retry);
    }
}

static void post_keyed(struct face *face, const char *key, const char *body, unsigned status)
{
    struct http_request *request = fake_request("POST", "/v1/events", body);

    forget(face);
    fake_request_field(request, "Authorization", face->basic);
    fake_request_field(request, "Idempotency-Key", key);
    send_request(face, request);
    if (!face->engine->hold)
        read_answer(face, status);
}

static void test_idempotency_key(void **state)
{
    struct face *face = *state;
    char key[300];
    uint8_t hash[TOKEN_HASH_BYTES];

    post_keyed(face, "", ONE, 400);
    post_keyed(face, "a b", ONE, 400);
    post_keyed(face, "k\xc3\xa4", ONE, 400);
    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    post_keyed(face, key, ONE, 400);
    key[255] = '\0';
    post_keyed(face, key, ONE, 202);
    face->engine->hold = true;
    post_keyed(face, "k1", ONE, 0);
    assert_int_equal(face->request->answers, 0);
    assert_true(face->engine->ingest->keyed);
    auth_sha256(SPAN_LIT("k1"), hash);
    assert_memory_equal(face->engine->ingest->key_hash, hash, KEY_HASH_BYTES);
    auth_sha256(SPAN_LIT(ONE), hash);
    assert_memory_equal(face->engine->ingest->body_hash, hash, KEY_HASH_BYTES);
    face->engine->ingest->replayed = true;
    fake_engine_finish(face->engine);
    read_answer(face, 202);
    assert_string_equal(fake_answer_field(face->request, "Idempotency-Replayed"), "true");
}

static void test_event_types(void **state)
{
    struct face *face = *state;

    call(face, "GET", "/v1/event_types", NULL, 200);
    const json_t *types = json_object_get(face->answer, "event_types");
    assert_int_equal(json_array_size(types), catalogue_size());
    assert_int_equal(json_object_size(json_array_get(types, 0)), 3);
}

/* --- the log --- */

static struct event *make_event(uint32_t company, uint32_t webhook)
{
    struct event_target targets[] = {{webhook, 42}, {999, 1}};
    struct event *event = event_new(company, SPAN_LIT("call.created"), SPAN_LIT("call"),
                                    SPAN_LIT("1"), 1700000000, SPAN_LIT("{\"id\": 1.50}"));

    event->id[15] = 7;
    event->accepted_at = 1700000000001;
    event_set_targets(event, targets, 2);
    return event;
}

#define EVENT_PATH    "/v1/events/evt_00000000000000000000000007"
#define DELIVERY_PATH "/v1/deliveries/dlv_00000000000000000000000007-"

static void test_event(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80];

    make(face, uuid, number);
    struct event *event = make_event(1, (uint32_t)atoi(strrchr(number, '/') + 1));
    face->engine->event = event;
    face->engine->delivery_status = DELIVERY_HELD;
    call(face, "GET", EVENT_PATH, NULL, 200);
    assert_string_equal(text_of(face->answer, "id"), "evt_00000000000000000000000007");
    assert_string_equal(text_of(face->answer, "event"), "call.created");
    assert_string_equal(text_of(face->answer, "created_at"), "2023-11-14T22:13:20.001Z");
    assert_int_equal(number_of(face->answer, "owed_to"), 2);
    assert_non_null(strstr(face->request->answer.ptr, "\"data\":{\"id\": 1.50}}"));
    const json_t *list = json_object_get(face->answer, "deliveries");
    assert_string_equal(text_of(json_array_get(list, 0), "webhook_id"), strrchr(uuid, '/') + 1);
    assert_string_equal(text_of(json_array_get(list, 0), "status"), "held");
    assert_true(json_is_null(json_object_get(json_array_get(list, 1), "webhook_id")));
    call_as(face, face->bearer, "GET", EVENT_PATH, NULL, 404);
    refused(face, "GET", "/v1/events/evt_nonsense", NULL, 404, "evt_nonsense");
    event_unref(event);
}

static void test_missed_events(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80], target[300];

    make(face, uuid, number);
    struct event *event = make_event(1, 3);
    face->engine->event = event;
    (void)snprintf(target, sizeof(target), "%s/events", uuid);
    call(face, "GET", target, NULL, 200);
    const json_t *list = json_object_get(face->answer, "events");
    assert_int_equal(json_array_size(list), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "sequence")), 1);
    assert_non_null(json_object_get(json_array_get(list, 0), "data"));
    assert_true(json_is_true(json_object_get(json_array_get(list, 1), "gone")));
    assert_null(json_object_get(json_array_get(list, 1), "data"));
    assert_int_equal(json_integer_value(json_object_get(face->answer, "last")), 3);
    assert_true(json_is_null(json_object_get(face->answer, "next")));
    (void)snprintf(target, sizeof(target), "%s/events?after=2&limit=1", uuid);
    call(face, "GET", target, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(face->answer, "events")), 1);
    event_unref(event);
}

static void test_deliveries(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80], target[300];

    make(face, uuid, number);
    struct event *event = make_event(1, 3);
    face->engine->event = event;
    face->engine->next = 42;
    (void)snprintf(target, sizeof(target), "%s/deliveries", uuid);
    call(face, "GET", target, NULL, 200);
    const json_t *list = json_object_get(face->answer, "deliveries");
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(json_object_size(json_array_get(list, 0)), 7);
    assert_int_equal(face->engine->query.limit, 50);
    assert_int_equal(face->engine->query.status, -1);
    assert_int_equal(face->engine->query.event_type, -1);
    (void)snprintf(target, sizeof(target),
                   "%s/deliveries?status=held&event=call.ended&limit=200&before=%s", uuid,
                   text_of(face->answer, "next"));
    face->engine->next = 0;
    call(face, "GET", target, NULL, 200);
    assert_int_equal(face->engine->query.before, 42);
    assert_int_equal(face->engine->query.status, DELIVERY_HELD);
    assert_int_equal(face->engine->query.event_type, catalogue_find(SPAN_LIT("call.ended")));
    assert_true(json_is_null(json_object_get(face->answer, "next")));
    static const char *const bad[] = {"status=lost", "limit=0",         "limit=201",
                                      "event=x",     "before=nonsense", "before=s0000000000000000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(target, sizeof(target), "%s/deliveries?%s", uuid, bad[i]);
        char name[20] = "";
        memcpy(name, bad[i], strcspn(bad[i], "="));
        refused(face, "GET", target, NULL, 400, name);
    }
    event_unref(event);
}

static void test_retry(void **state)
{
    static const struct {
        enum err code;
        unsigned status;
        const char *says;
    } cases[] = {
        {ERR_CONFLICT, 409, "inactive"}, {ERR_BUSY, 503, "again"}, {ERR_NOT_FOUND, 404, ""}};
    struct face *face = *state;
    char uuid[80], number[80], target[200];

    make(face, uuid, number);
    struct event *event = make_event(1, 3);
    face->engine->event = event;
    (void)snprintf(target, sizeof(target), DELIVERY_PATH "%s/retry", strrchr(number, '/') + 1);
    call(face, "POST", target, NULL, 202);
    assert_string_equal(text_of(face->answer, "status"), "retrying");
    assert_int_equal(face->engine->retried, 42);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        face->engine->retry_code = cases[i].code;
        refused(face, "POST", target, NULL, cases[i].status, cases[i].says);
    }
    face->engine->retried = 0;
    call_as(face, face->bearer, "POST", target, NULL, 404);
    refused(face, "POST", "/v1/deliveries/nonsense/retry", NULL, 404, "nonsense");
    assert_int_equal(face->engine->retried, 0);
    event_unref(event);
}

static void test_delivery(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80], target[200];

    make(face, uuid, number);
    struct event *event = make_event(1, 3);
    face->engine->event = event;
    face->engine->attempt = (struct attempt){.number = 1,
                                             .started_at = 1700000000002,
                                             .outcome = OUTCOME_RETRY,
                                             .due_at = 1700000005002,
                                             .http_status = 503,
                                             .counted = true,
                                             .dns_us = 1,
                                             .total_us = 20160,
                                             .body = SPAN_LIT("down \xff")};
    (void)snprintf(target, sizeof(target), DELIVERY_PATH "%s", strrchr(number, '/') + 1);
    call(face, "GET", target, NULL, 200);
    assert_string_equal(text_of(face->answer, "webhook_id"), strrchr(uuid, '/') + 1);
    assert_int_equal(number_of(face->answer, "sequence"), 42);
    const json_t *attempt = json_array_get(json_object_get(face->answer, "attempt_log"), 0);
    assert_int_equal(number_of(attempt, "status"), 503);
    assert_string_equal(text_of(attempt, "outcome"), "retry");
    assert_true(json_is_null(json_object_get(attempt, "error")));
    assert_string_equal(text_of(attempt, "reason"), "HTTP 503");
    assert_string_equal(text_of(attempt, "request"), "POST / HTTP/1.1\r\n\r\n");
    assert_string_equal(text_of(attempt, "response_body"), "down \xef\xbf\xbd");
    assert_string_equal(text_of(attempt, "next_attempt_at"), "2023-11-14T22:13:25.002Z");
    assert_int_equal(number_of(json_object_get(attempt, "timings"), "total"), 20160);
    call_as(face, face->bearer, "GET", target, NULL, 404);
    refused(face, "GET", "/v1/deliveries/nonsense", NULL, 404, "nonsense");
    face->engine->event = NULL;
    refused(face, "GET", target, NULL, 404, "there is no delivery");
    event_unref(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACE_CASE(test_ingest),          FACE_CASE(test_ingest_refused),
        FACE_CASE(test_ingest_outcomes), FACE_CASE(test_idempotency_key),
        FACE_CASE(test_event_types),     FACE_CASE(test_event),
        FACE_CASE(test_missed_events),   FACE_CASE(test_deliveries),
        FACE_CASE(test_delivery),        FACE_CASE(test_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
