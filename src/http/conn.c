/* conn.c: one connection to a receiver: an attempt from name look-up to verdict, then idle.
 *
 *   RESOLVING --> DIALING --> HANDSHAKE --> SENDING --> WAITING --> KEEPING --> DRAINING --> IDLE
 *                     `------ plain ------->'  ^ `-------. | `----------------->^  ^          |
 *                                              |         `-'---- early answer ----->'         |
 *                                              `---------------- next attempt ----------------'
 *   any --> CLOSED (freed)
 *
 * SENDING also listens: an answer may come before the request is out. KEEPING collects the first
 * bytes of a failed response for the log; from DRAINING on the attempt is done and the connection
 * is only read to be kept. Invariant: a connection has an attempt exactly up to KEEPING.
 * One deadline holds from RESOLVING to the end of DRAINING; the state in which it passes names the
 * time-out. The timer is lazy: it is moved only to fire earlier, and looks at `due` when it fires,
 * so a busy kept connection costs no heap operation per request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/client_private.h"
#include "sys/clock.h"

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

static void conn_ready(struct loop_io *io, uint32_t events);
static void start_request(struct conn *conn);

/* ---- the one door, the timer, the end ---- */

static void conn_move(struct conn *conn, enum conn_state next)
{
    if ((successors[conn->state] & BIT(next)) == 0)
        BUG("a connection went from state %d to %d", (int)conn->state, (int)next);
    conn->state = next;
    ASSERT(next == CONN_CLOSED || (conn->attempt != NULL) == (next <= CONN_KEEPING));
}

static struct http_client *client_of(const struct conn *conn)
{
    return conn->host->client;
}

static void set_due(struct conn *conn, mono_ms due)
{
    conn->due = due;
    if (!loop_timer_armed(&conn->timer) || conn->timer.due > due)
        loop_timer_set(client_of(conn)->loop, &conn->timer, due);
}

/* The microseconds since the phase began; begins the next one. */
static uint32_t end_phase(struct conn *conn)
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

static void conn_close(struct conn *conn, bool polite)
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
static void end_attempt(struct conn *conn, enum http_error error, const char *detail)
{
    struct attempt *attempt = conn->attempt;
    conn->attempt = NULL;
    attempt_finish(attempt, error, detail);
}

static void conn_fail(struct conn *conn, enum http_error error, const char *detail)
{
    end_attempt(conn, error, detail);
    conn_close(conn, false);
}

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

static void want(struct conn *conn, bool writing)
{
    loop_io_change(client_of(conn)->loop, &conn->io, EPOLLIN | (writing ? EPOLLOUT : 0U));
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
        conn_fail(conn, HTTP_ERR_TLS_HANDSHAKE, "the connection ended during the TLS handshake");
        return;
    }
    enum tls_failure failure = tls_failure(conn->tls, text, sizeof(text));
    conn_fail(conn, of[failure], text);
}

static void shake(struct conn *conn)
{
    struct http_client_stats *stats = &client_of(conn)->stats;
    enum tls_status status = tls_handshake(conn->tls);
    if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
        want(conn, status == TLS_WANT_WRITE);
        return;
    }
    if (status != TLS_DONE) {
        shake_failed(conn, status);
        return;
    }
    conn->attempt->post->result.tls_us = end_phase(conn);
    conn->attempt->post->result.resumed = tls_resumed(conn->tls);
    stats->handshakes++;
    stats->resumed += tls_resumed(conn->tls);
    start_request(conn);
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
    conn->attempt->post->result.connect_us = end_phase(conn);
    conn->io = (struct loop_io){.fd = fd, .events = EPOLLIN, .ready = conn_ready};
    if (!loop_io_add(client->loop, &conn->io)) {
        close(fd);
        conn->io.fd = -1;
        connect_failed(conn, ENOMEM);
        return;
    }
    memcpy(&conn->attempt->post->result.peer, &conn->address, sizeof(conn->address));
    if (client->conf.plain_http) {
        start_request(conn);
        return;
    }
    conn->tls = tls_new(client->trust, fd, conn->host->name, &conn->host->session);
    if (conn->tls == NULL) {
        connect_failed(conn, ENOMEM);
        return;
    }
    conn_move(conn, CONN_HANDSHAKE);
    shake(conn);
}

static bool make_room(void *owner)
{
    return client_close_oldest_idle(client_of(owner));
}

static void resolved(struct conn *conn)
{
    const struct resolver_query *query = &conn->query;
    struct http_client *client = client_of(conn);
    client->stats.dns_queries = resolver_asked(client->resolver);
    conn->attempt->post->result.dns_us = end_phase(conn);
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

static void query_done(struct resolver_query *query)
{
    resolved(CONTAINER_OF(query, struct conn, query));
}

/* ---- the response ---- */

/* A connection without attempt that may be worth keeping. */
static void begin_draining(struct conn *conn)
{
    conn_move(conn, CONN_DRAINING);
    list_push_back(&client_of(conn)->draining, &conn->spare);
}

static void go_idle(struct conn *conn)
{
    struct http_client *client = client_of(conn);
    struct host *host = conn->host;
    int64_t idle_ms = client->conf.idle_timeout_ms;
    /* A receiver that says when it will hang up is left half a second earlier. */
    int64_t hint_ms = (int64_t)conn->parser.keep_alive_s * 1000 - 500;
    if (hint_ms > 0 && hint_ms < idle_ms)
        idle_ms = hint_ms;
    conn_move(conn, CONN_IDLE);
    list_remove(&conn->spare);
    list_push_back(&client->idle, &conn->spare);
    list_push_front(&host->idle, &conn->host_idle);
    client->stats.idle_connections++;
    set_due(conn, loop_now(client->loop) + idle_ms);
    want(conn, false);
    host_pump(host);
    if (client->stats.idle_connections > client->conf.idle_connections)
        client_close_oldest_idle(client);
}

/* What OpenSSL has received behind the response is either the rest of a record that is still on
 * its way, or something that nobody asked for. */
static bool is_quiet(struct conn *conn)
{
    char byte;
    size_t len;
    return conn->tls == NULL || !tls_pending(conn->tls) ||
           tls_read(conn->tls, &byte, 1, &len) == TLS_WANT_READ;
}

/* The response is complete. */
static void response_ended(struct conn *conn, bool more_came)
{
    if (conn->attempt != NULL)
        end_attempt(conn, HTTP_OK, NULL);
    if (conn->state != CONN_DRAINING)
        begin_draining(conn);
    if (conn->parser.keep_alive && !more_came && is_quiet(conn))
        go_idle(conn);
    else
        conn_close(conn, true);
}

/* The final head: here the verdict falls. */
static void head_ended(struct conn *conn)
{
    struct http_client *client = client_of(conn);
    struct attempt *attempt = conn->attempt;
    struct http_post *post = attempt->post;
    post->result.status = conn->parser.status;
    post->result.total_us = (uint32_t)(loop_now_us(client->loop) - attempt->started);
    if (conn->parser.retry_after[0] != '\0')
        post->result.retry_after_s =
            parser_retry_after_s(conn->parser.retry_after, clock_wall_ms());
    if (conn->state == CONN_SENDING) /* what is left of the request will never be sent */
        conn->parser.keep_alive = false;
    conn->drained = 0;
    if (post->result.status / 100 == 2 || client->conf.keep_body_bytes == 0) {
        end_attempt(conn, HTTP_OK, NULL);
        begin_draining(conn);
    } else {
        conn_move(conn, CONN_KEEPING);
    }
}

static void keep_body(struct conn *conn, struct span body)
{
    struct attempt *attempt = conn->attempt;
    size_t cap = client_of(conn)->conf.keep_body_bytes;
    size_t n = cap - attempt->kept_len < body.len ? cap - attempt->kept_len : body.len;
    if (n == 0)
        return;
    attempt->kept = mem_realloc(attempt->kept, attempt->kept_len + n);
    memcpy(attempt->kept + attempt->kept_len, body.ptr, n);
    attempt->kept_len += n;
}

/* All input is used and the response goes on. False when the connection is gone. */
static bool more_to_come(struct conn *conn)
{
    const struct http_client_conf *conf = &client_of(conn)->conf;
    if (conn->state == CONN_KEEPING && conn->attempt->kept_len >= conf->keep_body_bytes) {
        end_attempt(conn, HTTP_OK, NULL);
        begin_draining(conn);
    }
    /* Limits of one received piece, so an endless stream of chunk headers counts too. */
    bool too_long =
        conn->drained > conf->drain_bytes ||
        (conn->parser.framing == FRAMING_LENGTH && conn->parser.content_length > conf->drain_bytes);
    if (conn->state == CONN_KEEPING && conn->drained > conf->drain_bytes + conf->keep_body_bytes) {
        end_attempt(conn, HTTP_OK, NULL);
        conn_close(conn, false);
        return false;
    }
    if (conn->state == CONN_DRAINING && (!conn->parser.keep_alive || too_long)) {
        conn_close(conn, false);
        return false;
    }
    return true;
}

/* Broken framing. Behind the head it only costs the connection. */
static void response_broken(struct conn *conn, enum http_error error)
{
    if (conn->state == CONN_SENDING || conn->state == CONN_WAITING) {
        conn_fail(conn, error, NULL);
        return;
    }
    if (conn->attempt != NULL)
        end_attempt(conn, HTTP_OK, NULL);
    conn_close(conn, false);
}

/* Bytes of the response. False when the connection is gone, idle or in other use. */
static bool feed(struct conn *conn, struct span in)
{
    struct span body;
    size_t used;
    if (!conn->answered) {
        conn->answered = true;
        conn->attempt->post->result.first_byte_us = end_phase(conn);
    }
    if (conn->state == CONN_KEEPING || conn->state == CONN_DRAINING)
        conn->drained += in.len;
    for (;;) {
        enum parser_result result = parser_feed(&conn->parser, in, &used, &body);
        in = span_from_at(in, used);
        switch (result) {
        case PARSER_MORE:
            return more_to_come(conn);
        case PARSER_HEAD:
            head_ended(conn);
            conn->drained += in.len;
            break;
        case PARSER_BODY:
            if (conn->state == CONN_KEEPING)
                keep_body(conn, body);
            break;
        case PARSER_END:
            response_ended(conn, in.len > 0);
            return false;
        case PARSER_MALFORMED:
            response_broken(conn, HTTP_ERR_MALFORMED);
            return false;
        case PARSER_TOO_LARGE:
            response_broken(conn, HTTP_ERR_HEAD_TOO_LARGE);
            return false;
        }
    }
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

static void conn_ended(struct conn *conn)
{
    switch (conn->state) {
    case CONN_SENDING:
    case CONN_WAITING:
        if (!retry_stale(conn))
            conn_fail(conn, HTTP_ERR_RESET, NULL);
        return;
    case CONN_KEEPING:
        end_attempt(conn, HTTP_OK, NULL);
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

/* TLS broke under an established connection. */
static void stream_failed(struct conn *conn)
{
    char text[sizeof(conn->attempt->post->result.detail)];
    if ((conn->state != CONN_SENDING && conn->state != CONN_WAITING) ||
        (conn->reused && !conn->answered && !conn->attempt->retried)) {
        conn_ended(conn);
        return;
    }
    tls_failure(conn->tls, text, sizeof(text));
    conn_fail(conn, HTTP_ERR_RESET, text);
}

/* ---- moving bytes ---- */

static enum tls_status plain_status(ssize_t n)
{
    if (n > 0)
        return TLS_DONE;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? TLS_WANT_READ : TLS_ENDED;
}

static enum tls_status receive_some(struct conn *conn, size_t *ret_len)
{
    struct http_client *client = client_of(conn);
    if (conn->tls != NULL)
        return tls_read(conn->tls, client->input, sizeof(client->input), ret_len);
    ssize_t n = recv(conn->io.fd, client->input, sizeof(client->input), 0);
    *ret_len = n > 0 ? (size_t)n : 0;
    return plain_status(n);
}

/* Reads until the response is complete or nothing is left. With TLS everything that OpenSSL holds
 * must be taken, as epoll will not report it; the limits of feed() bound that. */
static void receive(struct conn *conn)
{
    const struct http_client *client = client_of(conn);
    size_t len;
    for (;;) {
        enum tls_status status = receive_some(conn, &len);
        if (status == TLS_WANT_READ && !conn->write_broken)
            return;
        if (status == TLS_WANT_WRITE) {
            want(conn, true);
            return;
        }
        if (status == TLS_FAILED) {
            stream_failed(conn);
            return;
        }
        if (status != TLS_DONE) {
            conn_ended(conn);
            return;
        }
        if (!feed(conn, span_make(client->input, len)))
            return;
        if (!conn->write_broken && (conn->tls == NULL || !tls_pending(conn->tls)))
            return;
    }
}

static size_t request_bytes(const struct http_post *post)
{
    return post->head.len + post->body[0].len + post->body[1].len + post->body[2].len;
}

/* The parts from byte `from` on; returns how many. */
static int request_parts(const struct http_post *post, size_t from, struct iovec parts[4])
{
    struct span all[4] = {post->head, post->body[0], post->body[1], post->body[2]};
    int n = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (from >= all[i].len) {
            from -= all[i].len;
            continue;
        }
        /* sendmsg does not write, but its type cannot say so */
        parts[n].iov_base = (void *)(uintptr_t)(all[i].ptr + from);
        parts[n++].iov_len = all[i].len - from;
        from = 0;
    }
    return n;
}

/* One record, one system call: head and body are copied together (1 to 16 KiB, cheap beside a
 * second record). */
static enum tls_status send_record(struct conn *conn, size_t *ret_len)
{
    struct http_client *client = client_of(conn);
    struct iovec parts[4];
    size_t len = 0;
    int n = request_parts(conn->attempt->post, conn->sent, parts);
    for (int i = 0; i < n && len < sizeof(client->record); i++) {
        size_t room = sizeof(client->record) - len;
        size_t part = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(client->record + len, parts[i].iov_base, part);
        len += part;
    }
    return tls_write(conn->tls, client->record, len, ret_len);
}

static enum tls_status send_some(struct conn *conn, size_t *ret_len)
{
    if (conn->tls != NULL)
        return send_record(conn, ret_len);
    struct iovec parts[4];
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = (size_t)request_parts(conn->attempt->post, conn->sent, parts);
    ssize_t n = sendmsg(conn->io.fd, &message, MSG_NOSIGNAL);
    *ret_len = n > 0 ? (size_t)n : 0;
    enum tls_status status = plain_status(n);
    return status == TLS_WANT_READ ? TLS_WANT_WRITE : status;
}

static void send_request(struct conn *conn)
{
    size_t total = request_bytes(conn->attempt->post);
    size_t len;
    while (conn->sent < total) {
        enum tls_status status = send_some(conn, &len);
        if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
            want(conn, status == TLS_WANT_WRITE);
            return;
        }
        if (status != TLS_DONE) {
            conn->write_broken = true;
            receive(conn);
            return;
        }
        conn->sent += len;
    }
    want(conn, false);
    conn_move(conn, CONN_WAITING);
}

/* ---- attempts come ---- */

static void start_request(struct conn *conn)
{
    conn_move(conn, CONN_SENDING);
    conn->sent = 0;
    conn->answered = conn->write_broken = false;
    parser_init(&conn->parser, client_of(conn)->conf.head_bytes);
    send_request(conn);
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
        end_attempt(conn, HTTP_OK, NULL);
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
        status = plain_status(recv(conn->io.fd, &byte, 1, 0));
    if (status != TLS_WANT_READ)
        conn_close(conn, status == TLS_DONE);
}

static void conn_ready(struct loop_io *io, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(io, struct conn, io);
    switch (conn->state) {
    case CONN_HANDSHAKE:
        shake(conn);
        return;
    case CONN_SENDING:
        /* An answer first: it makes the rest of the request moot. */
        if ((events & ~(uint32_t)EPOLLOUT) != 0)
            receive(conn);
        else
            send_request(conn);
        return;
    case CONN_WAITING:
    case CONN_KEEPING:
    case CONN_DRAINING:
        if (io->events != EPOLLIN)
            want(conn, false);
        receive(conn);
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
    set_due(conn, attempt->deadline);
    conn->query.done = query_done;
    if (resolver_ask(client->resolver, host->name, &conn->query))
        resolved(conn);
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
    set_due(conn, attempt->deadline);
    start_request(conn);
}
