/* client_failure_test.c: the outbound client against scripted receivers: every way to fail, the
 * deadline in each phase, cancelling in each state. */
#include "client_fixture.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

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
    peer.arg = (void *)(uintptr_t)(len + 4 + sizeof(POST_HEAD) - 1);
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

static void expect_timeout(serve_fn *serve, enum http_error error)
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

static void cancel_after(serve_fn *serve, int ms)
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

/* ---- our own lack of descriptors ---- */

/* Without a free descriptor an idle connection gives up its own; without one of those it is our
 * fault. */
static void test_out_of_descriptors(void **state)
{
    struct test_post test;
    struct rlimit before, none;
    (void)state;
    open_usual(LEAF_GOOD, serve_ok);
    run(&test);
    expect(test, HTTP_OK, 200);
    int lowest_free = dup(0);
    close(lowest_free);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest_free;
    setrlimit(RLIMIT_NOFILE, &none);
    start_to(&test, "127.0.0.1", 9, 20000); /* refused, once the idle connection made room */
    loop_run(loop);
    expect(test, HTTP_ERR_CONNECT_REFUSED, 0);
    assert_int_equal(http_client_stats(client)->connections, 0);
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    start_to(&test, "127.0.0.1", 9, 20000);
    loop_run(loop);
    setrlimit(RLIMIT_NOFILE, &before);
    expect(test, HTTP_ERR_RESOURCES, 0);
    assert_true(http_error_is_local(test.post.result.error));
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
        cmocka_unit_test(test_out_of_descriptors),
    };
    signal(SIGPIPE, SIG_IGN); /* for the receivers; the client does without */
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
