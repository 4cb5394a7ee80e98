/* span.h: bytes that somebody else owns. Not NUL-terminated. Header only. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN_LIT(literal) ((struct span){(literal), sizeof(literal) - 1})

static inline struct span span_make(const void *ptr, size_t len)
{
    return (struct span){ptr, len};
}

/* `text` NULL gives the empty span. */
static inline struct span span_from(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_eq_text(struct span a, const char *text)
{
    return span_eq(a, span_from(text));
}

/* ASCII case-insensitive, as field names of RFC 9110 compare. */
static inline bool span_eq_nocase(struct span a, const char *text)
{
    return a.len == strlen(text) && strncasecmp(a.ptr, text, a.len) == 0;
}

static inline bool span_starts(struct span a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.ptr, prefix, n) == 0;
}

/* Index of `c`, or a.len when it does not occur. */
static inline size_t span_find(struct span a, char c)
{
    const char *at = a.len == 0 ? NULL : memchr(a.ptr, c, a.len);
    return at == NULL ? a.len : (size_t)(at - a.ptr);
}

/* The rest from `from` on (from <= a.len). */
static inline struct span span_from_at(struct span a, size_t from)
{
    return (struct span){a.ptr + from, a.len - from};
}

#endif
