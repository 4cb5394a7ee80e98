/* client_private.h: what client.c (posts and hosts) and conn.c (one connection) share.
 *
 * client owns hosts, a host owns its connections, a connection is bound to at most one attempt.
 * An attempt is on exactly one of: its host's waiting list, a connection, the client's finished
 * list. Nothing here calls `done`: attempts are put on the finished list, and the client hands them
 * out from a timer of the same turn, so no caller is ever re-entered. */
#ifndef HTTP_CLIENT_PRIVATE_H
#define HTTP_CLIENT_PRIVATE_H

#include "base/list.h"
#include "base/map.h"
#include "http/client.h"
#include "http/dial.h"
#include "http/parser.h"
#include "sys/resolver.h"
#include "sys/tls.h"

enum { CLIENT_RECORD_BYTES = 16384 }; /* of a TLS record: what goes out in one write */

struct http_client {
    struct loop *loop;
    struct http_client_conf conf;
    struct resolver *resolver;
    struct tls_trust *trust;
    struct strmap hosts;
    struct list unused_hosts; /* without connections and posts; longest unused first */
    size_t n_unused_hosts;
    struct list idle;     /* conns, least recently used first */
    struct list draining; /* conns, the same node */
    struct list finished;
    struct loop_timer finish_timer;
    struct http_client_stats stats;
    char record[CLIENT_RECORD_BYTES]; /* scratch for writing */
    char input[CLIENT_RECORD_BYTES];  /* scratch for reading */
};

struct host {
    struct http_client *client;
    struct list unused; /* client.unused_hosts */
    mono_ms unused_since;
    struct list idle;    /* conns, most recently used first */
    struct list waiting; /* attempts, first come first */
    unsigned n_conns;
    bool pumping;
    uint16_t port;
    struct tls_session session;
    size_t key_len;
    char name[]; /* NUL-terminated; the key goes on with two bytes of port */
};

struct attempt {
    struct list node; /* host.waiting or client.finished */
    struct http_post *post;
    struct host *host;
    struct conn *conn;
    mono_ms deadline;
    mono_us started;
    struct loop_timer timer; /* only while waiting; a connection has its own */
    bool retried;            /* the stale keep-alive rule was used up */
    size_t kept_len;
    char *kept; /* owned: first bytes of a failed response */
};

struct conn;

/* ---- client.c ---- */

/* Done with this outcome; the attempt is on no connection any more. */
void attempt_finish(struct attempt *attempt, enum http_error error, const char *detail);
/* Gives free connections and room below the ceiling to those who wait; to be called whenever a
 * connection became idle or is gone. */
void host_pump(struct host *host);
/* Closes the least recently used idle connection; false when there is none. */
bool client_close_oldest_idle(struct http_client *client);

/* ---- conn.c ---- */

/* A new connection for the attempt, counted against the host. */
void conn_open(struct host *host, struct attempt *attempt);
/* Runs the attempt on the most recently used idle connection; there must be one. */
void conn_reuse(struct host *host, struct attempt *attempt);
/* The attempt is withdrawn: closes its connection. */
void conn_abandon(struct conn *conn);
/* Closes the connection that this node of client.idle or client.draining belongs to. */
void conn_close_spare(struct list *node);

#endif
