/* view.h: answers of the API as text for people: fields, times, lists. Pure.
 *
 * Whatever is missing or of another type than the API says shows as "-", so that a newer or
 * stranger server can be shown too. All text passes through safe_text.h. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

struct view {
    bool terminal;    /* stdout is one */
    size_t width;     /* its columns; 0 = not known: nothing is cut, lines are wrapped at 80 */
    bool request;     /* show the heads of requests */
    const char *more; /* the command that shows the next page, without the cursor; NULL = none */
    struct span data; /* an event's data, byte for byte */
};

/* Renders one answer. */
typedef void view_fn(struct buf *out, const struct view *view, const json_t *answer);

/* The text of a field; "-" when there is none. NUL bytes inside are counted. */
struct span view_text(const json_t *object, const char *name);
/* The number of a field, 0 when there is none. */
json_int_t view_number(const json_t *object, const char *name);

/* "2026-06-19T19:39:25.102Z" as "2026-06-19 19:39:25"; another text as it is, made safe. */
void view_add_time(struct buf *out, struct span time);

/* "label      text", wrapped at spaces to the width, continued under the text. The text is made
 * safe. */
void view_add_field(struct buf *out, const struct view *view, const char *label, struct span text);
/* The same for text of our own making. */
void view_add_fieldf(struct buf *out,
                     const struct view *view,
                     const char *label,
                     const char *fmt,
                     ...) PRINTF_LIKE(4, 5);
/* The same for a time with " UTC" behind it. */
void view_add_field_time(struct buf *out,
                         const struct view *view,
                         const char *label,
                         struct span time);

/* Safe text of at most `max` characters, cut with "..."; free() it. */
char *view_cell(struct span text, size_t max);

#endif
