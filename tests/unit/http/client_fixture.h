/* client_fixture.h: a client, one receiver and posts that are waited for. */
#ifndef TEST_CLIENT_FIXTURE_H
#define TEST_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/client.h"
#include "tls_peer.h"

#define OK_RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define POST_HEAD   "POST /hook HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"

typedef void serve_fn(struct peer *peer, struct wire *wire, unsigned nth);

extern struct loop *loop;
extern struct http_client *client;
extern struct peer peer;
extern unsigned pending; /* posts that were started and are not done */
extern bool allow_none;  /* what the egress guard says */

struct test_post {
    struct http_post post;
    char body[1100]; /* copy of result.body */
    size_t body_len;
    bool is_done;
};

struct http_client_conf usual(void);
void open_with(const struct http_client_conf *conf);
void open_usual(enum leaf leaf, serve_fn *serve);
void close_client(void);
void close_all(void);

/* Starts a post; to "localhost" and with a long deadline unless given. */
void start_to(struct test_post *test, const char *host, uint16_t port, int timeout_ms);
void start(struct test_post *test);
/* Starts and waits until nothing is pending. */
void run(struct test_post *test);
/* Runs the loop for a while, for things that give no sign. */
void turn_for(int ms);

#define expect(test, wanted_error, wanted_status)                                   \
    do {                                                                            \
        if ((test).post.result.error != (wanted_error))                             \
            print_error("got %s (%s)\n", http_error_slug((test).post.result.error), \
                        (test).post.result.detail);                                 \
        assert_int_equal((test).post.result.error, wanted_error);                   \
        assert_int_equal((test).post.result.status, wanted_status);                 \
    } while (0)

/* Answers every request with OK_RESPONSE. */
void serve_ok(struct peer *p, struct wire *wire, unsigned nth);
/* Reads one request and never answers. */
void serve_hang(struct peer *p, struct wire *wire, unsigned nth);

#endif
