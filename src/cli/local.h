/* local.h: what the local commands (company, credential) share: actions, calls, output. */
#ifndef CLI_LOCAL_H
#define CLI_LOCAL_H

#include <jansson.h>

#include "cli/command.h"
#include "cli/options.h"

struct local;

/* One action of a command: "company add NAME". */
struct local_action {
    const char *name;
    int n_words;       /* arguments behind it */
    const char *words; /* their names, for the complaint: "NAME" */
    /* Calls local_call, then prints. */
    enum err (*run)(struct local *local, struct error *error);
};

struct local {
    const struct settings *settings;
    char *const *words; /* n_words arguments */
    bool json;          /* --json was given */
    struct buf out;     /* printed when the action succeeded */
};

/* Reads the options, finds the action (the table ends with a NULL name), runs it, prints. */
int local_run(const struct command *command,
              const struct local_action *actions,
              int argc,
              char *const *argv);

/* One control request. The path is made of `words`, which are percent-encoded, between slashes;
 * literal parts are `parts`: "/control/companies/", word 0, "/credentials/", word 1 ... NULL. */
MUST_USE enum err local_call(struct local *local,
                             const char *method,
                             const char *const *parts,
                             const json_t *body,
                             json_t **ret_answer,
                             struct error *error);

/* The answer as one line of JSON. */
void local_add_json(struct local *local, const json_t *value);
/* "name   value" lines for the new credential in an answer. */
void local_add_credential(struct local *local, const json_t *answer);

#endif
