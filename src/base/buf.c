/* buf.c: see buf.h. Grows by doubling; a size that overflows is fatal(), as running out is. */
#include "base/buf.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { FIRST_CAP = 64, VARINT_MAX_BYTES = 10 };

void buf_release(struct buf *buf)
{
    free(buf->ptr);
    *buf = BUF_INIT;
}

void buf_clear(struct buf *buf)
{
    buf_cut(buf, 0);
}

void buf_cut(struct buf *buf, size_t len)
{
    ASSERT(len <= buf->len);
    buf->len = len;
    if (buf->ptr != NULL)
        buf->ptr[len] = '\0';
}

void buf_reserve(struct buf *buf, size_t more_bytes)
{
    /* `cap` counts the NUL byte, hence the comparison without one. */
    if (more_bytes < buf->cap - buf->len)
        return;
    if (more_bytes >= SIZE_MAX / 2 - buf->len)
        fatal("a buffer of %zu bytes was asked to grow by %zu", buf->len, more_bytes);
    size_t cap = buf->cap == 0 ? FIRST_CAP : 2 * buf->cap;
    if (cap < buf->len + more_bytes + 1)
        cap = buf->len + more_bytes + 1;
    buf->ptr = mem_realloc(buf->ptr, cap);
    buf->cap = cap;
    buf->ptr[buf->len] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    buf_reserve(buf, len);
    if (len > 0)
        memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_span(struct buf *buf, struct span span)
{
    buf_add(buf, span.ptr, span.len);
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    buf_reserve(buf, 0);
    size_t room = buf->cap - buf->len;
    int len = vsnprintf(buf->ptr + buf->len, room, fmt, args);
    ASSERT(len >= 0);
    if ((size_t)len >= room) {
        buf_reserve(buf, (size_t)len);
        vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    buf->len += (size_t)len;
}

static void add_json_escape(struct buf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add_text(buf, "\\\"");
        break;
    case '\\':
        buf_add_text(buf, "\\\\");
        break;
    case '\b':
        buf_add_text(buf, "\\b");
        break;
    case '\f':
        buf_add_text(buf, "\\f");
        break;
    case '\n':
        buf_add_text(buf, "\\n");
        break;
    case '\r':
        buf_add_text(buf, "\\r");
        break;
    case '\t':
        buf_add_text(buf, "\\t");
        break;
    default:
        buf_printf(buf, "\\u%04x", (unsigned)c);
    }
}

void buf_add_json_string(struct buf *buf, struct span text)
{
    buf_reserve(buf, text.len + 2);
    buf_add_char(buf, '"');
    size_t plain = 0; /* start of the run that is copied as it stands */
    size_t at = 0;
    while (at < text.len) {
        unsigned char c = (unsigned char)text.ptr[at];
        size_t step = utf8_step(text.ptr + at, text.len - at);
        if (step != 0 && c >= 0x20 && c != '"' && c != '\\') {
            at += step;
            continue;
        }
        buf_add(buf, text.ptr + plain, at - plain);
        if (step == 0)
            buf_add_text(buf, "\xEF\xBF\xBD"); /* U+FFFD */
        else
            add_json_escape(buf, c);
        plain = ++at;
    }
    if (at > plain)
        buf_add(buf, text.ptr + plain, at - plain);
    buf_add_char(buf, '"');
}

void buf_add_u8(struct buf *buf, uint8_t value)
{
    buf_add(buf, &value, sizeof(value));
}

void buf_add_u32(struct buf *buf, uint32_t value)
{
    value = htole32(value);
    buf_add(buf, &value, sizeof(value));
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
    value = htole64(value);
    buf_add(buf, &value, sizeof(value));
}

void buf_add_varint(struct buf *buf, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    buf_add(buf, bytes, len);
}

void buf_add_blob(struct buf *buf, struct span bytes)
{
    buf_add_varint(buf, bytes.len);
    buf_add_span(buf, bytes);
}

char *buf_take(struct buf *buf)
{
    buf_reserve(buf, 0);
    char *taken = buf->ptr;
    *buf = BUF_INIT;
    return taken;
}

struct span reader_bytes(struct reader *reader, size_t len)
{
    if (reader->failed || len > reader->in.len - reader->at) {
        reader->failed = true;
        return SPAN_LIT("");
    }
    struct span bytes = {reader->in.ptr + reader->at, len};
    reader->at += len;
    return bytes;
}

uint8_t reader_u8(struct reader *reader)
{
    struct span bytes = reader_bytes(reader, 1);
    return bytes.len == 0 ? 0 : (uint8_t)bytes.ptr[0];
}

uint32_t reader_u32(struct reader *reader)
{
    uint32_t value = 0;
    struct span bytes = reader_bytes(reader, sizeof(value));
    memcpy(&value, bytes.ptr, bytes.len);
    return le32toh(value);
}

uint64_t reader_u64(struct reader *reader)
{
    uint64_t value = 0;
    struct span bytes = reader_bytes(reader, sizeof(value));
    memcpy(&value, bytes.ptr, bytes.len);
    return le64toh(value);
}

/* Only the shortest form of a number is accepted, as the adder writes it: each record then has
 * exactly one encoding, and comparing records is comparing bytes. */
uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(reader);
        bool too_big = shift == 63 && byte > 1;
        bool overlong = shift > 0 && byte == 0;
        if (reader->failed || too_big || overlong)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

struct span reader_blob(struct reader *reader)
{
    uint64_t len = reader_varint(reader);
    return reader_bytes(reader, len);
}
