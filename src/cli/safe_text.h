/* safe_text.h: text that a server sent, fit for a terminal.
 *
 * What a terminal obeys (C0, DEL, C1), what turns the direction of a line (U+202A to U+202E, U+2066
 * to U+2069) and bytes that are not UTF-8 become '?': a receiver's answer must not be able to paint
 * over what stands above it. Pure. */
#ifndef CLI_SAFE_TEXT_H
#define CLI_SAFE_TEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

/* On one line: a line end is a '?' too. */
void safe_add(struct buf *buf, struct span text);

/* The lines of `text`, each behind `prefix` and ended by a newline; CRLF, LF and tabs are kept in
 * meaning. Nothing for an empty text. */
void safe_add_lines(struct buf *buf, const char *prefix, struct span text);

/* JSON text whose strings may hold DEL and C1: those become \u00XX, so that it stays the same
 * JSON. The text must be valid: outside of strings neither can stand. */
void safe_add_json(struct buf *buf, struct span json);

#endif
