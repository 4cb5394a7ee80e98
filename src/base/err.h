/* err.h: one result type for every room.
 *
 * A function that can fail in an expected way returns `enum err` (must be used) and may fill a
 * `struct error` with the sentence for the user. What cannot be expected ends the process:
 * fatal() when the world broke (a restart recovers), BUG() when an invariant of ours broke.
 * May know nothing of any other room. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err {
#define X(name, slug, sentence, class, http, exit_status) name,
#include "base/err.def"
#undef X
    ERR_COUNT
};

enum err_class { ERR_CLASS_RETRY, ERR_CLASS_REFUSE, ERR_CLASS_BUG };

/* The details of one failure. `offset` is the byte in the input at which it was found, or
 * ERROR_NO_OFFSET. `message`: lower case, problem first, subject in quotes, and what to do. */
#define ERROR_NO_OFFSET ((size_t)-1)
struct error {
    enum err code;
    size_t offset;
    char message[400];
};

/* Fill *error (may be NULL) and return `code`, so that a caller can write
 * `return error_set(error, ERR_INVALID, "..."`). Truncates the message at its capacity. */
enum err error_set(struct error *error, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As error_set, with the byte offset (from 0) in the input. */
enum err error_set_at(struct error *error, enum err code, size_t offset, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

const char *err_slug(enum err code);
const char *err_sentence(enum err code);
enum err_class err_class(enum err code);
int err_http_status(enum err code);
int err_exit_status(enum err code);

/* The world broke (disk gone, store failed): prints one line through the log sink, exits 1. */
_Noreturn void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Our invariant broke: prints file, line and text, aborts. Stays on in release builds. */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define ASSERT(cond)                            \
    do {                                        \
        if (!(cond))                            \
            BUG("assertion failed: %s", #cond); \
    } while (0)

#endif
