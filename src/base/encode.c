/* encode.c: see encode.h. */
#include "base/encode.h"

#include <string.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- hex ---- */

void hex_encode(const void *bytes, size_t len, char *ret_text)
{
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        ret_text[2 * i] = hex_digits[in[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[in[i] & 15];
    }
    ret_text[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that two digits stand for, or -1. */
static int hex_pair(const char *text)
{
    int high = hex_value(text[0]);
    int low = hex_value(text[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool hex_decode(struct span text, void *ret_bytes, size_t len)
{
    if (text.len % 2 != 0 || text.len / 2 != len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (hex_value(text.ptr[i]) < 0)
            return false;
    }
    unsigned char *out = ret_bytes;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)hex_pair(text.ptr + 2 * i);
    return true;
}

/* ---- base64 ---- */

void buf_add_base64(struct buf *buf, struct span bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    buf_reserve(buf, BASE64_LEN(bytes.len));
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)in[i] << 16;
        if (left > 1)
            group |= (unsigned)in[i + 1] << 8;
        if (left > 2)
            group |= in[i + 2];
        char out[4] = {
            base64_digits[group >> 18],
            base64_digits[(group >> 12) & 63],
            left > 1 ? base64_digits[(group >> 6) & 63] : '=',
            left > 2 ? base64_digits[group & 63] : '=',
        };
        buf_add(buf, out, sizeof(out));
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four; `padding` of them are '='. Bits behind the last byte must be zero, or two
 * texts would stand for the same bytes. */
static bool base64_group(const char *text, size_t padding, unsigned char ret_bytes[3])
{
    unsigned group = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? base64_value(text[i]) : 0;
        if (value < 0)
            return false;
        group = group << 6 | (unsigned)value;
    }
    if (padding > 0 && (group & (padding == 1 ? 0xFF : 0xFFFF)) != 0)
        return false;
    ret_bytes[0] = (unsigned char)(group >> 16);
    ret_bytes[1] = (unsigned char)(group >> 8);
    ret_bytes[2] = (unsigned char)group;
    return true;
}

bool buf_add_base64_decoded(struct buf *buf, struct span text)
{
    if (text.len % 4 != 0)
        return false;
    size_t before = buf->len;
    buf_reserve(buf, text.len / 4 * 3);
    for (size_t i = 0; i < text.len; i += 4) {
        size_t padding = 0;
        if (i + 4 == text.len && text.ptr[i + 3] == '=')
            padding = text.ptr[i + 2] == '=' ? 2 : 1;
        unsigned char bytes[3];
        if (!base64_group(text.ptr + i, padding, bytes)) {
            buf_cut(buf, before);
            return false;
        }
        buf_add(buf, bytes, 3 - padding);
    }
    return true;
}

/* ---- percent ---- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void buf_add_percent(struct buf *buf, struct span bytes)
{
    static const char upper[] = "0123456789ABCDEF"; /* RFC 3986 section 2.1 */
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        char escape[3] = {'%', upper[c >> 4], upper[c & 15]};
        if (is_unreserved(c))
            buf_add_char(buf, (char)c);
        else
            buf_add(buf, escape, sizeof(escape));
    }
}

static bool add_decoded(struct buf *buf, struct span text, bool plus_is_space)
{
    size_t before = buf->len;
    buf_reserve(buf, text.len);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int value = text.len - i < 3 ? -1 : hex_pair(text.ptr + i + 1);
            if (value < 0) {
                buf_cut(buf, before);
                return false;
            }
            c = (char)value;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        buf_add_char(buf, c);
    }
    return true;
}

bool buf_add_percent_decoded(struct buf *buf, struct span text)
{
    return add_decoded(buf, text, false);
}

bool buf_add_form_decoded(struct buf *buf, struct span text)
{
    return add_decoded(buf, text, true);
}

/* ---- UUIDs ---- */

/* A '-' stands before the bytes 4, 6, 8 and 10. */
static bool uuid_dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_v4_set_bits(uint8_t bytes[UUID_BYTES])
{
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80); /* variant of RFC 4122 */
}

void uuid_text(const uint8_t bytes[UUID_BYTES], char ret_text[UUID_TEXT_LEN + 1])
{
    char *out = ret_text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (uuid_dash_before(i))
            *out++ = '-';
        *out++ = hex_digits[bytes[i] >> 4];
        *out++ = hex_digits[bytes[i] & 15];
    }
    *out = '\0';
}

void uuid_v4_text(const uint8_t random[UUID_BYTES], char ret_text[UUID_TEXT_LEN + 1])
{
    uint8_t bytes[UUID_BYTES];
    memcpy(bytes, random, sizeof(bytes));
    uuid_v4_set_bits(bytes);
    uuid_text(bytes, ret_text);
}

bool uuid_parse(struct span text, uint8_t ret_bytes[UUID_BYTES])
{
    if (text.len != UUID_TEXT_LEN)
        return false;
    uint8_t bytes[UUID_BYTES];
    const char *in = text.ptr;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (uuid_dash_before(i) && *in++ != '-')
            return false;
        int value = hex_pair(in);
        if (value < 0)
            return false;
        bytes[i] = (uint8_t)value;
        in += 2;
    }
    memcpy(ret_bytes, bytes, sizeof(bytes));
    return true;
}

/* ---- time ---- */

void wall_text(wall_ms time, char ret_text[WALL_TEXT_LEN + 1])
{
    const wall_ms first = INT64_C(-62167219200000); /* 0000-01-01 */
    const wall_ms last = INT64_C(253402300799999);  /* 9999-12-31 */
    time = time < first ? first : time > last ? last : time;
    wall_ms ms = time % MS_PER_S;
    if (ms < 0)
        ms += MS_PER_S;
    time_t seconds = (time_t)((time - ms) / MS_PER_S);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    int numbers[] = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min,         tm.tm_sec,     (int)ms};
    memcpy(ret_text, "YYYY-MM-DDTHH:MM:SS.mmmZ", WALL_TEXT_LEN + 1);
    static const struct {
        unsigned char at, digits;
    } places[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}, {20, 3}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int number = numbers[i];
        for (int d = places[i].digits - 1; d >= 0; d--, number /= 10)
            ret_text[places[i].at + d] = (char)('0' + number % 10);
    }
}
