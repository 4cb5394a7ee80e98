/* remote.h: what the commands over the public API (webhooks, events, deliveries) share: the command
 * line, whom to call, and JSON or text.
 *
 * On a terminal people get text, elsewhere programs get the server's JSON; --table and --json say
 * otherwise. Settings of the server play no part: the server may be on another machine. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>

#include "cli/api_client.h"
#include "cli/command.h"
#include "cli/view.h"

struct remote;

/* A flag of one action. A list of them ends with a NULL name. */
struct remote_flag {
    const char *name;
    bool takes_value;
    bool repeats;
};

struct remote_action {
    const char *name;
    int n_words;       /* arguments behind it */
    const char *words; /* their names, for the complaint: "one ID" */
    const struct remote_flag *flags;
    enum err (*run)(struct remote *remote, struct error *error);
};

struct remote_value {
    const char *name;
    const char *value; /* "" for a flag without one */
};

struct remote {
    struct api_target target;
    const struct remote_action *action;
    char *const *words; /* n_words arguments; argv's */
    const struct remote_value *values;
    size_t n_values;
    bool json, table; /* --json, --table */
    bool help;
    struct view view;
    struct buf url; /* of target */
    struct buf out; /* printed when the action succeeded */
    char **words_memory;
    struct remote_value *values_memory;
};

/* Reads the command line; the action comes first. Then whom to call: flag, else environment
 * (HOOKSWITCH_URL, HOOKSWITCH_API_ID, HOOKSWITCH_API_TOKEN, HOOKSWITCH_CA_FILE), else the default.
 * ERR_USAGE with a sentence. Release in every case. */
MUST_USE enum err remote_read(struct remote *remote,
                              const struct command *command,
                              const struct remote_action *actions,
                              int argc,
                              char *const *argv,
                              struct error *error);
void remote_release(struct remote *remote);

/* All of it: reads, calls the action, prints; returns the exit status. What the server refuses is
 * exit 1, a wrong command line 2. The table ends with a NULL name. */
int remote_run(const struct command *command,
               const struct remote_action *actions,
               int argc,
               char *const *argv);

/* The value of a flag, NULL when it was not given. */
const char *remote_value(const struct remote *remote, const char *name);

/* Path and query, both percent-encoded. */
void remote_add_id(struct buf *path, const char *before, const char *id, const char *after);
/* Nothing for NULL. */
void remote_add_query(struct buf *path, const char *name, const char *value);

/* One call whose answer is parsed. */
MUST_USE enum err remote_fetch(struct remote *remote,
                               const struct api_request *request,
                               json_t **ret_answer,
                               struct error *error);

/* One call; the answer as JSON or through `show`. */
MUST_USE enum err remote_show(struct remote *remote,
                              const struct api_request *request,
                              view_fn *show,
                              struct error *error);

/* The two forms of output. */
MUST_USE enum err remote_add_json(struct remote *remote, struct span json, struct error *error);
void remote_add_tree(struct remote *remote, const json_t *tree);

/* The answer as a tree; ERR_IO when it is no JSON. */
MUST_USE enum err remote_parse(struct span answer, json_t **ret_answer, struct error *error);

#endif
