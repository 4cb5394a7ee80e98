/* map.h: two hash maps without an allocation per entry: `map` from numbers, `strmap` from bytes.
 *
 * Open addressing, at most 3/4 full, growing by doubling, never shrinking. Values are pointers of
 * the caller, never NULL, never touched. strmap BORROWS its keys: the bytes must stay where they
 * are, unchanged, while the entry exists (as a rule they lie in the value itself).
 * strmap hashes with SipHash-2-4 under a key of the process, so that nobody who chooses keys can
 * make them collide; base has no entropy, so cli/ sets that key (strmap_set_hash_key) first.
 * Nothing here fails (running out of memory is fatal). Not thread-safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct map_slot {
    uint64_t key;
    void *value; /* NULL: the slot is free */
};

/* All zero = empty. */
struct map {
    struct map_slot *slots;
    size_t cap; /* 0 or a power of two */
    size_t len;
};

/* An iteration: {0} to begin. */
struct map_iter {
    size_t left; /* slots still to be visited + 1; 0 before the first call */
    size_t at;
};

void map_init(struct map *map);
void map_release(struct map *map); /* frees the slots, not the values */

static inline size_t map_len(const struct map *map)
{
    return map->len;
}

/* The value of `key`, or NULL. */
void *map_get(const struct map *map, uint64_t key);

/* Sets the value (not NULL) of `key`; returns the one that it replaces, or NULL. */
void *map_put(struct map *map, uint64_t key, void *value);

/* Takes the entry out; returns its value, or NULL when there was none. */
void *map_remove(struct map *map, uint64_t key);

/* Visits every entry once, in no useful order: false at the end. Meanwhile nothing may be put, and
 * only the entry that was given last may be removed. ret_key may be NULL. */
bool map_next(const struct map *map, struct map_iter *iter, uint64_t *ret_key, void **ret_value);

struct strmap_slot {
    uint64_t hash;
    struct span key;
    void *value; /* NULL: the slot is free */
};

struct strmap {
    struct strmap_slot *slots;
    size_t cap;
    size_t len;
    uint8_t hash_key[16]; /* a copy, so that a later strmap_set_hash_key does no harm */
};

/* The hash key of every strmap that is initialised from now on. Once, before threads start. */
void strmap_set_hash_key(const uint8_t key[16]);

void strmap_init(struct strmap *map);
void strmap_release(struct strmap *map); /* frees the slots, not the values */

static inline size_t strmap_len(const struct strmap *map)
{
    return map->len;
}

/* As map_get, map_put, map_remove, map_next. strmap_put on a key that exists also takes over the
 * new key bytes, so that the old value may be freed together with its key. */
void *strmap_get(const struct strmap *map, struct span key);
void *strmap_put(struct strmap *map, struct span key, void *value);
void *strmap_remove(struct strmap *map, struct span key);
bool strmap_next(const struct strmap *map,
                 struct map_iter *iter,
                 struct span *ret_key,
                 void **ret_value);

/* SipHash-2-4. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len);

/* A bijective mix of 64 bits, for hashes over numbers that no peer chooses. */
static inline uint64_t hash_u64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

#endif
