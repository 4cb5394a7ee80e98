/* settings_show.c: settings as people read them: values, ranges, --help, docs/settings.md. */
#include <stdio.h>

#include "base/settings_private.h"

#define HELP_COLUMN 38
#define HELP_WIDTH  100

const char *settings_group_title(enum setting_group group)
{
    switch (group) {
    case SETTING_GROUP_GENERAL:
        return "General";
    case SETTING_GROUP_INBOUND:
        return "Inbound: the API and its limits";
    case SETTING_GROUP_DELIVERY:
        return "Delivery";
    case SETTING_GROUP_STORAGE:
        return "Storage and commits";
    case SETTING_GROUP_COUNT:
        break;
    }
    BUG("setting group %d", (int)group);
}

void settings_add_bytes(struct buf *buf, uint64_t bytes)
{
    static const char *const units[] = {"", " KiB", " MiB", " GiB"};
    unsigned unit = 0;

    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    buf_printf(buf, "%llu%s", (unsigned long long)bytes, units[unit]);
}

void settings_add_variable(struct buf *buf, const struct setting *setting)
{
    buf_add_text(buf, "HOOKSWITCH_");
    for (const char *c = setting->name; *c != '\0'; c++) {
        char upper = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        buf_add_char(buf, upper == '-' ? '_' : upper);
    }
}

void settings_add_where(struct buf *buf,
                        const struct settings *settings,
                        const struct setting *setting,
                        struct setting_origin origin)
{
    switch (origin.source) {
    case SETTING_FROM_FLAG:
        buf_printf(buf, "--%s", setting->name);
        return;
    case SETTING_FROM_ENVIRONMENT:
        settings_add_variable(buf, setting);
        return;
    case SETTING_FROM_FILE:
        buf_printf(buf, "%s:%u: %s", settings->file_name, origin.line, setting->name);
        return;
    case SETTING_FROM_DEFAULT:
        buf_printf(buf, "default of %s", setting->name);
        return;
    }
}

void settings_add_origin(struct buf *buf, const struct settings *settings, enum setting_id id)
{
    struct setting_origin origin = settings->origin[id];

    switch (origin.source) {
    case SETTING_FROM_FLAG:
        buf_add_text(buf, "flag");
        return;
    case SETTING_FROM_ENVIRONMENT:
        buf_add_text(buf, "environment");
        return;
    case SETTING_FROM_FILE:
        buf_printf(buf, "%s:%u", settings->file_name, origin.line);
        return;
    case SETTING_FROM_DEFAULT:
        buf_add_text(buf, "default");
        return;
    }
}

void settings_add_range(struct buf *buf, const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_INT:
        buf_printf(buf, "%lld to %lld", (long long)setting->min, (long long)setting->max);
        if (setting->hint[0] != '\0')
            buf_printf(buf, " %s", setting->hint);
        return;
    case SETTING_INTS:
        buf_printf(buf, "numbers of %lld to %lld %s, by comma", (long long)setting->min,
                   (long long)setting->max, setting->hint);
        return;
    case SETTING_BYTES:
        settings_add_bytes(buf, (uint64_t)setting->min);
        buf_add_text(buf, " to ");
        settings_add_bytes(buf, (uint64_t)setting->max);
        return;
    case SETTING_BOOL:
        buf_add_text(buf, "yes or no");
        return;
    case SETTING_CIDRS:
        buf_add_text(buf, "address ranges like 10.0.0.0/8 or fd00::/8, by comma");
        return;
    case SETTING_CHOICE:
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_TEXTS:
        buf_add_text(buf, setting->hint);
        return;
    }
}

static const void *slot(const struct settings *settings, const struct setting *setting)
{
    return (const char *)settings + setting->offset;
}

void settings_add_value(struct buf *buf, const struct settings *settings, enum setting_id id)
{
    const struct setting *setting = &settings_table[id];
    const void *at = slot(settings, setting);
    const struct settings_texts *texts;
    const struct settings_ints *ints;
    const char *text;

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_CHOICE:
        text = *(char *const *)at;
        buf_add_text(buf, text == NULL ? "" : text);
        return;
    case SETTING_INT:
        buf_printf(buf, "%d", *(const int *)at);
        return;
    case SETTING_BYTES:
        settings_add_bytes(buf, *(const size_t *)at);
        return;
    case SETTING_BOOL:
        buf_add_text(buf, *(const bool *)at ? "yes" : "no");
        return;
    case SETTING_TEXTS:
    case SETTING_CIDRS:
        texts = at;
        for (size_t i = 0; i < texts->count; i++)
            buf_printf(buf, "%s%s", i == 0 ? "" : ",", texts->items[i]);
        return;
    case SETTING_INTS:
        ints = at;
        for (size_t i = 0; i < ints->count; i++)
            buf_printf(buf, "%s%d", i == 0 ? "" : ",", ints->items[i]);
        return;
    }
}

/* "default 5000; 100 to 60000 ms", nothing for an unset text. */
static void add_limits(struct buf *buf, const struct settings *defaults, enum setting_id id)
{
    const struct setting *setting = &settings_table[id];
    bool ranged = setting->type == SETTING_INT || setting->type == SETTING_BYTES ||
                  setting->type == SETTING_BOOL;

    if (setting->fallback != NULL) {
        buf_add_text(buf, "default ");
        settings_add_value(buf, defaults, id);
    }
    if (ranged) {
        buf_add_text(buf, "; ");
        settings_add_range(buf, setting);
    }
}

/* Appends words, broken at HELP_WIDTH and continued at HELP_COLUMN. */
static void add_wrapped(struct buf *buf, struct span text, size_t column)
{
    while (text.len > 0) {
        size_t word = span_find(text, ' ');
        if (column > HELP_COLUMN && column + word + 1 > HELP_WIDTH) {
            buf_printf(buf, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            buf_add_char(buf, ' ');
            column++;
        }
        buf_add(buf, text.ptr, word);
        column += word;
        text = span_from_at(text, word < text.len ? word + 1 : word);
    }
}

static void add_help_line(struct buf *buf, const struct settings *defaults, enum setting_id id)
{
    const struct setting *setting = &settings_table[id];
    size_t start = buf->len, used;
    struct buf limits = BUF_INIT, text = BUF_INIT;

    buf_printf(buf, "  --%s", setting->name);
    if (setting->type == SETTING_INT || setting->type == SETTING_BYTES)
        buf_add_text(buf, " N");
    else if (setting->type == SETTING_INTS)
        buf_add_text(buf, " N,N,...");
    else if (setting->type != SETTING_BOOL)
        buf_printf(buf, " %s", setting->hint);
    used = buf->len - start;
    if (used + 2 > HELP_COLUMN) {
        buf_add_char(buf, '\n');
        used = 0;
    }
    buf_printf(buf, "%*s", (int)(HELP_COLUMN - used), "");
    buf_add_text(&text, setting->sentence);
    add_limits(&limits, defaults, id);
    if (limits.len > 0)
        buf_printf(&text, " (%s)", limits.ptr);
    add_wrapped(buf, buf_span(&text), HELP_COLUMN);
    buf_add_char(buf, '\n');
    buf_release(&limits);
    buf_release(&text);
}

void settings_add_help(struct buf *buf)
{
    struct settings defaults;

    settings_init(&defaults);
    for (int group = 0; group < SETTING_GROUP_COUNT; group++) {
        buf_printf(buf, "%s%s:\n", group == 0 ? "" : "\n",
                   settings_group_title((enum setting_group)group));
        for (int id = 0; id < SETTING_COUNT; id++) {
            if ((int)settings_table[id].group == group)
                add_help_line(buf, &defaults, (enum setting_id)id);
        }
    }
    buf_add_text(buf, "\nSizes take KiB, MiB, GiB. Each setting is also HOOKSWITCH_NAME in the "
                      "environment (lists by comma)\nand `name = value` in the file of --config; "
                      "flag > environment > file > default.\n");
    settings_release(&defaults);
}

/* Escapes what would end a table cell. */
static void add_cell(struct buf *buf, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '|')
            buf_add_char(buf, '\\');
        buf_add_char(buf, text.ptr[i]);
    }
}

static void add_markdown_row(struct buf *buf, const struct settings *defaults, enum setting_id id)
{
    const struct setting *setting = &settings_table[id];
    struct buf cell = BUF_INIT;

    buf_printf(buf, "| `%s` | ", setting->name);
    if (setting->fallback != NULL) {
        buf_add_char(&cell, '`');
        settings_add_value(&cell, defaults, id);
        buf_add_char(&cell, '`');
    }
    add_cell(buf, buf_span(&cell));
    buf_clear(&cell);
    buf_add_text(buf, " | ");
    settings_add_range(&cell, setting);
    add_cell(buf, buf_span(&cell));
    buf_add_text(buf, " | ");
    add_cell(buf, span_from(setting->sentence));
    buf_add_text(buf, " |\n");
    buf_release(&cell);
}

void settings_add_markdown(struct buf *buf)
{
    struct settings defaults;

    settings_init(&defaults);
    buf_add_text(
        buf, "# Settings\n\n"
             "<!-- Printed by `hookswitch settings --markdown` from src/base/settings.def; a test "
             "compares. -->\n\n"
             "A setting is a flag `--name VALUE`, a variable `HOOKSWITCH_NAME` (capitals, `_` for "
             "`-`, lists by comma)\n"
             "or a line `name = value` of the file given by `--config FILE` (`#` and `;` begin a "
             "comment line, a list may\nrepeat its name). A flag wins over the environment, the "
             "environment over the file, the file over the default.\n"
             "`hookswitch settings` prints what is in force and where it came from. Sizes take "
             "`KiB`, `MiB` and `GiB`.\n");
    for (int group = 0; group < SETTING_GROUP_COUNT; group++) {
        buf_printf(buf,
                   "\n## %s\n\n| name | default | accepts | what it does |\n|---|---|---|---|\n",
                   settings_group_title((enum setting_group)group));
        for (int id = 0; id < SETTING_COUNT; id++) {
            if ((int)settings_table[id].group == group)
                add_markdown_row(buf, &defaults, (enum setting_id)id);
        }
    }
    settings_release(&defaults);
}
