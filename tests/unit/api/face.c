/* face.c: see face.h. */
#include "face.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"

json_t *control(struct face *face, const char *method, const char *path, const char *body)
{
    json_t *object = body != NULL ? json_loads(body, 0, NULL) : NULL;
    json_t *answer;
    int status;
    enum err code = api_control_call(face->engine, method, path, object, &status, &answer);

    json_decref(object);
    assert_int_equal(code == OK, status < 300);
    if (answer == NULL)
        answer = json_object();
    json_object_set_new(answer, "status", json_integer(status));
    return answer;
}

const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    return text;
}

int64_t number_of(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

int face_begin(void **state)
{
    struct face *face = calloc(1, sizeof(*face));
    struct buf pair = BUF_INIT, field = BUF_INIT;
    json_t *made;

    settings_init(&face->settings);
    face->engine = fake_engine_new();
    face->api = api_new(&face->settings, face->engine, &face->egress, "http://x.test:8080/");
    made = control(face, "POST", "/control/companies", "{\"name\":\"Acme\"}");
    buf_printf(&pair, "%s:%s", text_of(made, "api_id"), text_of(made, "api_token"));
    buf_add_text(&field, "Basic ");
    buf_add_base64(&field, buf_span(&pair));
    (void)snprintf(face->basic, sizeof(face->basic), "%s", field.ptr);
    json_decref(made);
    made = control(face, "POST", "/control/companies", "{\"name\":\"Other\"}");
    (void)snprintf(face->bearer, sizeof(face->bearer), "Bearer %s", text_of(made, "api_token"));
    json_decref(made);
    buf_release(&pair);
    buf_release(&field);
    *state = face;
    return 0;
}

void forget(struct face *face)
{
    if (face->request != NULL)
        fake_request_free(face->request);
    json_decref(face->answer);
    face->request = NULL;
    face->answer = NULL;
}

int face_end(void **state)
{
    struct face *face = *state;

    forget(face);
    api_free(face->api);
    fake_engine_free(face->engine);
    settings_release(&face->settings);
    free(face);
    return 0;
}

void send_request(struct face *face, struct http_request *request)
{
    size_t limit = api_body_limit(face->api, request);

    if (request->body.len > limit)
        api_refuse(face->api, request, ERR_TOO_LARGE);
    else
        api_handle(face->api, request);
    face->request = request;
}

void read_answer(struct face *face, unsigned status)
{
    struct http_request *request = face->request;

    assert_int_equal(request->answers, 1);
    if (request->status != status)
        fail_msg("%u instead of %u: %s", request->status, status,
                 request->answer.ptr != NULL ? request->answer.ptr : "");
    if (request->answer.len > 0 && request->content_type[0] == '\0') {
        face->answer = json_loadb(request->answer.ptr, request->answer.len, 0, NULL);
        assert_non_null(face->answer);
    }
}

void call_as(struct face *face,
             const char *credentials,
             const char *method,
             const char *target,
             const char *body,
             unsigned status)
{
    struct http_request *request = fake_request(method, target, body);

    forget(face);
    if (credentials != NULL)
        fake_request_field(request, "Authorization", credentials);
    if (body != NULL)
        fake_request_field(request, "Content-Type", "application/json; charset=utf-8");
    send_request(face, request);
    read_answer(face, status);
}

void call(
    struct face *face, const char *method, const char *target, const char *body, unsigned status)
{
    call_as(face, face->basic, method, target, body, status);
}

void refused(struct face *face,
             const char *method,
             const char *target,
             const char *body,
             unsigned status,
             const char *word)
{
    call(face, method, target, body, status);
    assert_true(json_is_false(json_object_get(face->answer, "success")));
    assert_true(strlen(text_of(face->answer, "error")) > 0);
    if (strstr(text_of(face->answer, "troubleshoot"), word) == NULL)
        fail_msg("no '%s' in: %s", word, text_of(face->answer, "troubleshoot"));
}

const json_t *webhook_of(struct face *face)
{
    const json_t *webhook = json_object_get(face->answer, "webhook");

    assert_non_null(webhook);
    return webhook;
}

void make(struct face *face, char *by_uuid, char *by_number)
{
    call(face, "POST", "/v1/webhooks", URL_BODY, 201);
    (void)snprintf(by_uuid, 80, "/v1/webhooks/%s", text_of(webhook_of(face), "webhook_id"));
    (void)snprintf(by_number, 80, "/v1/webhooks/%d", (int)number_of(webhook_of(face), "id"));
}
