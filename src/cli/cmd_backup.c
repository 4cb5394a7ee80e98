/* cmd_backup.c: `hookswitch backup DIR`: a copy of the data directory, complete or not there.
 *
 * It is written to DIR.partial, which gets the name DIR when all of it is on the disk. What a run
 * that was killed left in DIR.partial is taken over by the next; a lock on the directory itself
 * keeps two runs apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/command.h"
#include "cli/copying.h"
#include "cli/log_sink.h"
#include "cli/options.h"

struct backup {
    const char *from;
    char *to;      /* without slashes at the end */
    char *partial; /* to.partial */
    int fd;        /* of partial, locked; -1 = none */
    struct store_copied copied;
};

static void name_targets(struct backup *backup, const char *dir)
{
    backup->to = mem_strdup(dir);
    size_t len = strlen(backup->to);
    while (len > 1 && backup->to[len - 1] == '/')
        backup->to[--len] = '\0';
    backup->partial = mem_alloc(len + sizeof ".partial");
    snprintf(backup->partial, len + sizeof ".partial", "%s.partial", backup->to);
}

static enum err check_target(const struct backup *backup, struct error *error)
{
    enum copying_dir state;
    enum err err = copying_look(backup->to, &state, error);

    if (err == OK && state == COPYING_FILLED)
        return error_set(error, ERR_EXISTS,
                         "\"%.200s\" is not empty: name a directory that does not exist yet",
                         backup->to);
    return err;
}

static enum err fail_partial(const struct backup *backup, const char *doing, struct error *error)
{
    return error_set(error, ERR_IO, "cannot %s \"%.200s\": %s", doing, backup->partial,
                     strerror(errno));
}

static enum err open_partial(struct backup *backup, struct error *error)
{
    struct stat info;

    if (mkdir(backup->partial, 0700) != 0 && errno != EEXIST)
        return fail_partial(backup, "create the directory", error);
    backup->fd = open(backup->partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (backup->fd < 0 || fstat(backup->fd, &info) != 0)
        return fail_partial(backup, "use", error);
    /* Somebody who made it before us would read our secrets. */
    if (info.st_uid != geteuid())
        return error_set(error, ERR_IO, "\"%.200s\" belongs to another user (uid %lu): remove it",
                         backup->partial, (unsigned long)info.st_uid);
    if (fchmod(backup->fd, 0700) != 0)
        return fail_partial(backup, "use", error);
    if (flock(backup->fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(error, ERR_BUSY, "another backup to \"%.200s\" is running", backup->to);
    return OK;
}

/* The name, and on the disk. */
static enum err publish(const struct backup *backup, struct error *error)
{
    if (rename(backup->partial, backup->to) != 0)
        return error_set(error, ERR_IO, "cannot rename \"%.100s\" to \"%.100s\": %s",
                         backup->partial, backup->to, strerror(errno));
    char *parent = mem_strdup(backup->to);
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent] = '\0';
    int fd = open(slash == NULL ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    enum err err = OK;
    if (fd < 0 || fsync(fd) != 0)
        err = error_set(error, ERR_IO, "cannot sync the directory that holds \"%.200s\": %s",
                        backup->to, strerror(errno));
    if (fd >= 0)
        close(fd);
    return err;
}

static enum err back_up(struct backup *backup, struct error *error)
{
    struct copying copying;
    enum err err = check_target(backup, error);

    if (err == OK)
        err = open_partial(backup, error);
    if (err != OK)
        return err;
    copying_begin(&copying, "backing up");
    err = store_backup(backup->from, backup->partial, &copying.watch, &backup->copied, error);
    copying_end(&copying);
    if (err == OK)
        err = publish(backup, error);
    else
        (void)rmdir(backup->partial);
    return err;
}

static int run_backup(const struct command *command, const struct options *options, bool json)
{
    struct backup backup = {.from = options->settings.data, .fd = -1};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    int status;

    log_sink_open(&options->settings, true);
    name_targets(&backup, options->words[0]);
    if (back_up(&backup, &error) != OK)
        status = command_fail(command, &error);
    else
        status = copying_print(&backup.copied, "backed up to", backup.to,
                               "It holds signing secrets and customers' data: guard it.", json);
    if (backup.fd >= 0)
        close(backup.fd);
    free(backup.to);
    free(backup.partial);
    return status;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    bool json = false;
    const struct option_flag flags[] = {{"--json", &json}, {NULL, NULL}};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct options options;
    int status;

    if (options_read(&options, argc, argv, flags, &error) != OK)
        status = command_fail(command, &error);
    else if (options.help)
        status = command_print_help(command);
    else if (options.n_words != 1 || options.words[0][0] == '\0')
        status = command_usage(command, "backup takes one DIR");
    else
        status = run_backup(command, &options, json);
    options_release(&options);
    return status;
}

const struct command command_backup = {
    .name = "backup",
    .synopsis = "backup DIR [--data DIR] [--json]",
    .summary = "copies the data directory, also while the server runs",
    .help =
        "DIR must not exist or be empty; it is made with mode 0700. Everything that was accepted\n"
        "before the command began is in the copy. The server is not asked and not disturbed.\n"
        "The copy holds the signing secrets of all webhooks and the data of all events.\n"
        "`hookswitch restore DIR` is the way back.\n",
    .run = run,
};
