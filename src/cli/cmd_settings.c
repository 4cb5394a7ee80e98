/* cmd_settings.c: `hookswitch settings`: what is in force, and who said so. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/table.h"

static void add_effective(struct buf *buf, const struct settings *settings)
{
    static const char *const heads[] = {"setting", "value", "from"};
    struct table table;
    struct buf value = BUF_INIT, origin = BUF_INIT;

    table_init(&table, heads, 3);
    for (int id = 0; id < SETTING_COUNT; id++) {
        buf_clear(&value);
        buf_clear(&origin);
        settings_add_value(&value, settings, (enum setting_id)id);
        settings_add_origin(&origin, settings, (enum setting_id)id);
        const char *cells[] = {settings_table[id].name, value.len > 0 ? value.ptr : "-",
                               origin.ptr};
        table_add(&table, cells);
    }
    table_print(&table, buf);
    table_release(&table);
    buf_release(&value);
    buf_release(&origin);
}

static int run(const struct command *command, int argc, char *const *argv)
{
    bool markdown = false;
    const struct option_flag flags[] = {{"--markdown", &markdown}, {NULL, NULL}};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct options options;
    struct buf text = BUF_INIT;
    enum err err = options_read(&options, argc, argv, flags, &error);
    int status = 0;

    if (err != OK) {
        status = command_fail(command, &error);
    } else if (options.help) {
        status = command_print_help(command);
    } else if (options.n_words > 0) {
        status = command_usage(command, "settings takes no argument \"%.60s\"", options.words[0]);
    } else {
        if (markdown)
            settings_add_markdown(&text);
        else
            add_effective(&text, &options.settings);
        status = command_print(&text) ? 0 : 1;
    }
    buf_release(&text);
    options_release(&options);
    return status;
}

const struct command command_settings = {
    .name = "settings",
    .synopsis = "settings [--SETTING VALUE ...]\nsettings --markdown",
    .summary = "prints the settings in force and where each came from",
    .help = "--markdown prints docs/settings.md.\n",
    .run = run,
};
