/* face_webhooks_test.c: /v1/webhooks. */
#include "face.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_create(void **state)
{
    struct face *face = *state;
    static const char *const names[] = {"webhook_id", "id",    "direct_link", "created_at", "url",
                                        "active",     "token", "custom_name", "events"};

    call(face, "POST", "/v1/webhooks",
         "{\"url\":\"https://example.com/hook?a=b\",\"events\":[\"call.ended\",\"call.created\"],"
         "\"token\":\"mine\",\"x\":[1]}",
         201);
    const json_t *webhook = webhook_of(face);
    assert_int_equal(json_object_size(webhook), 9);
    for (size_t i = 0; i < 9; i++)
        assert_non_null(json_object_get(webhook, names[i]));
    assert_string_equal(text_of(webhook, "url"), "https://example.com/hook?a=b");
    assert_string_equal(text_of(webhook, "custom_name"), "Webhook");
    assert_string_equal(text_of(webhook, "created_at"), "2023-11-14T22:13:20.123Z");
    assert_true(json_is_true(json_object_get(webhook, "active")));
    assert_int_equal(json_array_size(json_object_get(webhook, "events")), 2);
    char link[200];
    (void)snprintf(link, sizeof(link), "http://x.test:8080/v1/webhooks/%s",
                   text_of(webhook, "webhook_id"));
    assert_string_equal(text_of(webhook, "direct_link"), link);
}

static void test_create_all_events(void **state)
{
    static const char *const bodies[] = {
        URL_BODY, "{\"url\":\"https://example.com/\",\"events\":[]}",
        "{\"url\":\"https://example.com/\",\"events\":null,\"custom_name\":null,\"active\":null}"};
    struct face *face = *state;

    for (size_t i = 0; i < 3; i++) {
        call(face, "POST", "/v1/webhooks", bodies[i], 201);
        assert_int_equal(json_array_size(json_object_get(webhook_of(face), "events")),
                         catalogue_size());
        assert_int_equal(face->engine->patch.events_action, PATCH_EVENTS_ALL);
    }
}

static void test_create_refused(void **state)
{
    static const struct {
        const char *body;
        const char *word;
    } rows[] = {
        {"{}", "'url' is missing"},
        {"{\"url\":null}", "'url' is missing"},
        {"{\"url\":5}", "'url' is a number"},
        {"{\"url\":\"\"}", "url"},
        {"{\"url\":\"http://example.com/\"}", "https"},
        {"{\"url\":\"https://localhost/\"}", "localhost"},
        {"{\"url\":\"https://0x7f.1/\"}", "127.0.0.1"},
        {"{\"url\":\"https://e.com/\",\"events\":\"call.created\"}", "'events' is a string"},
        {"{\"url\":\"https://e.com/\",\"events\":[\"call.created\",5]}", "item 2 of 'events'"},
        {"{\"url\":\"https://e.com/\",\"events\":[\"call.creatde\"]}", "'call.created'?"},
        {"{\"url\":\"https://e.com/\",\"events\":[\"a.b\",\"c.d\"]}", "'a.b', 'c.d'"},
        {"{\"url\":\"https://e.com/\",\"custom_name\":[]}", "'custom_name' is an array"},
        {"{\"url\":\"https://e.com/\",\"custom_name\":\"a\\nb\"}", "'custom_name'"},
        {"{\"url\":\"https://e.com/\",\"active\":\"yes\"}", "'active' is a string"},
        {"{\"url\":\"https://e.com/\",\"url\":\"https://f.com/\"}", "line 1"},
        {"{\"url\":", "line 1"},
        {"[]", "an array"},
        {"5", "a number"},
        {NULL, "empty"},
    };
    struct face *face = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(face, "POST", "/v1/webhooks", rows[i].body, 400, rows[i].word);
    assert_int_equal(registry_webhook_count(face->engine->registry, 1), 0);
}

static void test_change_failures(void **state)
{
    static const struct {
        enum err code;
        unsigned status;
    } rows[] = {{ERR_INVALID, 400}, {ERR_LIMIT, 400},    {ERR_EXISTS, 400},
                {ERR_FULL, 507},    {ERR_SHUTDOWN, 503}, {ERR_STORE, 500}};
    struct face *face = *state;

    face->engine->message = "secret path of the disk";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        face->engine->code = rows[i].code;
        refused(face, "POST", "/v1/webhooks", URL_BODY, rows[i].status,
                rows[i].status == 500 ? "log" : "secret path");
    }
    face->engine->code = OK;
    call(face, "POST", "/v1/webhooks", URL_BODY, 201);
    char target[80];
    (void)snprintf(target, sizeof(target), "/v1/webhooks/%d",
                   (int)number_of(webhook_of(face), "id"));
    face->engine->code = ERR_NOT_FOUND;
    refused(face, "DELETE", target, NULL, 404, "there is no webhook");
}

static void test_retrieve(void **state)
{
    static const char *const unknown[] = {
        "/v1/webhooks/00000000-0000-4000-8000-000000000000",
        "/v1/webhooks/12345",
        "/v1/webhooks/99999999999999999999",
        "/v1/webhooks/4294967297",
        "/v1/webhooks/-1",
        "/v1/webhooks/03",
        "/v1/webhooks/%31",
        "/v1/webhooks/x/secret",
        "/v1/webhooks/x/status",
        "/v1/webhooks/x/deliveries",
    };
    struct face *face = *state;
    char uuid[80], number[80], secret[100];

    make(face, uuid, number);
    call(face, "GET", uuid, NULL, 200);
    call(face, "GET", number, NULL, 200);
    (void)webhook_of(face);
    (void)snprintf(secret, sizeof(secret), "%s/secret", number);
    call(face, "GET", secret, NULL, 200);
    assert_true(span_starts(span_from(text_of(face->answer, "secret")), "whsec_"));
    call_as(face, face->bearer, "GET", uuid, NULL, 404);
    call_as(face, face->bearer, "DELETE", number, NULL, 404);
    call_as(face, face->bearer, "PUT", number, "{}", 404);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        refused(face, "GET", unknown[i], NULL, 404, "there is no webhook");
        assert_string_equal(text_of(face->answer, "error"), "Not Found");
    }
}

static void test_update(void **state)
{
    static const struct {
        const char *query;
        const char *body;
        enum patch_events action;
        int active;
    } rows[] = {
        {"", "{}", PATCH_EVENTS_ALL, -1},
        {"", "{\"active\":true}", PATCH_EVENTS_ALL, 1},
        {"", "{\"active\":false,\"events\":[]}", PATCH_EVENTS_ALL, 0},
        {"", "{\"events\":[\"call.ended\"]}", PATCH_EVENTS_REPLACE, -1},
        {"?events_action=add", "{\"events\":[\"call.ended\"]}", PATCH_EVENTS_ADD, -1},
        {"?events_action=remove", "{\"events\":[\"call.ended\"]}", PATCH_EVENTS_REMOVE, -1},
        {"?events_action=add", "{\"active\":true}", PATCH_EVENTS_KEEP, 1},
        {"?events_action=remove", "{\"events\":[]}", PATCH_EVENTS_KEEP, -1},
    };
    struct face *face = *state;
    char uuid[80], number[80], target[140];

    make(face, uuid, number);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(target, sizeof(target), "%s%s", i % 2 == 0 ? uuid : number, rows[i].query);
        call(face, i % 3 == 0 ? "POST" : "PUT", target, rows[i].body, 200);
        assert_int_equal(face->engine->kind, CHANGE_WEBHOOK_UPDATE);
        assert_int_equal(face->engine->patch.events_action, rows[i].action);
        assert_int_equal(face->engine->patch.active, rows[i].active);
        assert_null(face->engine->patch.url);
    }
    call(face, "PUT", uuid, "{\"url\":\"https://example.org/\",\"custom_name\":\"N\"}", 200);
    assert_string_equal(face->engine->patch_url, "https://example.org/");
    assert_string_equal(text_of(webhook_of(face), "custom_name"), "N");
    (void)snprintf(target, sizeof(target), "%s?events_action=replace", uuid);
    refused(face, "PUT", target, "{}", 400, "events_action");
    refused(face, "PUT", uuid, NULL, 400, "empty");
}

static void test_delete(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80];

    make(face, uuid, number);
    call(face, "DELETE", uuid, "[]", 204);
    assert_int_equal(face->request->answer.len, 0);
    refused(face, "DELETE", uuid, NULL, 404, "there is no webhook");
}

static void test_list(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80];

    call(face, "GET", "/v1/webhooks", NULL, 200);
    assert_true(span_starts(buf_span(&face->request->answer), "{\"meta\":{\"count\":0,"));
    for (int i = 0; i < 3; i++)
        make(face, uuid, number);
    call(face, "GET", "/v1/webhooks?per_page=2&order=desc&x=y", NULL, 200);
    const json_t *meta = json_object_get(face->answer, "meta");
    assert_string_equal(text_of(meta, "next_page_link"),
                        "http://x.test:8080/v1/webhooks?page=2&per_page=2&order=desc&x=y");
    assert_true(json_is_null(json_object_get(meta, "previous_page_link")));
    assert_int_equal(number_of(meta, "total"), 3);
    const json_t *list = json_object_get(face->answer, "webhooks");
    assert_int_equal(json_array_size(list), 2);
    assert_true(number_of(json_array_get(list, 0), "id") >
                number_of(json_array_get(list, 1), "id"));
    call_as(face, face->bearer, "GET", "/v1/webhooks", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(face->answer, "webhooks")), 0);
    refused(face, "GET", "/v1/webhooks?per_page=51", NULL, 400, "per_page");
}

static void test_public_url_changes(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80];

    make(face, uuid, number);
    api_set_public_url(face->api, "https://hooks.example.com/base//");
    call(face, "GET", number, NULL, 200);
    assert_true(span_starts(span_from(text_of(webhook_of(face), "direct_link")),
                            "https://hooks.example.com/base/v1/webhooks/"));
}

static void test_status(void **state)
{
    struct face *face = *state;
    char uuid[80], number[80], target[100];

    make(face, uuid, number);
    face->engine->status = (struct webhook_status){.active = true, .failures = 7, .threshold = 10};
    strcpy(face->engine->status.ledger, "7 x \"503\"");
    (void)snprintf(target, sizeof(target), "%s/status", uuid);
    call(face, "GET", target, NULL, 200);
    assert_int_equal(number_of(face->answer, "failures"), 7);
    assert_int_equal(number_of(face->answer, "threshold"), 10);
    assert_true(json_is_null(json_object_get(face->answer, "oldest_owed_at")));
    assert_string_equal(text_of(face->answer, "ledger"), "7 x \"503\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACE_CASE(test_create),
        FACE_CASE(test_create_all_events),
        FACE_CASE(test_create_refused),
        FACE_CASE(test_change_failures),
        FACE_CASE(test_retrieve),
        FACE_CASE(test_update),
        FACE_CASE(test_delete),
        FACE_CASE(test_list),
        FACE_CASE(test_public_url_changes),
        FACE_CASE(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
