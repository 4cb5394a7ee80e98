/* control_client.c: one request, one answer, then the connection is closed: the server says
 * "Connection: close", so the answer is whole when the stream ends. */
#include "cli/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/data_dir.h"
#include "cli/host.h"
#include "http/listen.h"
#include "sys/clock.h"

#define WAIT_MS          15000 /* for a server that starts or leaves */
#define POLL_MS          20
#define ANSWER_WAIT_S    60
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)
#define ATTEMPT_WAIT_MS  2000 /* what a command's own engine may still send */

/* ---- the answer -------------------------------------------------------------------------- */

static bool parse_number(struct span text, size_t *ret_number)
{
    size_t number = 0;

    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (size_t)(text.ptr[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* One line without its CRLF, taken off *rest; false when there is none. */
static bool take_line(struct span *rest, struct span *ret_line)
{
    size_t len = span_find(*rest, '\n');

    if (len == rest->len || len == 0 || rest->ptr[len - 1] != '\r')
        return false;
    *ret_line = span_make(rest->ptr, len - 1);
    *rest = span_from_at(*rest, len + 1);
    return true;
}

bool control_parse_answer(struct span bytes, unsigned *ret_status, struct span *ret_body)
{
    struct span line, value;
    size_t status, length = 0;
    bool has_length = false;

    if (!take_line(&bytes, &line) || !span_starts(line, "HTTP/1.1 ") || line.len < 12 ||
        !parse_number(span_make(line.ptr + 9, 3), &status))
        return false;
    for (;;) {
        if (!take_line(&bytes, &line))
            return false;
        if (line.len == 0)
            break;
        size_t colon = span_find(line, ':');
        if (colon == line.len)
            return false;
        if (!span_eq_nocase(span_make(line.ptr, colon), "content-length"))
            continue;
        value = span_from_at(line, colon + 1);
        while (value.len > 0 && value.ptr[0] == ' ')
            value = span_from_at(value, 1);
        if (has_length || !parse_number(value, &length))
            return false;
        has_length = true;
    }
    if (bytes.len != length)
        return false;
    *ret_status = (unsigned)status;
    *ret_body = bytes;
    return true;
}

/* ---- through the socket ------------------------------------------------------------------ */

static bool send_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = span_from_at(bytes, (size_t)n);
    }
    return true;
}

static bool receive_all(int fd, struct buf *ret_bytes)
{
    char bytes[16384];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof bytes, 0)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || ret_bytes->len > ANSWER_MAX_BYTES)
            return false;
        buf_add(ret_bytes, bytes, (size_t)n);
    }
    return true;
}

static void add_request(struct buf *buf, const char *method, const char *path, const json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

    buf_printf(buf, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
    if (text != NULL)
        buf_printf(buf, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(text));
    buf_add_text(buf, "\r\n");
    if (text != NULL)
        buf_add_text(buf, text);
    free(text);
}

static enum err code_of_status(unsigned status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_EXISTS;
    case 429:
        return ERR_LIMIT;
    case 503:
        return ERR_SHUTDOWN;
    case 507:
        return ERR_FULL;
    default:
        return ERR_STORE;
    }
}

/* The sentence of a refusal. */
static enum err fail_with_answer(enum err code, const json_t *answer, struct error *error)
{
    const char *text = json_string_value(json_object_get(answer, "troubleshoot"));

    return error_set(error, code, "%s", text != NULL ? text : err_sentence(code));
}

static enum err read_answer(struct span bytes, json_t **ret_answer, struct error *error)
{
    unsigned status;
    struct span body;
    json_t *answer = NULL;

    if (!control_parse_answer(bytes, &status, &body))
        return error_set(error, ERR_IO,
                         "the server ended before it answered; whether the change was made is "
                         "not known: look with `hookswitch company list`");
    if (body.len > 0)
        answer = json_loadb(body.ptr, body.len, 0, NULL);
    if (status >= 200 && status <= 299) {
        *ret_answer = answer;
        return OK;
    }
    fail_with_answer(code_of_status(status), answer, error);
    json_decref(answer);
    return code_of_status(status);
}

/* ERR_NOT_FOUND from the connect, and only that, leaves *ret_connected false. */
static enum err call_server(const char *socket_path,
                            const char *method,
                            const char *path,
                            const json_t *body,
                            bool *ret_connected,
                            json_t **ret_answer,
                            struct error *error)
{
    struct buf request = BUF_INIT, answer = BUF_INIT;
    struct timeval patience = {.tv_sec = ANSWER_WAIT_S};
    enum err err;
    int fd;

    *ret_connected = false;
    err = listen_unix_connect(socket_path, &fd, error);
    if (err != OK)
        return err;
    *ret_connected = true;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    add_request(&request, method, path, body);
    /* A server that refuses at once may close before it has read all: its answer counts. */
    (void)send_all(fd, buf_span(&request));
    (void)receive_all(fd, &answer);
    close(fd);
    err = read_answer(buf_span(&answer), ret_answer, error);
    buf_release(&request);
    buf_release(&answer);
    return err;
}

/* ---- without a server -------------------------------------------------------------------- */

static enum err call_own_engine(const struct settings *settings,
                                const char *method,
                                const char *path,
                                const json_t *body,
                                json_t **ret_answer,
                                struct error *error)
{
    struct host host;
    json_t *answer = NULL;
    int status = 0;
    enum err err = host_open(&host, settings, "", false, error);

    if (err != OK)
        return err;
    err = api_control_call(host.engine, method, path, body, &status, &answer);
    host_quiesce(&host);
    host_close(&host, ATTEMPT_WAIT_MS);
    if (err == OK) {
        *ret_answer = answer;
        return OK;
    }
    fail_with_answer(err, answer, error);
    json_decref(answer);
    return err;
}

/* ---- whichever it is --------------------------------------------------------------------- */

/* One try. *ret_again = the holder of the lock is on its way in or out: worth another try. */
static enum err call_once(const struct settings *settings,
                          const char *socket_path,
                          const char *method,
                          const char *path,
                          const json_t *body,
                          bool *ret_again,
                          json_t **ret_answer,
                          struct error *error)
{
    struct data_dir dir;
    struct error lock_error = {OK, ERROR_NO_OFFSET, ""};
    bool connected;
    enum err err, lock = data_dir_lock(&dir, settings->data, "command", &lock_error);

    *ret_again = false;
    if (lock == OK) {
        err = call_own_engine(settings, method, path, body, ret_answer, error);
        data_dir_unlock(&dir);
        return err;
    }
    if (lock != ERR_BUSY) {
        *error = lock_error;
        return lock;
    }
    err = call_server(socket_path, method, path, body, &connected, ret_answer, error);
    if (connected) {
        /* Refused, so nothing was done; or it ended in the middle of what changes nothing. */
        *ret_again = err == ERR_SHUTDOWN || (err == ERR_IO && strcmp(method, "GET") == 0);
        return err;
    }
    *ret_again = err == ERR_NOT_FOUND;
    if (err != ERR_NOT_FOUND)
        return err;
    *error = lock_error;
    return ERR_BUSY;
}

/* The first company may come before the first start; whoever asks for anything else in a directory
 * that does not exist has mistaken it. */
static bool may_begin(const char *method, const char *path)
{
    return strcmp(method, "POST") == 0 && strcmp(path, "/control/companies") == 0;
}

enum err control_call(const struct settings *settings,
                      const char *method,
                      const char *path,
                      const json_t *body,
                      json_t **ret_answer,
                      struct error *error)
{
    mono_ms until = clock_mono_ms() + WAIT_MS;
    enum err err;
    char *socket_path;
    bool again;

    if (!may_begin(method, path) && access(settings->data, F_OK) != 0 && errno == ENOENT)
        return error_set(
            error, ERR_NOT_FOUND,
            "there is no data directory \"%.200s\"; give the server's with --data DIR, "
            "or begin one with `hookswitch company add NAME`",
            settings->data);
    err = data_dir_make(settings->data, error);
    if (err != OK)
        return err;
    socket_path = data_dir_socket_path(settings->data);
    for (;;) {
        err = call_once(settings, socket_path, method, path, body, &again, ret_answer, error);
        if (!again || clock_mono_ms() >= until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    free(socket_path);
    return err;
}
