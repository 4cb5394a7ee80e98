/* log.h: one line per happening, finished here, written by whoever set the sink.
 *
 * base has no clock and no output: cli/ gives both (log_init) before it starts threads. Until then
 * nothing is logged, and only fatal() and BUG() still reach stderr. Rooms that are pure (hook/,
 * telephony/) do not log. A line never splits: control characters and bytes that are not UTF-8 are
 * escaped, so no peer can forge a line or steer a terminal. Lines end at LOG_LINE_MAX bytes: long
 * texts are cut ("..."), fields that have no room are left out. Allocates nothing. Thread-safe:
 * the sink is called under a lock, one line per call. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#define LOG_LINE_MAX 4096

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_format {
    LOG_FORMAT_HUMAN, /* TIME LEVEL MESSAGE KEY=VALUE ... */
    LOG_FORMAT_JSON,  /* {"time":...,"level":...,"message":...,KEY:VALUE,...} */
};

struct log_setup {
    enum log_level level; /* what is less important is dropped */
    enum log_format format;
    /* Gets a whole line, its '\n' included; must not log. NULL = nothing is logged. */
    void (*sink)(void *arg, const char *line, size_t len);
    void *arg;
    wall_ms (*now)(void); /* any thread */
};

/* Copies *setup; NULL goes back to the state before set-up. No other thread may log meanwhile. */
void log_init(const struct log_setup *setup);

/* True when a line of this level would be written: for fields that are dear to compute. */
bool log_on(enum log_level level);

/* "error", "warn", "info", "debug". */
const char *log_level_name(enum log_level level);
bool log_level_parse(struct span name, enum log_level *ret_level);

/* A field; `key` is a literal of ours: lower case letters, digits and '_'. */
struct log_field {
    const char *key;
    struct span text;
    int64_t number;
    bool is_number;
};

#define LOG_SPAN(name, value) ((struct log_field){.key = (name), .text = (value)})
#define LOG_TEXT(name, value) ((struct log_field){.key = (name), .text = span_from(value)})
#define LOG_NUM(name, value) \
    ((struct log_field){.key = (name), .number = (int64_t)(value), .is_number = true})

/* A constant message with fields: what machines search for. */
void log_event(enum log_level level,
               const char *message,
               const struct log_field *fields,
               size_t count);

/* The same with the fields in place: LOG_FIELDS(LOG_LEVEL_WARN, "webhook disabled",
 * LOG_TEXT("webhook", id), LOG_NUM("failures", 10)); */
#define LOG_FIELDS(level, message, ...)                                    \
    log_event((level), (message), (const struct log_field[]){__VA_ARGS__}, \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* A formatted message without fields. */
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARN(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For err.c: writes the line at level error whatever the set-up; false when there is no sink, or
 * when this thread is inside the sink already. */
bool log_last_words(const char *message);

#endif
