/* log.c: see log.h.
 *
 * A line is put together in an array on the stack. Two rules keep it whole when it gets long: text
 * stops LINE_TAIL bytes before the end, and a field is begun only when it leaves room for its
 * key and a little text; what closes strings and the object always has its place. */
#include "base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/utf8.h"

enum {
    LINE_TAIL = 16,   /* "...", a closing quote, '}', '\n' */
    FIELD_ROOM = 128, /* more than a key and a number take */
    ESCAPE_MAX = 6,   /* \u001b */
};

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

static struct log_setup setup;
static atomic_int level_limit = -1; /* below every level: nothing is logged */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside_sink;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};
enum { LEVEL_COUNT = sizeof(level_names) / sizeof(level_names[0]) };

void log_init(const struct log_setup *new_setup)
{
    setup = new_setup == NULL ? (struct log_setup){0} : *new_setup;
    atomic_store(&level_limit, setup.sink == NULL ? -1 : (int)setup.level);
}

bool log_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_limit, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    ASSERT((unsigned)level < LEVEL_COUNT);
    return level_names[level];
}

bool log_level_parse(struct span name, enum log_level *ret_level)
{
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        if (span_eq_text(name, level_names[i])) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* ---- putting a line together ---- */

/* For text that is known to fit. */
static void put(struct line *line, const char *text)
{
    size_t len = strlen(text);
    ASSERT(len <= sizeof(line->text) - line->len);
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_code(struct line *line, unsigned char code)
{
    char escape[ESCAPE_MAX + 1];
    snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)code);
    put(line, escape);
}

/* Control characters of ASCII (DEL too) and of Latin-1 (U+0080 to U+009F: some terminals obey
 * them). `step` is the length of the sequence at `text`. */
static bool is_control(const char *text, size_t step)
{
    unsigned char c = (unsigned char)text[0];
    if (step == 2)
        return c == 0xC2 && (unsigned char)text[1] < 0xA0;
    return c < 0x20 || c == 0x7F;
}

static void put_char(struct line *line, const char *text, size_t step, bool quoted)
{
    if (step == 0) {
        put(line, "\xEF\xBF\xBD"); /* not UTF-8: U+FFFD */
    } else if (text[0] == '\n') {
        put(line, "\\n");
    } else if (text[0] == '\t') {
        put(line, "\\t");
    } else if (is_control(text, step)) {
        put_code(line, (unsigned char)text[step - 1]);
    } else if (text[0] == '\\' || (text[0] == '"' && quoted)) {
        put(line, text[0] == '"' ? "\\\"" : "\\\\");
    } else {
        memcpy(line->text + line->len, text, step);
        line->len += step;
    }
}

/* Escaped as in JSON; cut where the line ends. */
static void put_escaped(struct line *line, struct span text, bool quoted)
{
    for (size_t at = 0; at < text.len;) {
        if (line->len + ESCAPE_MAX + LINE_TAIL > sizeof(line->text)) {
            put(line, "...");
            return;
        }
        size_t step = utf8_step(text.ptr + at, text.len - at);
        put_char(line, text.ptr + at, step, quoted);
        at += step == 0 ? 1 : step;
    }
}

static void put_quoted(struct line *line, struct span text)
{
    put(line, "\"");
    put_escaped(line, text, true);
    put(line, "\"");
}

/* A word that needs no quotes in a line for people. */
static bool is_plain_word(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return text.len > 0;
}

static void put_field(struct line *line, enum log_format format, const struct log_field *field)
{
    struct span key = span_from(field->key);
    if (line->len + key.len + FIELD_ROOM > sizeof(line->text))
        return;
    put(line, format == LOG_FORMAT_JSON ? ",\"" : " ");
    put_escaped(line, key, true);
    put(line, format == LOG_FORMAT_JSON ? "\":" : "=");
    char number[24];
    if (field->is_number) {
        snprintf(number, sizeof(number), "%" PRId64, field->number);
        put(line, number);
    } else if (format == LOG_FORMAT_HUMAN && is_plain_word(field->text)) {
        put_escaped(line, field->text, false);
    } else {
        put_quoted(line, field->text);
    }
}

static void put_line(struct line *line,
                     enum log_level level,
                     struct span message,
                     const struct log_field *fields,
                     size_t count)
{
    bool json = setup.format == LOG_FORMAT_JSON;
    char time[WALL_TEXT_LEN + 1] = "-";
    if (setup.now != NULL)
        wall_text(setup.now(), time);
    line->len = 0;
    put(line, json ? "{\"time\":\"" : "");
    put(line, time);
    put(line, json ? "\",\"level\":\"" : " ");
    put(line, log_level_name(level));
    put(line, json ? "\",\"message\":" : strlen(log_level_name(level)) == 4 ? "  " : " ");
    if (json)
        put_quoted(line, message);
    else
        put_escaped(line, message, false);
    for (size_t i = 0; i < count; i++)
        put_field(line, setup.format, &fields[i]);
    put(line, json ? "}\n" : "\n");
}

/* ---- writing it ---- */

static void
write_line(enum log_level level, struct span message, const struct log_field *fields, size_t count)
{
    struct line line;
    put_line(&line, level, message, fields, count);
    pthread_mutex_lock(&sink_lock);
    inside_sink = true;
    setup.sink(setup.arg, line.text, line.len);
    inside_sink = false;
    pthread_mutex_unlock(&sink_lock);
}

void log_event(enum log_level level,
               const char *message,
               const struct log_field *fields,
               size_t count)
{
    if (log_on(level))
        write_line(level, span_from(message), fields, count);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!log_on(level))
        return;
    char message[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    write_line(level, span_from(message), NULL, 0);
}

bool log_last_words(const char *message)
{
    if (inside_sink || setup.sink == NULL)
        return false;
    write_line(LOG_LEVEL_ERROR, span_from(message), NULL, 0);
    return true;
}
