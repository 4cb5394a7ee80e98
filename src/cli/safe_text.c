/* safe_text.c: one character at a time. */
#include "cli/safe_text.h"

#include "base/utf8.h"

/* `len` bytes of well-formed UTF-8, one character. */
static bool is_obeyed(const unsigned char *c, size_t len)
{
    if (len == 1)
        return c[0] < 0x20 || c[0] == 0x7F;
    if (len == 2)
        return c[0] == 0xC2 && c[1] < 0xA0;
    if (len == 3 && c[0] == 0xE2 && c[1] == 0x80)
        return c[2] >= 0xAA && c[2] <= 0xAE;
    return len == 3 && c[0] == 0xE2 && c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9;
}

void safe_add(struct buf *buf, struct span text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_step(text.ptr + at, text.len - at);
        if (len == 0 || is_obeyed((const unsigned char *)text.ptr + at, len))
            buf_add_char(buf, '?');
        else
            buf_add(buf, text.ptr + at, len);
        at += len == 0 ? 1 : len;
    }
}

static void add_line(struct buf *buf, struct span line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    while (line.len > 0) {
        size_t len = span_find(line, '\t');
        safe_add(buf, span_make(line.ptr, len));
        if (len == line.len)
            break;
        buf_add_text(buf, "    ");
        line = span_from_at(line, len + 1);
    }
    buf_add_char(buf, '\n');
}

void safe_add_lines(struct buf *buf, const char *prefix, struct span text)
{
    while (text.len > 0) {
        size_t len = span_find(text, '\n');
        buf_add_text(buf, prefix);
        add_line(buf, span_make(text.ptr, len));
        text = span_from_at(text, len < text.len ? len + 1 : len);
    }
}

void safe_add_json(struct buf *buf, struct span json)
{
    for (size_t i = 0; i < json.len; i++) {
        unsigned char c = (unsigned char)json.ptr[i];
        unsigned char next = i + 1 < json.len ? (unsigned char)json.ptr[i + 1] : 0;
        if (c == 0x7F) {
            buf_add_text(buf, "\\u007f");
        } else if (c == 0xC2 && next >= 0x80 && next < 0xA0) {
            buf_printf(buf, "\\u%04x", next);
            i++;
        } else {
            buf_add_char(buf, json.ptr[i]);
        }
    }
}
