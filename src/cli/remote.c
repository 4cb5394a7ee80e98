/* remote.c: the frame of the commands over the API. */
#include "cli/remote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "cli/safe_text.h"

static const struct remote_flag common_flags[] = {
    {"--url", true, false},   {"--api-id", true, false}, {"--ca-file", true, false},
    {"--json", false, false}, {"--table", false, false}, {NULL, false, false},
};

/* ---- the command line -------------------------------------------------------------------- */

static enum err find_action(struct remote *remote,
                            const struct command *command,
                            const struct remote_action *actions,
                            const char *name,
                            struct error *error)
{
    struct buf names = BUF_INIT;

    for (const struct remote_action *action = actions; action->name != NULL; action++) {
        if (name != NULL && strcmp(action->name, name) == 0) {
            remote->action = action;
            buf_release(&names);
            return OK;
        }
        buf_printf(&names, "%s\"%s\"", action == actions ? "" : ", ", action->name);
    }
    if (name == NULL || name[0] == '-')
        error_set(error, ERR_USAGE, "what to do? \"%s\" is followed by one of %s, then by flags",
                  command->name, names.ptr);
    else
        error_set(error, ERR_USAGE, "there is no \"%s %.60s\"; \"%s\" is followed by one of %s",
                  command->name, name, command->name, names.ptr);
    buf_release(&names);
    return ERR_USAGE;
}

static const struct remote_flag *find_flag(const struct remote_flag *flags, struct span name)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (span_eq_text(name, flags->name))
            return flags;
    }
    return NULL;
}

static void find_nearest(const struct remote_flag *flags,
                         struct span name,
                         size_t *least,
                         const char **ret_best)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        size_t distance = nearest_distance(name, span_from(flags->name));
        if (distance < *least && nearest_is_slip(distance, strlen(flags->name))) {
            *least = distance;
            *ret_best = flags->name;
        }
    }
}

static enum err fail_flag(const struct remote *remote, struct span name, struct error *error)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    int len = (int)(name.len < 60 ? name.len : 60);

    if (span_eq_text(name, "--api-token") || span_eq_text(name, "--token"))
        return error_set(error, ERR_USAGE,
                         "the token is no flag, because other users see command lines; it comes "
                         "from HOOKSWITCH_API_TOKEN");
    find_nearest(common_flags, name, &least, &best);
    find_nearest(remote->action->flags, name, &least, &best);
    if (best != NULL)
        return error_set(error, ERR_USAGE, "\"%s\" has no flag \"%.*s\"; did you mean \"%s\"?",
                         remote->action->name, len, name.ptr, best);
    return error_set(error, ERR_USAGE, "\"%s\" has no flag \"%.*s\"", remote->action->name, len,
                     name.ptr);
}

/* "--name VALUE", "--name=VALUE" or "--name" at argv[*at], which is passed. */
static enum err
take_flag(struct remote *remote, int argc, char *const *argv, int *at, struct error *error)
{
    struct span arg = span_from(argv[*at]);
    size_t len = span_find(arg, '=');
    struct span name = span_make(arg.ptr, len);
    const struct remote_flag *flag = find_flag(common_flags, name);
    const char *value = len < arg.len ? arg.ptr + len + 1 : NULL;

    if (flag == NULL)
        flag = find_flag(remote->action->flags, name);
    if (flag == NULL)
        return fail_flag(remote, name, error);
    if (!flag->repeats && remote_value(remote, flag->name) != NULL)
        return error_set(error, ERR_USAGE, "\"%s\" may be given once", flag->name);
    if (!flag->takes_value && value != NULL)
        return error_set(error, ERR_USAGE, "\"%s\" takes no value", flag->name);
    (*at)++;
    if (flag->takes_value && value == NULL) {
        if (*at == argc)
            return error_set(error, ERR_USAGE, "\"%s\" needs a value", flag->name);
        value = argv[(*at)++];
    }
    remote->values_memory[remote->n_values++] =
        (struct remote_value){flag->name, value == NULL ? "" : value};
    return OK;
}

static enum err
read_arguments(struct remote *remote, int argc, char *const *argv, struct error *error)
{
    const struct remote_action *action = remote->action;
    bool only_words = false;
    int n_words = 0;

    for (int at = 1; at < argc && !remote->help;) {
        const char *arg = argv[at];
        if (only_words || arg[0] != '-' || arg[1] == '\0') {
            remote->words_memory[n_words++] = argv[at++];
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            remote->help = true;
        } else if (strcmp(arg, "--") == 0) {
            only_words = true;
            at++;
        } else {
            enum err err = take_flag(remote, argc, argv, &at, error);
            if (err != OK)
                return err;
        }
    }
    if (remote->help)
        return OK;
    if (n_words != action->n_words)
        return error_set(error, ERR_USAGE, "\"%s\" takes %s", action->name,
                         action->n_words == 0 ? "no argument" : action->words);
    for (int i = 0; i < n_words; i++) {
        if (remote->words[i][0] == '\0')
            return error_set(error, ERR_USAGE, "\"%s\" takes %s, which must not be empty",
                             action->name, action->words);
    }
    return OK;
}

/* An empty variable is an absent one. */
static const char *flag_or_variable(const struct remote *remote, const char *flag, const char *name)
{
    const char *value = flag == NULL ? NULL : remote_value(remote, flag);

    if (value == NULL)
        value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static enum err read_target(struct remote *remote, struct error *error)
{
    const char *url = flag_or_variable(remote, "--url", "HOOKSWITCH_URL");
    enum err err = api_base_url(url == NULL ? API_DEFAULT_URL : url, &remote->url, error);

    if (err != OK)
        return err;
    remote->target.url = remote->url.ptr;
    remote->target.api_id = flag_or_variable(remote, "--api-id", "HOOKSWITCH_API_ID");
    remote->target.token = flag_or_variable(remote, NULL, "HOOKSWITCH_API_TOKEN");
    remote->target.ca_file = flag_or_variable(remote, "--ca-file", "HOOKSWITCH_CA_FILE");
    return api_check_credentials(&remote->target, error);
}

static enum err choose_form(struct remote *remote, struct error *error)
{
    struct winsize size = {0};

    remote->json = remote_value(remote, "--json") != NULL;
    remote->table = remote_value(remote, "--table") != NULL;
    if (remote->json && remote->table)
        return error_set(error, ERR_USAGE, "--json and --table exclude each other");
    remote->view.terminal = isatty(STDOUT_FILENO) == 1;
    if (remote->view.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        remote->view.width = size.ws_col;
    remote->json = remote->json || (!remote->view.terminal && !remote->table);
    return OK;
}

enum err remote_read(struct remote *remote,
                     const struct command *command,
                     const struct remote_action *actions,
                     int argc,
                     char *const *argv,
                     struct error *error)
{
    enum err err;

    memset(remote, 0, sizeof *remote);
    remote->words = remote->words_memory = mem_zero((size_t)argc + 1, sizeof(char *));
    remote->values = remote->values_memory =
        mem_zero((size_t)argc + 1, sizeof(struct remote_value));
    remote->help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    if (remote->help)
        return OK;
    err = find_action(remote, command, actions, argc > 0 ? argv[0] : NULL, error);
    if (err == OK)
        err = read_arguments(remote, argc, argv, error);
    if (err != OK || remote->help)
        return err;
    err = choose_form(remote, error);
    return err == OK ? read_target(remote, error) : err;
}

void remote_release(struct remote *remote)
{
    buf_release(&remote->url);
    buf_release(&remote->out);
    free(remote->words_memory);
    free(remote->values_memory);
}

const char *remote_value(const struct remote *remote, const char *name)
{
    for (size_t i = 0; i < remote->n_values; i++) {
        if (strcmp(remote->values[i].name, name) == 0)
            return remote->values[i].value;
    }
    return NULL;
}

int remote_run(const struct command *command,
               const struct remote_action *actions,
               int argc,
               char *const *argv)
{
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct remote remote;
    int status;
    enum err err = remote_read(&remote, command, actions, argc, argv, &error);

    if (err == OK && remote.help) {
        status = command_print_help(command);
    } else {
        if (err == OK)
            err = remote.action->run(&remote, &error);
        if (err != OK)
            command_fail(command, &error);
        /* Unlike a local command's: a refusal is the server's, not the command line's. */
        status = err == ERR_USAGE ? 2 : err != OK ? 1 : command_print(&remote.out) ? 0 : 1;
    }
    remote_release(&remote);
    return status;
}

/* ---- calls ------------------------------------------------------------------------------- */

void remote_add_id(struct buf *path, const char *before, const char *id, const char *after)
{
    buf_add_text(path, before);
    buf_add_percent(path, span_from(id));
    buf_add_text(path, after);
}

void remote_add_query(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "%c%s=", strchr(path->ptr, '?') == NULL ? '?' : '&', name);
    buf_add_percent(path, span_from(value));
}

static enum err fail_no_json(struct error *error)
{
    return error_set(error, ERR_IO,
                     "the answer is not the JSON of a Hookswitch server; check HOOKSWITCH_URL");
}

enum err remote_parse(struct span answer, json_t **ret_answer, struct error *error)
{
    json_t *tree =
        answer.len == 0 ? NULL : json_loadb(answer.ptr, answer.len, JSON_ALLOW_NUL, NULL);

    if (!json_is_object(tree)) {
        json_decref(tree);
        return fail_no_json(error);
    }
    *ret_answer = tree;
    return OK;
}

enum err remote_fetch(struct remote *remote,
                      const struct api_request *request,
                      json_t **ret_answer,
                      struct error *error)
{
    struct buf answer = BUF_INIT;
    enum err err = api_call(&remote->target, request, &answer, error);

    if (err == OK)
        err = remote_parse(buf_span(&answer), ret_answer, error);
    buf_release(&answer);
    return err;
}

enum err remote_add_json(struct remote *remote, struct span json, struct error *error)
{
    if (json.len == 0) /* 204 */
        return OK;
    if (scan_validate(json, NULL) != OK)
        return fail_no_json(error);
    while (json.len > 0 && json.ptr[json.len - 1] == '\n')
        json.len--;
    if (remote->view.terminal)
        safe_add_json(&remote->out, json);
    else
        buf_add_span(&remote->out, json);
    buf_add_char(&remote->out, '\n');
    return OK;
}

void remote_add_tree(struct remote *remote, const json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT);

    if (text != NULL && remote->view.terminal)
        safe_add_json(&remote->out, span_from(text));
    else if (text != NULL)
        buf_add_text(&remote->out, text);
    buf_add_char(&remote->out, '\n');
    free(text);
}

enum err remote_show(struct remote *remote,
                     const struct api_request *request,
                     view_fn *show,
                     struct error *error)
{
    struct buf answer = BUF_INIT;
    json_t *tree = NULL;
    enum err err = api_call(&remote->target, request, &answer, error);

    if (err == OK && remote->json)
        err = remote_add_json(remote, buf_span(&answer), error);
    else if (err == OK)
        err = remote_parse(buf_span(&answer), &tree, error);
    if (err == OK && !remote->json)
        show(&remote->out, &remote->view, tree);
    json_decref(tree);
    buf_release(&answer);
    return err;
}
