/* client_test.c: the outbound client against scripted receivers: what goes well: reuse, resumption,
 * framing, stale connections, the ceilings. */
#include "client_fixture.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

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

/* A resumed session shows no certificate, and this receiver would go on resuming: that its chain
 * has expired meanwhile must not be missed. */
static void test_session_dies_with_its_chain(void **state)
{
    struct test_post test;
    (void)state;
    open_usual(LEAF_SHORT, serve_one_each);
    run(&test);
    expect(test, HTTP_OK, 204);
    turn_for((PEER_SHORT_S + 1) * 1000);
    run(&test);
    expect(test, HTTP_ERR_TLS_EXPIRED, 0);
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
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_RESPONSE),
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
        cmocka_unit_test(test_session_dies_with_its_chain),
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
    };
    signal(SIGPIPE, SIG_IGN); /* for the receivers; the client does without */
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
