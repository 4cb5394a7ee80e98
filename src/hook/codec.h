/* codec.h: what the record encoders of this room share. Header only; private to hook/. Pure. */
#ifndef HOOK_CODEC_H
#define HOOK_CODEC_H

#include <stdint.h>

#include "base/buf.h"

/* A signed number as a varint that is short near zero, on either side (zigzag). */
static inline void add_signed(struct buf *buf, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    buf_add_varint(buf, (bits << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

static inline int64_t read_signed(struct reader *reader)
{
    uint64_t bits = reader_varint(reader);
    return (int64_t)((bits >> 1) ^ (0 - (bits & 1)));
}

/* A time as its distance from another one; wraps instead of overflowing. */
static inline void add_delta(struct buf *buf, int64_t value, int64_t base)
{
    add_signed(buf, (int64_t)((uint64_t)value - (uint64_t)base));
}

static inline int64_t read_delta(struct reader *reader, int64_t base)
{
    return (int64_t)((uint64_t)base + (uint64_t)read_signed(reader));
}

/* A varint that must not be over `max`; otherwise the reader fails. */
static inline uint64_t read_max(struct reader *reader, uint64_t max)
{
    uint64_t value = reader_varint(reader);
    if (value <= max)
        return value;
    reader->failed = true;
    return 0;
}

static inline uint32_t read_u32(struct reader *reader)
{
    return (uint32_t)read_max(reader, UINT32_MAX);
}

/* OK when everything was read and nothing is left. */
static inline enum err read_end(const struct reader *reader)
{
    return reader->failed || reader->at != reader->in.len ? ERR_CORRUPT : OK;
}

#endif
