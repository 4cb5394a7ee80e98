/* json_scan.c: see json_scan.h.
 *
 * All syntax is checked in the pass_* functions: each takes the offset where its token begins and
 * returns the one behind it, or BAD after a complaint. The offset travels by value and reaches the
 * cursor once per call from outside, which spares a store and a load per token.
 * Nesting is a bit per level instead of a call per level, so no document can exhaust the stack.
 * Source: RFC 8259. */
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

#define BAD SIZE_MAX

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

/* The complaint about the byte at `at`. */
static __attribute__((cold)) size_t
expected(struct scan_cursor *cursor, size_t at, const char *what)
{
    unsigned char c = at < cursor->in.len ? (unsigned char)cursor->in.ptr[at] : 0;
    if (at >= cursor->in.len)
        (void)scan_fail(cursor, at, "expected %s, found the end of the text", what);
    else if (c > ' ' && c < 0x7F)
        (void)scan_fail(cursor, at, "expected %s, found %c", what, c);
    else
        (void)scan_fail(cursor, at, "expected %s, found the byte 0x%02X", what, c);
    return BAD;
}

/* ---- tokens ---- */

/* The byte at `at`; 0, which is no part of JSON's grammar, at the end. */
static inline unsigned char byte_at(const struct scan_cursor *cursor, size_t at)
{
    return at < cursor->in.len ? (unsigned char)cursor->in.ptr[at] : 0;
}

static inline size_t pass_space(const struct scan_cursor *cursor, size_t at)
{
    for (;;) {
        unsigned char c = byte_at(cursor, at);
        if (c > ' ' || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
            return at;
        at++;
    }
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte at or behind `at` that needs a look: not plain ASCII, a quote or a backslash;
 * `len` when there is none. Most of the time goes here and into the branches behind it: with SSE2 a
 * whole event takes a tenth less than with the portable version. */
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

static size_t pass_escape(struct scan_cursor *cursor, size_t at)
{
    unsigned char c = byte_at(cursor, at + 1);
    if (c != 0 && strchr("\"\\/bfnrt", c) != NULL)
        return at + 2;
    const char *complaint = NULL;
    int unit = unicode_escape(cursor->in, at);
    if (c != 'u')
        complaint = "a backslash must be followed by one of \" \\ / b f n r t u";
    else if (unit < 0)
        complaint = "\\u must be followed by four hexadecimal digits";
    else if (!is_high_surrogate(unit) && !is_low_surrogate(unit))
        return at + 6;
    else if (is_high_surrogate(unit) && is_low_surrogate(unicode_escape(cursor->in, at + 6)))
        return at + 12;
    else
        complaint = "this escape is half of a surrogate pair, alone";
    (void)scan_fail(cursor, at, "%s", complaint);
    return BAD;
}

/* What is neither plain nor a quote. */
static size_t pass_odd(struct scan_cursor *cursor, size_t at)
{
    struct span in = cursor->in;
    unsigned char c = (unsigned char)in.ptr[at];
    if (c == '\\')
        return pass_escape(cursor, at);
    size_t step = utf8_step(in.ptr + at, in.len - at);
    if (step > 1)
        return at + step;
    if (c < 0x20)
        (void)scan_fail(cursor, at, "a control character in a string must be written as \\u%04x",
                        c);
    else
        (void)scan_fail(cursor, at, "the bytes from 0x%02X on are not valid UTF-8", c);
    return BAD;
}

/* The string whose opening quote is at `begin`. */
static size_t pass_string(struct scan_cursor *cursor, size_t begin, bool *ret_escaped)
{
    struct span in = cursor->in;
    size_t at = begin + 1;
    *ret_escaped = false;
    for (;;) {
        at = skip_plain(in.ptr, at, in.len);
        if (at == in.len) {
            (void)scan_fail(cursor, begin, "the string that begins here has no end");
            return BAD;
        }
        if (in.ptr[at] == '"')
            return at + 1;
        *ret_escaped |= in.ptr[at] == '\\';
        at = pass_odd(cursor, at);
        if (at == BAD)
            return BAD;
    }
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static size_t pass_digits(struct scan_cursor *cursor, size_t at, const char *what)
{
    if (!is_digit(byte_at(cursor, at)))
        return expected(cursor, at, what);
    while (is_digit(byte_at(cursor, at)))
        at++;
    return at;
}

/* The number that begins with a digit or '-'. */
static size_t pass_number(struct scan_cursor *cursor, size_t at, bool *ret_integer)
{
    *ret_integer = true;
    if (byte_at(cursor, at) == '-')
        at++;
    size_t first = at;
    at = pass_digits(cursor, at, "a digit behind '-'");
    if (at != BAD && cursor->in.ptr[first] == '0' && at > first + 1) {
        (void)scan_fail(cursor, first, "a number must not begin with a superfluous 0");
        return BAD;
    }
    if (at != BAD && byte_at(cursor, at) == '.') {
        *ret_integer = false;
        at = pass_digits(cursor, at + 1, "a digit behind the decimal point");
    }
    if (at != BAD && (byte_at(cursor, at) | 0x20) == 'e') {
        *ret_integer = false;
        at++;
        if (byte_at(cursor, at) == '+' || byte_at(cursor, at) == '-')
            at++;
        at = pass_digits(cursor, at, "a digit in the exponent");
    }
    return at;
}

static inline size_t pass_word(struct scan_cursor *cursor, size_t at, const char *word)
{
    size_t len = strlen(word);
    if (cursor->in.len - at >= len && memcmp(cursor->in.ptr + at, word, len) == 0)
        return at + len;
    (void)scan_fail(cursor, at, "expected a value (did you mean %s?)", word);
    return BAD;
}

/* ---- structure ---- */

static inline bool in_object(const struct scan_cursor *cursor)
{
    return cursor->depth > 0 && (cursor->objects >> (cursor->depth - 1) & 1) != 0;
}

/* The '{' or '[' at `at`. */
static inline size_t pass_opening(struct scan_cursor *cursor, size_t at, bool object)
{
    if (cursor->depth == SCAN_MAX_DEPTH) {
        (void)scan_fail(cursor, at, "nested deeper than %d levels", SCAN_MAX_DEPTH);
        return BAD;
    }
    uint64_t bit = UINT64_C(1) << cursor->depth++;
    cursor->objects = object ? cursor->objects | bit : cursor->objects & ~bit;
    return at + 1;
}

/* A key and its ':'. */
static inline size_t pass_key(struct scan_cursor *cursor, size_t begin, struct scan_value *key)
{
    if (byte_at(cursor, begin) != '"')
        return expected(cursor, begin, "a key in double quotes");
    size_t at = pass_string(cursor, begin, &key->escaped);
    if (at == BAD)
        return BAD;
    key->kind = SCAN_STRING;
    key->integer = false;
    key->offset = begin;
    key->raw = (struct span){cursor->in.ptr + begin, at - begin};
    at = pass_space(cursor, at);
    if (byte_at(cursor, at) != ':')
        return expected(cursor, at, "':' after a key");
    return at + 1;
}

/* In the innermost container, behind its opening (`first`) or a value of it: to the next value,
 * or behind the closing, which takes one off cursor->depth. */
static inline size_t
pass_between(struct scan_cursor *cursor, size_t at, bool first, struct scan_value *key)
{
    bool object = in_object(cursor);
    unsigned char close = object ? '}' : ']';
    at = pass_space(cursor, at);
    unsigned char c = byte_at(cursor, at);
    if (c == close) {
        cursor->depth--;
        return at + 1;
    }
    if (!first) {
        if (c != ',')
            return expected(cursor, at,
                            object ? "',' or '}' after a value" : "',' or ']' after a value");
        at = pass_space(cursor, at + 1);
        if (byte_at(cursor, at) == close) {
            (void)scan_fail(cursor, at, "a comma must not stand before %c", close);
            return BAD;
        }
    }
    return object ? pass_key(cursor, at, key) : at;
}

/* The kind of the value at `at`; false (and a complaint) when none begins there. */
static inline bool kind_at(struct scan_cursor *cursor, size_t at, enum scan_kind *ret_kind)
{
    unsigned char c = byte_at(cursor, at);
    if (c == '"')
        *ret_kind = SCAN_STRING;
    else if (is_digit(c) || c == '-')
        *ret_kind = SCAN_NUMBER;
    else if (c == '{')
        *ret_kind = SCAN_OBJECT;
    else if (c == '[')
        *ret_kind = SCAN_ARRAY;
    else if (c == 't')
        *ret_kind = SCAN_TRUE;
    else if (c == 'f')
        *ret_kind = SCAN_FALSE;
    else if (c == 'n')
        *ret_kind = SCAN_NULL;
    else if (at == 0 && span_starts(cursor->in, "\xEF\xBB\xBF"))
        return scan_fail(cursor, 0, "JSON must not begin with a byte order mark");
    else
        return expected(cursor, at, "a value") != BAD;
    return true;
}

/* A scalar, or the opening of a container. */
static inline size_t pass_begin(struct scan_cursor *cursor, size_t at, struct scan_value *value)
{
    if (!kind_at(cursor, at, &value->kind))
        return BAD;
    switch (value->kind) {
    case SCAN_STRING:
        return pass_string(cursor, at, &value->escaped);
    case SCAN_NUMBER:
        return pass_number(cursor, at, &value->integer);
    case SCAN_NULL:
        return pass_word(cursor, at, "null");
    case SCAN_FALSE:
        return pass_word(cursor, at, "false");
    case SCAN_TRUE:
        return pass_word(cursor, at, "true");
    case SCAN_ARRAY:
    case SCAN_OBJECT:
        break;
    }
    return pass_opening(cursor, at, value->kind == SCAN_OBJECT);
}

/* A whole value, all its members included. */
static size_t pass_value(struct scan_cursor *cursor, size_t at, struct scan_value *value)
{
    const unsigned base = cursor->depth;
    struct scan_value inner, key;
    at = pass_begin(cursor, at, value);
    bool first = cursor->depth > base;
    while (at != BAD && cursor->depth > base) {
        unsigned depth = cursor->depth;
        at = pass_between(cursor, at, first, &key);
        first = false;
        if (at == BAD || cursor->depth < depth)
            continue;
        at = pass_begin(cursor, pass_space(cursor, at), &inner);
        first = cursor->depth > depth;
    }
    return at;
}

/* ---- the cursor ---- */

/* Where the cursor goes; false when that is nowhere. */
static bool move_to(struct scan_cursor *cursor, size_t at)
{
    if (at == BAD)
        return false;
    cursor->at = at;
    return true;
}

bool scan_peek(struct scan_cursor *cursor, enum scan_kind *ret_kind)
{
    if (cursor->failed)
        return false;
    cursor->at = pass_space(cursor, cursor->at);
    return kind_at(cursor, cursor->at, ret_kind);
}

static bool enter(struct scan_cursor *cursor, enum scan_kind wanted, const char *name)
{
    enum scan_kind kind = SCAN_NULL;
    if (!scan_peek(cursor, &kind))
        return false;
    cursor->first = true;
    return move_to(cursor, kind == wanted ? pass_opening(cursor, cursor->at, wanted == SCAN_OBJECT)
                                          : expected(cursor, cursor->at, name));
}

bool scan_enter_object(struct scan_cursor *cursor)
{
    return enter(cursor, SCAN_OBJECT, "an object");
}

bool scan_enter_array(struct scan_cursor *cursor)
{
    return enter(cursor, SCAN_ARRAY, "an array");
}

/* To the next member; false behind the last one. */
static bool next_member(struct scan_cursor *cursor, struct scan_value *key)
{
    unsigned depth = cursor->depth;
    bool first = cursor->first;
    cursor->first = false;
    return move_to(cursor, pass_between(cursor, cursor->at, first, key)) && cursor->depth == depth;
}

bool scan_next_key(struct scan_cursor *cursor, struct scan_value *ret_key)
{
    struct scan_value key;
    if (cursor->failed)
        return false;
    ASSERT(in_object(cursor));
    if (!next_member(cursor, &key))
        return false;
    *ret_key = key;
    return true;
}

bool scan_next_item(struct scan_cursor *cursor)
{
    struct scan_value none;
    if (cursor->failed)
        return false;
    ASSERT(cursor->depth > 0 && !in_object(cursor));
    return next_member(cursor, &none);
}

bool scan_take(struct scan_cursor *cursor, struct scan_value *ret_value)
{
    if (cursor->failed)
        return false;
    size_t begin = pass_space(cursor, cursor->at);
    struct scan_value value = {.offset = begin};
    if (!move_to(cursor, pass_value(cursor, begin, &value)))
        return false;
    value.raw = (struct span){cursor->in.ptr + begin, cursor->at - begin};
    *ret_value = value;
    return true;
}

enum err scan_finish(struct scan_cursor *cursor)
{
    if (cursor->failed)
        return ERR_INVALID;
    ASSERT(cursor->depth == 0);
    cursor->at = pass_space(cursor, cursor->at);
    if (cursor->at == cursor->in.len)
        return OK;
    (void)expected(cursor, cursor->at, "the end of the text behind the value");
    return ERR_INVALID;
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
