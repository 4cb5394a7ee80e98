/* rng.h: fast random numbers that a seed determines: jitter, sampling, simulations, event ids.
 *
 * xoshiro256**. NOT for secrets: who sees a few outputs knows all others. Takes no entropy itself;
 * the seed is an argument, so a simulation repeats exactly. Not thread-safe: one per thread.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2018). */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4]; /* never all zero */
};

/* From a small seed, spread by splitmix64: the same seed gives the same numbers for ever. */
void rng_seed(struct rng *rng, uint64_t seed);

/* From 32 bytes of real entropy, where numbers must not repeat between two processes. */
void rng_seed_bytes(struct rng *rng, const uint8_t bytes[32]);

uint64_t rng_next(struct rng *rng);

/* 0 <= result < bound, every value equally likely; bound > 0 (BUG otherwise). */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* 0 <= result < 1, with 53 bits. */
double rng_fraction(struct rng *rng);

void rng_fill(struct rng *rng, void *ret_bytes, size_t len);

#endif
