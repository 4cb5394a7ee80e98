/* server_test.c: answers from every side, and how the server starts and stops. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "http/listen.h"
#include "server_fixture.h"

/* ---- answers --------------------------------------------------------------------------- */

static void answers_at_once(void **state)
{
    struct client client = client_open(*state);

    assert_int_equal(ask(&client, GET("/now/a%20b?x=%31&y")), 200);
    assert_string_equal(client.body.ptr, "{\"path\":\"/now/a%20b\",\"query\":\"x=%31&y\","
                                         "\"peer\":\"127.0.0.1\",\"len\":0}");
    assert_non_null(strcasestr(client.head.ptr, "content-type: application/json\r\n"));
    assert_non_null(strstr(client.head.ptr, "X-Test: one??two: three\r\n"));
    assert_int_equal(ask(&client, GET("/empty")), 204);
    assert_int_equal(ask(&client, "GET http://y:1/abs?q HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    assert_non_null(strstr(client.body.ptr, "\"path\":\"/abs\",\"query\":\"q\""));
    client_close(&client);
}

static void *late_client(void *arg)
{
    struct client client = client_open(arg);

    for (int i = 0; i < 1500; i++) {
        assert_int_equal(ask(&client, i % 3 == 0 ? GET("/now") : GET("/late")), 200);
        if (i % 50 == 0) {
            assert_true(post(&client, "/late", 70000));
            assert_true(client_read(&client, true));
            assert_non_null(strstr(client.body.ptr, "\"len\":70000"));
        }
    }
    client_close(&client);
    return NULL;
}

static void answers_from_other_threads(void **state)
{
    struct fixture *fixture = *state;
    struct http_server_stats stats;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, late_client, fixture), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    http_server_stats(fixture->server, &stats);
    assert_int_equal(stats.requests, 4 * 1530);
    assert_int_equal(http_server_pending(fixture->server), 0);
}

static void answers_pipelined_in_order(void **state)
{
    struct client client = client_open(*state);
    struct buf text = BUF_INIT;
    char expected[40];

    for (int i = 0; i < 200; i++) {
        buf_printf(&text, "%s /%s?%d HTTP/1.1\r\nHost: x\r\n", i % 5 == 0 ? "POST" : "GET",
                   i % 2 == 0 ? "late" : "now", i);
        buf_add_text(&text, i % 5 == 0 ? "Content-Length: 7\r\n\r\nabcdefg" : "\r\n");
    }
    assert_true(client_send(&client, text.ptr, text.len));
    for (int i = 0; i < 200; i++) {
        assert_true(client_read(&client, true));
        snprintf(expected, sizeof expected, "\"query\":\"%d\"", i);
        assert_non_null(strstr(client.body.ptr, expected));
    }
    buf_release(&text);
    client_close(&client);
}

static void closes_after_a_client_that_sends_no_more(void **state)
{
    struct client client = client_open(*state);

    assert_true(client_text(&client, GET("/late")));
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 200);
    assert_true(ends(&client));
    client_close(&client);
}

static void answers_head_without_body(void **state)
{
    struct client client = client_open(*state);

    assert_true(client_text(&client, "HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(client_read(&client, false));
    assert_int_equal(client.status, 200);
    assert_non_null(strcasestr(client.head.ptr, "content-length: 5"));
    assert_int_equal(ask(&client, GET("/now")), 200); /* nothing lay between */
    client_close(&client);
}

static void decodes_parameters(void **state)
{
    static const char *const cases[][2] = {
        {"/param?a=1&q=x%20y+z%2Bw", "x y z+w"},
        {"/param?q=first&q=second", "first"},
        {"/param?q", ""},
        {"/param?qq=1&p=q", "(none)"},
        {"/param?%71=name", "name"},
        {"/param?q=100%", "100%"},
        {"/param?q=a%00b", "a%00b"},
        {"/param?&&q=%C3%A9&", "\xc3\xa9"},
        {"/param", "(none)"},
    };
    struct client client = client_open(*state);
    char request[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i][0]);
        assert_int_equal(ask(&client, request), 200);
        assert_int_equal(client.body.len, strlen(cases[i][1]));
        if (client.body.len > 0)
            assert_memory_equal(client.body.ptr, cases[i][1], client.body.len);
    }
    client_close(&client);
}

/* ---- starting and stopping ------------------------------------------------------------- */

static void shuts_down_with_pending_requests(void **state)
{
    struct fixture *fixture = *state;
    struct client held = client_open(fixture), idle = client_open(fixture);
    struct client upload = client_open(fixture);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_server_port(fixture->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_int_equal(ask(&idle, GET("/now")), 200);
    /* "100" shows that the head was accepted before the shutdown */
    assert_int_equal(ask(&upload, "POST /now HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                  "Content-Length: 5\r\n\r\n"),
                     100);
    assert_true(client_text(&held, GET("/hold")));
    sem_wait(&fixture->holding);
    assert_int_equal(http_server_pending(fixture->server), 1);

    http_server_quiesce(fixture->server);
    assert_int_equal(ask(&upload, "12345"), 503);
    assert_int_equal(ask(&idle, GET("/now")), 503);
    assert_string_equal(idle.body.ptr,
                        "{\"error\":\"Service Unavailable\",\"troubleshoot\":\"the server is "
                        "shutting down, try again in a moment\",\"success\":false}");
    assert_non_null(strcasestr(idle.head.ptr, "retry-after: 1\r\n"));
    assert_non_null(strcasestr(idle.head.ptr, "connection: close\r\n"));
    assert_true(ends(&idle));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    close(fd);

    assert_int_equal(http_server_pending(fixture->server), 1);
    answer(fixture->held);
    assert_int_equal(http_server_pending(fixture->server), 0);
    assert_true(client_read(&held, true));
    assert_int_equal(held.status, 200);
    client_close(&held);
    client_close(&idle);
    client_close(&upload);
}

static void stops_after_answers_that_nobody_reads(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[20];

    for (int i = 0; i < 20; i++) {
        clients[i] = client_open(fixture);
        assert_true(client_text(&clients[i], GET("/late")));
    }
    for (int i = 0; i < 20; i++)
        assert_true(client_read(&clients[i], true));
    /* teardown stops the server while all connections stand */
    for (int i = 0; i < 20; i += 2)
        client_close(&clients[i]);
    http_server_quiesce(fixture->server);
    for (int i = 1; i < 20; i += 2)
        client_close(&clients[i]);
}

static void explains_why_it_cannot_start(void **state)
{
    struct fixture *fixture = *state;
    struct http_server_conf conf = fixture->conf;
    struct error error = {0};
    char listen[40];

    fixture_start(fixture);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", http_server_port(fixture->server));
    conf.listen = listen;
    assert_null(http_server_start(&conf, &error));
    assert_non_null(strstr(error.message, "another process listens there"));
    conf.listen = "localhost:80";
    assert_null(http_server_start(&conf, &error));
    assert_int_equal(error.code, ERR_USAGE);
    conf.listen = "127.0.0.1:0";
    conf.cert_file = conf.key_file = "/nonexistent.pem";
    assert_null(http_server_start(&conf, &error));
    assert_non_null(strstr(error.message, "/nonexistent.pem"));
}

static void answers_on_ipv6(void **state)
{
    struct fixture *fixture = *state;
    struct client client = {.fd = socket(AF_INET6, SOCK_STREAM, 0)};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (client.fd < 0 || bind(client.fd, (struct sockaddr *)&address, sizeof address) != 0) {
        client_close(&client);
        skip(); /* a machine without IPv6 */
    }
    fixture->conf.listen = "[::]:0";
    fixture_start(fixture);
    address.sin6_port = htons(http_server_port(fixture->server));
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(ask(&client, GET("/late")), 200);
    assert_non_null(strstr(client.body.ptr, "\"peer\":\"::1\""));
    client_close(&client);
    client = client_open(fixture);
    assert_int_equal(ask(&client, GET("/late")), 200);
    assert_non_null(strstr(client.body.ptr, "\"peer\":\"127.0.0.1\""));
    client_close(&client);
}

static void answers_on_a_unix_socket(void **state)
{
    struct fixture *fixture = *state;
    struct client client = {0};
    struct error error = {0};
    struct stat stat_buf;
    char listen[300], deep[200];

    /* a directory deeper than sun_path */
    snprintf(deep, sizeof deep, "%s/%0120d", fixture->dir, 7);
    assert_int_equal(mkdir(deep, 0700), 0);
    snprintf(listen, sizeof listen, "unix:%s/control.sock", deep);
    fixture->conf.listen = listen;
    fixture_start(fixture);
    fixture->conf.listen = NULL; /* the server has its own copy */
    assert_int_equal(stat(listen + 5, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0600);
    assert_int_equal(listen_unix_connect(listen + 5, &client.fd, &error), OK);
    assert_int_equal(ask(&client, GET("/late")), 200);
    assert_non_null(strstr(client.body.ptr, "\"peer\":\"unix\""));
    client_close(&client);
    http_server_quiesce(fixture->server);
    assert_int_equal(listen_unix_connect(listen + 5, &client.fd, &error), ERR_NOT_FOUND);
    fixture_stop_server(fixture);
    assert_int_equal(stat(listen + 5, &stat_buf), -1);
    rmdir(deep);
}

/* ---- TLS ------------------------------------------------------------------------------- */

static void write_certificate(const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *file;

    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_non_null(file = fopen(cert_path, "w"));
    PEM_write_X509(file, cert);
    fclose(file);
    assert_non_null(file = fopen(key_path, "w"));
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void speak_tls(struct fixture *fixture, SSL_CTX *ssl_ctx)
{
    struct client client = client_open(fixture);

    client.ssl = SSL_new(ssl_ctx);
    SSL_set_fd(client.ssl, client.fd);
    assert_int_equal(SSL_connect(client.ssl), 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(&client, i % 2 == 0 ? GET("/late") : GET("/now")), 200);
    assert_true(post_chunked(&client, "/echo", 300000, 17000));
    assert_true(client_read(&client, true));
    assert_int_equal(client.body.len, 300000);
    assert_true(post(&client, "/late", fixture->limit + 1));
    assert_true(client_read(&client, true));
    assert_int_equal(client.status, 413);
    assert_int_equal(ask(&client, GET("/late") GET("/late")), 200);
    assert_true(client_read(&client, true));
    client_close(&client);
}

static void speaks_tls(void **state)
{
    struct fixture *fixture = *state;
    char cert[100], key[100], other[100];
    struct http_server_conf conf;
    struct error error = {0};
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());

    snprintf(cert, sizeof cert, "%s/cert.pem", fixture->dir);
    snprintf(key, sizeof key, "%s/key.pem", fixture->dir);
    snprintf(other, sizeof other, "%s/other.pem", fixture->dir);
    write_certificate(cert, other);
    write_certificate(cert, key);
    fixture->conf.cert_file = cert;
    fixture->conf.key_file = key;
    fixture_start(fixture);
    speak_tls(fixture, ssl_ctx);

    struct client old = client_open(fixture);
    SSL_CTX_set_max_proto_version(ssl_ctx, TLS1_1_VERSION);
    SSL_CTX_set_min_proto_version(ssl_ctx, TLS1_VERSION);
    old.ssl = SSL_new(ssl_ctx);
    SSL_set_fd(old.ssl, old.fd);
    assert_int_not_equal(SSL_connect(old.ssl), 1);
    client_close(&old);

    conf = fixture->conf;
    conf.key_file = other;
    assert_null(http_server_start(&conf, &error));
    SSL_CTX_free(ssl_ctx);
    unlink(cert);
    unlink(key);
    unlink(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(answers_at_once, setup),
        WITH(answers_from_other_threads, setup),
        WITH(answers_pipelined_in_order, setup),
        WITH(closes_after_a_client_that_sends_no_more, setup),
        WITH(answers_head_without_body, setup),
        WITH(decodes_parameters, setup),
        WITH(shuts_down_with_pending_requests, setup),
        WITH(stops_after_answers_that_nobody_reads, setup),
        WITH(explains_why_it_cannot_start, setup_only),
        WITH(answers_on_ipv6, setup_only),
        WITH(answers_on_a_unix_socket, setup_only),
        WITH(speaks_tls, setup_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
