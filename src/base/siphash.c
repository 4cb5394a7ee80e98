/* siphash.c: SipHash-2-4, the hash of strmap (contract in map.h). */
#include <endian.h>
#include <string.h>

#include "base/map.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

/* Up to 8 bytes, little endian. */
static inline uint64_t load(const unsigned char *bytes, size_t len)
{
    uint64_t word = 0;
    if (len > 0) /* `bytes` may be NULL then */
        memcpy(&word, bytes, len);
    return le64toh(word);
}

uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t k0 = load(key, 8);
    uint64_t k1 = load(key + 8, 8);
    struct sip s = {
        .v0 = k0 ^ UINT64_C(0x736F6D6570736575),
        .v1 = k1 ^ UINT64_C(0x646F72616E646F6D),
        .v2 = k0 ^ UINT64_C(0x6C7967656E657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8)
        sip_word(&s, load(at, 8));
    sip_word(&s, load(at, left) | ((uint64_t)len << 56));
    s.v2 ^= 0xFF;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
