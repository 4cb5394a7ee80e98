/* client_fixture.c: see client_fixture.h. */
#include "client_fixture.h"

#include <string.h>

struct loop *loop;
struct http_client *client;
struct peer peer;
unsigned pending;
bool allow_none;

static bool allow(void *ctx, const struct sockaddr *address)
{
    (void)ctx, (void)address;
    return !allow_none;
}

struct http_client_conf usual(void)
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

void open_with(const struct http_client_conf *conf)
{
    struct error error;
    loop = loop_new();
    client = http_client_new(loop, conf, &error);
    assert_non_null(client);
}

void open_usual(enum leaf leaf, serve_fn *serve)
{
    struct http_client_conf conf = usual();
    allow_none = false;
    peer_start(&peer, leaf, serve);
    open_with(&conf);
}

void close_client(void)
{
    http_client_free(client);
    loop_free(loop);
}

void close_all(void)
{
    close_client();
    peer_stop(&peer);
}

/* ---- posts ---- */

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

void start_to(struct test_post *test, const char *host, uint16_t port, int timeout_ms)
{
    *test = (struct test_post){.post = {.host = host,
                                        .port = port,
                                        .head = SPAN_LIT(POST_HEAD),
                                        .body = {SPAN_LIT("he"), SPAN_LIT("l"), SPAN_LIT("lo")},
                                        .timeout_ms = timeout_ms,
                                        .done = done}};
    pending++;
    http_client_post(client, &test->post);
    assert_false(test->is_done);
}

void start(struct test_post *test)
{
    start_to(test, "localhost", peer.port, 20000);
}

void run(struct test_post *test)
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

void turn_for(int ms)
{
    struct loop_timer timer;
    loop_timer_init(&timer, stop_loop);
    loop_timer_set(loop, &timer, loop_now_us(loop) / 1000 + ms);
    loop_run(loop);
}

/* ---- scripts ---- */

void serve_ok(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (!wire_handshake(p, wire))
        return;
    while (wire_read(p, wire))
        wire_send(wire, OK_RESPONSE);
}

void serve_hang(struct peer *p, struct wire *wire, unsigned nth)
{
    (void)nth;
    if (wire_handshake(p, wire) && wire_read(p, wire))
        wire_wait_end(wire);
}
