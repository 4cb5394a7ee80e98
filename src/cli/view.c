/* view.c: the bricks of which the views of webhooks, events and deliveries are made. */
#include "cli/view.h"

#include <string.h>

#include "cli/safe_text.h"

#define LABEL_WIDTH   11
#define DEFAULT_WIDTH 80

struct span view_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return SPAN_LIT("-");
    return span_make(json_string_value(value), json_string_length(value));
}

json_int_t view_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void view_add_time(struct buf *out, struct span time)
{
    if (time.len >= 20 && time.ptr[10] == 'T' && time.ptr[time.len - 1] == 'Z') {
        safe_add(out, span_make(time.ptr, 10));
        buf_add_char(out, ' ');
        safe_add(out, span_make(time.ptr + 11, 8));
    } else {
        safe_add(out, time);
    }
}

static size_t characters(struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* `text` is safe. A word that is longer than a line stands alone on one. */
static void add_wrapped(struct buf *out, size_t width, struct span text)
{
    size_t column = LABEL_WIDTH;

    for (bool first = true; text.len > 0; first = false) {
        size_t len = span_find(text, ' ');
        struct span word = span_make(text.ptr, len);
        size_t word_width = characters(word);
        if (!first && column + 1 + word_width > width) {
            buf_printf(out, "\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH;
        } else if (!first) {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add_span(out, word);
        column += word_width;
        text = span_from_at(text, len < text.len ? len + 1 : len);
    }
    buf_add_char(out, '\n');
}

void view_add_field(struct buf *out, const struct view *view, const char *label, struct span text)
{
    size_t width = view->width == 0 ? DEFAULT_WIDTH : view->width;
    struct buf safe = BUF_INIT;

    safe_add(&safe, text);
    buf_printf(out, "%-*s", LABEL_WIDTH, label);
    add_wrapped(out, width, buf_span(&safe));
    buf_release(&safe);
}

void view_add_fieldf(
    struct buf *out, const struct view *view, const char *label, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    view_add_field(out, view, label, buf_span(&text));
    buf_release(&text);
}

void view_add_field_time(struct buf *out,
                         const struct view *view,
                         const char *label,
                         struct span time)
{
    struct buf text = BUF_INIT;

    view_add_time(&text, time);
    view_add_fieldf(out, view, label, "%s%s", text.ptr == NULL ? "" : text.ptr,
                    time.len >= 20 ? " UTC" : "");
    buf_release(&text);
}

char *view_cell(struct span text, size_t max)
{
    struct buf cell = BUF_INIT;
    size_t at = 0, n = 0;

    safe_add(&cell, text);
    if (characters(buf_span(&cell)) > max) {
        for (; at < cell.len; at++) {
            n += ((unsigned char)cell.ptr[at] & 0xC0) != 0x80;
            if (n > max - 3)
                break;
        }
        buf_cut(&cell, at);
        buf_add_text(&cell, "...");
    }
    buf_add_text(&cell, ""); /* memory even for nothing */
    return buf_take(&cell);
}
