/* json_scan.h: the strict reader of the ingest path: one pass, no allocation, no tree.
 *
 * A cursor walks over a document that somebody else owns; every step checks what it passes, so a
 * document that json_finish accepts is valid RFC 8259 to its last byte: UTF-8 without surrogates
 * and overlongs, no lone surrogate escapes, nothing nested deeper than JSON_MAX_DEPTH, nothing
 * behind the value. Values come back as spans of the input, so numbers and escapes survive.
 * The first error stays: all later steps return false, json_finish returns it. Offsets count from
 * 0 at the start of the document; messages begin with them ("byte 17: expected ':' after a key").
 *
 *     struct json_cursor cursor;
 *     struct json_value key, value;
 *     json_cursor_init(&cursor, body, error);
 *     json_enter_object(&cursor);
 *     while (json_next_key(&cursor, &key)) {
 *         if (!json_take(&cursor, &value))
 *             break;
 *         if (json_string_is(&key, "data") && value.kind != JSON_OBJECT)
 *             json_fail(&cursor, value.offset, "'data' must be an object");
 *     }
 *     return json_finish(&cursor);
 *
 * Instead of json_take a step may enter the value (json_enter_object, json_enter_array) and must
 * then walk it to its end. Duplicate keys are for the caller to refuse, who knows which keys it
 * reads; json_find refuses those on its path. Pure. Cost: about 1 ns per byte and less. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define JSON_MAX_DEPTH 64

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    enum json_kind kind;
    bool escaped;    /* a string with at least one backslash */
    bool integer;    /* a number without fraction and exponent */
    struct span raw; /* the bytes as written, quotes and braces included */
    size_t offset;   /* where they begin in the document */
};

/* Of the caller, by json_cursor_init; its fields are nobody's business. */
struct json_cursor {
    struct span in;
    size_t at;
    struct error *error;
    uint64_t objects; /* bit d-1 set: the container at depth d is an object, else an array */
    unsigned depth;
    bool first; /* directly behind the '{' or '[' of the innermost container */
    bool failed;
};

/* `error` may be NULL. Nothing is read yet. */
void json_cursor_init(struct json_cursor *cursor, struct span text, struct error *error);

/* The kind of the value that comes next, from its first byte, without passing it. False (and an
 * error) when no value can begin here. */
bool json_peek(struct json_cursor *cursor, enum json_kind *ret_kind);

/* Passes the '{' of an object that comes next; anything else is an error. */
bool json_enter_object(struct json_cursor *cursor);

/* The next key of the object that was entered last (a JSON_STRING) and its ':'; the value comes
 * next. False behind the '}', and after an error. */
bool json_next_key(struct json_cursor *cursor, struct json_value *ret_key);

/* The same for arrays. json_next_item: true when an item comes next, false behind the ']'. */
bool json_enter_array(struct json_cursor *cursor);
bool json_next_item(struct json_cursor *cursor);

/* Checks the value that comes next, whole, and passes it. */
bool json_take(struct json_cursor *cursor, struct json_value *ret_value);

/* The caller's own complaint, in the same form ("byte N: " is put before it). Always false. Does
 * not replace an earlier error. */
bool json_fail(struct json_cursor *cursor, size_t offset, const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline bool json_failed(const struct json_cursor *cursor)
{
    return cursor->failed;
}

/* At the end of the document: OK when all was valid and only white space is left, else
 * ERR_INVALID with *error filled. Every container must have been walked to its end. */
MUST_USE enum err json_finish(struct json_cursor *cursor);

/* A whole document of which nothing is needed but that it is valid. */
MUST_USE enum err json_validate(struct span text, struct error *error);

/* A string as written, without its quotes: no control characters, valid UTF-8, so fit for a message
 * to the user ("unknown key '%.*s'"). */
static inline struct span json_inner(const struct json_value *value)
{
    return (struct span){value->raw.ptr + 1, value->raw.len - 2};
}

/* True when the value is the string `text`, its escapes resolved. */
bool json_string_is(const struct json_value *value, const char *text);

/* Appends the text of a string value, escapes resolved: UTF-8, may contain NUL bytes. */
void json_string_add(const struct json_value *value, struct buf *buf);

/* The number, when it is an integer and fits. -0 is 0. */
bool json_integer(const struct json_value *value, int64_t *ret_number);

enum json_found {
    JSON_FOUND,
    JSON_ABSENT, /* also when the path leads through something that is not an object */
    JSON_TWICE,  /* a key of the path occurs twice in its object: receivers would disagree */
};

/* The value at a dotted path ("id", "call.id") inside `object`, the raw bytes of a JSON_OBJECT.
 * Walks the whole object, or duplicates would be missed. ret_value is filled only for JSON_FOUND,
 * its offset counted from the start of `object`. Keys that contain a dot cannot be named. Bytes
 * that are not a valid object give JSON_ABSENT. */
MUST_USE enum json_found
json_find(struct span object, const char *path, struct json_value *ret_value);

#endif
