/* server.c: the libmicrohttpd daemon behind server.h: start, stop, and how a body comes in.
 *
 * libmicrohttpd calls on_request once for the head, once per piece of body and once at the end,
 * and again after a resumption. It takes an answer only at the head (the connection is closed
 * then, unread body and all) or after the whole body; so the body of a refused request is read
 * and dropped first, up to conf.discard_bytes, or the client would see a reset instead of the
 * answer. One in the middle of a longer body gets the answer over the bare socket.
 *
 * Memory: a request is made when its request line is known and freed in on_completed, always. */
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/listen.h"
#include "http/server_private.h"

#define HINT_MAX_BYTES (64 * 1024) /* of Content-Length is believed before bytes came */
#define BODY_MIN_BYTES 1024
#define PEM_MAX_BYTES  (1024 * 1024)
#define STOP_WAIT_S    2

/* ---- refusals -------------------------------------------------------------------------- */

/* Frees the body and gives its room back to all. */
static void drop_body(struct http_request *request)
{
    if (request->body.cap > 0)
        share_give(&request->server->waiting, request->owner, request->body.cap);
    buf_release(&request->body);
}

static void begin_refusal(struct http_request *request)
{
    if (!request_move(request, atomic_load(&request->state), REQUEST_REFUSING))
        BUG("request is moved by two threads");
    drop_body(request);
}

static void refuse_by_code(struct http_request *request, enum err code)
{
    struct http_server_conf *conf = &request->server->conf;

    begin_refusal(request);
    conf->refuse(conf->ctx, request, code);
    if (atomic_load(&request->state) != REQUEST_DISCARDING)
        BUG("refuse() returned without an answer");
}

/* For what is wrong below the API: answers in the API's form without asking it. */
static void refuse_by_text(struct http_request *request,
                           unsigned status,
                           const char *error,
                           const char *troubleshoot)
{
    struct buf body = BUF_INIT;

    begin_refusal(request);
    buf_printf(&body, "{\"error\":\"%s\",\"troubleshoot\":\"%s\",\"success\":false}", error,
               troubleshoot);
    http_answer_header(request, "Connection", "close");
    if (status == 503)
        http_answer_header(request, "Retry-After", "1");
    http_respond(request, status, NULL, &body);
}

static void refuse_for_shutdown(struct http_request *request)
{
    refuse_by_text(request, 503, "Service Unavailable",
                   "the server is shutting down, try again in a moment");
}

/* ---- the head -------------------------------------------------------------------------- */

struct framing {
    unsigned lengths, encodings, hosts;
    bool chunked;
    bool odd; /* a field that others may read as another one */
    uint64_t length;
};

/* Source: RFC 9110 section 5.6.2. */
static bool is_token(const char *name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (const char *at = name; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && strchr(marks, *at) == NULL)
            return false;
    }
    return name[0] != '\0';
}

static bool has_control(const char *value)
{
    for (; *value != '\0'; value++) {
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7F)
            return true;
    }
    return false;
}

static bool begins_and_goes_on(const char *name, const char *begin)
{
    size_t len = strlen(begin);

    return strncasecmp(name, begin, len) == 0 && name[len] != '\0';
}

/* libmicrohttpd 0.9.75 takes names with spaces in them and values with bare CRs, and glues the
 * continuation of a folded line to its NAME ("Content-Length: 1 / 0" is a field "Content-Length0").
 * In front of it each of these may be read as the end of a body that we do not see. */
static bool is_odd(const char *name, const char *value)
{
    return !is_token(name) || (value != NULL && has_control(value)) ||
           begins_and_goes_on(name, "Content-Length") ||
           begins_and_goes_on(name, "Transfer-Encoding");
}

static enum MHD_Result
see_field(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = cls;

    if (is_odd(name, value))
        framing->odd = true;
    if (value == NULL)
        return MHD_YES;
    if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        framing->length = strtoull(value, NULL, 10);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, "Host") == 0) {
        framing->hosts++;
    }
    return MHD_YES;
}

/* Two lengths, a length beside chunks or a field that is none mean that some proxy on the way may
 * see another end of this request than we do: refused, as RFC 9112 section 6.3 advises. */
static bool is_framing_clear(const struct framing *framing)
{
    return !framing->odd && framing->hosts <= 1 && framing->lengths <= 1 &&
           framing->encodings <= 1 && framing->lengths + framing->encodings <= 1 &&
           (framing->encodings == 0 || framing->chunked);
}

static enum http_method method_of(const char *name)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_PATCH] = "PATCH",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum http_method)i;
    }
    return HTTP_OTHER;
}

/* True when reading the body first would only cost: the client waits for our word, or sends more
 * than is discarded anyway. */
static bool answers_at_head(struct http_request *request, const struct framing *framing)
{
    const char *expect = http_request_header(request, "Expect");

    return !is_framing_clear(framing) || framing->length > request->server->conf.discard_bytes ||
           (expect != NULL && strcasecmp(expect, "100-continue") == 0);
}

static size_t most_bytes(const struct http_request *request)
{
    return request->body_limit == HTTP_BODY_DROPPED ? request->server->conf.discard_bytes
                                                    : request->body_limit;
}

static enum MHD_Result on_head(struct http_request *request, const char *method)
{
    struct http_server *server = request->server;
    struct framing framing = {0};

    request->started = true;
    request->method = method_of(method);
    request->method_name = mem_strdup(method);
    atomic_fetch_add(&server->requests, 1);
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, see_field, &framing);
    if (!is_framing_clear(&framing)) {
        refuse_by_text(request, 400, "Bad Request",
                       "the head is not clear: send one Host, one Content-Length or "
                       "Transfer-Encoding: chunked and not both, and each field as "
                       "'Name: value' on one line");
    } else if (atomic_load(&server->refuse_new)) {
        refuse_for_shutdown(request);
    } else {
        request->body_limit = server->conf.body_limit(server->conf.ctx, request);
        if (framing.length > most_bytes(request))
            refuse_by_code(request, ERR_TOO_LARGE);
    }
    link_expect(request->link, LINK_BODY, server->conf.transfer_timeout_s);
    if (atomic_load(&request->state) == REQUEST_DISCARDING)
        return answers_at_head(request, &framing) ? request_queue(request) : MHD_YES;
    request->body_hint = (size_t)framing.length;
    if (!request_move(request, REQUEST_HEAD, REQUEST_BODY))
        BUG("request is moved by two threads");
    return MHD_YES;
}

/* ---- the body -------------------------------------------------------------------------- */

/* Makes room for `more` bytes and a NUL; false when the memory of all bodies has none. */
static bool grow_body(struct http_request *request, size_t more)
{
    struct buf *body = &request->body;
    size_t need = body->len + more + 1, cap = body->cap + body->cap / 2, top;

    if (need <= body->cap)
        return true;
    top = (request->body_hint > 0 ? request->body_hint : request->body_limit) + 1;
    if (body->cap == 0)
        cap = request->body_hint < HINT_MAX_BYTES ? request->body_hint + 1 : HINT_MAX_BYTES;
    if (cap < BODY_MIN_BYTES)
        cap = BODY_MIN_BYTES;
    if (cap > top)
        cap = top;
    if (cap < need)
        cap = need;
    if (!share_take(&request->server->waiting, request->owner, cap - body->cap, body->cap > 0))
        return false;
    body->ptr = mem_realloc(body->ptr, cap);
    body->cap = cap;
    return true;
}

static enum MHD_Result discard(struct http_request *request, size_t len)
{
    request->discarded_bytes += len;
    if (request->discarded_bytes <= request->server->conf.discard_bytes)
        return MHD_YES;
    request_send_raw(request);
    return MHD_NO;
}

static enum MHD_Result on_body(struct http_request *request, const char *bytes, size_t len)
{
    struct buf *body = &request->body;

    if (atomic_load(&request->state) == REQUEST_DISCARDING)
        return discard(request, len);
    if (request->body_limit == HTTP_BODY_DROPPED) {
        request->discarded_bytes += len;
        if (request->discarded_bytes <= most_bytes(request))
            return MHD_YES;
        refuse_by_code(request, ERR_TOO_LARGE);
        return discard(request, 0);
    }
    if (len > request->body_limit - body->len) {
        request->discarded_bytes = body->len;
        refuse_by_code(request, ERR_TOO_LARGE);
        return discard(request, len);
    }
    if (!grow_body(request, len)) {
        request->discarded_bytes = body->len;
        refuse_by_code(request, ERR_LIMIT);
        return discard(request, len);
    }
    memcpy(body->ptr + body->len, bytes, len);
    body->len += len;
    body->ptr[body->len] = '\0';
    return MHD_YES;
}

/* ---- the end of the request ------------------------------------------------------------ */

static enum MHD_Result hand_over(struct http_request *request)
{
    struct http_server *server = request->server;

    /* Counted before the look at refuse_new: after a quiesce, whoever sees pending == 0 knows
     * that no request is on its way to `handle`. */
    atomic_fetch_add(&server->pending, 1);
    if (atomic_load(&server->refuse_new)) {
        atomic_fetch_sub(&server->pending, 1);
        refuse_for_shutdown(request);
        return request_queue(request);
    }
    request->handled = true;
    link_expect(request->link, LINK_NOTHING, 0);
    if (!request_move(request, REQUEST_BODY, REQUEST_HANDLING))
        BUG("request is moved by two threads");
    server->conf.handle(server->conf.ctx, request);
    if (atomic_load(&request->state) == REQUEST_ANSWERED)
        return request_queue(request);
    MHD_suspend_connection(request->connection);
    if (!request_move(request, REQUEST_HANDLING, REQUEST_SUSPENDED))
        MHD_resume_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_len,
                                  void **slot)
{
    struct http_request *request = *slot;
    size_t len = *upload_len;

    if (!request->started)
        return on_head(request, method);
    if (len > 0) {
        *upload_len = 0;
        return on_body(request, upload, len);
    }
    if (atomic_load(&request->state) == REQUEST_BODY)
        return hand_over(request);
    return request_queue(request);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct link *link = link_of(connection);

    link->request = request_new(cls, connection, target);
    link->request->link = link;
    return link->request;
}

static void end_request(struct http_server *server, struct http_request *request)
{
    bool handled = request->handled;
    drop_body(request);
    request_free(request);
    if (handled && atomic_fetch_sub(&server->unsent, 1) == 1) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_broadcast(&server->sent);
        pthread_mutex_unlock(&server->lock);
    }
}

static void on_completed(void *cls,
                         struct MHD_Connection *connection,
                         void **slot,
                         enum MHD_RequestTerminationCode reason)
{
    struct http_server *server = cls;
    struct http_request *request = *slot;

    if (request == NULL)
        return;
    *slot = NULL;
    request->link->request = NULL;
    link_expect(request->link, LINK_HEAD,
                server->conf.head_timeout_s == 0
                    ? 0
                    : server->conf.idle_timeout_s + server->conf.head_timeout_s);
    end_request(server, request);
}

static void on_connection(void *cls,
                          struct MHD_Connection *connection,
                          void **slot,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = cls;
    struct link *link = *slot;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&server->connections, 1);
        *slot = link_new(server, connection);
        return;
    }
    atomic_fetch_sub(&server->connections, 1);
    if (link->request != NULL)
        end_request(server, link->request);
    link_free(server, link);
}

/* Paths and queries are decoded by those who know what they mean. */
static size_t leave_encoded(void *cls, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

/* ---- the daemon ------------------------------------------------------------------------ */

/* Mostly what peers did wrong, so it is for debugging; a failed start tells its last line. */
PRINTF_LIKE(2, 0) static void on_log(void *cls, const char *fmt, va_list args)
{
    struct http_server *server = cls;
    char line[sizeof server->start_message];
    size_t len;

    vsnprintf(line, sizeof line, fmt, args);
    len = strlen(line);
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '.'))
        line[--len] = '\0';
    pthread_mutex_lock(&server->lock);
    if (server->starting)
        memcpy(server->start_message, line, len + 1);
    pthread_mutex_unlock(&server->lock);
    LOG_DEBUG("http server: %s", line);
}

_Noreturn static void on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
    bug_at(file, (int)line, "libmicrohttpd: %s", reason == NULL ? "?" : reason);
}

static enum err read_pem(const char *path, const char *what, char **ret_text, struct error *error)
{
    struct stat stat;
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &stat) != 0) {
        error_set(error, ERR_USAGE, "cannot read the %s \"%.200s\": %s", what, path,
                  strerror(errno));
        if (fd >= 0)
            close(fd);
        return ERR_USAGE;
    }
    if (!S_ISREG(stat.st_mode) || stat.st_size > PEM_MAX_BYTES) {
        close(fd);
        return error_set(error, ERR_USAGE, "the %s \"%.200s\" is no PEM file", what, path);
    }
    char *text = mem_alloc((size_t)stat.st_size + 1);
    while (len < (size_t)stat.st_size && (n = read(fd, text + len, (size_t)stat.st_size - len)) > 0)
        len += (size_t)n;
    close(fd);
    text[len] = '\0';
    if (n >= 0 && strstr(text, "-----BEGIN ") != NULL) {
        *ret_text = text;
        return OK;
    }
    free(text);
    return error_set(error, ERR_USAGE, "the %s \"%.200s\" is no PEM file", what, path);
}

static char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE";

static void start_daemon(struct http_server *server)
{
    const struct http_server_conf *conf = &server->conf;
    bool local = listen_unix_path(server->listen) != NULL;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[16];
    size_t n = 0;

    options[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL};
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT, conf->connections, NULL};
    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_CONNECTION_TIMEOUT, conf->idle_timeout_s, NULL};
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                           (intptr_t)conf->head_bytes, NULL};
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL};
    if (conf->threads > 1)
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, conf->threads, NULL};
    if (conf->connections_per_address > 0 && !local)
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                               conf->connections_per_address, NULL};
    if (server->cert != NULL) {
        flags |= MHD_USE_TLS;
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, server->cert};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, server->key};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities};
    }
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    if (server->listen[0] == '[')
        flags |= MHD_USE_IPv6;
    server->starting = true;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_encoded, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    pthread_mutex_lock(&server->lock);
    server->starting = false;
    pthread_mutex_unlock(&server->lock);
}

static struct http_server *server_new(const struct http_server_conf *conf)
{
    struct http_server *server = mem_zero(1, sizeof *server);
    pthread_condattr_t attr;

    server->conf = *conf;
    server->listen = mem_strdup(conf->listen);
    server->conf.listen = server->listen;
    server->conf.cert_file = server->conf.key_file = NULL; /* the caller's; read at start only */
    server->listen_fd = -1;
    pthread_mutex_init(&server->lock, NULL);
    share_init(&server->waiting, conf->waiting_bytes);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->sent, &attr);
    pthread_condattr_destroy(&attr);
    sweeper_start(server);
    return server;
}

static void server_free(struct http_server *server)
{
    sweeper_stop(server);
    if (server->listen_fd >= 0) {
        close(server->listen_fd);
        if (listen_unix_path(server->listen) != NULL)
            (void)unlink(listen_unix_path(server->listen));
    }
    if (server->key != NULL)
        explicit_bzero(server->key, strlen(server->key));
    free(server->key);
    free(server->cert);
    free(server->listen);
    pthread_cond_destroy(&server->sent);
    share_release(&server->waiting);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

struct http_server *http_server_start(const struct http_server_conf *conf, struct error *error)
{
    struct http_server *server = server_new(conf);
    enum err err = OK;

    MHD_set_panic_func(on_panic, NULL);
    if (conf->cert_file != NULL) {
        err = read_pem(conf->cert_file, "certificate", &server->cert, error);
        if (err == OK)
            err = read_pem(conf->key_file, "key", &server->key, error);
    }
    if (err == OK)
        err = listen_open(conf->listen, &server->listen_fd, error);
    if (err == OK) {
        server->port = listen_port(server->listen_fd);
        start_daemon(server);
        if (server->daemon != NULL)
            return server;
        error_set(error, ERR_USAGE, "cannot start the HTTP server on \"%.100s\": %s%s",
                  server->listen,
                  server->start_message[0] == '\0' ? "unknown reason" : server->start_message,
                  server->cert == NULL ? "" : "; do the certificate and the key belong together?");
    }
    server_free(server);
    return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_quiesce(struct http_server *server)
{
    if (server->quiesced)
        return;
    server->quiesced = true;
    atomic_store(&server->refuse_new, true);
    (void)MHD_quiesce_daemon(server->daemon);
    /* Shut down rather than closed: a thread of the pool may be about to accept on it, and its
     * number must not be given to another file meanwhile. */
    (void)shutdown(server->listen_fd, SHUT_RDWR);
}

size_t http_server_pending(const struct http_server *server)
{
    return atomic_load(&server->pending);
}

void http_server_stop(struct http_server *server)
{
    struct timespec until;

    if (server == NULL)
        return;
    http_server_quiesce(server);
    ASSERT(http_server_pending(server) == 0);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_S;
    pthread_mutex_lock(&server->lock);
    while (atomic_load(&server->unsent) > 0) {
        if (pthread_cond_timedwait(&server->sent, &server->lock, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}

void http_server_stats(const struct http_server *server, struct http_server_stats *ret_stats)
{
    ret_stats->requests = atomic_load(&server->requests);
    ret_stats->connections = atomic_load(&server->connections);
    ret_stats->waiting_bytes = share_used(&server->waiting);
    ret_stats->timeouts = atomic_load(&server->timeouts);
}
