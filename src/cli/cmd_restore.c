/* cmd_restore.c: `hookswitch restore DIR`: makes a data directory of a backup. Never writes over
 * anything: the target must be new or empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/copying.h"
#include "cli/data_dir.h"
#include "cli/log_sink.h"
#include "cli/options.h"

/* Refuses what is not empty, in the words that fit: it may be a running server's. */
static enum err check_target(const char *data, enum copying_dir *ret_state, struct error *error)
{
    enum err err = copying_look(data, ret_state, error);
    struct data_dir dir;
    char *lock;

    if (err != OK || *ret_state != COPYING_FILLED)
        return err;
    lock = mem_alloc(strlen(data) + sizeof "/lock");
    snprintf(lock, strlen(data) + sizeof "/lock", "%s/lock", data);
    if (access(lock, F_OK) == 0) {
        err = data_dir_lock(&dir, data, "command", error);
        data_dir_unlock(&dir);
    }
    free(lock);
    if (err == ERR_BUSY)
        return err;
    return error_set(error, ERR_EXISTS,
                     "\"%.200s\" is not empty: a backup is restored into a new or empty directory; "
                     "choose another --data, or move what is there away",
                     data);
}

/* Takes away what was made for a restore that failed. */
static void undo(const char *data)
{
    struct buf lock = BUF_INIT;

    buf_printf(&lock, "%s/lock", data);
    unlink(lock.ptr);
    buf_release(&lock);
    (void)rmdir(data);
}

/* root looks after a service's directory: the service must be able to take the lock. */
static void give_lock(const struct data_dir *dir, const char *data)
{
    struct stat info;

    if (geteuid() == 0 && stat(data, &info) == 0 && info.st_uid != 0)
        (void)!fchown(dir->lock_fd, info.st_uid, info.st_gid);
}

static enum err
restore(const char *from, const char *data, struct store_copied *ret_copied, struct error *error)
{
    struct data_dir dir = {.lock_fd = -1};
    struct copying copying;
    enum copying_dir state, now;
    enum err err = check_target(data, &state, error);

    if (err != OK)
        return err;
    err = data_dir_make(data, error);
    if (err != OK)
        return err;
    err = data_dir_lock(&dir, data, "command", error);
    if (err != OK)
        return err;
    /* Again, now that nobody else can fill it. */
    err = check_target(data, &now, error);
    if (err == OK) {
        give_lock(&dir, data);
        copying_begin(&copying, "restoring");
        err = store_restore(from, data, &copying.watch, ret_copied, error);
        copying_end(&copying);
    }
    if (err != OK && state == COPYING_MISSING)
        undo(data);
    data_dir_unlock(&dir);
    return err;
}

static int run_restore(const struct command *command, const struct options *options, bool json)
{
    const char *data = options->settings.data;
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct store_copied copied = {0};

    log_sink_open(&options->settings, true);
    if (restore(options->words[0], data, &copied, &error) != OK)
        return command_fail(command, &error);
    return copying_print(&copied, "restored and verified", data,
                         "Start it with `hookswitch serve`. Deliveries made since the backup are "
                         "made again;\nevents accepted since then are not in it.",
                         json);
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
        status = command_usage(command, "restore takes one DIR");
    else
        status = run_restore(command, &options, json);
    options_release(&options);
    return status;
}

const struct command command_restore = {
    .name = "restore",
    .synopsis = "restore DIR [--data DIR] [--json]",
    .summary = "makes a data directory of a backup, and verifies it",
    .help =
        "The data directory must not exist or be empty, so nothing is ever written over. Every\n"
        "file is read through (SQLite's integrity check) before the command says that it is done.\n"
        "Deliveries that were made since the backup are made again by the next start; events that\n"
        "were accepted since then are not in it, and their sequences are given out again.\n",
    .run = run,
};
