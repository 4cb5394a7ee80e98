/* main.c: the command table. Finds the command, runs it, says what there is when it finds none. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#include "base/map.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "sys/random.h"
#include "sys/signal.h"

static const struct command *const commands[] = {
    /* the server and its data directory */
    &command_serve,
    &command_company,
    &command_credential,
    &command_settings,
    &command_backup,
    &command_restore,
    /* clients of the API */
    &command_webhooks,
    &command_events,
    &command_deliveries,
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int fail_unknown(const char *name)
{
    const struct command *best = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < N_COMMANDS; i++) {
        size_t distance = nearest_distance(span_from(name), span_from(commands[i]->name));
        if (distance < least) {
            least = distance;
            best = commands[i];
        }
    }
    if (best != NULL && nearest_is_slip(least, strlen(best->name)))
        return command_usage(NULL, "there is no command \"%.60s\"; did you mean \"%s\"?", name,
                             best->name);
    return command_usage(NULL, "there is no command \"%.60s\"", name);
}

static void add_overview(struct buf *buf)
{
    buf_add_text(buf, "hookswitch: events go in, signed HTTPS POSTs come out, nothing accepted is "
                      "lost.\n\nusage: hookswitch COMMAND [ARGUMENTS] [--SETTING VALUE ...]\n\n"
                      "commands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        buf_printf(buf, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    buf_add_text(buf, "\n`hookswitch help COMMAND` says more; `hookswitch help serve` lists all "
                      "settings.\n`hookswitch --version` prints the version.\n");
}

static int print_overview(void)
{
    struct buf text = BUF_INIT;
    bool printed;

    add_overview(&text);
    printed = command_print(&text);
    buf_release(&text);
    return printed ? 0 : 1;
}

static int run_help(int argc, char *const *argv)
{
    const struct command *command;

    if (argc == 0)
        return print_overview();
    if (argc > 1)
        return command_usage(NULL, "help takes one command, not %d", argc);
    command = find_command(argv[0]);
    return command == NULL ? fail_unknown(argv[0]) : command_print_help(command);
}

static int run(int argc, char *const *argv)
{
    const struct command *command;
    const char *name = argc > 1 ? argv[1] : NULL;

    if (name == NULL)
        return command_usage(NULL, "which command?");
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return run_help(argc - 2, argv + 2);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("hookswitch %s\n", HOOKSWITCH_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (name[0] == '-')
        return command_usage(NULL, "the command comes first: `hookswitch serve %.60s ...`", name);
    command = find_command(name);
    return command == NULL ? fail_unknown(name) : command->run(command, argc - 2, argv + 2);
}

/* Keys of our maps come from outside (order keys, names): who does not know this one cannot make
 * them collide. */
static void set_hash_key(void)
{
    uint8_t key[16];

    random_bytes(key, sizeof key);
    strmap_set_hash_key(key);
}

int main(int argc, char **argv)
{
    /* All that we write holds secrets: tokens, signing secrets, what callers said. */
    (void)umask(077);
    set_hash_key();
    signal_setup();
    return run(argc, argv);
}
