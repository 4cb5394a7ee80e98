/* server_fixture.h: a server to test and a client that speaks to it byte by byte.
 *
 * The test server has these paths: /now answers inside handle, /late from one of two other
 * threads, /echo with the body, /param with the parameter "q", /empty with 204, /hold when the
 * test says so. A request to /watch posts `released` when it ends. A query
 * that is a number says whose body it is. */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "http/server.h"

#define LATE_THREADS 2

struct job;

struct fixture {
    struct http_server_conf conf;
    struct http_server *server;
    pthread_t threads[LATE_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *jobs;
    bool stopping;
    size_t limit;
    struct http_request *held;
    sem_t holding;  /* posted when `held` is set */
    sem_t released; /* posted when a request ends */
    char dir[64];
};

struct client {
    int fd;
    SSL *ssl;
    struct buf in; /* received, not consumed */
    unsigned status;
    struct buf head;
    struct buf body;
};

/* With `limit` and a configuration that a test may change before fixture_start. */
struct fixture *fixture_new(void);
void fixture_start(struct fixture *fixture);
void fixture_stop_server(struct fixture *fixture);

/* cmocka's: a running server; one that the test starts itself; the end of both. */
int setup(void **state);
int setup_only(void **state);
int teardown(void **state);

/* The usual answer: {"path","query","peer","len"}. */
void answer(struct http_request *request);

struct client client_open(const struct fixture *fixture);
void client_close(struct client *client);
/* False when the server has closed its side. */
bool client_send(struct client *client, const char *bytes, size_t len);
bool client_text(struct client *client, const char *text);
/* False at the end of the connection. */
bool client_fill(struct client *client);
/* Reads one answer; false when the connection ends first. */
bool client_read(struct client *client, bool has_body);
/* Sends, reads one answer, returns its status. */
unsigned ask(struct client *client, const char *request);
/* True when nothing more comes. */
bool ends(struct client *client);

/* "abc...": len bytes, free() them. */
char *bytes_of(size_t len);
/* Sends a POST of `len` bytes; false when the server stopped reading. */
bool post(struct client *client, const char *path, size_t len);
bool post_chunked(struct client *client, const char *path, size_t len, size_t chunk);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

#define WITH(test, set) cmocka_unit_test_setup_teardown(test, set, teardown)

#endif
