/* fake_http.h: http/server.h without a socket: a request is filled by hand, its answer is kept. */
#ifndef TESTS_FAKE_HTTP_H
#define TESTS_FAKE_HTTP_H

#include "http/server.h"

#define FAKE_FIELDS_MAX 16

struct fake_field {
    char name[64];
    char value[512];
};

struct http_request {
    enum http_method method;
    const char *method_name;
    char path[512];
    char query[512];
    struct fake_field fields[FAKE_FIELDS_MAX];
    size_t n_fields;
    struct span body;
    char params[8][256];
    size_t n_params;
    uint64_t owner;
    void *state;
    void (*release)(void *);
    /* the answer */
    unsigned answers; /* how often it was answered: must be 1 at the end */
    unsigned status;
    char content_type[128];
    struct fake_field answer_fields[FAKE_FIELDS_MAX];
    size_t n_answer_fields;
    struct buf answer;
};

/* "GET", "/v1/webhooks?page=2"; body NULL = none. Not yet handed to anybody. */
struct http_request *fake_request(const char *method, const char *target, const char *body);
void fake_request_field(struct http_request *request, const char *name, const char *value);
/* Releases the state, as the server does when an answer was sent. */
void fake_request_free(struct http_request *request);
/* A field of the answer; NULL when absent. */
const char *fake_answer_field(const struct http_request *request, const char *name);

#endif
