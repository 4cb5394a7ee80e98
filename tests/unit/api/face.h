/* face.h: the whole room on a fake engine and a fake server, with two companies: what the
 * face_*_test files share. */
#ifndef TESTS_FACE_H
#define TESTS_FACE_H

#include "api/api.h"
#include "fake_engine.h"
#include "fake_http.h"

struct face {
    struct settings settings;
    struct egress egress;
    struct engine *engine;
    struct api *api;
    char basic[300];  /* the field of the first company */
    char bearer[100]; /* of the second one */
    struct http_request *request;
    json_t *answer;
};

/* cmocka's set-up and tear-down; *state is the face. */
int face_begin(void **state);
int face_end(void **state);
#define FACE_CASE(name) cmocka_unit_test_setup_teardown(name, face_begin, face_end)

/* Drops the last request and its answer. */
void forget(struct face *face);
/* As the server does: the limit at the head, then refuse or handle. Becomes face->request. */
void send_request(struct face *face, struct http_request *request);
/* Expects exactly one answer of that status; fills face->answer when it is JSON. */
void read_answer(struct face *face, unsigned status);
/* One request with these credentials (NULL = none), body (NULL = none) and expected status. */
void call_as(struct face *face,
             const char *credentials,
             const char *method,
             const char *target,
             const char *body,
             unsigned status);
/* As the first company. */
void call(
    struct face *face, const char *method, const char *target, const char *body, unsigned status);
/* Expects the three fields of a refusal; `word` must be in the sentence. */
void refused(struct face *face,
             const char *method,
             const char *target,
             const char *body,
             unsigned status,
             const char *word);

/* api_control_call; the status is added to the answer as "status". */
json_t *control(struct face *face, const char *method, const char *path, const char *body);

const char *text_of(const json_t *object, const char *name);
int64_t number_of(const json_t *object, const char *name);
const json_t *webhook_of(struct face *face);

#define URL_BODY "{\"url\":\"https://example.com/hook\"}"
/* Makes a webhook; both its paths, of 80 bytes. */
void make(struct face *face, char *by_uuid, char *by_number);

#endif
