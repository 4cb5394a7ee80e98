/* buf.h: a growing byte buffer. The caller owns it: BUF_INIT ... buf_release. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct buf {
    char *ptr; /* always followed by a NUL byte once something was added */
    size_t len;
    size_t cap;
};

#define BUF_INIT ((struct buf){NULL, 0, 0})

void buf_release(struct buf *buf); /* frees and resets */
void buf_clear(struct buf *buf);   /* length 0, memory kept */
/* Takes back what was added since the length was `len` (<= buf->len). */
void buf_cut(struct buf *buf, size_t len);
void buf_reserve(struct buf *buf, size_t more_bytes);
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_span(struct buf *buf, struct span span);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
/* `text` as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json_string(struct buf *buf, struct span text);

/* Fixed and variable integers for packed records: little endian; LEB128. */
void buf_add_u8(struct buf *buf, uint8_t value);
void buf_add_u32(struct buf *buf, uint32_t value);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_add_varint(struct buf *buf, uint64_t value);
/* varint length, then the bytes */
void buf_add_blob(struct buf *buf, struct span bytes);

/* Hands the memory to the caller (free()), leaves the buffer empty. */
char *buf_take(struct buf *buf);

static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->ptr, buf->len};
}

/* Reading what the adders wrote: `at` walks over `in`; a short or malformed input sets `failed`
 * and every later read gives 0, so that a decoder checks once at its end. */
struct reader {
    struct span in;
    size_t at;
    bool failed;
};

uint8_t reader_u8(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
uint64_t reader_varint(struct reader *reader);
struct span reader_blob(struct reader *reader);
struct span reader_bytes(struct reader *reader, size_t len);

#endif
