/* conn_transfer.c: the request out and the response in.
 *
 * The verdict falls at the end of the final head. Of a failed response the first bytes are kept for
 * the log; behind that the body is read only to keep the connection, within limits, and whatever
 * happens to it changes nothing. Buffers are the client's: a connection has none of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "http/conn_private.h"
#include "sys/clock.h"

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
    conn_set_due(conn, loop_now(client->loop) + idle_ms);
    conn_want(conn, false);
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
        conn_end_attempt(conn, HTTP_OK, NULL);
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
        conn_end_attempt(conn, HTTP_OK, NULL);
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
        conn_end_attempt(conn, HTTP_OK, NULL);
        begin_draining(conn);
    }
    /* Limits of one received piece, so an endless stream of chunk headers counts too. */
    bool too_long =
        conn->drained > conf->drain_bytes ||
        (conn->parser.framing == FRAMING_LENGTH && conn->parser.content_length > conf->drain_bytes);
    if (conn->state == CONN_KEEPING && conn->drained > conf->drain_bytes + conf->keep_body_bytes) {
        conn_end_attempt(conn, HTTP_OK, NULL);
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
        conn_end_attempt(conn, HTTP_OK, NULL);
    conn_close(conn, false);
}

/* Bytes of the response. False when the connection is gone, idle or in other use. */
static bool feed(struct conn *conn, struct span in)
{
    struct span body;
    size_t used;
    if (!conn->answered) {
        conn->answered = true;
        conn->attempt->post->result.first_byte_us = conn_end_phase(conn);
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
/* ---- moving bytes ---- */

enum tls_status conn_plain_status(ssize_t n)
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
    return conn_plain_status(n);
}

/* Reads until the response is complete or nothing is left. With TLS everything that OpenSSL holds
 * must be taken, as epoll will not report it; the limits of feed() bound that. */
void conn_receive(struct conn *conn)
{
    const struct http_client *client = client_of(conn);
    size_t len;
    for (;;) {
        enum tls_status status = receive_some(conn, &len);
        if (status == TLS_WANT_READ && !conn->write_broken)
            return;
        if (status == TLS_WANT_WRITE) {
            conn_want(conn, true);
            return;
        }
        if (status == TLS_FAILED) {
            conn_stream_failed(conn);
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
    enum tls_status status = conn_plain_status(n);
    return status == TLS_WANT_READ ? TLS_WANT_WRITE : status;
}

void conn_send(struct conn *conn)
{
    size_t total = request_bytes(conn->attempt->post);
    size_t len;
    while (conn->sent < total) {
        enum tls_status status = send_some(conn, &len);
        if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
            conn_want(conn, status == TLS_WANT_WRITE);
            return;
        }
        if (status != TLS_DONE) {
            conn->write_broken = true;
            conn_receive(conn);
            return;
        }
        conn->sent += len;
    }
    conn_want(conn, false);
    conn_move(conn, CONN_WAITING);
}
