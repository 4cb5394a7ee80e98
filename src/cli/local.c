/* local.c: the frame of local commands. */
#include "cli/local.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/nearest.h"
#include "cli/control_client.h"
#include "cli/log_sink.h"

static const struct local_action *find_action(const struct local_action *actions, const char *name)
{
    for (; actions->name != NULL; actions++) {
        if (strcmp(actions->name, name) == 0)
            return actions;
    }
    return NULL;
}

static int
fail_action(const struct command *command, const struct local_action *actions, const char *name)
{
    struct buf names = BUF_INIT;
    int status;

    for (const struct local_action *action = actions; action->name != NULL; action++)
        buf_printf(&names, "%s\"%s\"", action == actions ? "" : ", ", action->name);
    if (name == NULL)
        status = command_usage(command, "what to do? \"%s\" is followed by one of %s",
                               command->name, names.ptr);
    else
        status = command_usage(command, "there is no \"%s %.60s\"; \"%s\" is followed by one of %s",
                               command->name, name, command->name, names.ptr);
    buf_release(&names);
    return status;
}

static int run_action(const struct command *command,
                      const struct local_action *action,
                      const struct options *options,
                      bool json)
{
    struct local local = {
        .settings = &options->settings,
        .words = options->words + 1,
        .json = json,
        .out = BUF_INIT,
    };
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    enum err err;
    int status;

    if (options->n_words - 1 != action->n_words)
        return command_usage(command, "\"%s %s\" takes %s", command->name, action->name,
                             action->n_words == 0 ? "no argument" : action->words);
    log_sink_open(&options->settings, true);
    err = action->run(&local, &error);
    if (err != OK)
        status = command_fail(command, &error);
    else
        status = command_print(&local.out) ? 0 : 1;
    buf_release(&local.out);
    return status;
}

int local_run(const struct command *command,
              const struct local_action *actions,
              int argc,
              char *const *argv)
{
    bool json = false;
    const struct option_flag flags[] = {{"--json", &json}, {NULL, NULL}};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    const struct local_action *action;
    struct options options;
    int status;

    if (options_read(&options, argc, argv, flags, &error) != OK) {
        status = command_fail(command, &error);
    } else if (options.help) {
        status = command_print_help(command);
    } else {
        const char *name = options.n_words > 0 ? options.words[0] : NULL;
        action = name == NULL ? NULL : find_action(actions, name);
        if (action == NULL)
            status = fail_action(command, actions, name);
        else
            status = run_action(command, action, &options, json);
    }
    options_release(&options);
    return status;
}

enum err local_call(struct local *local,
                    const char *method,
                    const char *const *parts,
                    const json_t *body,
                    json_t **ret_answer,
                    struct error *error)
{
    struct buf path = BUF_INIT;
    enum err err;

    for (size_t i = 0; parts[i] != NULL; i++) {
        if (i % 2 == 0)
            buf_add_text(&path, parts[i]);
        else
            buf_add_percent(&path, span_from(parts[i]));
    }
    err = control_call(local->settings, method, path.ptr, body, ret_answer, error);
    buf_release(&path);
    return err;
}

void local_add_json(struct local *local, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    if (text != NULL)
        buf_printf(&local->out, "%s\n", text);
    free(text);
}

void local_add_credential(struct local *local, const json_t *answer)
{
    buf_printf(&local->out, "company_id  %lld\n",
               (long long)json_integer_value(json_object_get(answer, "company_id")));
    buf_printf(&local->out, "api_id      %s\n",
               json_string_value(json_object_get(answer, "api_id")));
    buf_printf(&local->out, "api_token   %s\n",
               json_string_value(json_object_get(answer, "api_token")));
    buf_add_text(&local->out, "The token is shown this once and stored hashed: keep it.\n");
}
