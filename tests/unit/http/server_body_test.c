/* server_body_test.c: request bodies and their limits, and requests that are no requests. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "server_fixture.h"

/* ---- bodies ---------------------------------------------------------------------------- */

static void takes_chunked_bodies(void **state)
{
    static const size_t chunks[] = {1, 7, 1000, 65536, 299999};
    struct client client = client_open(*state);
    char *expected;

    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        size_t len = i == 0 ? 500 : 300000;
        expected = bytes_of(len);
        assert_true(post_chunked(&client, "/echo", len, chunks[i]));
        assert_true(client_read(&client, true));
        assert_int_equal(client.body.len, len);
        assert_memory_equal(client.body.ptr, expected, len);
        free(expected);
    }
    assert_true(post_chunked(&client, "/now", 0, 1));
    assert_true(client_read(&client, true));
    assert_non_null(strstr(client.body.ptr, "\"len\":0"));
    client_close(&client);
}

static void takes_a_body_of_the_exact_limit(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);

    assert_true(post(&client, "/now", fixture->limit));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 200);
    assert_true(post_chunked(&client, "/now", fixture->limit, 10000));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 200);
    client_close(&client);
}

static void refuses_by_length_and_keeps_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);

    assert_true(post(&client, "/now", fixture->limit + 1));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    assert_string_equal(client.body.ptr, "too_large");
    assert_int_equal(ask(&client, GET("/late")), 200);
    client_close(&client);
}

static void refuses_by_counting_and_keeps_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);

    assert_true(post_chunked(&client, "/now", fixture->limit + 1, 5000));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    assert_int_equal(ask(&client, GET("/late")), 200);
    fixture->limit = 0;
    assert_true(post_chunked(&client, "/now", 1, 1));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    assert_int_equal(ask(&client, GET("/now")), 200);
    client_close(&client);
}

static void refuses_before_the_body_is_sent(void **state)
{
    struct client client = client_open(*state);

    assert_int_equal(ask(&client, "POST /now HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                  "Content-Length: 2000000\r\n\r\n"),
                     413);
    assert_true(ends(&client));
    client_close(&client);

    client = client_open(*state);
    assert_int_equal(ask(&client, "POST /now HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                  "Content-Length: 5\r\n\r\n"),
                     100);
    assert_int_equal(ask(&client, "12345"), 200);
    client_close(&client);

    /* more than is ever discarded: answered at the head */
    client = client_open(*state);
    assert_int_equal(
        ask(&client, "PUT /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"), 413);
    assert_true(ends(&client));
    client_close(&client);
}

static void ends_an_endless_body_with_an_answer(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);

    fixture->limit = 1000;
    (void)post_chunked(&client, "/now", fixture->conf.discard_bytes + 2000000, 100000);
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    assert_string_equal(client.body.ptr, "too_large");
    assert_non_null(strcasestr(client.head.ptr, "connection: close"));
    assert_true(ends(&client));
    client_close(&client);
}

static void limits_all_waiting_bodies(void **state)
{
    struct fixture *fixture = *state;
    struct client first = client_open(fixture), second = client_open(fixture);
    struct http_server_stats stats;

    assert_true(post(&first, "/hold", 200000));
    sem_wait(&fixture->holding);
    http_server_stats(fixture->server, &stats);
    assert_in_range(stats.waiting_bytes, 200000, 200001);

    assert_true(post(&second, "/now", 200000));
    assert_true(client_read(&second, true));
    assert_int_equal(second.status, 429);
    assert_true(post_chunked(&second, "/now", 250000, 999));
    assert_true(client_read(&second, true));
    assert_int_equal(second.status, 429);
    assert_string_equal(second.body.ptr, "limit");

    answer(fixture->held);
    assert_true(client_read(&first, true));
    assert_int_equal(first.status, 200);
    /* the second answer on the same connection begins after the first request has ended */
    assert_int_equal(ask(&first, GET("/now")), 200);
    assert_true(post(&second, "/now", 200000));
    assert_true(client_read(&second, true));
    assert_int_equal(second.status, 200);
    client_close(&first);
    client_close(&second);
}

static int setup_small(void **state)
{
    struct fixture *fixture = fixture_new();

    fixture->conf.waiting_bytes = 300000;
    fixture->conf.idle_timeout_s = 1;
    fixture_start(fixture);
    *state = fixture;
    return 0;
}

static void closes_what_hangs_in_its_body(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats;

    assert_true(client_text(&client, "POST /watch HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
                                     "\r\nsome bytes"));
    assert_true(ends(&client));
    sem_wait(&fixture->released);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.waiting_bytes, 0);
    client_close(&client);
}

static void survives_clients_that_leave(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats;

    assert_true(client_text(&client, "POST /watch HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
                                     "\r\nsome bytes"));
    client_close(&client);
    sem_wait(&fixture->released);

    client = client_open(fixture);
    assert_true(client_text(&client, GET("/hold")));
    sem_wait(&fixture->holding);
    client_close(&client);
    answer(fixture->held);

    client = client_open(fixture);
    assert_int_equal(ask(&client, GET("/late")), 200);
    client_close(&client);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.waiting_bytes, 0);
}

/* ---- who takes their time -------------------------------------------------------------- */

static int setup_hasty(void **state)
{
    struct fixture *fixture = fixture_new();

    fixture->conf.head_timeout_s = 1;
    fixture->conf.transfer_timeout_s = 1;
    fixture_start(fixture);
    *state = fixture;
    return 0;
}

/* Sends a byte each 50 ms, so that no idle timeout helps, until the server has had enough. */
static void drip(struct client *client)
{
    struct timespec pause = {.tv_nsec = 50000000};

    while (client_text(client, "a"))
        nanosleep(&pause, NULL);
}

static void ends_heads_that_drip(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats;

    assert_true(client_text(&client, "GET /now HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    drip(&client);
    client_close(&client);
    /* not even a byte */
    client = client_open(fixture);
    assert_true(ends(&client));
    client_close(&client);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.timeouts, 2);
}

static void ends_bodies_that_drip(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats;

    assert_true(client_text(&client, "POST /watch HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
                                     "\r\n"));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 408);
    assert_non_null(strstr(client.body.ptr, "\"success\":false}"));
    client_close(&client);
    sem_wait(&fixture->released);

    client = client_open(fixture);
    assert_true(client_text(&client, "POST /watch HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
                                     "\r\n"));
    drip(&client);
    client_close(&client);
    sem_wait(&fixture->released);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.waiting_bytes, 0);
}

static void ends_clients_that_never_read(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats = {0};
    struct timespec pause = {.tv_nsec = 20000000};

    for (int i = 0; i < 20 && post(&client, "/echo", fixture->limit); i++)
        ;
    while (stats.timeouts == 0) {
        nanosleep(&pause, NULL);
        http_server_stats(fixture->server, &stats);
    }
    client_close(&client);
}

static void waits_for_whom_it_lets_wait(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct timespec pause = {.tv_sec = 2, .tv_nsec = 100000000};

    assert_true(client_text(&client, GET("/hold")));
    sem_wait(&fixture->holding);
    nanosleep(&pause, NULL); /* longer than both deadlines: this one is not the client's */
    answer(fixture->held);
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 200);
    client_close(&client);
}

/* ---- what is kept of it ---------------------------------------------------------------- */

static void drops_bodies_that_nobody_wants(void **state)
{
    struct fixture *fixture = *state;
    struct client client = client_open(fixture);
    struct http_server_stats stats;

    fixture->limit = HTTP_BODY_DROPPED;
    assert_true(post(&client, "/hold", 1000000));
    sem_wait(&fixture->holding);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.waiting_bytes, 0);
    assert_true(http_request_has_body(fixture->held));
    answer(fixture->held);
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 200);
    assert_int_equal(ask(&client, GET("/now")), 200);
    (void)post_chunked(&client, "/now", fixture->conf.discard_bytes + 2000000, 100000);
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    client_close(&client);
}

#define HOLDERS 8

static int setup_shared(void **state)
{
    struct fixture *fixture = fixture_new();

    fixture->conf.waiting_bytes = 800000;
    fixture_start(fixture);
    *state = fixture;
    return 0;
}

/* All but the last byte of a body of 100,001. */
static struct client begin_body(const struct fixture *fixture, const char *path)
{
    struct client client = client_open(fixture);
    char *bytes = bytes_of(100000), head[200];

    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n",
             path);
    assert_true(client_text(&client, head));
    assert_true(client_send(&client, bytes, 100000));
    free(bytes);
    return client;
}

static void lets_nobody_fill_the_room_alone(void **state)
{
    struct fixture *fixture = *state;
    struct client greedy[HOLDERS], modest = client_open(fixture);
    struct timespec pause = {.tv_nsec = 5000000};
    struct http_server_stats stats = {0};
    unsigned refused = 0;

    for (int i = 0; i < HOLDERS; i++)
        greedy[i] = begin_body(fixture, "/now?1");
    while (stats.waiting_bytes < 400000) {
        nanosleep(&pause, NULL);
        http_server_stats(fixture->server, &stats);
    }
    assert_true(post(&modest, "/now?2", 60000));
    assert_true(client_read(&modest, true));
    assert_int_equal(modest.status, 200);
    for (int i = 0; i < HOLDERS; i++) {
        assert_true(client_text(&greedy[i], "z"));
        assert_true(client_read(&greedy[i], true));
        refused += greedy[i].status == 429;
        assert_true(greedy[i].status == 200 || greedy[i].status == 429);
        client_close(&greedy[i]);
    }
    assert_in_range(refused, 1, HOLDERS - 1);
    client_close(&modest);

    /* One body may be as large as the room. */
    modest = client_open(fixture);
    assert_true(post(&modest, "/now?1", 790000));
    assert_true(client_read(&modest, true));
    assert_int_equal(modest.status, 200);
    client_close(&modest);
}

/* libmicrohttpd copies cookies into the memory of the head. Where that is too little, and not even
 * its error page has room, it closes and never says that the request has ended. */
static void forgets_no_request(void **state)
{
    struct fixture *fixture = *state;

    for (size_t len = 8000; len < 32000; len += 500) {
        struct client client = client_open(fixture);
        struct buf head = BUF_INIT;
        buf_add_text(&head, "GET /now HTTP/1.1\r\nHost: x\r\nCookie: a=");
        for (size_t i = 0; i < len; i++)
            buf_add_char(&head, 'a');
        buf_add_text(&head, "\r\n\r\n");
        (void)client_send(&client, head.ptr, head.len);
        (void)client_read(&client, true);
        buf_release(&head);
        client_close(&client);
    }
    /* LeakSanitizer finds what was forgotten. */
}

/* ---- what is malformed ----------------------------------------------------------------- */

static void refuses_malformed_requests(void **state)
{
    static const char *const requests[] = {
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        ("POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n"),
        "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3x\r\n\r\nabc",
        "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        "GET /now HTTP/1.1\r\n\r\n",
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n 2\r\n\r\nabcdefghijkl",
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 3\r\n\r\nabc",
        ("POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n"),
        ("POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n"),
        ("POST /now HTTP/1.1\r\nHost: x\r\nX: a\r\n Transfer-Encoding: chunked\r\n"
         "Content-Length: 3\r\n\r\nabc"),
        ("POST /now HTTP/1.1\r\nHost: x\r\nX: a\rTransfer-Encoding: chunked\r\n"
         "Content-Length: 3\r\n\r\nabc"),
        "GET /now HTTP/1.1\r\nHost: x\r\n\tX: y\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct client client = client_open(*state);
        assert_int_equal(ask(&client, requests[i]), 400);
        while (client_fill(&client)) /* libmicrohttpd 0.9.75 repeats the head of its own errors */
            ;
        client_close(&client);
    }
    struct client client = client_open(*state);
    assert_true(client_text(&client, "\x16\x03\x01 this is no HTTP\r\n\r\n"));
    while (client_fill(&client))
        ;
    client_close(&client);

    client = client_open(*state);
    struct buf head = BUF_INIT;
    buf_add_text(&head, "GET /now HTTP/1.1\r\nHost: x\r\nX-Long: ");
    for (int i = 0; i < 40000; i++)
        buf_add_char(&head, 'a');
    buf_add_text(&head, "\r\n\r\n");
    (void)client_send(&client, head.ptr, head.len);
    assert_true(client_read(&client, true));
    assert_in_range(client.status, 413, 431);
    buf_release(&head);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(takes_chunked_bodies, setup),
        WITH(takes_a_body_of_the_exact_limit, setup),
        WITH(refuses_by_length_and_keeps_the_connection, setup),
        WITH(refuses_by_counting_and_keeps_the_connection, setup),
        WITH(refuses_before_the_body_is_sent, setup),
        WITH(ends_an_endless_body_with_an_answer, setup),
        WITH(limits_all_waiting_bodies, setup_small),
        WITH(closes_what_hangs_in_its_body, setup_small),
        WITH(survives_clients_that_leave, setup_small),
        WITH(ends_heads_that_drip, setup_hasty),
        WITH(ends_bodies_that_drip, setup_hasty),
        WITH(ends_clients_that_never_read, setup_hasty),
        WITH(waits_for_whom_it_lets_wait, setup_hasty),
        WITH(drops_bodies_that_nobody_wants, setup),
        WITH(lets_nobody_fill_the_room_alone, setup_shared),
        WITH(forgets_no_request, setup),
        WITH(refuses_malformed_requests, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
