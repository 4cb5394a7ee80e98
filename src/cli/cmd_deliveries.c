/* cmd_deliveries.c: `hookswitch deliveries list|show|retry`. */
#include <stdlib.h>
#include <string.h>

#include "cli/remote.h"
#include "cli/safe_text.h"
#include "cli/view_deliveries.h"

/* The same command without the cursor. Shells see single quotes around what is not plain. */
static void add_shell_word(struct buf *buf, const char *word)
{
    bool plain =
        word[0] != '\0' && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-_.:/") == strlen(word);
    if (plain) {
        buf_add_text(buf, word);
        return;
    }
    buf_add_char(buf, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            buf_add_text(buf, "'\\''");
        else
            safe_add(buf, span_make(word, 1));
    }
    buf_add_char(buf, '\'');
}

static enum err deliveries_list(struct remote *remote, struct error *error)
{
    static const char *const filters[] = {"status", "event", "limit"};
    struct buf path = BUF_INIT, more = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/webhooks/", remote->words[0], "/deliveries");
    buf_add_text(&more, "hookswitch deliveries list ");
    add_shell_word(&more, remote->words[0]);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        struct buf flag = BUF_INIT;
        buf_printf(&flag, "--%s", filters[i]);
        const char *value = remote_value(remote, flag.ptr);
        remote_add_query(&path, filters[i], value);
        if (value != NULL) {
            buf_printf(&more, " %s ", flag.ptr);
            add_shell_word(&more, value);
        }
        buf_release(&flag);
    }
    remote_add_query(&path, "before", remote_value(remote, "--before"));
    remote->view.more = more.ptr;
    const struct api_request request = {.method = "GET", .path = path.ptr};
    err = remote_show(remote, &request, view_delivery_list, error);
    remote->view.more = NULL;
    buf_release(&path);
    buf_release(&more);
    return err;
}

static enum err deliveries_show(struct remote *remote, struct error *error)
{
    struct buf path = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/deliveries/", remote->words[0], "");
    remote->view.request = remote_value(remote, "--request") != NULL;
    const struct api_request request = {.method = "GET", .path = path.ptr};
    err = remote_show(remote, &request, view_delivery, error);
    buf_release(&path);
    return err;
}

static void view_retried(struct buf *out, const struct view *view, const json_t *answer)
{
    view_add_field(out, view, "delivery",
                   span_from(json_string_value(json_object_get(answer, "id"))));
    view_add_field(out, view, "status", SPAN_LIT("retrying: due now"));
}

static enum err deliveries_retry(struct remote *remote, struct error *error)
{
    struct buf path = BUF_INIT;
    enum err err;

    remote_add_id(&path, "/v1/deliveries/", remote->words[0], "/retry");
    const struct api_request request = {.method = "POST", .path = path.ptr};
    err = remote_show(remote, &request, view_retried, error);
    buf_release(&path);
    return err;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct remote_flag list_flags[] = {
        {"--status", true, false}, {"--event", true, false}, {"--limit", true, false},
        {"--before", true, false}, {NULL, false, false},
    };
    static const struct remote_flag show_flags[] = {
        {"--request", false, false},
        {NULL, false, false},
    };
    static const struct remote_action actions[] = {
        {"list", 1, "one WEBHOOK (id or UUID)", list_flags, deliveries_list},
        {"show", 1, "one DELIVERY (dlv_...)", show_flags, deliveries_show},
        {"retry", 1, "one DELIVERY (dlv_...)", NULL, deliveries_retry},
        {NULL, 0, NULL, NULL, NULL},
    };

    return remote_run(command, actions, argc, argv);
}

const struct command command_deliveries = {
    .name = "deliveries",
    .synopsis = "deliveries list WEBHOOK [--status S] [--event E] [--limit N] [--before CURSOR]\n"
                "deliveries show DELIVERY [--request]\n"
                "deliveries retry DELIVERY",
    .summary = "reads the delivery log over the API, sends a delivery again",
    .help =
        "`list` begins with the newest; S is owed, delivered, retrying, held, failed or\n"
        "expired. `show` tells every attempt, with the time of each phase; --request adds the\n"
        "head of the request as it was sent. `retry` sends it once more, whatever became of it.\n",
    .calls_api = true,
    .run = run,
};
