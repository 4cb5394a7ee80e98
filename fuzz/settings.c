/* settings.c: no ini file and no value crashes the settings; what they accept lies within the
 * table's ranges and, written out again, means the same. */
#include "base/settings.h"

#include "base/buf.h"
#include "fuzz.h"

static void check_ranges(const struct settings *settings)
{
    for (size_t id = 0; id < SETTING_COUNT; id++) {
        const struct setting *setting = &settings_table[id];
        const char *at = (const char *)settings + setting->offset;
        if (setting->type == SETTING_INT) {
            int value = *(const int *)(const void *)at;
            ASSERT(value >= setting->min && value <= setting->max);
        } else if (setting->type == SETTING_BYTES) {
            size_t value = *(const size_t *)(const void *)at;
            ASSERT(value >= (size_t)setting->min && value <= (size_t)setting->max);
        }
    }
}

static void check_error(const struct error *error, size_t size)
{
    ASSERT(error->code == ERR_USAGE && error->message[0] != '\0');
    ASSERT(error->offset == ERROR_NO_OFFSET || error->offset <= size);
}

/* Every value that came from a file, as a file. */
static void write_out(struct buf *buf, const struct settings *settings)
{
    for (size_t id = 0; id < SETTING_COUNT; id++) {
        if (settings->origin[id].source != SETTING_FROM_FILE)
            continue;
        buf_printf(buf, "%s = ", settings_table[id].name);
        settings_add_value(buf, settings, (enum setting_id)id);
        buf_add_char(buf, '\n');
    }
}

static void check_written_out(const struct settings *settings)
{
    struct buf first = BUF_INIT;
    struct buf second = BUF_INIT;
    struct settings again;
    struct error error;
    settings_init(&again);
    write_out(&first, settings);
    if (first.len <= SETTINGS_FILE_MAX) {
        enum err code = settings_parse_ini(&again, buf_span(&first), "again.ini", &error);
        if (code != OK)
            BUG("not read again: %s\n%s", error.message, first.ptr);
        write_out(&second, &again);
        ASSERT(span_eq(buf_span(&first), buf_span(&second)));
    }
    settings_release(&again);
    buf_release(&first);
    buf_release(&second);
}

static void parse_file(struct span text)
{
    struct settings settings;
    struct error error = {.code = OK};
    settings_init(&settings);
    if (settings_parse_ini(&settings, text, "fuzz.ini", &error) != OK) {
        check_error(&error, text.len);
    } else {
        check_ranges(&settings);
        check_written_out(&settings);
        if (settings_check(&settings, &error) != OK)
            check_error(&error, text.len);
        ASSERT(settings_retry_span_s(&settings) >= 0);
    }
    settings_release(&settings);
}

/* The first byte chooses the setting, the rest is its value, from a flag. */
static void set_value(struct span text)
{
    struct settings settings;
    struct error error = {.code = OK};
    const struct setting *setting = &settings_table[(unsigned char)text.ptr[0] % SETTING_COUNT];
    struct setting_origin origin = {SETTING_FROM_FLAG, 0};
    settings_init(&settings);
    if (settings_set(&settings, span_from(setting->name), span_from_at(text, 1), origin, &error) !=
        OK)
        check_error(&error, text.len);
    check_ranges(&settings);
    settings_release(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    parse_file(text);
    if (size > 0)
        set_value(text);
    (void)settings_is_cidr(text);
    return 0;
}
