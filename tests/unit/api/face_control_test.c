/* face_control_test.c: companies and credentials, for the local commands. */
#include "face.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_control(struct face *face,
                          const char *method,
                          const char *path,
                          const char *body,
                          int status,
                          const char *word)
{
    json_t *answer = control(face, method, path, body);
    char *text = json_dumps(answer, 0);

    if (number_of(answer, "status") != status || strstr(text, word) == NULL)
        fail_msg("%s %s: wanted %d and '%s', got %s", method, path, status, word, text);
    free(text);
    json_decref(answer);
}

static void test_control(void **state)
{
    struct face *face = *state;
    json_t *made = control(face, "POST", "/control/companies", "{\"name\":\"Z\xc3\xbcrich / AG\"}");
    char path[200];

    assert_int_equal(number_of(made, "status"), 201);
    check_control(face, "GET", "/control/companies", NULL, 200, "\"webhooks\": 0");
    check_control(face, "GET", "/control/companies/Z%C3%BCrich%20%2F%20AG/credentials", NULL, 200,
                  text_of(made, "api_id"));
    (void)snprintf(path, sizeof(path), "/control/companies/%d/credentials",
                   (int)number_of(made, "company_id"));
    check_control(face, "POST", path, NULL, 201, "api_token");
    (void)snprintf(path, sizeof(path), "/control/companies/%d/credentials/%s",
                   (int)number_of(made, "company_id"), text_of(made, "api_id"));
    check_control(face, "DELETE", path, NULL, 204, "");
    face->engine->code = ERR_NOT_FOUND;
    face->engine->message = "";
    check_control(face, "DELETE", "/control/companies/Acme/credentials/no", NULL, 404, "'no'");
    face->engine->code = ERR_EXISTS;
    face->engine->message = "the name 'Acme' is taken";
    check_control(face, "POST", "/control/companies", "{\"name\":\"Acme\"}", 409, "is taken");
    json_decref(made);
}

static void test_control_refused(void **state)
{
    static const char *const names[] = {"{\"name\":\"\"}",      "{\"name\":\"17\"}",
                                        "{\"name\":\"a\\nb\"}", "{\"name\":\" a\"}",
                                        "{\"name\":5}",         "{}"};
    struct face *face = *state;
    char body[400] = "{\"name\":\"";

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_control(face, "POST", "/control/companies", names[i], 400, "name");
    check_control(face, "POST", "/control/companies", NULL, 400, "name");
    memset(body + 9, 'a', 121);
    memcpy(body + 130, "\"}", 3);
    check_control(face, "POST", "/control/companies", body, 400, "121 characters");
    check_control(face, "GET", "/control/companies/Nobody/credentials", NULL, 404, "Nobody");
    check_control(face, "GET", "/control/companies/%/credentials", NULL, 404, "company");
    check_control(face, "GET", "/control/companies/%00/credentials", NULL, 404, "company");
    check_control(face, "GET", "/control/companies/%FF/credentials", NULL, 404, "Not Found");
    check_control(face, "GET", "/control/nothing", NULL, 404, "Not Found");
    check_control(face, "DELETE", "/control/companies", NULL, 405, "Method Not Allowed");
    check_control(face, "BREW", "/control/companies", NULL, 405, "Method Not Allowed");
}

static void control_request(
    struct face *face, const char *method, const char *path, const char *body, unsigned status)
{
    forget(face);
    face->request = fake_request(method, path, body);
    assert_true(api_control_body_limit(face->api, face->request) > 0);
    api_control_handle(face->api, face->request);
    read_answer(face, status);
}

static void test_control_over_http(void **state)
{
    struct face *face = *state;

    control_request(face, "POST", "/control/companies", "{\"name\":\"New\"}", 201);
    assert_non_null(json_object_get(face->answer, "api_token"));
    control_request(face, "GET", "/control/companies", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(face->answer, "companies")), 3);
    control_request(face, "POST", "/control/companies", "{", 400);
    control_request(face, "POST", "/control/companies", NULL, 400);
    forget(face);
    face->request = fake_request("POST", "/control/companies", NULL);
    api_control_refuse(face->api, face->request, ERR_TOO_LARGE);
    read_answer(face, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACE_CASE(test_control),
        FACE_CASE(test_control_refused),
        FACE_CASE(test_control_over_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
