/* json_scan.c: the scanner agrees with jansson about what is JSON, except where it is stricter on
 * purpose, and its cursor stays inside the document whatever the caller does with it. */
#include <jansson.h>

#include "base/json_scan.h"
#include "base/utf8.h"
#include "fuzz.h"

/* jansson holds numbers in machine types and keys in C strings, nests deeper, and (2.14) overlooks
 * a NUL byte behind a number. */
static void compare_with_jansson(struct span text, bool valid, const struct error *error)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t other;
    json_t *tree = json_loadb(text.ptr, text.len, flags, &other);
    if (tree != NULL && !valid)
        ASSERT(strstr(error->message, "nested deeper") != NULL || span_find(text, '\0') < text.len);
    if (tree == NULL && valid) {
        enum json_error_code code = json_error_code(&other);
        ASSERT(code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    }
    json_decref(tree);
}

static void use_value(struct span text, const struct scan_value *value, struct buf *scratch)
{
    int64_t number;
    ASSERT(span_inside(value->raw, text) && value->raw.len > 0);
    ASSERT(value->raw.ptr == text.ptr + value->offset);
    ASSERT(!scan_integer(value, &number) || value->kind == SCAN_NUMBER);
    if (value->kind == SCAN_STRING) {
        buf_clear(scratch);
        scan_string_add(value, scratch);
        for (size_t at = 0; at < scratch->len;) {
            size_t step = utf8_step(scratch->ptr + at, scratch->len - at);
            ASSERT(step > 0);
            at += step;
        }
        bool has_nul = span_find(buf_span(scratch), '\0') < scratch->len;
        ASSERT(scan_string_is(value, scratch->ptr) == !has_nul);
    }
    struct scan_value found;
    if (value->kind == SCAN_OBJECT && scan_find(value->raw, "a.b", &found) == SCAN_FOUND) {
        ASSERT(span_inside(found.raw, value->raw));
        ASSERT(found.raw.ptr == value->raw.ptr + found.offset);
    }
}

/* Walks as a caller would, entering what stands at even offsets. */
static void walk(struct scan_cursor *cursor, struct buf *scratch, unsigned depth)
{
    enum scan_kind kind;
    struct scan_value key, value;
    if (!scan_peek(cursor, &kind))
        return;
    bool enter = depth < 8 && cursor->at % 2 == 0;
    if (kind == SCAN_OBJECT && enter) {
        (void)scan_enter_object(cursor);
        while (scan_next_key(cursor, &key)) {
            use_value(cursor->in, &key, scratch);
            walk(cursor, scratch, depth + 1);
        }
    } else if (kind == SCAN_ARRAY && enter) {
        (void)scan_enter_array(cursor);
        while (scan_next_item(cursor))
            walk(cursor, scratch, depth + 1);
    } else if (scan_take(cursor, &value)) {
        ASSERT(value.kind == kind);
        use_value(cursor->in, &value, scratch);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct error error = {.code = OK};
    bool valid = scan_validate(text, &error) == OK;
    ASSERT(valid || (error.code == ERR_INVALID && error.offset <= size));
    compare_with_jansson(text, valid, &error);

    struct scan_cursor cursor;
    struct error walked = {.code = OK};
    struct buf scratch = BUF_INIT;
    scan_cursor_init(&cursor, text, &walked);
    walk(&cursor, &scratch, 0);
    ASSERT((scan_finish(&cursor) == OK) == valid);
    ASSERT(valid || strcmp(walked.message, error.message) == 0);
    buf_release(&scratch);
    return 0;
}
