/* options.c: gathers settings from the three places; the only one that reads the file. */
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static bool take_own_flag(const struct option_flag *flags, const char *arg)
{
    for (; flags->name != NULL; flags++) {
        if (strcmp(flags->name, arg) == 0) {
            *flags->ret_set = true;
            return true;
        }
    }
    return false;
}

static enum err read_arguments(struct options *options,
                               int argc,
                               char *const *argv,
                               const struct option_flag *flags,
                               struct error *error)
{
    bool only_words = false;
    int at = 0;

    while (at < argc) {
        const char *arg = argv[at];
        if (only_words || arg[0] != '-' || arg[1] == '\0') {
            options->words_memory[options->n_words++] = argv[at++];
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            options->help = true;
            return OK;
        }
        if (strcmp(arg, "--") == 0 || take_own_flag(flags, arg)) {
            only_words = strcmp(arg, "--") == 0;
            at++;
            continue;
        }
        enum err err = settings_take_flag(&options->settings, argc, argv, &at, error);
        if (err != OK)
            return err;
    }
    return OK;
}

/* At most SETTINGS_FILE_MAX + 1 bytes: one too many is refused by the parser. */
static enum err read_file(const char *path, struct buf *ret_bytes, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && ret_bytes->len <= SETTINGS_FILE_MAX) {
        char bytes[8192];
        n = read(fd, bytes, sizeof bytes);
        if (n > 0)
            buf_add(ret_bytes, bytes, (size_t)n);
    }
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return error_set(error, ERR_USAGE, "cannot read the settings file \"%.200s\": %s", path,
                         strerror(cause));
    return OK;
}

static enum err apply_file(struct settings *settings, struct error *error)
{
    struct buf bytes = BUF_INIT;
    enum err err;

    if (settings->config == NULL)
        return OK;
    err = read_file(settings->config, &bytes, error);
    if (err == OK)
        err = settings_parse_ini(settings, buf_span(&bytes), settings->config, error);
    buf_release(&bytes);
    return err;
}

enum err options_read(struct options *options,
                      int argc,
                      char *const *argv,
                      const struct option_flag *flags,
                      struct error *error)
{
    enum err err;

    memset(options, 0, sizeof *options);
    settings_init(&options->settings);
    options->words_memory = mem_zero((size_t)argc + 1, sizeof(char *));
    options->words = options->words_memory;
    err = read_arguments(options, argc, argv, flags, error);
    if (err != OK || options->help)
        return err;
    err = settings_apply_environment(&options->settings, environ, error);
    if (err == OK)
        err = apply_file(&options->settings, error);
    if (err == OK)
        err = settings_check(&options->settings, error);
    return err;
}

void options_release(struct options *options)
{
    settings_release(&options->settings);
    free(options->words_memory);
    options->words_memory = NULL;
}
