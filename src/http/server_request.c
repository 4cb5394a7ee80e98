/* server_request.c: one inbound request: what it says, and its answer.
 *
 * Accessors may be used from `handle` on by whichever thread has the request. They read memory of
 * libmicrohttpd's connection, which stands still until the answer. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/encode.h"
#include "base/mem.h"
#include "http/server_private.h"

/* ---- states ---------------------------------------------------------------------------- */

#define TO(state) (1u << (state))

static const unsigned successors[] = {
    [REQUEST_HEAD] = TO(REQUEST_BODY) | TO(REQUEST_REFUSING),
    [REQUEST_BODY] = TO(REQUEST_HANDLING) | TO(REQUEST_REFUSING),
    [REQUEST_REFUSING] = TO(REQUEST_DISCARDING),
    [REQUEST_DISCARDING] = TO(REQUEST_QUEUED),
    [REQUEST_HANDLING] = TO(REQUEST_SUSPENDED) | TO(REQUEST_ANSWERED),
    [REQUEST_SUSPENDED] = TO(REQUEST_ANSWERED),
    [REQUEST_ANSWERED] = TO(REQUEST_QUEUED),
    [REQUEST_QUEUED] = 0,
};

bool request_move(struct http_request *request, enum request_state from, enum request_state to)
{
    if ((successors[from] & TO(to)) == 0)
        BUG("request state %d cannot become %d", (int)from, (int)to);
    return atomic_compare_exchange_strong(&request->state, &from, to);
}

/* ---- birth and end --------------------------------------------------------------------- */

/* The path and query of a target in origin form or absolute form (RFC 9112 section 3.2). */
static struct span target_path(const char *target)
{
    struct span text = span_from(target);
    const char *scheme = strstr(target, "://");

    if (text.len > 0 && text.ptr[0] != '/' && scheme != NULL) {
        text = span_from(scheme + 3);
        text = span_from_at(text, strcspn(text.ptr, "/?"));
    }
    text.len = span_find(text, '#');
    return text;
}

struct http_request *
request_new(struct http_server *server, struct MHD_Connection *connection, const char *target)
{
    struct http_request *request = mem_zero(1, sizeof *request);
    struct span path = target_path(target);
    size_t path_len = span_find(path, '?');
    size_t query_at = path_len < path.len ? path_len + 1 : path_len;

    request->server = server;
    request->connection = connection;
    atomic_init(&request->state, REQUEST_HEAD);
    request->path = mem_alloc(path.len + 2);
    memcpy(request->path, path.ptr, path_len);
    request->path[path_len] = '\0';
    request->query = request->path + path_len + 1;
    memcpy(request->query, path.ptr + query_at, path.len - query_at);
    request->query[path.len - query_at] = '\0';
    return request;
}

void request_free(struct http_request *request)
{
    struct request_param *param, *next;

    if (request == NULL)
        return;
    if (request->user_release != NULL)
        request->user_release(request->user_state);
    for (param = request->params; param != NULL; param = next) {
        next = param->next;
        free(param);
    }
    free(request->method_name);
    free(request->path);
    buf_release(&request->body);
    buf_release(&request->fields);
    buf_release(&request->answer);
    free(request);
}

/* ---- what the request says ------------------------------------------------------------- */

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

/* form decoding of a copy; what is not valid stays as it was sent. */
static struct request_param *param_new(struct span raw)
{
    struct buf text = BUF_INIT;
    struct request_param *param;

    if (!buf_add_form_decoded(&text, raw) || (text.len > 0 && memchr(text.ptr, '\0', text.len))) {
        buf_clear(&text);
        buf_add_span(&text, raw);
    }
    param = mem_alloc(sizeof *param + text.len + 1);
    if (text.len > 0)
        memcpy(param->value, text.ptr, text.len);
    param->value[text.len] = '\0';
    buf_release(&text);
    return param;
}

static bool is_name(struct span raw, const char *name)
{
    struct buf text = BUF_INIT;
    bool same;

    if (span_eq_text(raw, name))
        return true;
    if (memchr(raw.ptr, '%', raw.len) == NULL && memchr(raw.ptr, '+', raw.len) == NULL)
        return false;
    same = buf_add_form_decoded(&text, raw) && span_eq_text(buf_span(&text), name);
    buf_release(&text);
    return same;
}

const char *http_request_param(struct http_request *request, const char *name)
{
    struct span rest = span_from(request->query);

    while (rest.len > 0) {
        size_t len = span_find(rest, '&');
        struct span pair = span_make(rest.ptr, len);
        size_t equals = span_find(pair, '=');
        if (is_name(span_make(pair.ptr, equals), name)) {
            struct request_param *param =
                param_new(span_from_at(pair, equals < pair.len ? equals + 1 : pair.len));
            param->next = request->params;
            request->params = param;
            return param->value;
        }
        rest = span_from_at(rest, len < rest.len ? len + 1 : len);
    }
    return NULL;
}

const char *http_request_header(struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct span http_request_body(const struct http_request *request)
{
    return buf_span(&request->body);
}

bool http_request_has_body(const struct http_request *request)
{
    return request->body.len > 0 || request->discarded_bytes > 0;
}

const char *http_request_peer(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;

    if (address == NULL || address->sa_family == AF_UNIX || address->sa_family == AF_UNSPEC)
        return "unix";
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, request->peer, sizeof request->peer);
    } else {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], request->peer, sizeof request->peer);
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, request->peer, sizeof request->peer);
    }
    return request->peer;
}

void http_request_set_state(struct http_request *request, void *state, void (*release)(void *))
{
    request->user_state = state;
    request->user_release = release;
}

void *http_request_state(const struct http_request *request)
{
    return request->user_state;
}

void http_request_set_owner(struct http_request *request, uint64_t owner)
{
    ASSERT(request->body.cap == 0);
    request->owner = owner;
}

/* ---- the answer ------------------------------------------------------------------------ */

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
    size_t at;

    buf_add(&request->fields, name, strlen(name) + 1);
    at = request->fields.len;
    buf_add(&request->fields, value, strlen(value) + 1);
    /* A value may hold what a peer sent: it must not begin a field of its own. */
    for (; at + 1 < request->fields.len; at++) {
        if ((unsigned char)request->fields.ptr[at] < 0x20 || request->fields.ptr[at] == 0x7f)
            request->fields.ptr[at] = '?';
    }
}

/* Moves to the answered state of wherever the request is; true when it must be resumed. */
static bool move_to_answered(struct http_request *request)
{
    for (;;) {
        enum request_state state = atomic_load(&request->state);
        if (state == REQUEST_REFUSING) {
            if (request_move(request, state, REQUEST_DISCARDING))
                return false;
        } else if (state == REQUEST_HANDLING || state == REQUEST_SUSPENDED) {
            if (request_move(request, state, REQUEST_ANSWERED))
                return state == REQUEST_SUSPENDED;
        } else {
            BUG("request in state %d is answered", (int)state);
        }
    }
}

void http_respond(struct http_request *request,
                  unsigned status,
                  const char *content_type,
                  struct buf *body)
{
    struct http_server *server = request->server;
    struct MHD_Connection *connection = request->connection;
    bool refused = atomic_load(&request->state) == REQUEST_REFUSING;

    request->status = status;
    if (body != NULL) {
        request->answer = *body;
        *body = BUF_INIT;
    }
    request->content_type = content_type != NULL ? content_type : "application/json";
    if (refused) {
        (void)move_to_answered(request);
        return;
    }
    atomic_fetch_add(&server->unsent, 1);
    /* From here on the request may end at any moment. */
    if (move_to_answered(request))
        MHD_resume_connection(connection);
    atomic_fetch_sub(&server->pending, 1);
}

static void add_fields(struct http_request *request, struct MHD_Response *response)
{
    const char *at = request->fields.ptr;
    const char *end = at == NULL ? NULL : at + request->fields.len;

    if (request->answer.len > 0)
        MHD_add_response_header(response, "Content-Type", request->content_type);
    while (at < end) {
        const char *name = at;
        const char *value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        if (MHD_add_response_header(response, name, value) != MHD_YES)
            BUG("answer field \"%s\" is not valid", name);
    }
}

/* libmicrohttpd polls edge-triggered: when the end of a client's sending came together with the
 * request it is not seen again, and the connection would stand until its idle timeout while the
 * client waits for us to close. */
static bool has_peer_ended(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;

    return info != NULL && request->server->cert == NULL &&
           recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

enum MHD_Result request_queue(struct http_request *request)
{
    enum request_state state = atomic_load(&request->state);
    size_t len = request->answer.len;
    struct MHD_Response *response;
    enum MHD_Result queued;

    if (len == 0)
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    else
        response =
            MHD_create_response_from_buffer_with_free_callback(len, request->answer.ptr, free);
    if (response == NULL)
        fatal("out of memory");
    add_fields(request, response);
    if (has_peer_ended(request))
        MHD_add_response_header(response, "Connection", "close");
    if (len > 0)
        request->answer = BUF_INIT; /* the response owns the memory */
    if (!request_move(request, state, REQUEST_QUEUED))
        BUG("request is moved by two threads");
    link_expect(request->link, LINK_ANSWER, request->server->conf.transfer_timeout_s);
    queued = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return queued;
}

void request_send_raw(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct buf text = BUF_INIT;
    const char *at = request->fields.ptr;
    const char *end = at == NULL ? NULL : at + request->fields.len;

    if (info == NULL || request->server->cert != NULL)
        return;
    buf_printf(&text, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
               request->status, MHD_get_reason_phrase_for(request->status), request->answer.len);
    if (request->answer.len > 0)
        buf_printf(&text, "Content-Type: %s\r\n", request->content_type);
    while (at < end) {
        const char *name = at;
        const char *value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        buf_printf(&text, "%s: %s\r\n", name, value);
    }
    buf_add_text(&text, "\r\n");
    buf_add_span(&text, buf_span(&request->answer));
    /* What does not fit into the socket's buffer is lost with the connection. */
    if (send(info->connect_fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        (void)shutdown(info->connect_fd, SHUT_WR);
    buf_release(&text);
}
