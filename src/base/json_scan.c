/* json_scan.c: see json_scan.h.
 *
 * All syntax is checked in the pass_* functions below, each of which moves cursor->at behind what
 * it has checked. Nesting is a bit per level instead of a call per level, so no document can
 * exhaust the stack. Source: RFC 8259. */
#include "base/json_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE2__
#    include <emmintrin.h>
#else
#    include <endian.h>
#endif

#include "base/utf8.h"

void scan_cursor_init(struct scan_cursor *cursor, struct span text, struct error *error)
{
    *cursor = (struct scan_cursor){.in = text, .error = error};
}

/* ---- complaints ---- */

__attribute__((cold)) bool
scan_fail(struct scan_cursor *cursor, size_t offset, const char *fmt, ...)
{
    if (cursor->failed)
        return false;
    cursor->failed = true;
    char message[sizeof(((struct error *)NULL)->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    (void)error_set_at(cursor->error, ERR_INVALID, offset, "byte %zu: %s", offset, message);
    return false;
}

/* The complaint about the byte at the cursor. */
static __attribute__((cold)) bool fail_expected(struct scan_cursor *cursor, const char *expected)
{
    if (cursor->at >= cursor->in.len)
        return scan_fail(cursor, cursor->at, "expected %s, found the end of the text", expected);
    unsigned char c = (unsigned char)cursor->in.ptr[cursor->at];
    if (c > ' ' && c < 0x7F)
        return scan_fail(cursor, cursor->at, "expected %s, found %c", expected, c);
    return scan_fail(cursor, cursor->at, "expected %s, found the byte 0x%02X", expected, c);
}

/* ---- tokens ---- */

/* The byte at the cursor; 0, which is no part of JSON's grammar, at the end. */
static inline unsigned char here(const struct scan_cursor *cursor)
{
    return cursor->at < cursor->in.len ? (unsigned char)cursor->in.ptr[cursor->at] : 0;
}

static inline void pass_space(struct scan_cursor *cursor)
{
    for (;;) {
        unsigned char c = here(cursor);
        if (c > ' ' || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
            return;
        cursor->at++;
    }
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte at or behind `at` that needs a look: not plain ASCII, a quote or a backslash;
 * `len` when there is none. This is where most of the time goes, hence the wide steps. */
static inline size_t skip_plain(const char *text, size_t at, size_t len)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    for (; len - at >= 16; at += 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        /* signed: bytes from 0x80 on are negative, and so less than a space as well */
        __m128i odd = _mm_cmplt_epi8(chunk, space);
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(chunk, quote));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(chunk, backslash));
        int mask = _mm_movemask_epi8(odd);
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t high = UINT64_C(0x8080808080808080);
    for (; len - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, text + at, 8);
        x = le64toh(x);
        /* The top bit of a byte is set where it is less than a space, a quote, a backslash or not
         * ASCII. A borrow may set bits above a true hit, never below: the lowest one is right. */
        uint64_t quote = x ^ (ones * '"');
        uint64_t backslash = x ^ (ones * '\\');
        uint64_t odd = ((x - ones * ' ') & ~x) | ((quote - ones) & ~quote) |
                       ((backslash - ones) & ~backslash) | x;
        odd &= high;
        if (odd != 0)
            return at + (size_t)__builtin_ctzll(odd) / 8;
    }
#endif
    while (at < len && is_plain((unsigned char)text[at]))
        at++;
    return at;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at `at`; -1 when there is none. */
static int unicode_escape(struct span text, size_t at)
{
    if (text.len - at < 6 || text.ptr[at] != '\\' || text.ptr[at + 1] != 'u')
        return -1;
    int unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = hex_digit((unsigned char)text.ptr[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The escape at the cursor. */
static bool pass_escape(struct scan_cursor *cursor)
{
    size_t at = cursor->at;
    unsigned char c = cursor->in.len - at < 2 ? 0 : (unsigned char)cursor->in.ptr[at + 1];
    if (c != 0 && strchr("\"\\/bfnrt", c) != NULL) {
        cursor->at += 2;
        return true;
    }
    if (c != 'u')
        return scan_fail(cursor, at, "a backslash must be followed by one of \" \\ / b f n r t u");
    int unit = unicode_escape(cursor->in, at);
    if (unit < 0)
        return scan_fail(cursor, at, "\\u must be followed by four hexadecimal digits");
    if (is_low_surrogate(unit))
        return scan_fail(cursor, at, "\\u%04x is half of a surrogate pair, alone", (unsigned)unit);
    cursor->at += 6;
    if (!is_high_surrogate(unit))
        return true;
    if (!is_low_surrogate(unicode_escape(cursor->in, cursor->at)))
        return scan_fail(cursor, at, "\\u%04x is half of a surrogate pair, alone", (unsigned)unit);
    cursor->at += 6;
    return true;
}

/* The string whose opening quote is at the cursor. */
static bool pass_string(struct scan_cursor *cursor, bool *ret_escaped)
{
    struct span in = cursor->in;
    size_t begin = cursor->at++;
    *ret_escaped = false;
    for (;;) {
        size_t at = cursor->at = skip_plain(in.ptr, cursor->at, in.len);
        if (at == in.len)
            return scan_fail(cursor, begin, "the string that begins here has no end");
        unsigned char c = (unsigned char)in.ptr[at];
        if (c == '"') {
            cursor->at++;
            return true;
        }
        if (c == '\\') {
            *ret_escaped = true;
            if (!pass_escape(cursor))
                return false;
        } else if (c < 0x20) {
            return scan_fail(cursor, at,
                             "a control character in a string must be written as \\u%04x", c);
        } else {
            size_t step = utf8_step(in.ptr + at, in.len - at);
            if (step == 0)
                return scan_fail(cursor, at, "the bytes from 0x%02X on are not valid UTF-8", c);
            cursor->at += step;
        }
    }
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool pass_digits(struct scan_cursor *cursor, const char *where)
{
    if (!is_digit(here(cursor)))
        return fail_expected(cursor, where);
    while (is_digit(here(cursor)))
        cursor->at++;
    return true;
}

/* The number that begins at the cursor with a digit or '-'. */
static bool pass_number(struct scan_cursor *cursor, bool *ret_integer)
{
    *ret_integer = true;
    if (here(cursor) == '-')
        cursor->at++;
    size_t first = cursor->at;
    if (!pass_digits(cursor, "a digit behind '-'"))
        return false;
    if (cursor->in.ptr[first] == '0' && cursor->at > first + 1)
        return scan_fail(cursor, first, "a number must not begin with a superfluous 0");
    if (here(cursor) == '.') {
        *ret_integer = false;
        cursor->at++;
        if (!pass_digits(cursor, "a digit behind the decimal point"))
            return false;
    }
    if (here(cursor) == 'e' || here(cursor) == 'E') {
        *ret_integer = false;
        cursor->at++;
        if (here(cursor) == '+' || here(cursor) == '-')
            cursor->at++;
        if (!pass_digits(cursor, "a digit in the exponent"))
            return false;
    }
    return true;
}

static bool pass_word(struct scan_cursor *cursor, const char *word)
{
    size_t len = strlen(word);
    if (cursor->in.len - cursor->at < len || memcmp(cursor->in.ptr + cursor->at, word, len) != 0)
        return scan_fail(cursor, cursor->at, "expected a value (did you mean %s?)", word);
    cursor->at += len;
    return true;
}

/* ---- structure ---- */

static inline bool in_object(const struct scan_cursor *cursor)
{
    return cursor->depth > 0 && (cursor->objects >> (cursor->depth - 1) & 1) != 0;
}

/* Passes the '{' or '[' at the cursor. */
static bool open_container(struct scan_cursor *cursor, bool object)
{
    if (cursor->depth == SCAN_MAX_DEPTH)
        return scan_fail(cursor, cursor->at, "nested deeper than %d levels", SCAN_MAX_DEPTH);
    uint64_t bit = UINT64_C(1) << cursor->depth++;
    cursor->objects = object ? cursor->objects | bit : cursor->objects & ~bit;
    cursor->first = true;
    cursor->at++;
    return true;
}

/* Passes what stands between two members, or closes the container; false then. */
static inline bool pass_comma(struct scan_cursor *cursor, unsigned char close, const char *expected)
{
    bool first = cursor->first;
    cursor->first = false;
    pass_space(cursor);
    unsigned char c = here(cursor);
    if (c == close) {
        cursor->depth--;
        cursor->at++;
        return false;
    }
    if (first)
        return true;
    if (c != ',')
        return fail_expected(cursor, expected);
    cursor->at++;
    pass_space(cursor);
    if (here(cursor) == close)
        return scan_fail(cursor, cursor->at, "a comma must not stand before %c", close);
    return true;
}

static inline bool next_key(struct scan_cursor *cursor, struct scan_value *key)
{
    if (!pass_comma(cursor, '}', "',' or '}' behind a value"))
        return false;
    if (here(cursor) != '"')
        return fail_expected(cursor, "a key in double quotes");
    size_t begin = cursor->at;
    if (!pass_string(cursor, &key->escaped))
        return false;
    key->kind = SCAN_STRING;
    key->integer = false;
    key->offset = begin;
    key->raw = (struct span){cursor->in.ptr + begin, cursor->at - begin};
    pass_space(cursor);
    if (here(cursor) != ':')
        return fail_expected(cursor, "':' after a key");
    cursor->at++;
    return true;
}

static inline bool next_item(struct scan_cursor *cursor)
{
    return pass_comma(cursor, ']', "',' or ']' behind a value");
}

bool scan_next_key(struct scan_cursor *cursor, struct scan_value *ret_key)
{
    if (cursor->failed)
        return false;
    ASSERT(in_object(cursor));
    return next_key(cursor, ret_key);
}

bool scan_next_item(struct scan_cursor *cursor)
{
    if (cursor->failed)
        return false;
    ASSERT(cursor->depth > 0 && !in_object(cursor));
    return next_item(cursor);
}

bool scan_peek(struct scan_cursor *cursor, enum scan_kind *ret_kind)
{
    if (cursor->failed)
        return false;
    pass_space(cursor);
    unsigned char c = here(cursor);
    if (c == '"')
        *ret_kind = SCAN_STRING;
    else if (c == '{')
        *ret_kind = SCAN_OBJECT;
    else if (c == '[')
        *ret_kind = SCAN_ARRAY;
    else if (is_digit(c) || c == '-')
        *ret_kind = SCAN_NUMBER;
    else if (c == 't')
        *ret_kind = SCAN_TRUE;
    else if (c == 'f')
        *ret_kind = SCAN_FALSE;
    else if (c == 'n')
        *ret_kind = SCAN_NULL;
    else if (cursor->at == 0 && span_starts(cursor->in, "\xEF\xBB\xBF"))
        return scan_fail(cursor, 0, "JSON must not begin with a byte order mark");
    else
        return fail_expected(cursor, "a value");
    return true;
}

static bool enter(struct scan_cursor *cursor, enum scan_kind wanted, const char *name)
{
    enum scan_kind kind;
    if (!scan_peek(cursor, &kind))
        return false;
    if (kind != wanted)
        return fail_expected(cursor, name);
    return open_container(cursor, wanted == SCAN_OBJECT);
}

bool scan_enter_object(struct scan_cursor *cursor)
{
    return enter(cursor, SCAN_OBJECT, "an object");
}

bool scan_enter_array(struct scan_cursor *cursor)
{
    return enter(cursor, SCAN_ARRAY, "an array");
}

/* Passes a scalar, or the opening of a container. */
static inline bool pass_begin(struct scan_cursor *cursor, struct scan_value *value)
{
    if (!scan_peek(cursor, &value->kind))
        return false;
    switch (value->kind) {
    case SCAN_STRING:
        return pass_string(cursor, &value->escaped);
    case SCAN_NUMBER:
        return pass_number(cursor, &value->integer);
    case SCAN_NULL:
        return pass_word(cursor, "null");
    case SCAN_FALSE:
        return pass_word(cursor, "false");
    case SCAN_TRUE:
        return pass_word(cursor, "true");
    case SCAN_ARRAY:
    case SCAN_OBJECT:
        break;
    }
    return open_container(cursor, value->kind == SCAN_OBJECT);
}

/* Inside containers deeper than `base`: to the next value in them. Back at `base` when they are
 * all closed. */
static inline bool pass_to_next(struct scan_cursor *cursor, unsigned base)
{
    struct scan_value key;
    while (cursor->depth > base) {
        if (in_object(cursor) ? next_key(cursor, &key) : next_item(cursor))
            return true;
        if (cursor->failed)
            return false;
    }
    return true;
}

bool scan_take(struct scan_cursor *cursor, struct scan_value *ret_value)
{
    if (cursor->failed)
        return false;
    pass_space(cursor);
    unsigned base = cursor->depth;
    struct scan_value value = {.offset = cursor->at};
    bool ok = pass_begin(cursor, &value) && pass_to_next(cursor, base);
    while (ok && cursor->depth > base) {
        struct scan_value inner;
        ok = pass_begin(cursor, &inner) && pass_to_next(cursor, base);
    }
    if (!ok)
        return false;
    value.raw = (struct span){cursor->in.ptr + value.offset, cursor->at - value.offset};
    *ret_value = value;
    return true;
}

enum err scan_finish(struct scan_cursor *cursor)
{
    if (cursor->failed)
        return ERR_INVALID;
    ASSERT(cursor->depth == 0);
    pass_space(cursor);
    if (cursor->at < cursor->in.len)
        (void)fail_expected(cursor, "the end of the text behind the value");
    return cursor->failed ? ERR_INVALID : OK;
}

enum err scan_validate(struct span text, struct error *error)
{
    struct scan_cursor cursor;
    struct scan_value value;
    scan_cursor_init(&cursor, text, error);
    (void)scan_take(&cursor, &value);
    return scan_finish(&cursor);
}

/* ---- values ---- */

static size_t put_utf8(unsigned code, char ret_bytes[4])
{
    if (code < 0x80) {
        ret_bytes[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        ret_bytes[i] = (char)(0x80 | (code & 0x3F));
    ret_bytes[0] = (char)(lead[len] | code);
    return len;
}

/* The escape at `at` of a checked string: what it stands for, and how many bytes it takes. */
static size_t resolve_escape(struct span text, size_t at, char ret_bytes[4], size_t *ret_len)
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    char c = text.ptr[at + 1];
    *ret_len = 1;
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        ret_bytes[0] = letter == NULL ? c : meanings[letter - letters];
        return 2;
    }
    unsigned code = (unsigned)unicode_escape(text, at);
    size_t taken = 6;
    if (is_high_surrogate((int)code)) {
        unsigned low = (unsigned)unicode_escape(text, at + 6);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        taken = 12;
    }
    *ret_len = put_utf8(code, ret_bytes);
    return taken;
}

bool scan_string_is(const struct scan_value *value, const char *text)
{
    if (value->kind != SCAN_STRING)
        return false;
    struct span inner = scan_inner(value);
    struct span left = span_from(text);
    if (!value->escaped)
        return span_eq(inner, left);
    for (size_t at = 0; at < inner.len;) {
        char bytes[4] = {inner.ptr[at]};
        size_t len = 1;
        at += inner.ptr[at] == '\\' ? resolve_escape(inner, at, bytes, &len) : 1;
        if (len > left.len || memcmp(bytes, left.ptr, len) != 0)
            return false;
        left = span_from_at(left, len);
    }
    return left.len == 0;
}

void scan_string_add(const struct scan_value *value, struct buf *buf)
{
    ASSERT(value->kind == SCAN_STRING);
    struct span inner = scan_inner(value);
    if (!value->escaped) {
        buf_add_span(buf, inner);
        return;
    }
    for (size_t at = 0; at < inner.len;) {
        char bytes[4];
        size_t len = 0;
        size_t run = span_find(span_from_at(inner, at), '\\');
        buf_add(buf, inner.ptr + at, run);
        at += run;
        if (at < inner.len)
            at += resolve_escape(inner, at, bytes, &len);
        buf_add(buf, bytes, len);
    }
}

bool scan_integer(const struct scan_value *value, int64_t *ret_number)
{
    if (value->kind != SCAN_NUMBER || !value->integer)
        return false;
    bool negative = value->raw.ptr[0] == '-';
    int64_t number = 0; /* counted downwards, where there is one more */
    for (size_t i = negative ? 1 : 0; i < value->raw.len; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, value->raw.ptr[i] - '0', &number))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, number, &number))
        return false;
    *ret_number = number;
    return true;
}

/* One step of a path: the member `key` of `object`. */
static enum scan_found
find_member(struct span object, const char *key, struct scan_value *ret_value)
{
    struct scan_cursor cursor;
    struct scan_value name, value;
    bool found = false;
    scan_cursor_init(&cursor, object, NULL);
    (void)scan_enter_object(&cursor);
    while (scan_next_key(&cursor, &name) && scan_take(&cursor, &value)) {
        if (!scan_string_is(&name, key))
            continue;
        if (found)
            return SCAN_TWICE;
        *ret_value = value;
        found = true;
    }
    return scan_finish(&cursor) == OK && found ? SCAN_FOUND : SCAN_ABSENT;
}

enum scan_found scan_find(struct span object, const char *path, struct scan_value *ret_value)
{
    enum { KEY_MAX = 64 }; /* paths are ours, from the catalogue */
    struct scan_value value = {.kind = SCAN_OBJECT, .raw = object};
    while (true) {
        size_t len = strcspn(path, ".");
        ASSERT(len < KEY_MAX);
        char key[KEY_MAX];
        memcpy(key, path, len);
        key[len] = '\0';
        size_t offset = value.offset;
        if (value.kind != SCAN_OBJECT)
            return SCAN_ABSENT;
        enum scan_found found = find_member(value.raw, key, &value);
        if (found != SCAN_FOUND)
            return found;
        value.offset += offset;
        if (path[len] == '\0')
            break;
        path += len + 1;
    }
    *ret_value = value;
    return SCAN_FOUND;
}
