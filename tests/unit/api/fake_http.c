/* fake_http.c: see fake_http.h. */
#include "fake_http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "http/client.h"

static void copy(char *to, size_t size, const char *from)
{
    assert(strlen(from) < size);
    memcpy(to, from, strlen(from) + 1);
}

struct http_request *fake_request(const char *method, const char *target, const char *body)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    struct http_request *request = mem_zero(1, sizeof(*request));
    const char *query = strchr(target, '?');

    request->method = HTTP_OTHER;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(method, names[i]) == 0)
            request->method = (enum http_method)i;
    request->method_name = method;
    copy(request->path, sizeof(request->path), target);
    if (query != NULL) {
        request->path[query - target] = '\0';
        copy(request->query, sizeof(request->query), query + 1);
    }
    request->body = span_from(body);
    return request;
}

static void add_field(struct fake_field *fields, size_t *n, const char *name, const char *value)
{
    assert(*n < FAKE_FIELDS_MAX);
    copy(fields[*n].name, sizeof(fields[*n].name), name);
    copy(fields[*n].value, sizeof(fields[*n].value), value);
    (*n)++;
}

static const char *find_field(const struct fake_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(fields[i].name, name) == 0)
            return fields[i].value;
    return NULL;
}

void fake_request_field(struct http_request *request, const char *name, const char *value)
{
    add_field(request->fields, &request->n_fields, name, value);
}

void fake_request_free(struct http_request *request)
{
    if (request->release != NULL)
        request->release(request->state);
    buf_release(&request->answer);
    free(request);
}

const char *fake_answer_field(const struct http_request *request, const char *name)
{
    return find_field(request->answer_fields, request->n_answer_fields, name);
}

/* --- http/server.h --- */

enum http_method http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_method_name(const struct http_request *request)
{
    return request->method_name;
}

const char *http_request_path(const struct http_request *request)
{
    return request->path;
}

const char *http_request_query(const struct http_request *request)
{
    return request->query;
}

const char *http_request_param(struct http_request *request, const char *name)
{
    struct span query = span_from(request->query);

    while (query.len > 0) {
        struct span pair = span_make(query.ptr, span_find(query, '&'));
        struct span key = span_make(pair.ptr, span_find(pair, '='));
        query = span_from_at(query, pair.len < query.len ? pair.len + 1 : pair.len);
        if (!span_eq_text(key, name))
            continue;
        struct buf text = BUF_INIT;
        assert(request->n_params < 8);
        char *value = request->params[request->n_params++];
        if (key.len < pair.len)
            assert(buf_add_form_decoded(&text, span_from_at(pair, key.len + 1)));
        copy(value, sizeof(request->params[0]), text.ptr != NULL ? text.ptr : "");
        buf_release(&text);
        return value;
    }
    return NULL;
}

const char *http_request_header(struct http_request *request, const char *name)
{
    return find_field(request->fields, request->n_fields, name);
}

struct span http_request_body(const struct http_request *request)
{
    return request->body;
}

bool http_request_has_body(const struct http_request *request)
{
    return request->body.len > 0;
}

const char *http_request_peer(struct http_request *request)
{
    return "192.0.2.1";
}

void http_request_set_owner(struct http_request *request, uint64_t owner)
{
    request->owner = owner;
}

void http_request_set_state(struct http_request *request, void *state, void (*release)(void *))
{
    request->state = state;
    request->release = release;
}

void *http_request_state(const struct http_request *request)
{
    return request->state;
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
    assert(request->answers == 0);
    add_field(request->answer_fields, &request->n_answer_fields, name, value);
}

void http_respond(struct http_request *request,
                  unsigned status,
                  const char *content_type,
                  struct buf *body)
{
    assert(request->answers++ == 0);
    request->status = status;
    copy(request->content_type, sizeof(request->content_type),
         content_type != NULL ? content_type : "");
    if (body != NULL) {
        request->answer = *body;
        *body = BUF_INIT;
    }
}

void http_server_stats(const struct http_server *server, struct http_server_stats *ret_stats)
{
    *ret_stats = (struct http_server_stats){7, 3, 1024};
}

/* --- http/client.h: the words of its table, without the client --- */

static const struct {
    const char *slug;
    const char *sentence;
    bool local;
} errors[] = {
#define X(name, slug, sentence, local) {slug, sentence, local},
#include "http/client_error.def"
#undef X
};

const char *http_error_slug(enum http_error error)
{
    return errors[error].slug;
}

const char *http_error_sentence(enum http_error error)
{
    return errors[error].sentence;
}

bool http_error_is_local(enum http_error error)
{
    return errors[error].local;
}
