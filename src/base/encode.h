/* encode.h: bytes as text and back: hex, base64, percent-encoding, UUIDs, times.
 *
 * Decoders are strict and return false for anything that the encoder would not write (where a
 * standard allows more, it says so); what they wrote into a buffer up to then is taken back.
 * Text that is returned in an array ends with a NUL byte. Pure; no allocation but of `struct buf`.
 * Not constant in time: secrets are compared as bytes by whoever owns them, not here. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"

/* Writes 2 x len lower case digits and a NUL byte to `ret_text`. */
void hex_encode(const void *bytes, size_t len, char *ret_text);

/* Exactly 2 x len digits, upper or lower case, to len bytes. */
bool hex_decode(struct span text, void *ret_bytes, size_t len);

/* The length of the base64 text of `len` bytes, without a NUL byte. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Standard alphabet with padding. Source: RFC 4648 section 4. */
void buf_add_base64(struct buf *buf, struct span bytes);

/* Appends the bytes. Refuses white space, missing padding, other alphabets and stray bits behind
 * the last byte. Source: RFC 4648 sections 3 and 4. */
bool buf_add_base64_decoded(struct buf *buf, struct span text);

/* Everything but RFC 3986's unreserved characters as %XX. */
void buf_add_percent(struct buf *buf, struct span bytes);

/* Appends `text` with every %XX replaced; a '%' without two digits is refused. The decoded bytes
 * may be any, NUL and not UTF-8 included: the caller judges them. */
bool buf_add_percent_decoded(struct buf *buf, struct span text);

/* As above for application/x-www-form-urlencoded: also '+' is a space. */
bool buf_add_form_decoded(struct buf *buf, struct span text);

#define UUID_BYTES    16
#define UUID_TEXT_LEN 36

/* Makes 16 random bytes a version 4 UUID. Source: RFC 4122 section 4.4. */
void uuid_v4_set_bits(uint8_t bytes[UUID_BYTES]);

/* The canonical lower case form. */
void uuid_text(const uint8_t bytes[UUID_BYTES], char ret_text[UUID_TEXT_LEN + 1]);

/* As both: the text of a version 4 UUID made of 16 random bytes. */
void uuid_v4_text(const uint8_t random[UUID_BYTES], char ret_text[UUID_TEXT_LEN + 1]);

/* 8-4-4-4-12 digits, upper or lower case, of any version; no braces, no "urn:uuid:". */
bool uuid_parse(struct span text, uint8_t ret_bytes[UUID_BYTES]);

#define WALL_TEXT_LEN 24

/* "2026-01-31T23:59:59.123Z", UTC. Times outside the years 0 to 9999 are clamped. */
void wall_text(wall_ms time, char ret_text[WALL_TEXT_LEN + 1]);

#endif
