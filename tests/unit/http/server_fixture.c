/* server_fixture.c: see server_fixture.h. */
#include "server_fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct job {
    struct job *next;
    struct http_request *request;
};

/* ---- the server under test ------------------------------------------------------------- */

void answer(struct http_request *request)
{
    struct buf body = BUF_INIT;

    buf_printf(&body, "{\"path\":\"%s\",\"query\":\"%s\",\"peer\":\"%s\",\"len\":%zu}",
               http_request_path(request), http_request_query(request), http_request_peer(request),
               http_request_body(request).len);
    http_answer_header(request, "X-Test", "one\r\ntwo: three");
    http_respond(request, 200, NULL, &body);
}

static void *late_main(void *arg)
{
    struct fixture *fixture = arg;

    pthread_mutex_lock(&fixture->lock);
    while (!fixture->stopping || fixture->jobs != NULL) {
        struct job *job = fixture->jobs;
        if (job == NULL) {
            pthread_cond_wait(&fixture->more, &fixture->lock);
            continue;
        }
        fixture->jobs = job->next;
        pthread_mutex_unlock(&fixture->lock);
        answer(job->request);
        free(job);
        pthread_mutex_lock(&fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
    return NULL;
}

static void answer_late(struct fixture *fixture, struct http_request *request)
{
    struct job *job = mem_alloc(sizeof *job);

    job->request = request;
    pthread_mutex_lock(&fixture->lock);
    job->next = fixture->jobs;
    fixture->jobs = job;
    pthread_cond_signal(&fixture->more);
    pthread_mutex_unlock(&fixture->lock);
}

static void on_release(void *state)
{
    struct fixture *fixture = state;
    sem_post(&fixture->released);
}

static size_t on_limit(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;

    if (strncmp(http_request_path(request), "/watch", 6) == 0)
        http_request_set_state(request, fixture, on_release);
    http_request_set_owner(request, strtoul(http_request_query(request), NULL, 10));
    return fixture->limit;
}

static void on_refuse(void *ctx, struct http_request *request, enum err code)
{
    struct buf body = BUF_INIT;

    buf_add_text(&body, err_slug(code));
    http_respond(request, (unsigned)err_http_status(code), "text/plain", &body);
}

static void on_handle(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    const char *path = http_request_path(request);
    struct buf body = BUF_INIT;

    if (strcmp(path, "/late") == 0) {
        answer_late(fixture, request);
    } else if (strcmp(path, "/hold") == 0) {
        fixture->held = request;
        sem_post(&fixture->holding);
    } else if (strcmp(path, "/echo") == 0) {
        buf_add_span(&body, http_request_body(request));
        http_respond(request, 200, "text/plain", &body);
    } else if (strcmp(path, "/param") == 0) {
        const char *q = http_request_param(request, "q");
        buf_printf(&body, "%s", q == NULL ? "(none)" : q);
        http_respond(request, 200, "text/plain", &body);
    } else if (strcmp(path, "/empty") == 0) {
        http_respond(request, 204, NULL, NULL);
    } else {
        answer(request);
    }
}

struct fixture *fixture_new(void)
{
    struct fixture *fixture = mem_zero(1, sizeof *fixture);

    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->more, NULL);
    sem_init(&fixture->holding, 0, 0);
    sem_init(&fixture->released, 0, 0);
    fixture->limit = 1024 * 1024;
    fixture->conf = (struct http_server_conf){
        .listen = "127.0.0.1:0",
        .threads = 2,
        .connections = 200,
        .idle_timeout_s = 30,
        .head_bytes = 32 * 1024,
        .waiting_bytes = 8 * 1024 * 1024,
        .discard_bytes = 4 * 1024 * 1024,
        .body_limit = on_limit,
        .refuse = on_refuse,
        .handle = on_handle,
        .ctx = fixture,
    };
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/hookswitch-server-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    return fixture;
}

void fixture_start(struct fixture *fixture)
{
    struct error error = {0};

    fixture->server = http_server_start(&fixture->conf, &error);
    if (fixture->server == NULL)
        fail_msg("%s", error.message);
    for (int i = 0; i < LATE_THREADS; i++)
        assert_int_equal(pthread_create(&fixture->threads[i], NULL, late_main, fixture), 0);
}

void fixture_stop_server(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    fixture->stopping = true;
    pthread_cond_broadcast(&fixture->more);
    pthread_mutex_unlock(&fixture->lock);
    for (int i = 0; i < LATE_THREADS; i++)
        pthread_join(fixture->threads[i], NULL);
    http_server_stop(fixture->server);
    fixture->server = NULL;
}

int setup(void **state)
{
    struct fixture *fixture = fixture_new();

    fixture_start(fixture);
    *state = fixture;
    return 0;
}

int setup_only(void **state)
{
    *state = fixture_new();
    return 0;
}

int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->server != NULL)
        fixture_stop_server(fixture);
    pthread_mutex_destroy(&fixture->lock);
    pthread_cond_destroy(&fixture->more);
    sem_destroy(&fixture->holding);
    sem_destroy(&fixture->released);
    rmdir(fixture->dir);
    free(fixture);
    return 0;
}

/* ---- a client -------------------------------------------------------------------------- */

struct client client_open(const struct fixture *fixture)
{
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_server_port(fixture->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 60};

    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return client;
}

void client_close(struct client *client)
{
    if (client->ssl != NULL)
        SSL_free(client->ssl);
    close(client->fd);
    buf_release(&client->in);
    buf_release(&client->head);
    buf_release(&client->body);
}

bool client_send(struct client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = client->ssl != NULL ? SSL_write(client->ssl, bytes, (int)len)
                                        : send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool client_text(struct client *client, const char *text)
{
    return client_send(client, text, strlen(text));
}

bool client_fill(struct client *client)
{
    char bytes[16384];
    ssize_t n = client->ssl != NULL ? SSL_read(client->ssl, bytes, sizeof bytes)
                                    : recv(client->fd, bytes, sizeof bytes, 0);

    if (n > 0)
        buf_add(&client->in, bytes, (size_t)n);
    return n > 0;
}

static void consume(struct client *client, size_t len)
{
    client->in.len -= len;
    memmove(client->in.ptr, client->in.ptr + len, client->in.len + 1);
}

bool client_read(struct client *client, bool has_body)
{
    const char *end, *field;
    size_t len = 0;

    buf_clear(&client->head);
    buf_clear(&client->body);
    while (client->in.len == 0 || (end = strstr(client->in.ptr, "\r\n\r\n")) == NULL) {
        if (!client_fill(client))
            return false;
    }
    buf_add(&client->head, client->in.ptr, (size_t)(end + 4 - client->in.ptr));
    consume(client, client->head.len);
    assert_int_equal(sscanf(client->head.ptr, "HTTP/1.1 %u", &client->status), 1);
    field = strcasestr(client->head.ptr, "content-length:");
    if (has_body && field != NULL)
        len = strtoul(field + 15, NULL, 10);
    while (client->in.len < len) {
        if (!client_fill(client))
            return false;
    }
    if (len > 0) {
        buf_add(&client->body, client->in.ptr, len);
        consume(client, len);
    }
    return true;
}

unsigned ask(struct client *client, const char *request)
{
    assert_true(client_text(client, request));
    assert_true(client_read(client, true));
    return client->status;
}

bool ends(struct client *client)
{
    return client->in.len == 0 && !client_fill(client);
}

char *bytes_of(size_t len)
{
    char *bytes = mem_alloc(len + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)('a' + i % 26);
    bytes[len] = '\0';
    return bytes;
}

bool post(struct client *client, const char *path, size_t len)
{
    char *body = bytes_of(len), head[200];

    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path,
             len);
    bool sent = client_text(client, head) && client_send(client, body, len);
    free(body);
    return sent;
}

bool post_chunked(struct client *client, const char *path, size_t len, size_t chunk)
{
    char *body = bytes_of(len), line[200];
    bool sent;

    snprintf(line, sizeof line, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
             path);
    sent = client_text(client, line);
    for (size_t at = 0; sent && at < len; at += chunk) {
        size_t n = len - at < chunk ? len - at : chunk;
        snprintf(line, sizeof line, "%zx\r\n", n);
        sent = client_text(client, line) && client_send(client, body + at, n) &&
               client_text(client, "\r\n");
    }
    sent = sent && client_text(client, "0\r\n\r\n");
    free(body);
    return sent;
}
