/* utf8.h: well-formed UTF-8, one sequence at a time. Header only.
 * Source: RFC 3629, Unicode 15 table 3-7 (no overlongs, no surrogates, nothing over U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool utf8_is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The length (1 to 4) of the well-formed sequence at the start of `text`, of which `len` bytes
 * may be read; 0 when there is none, also for len 0. */
static inline size_t utf8_step(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    if (len == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    if (s[0] < 0xE0)
        return len >= 2 && utf8_is_tail(s[1]) ? 2 : 0;
    /* The second byte rules out overlongs (E0, F0), surrogates (ED) and what lies beyond (F4). */
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    size_t need = s[0] < 0xF0 ? 3 : 4;
    if (len < need || s[1] < low || s[1] > high || !utf8_is_tail(s[2]))
        return 0;
    return need == 3 || utf8_is_tail(s[3]) ? need : 0;
}

#endif
