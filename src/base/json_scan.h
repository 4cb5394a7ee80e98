/* json_scan.h: the strict reader of the ingest path: one pass, no allocation, no tree.
 *
 * A cursor walks over a document that somebody else owns; every step checks what it passes, so a
 * document that scan_finish accepts is valid RFC 8259 to its last byte: UTF-8 without surrogates
 * and overlongs, no lone surrogate escapes, nothing nested deeper than SCAN_MAX_DEPTH, nothing
 * behind the value. Values come back as spans of the input, so numbers and escapes survive.
 * The first error stays: all later steps return false, scan_finish returns it. Offsets count from
 * 0 at the start of the document; messages begin with them ("byte 17: expected ':' after a key").
 *
 *     struct scan_cursor cursor;
 *     struct scan_value key, value;
 *     scan_cursor_init(&cursor, body, error);
 *     scan_enter_object(&cursor);
 *     while (scan_next_key(&cursor, &key)) {
 *         if (!scan_take(&cursor, &value))
 *             break;
 *         if (scan_string_is(&key, "data") && value.kind != SCAN_OBJECT)
 *             scan_fail(&cursor, value.offset, "'data' must be an object");
 *     }
 *     return scan_finish(&cursor);
 *
 * Instead of scan_take a step may enter the value (scan_enter_object, scan_enter_array) and must
 * then walk it to its end. Duplicate keys are for the caller to refuse, who knows which keys it
 * reads; scan_find refuses those on its path. Names begin with scan_, because json_ belongs to
 * jansson, with which this is linked. Pure. Cost: about 1 ns per byte and less. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define SCAN_MAX_DEPTH 64

enum scan_kind {
    SCAN_NULL,
    SCAN_FALSE,
    SCAN_TRUE,
    SCAN_NUMBER,
    SCAN_STRING,
    SCAN_ARRAY,
    SCAN_OBJECT,
};

struct scan_value {
    enum scan_kind kind;
    bool escaped;    /* a string with at least one backslash */
    bool integer;    /* a number without fraction and exponent */
    struct span raw; /* the bytes as written, quotes and braces included */
    size_t offset;   /* where they begin in the document */
};

/* Of the caller, by scan_cursor_init; its fields are nobody's business. */
struct scan_cursor {
    struct span in;
    size_t at;
    struct error *error;
    uint64_t objects; /* bit d-1 set: the container at depth d is an object, else an array */
    unsigned depth;
    bool first; /* directly behind the '{' or '[' of the innermost container */
    bool failed;
};

/* `error` may be NULL. Nothing is read yet. */
void scan_cursor_init(struct scan_cursor *cursor, struct span text, struct error *error);

/* The kind of the value that comes next, from its first byte, without passing it. False (and an
 * error) when no value can begin here. */
bool scan_peek(struct scan_cursor *cursor, enum scan_kind *ret_kind);

/* Passes the '{' of an object that comes next; anything else is an error. */
bool scan_enter_object(struct scan_cursor *cursor);

/* The next key of the object that was entered last (a SCAN_STRING) and its ':'; the value comes
 * next. False behind the '}', and after an error. */
bool scan_next_key(struct scan_cursor *cursor, struct scan_value *ret_key);

/* The same for arrays. scan_next_item: true when an item comes next, false behind the ']'. */
bool scan_enter_array(struct scan_cursor *cursor);
bool scan_next_item(struct scan_cursor *cursor);

/* Checks the value that comes next, whole, and passes it. */
bool scan_take(struct scan_cursor *cursor, struct scan_value *ret_value);

/* The caller's own complaint, in the same form ("byte N: " is put before it). Always false. Does
 * not replace an earlier error. */
bool scan_fail(struct scan_cursor *cursor, size_t offset, const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline bool scan_failed(const struct scan_cursor *cursor)
{
    return cursor->failed;
}

/* At the end of the document: OK when all was valid and only white space is left, else
 * ERR_INVALID with *error filled. Every container must have been walked to its end. */
MUST_USE enum err scan_finish(struct scan_cursor *cursor);

/* A whole document of which nothing is needed but that it is valid. */
MUST_USE enum err scan_validate(struct span text, struct error *error);

/* A string as written, without its quotes: no control characters, valid UTF-8, so fit for a message
 * to the user ("unknown key '%.*s'"). */
static inline struct span scan_inner(const struct scan_value *value)
{
    return (struct span){value->raw.ptr + 1, value->raw.len - 2};
}

/* True when the value is the string `text`, its escapes resolved. */
bool scan_string_is(const struct scan_value *value, const char *text);

/* Appends the text of a string value, escapes resolved: UTF-8, may contain NUL bytes. */
void scan_string_add(const struct scan_value *value, struct buf *buf);

/* The number, when it is an integer and fits. -0 is 0. */
bool scan_integer(const struct scan_value *value, int64_t *ret_number);

enum scan_found {
    SCAN_FOUND,
    SCAN_ABSENT, /* also when the path leads through something that is not an object */
    SCAN_TWICE,  /* a key of the path occurs twice in its object: receivers would disagree */
};

/* The value at a dotted path ("id", "call.id") inside `object`, the raw bytes of a SCAN_OBJECT.
 * Walks the whole object, or duplicates would be missed. ret_value is filled only for SCAN_FOUND,
 * its offset counted from the start of `object`. Keys that contain a dot cannot be named. Bytes
 * that are not a valid object give SCAN_ABSENT. */
MUST_USE enum scan_found
scan_find(struct span object, const char *path, struct scan_value *ret_value);

#endif
