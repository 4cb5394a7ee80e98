/* settings.c: the table, and how one value is checked and stored.
 *
 * Where values come from (flags, environment, file) is in settings_read.c, how they are shown in
 * settings_show.c. A value is first parsed into `struct value`, which owns its memory, and only
 * then moved into the settings, so that a refused value changes nothing. */
#include "base/settings.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/settings_private.h"

const struct setting settings_table[SETTING_COUNT] = {
#define X(type_, field, name_, def, min_, max_, hint_, group_, sentence_) \
    [SETTING_##field] = {                                                 \
        .name = name_,                                                    \
        .fallback = def,                                                  \
        .hint = hint_,                                                    \
        .sentence = sentence_,                                            \
        .type = SETTING_##type_,                                          \
        .group = SETTING_GROUP_##group_,                                  \
        .min = min_,                                                      \
        .max = max_,                                                      \
        .offset = offsetof(struct settings, field),                       \
    },
#include "base/settings.def"
#undef X
};

struct value {
    char *text;
    int64_t number; /* INT, BYTES, BOOL */
    struct settings_texts texts;
    struct settings_ints ints;
};

static void texts_release(struct settings_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct settings_texts){NULL, 0};
}

static void value_release(struct value *value)
{
    free(value->text);
    free(value->ints.items);
    texts_release(&value->texts);
}

void settings_texts_add(struct settings_texts *texts, struct span text)
{
    texts->items = mem_realloc(texts->items, (texts->count + 1) * sizeof *texts->items);
    texts->items[texts->count++] = mem_strndup(text.ptr, text.len);
}

struct span settings_trim(struct span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = span_from_at(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* ---- values ---------------------------------------------------------------------------- */

/* A value as it may stand in a message: short, and without control characters. */
struct shown {
    char text[84];
};

static struct shown show(struct span value)
{
    struct shown shown;
    size_t n = value.len < 80 ? value.len : 80, i;

    for (i = 0; i < n; i++)
        shown.text[i] =
            (unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f ? '?' : value.ptr[i];
    if (value.len > n) {
        memcpy(shown.text + i, "...", 3);
        i += 3;
    }
    shown.text[i] = '\0';
    return shown;
}

static enum err refuse(struct error *error,
                       const struct settings *settings,
                       const struct setting *setting,
                       struct setting_origin origin,
                       struct span value,
                       const char *problem)
{
    struct buf where = BUF_INIT, range = BUF_INIT;

    settings_add_where(&where, settings, setting, origin);
    settings_add_range(&range, setting);
    error_set(error, ERR_USAGE, "%s: \"%s\" %s; give %s", where.ptr, show(value).text, problem,
              range.ptr);
    buf_release(&where);
    buf_release(&range);
    return ERR_USAGE;
}

/* Digits only; false also when more than 18 of them. */
static bool parse_digits(struct span text, int64_t *ret_number)
{
    int64_t number = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (text.ptr[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* Digits with an optional binary unit: 65536, 64K, 64KiB, "64 KiB". */
static bool parse_bytes(struct span text, int64_t *ret_number)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0},   {"B", 0},    {"K", 10}, {"KiB", 10},
                 {"M", 20}, {"MiB", 20}, {"G", 30}, {"GiB", 30}};
    size_t digits = 0;
    int64_t number;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!parse_digits(span_make(text.ptr, digits), &number))
        return false;
    struct span unit = settings_trim(span_from_at(text, digits));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!span_eq_nocase(unit, units[i].name))
            continue;
        if (number > (INT64_MAX >> units[i].shift))
            return false;
        *ret_number = number << units[i].shift;
        return true;
    }
    return false;
}

static bool parse_bool(struct span text, int64_t *ret_number)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < 4; i++) {
        if (span_eq_nocase(text, yes[i]) || span_eq_nocase(text, no[i])) {
            *ret_number = span_eq_nocase(text, yes[i]);
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, struct span text)
{
    struct span rest = span_from(choices);

    for (;;) {
        size_t len = span_find(rest, '|');
        if (span_eq(span_make(rest.ptr, len), text))
            return true;
        if (len == rest.len)
            return false;
        rest = span_from_at(rest, len + 1);
    }
}

bool settings_is_cidr(struct span text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    size_t len = span_find(text, '/');
    int64_t top, prefix;

    if (len == 0 || len >= sizeof address || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    memcpy(address, text.ptr, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1)
        top = 32;
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        top = 128;
    else
        return false;
    prefix = top;
    if (len < text.len && (!parse_digits(span_from_at(text, len + 1), &prefix) || prefix > top))
        return false;
    /* Host bits beyond the prefix are a slip: 10.1.2.3/8 may have meant one address. */
    for (int64_t bit = prefix; bit < top; bit++) {
        if (bytes[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    }
    return true;
}

static const char *
parse_number(const struct setting *setting, struct span text, int64_t *ret_number)
{
    bool bytes = setting->type == SETTING_BYTES;
    int64_t number;

    if (!(bytes ? parse_bytes(text, &number) : parse_digits(text, &number))) {
        if (text.len > 18)
            return "is too large";
        return bytes ? "is not a size" : "is not a whole number";
    }
    if (number < setting->min)
        return "is too small";
    if (number > setting->max)
        return "is too large";
    *ret_number = number;
    return NULL;
}

static const char *parse_item(const struct setting *setting, struct span item, struct value *value)
{
    int64_t number;
    const char *problem;

    if (setting->type == SETTING_INTS) {
        if (value->ints.count == SETTINGS_INTS_MAX)
            return "has too many items";
        if ((problem = parse_number(setting, item, &number)) != NULL)
            return problem;
        value->ints.items =
            mem_realloc(value->ints.items, (value->ints.count + 1) * sizeof *value->ints.items);
        value->ints.items[value->ints.count++] = (int)number;
        return NULL;
    }
    if (value->texts.count == SETTINGS_LIST_MAX)
        return "has too many items";
    if (item.len == 0)
        return "has an empty item";
    if (setting->type == SETTING_CIDRS && !settings_is_cidr(item))
        return "is not an address range, or has bits set beyond its prefix";
    settings_texts_add(&value->texts, item);
    return NULL;
}

static const char *parse_list(const struct setting *setting, struct span text, struct value *value)
{
    for (;;) {
        size_t len = span_find(text, ',');
        const char *problem = parse_item(setting, settings_trim(span_make(text.ptr, len)), value);
        if (problem != NULL)
            return problem;
        if (len == text.len)
            return NULL;
        text = span_from_at(text, len + 1);
    }
}

/* NULL, or what is wrong with the text. */
static const char *parse_value(const struct setting *setting, struct span text, struct value *value)
{
    if (text.len == 0)
        return "is empty";
    if (text.len > SETTINGS_VALUE_MAX)
        return "is too long";
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return "has a control character";
    }
    switch (setting->type) {
    case SETTING_CHOICE:
        if (!is_choice(setting->hint, text))
            return "is not one of the choices";
        value->text = mem_strndup(text.ptr, text.len);
        return NULL;
    case SETTING_TEXT:
    case SETTING_PATH:
        value->text = mem_strndup(text.ptr, text.len);
        return NULL;
    case SETTING_INT:
    case SETTING_BYTES:
        return parse_number(setting, text, &value->number);
    case SETTING_BOOL:
        return parse_bool(text, &value->number) ? NULL : "is not yes or no";
    case SETTING_TEXTS:
    case SETTING_CIDRS:
    case SETTING_INTS:
        return parse_list(setting, text, value);
    }
    BUG("setting type %d", (int)setting->type);
}

/* ---- storing --------------------------------------------------------------------------- */

static void *slot(struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

/* Moves the items behind those that stand there; false when they would be too many. */
static bool texts_append(struct settings_texts *texts, struct settings_texts *more)
{
    ASSERT(more->items != NULL);
    if (texts->count + more->count > SETTINGS_LIST_MAX)
        return false;
    texts->items = mem_realloc(texts->items, (texts->count + more->count) * sizeof(char *));
    memcpy(texts->items + texts->count, more->items, more->count * sizeof(char *));
    texts->count += more->count;
    more->count = 0;
    return true;
}

static bool ints_append(struct settings_ints *ints, const struct settings_ints *more)
{
    ASSERT(more->items != NULL);
    if (ints->count + more->count > SETTINGS_INTS_MAX)
        return false;
    ints->items = mem_realloc(ints->items, (ints->count + more->count) * sizeof(int));
    memcpy(ints->items + ints->count, more->items, more->count * sizeof(int));
    ints->count += more->count;
    return true;
}

/* Takes what it stores out of *value. `append` = a list goes on. */
static bool
store(struct settings *settings, const struct setting *setting, struct value *value, bool append)
{
    void *at = slot(settings, setting);

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_CHOICE:
        free(*(char **)at);
        *(char **)at = value->text;
        value->text = NULL;
        return true;
    case SETTING_INT:
        *(int *)at = (int)value->number;
        return true;
    case SETTING_BYTES:
        *(size_t *)at = (size_t)value->number;
        return true;
    case SETTING_BOOL:
        *(bool *)at = value->number != 0;
        return true;
    case SETTING_TEXTS:
    case SETTING_CIDRS:
        if (!append)
            texts_release(at);
        return texts_append(at, &value->texts);
    case SETTING_INTS:
        if (!append)
            ((struct settings_ints *)at)->count = 0;
        return ints_append(at, &value->ints);
    }
    BUG("setting type %d", (int)setting->type);
}

const struct setting *settings_find(struct span name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (span_eq_text(name, settings_table[i].name))
            return &settings_table[i];
    }
    return NULL;
}

const struct setting *settings_nearest(struct span name)
{
    const struct setting *best = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        size_t distance = nearest_distance(name, span_from(settings_table[i].name));
        if (distance < least) {
            least = distance;
            best = &settings_table[i];
        }
    }
    return best != NULL && nearest_is_slip(least, strlen(best->name)) ? best : NULL;
}

static enum err refuse_unknown(struct error *error,
                               const struct settings *settings,
                               struct span name,
                               struct setting_origin origin)
{
    const struct setting *nearest = settings_nearest(name);
    struct buf text = BUF_INIT;

    if (origin.source == SETTING_FROM_FILE)
        buf_printf(&text, "%s:%u: ", settings->file_name, origin.line);
    buf_printf(&text, "there is no setting \"%s%s\"",
               origin.source == SETTING_FROM_FLAG ? "--" : "", show(name).text);
    if (nearest == NULL)
        buf_add_text(&text, "; `hookswitch help serve` lists them");
    else
        buf_printf(&text, "; did you mean \"%s%s\"?",
                   origin.source == SETTING_FROM_FLAG ? "--" : "", nearest->name);
    error_set(error, ERR_USAGE, "%s", text.ptr);
    buf_release(&text);
    return ERR_USAGE;
}

/* A name may stand once in the file, except for lists; and the file cannot name itself. */
static const char *refuse_in_file(const struct setting *setting, struct setting_origin before)
{
    if (setting == &settings_table[SETTING_config])
        return "cannot be set in the file itself; use --config";
    if (before.source == SETTING_FROM_FILE && !settings_is_list(setting))
        return "is the second value in this file; keep one of them";
    return NULL;
}

enum err settings_set(struct settings *settings,
                      struct span name,
                      struct span text,
                      struct setting_origin origin,
                      struct error *error)
{
    const struct setting *setting = settings_find(name);
    struct setting_origin *before;
    struct value value = {0};
    const char *problem;

    if (setting == NULL)
        return refuse_unknown(error, settings, name, origin);
    before = &settings->origin[setting - settings_table];
    problem = parse_value(setting, text, &value);
    if (problem == NULL && origin.source == SETTING_FROM_FILE)
        problem = refuse_in_file(setting, *before);
    if (problem == NULL && origin.source >= before->source) {
        bool append = settings_is_list(setting) && origin.source == before->source;
        if (store(settings, setting, &value, append))
            *before = origin;
        else
            problem = "is one item too many";
    }
    value_release(&value);
    return problem == NULL ? OK : refuse(error, settings, setting, origin, text, problem);
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &settings_table[i];
        struct error error;
        if (setting->fallback != NULL &&
            settings_set(settings, span_from(setting->name), span_from(setting->fallback),
                         (struct setting_origin){SETTING_FROM_DEFAULT, 0}, &error) != OK)
            BUG("settings table: %s", error.message);
    }
}

void settings_release(struct settings *settings)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &settings_table[i];
        void *at = slot(settings, setting);
        switch (setting->type) {
        case SETTING_TEXT:
        case SETTING_PATH:
        case SETTING_CHOICE:
            free(*(char **)at);
            break;
        case SETTING_TEXTS:
        case SETTING_CIDRS:
            texts_release(at);
            break;
        case SETTING_INTS:
            free(((struct settings_ints *)at)->items);
            break;
        case SETTING_INT:
        case SETTING_BYTES:
        case SETTING_BOOL:
            break;
        }
    }
    free(settings->file_name);
    texts_release(&settings->unknown_variables);
    memset(settings, 0, sizeof *settings);
}
