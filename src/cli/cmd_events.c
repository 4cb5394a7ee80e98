/* cmd_events.c: `hookswitch events types|show|post`. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "cli/remote.h"
#include "cli/view_events.h"

#define DATA_MAX (8 * 1024 * 1024) /* what a server takes by default; it may take less */

static enum err events_types(struct remote *remote, struct error *error)
{
    const struct api_request request = {.method = "GET", .path = "/v1/event_types"};

    return remote_show(remote, &request, view_event_types, error);
}

/* Numbers of `data` may be larger than any type of jansson's: its bytes are shown as they are, and
 * the tree is made without them. */
static enum err show_event(struct remote *remote, struct span answer, struct error *error)
{
    struct scan_value data;
    struct buf rest = BUF_INIT;
    json_t *tree = NULL;
    enum err err;

    if (scan_find(answer, "data", &data) == SCAN_FOUND) {
        remote->view.data = data.raw;
        buf_add(&rest, answer.ptr, data.offset);
        buf_add_text(&rest, "null");
        buf_add_span(&rest, span_from_at(answer, data.offset + data.raw.len));
        answer = buf_span(&rest);
    }
    err = remote_parse(answer, &tree, error);
    if (err == OK)
        view_event(&remote->out, &remote->view, tree);
    remote->view.data = span_from(NULL);
    json_decref(tree);
    buf_release(&rest);
    return err;
}

static enum err events_show(struct remote *remote, struct error *error)
{
    struct buf path = BUF_INIT, answer = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/events/", remote->words[0], "");
    const struct api_request request = {.method = "GET", .path = path.ptr};
    err = api_call(&remote->target, &request, &answer, error);
    if (err == OK && remote->json)
        err = remote_add_json(remote, buf_span(&answer), error);
    else if (err == OK)
        err = show_event(remote, buf_span(&answer), error);
    buf_release(&path);
    buf_release(&answer);
    return err;
}

/* ---- post -------------------------------------------------------------------------------- */

static enum err read_all(int fd, const char *name, struct buf *ret_bytes, struct error *error)
{
    char bytes[16384];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(error, ERR_USAGE, "cannot read \"%.200s\": %s", name, strerror(errno));
        if (ret_bytes->len + (size_t)n > DATA_MAX)
            return error_set(error, ERR_USAGE, "\"%.200s\" is larger than %d MiB", name,
                             DATA_MAX / 1024 / 1024);
        buf_add(ret_bytes, bytes, (size_t)n);
    }
    return OK;
}

/* JSON itself, @FILE or - for stdin; {} when nothing is said. */
static enum err read_data(const char *value, struct buf *ret_data, struct error *error)
{
    enum err err;
    int fd;

    if (value == NULL)
        value = "{}";
    if (strcmp(value, "-") == 0)
        return read_all(STDIN_FILENO, "stdin", ret_data, error);
    if (value[0] != '@') {
        buf_add_text(ret_data, value);
        return OK;
    }
    fd = open(value + 1, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, ERR_USAGE, "cannot read \"%.200s\": %s", value + 1,
                         strerror(errno));
    err = read_all(fd, value + 1, ret_data, error);
    close(fd);
    return err;
}

/* One object and nothing behind it: it becomes a part of the body byte for byte. */
static enum err check_data(struct span data, struct error *error)
{
    struct error fault = {OK, ERROR_NO_OFFSET, ""};
    struct scan_cursor cursor;
    struct scan_value value;

    scan_cursor_init(&cursor, data, &fault);
    if (scan_take(&cursor, &value) && value.kind != SCAN_OBJECT)
        scan_fail(&cursor, value.offset, "it must be an object, like {\"id\":1}");
    if (scan_finish(&cursor) == OK)
        return OK;
    return error_set(error, ERR_USAGE, "--data: %.300s", fault.message);
}

static enum err check_key(const char *key, struct error *error)
{
    size_t len = key == NULL ? 1 : strlen(key);

    for (size_t i = 0; key != NULL && i < len; i++) {
        if (key[i] <= ' ' || key[i] > '~')
            len = 0;
    }
    if (len == 0 || len > API_KEY_MAX)
        return error_set(error, ERR_USAGE, "--key takes 1 to %d visible characters without spaces",
                         API_KEY_MAX);
    return OK;
}

static enum err events_post(struct remote *remote, struct error *error)
{
    const char *key = remote_value(remote, "--key");
    struct buf data = BUF_INIT, body = BUF_INIT;
    enum err err = check_key(key, error);

    if (err == OK)
        err = read_data(remote_value(remote, "--data"), &data, error);
    if (err == OK)
        err = check_data(buf_span(&data), error);
    if (err == OK) {
        buf_add_text(&body, "{\"event\":");
        buf_add_json_string(&body, span_from(remote->words[0]));
        buf_add_text(&body, ",\"data\":");
        buf_add_span(&body, buf_span(&data));
        buf_add_char(&body, '}');
        const struct api_request request = {.method = "POST",
                                            .path = "/v1/events",
                                            .body = buf_span(&body),
                                            .idempotency_key = key};
        err = remote_show(remote, &request, view_event_posted, error);
    }
    buf_release(&data);
    buf_release(&body);
    return err;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct remote_flag post_flags[] = {
        {"--data", true, false},
        {"--key", true, false},
        {NULL, false, false},
    };
    static const struct remote_action actions[] = {
        {"types", 0, "", NULL, events_types},
        {"show", 1, "one EVENT (evt_...)", NULL, events_show},
        {"post", 1, "one EVENT (a name such as call.created)", post_flags, events_post},
        {NULL, 0, NULL, NULL, NULL},
    };

    return remote_run(command, actions, argc, argv);
}

const struct command command_events = {
    .name = "events",
    .synopsis = "events types\n"
                "events show EVENT\n"
                "events post NAME [--data JSON|@FILE|-] [--key KEY]",
    .summary = "lists event names, posts an event, shows what became of one",
    .help = "`post` returns when the event is on the server's disk. --data is an object, @FILE or\n"
            "- for stdin, by default {}; --key is an Idempotency-Key, with which a repeated post\n"
            "is accepted once.\n",
    .calls_api = true,
    .run = run,
};
