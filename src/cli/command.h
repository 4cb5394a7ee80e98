/* command.h: the subcommands of the binary: one cmd_*.c each, listed in the table of main.c.
 *
 * A command prints its result on stdout and its complaints on stderr, and returns the exit
 * status: 0, 1 (it failed) or 2 (the command line is wrong). */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct command {
    const char *name;
    const char *synopsis; /* one line per form, without the program's name */
    const char *summary;  /* one sentence */
    const char *help;     /* what more there is to say; NULL = nothing */
    bool shows_settings;  /* its help lists all settings */
    bool calls_api;       /* it takes no settings but the flags of remote.h */
    /* argv begins behind the command's name. */
    int (*run)(const struct command *command, int argc, char *const *argv);
};

extern const struct command command_serve;
extern const struct command command_company;
extern const struct command command_credential;
extern const struct command command_settings;
extern const struct command command_webhooks;
extern const struct command command_events;
extern const struct command command_deliveries;
extern const struct command command_backup;
extern const struct command command_restore;

void command_add_help(struct buf *buf, const struct command *command);
/* Prints the help on stdout, returns 0. */
int command_print_help(const struct command *command);

/* Prints the message (and, for usage errors, where to look) on stderr; returns the exit status
 * of error->code. `command` NULL = the program as a whole. */
int command_fail(const struct command *command, const struct error *error);
/* The same for a wrong command line. */
int command_usage(const struct command *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Writes all of it to stdout; false when stdout is closed or full. */
bool command_print(const struct buf *text);

#endif
