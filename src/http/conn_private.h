/* conn_private.h: what the three files of a connection share; nobody else includes it.
 *
 * conn.c: states, deadline, beginning and end. conn_connect.c: name, address, TLS handshake.
 * conn_transfer.c: the request out, the response in. A function that may close the connection says
 * so; after it the connection must not be touched. */
#ifndef HTTP_CONN_PRIVATE_H
#define HTTP_CONN_PRIVATE_H

#include "http/client_private.h"

enum conn_state {
    CONN_RESOLVING,
    CONN_DIALING,
    CONN_HANDSHAKE,
    CONN_SENDING,
    CONN_WAITING,
    CONN_KEEPING,
    CONN_DRAINING,
    CONN_IDLE,
    CONN_CLOSED,
};
struct conn {
    struct loop_io io; /* fd -1 before it is connected */
    enum conn_state state;
    bool reused;       /* has carried a request before this one */
    bool answered;     /* a byte of this response has come */
    bool write_broken; /* the peer takes no more; its answer may still be there */
    struct host *host;
    struct attempt *attempt;
    struct tls *tls;
    struct loop_timer timer;
    mono_ms due;
    mono_us phase_began;
    struct list spare;     /* client.idle or client.draining */
    struct list host_idle; /* host.idle */
    size_t sent;
    size_t drained; /* bytes behind the head */
    union address address;
    struct dial *dial;
    struct resolver_query query;
    struct parser parser;
};
static inline struct http_client *client_of(const struct conn *conn)
{
    return conn->host->client;
}

/* ---- conn.c ---- */

/* The one door between states: checks the successor table and the invariant. */
void conn_move(struct conn *conn, enum conn_state next);
void conn_set_due(struct conn *conn, mono_ms due);
/* The microseconds since the phase began (at least 1); begins the next one. */
uint32_t conn_end_phase(struct conn *conn);
/* Which readiness is waited for; reading always is. */
void conn_want(struct conn *conn, bool writing);
/* Connected: the attempt's request goes out. May close. */
void conn_start_request(struct conn *conn);
/* Ready for reading or writing. */
void conn_ready(struct loop_io *io, uint32_t events);
/* The attempt ends here; the connection goes on, or is closed by the caller. */
void conn_end_attempt(struct conn *conn, enum http_error error, const char *detail);
/* Ends the attempt and closes. */
void conn_fail(struct conn *conn, enum http_error error, const char *detail);
/* Frees; then gives the room to those who wait for the host. `polite`: says goodbye in TLS. */
void conn_close(struct conn *conn, bool polite);
/* The peer ended the connection: what that means for the attempt depends on the state. Closes. */
void conn_ended(struct conn *conn);
/* TLS broke under an established connection. Closes. */
void conn_stream_failed(struct conn *conn);

/* ---- conn_connect.c ---- */

/* The query of the connection was answered at once. May close. */
void conn_resolved(struct conn *conn);
/* ... later: the query's callback. */
void conn_query_done(struct resolver_query *query);
/* Goes on with the handshake. May close. */
void conn_shake(struct conn *conn);

/* ---- conn_transfer.c ---- */

/* Sends what is left of the request. May close. */
void conn_send(struct conn *conn);
/* Reads until the response is complete or nothing is left. May close. */
void conn_receive(struct conn *conn);
/* What a recv() or send() of a plain connection means. */
enum tls_status conn_plain_status(ssize_t n);

#endif
