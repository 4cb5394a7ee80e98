/* client_test.c: the outbound client against scripted receivers: reuse, framing, every way to fail,
 * every state in which a post can be cancelled. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/client.h"
#include "tls_peer.h"

#define OK_RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct loop *loop;
static struct http_client *client;
static struct peer peer;
static unsigned pending;
static bool allow_none;

static bool allow(void *ctx, const struct sockaddr *address)
{
    (void)ctx, (void)address;
    return !allow_none;
}

static struct http_client_conf usual(void)
{
    return (struct http_client_conf){.allow = allow,
                                     .ca_file = peer_ca_file(),
                                     .host_connections = 4,
                                     .idle_connections = 100,
                                     .idle_timeout_ms = 60000,
                                     .head_bytes = 65536,
                                     .drain_bytes = 16384,
                                     .keep_body_bytes = 1024};
}

static void open_with(const struct http_client_conf *conf)
{
    struct error error;
    loop = loop_new();
    client = http_client_new(loop, conf, &error);
    assert_non_null(client);
}

static void open_usual(enum leaf leaf, void (*serve)(struct peer *, struct wire *, unsigned))
{
    struct http_client_conf conf = usual();
    allow_none = false;
    peer_start(&peer, leaf, serve);
    open_with(&conf);
}

static void close_client(void)
{
    http_client_free(client);
    loop_free(loop);
}

static void close_all(void)
{
    close_client();
    peer_stop(&peer);
}

/* ---- posts ---- */

struct test_post {
    struct http_post post;
    char body[1100]; /* copy of result.body */
    size_t body_len;
    bool is_done;
};

static const char head[] = "POST /hook HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n";

static void done(struct http_post *post)
{
    struct test_post *test = CONTAINER_OF(post, struct test_post, post);
    assert_false(test->is_done);
    test->is_done = true;
    test->body_len = post->result.body.len;
    assert_true(test->body_len < sizeof(test->body));
    if (test->body_len > 0)
        memcpy(test->body, post->result.body.ptr, test->body_len);
    assert_null(post->private_attempt);
    if (--pending == 0)
        loop_stop(loop);
}

static void start_to(struct test_post *test, const char *host, uint16_t port, int timeout_ms)
{
    *test = (struct test_post){.post = {.host = host,
                                        .port = port,
                                        .head = SPAN_LIT(head),
                                        .body = {SPAN_LIT("he"), SPAN_LIT("l"), SPAN_LIT("lo")},
                                        .timeout_ms = timeout_ms,
                                        .done = done}};
    pending++;
    http_client_post(client, &test->post);
    assert_false(test->is_done);
}

static void start(struct test_post *test)
{
    start_to(test, "localhost", peer.port, 20000);
}

static void run(struct test_post *test)
{
    start(test);
    loop_run(loop);
    assert_true(test->is_done);
}

static void stop_loop(struct loop_timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

/* Runs the loop for a while, for things that give no sign. */
static void turn_for(int ms)
{
    struct loop_timer timer;
    loop_timer_init(&timer, stop_loop);
    loop_timer_set(loop, &timer, loop_now_us(loop) / 1000 + ms);
    loop_run(loop);
}

#define expect(test, wanted_error, wanted_status)                                   \
    do {                                                                            \
        if ((test).post.result.error != (wanted_error))                             \
            print_error("got %s (%s)\n", http_error_slug((test).post.result.error), \
                        (test).post.result.detail);                                 \
        assert_int_equal((test).post.result.error, wanted_error);                   \
        assert_int_equal((test).post.result.status, wanted_status);                 \
    } while (0)

/* ---- scripts ---- */

static void serve_ok(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire))
        return;
    while (wire_read(p, wire))
        wire_send(wire, OK_RESPONSE);
}

/* ---- the good way ---- */

static void test_keep_alive(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_ok);
    for (unsigned i = 0; i < 5; i++) {
        run(&test);
        expect(test, HTTP_OK, 200);
        assert_int_equal(test.post.result.reused, i > 0);
        assert_int_equal(test.post.result.retry_after_s, -1);
        assert_true(test.post.result.total_us > 0 && test.post.result.first_byte_us > 0);
        assert_int_equal(test.post.result.tls_us > 0, i == 0);
        assert_int_equal(test.post.result.peer.ss_family, AF_INET);
    }
    const struct http_client_stats *stats = http_client_stats(client);
    assert_int_equal(stats->posts, 5);
    assert_int_equal(stats->reused, 4);
    assert_int_equal(stats->handshakes, 1);
    assert_int_equal(stats->connections, 1);
    assert_int_equal(stats->idle_connections, 1);
    close_all();
    assert_int_equal(peer.n_workers, 1);
}

static char seen[256];

static void serve_and_remember(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    snprintf(seen, sizeof(seen), "%.255s", wire->request);
    wire_send(wire, OK_RESPONSE);
    wire_wait_end(wire);
}

static void test_bytes_on_the_wire(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_and_remember);
    run(&test);
    expect(test, HTTP_OK, 200);
    close_all();
    assert_string_equal(seen,
                        "POST /hook HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
}

static void serve_one_each(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire))
        wire_send(wire, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

static void test_session_is_resumed(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_one_each);
    for (unsigned i = 0; i < 3; i++) {
        run(&test);
        expect(test, HTTP_OK, 204);
        assert_false(test.post.result.reused);
        assert_int_equal(test.post.result.resumed, i > 0);
    }
    assert_int_equal(http_client_stats(client)->resumed, 2);
    assert_int_equal(http_client_stats(client)->connections, 0);
    close_all();
}

static void test_literal_address_and_tls12(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_one_each);
    SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
    for (unsigned i = 0; i < 2; i++) {
        start_to(&test, "127.0.0.1", peer.port, 20000);
        loop_run(loop);
        expect(test, HTTP_OK, 204);
        assert_int_equal(test.post.result.resumed, i > 0);
    }
    close_all();
}

/* ---- framing over a kept connection ---- */

static const char *const framed[] = {
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_RESPONSE,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 500 Oh\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\noops",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    OK_RESPONSE,
};
enum { N_FRAMED = sizeof(framed) / sizeof(framed[0]) };

static void serve_framed(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire))
        return;
    for (unsigned i = 0; i < N_FRAMED && wire_read(p, wire); i++)
        wire_send(wire, framed[i]);
    wire_wait_end(wire);
}

static void test_framings_keep_the_connection(void **state)
{
    static const unsigned statuses[] = {200, 200, 204, 500, 200, 200};
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_framed);
    for (unsigned i = 0; i < N_FRAMED; i++) {
        run(&test);
        expect(test, HTTP_OK, statuses[i]);
        assert_int_equal(test.post.result.reused, i > 0);
        if (statuses[i] == 500) {
            assert_int_equal(test.post.result.retry_after_s, 7);
            assert_int_equal(test.body_len, 4);
            assert_memory_equal(test.body, "oops", 4);
        }
    }
    close_all();
    assert_int_equal(peer.n_workers, 1);
}

static const char *closing_response;

static void serve_closing(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire)) {
        wire_send(wire, closing_response);
        wire_wait_end(wire);
    }
}

static void test_these_are_not_kept(void **state)
{
    static const char *const responses[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nlong",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    };
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_closing);
    for (unsigned i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        closing_response = responses[i];
        run(&test);
        expect(test, HTTP_OK, 200);
        assert_false(test.post.result.reused);
        turn_for(20);
        assert_int_equal(http_client_stats(client)->connections, 0);
    }
    close_all();
}

/* ---- stale connections ---- */

static void serve_stale(struct peer *p, struct wire *wire, unsigned nth)
{
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    wire_send(wire, OK_RESPONSE);
    /* The first connection takes a second request and ends without a word. */
    if (nth == 0 && wire_read(p, wire)) {
        wire_reset(wire);
        return;
    }
    while (wire_read(p, wire))
        wire_send(wire, OK_RESPONSE);
}

static void test_stale_connection_is_retried_once(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_stale);
    run(&test);
    run(&test);
    expect(test, HTTP_OK, 200);
    assert_false(test.post.result.reused);
    assert_int_equal(http_client_stats(client)->stale_retries, 1);
    close_all();
    assert_int_equal(peer.n_requests, 3);
}

static void serve_never(struct peer *p, struct wire *wire, unsigned nth)
{
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    if (nth == 0) {
        wire_send(wire, OK_RESPONSE);
        wire_read(p, wire);
    }
    wire_reset(wire);
}

static void test_fresh_connection_is_not_retried(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_never);
    run(&test);
    run(&test); /* stale, then reset on the fresh one */
    expect(test, HTTP_ERR_RESET, 0);
    close_all();
    assert_int_equal(peer.n_workers, 2);
}

static void serve_half_answer(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    wire_send(wire, OK_RESPONSE);
    if (wire_read(p, wire))
        wire_send(wire, "HTTP/1.1 2");
}

static void test_begun_answer_is_not_retried(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_half_answer);
    run(&test);
    run(&test);
    expect(test, HTTP_ERR_RESET, 0);
    assert_true(test.post.result.reused);
    close_all();
    assert_int_equal(peer.n_workers, 1);
}

static void serve_then_close(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire))
        wire_send(wire, OK_RESPONSE);
}

static void test_closed_while_idle(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_then_close);
    run(&test);
    while (http_client_stats(client)->connections > 0)
        turn_for(5);
    assert_int_equal(http_client_stats(client)->idle_connections, 0);
    close_all();
}

static void test_idle_timeout_and_ceiling(void **state)
{
    struct http_client_conf conf = usual();
    struct test_post tests[4];
    (void)state;
    peer_start(&peer, LEAF_GOOD, serve_ok);
    conf.idle_connections = 2;
    conf.idle_timeout_ms = 50;
    open_with(&conf);
    for (unsigned i = 0; i < 4; i++)
        start(&tests[i]);
    loop_run(loop);
    assert_true(http_client_stats(client)->idle_connections <= 2);
    while (http_client_stats(client)->connections > 0)
        turn_for(5);
    close_all();
}

/* ---- ceiling of a host ---- */

static void test_ceiling_queues(void **state)
{
    struct http_client_conf conf = usual();
    struct test_post tests[40];
    (void)state;
    peer_start(&peer, LEAF_GOOD, serve_ok);
    conf.host_connections = 2;
    open_with(&conf);
    assert_true(http_client_has_room(client, "localhost", peer.port));
    for (unsigned i = 0; i < 40; i++)
        start(&tests[i]);
    assert_false(http_client_has_room(client, "localhost", peer.port));
    loop_run(loop);
    for (unsigned i = 0; i < 40; i++)
        expect(tests[i], HTTP_OK, 200);
    assert_true(http_client_has_room(client, "localhost", peer.port));
    close_all();
    assert_int_equal(peer.n_workers, 2);
}

static void serve_hang(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire))
        wire_wait_end(wire);
}

static void test_wait_for_the_ceiling_times_out(void **state)
{
    struct http_client_conf conf = usual();
    struct test_post first, second, third;
    (void)state;
    peer_start(&peer, LEAF_GOOD, serve_hang);
    conf.host_connections = 1;
    open_with(&conf);
    start_to(&first, "localhost", peer.port, 20000);
    start_to(&second, "localhost", peer.port, 50);
    start_to(&third, "localhost", peer.port, 20000);
    http_client_cancel(client, &third.post); /* while it waits */
    pending -= 2;
    loop_run(loop);
    expect(second, HTTP_ERR_TIMEOUT_WAIT, 0);
    assert_false(first.is_done);
    http_client_cancel(client, &first.post);
    assert_false(third.is_done);
    close_all();
}

/* ---- failures ---- */

static void expect_certificate(enum leaf leaf, enum http_error error)
{
    struct test_post test;
    open_usual(leaf, serve_ok);
    run(&test);
    expect(test, error, 0);
    assert_true(test.post.result.detail[0] != '\0');
    close_all();
}

static void test_bad_certificates(void **state)
{
    (void)state;
    expect_certificate(LEAF_EXPIRED, HTTP_ERR_TLS_EXPIRED);
    expect_certificate(LEAF_OTHER_NAME, HTTP_ERR_TLS_NAME);
    expect_certificate(LEAF_OTHER_CA, HTTP_ERR_TLS_CERTIFICATE);
}

static void serve_plain(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)p, (void)nth;
    wire_send(wire, "HTTP/1.1 400 Bad Request\r\n\r\n");
    wire_wait_end(wire);
}

static void serve_nothing(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)p, (void)wire, (void)nth;
}

static void test_no_tls(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_plain);
    run(&test);
    expect(test, HTTP_ERR_TLS_HANDSHAKE, 0);
    close_all();
    open_usual(LEAF_GOOD, serve_nothing);
    run(&test);
    expect(test, HTTP_ERR_TLS_HANDSHAKE, 0);
    close_all();
}

static void test_refused_and_address_refused(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_ok);
    allow_none = true;
    run(&test);
    expect(test, HTTP_ERR_ADDRESS_REFUSED, 0);
    assert_int_equal(test.post.result.peer.ss_family, 0);
    allow_none = false;
    uint16_t port = peer.port;
    peer_stop(&peer);
    start_to(&test, "127.0.0.1", port, 20000);
    loop_run(loop);
    expect(test, HTTP_ERR_CONNECT_REFUSED, 0);
    close_client();
}

static const char *bad_response;

static void serve_bad(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire)) {
        wire_send(wire, bad_response);
        wire_wait_end(wire);
    }
}

static void test_bad_heads(void **state)
{
    struct http_client_conf conf = usual();
    struct test_post test;
    (void)state;
    peer_start(&peer, LEAF_GOOD, serve_bad);
    conf.head_bytes = 100;
    open_with(&conf);
    bad_response = "SSH-2.0-OpenSSH\r\n";
    run(&test);
    expect(test, HTTP_ERR_MALFORMED, 0);
    bad_response =
        "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
    run(&test);
    expect(test, HTTP_ERR_HEAD_TOO_LARGE, 0);
    close_all();
}

/* Half-closed: a reset could overtake the head. */
static void serve_body_cut(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire)) {
        wire_send(wire, "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhalf");
        shutdown(wire->fd, SHUT_WR);
        wire_wait_end(wire);
    }
}

static void serve_body_hang(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire)) {
        wire_send(wire, "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhalf");
        wire_wait_end(wire);
    }
}

static void serve_endless(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    wire_send(wire, "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (SSL_write(wire->ssl, "8\r\nendless!\r\n", 13) > 0)
        continue;
}

static void test_body_never_changes_the_verdict(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_body_cut);
    run(&test);
    expect(test, HTTP_OK, 503);
    close_all();
    open_usual(LEAF_GOOD, serve_body_hang);
    start_to(&test, "localhost", peer.port, 1000);
    loop_run(loop);
    expect(test, HTTP_OK, 503);
    assert_int_equal(test.body_len, 4);
    close_all();
    open_usual(LEAF_GOOD, serve_endless);
    run(&test);
    expect(test, HTTP_OK, 404);
    assert_int_equal(test.body_len, 1024);
    assert_memory_equal(test.body, "endless!endless!", 16);
    while (http_client_stats(client)->connections > 0)
        turn_for(5);
    close_all();
}

static void serve_endless_interim(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    while (SSL_write(wire->ssl, "HTTP/1.1 100 Continue\r\n\r\n", 25) > 0)
        continue;
}

static void test_endless_interim(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_endless_interim);
    run(&test);
    expect(test, HTTP_ERR_MALFORMED, 0);
    close_all();
}

/* ---- large requests ---- */

static void serve_early(struct peer *p, struct wire *wire, unsigned nth)
{
    char some[1000];
    (void)nth;
    if (!wire_handshake(p, wire) || SSL_read(wire->ssl, some, sizeof(some)) <= 0)
        return;
    wire_send(wire, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    wire_wait_end(wire);
}

static void serve_deaf(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire))
        while (atomic_load(&p->n_requests) == 0)
            usleep(1000);
}

static void serve_discard(struct peer *p, struct wire *wire, unsigned nth)
{
    static char bytes[65536];
    size_t left = (size_t)(uintptr_t)p->arg;
    (void)nth;
    if (!wire_handshake(p, wire))
        return;
    while (left > 0) {
        int n = SSL_read(wire->ssl, bytes, sizeof(bytes));
        if (n <= 0)
            return;
        left -= (size_t)n;
    }
    wire_send(wire, OK_RESPONSE);
    wire_wait_end(wire);
}

static void start_large(struct test_post *test, char *bytes, size_t len, int timeout_ms)
{
    start_to(test, "localhost", peer.port, timeout_ms);
    http_client_cancel(client, &test->post);
    test->post.body[1] = span_make(bytes, len);
    http_client_post(client, &test->post);
}

static void test_large_requests(void **state)
{
    const size_t len = 16 << 20;
    char *bytes = mem_zero(1, len);
    struct test_post test;
    (void)state;
    open_usual(LEAF_GOOD, serve_early);
    start_large(&test, bytes, len, 20000);
    loop_run(loop);
    expect(test, HTTP_OK, 413);
    assert_memory_equal(test.body, "big", 3);
    close_all();

    open_usual(LEAF_GOOD, serve_deaf);
    start_large(&test, bytes, len, 2000);
    loop_run(loop);
    expect(test, HTTP_ERR_TIMEOUT_SEND, 0);
    atomic_store(&peer.n_requests, 1);
    close_all();

    open_usual(LEAF_GOOD, serve_discard);
    peer.arg = (void *)(uintptr_t)(len + 4 + sizeof(head) - 1);
    start_large(&test, bytes, len, 20000);
    loop_run(loop);
    expect(test, HTTP_OK, 200);
    close_all();
    free(bytes);
}

/* ---- the deadline in each phase ---- */

static void serve_no_handshake(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)p, (void)nth;
    wire_wait_end(wire);
}

static void serve_drip(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire) || !wire_read(p, wire))
        return;
    wire_send(wire, "HTTP/1.1 200 OK\r\nX: ");
    while (SSL_write(wire->ssl, "x", 1) > 0)
        usleep(5000);
}

static void expect_timeout(void (*serve)(struct peer *, struct wire *, unsigned),
                           enum http_error error)
{
    struct test_post test;
    open_usual(LEAF_GOOD, serve);
    start_to(&test, "localhost", peer.port, 1000);
    loop_run(loop);
    expect(test, error, 0);
    close_all();
}

static void test_deadlines(void **state)
{
    (void)state;
    expect_timeout(serve_no_handshake, HTTP_ERR_TIMEOUT_TLS);
    expect_timeout(serve_hang, HTTP_ERR_TIMEOUT_RESPONSE);
    expect_timeout(serve_drip, HTTP_ERR_TIMEOUT_RESPONSE);
}

/* A bound UDP socket that never answers is a dead resolver of ours. */
static void test_dead_resolver_is_ours(void **state)
{
    struct http_client_conf conf = usual();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    char servers[64];
    struct test_post test;
    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(address.sin_port));
    conf.dns_servers = servers;
    open_with(&conf);
    start_to(&test, "name.example", 443, 300);
    loop_run(loop);
    expect(test, HTTP_ERR_DNS_LOCAL, 0);
    assert_true(http_error_is_local(test.post.result.error));
    start_to(&test, "name.example", 443, 300);
    http_client_cancel(client, &test.post); /* while resolving */
    pending = 0;
    close_client();
    close(fd);
}

/* ---- cancel ---- */

static void cancel_after(void (*serve)(struct peer *, struct wire *, unsigned), int ms)
{
    struct test_post test;
    open_usual(LEAF_GOOD, serve);
    start(&test);
    if (ms >= 0)
        turn_for(ms);
    if (!test.is_done)
        http_client_cancel(client, &test.post);
    pending = 0;
    assert_int_equal(http_client_stats(client)->connections,
                     http_client_stats(client)->idle_connections);
    turn_for(0);
    close_all();
}

static void test_cancel(void **state)
{
    (void)state;
    cancel_after(serve_ok, -1);           /* dialing */
    cancel_after(serve_no_handshake, 30); /* in the handshake */
    cancel_after(serve_hang, 100);        /* waiting */
    cancel_after(serve_body_hang, 100);   /* keeping */
    for (int ms = 0; ms < 6; ms++)
        cancel_after(serve_ok, ms); /* wherever */
}

static int remove_files(void **state)
{
    (void)state;
    peer_remove_files();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_bytes_on_the_wire),
        cmocka_unit_test(test_session_is_resumed),
        cmocka_unit_test(test_literal_address_and_tls12),
        cmocka_unit_test(test_framings_keep_the_connection),
        cmocka_unit_test(test_these_are_not_kept),
        cmocka_unit_test(test_stale_connection_is_retried_once),
        cmocka_unit_test(test_fresh_connection_is_not_retried),
        cmocka_unit_test(test_begun_answer_is_not_retried),
        cmocka_unit_test(test_closed_while_idle),
        cmocka_unit_test(test_idle_timeout_and_ceiling),
        cmocka_unit_test(test_ceiling_queues),
        cmocka_unit_test(test_wait_for_the_ceiling_times_out),
        cmocka_unit_test(test_bad_certificates),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_refused_and_address_refused),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_body_never_changes_the_verdict),
        cmocka_unit_test(test_endless_interim),
        cmocka_unit_test(test_large_requests),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_dead_resolver_is_ours),
        cmocka_unit_test(test_cancel),
    };
    signal(SIGPIPE, SIG_IGN); /* for the receivers; the client does without */
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
