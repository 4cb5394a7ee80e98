/* rng.c: see rng.h. */
#include "base/rng.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"

static uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        seed += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        rng->state[i] = z ^ (z >> 31);
    }
}

void rng_seed_bytes(struct rng *rng, const uint8_t bytes[32])
{
    uint64_t any = 0;
    for (size_t i = 0; i < 4; i++) {
        memcpy(&rng->state[i], bytes + 8 * i, 8);
        rng->state[i] = le64toh(rng->state[i]);
        any |= rng->state[i];
    }
    if (any == 0) /* the one state that yields nothing but zeros */
        rng_seed(rng, 0);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    ASSERT(bound > 0);
    /* Values under 2^64 mod bound would make small results likelier: draw again. */
    uint64_t refused = (0 - bound) % bound;
    uint64_t x = rng_next(rng);
    while (x < refused)
        x = rng_next(rng);
    return x % bound;
}

double rng_fraction(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1.0p-53;
}

void rng_fill(struct rng *rng, void *ret_bytes, size_t len)
{
    unsigned char *at = ret_bytes;
    while (len > 0) {
        uint64_t word = htole64(rng_next(rng));
        size_t part = len < sizeof(word) ? len : sizeof(word);
        memcpy(at, &word, part);
        at += part;
        len -= part;
    }
}
