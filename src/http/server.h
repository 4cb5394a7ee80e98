/* server.h: the inbound HTTP server (libmicrohttpd behind one header). Knows no route.
 *
 * A request is handed to `handle` when its body is complete; the answer may be given at once or
 * later from any thread (the connection is suspended meanwhile). The request and its memory live
 * until the answer was sent. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct http_server;
struct http_request;

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER
};

#define HTTP_BODY_DROPPED SIZE_MAX

struct http_server_conf {
    const char *listen;    /* "127.0.0.1:8080", "[::1]:0", "unix:/path" (mode 0600) */
    const char *cert_file; /* PEM chain; NULL = plain HTTP */
    const char *key_file;
    unsigned threads;                 /* of the pool, 1..64 */
    unsigned connections;             /* ceiling of inbound connections */
    unsigned connections_per_address; /* 0 = no ceiling */
    unsigned idle_timeout_s;          /* a connection without traffic is closed */
    unsigned head_timeout_s;          /* for a TLS handshake and a whole head; 0 = no bound. The
                                       * next head of a connection has the idle time more */
    unsigned transfer_timeout_s;      /* for a whole body, and for an answer; 0 = no bound */
    size_t head_bytes;                /* ceiling of a request head */
    size_t waiting_bytes; /* ceiling of all bodies held at once; beyond: busy() answers 429 */
    size_t discard_bytes; /* at most so much of a refused body is read, then closed */

    /* Called when the head is complete: how many bytes of body this request may have. Returning
     * 0 refuses any body, HTTP_BODY_DROPPED reads one of at most discard_bytes and keeps nothing
     * of it. */
    size_t (*body_limit)(void *ctx, struct http_request *request);
    /* Called when a body is refused: must answer before it returns. code: ERR_TOO_LARGE (over
     * body_limit, known from Content-Length or by counting) or ERR_LIMIT (over waiting_bytes). The
     * refused body is discarded up to discard_bytes so that the client can read the answer. */
    void (*refuse)(void *ctx, struct http_request *request, enum err code);
    /* Called with the whole body. Must lead to exactly one http_respond. */
    void (*handle)(void *ctx, struct http_request *request);
    void *ctx;
};

/* NULL with *error (address in use, unreadable certificate, ...). Answers from now on. */
struct http_server *http_server_start(const struct http_server_conf *conf, struct error *error);
/* The port really bound. */
uint16_t http_server_port(const struct http_server *server);
/* Stops accepting new connections and answers new requests with 503; returns at once. */
void http_server_quiesce(struct http_server *server);
/* Requests that were handed to `handle` and are not answered yet. */
size_t http_server_pending(const struct http_server *server);
/* Every request must have been answered. Waits until they are sent (at most 2 s). */
void http_server_stop(struct http_server *server);

enum http_method http_request_method(const struct http_request *request);
const char *http_request_method_name(const struct http_request *request);
/* Path as sent, without query, not decoded. */
const char *http_request_path(const struct http_request *request);
/* The raw query string without '?', or "". */
const char *http_request_query(const struct http_request *request);
/* First value of a query parameter, percent-decoded; NULL when absent; "" when without value. */
const char *http_request_param(struct http_request *request, const char *name);
/* A header field, case-insensitive; NULL when absent. */
const char *http_request_header(struct http_request *request, const char *name);
struct span http_request_body(const struct http_request *request);
/* True when the request had a body of at least one byte. */
bool http_request_has_body(const struct http_request *request);
/* Address of the peer as text, without port; "unix" on a unix socket. */
const char *http_request_peer(struct http_request *request);

/* From body_limit only: whose body this is, 0 = nobody's in particular (the default). One owner of
 * several bodies cannot fill waiting_bytes alone. */
void http_request_set_owner(struct http_request *request, uint64_t owner);

/* A slot for the caller's state of this request; `release` is called when the request ends. */
void http_request_set_state(struct http_request *request, void *state, void (*release)(void *));
void *http_request_state(const struct http_request *request);

/* Adds a field to the answer, before http_respond. Copies both. */
void http_answer_header(struct http_request *request, const char *name, const char *value);
/* Sends the answer; takes the memory of *body (NULL = empty body) and empties it. content_type
 * NULL = "application/json" when there is a body. Callable once, from any thread. The request
 * must not be touched afterwards. */
void http_respond(struct http_request *request,
                  unsigned status,
                  const char *content_type,
                  struct buf *body);

/* For /metrics; callable from any thread. */
struct http_server_stats {
    uint64_t requests, connections, waiting_bytes;
    uint64_t timeouts; /* connections closed for being too slow in a head, a body or an answer */
};
void http_server_stats(const struct http_server *server, struct http_server_stats *ret_stats);

#endif
