/* server_private.h: what server.c (the daemon), server_request.c (one request) and server_link.c
 * (one connection) share.
 *
 * The life of a request. All moves go through request_move; those marked * may come from any
 * thread, the others from the libmicrohttpd thread that owns the connection.
 *
 *   HEAD ---> BODY --------------> HANDLING --answer*--> ANSWERED --> QUEUED --> (freed)
 *    |          |                     |                     ^           ^
 *    |          |                     '--> SUSPENDED -answer*           |
 *    '--------> REFUSING --answer--> DISCARDING ------------------------'
 *
 *   HEAD        the request line is known; fields are being read
 *   BODY        the head was accepted; the body grows
 *   REFUSING    inside conf.refuse, which must answer before it returns
 *   DISCARDING  the answer is ready, the rest of the body is read and dropped
 *   HANDLING    conf.handle has it; the connection is not suspended (yet)
 *   SUSPENDED   the connection is off the event loop; whoever answers resumes it
 *   ANSWERED    the answer is complete; the owner thread will send it
 *   QUEUED      libmicrohttpd has the answer; the request ends when it was sent
 *
 * The race: an answer may come while the owner is about to suspend. The owner therefore suspends
 * first and then moves HANDLING -> SUSPENDED; when that fails the answer was faster, has resumed
 * nothing, and the owner resumes by itself. An answer resumes only when it found SUSPENDED. So
 * each suspension is followed by exactly one resumption.
 *
 * Counters of the server: `pending` = handed to `handle`, not answered; `unsent` = answered, not
 * ended. An answer raises unsent before, and lowers pending after everything else it does: while
 * pending > 0 the server may not be stopped, so the answering thread never touches freed memory. */
#ifndef HTTP_SERVER_PRIVATE_H
#define HTTP_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "http/server.h"
#include "sys/share.h"
#include "sys/thread.h"

enum request_state {
    REQUEST_HEAD,
    REQUEST_BODY,
    REQUEST_REFUSING,
    REQUEST_DISCARDING,
    REQUEST_HANDLING,
    REQUEST_SUSPENDED,
    REQUEST_ANSWERED,
    REQUEST_QUEUED
};

/* What a connection is waited for. */
enum link_phase {
    LINK_NOTHING, /* the request is with `handle` */
    LINK_HEAD,    /* a TLS handshake and a head, the first one or the next one */
    LINK_BODY,    /* the rest of a body */
    LINK_ANSWER   /* that the client takes the answer */
};

/* One inbound connection: from libmicrohttpd's first notification to its last. */
struct link {
    struct list node;
    int fd;
    _Atomic enum link_phase phase;
    _Atomic mono_ms deadline;
    struct http_request *request; /* the one that is open; the owner thread's */
};

struct http_server {
    struct http_server_conf conf;
    char *listen;     /* copies of what conf points to */
    char *cert, *key; /* PEM text; NULL = plain HTTP */
    struct MHD_Daemon *daemon;
    int listen_fd;
    uint16_t port;
    bool quiesced;          /* the listening socket is ours again */
    atomic_bool refuse_new; /* new requests get 503 */
    atomic_size_t pending;
    atomic_size_t unsent;
    struct share waiting; /* memory of all bodies */
    atomic_uint_fast64_t requests;
    atomic_uint_fast64_t connections;
    atomic_uint_fast64_t timeouts;
    pthread_mutex_t links_lock; /* of links and sweeper_stops */
    struct list links;
    struct thread sweeper;
    pthread_cond_t sweeper_wake;
    bool sweeper_stops;
    pthread_mutex_t lock; /* of sent_all and start_message */
    pthread_cond_t sent;  /* unsent became 0 */
    char start_message[200];
    bool starting;
};

/* A decoded query parameter that http_request_param handed out. */
struct request_param {
    struct request_param *next;
    char value[];
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct link *link;
    _Atomic enum request_state state;
    enum http_method method;
    char *method_name;
    char *path;
    char *query;    /* behind path in the same allocation */
    bool started;   /* the head was seen */
    bool handled;   /* `handle` was called: counted in pending, then in unsent */
    uint64_t owner; /* of the body; 0 = nobody in particular */
    size_t body_limit;
    size_t body_hint; /* Content-Length, 0 = unknown */
    size_t discarded_bytes;
    struct buf body;
    unsigned status;
    const char *content_type;
    struct buf fields; /* name NUL value NUL ... */
    struct buf answer;
    struct request_param *params;
    char peer[INET6_ADDRSTRLEN];
    void *user_state;
    void (*user_release)(void *);
};

struct link *link_new(struct http_server *server, struct MHD_Connection *connection);
/* The connection's request has ended, and its socket is still open. */
void link_free(struct http_server *server, struct link *link);
struct link *link_of(struct MHD_Connection *connection);
/* From now on the client has so many seconds; 0 = as many as it likes. */
void link_expect(struct link *link, enum link_phase phase, unsigned within_s);

void sweeper_start(struct http_server *server);
/* Every link must have been freed. */
void sweeper_stop(struct http_server *server);

/* Takes the raw request target. */
struct http_request *
request_new(struct http_server *server, struct MHD_Connection *connection, const char *target);
void request_free(struct http_request *request);

/* The only door between states; false when `from` is not the present state (an answer was
 * faster). BUG when the drawing above has no such arrow. */
MUST_USE bool
request_move(struct http_request *request, enum request_state from, enum request_state to);

/* Owner thread: hands the finished answer to libmicrohttpd, for ANSWERED and DISCARDING. */
enum MHD_Result request_queue(struct http_request *request);

/* Owner thread: sends the answer over the bare socket, as far as it goes without waiting, for
 * the one case in which libmicrohttpd takes none: in the middle of a body. Plain HTTP only. */
void request_send_raw(struct http_request *request);

#endif
