/* conn_connect.c: from a host name to a connection that is ready for a request.
 *
 * Every address is put before the egress guard here, at the last moment: what was checked is what
 * is connected to. Fails in all the ways that name servers, networks and TLS have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/conn_private.h"

/* ---- name and address ---- */

static enum http_error error_of_cause(int cause)
{
    if (sock_is_out_of_room(cause))
        return HTTP_ERR_RESOURCES;
    switch (cause) {
    case ECONNREFUSED:
        return HTTP_ERR_CONNECT_REFUSED;
    case ENETUNREACH:
    case ENETDOWN:
        return HTTP_ERR_NETWORK_LOCAL;
    case ECONNRESET:
        return HTTP_ERR_RESET;
    case ETIMEDOUT:
        return HTTP_ERR_TIMEOUT_CONNECT;
    default:
        return HTTP_ERR_UNREACHABLE;
    }
}

static void connect_failed(struct conn *conn, int cause)
{
    enum http_error error = error_of_cause(cause);
    bool exact = error != HTTP_ERR_CONNECT_REFUSED && error != HTTP_ERR_TIMEOUT_CONNECT;
    conn_fail(conn, error, exact ? strerror(cause) : NULL);
}

static void shake_failed(struct conn *conn, enum tls_status status)
{
    static const enum http_error of[] = {
        [TLS_FAIL_HANDSHAKE] = HTTP_ERR_TLS_HANDSHAKE,
        [TLS_FAIL_CERTIFICATE] = HTTP_ERR_TLS_CERTIFICATE,
        [TLS_FAIL_NAME] = HTTP_ERR_TLS_NAME,
        [TLS_FAIL_VALIDITY] = HTTP_ERR_TLS_EXPIRED,
        [TLS_FAIL_TRUST] = HTTP_ERR_TRUST_LOCAL,
    };
    char text[sizeof(conn->attempt->post->result.detail)];
    if (status == TLS_ENDED) {
        conn_fail(conn, HTTP_ERR_TLS_HANDSHAKE, "the receiver ended the connection");
        return;
    }
    enum tls_failure failure = tls_failure(conn->tls, text, sizeof(text));
    conn_fail(conn, of[failure], text);
}

void conn_shake(struct conn *conn)
{
    struct http_client_stats *stats = &client_of(conn)->stats;
    enum tls_status status = tls_handshake(conn->tls);
    if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
        conn_want(conn, status == TLS_WANT_WRITE);
        return;
    }
    if (status != TLS_DONE) {
        shake_failed(conn, status);
        return;
    }
    conn->attempt->post->result.tls_us = conn_end_phase(conn);
    conn->attempt->post->result.resumed = tls_resumed(conn->tls);
    stats->handshakes++;
    stats->resumed += tls_resumed(conn->tls);
    conn_start_request(conn);
}

static void dialed(struct dial *dial)
{
    struct conn *conn = dial->owner;
    struct http_client *client = client_of(conn);
    int fd = dial->fd;
    int cause = dial->cause;
    conn->address = dial->address;
    conn->dial = NULL;
    dial_stop(dial);
    free(dial);
    if (fd < 0) {
        connect_failed(conn, cause);
        return;
    }
    conn->attempt->post->result.connect_us = conn_end_phase(conn);
    conn->io = (struct loop_io){.fd = fd, .events = EPOLLIN, .ready = conn_ready};
    if (!loop_io_add(client->loop, &conn->io)) {
        close(fd);
        conn->io.fd = -1;
        connect_failed(conn, ENOMEM);
        return;
    }
    memcpy(&conn->attempt->post->result.peer, &conn->address, sizeof(conn->address));
    if (client->conf.plain_http) {
        conn_start_request(conn);
        return;
    }
    conn->tls = tls_new(client->trust, fd, conn->host->name, &conn->host->session);
    if (conn->tls == NULL) {
        connect_failed(conn, ENOMEM);
        return;
    }
    conn_move(conn, CONN_HANDSHAKE);
    conn_shake(conn);
}

static bool make_room(void *owner)
{
    return client_close_oldest_idle(client_of(owner));
}

void conn_resolved(struct conn *conn)
{
    const struct resolver_query *query = &conn->query;
    struct http_client *client = client_of(conn);
    client->stats.dns_queries = resolver_asked(client->resolver);
    conn->attempt->post->result.dns_us = conn_end_phase(conn);
    if (query->status != RESOLVER_FOUND) {
        bool local = query->status == RESOLVER_UNREACHABLE;
        conn_fail(conn, local ? HTTP_ERR_DNS_LOCAL : HTTP_ERR_DNS, local ? NULL : query->detail);
        return;
    }
    struct dial *dial = mem_zero(1, sizeof(*dial));
    dial->loop = client->loop;
    dial->owner = conn;
    dial->done = dialed;
    dial->make_room = make_room;
    for (unsigned i = 0; i < query->n_addresses; i++) {
        union address address = query->addresses[i];
        address_set_port(&address, conn->host->port);
        if (client->conf.allow(client->conf.allow_ctx, &address.any))
            dial_add(dial, &address);
    }
    if (dial->n_tries == 0) {
        free(dial);
        conn_fail(conn, HTTP_ERR_ADDRESS_REFUSED, NULL);
        return;
    }
    conn_move(conn, CONN_DIALING);
    conn->dial = dial;
    if (dial_start(dial) == DIAL_FAILED)
        connect_failed(conn, dial->cause);
}

void conn_query_done(struct resolver_query *query)
{
    conn_resolved(CONTAINER_OF(query, struct conn, query));
}
