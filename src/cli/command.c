/* command.c: what all commands say the same way: help and complaints. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "base/span.h"

static void add_synopsis(struct buf *buf, const char *synopsis)
{
    struct span rest = span_from(synopsis);

    while (rest.len > 0) {
        size_t len = span_find(rest, '\n');
        buf_add_text(buf, "  hookswitch ");
        buf_add(buf, rest.ptr, len);
        buf_add_char(buf, '\n');
        rest = span_from_at(rest, len < rest.len ? len + 1 : len);
    }
}

void command_add_help(struct buf *buf, const struct command *command)
{
    buf_add_text(buf, "usage:\n");
    add_synopsis(buf, command->synopsis);
    buf_printf(buf, "\n%s\n", command->summary);
    if (command->help != NULL)
        buf_printf(buf, "\n%s", command->help);
    buf_add_char(buf, '\n');
    if (command->shows_settings)
        settings_add_help(buf);
    else if (command->calls_api)
        buf_add_text(buf, "Environment: HOOKSWITCH_URL (or --url; default http://127.0.0.1:8080), "
                          "HOOKSWITCH_API_ID\n(or --api-id), HOOKSWITCH_API_TOKEN; "
                          "HOOKSWITCH_CA_FILE (or --ca-file FILE) for a private CA.\n"
                          "On a terminal the answer is text, else JSON; --table and --json say "
                          "otherwise.\n");
    else
        buf_add_text(buf, "Every setting of `hookswitch help serve` may be given too; --data DIR "
                          "says which server is meant\n(default ./hookswitch-data).\n");
}

int command_print_help(const struct command *command)
{
    struct buf text = BUF_INIT;
    bool printed;

    command_add_help(&text, command);
    printed = command_print(&text);
    buf_release(&text);
    return printed ? 0 : 1;
}

/* A message repeats names and paths, which may hold what a terminal obeys: C0, DEL, and C1, which
 * is C2 followed by 80 to 9F. */
static void print_message(const char *message)
{
    fputs("hookswitch: ", stderr);
    for (const unsigned char *at = (const unsigned char *)message; *at != '\0'; at++) {
        bool c1 = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
        fputc(*at < 0x20 || *at == 0x7F || c1 ? '?' : *at, stderr);
        at += c1;
    }
    fputc('\n', stderr);
}

int command_fail(const struct command *command, const struct error *error)
{
    print_message(error->message);
    if (error->code == ERR_USAGE && command == NULL)
        fprintf(stderr, "hookswitch: `hookswitch --help` lists the commands, `hookswitch serve` "
                        "starts the server\n");
    else if (error->code == ERR_USAGE)
        fprintf(stderr, "hookswitch: `hookswitch help %s` shows the usage\n", command->name);
    return err_exit_status(error->code);
}

int command_usage(const struct command *command, const char *fmt, ...)
{
    struct error error = {ERR_USAGE, ERROR_NO_OFFSET, ""};
    va_list args;

    va_start(args, fmt);
    vsnprintf(error.message, sizeof error.message, fmt, args);
    va_end(args);
    return command_fail(command, &error);
}

bool command_print(const struct buf *text)
{
    return (text->len == 0 || fwrite(text->ptr, 1, text->len, stdout) == text->len) &&
           fflush(stdout) == 0;
}
