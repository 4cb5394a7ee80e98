/* options.h: the command line, environment and --config file of one command, read and checked. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include "base/settings.h"
#include "cli/command.h"

/* A flag of the command itself, without a value. */
struct option_flag {
    const char *name; /* "--json" */
    bool *ret_set;
};

struct options {
    struct settings settings;
    char *const *words; /* arguments that are no flags, in order; the pointers are argv's */
    int n_words;
    bool help; /* --help was given: nothing else was read */
    char **words_memory;
};

/* Reads argv (which begins behind the command's name), then the environment, then the file, and
 * checks the whole. `flags` ends with a NULL name. ERR_USAGE with a sentence otherwise. Release
 * in every case. */
MUST_USE enum err options_read(struct options *options,
                               int argc,
                               char *const *argv,
                               const struct option_flag *flags,
                               struct error *error);
void options_release(struct options *options);

#endif
