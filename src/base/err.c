/* err.c: the error table, and the two ways in which the process ends itself.
 * fatal() and bug_at() allocate nothing: they must work when memory is what ran out. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct entry {
    const char *slug;
    const char *sentence;
    enum err_class class;
    int http_status;
    int exit_status;
};

static const struct entry table[ERR_COUNT] = {
#define X(name, slug, sentence, class, http, exit_status) \
    [name] = {slug, sentence, ERR_CLASS_##class, http, exit_status},
#include "base/err.def"
#undef X
};

static const struct entry *entry_of(enum err code)
{
    ASSERT((unsigned)code < ERR_COUNT);
    return &table[code];
}

const char *err_slug(enum err code)
{
    return entry_of(code)->slug;
}

const char *err_sentence(enum err code)
{
    return entry_of(code)->sentence;
}

enum err_class err_class(enum err code)
{
    return entry_of(code)->class;
}

int err_http_status(enum err code)
{
    return entry_of(code)->http_status;
}

int err_exit_status(enum err code)
{
    return entry_of(code)->exit_status;
}

/* Formats beside *error first: wrapping `error->message` into a longer sentence is usual. */
static void PRINTF_LIKE(4, 0)
    fill(struct error *error, enum err code, size_t offset, const char *fmt, va_list args)
{
    if (error == NULL)
        return;
    char message[sizeof(error->message)];
    vsnprintf(message, sizeof(message), fmt, args);
    error->code = code;
    error->offset = offset;
    memcpy(error->message, message, strlen(message) + 1);
}

enum err error_set(struct error *error, enum err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(error, code, ERROR_NO_OFFSET, fmt, args);
    va_end(args);
    return code;
}

enum err error_set_at(struct error *error, enum err code, size_t offset, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(error, code, offset, fmt, args);
    va_end(args);
    return code;
}

/* Through the log; when there is none (yet), straight to stderr. */
static void last_words(const char *text)
{
    if (log_last_words(text))
        return;
    char line[1100];
    int len = snprintf(line, sizeof(line), "hookswitch: %s\n", text);
    if (len >= (int)sizeof(line))
        len = (int)sizeof(line) - 1;
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written; /* nobody is left to tell */
}

void fatal(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    last_words(text);
    _exit(1);
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char what[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    char text[1024];
    snprintf(text, sizeof(text), "bug at %s:%d: %s", file, line, what);
    last_words(text);
    abort();
}
