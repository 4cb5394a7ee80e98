/* conn.c: one connection to a receiver: an attempt from name look-up to verdict, then idle.
 *
 *   RESOLVING -> DIALING -> HANDSHAKE -> SENDING -> WAITING -> KEEPING -> DRAINING -> IDLE
 *                   |                     ^ | ^        |          ^        ^ ^         |
 *                   `---- plain HTTP -----' | |        `-- 2xx ---|--------' |         |
 *                                           | |                   |          |         |
 *                                           `-|-- early answer ---+----------'         |
 *                                             `------------ next attempt --------------'
 *   any -> CLOSED (freed)
 *
 * SENDING also listens: an answer may come before the request is out. KEEPING collects the first
 * bytes of a failed response for the log; from DRAINING on the attempt is done and the connection
 * is only read to be kept. Invariant: a connection has an attempt exactly up to KEEPING.
 * One deadline holds from RESOLVING to the end of DRAINING; the state in which it passes names the
 * time-out. The timer is lazy: it is moved only to fire earlier, and looks at `due` when it fires,
 * so a busy kept connection costs no heap operation per request. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/conn_private.h"

#define BIT(state) (1U << (state))

static const unsigned successors[] = {
    [CONN_RESOLVING] = BIT(CONN_DIALING) | BIT(CONN_CLOSED),
    [CONN_DIALING] = BIT(CONN_HANDSHAKE) | BIT(CONN_SENDING) | BIT(CONN_CLOSED),
    [CONN_HANDSHAKE] = BIT(CONN_SENDING) | BIT(CONN_CLOSED),
    [CONN_SENDING] = BIT(CONN_WAITING) | BIT(CONN_KEEPING) | BIT(CONN_DRAINING) | BIT(CONN_CLOSED),
    [CONN_WAITING] = BIT(CONN_KEEPING) | BIT(CONN_DRAINING) | BIT(CONN_CLOSED),
    [CONN_KEEPING] = BIT(CONN_DRAINING) | BIT(CONN_CLOSED),
    [CONN_DRAINING] = BIT(CONN_IDLE) | BIT(CONN_CLOSED),
    [CONN_IDLE] = BIT(CONN_SENDING) | BIT(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};

/* ---- the one door, the timer, the end ---- */

void conn_move(struct conn *conn, enum conn_state next)
{
    if ((successors[conn->state] & BIT(next)) == 0)
        BUG("a connection went from state %d to %d", (int)conn->state, (int)next);
    conn->state = next;
    ASSERT(next == CONN_CLOSED || (conn->attempt != NULL) == (next <= CONN_KEEPING));
}

void conn_set_due(struct conn *conn, mono_ms due)
{
    conn->due = due;
    if (!loop_timer_armed(&conn->timer) || conn->timer.due > due)
        loop_timer_set(client_of(conn)->loop, &conn->timer, due);
}

/* The microseconds since the phase began; begins the next one. */
uint32_t conn_end_phase(struct conn *conn)
{
    mono_us now = loop_now_us(client_of(conn)->loop);
    uint32_t us = (uint32_t)(now - conn->phase_began);
    conn->phase_began = now;
    return us == 0 ? 1 : us;
}

static void leave_idle(struct conn *conn)
{
    list_remove(&conn->host_idle);
    list_remove(&conn->spare);
    client_of(conn)->stats.idle_connections--;
}

/* Closes and frees, without a word to the host's queue: see conn_close. */
static void conn_drop(struct conn *conn, bool polite)
{
    struct http_client *client = client_of(conn);
    if (conn->state == CONN_IDLE)
        leave_idle(conn);
    list_remove(&conn->spare);
    conn->attempt = NULL;
    conn_move(conn, CONN_CLOSED);
    loop_timer_clear(client->loop, &conn->timer);
    resolver_cancel(&conn->query);
    if (conn->dial != NULL)
        dial_stop(conn->dial);
    free(conn->dial);
    tls_free(conn->tls, polite);
    if (conn->io.fd >= 0) {
        loop_io_remove(client->loop, &conn->io);
        close(conn->io.fd);
    }
    conn->host->n_conns--;
    client->stats.connections--;
    free(conn);
}

void conn_close(struct conn *conn, bool polite)
{
    struct host *host = conn->host;
    conn_drop(conn, polite);
    host_pump(host);
}

void conn_abandon(struct conn *conn)
{
    conn->attempt = NULL;
    conn_close(conn, false);
}

void conn_close_spare(struct list *node)
{
    conn_close(CONTAINER_OF(node, struct conn, spare), true);
}

/* The attempt ends here, the connection goes on or is closed by the caller. */
void conn_end_attempt(struct conn *conn, enum http_error error, const char *detail)
{
    struct attempt *attempt = conn->attempt;
    conn->attempt = NULL;
    attempt_finish(attempt, error, detail);
}

/* The phase in which it failed gets the time that it had, so that the phases add up to the total.
 */
static void end_last_phase(struct conn *conn)
{
    struct http_post *post = conn->attempt->post;
    switch (conn->state) {
    case CONN_RESOLVING:
        post->result.dns_us = conn_end_phase(conn);
        return;
    case CONN_DIALING:
        post->result.connect_us = conn_end_phase(conn);
        return;
    case CONN_HANDSHAKE:
        post->result.tls_us = conn_end_phase(conn);
        return;
    case CONN_SENDING:
    case CONN_WAITING:
        if (post->result.first_byte_us == 0)
            post->result.first_byte_us = conn_end_phase(conn);
        return;
    case CONN_KEEPING:
    case CONN_DRAINING:
    case CONN_IDLE:
    case CONN_CLOSED:
        return;
    }
}

void conn_fail(struct conn *conn, enum http_error error, const char *detail)
{
    if (conn->attempt != NULL)
        end_last_phase(conn);
    conn_end_attempt(conn, error, detail);
    conn_close(conn, false);
}
void conn_want(struct conn *conn, bool writing)
{
    loop_io_change(client_of(conn)->loop, &conn->io, EPOLLIN | (writing ? EPOLLOUT : 0U));
}

/* ---- the end of a connection, as seen by the peer's side ---- */

/* Stale keep-alive: the receiver closed an idle connection while our request was on its way. It
 * cannot have answered, and POSTs of ours carry an id: once more on a fresh connection. */
static bool retry_stale(struct conn *conn)
{
    struct attempt *attempt = conn->attempt;
    struct host *host = conn->host;
    if (!conn->reused || conn->answered || attempt->retried)
        return false;
    attempt->retried = true;
    attempt->post->result.reused = false;
    client_of(conn)->stats.stale_retries++;
    conn_drop(conn, false);
    conn_open(host, attempt);
    host_pump(host);
    return true;
}

void conn_ended(struct conn *conn)
{
    switch (conn->state) {
    case CONN_SENDING:
    case CONN_WAITING:
        if (!retry_stale(conn))
            conn_fail(conn, HTTP_ERR_RESET, NULL);
        return;
    case CONN_KEEPING:
        conn_end_attempt(conn, HTTP_OK, NULL);
        conn_close(conn, false);
        return;
    case CONN_RESOLVING:
    case CONN_DIALING:
    case CONN_HANDSHAKE:
    case CONN_DRAINING:
    case CONN_IDLE:
    case CONN_CLOSED:
        conn_close(conn, false);
        return;
    }
}

/* TLS broke under an established connection. With TLS 1.3 a server that refuses us (it wants a
 * client certificate, for instance) says so only now, when our side of the handshake is long done.
 */
void conn_stream_failed(struct conn *conn)
{
    char text[sizeof(conn->attempt->post->result.detail)];
    bool waits = conn->state == CONN_SENDING || conn->state == CONN_WAITING;
    if (!waits || (conn->reused && !conn->answered && !conn->attempt->retried)) {
        conn_ended(conn);
        return;
    }
    tls_failure(conn->tls, text, sizeof(text));
    conn_fail(conn, conn->reused || conn->answered ? HTTP_ERR_RESET : HTTP_ERR_TLS_HANDSHAKE, text);
}
/* ---- attempts come ---- */

void conn_start_request(struct conn *conn)
{
    conn_move(conn, CONN_SENDING);
    conn->sent = 0;
    conn->answered = conn->write_broken = false;
    parser_init(&conn->parser, client_of(conn)->conf.head_bytes);
    conn_send(conn);
}

static void expired(struct conn *conn)
{
    switch (conn->state) {
    case CONN_RESOLVING:
        conn_fail(conn,
                  resolver_answered_since(client_of(conn)->resolver, conn->query.asked_at)
                      ? HTTP_ERR_TIMEOUT_DNS
                      : HTTP_ERR_DNS_LOCAL,
                  NULL);
        return;
    case CONN_DIALING:
        conn_fail(conn, HTTP_ERR_TIMEOUT_CONNECT, NULL);
        return;
    case CONN_HANDSHAKE:
        conn_fail(conn, HTTP_ERR_TIMEOUT_TLS, NULL);
        return;
    case CONN_SENDING:
        conn_fail(conn, HTTP_ERR_TIMEOUT_SEND, NULL);
        return;
    case CONN_WAITING:
        conn_fail(conn, HTTP_ERR_TIMEOUT_RESPONSE, NULL);
        return;
    case CONN_KEEPING:
        conn_end_attempt(conn, HTTP_OK, NULL);
        conn_close(conn, false);
        return;
    case CONN_DRAINING:
        conn_close(conn, false);
        return;
    case CONN_IDLE:
    case CONN_CLOSED:
        conn_close(conn, true);
        return;
    }
}

static void timer_fire(struct loop_timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    struct loop *loop = client_of(conn)->loop;
    if (conn->due > loop_now(loop))
        loop_timer_set(loop, timer, conn->due);
    else
        expired(conn);
}

/* Nobody has asked anything: session tickets are fine, all else ends the connection. */
static void idle_ready(struct conn *conn)
{
    char byte;
    size_t len;
    enum tls_status status;
    if (conn->tls != NULL)
        status = tls_read(conn->tls, &byte, 1, &len);
    else
        status = conn_plain_status(recv(conn->io.fd, &byte, 1, 0));
    if (status != TLS_WANT_READ)
        conn_close(conn, status == TLS_DONE);
}

void conn_ready(struct loop_io *io, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(io, struct conn, io);
    switch (conn->state) {
    case CONN_HANDSHAKE:
        conn_shake(conn);
        return;
    case CONN_SENDING:
        /* An answer first: it makes the rest of the request moot. */
        if ((events & ~(uint32_t)EPOLLOUT) != 0)
            conn_receive(conn);
        else
            conn_send(conn);
        return;
    case CONN_WAITING:
    case CONN_KEEPING:
    case CONN_DRAINING:
        if (io->events != EPOLLIN)
            conn_want(conn, false);
        conn_receive(conn);
        return;
    case CONN_IDLE:
        idle_ready(conn);
        return;
    case CONN_RESOLVING:
    case CONN_DIALING:
    case CONN_CLOSED:
        BUG("a connection in state %d has no descriptor", (int)conn->state);
    }
}

void conn_open(struct host *host, struct attempt *attempt)
{
    struct http_client *client = host->client;
    struct conn *conn = mem_zero(1, sizeof(*conn));
    conn->io.fd = -1;
    conn->state = CONN_RESOLVING;
    conn->host = host;
    conn->attempt = attempt;
    attempt->conn = conn;
    list_init(&conn->spare);
    list_init(&conn->host_idle);
    list_init(&conn->query.node);
    loop_timer_init(&conn->timer, timer_fire);
    host->n_conns++;
    client->stats.connections++;
    conn->phase_began = loop_now_us(client->loop);
    conn_set_due(conn, attempt->deadline);
    conn->query.done = conn_query_done;
    if (resolver_ask(client->resolver, host->name, &conn->query))
        conn_resolved(conn);
}

void conn_reuse(struct host *host, struct attempt *attempt)
{
    struct conn *conn = CONTAINER_OF(host->idle.next, struct conn, host_idle);
    leave_idle(conn);
    attempt->conn = conn;
    conn->attempt = attempt;
    conn->reused = true;
    conn->phase_began = loop_now_us(host->client->loop);
    attempt->post->result.reused = true;
    memcpy(&attempt->post->result.peer, &conn->address, sizeof(conn->address));
    host->client->stats.reused++;
    conn_set_due(conn, attempt->deadline);
    conn_start_request(conn);
}
