/* face_head_test.c: credentials, paths, methods, limits, bodies, and the open routes. */
#include "face.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_credentials(void **state)
{
    struct face *face = *state;

    call_as(face, NULL, "GET", "/v1/ping", NULL, 401);
    assert_string_equal(face->request->answer.ptr, "{\"message\":\"Unauthorized\"}");
    assert_non_null(fake_answer_field(face->request, "WWW-Authenticate"));
    assert_null(fake_answer_field(face->request, "X-AircallApi-Limit"));
    call_as(face, "Bearer nonsense", "GET", "/v1/ping", NULL, 403);
    assert_string_equal(face->request->answer.ptr, "{\"message\":\"Forbidden\"}");
    call_as(face, "Basic YTpi", "DELETE", "/v1/webhooks", NULL, 403);
    call_as(face, face->bearer, "GET", "/v1/ping", NULL, 200);
    call(face, "GET", "/v1/ping", NULL, 200);
    assert_string_equal(face->request->answer.ptr, "{\"ping\":\"pong\"}");
    call(face, "HEAD", "/v1/ping", NULL, 200);
}

static void test_unknown_paths(void **state)
{
    struct face *face = *state;

    call_as(face, NULL, "GET", "/v1/nothing", NULL, 404);
    assert_string_equal(face->request->answer.ptr, "{\"message\":\"Not Found\"}");
    assert_null(fake_answer_field(face->request, "RateLimit-Limit"));
    call_as(face, "nonsense", "PATCH", "/", NULL, 405);
    call_as(face, "nonsense", "GET", "/v2/webhooks", NULL, 404);
    call(face, "GET", "/v1/nothing", NULL, 404);
    assert_non_null(fake_answer_field(face->request, "RateLimit-Limit"));
    /* a body does not turn it into a 413 */
    call_as(face, NULL, "POST", "/v1/nothing", "{}", 404);
    call_as(face, NULL, "POST", "/v1/events", "{}", 401);
}

static void test_methods(void **state)
{
    struct face *face = *state;

    refused(face, "PATCH", "/v1/webhooks", "{}", 405, "PATCH");
    assert_string_equal(fake_answer_field(face->request, "Allow"), "GET, HEAD, POST");
    assert_string_equal(text_of(face->answer, "error"), "Method Not Allowed");
    refused(face, "GET", "/v1/events", NULL, 405, "POST");
    refused(face, "OPTIONS", "/v1/webhooks/1", NULL, 405, "PUT");
}

static void test_open_routes(void **state)
{
    struct face *face = *state;

    call_as(face, NULL, "GET", "/", NULL, 200);
    assert_string_equal(text_of(face->answer, "resource"), "Hookswitch Documentation");
    call_as(face, NULL, "GET", "/healthz", NULL, 200);
    call_as(face, NULL, "GET", "/readyz", NULL, 200);
    face->engine->ready = false;
    call_as(face, NULL, "GET", "/readyz", NULL, 503);
}

static void test_limit(void **state)
{
    struct face *face = *state;
    struct api *api = face->api;

    face->settings.api_rate_limit = 2;
    face->settings.ingest_rate_limit = 3;
    face->api = api_new(&face->settings, face->engine, &face->egress, "http://x.test");
    call(face, "GET", "/v1/ping", NULL, 200);
    assert_string_equal(fake_answer_field(face->request, "X-AircallApi-Remaining"), "1");
    refused(face, "GET", "/v1/webhooks/77", NULL, 404, "77");
    assert_string_equal(fake_answer_field(face->request, "RateLimit-Remaining"), "0");
    refused(face, "GET", "/v1/ping", NULL, 429, "2 calls per minute");
    assert_string_equal(text_of(face->answer, "error"), "Too Many Requests");
    int seconds = atoi(fake_answer_field(face->request, "Retry-After"));
    assert_in_range(seconds, 1, 60);
    assert_string_equal(fake_answer_field(face->request, "X-AircallApi-Limit"), "2");
    call_as(face, face->bearer, "GET", "/v1/ping", NULL, 200);
    /* events have their own */
    call(face, "POST", "/v1/events", "{\"event\":\"call.created\",\"data\":{}}", 202);
    assert_string_equal(fake_answer_field(face->request, "X-AircallApi-Limit"), "3");
    forget(face);
    api_free(face->api);
    face->api = api;
}

static void test_limit_off(void **state)
{
    struct face *face = *state;

    call(face, "POST", "/v1/events", "{\"event\":\"call.created\",\"data\":{}}", 202);
    assert_string_equal(fake_answer_field(face->request, "X-AircallApi-Limit"), "2147483647");
    assert_string_equal(fake_answer_field(face->request, "RateLimit-Remaining"), "2147483647");
}

static void test_bodies(void **state)
{
    struct face *face = *state;
    struct http_request *request;
    char *large = calloc(1, 300000);

    forget(face);
    memset(large, ' ', 299999);
    refused(face, "POST", "/v1/webhooks", large, 413, "262144");
    refused(face, "POST", "/v1/events", large, 400, "byte");
    free(large);
    request = fake_request("POST", "/v1/events", "a=b");
    forget(face);
    fake_request_field(request, "Authorization", face->basic);
    fake_request_field(request, "Content-Type", "application/x-www-form-urlencoded");
    send_request(face, request);
    read_answer(face, 415);
    request = fake_request("POST", "/v1/webhooks", URL_BODY);
    forget(face);
    fake_request_field(request, "Authorization", face->basic);
    send_request(face, request);
    read_answer(face, 201);
    api_refuse(face->api, (forget(face), face->request = fake_request("POST", "/v1/events", NULL)),
               ERR_LIMIT);
    read_answer(face, 401);
}

static void test_metrics(void **state)
{
    struct face *face = *state;

    face->engine->metrics.commit_time.bucket[0] = 2;
    face->engine->metrics.commit_time.bucket[HISTOGRAM_BUCKETS - 1] = 1;
    face->engine->metrics.commit_time.sum_us = 1500000;
    call_as(face, NULL, "GET", "/metrics", NULL, 200);
    const char *text = face->request->answer.ptr;
    assert_string_equal(face->request->content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(text, "hookswitch_commit_duration_seconds_bucket{le=\"0.0001\"} 2\n"));
    assert_non_null(strstr(text, "hookswitch_commit_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "hookswitch_commit_duration_seconds_sum 1.500000\n"));
    assert_non_null(strstr(text, "hookswitch_commit_duration_seconds_count 3\n"));
    assert_non_null(strstr(text, "hookswitch_store_bytes 4096\n"));
    assert_null(strstr(text, "hookswitch_http_connections"));
    api_set_server(face->api, (const struct http_server *)(const void *)face);
    call_as(face, NULL, "GET", "/metrics", NULL, 200);
    assert_non_null(strstr(face->request->answer.ptr, "hookswitch_http_connections 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACE_CASE(test_credentials), FACE_CASE(test_unknown_paths), FACE_CASE(test_methods),
        FACE_CASE(test_open_routes), FACE_CASE(test_limit),         FACE_CASE(test_limit_off),
        FACE_CASE(test_bodies),      FACE_CASE(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
