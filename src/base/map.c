/* map.c: see map.h. Linear probing; removal shifts the entries behind the gap back instead of
 * leaving a tombstone, so that maps in which entries come and go never degrade.
 *
 * An iteration goes downwards from a free slot. No run of entries lies across that slot, so what a
 * removal shifts down into the gap comes from slots that were visited already. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { FIRST_CAP = 16 };

static bool is_crowded(size_t len, size_t cap)
{
    return len + 1 > cap / 4 * 3;
}

/* The next slot of an iteration in a table of `cap` slots. */
static size_t iter_step(struct map_iter *iter, size_t cap)
{
    iter->at = (iter->at - 1) & (cap - 1);
    iter->left--;
    return iter->at;
}

/* Whether an entry whose probing began at `home` may be moved from `from` into the gap at `gap`:
 * only when its home is not cyclically inside (gap, from]. */
static bool may_fill(size_t gap, size_t home, size_t from, size_t mask)
{
    return ((from - home) & mask) >= ((from - gap) & mask);
}

/* ---- numbers ---- */

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_release(struct map *map)
{
    free(map->slots);
    map_init(map);
}

/* The slot of `key`, or the free one where it belongs. The table is not empty. */
static size_t map_slot_of(const struct map *map, uint64_t key)
{
    size_t mask = map->cap - 1;
    size_t at = hash_u64(key) & mask;
    while (map->slots[at].value != NULL && map->slots[at].key != key)
        at = (at + 1) & mask;
    return at;
}

void *map_get(const struct map *map, uint64_t key)
{
    return map->cap == 0 ? NULL : map->slots[map_slot_of(map, key)].value;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->cap = old.cap == 0 ? FIRST_CAP : 2 * old.cap;
    map->slots = mem_zero(map->cap, sizeof(*map->slots));
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value != NULL)
            map->slots[map_slot_of(map, old.slots[i].key)] = old.slots[i];
    }
    free(old.slots);
}

void *map_put(struct map *map, uint64_t key, void *value)
{
    ASSERT(value != NULL);
    if (is_crowded(map->len, map->cap))
        map_grow(map);
    struct map_slot *slot = &map->slots[map_slot_of(map, key)];
    void *replaced = slot->value;
    *slot = (struct map_slot){key, value};
    if (replaced == NULL)
        map->len++;
    return replaced;
}

void *map_remove(struct map *map, uint64_t key)
{
    if (map->cap == 0)
        return NULL;
    size_t mask = map->cap - 1;
    size_t gap = map_slot_of(map, key);
    void *removed = map->slots[gap].value;
    if (removed == NULL)
        return NULL;
    for (size_t at = (gap + 1) & mask; map->slots[at].value != NULL; at = (at + 1) & mask) {
        if (may_fill(gap, hash_u64(map->slots[at].key) & mask, at, mask)) {
            map->slots[gap] = map->slots[at];
            gap = at;
        }
    }
    map->slots[gap] = (struct map_slot){0};
    map->len--;
    return removed;
}

bool map_next(const struct map *map, struct map_iter *iter, uint64_t *ret_key, void **ret_value)
{
    if (map->len == 0 && iter->left == 0)
        return false;
    if (iter->left == 0) {
        while (map->slots[iter->at].value != NULL)
            iter->at++;
        iter->left = map->cap;
    }
    while (iter->left > 1) {
        const struct map_slot *slot = &map->slots[iter_step(iter, map->cap)];
        if (slot->value == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = slot->key;
        *ret_value = slot->value;
        return true;
    }
    return false;
}

/* ---- bytes ---- */

static uint8_t process_hash_key[16];

void strmap_set_hash_key(const uint8_t key[16])
{
    memcpy(process_hash_key, key, sizeof(process_hash_key));
}

void strmap_init(struct strmap *map)
{
    *map = (struct strmap){0};
    memcpy(map->hash_key, process_hash_key, sizeof(map->hash_key));
}

void strmap_release(struct strmap *map)
{
    free(map->slots);
    strmap_init(map);
}

static uint64_t strmap_hash(const struct strmap *map, struct span key)
{
    return siphash(map->hash_key, key.ptr, key.len);
}

static size_t strmap_slot_of(const struct strmap *map, uint64_t hash, struct span key)
{
    size_t mask = map->cap - 1;
    size_t at = hash & mask;
    while (map->slots[at].value != NULL &&
           (map->slots[at].hash != hash || !span_eq(map->slots[at].key, key)))
        at = (at + 1) & mask;
    return at;
}

void *strmap_get(const struct strmap *map, struct span key)
{
    if (map->len == 0)
        return NULL;
    return map->slots[strmap_slot_of(map, strmap_hash(map, key), key)].value;
}

static void strmap_grow(struct strmap *map)
{
    size_t old_cap = map->cap;
    struct strmap_slot *old = map->slots;
    map->cap = old_cap == 0 ? FIRST_CAP : 2 * old_cap;
    map->slots = mem_zero(map->cap, sizeof(*map->slots));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value != NULL)
            map->slots[strmap_slot_of(map, old[i].hash, old[i].key)] = old[i];
    }
    free(old);
}

void *strmap_put(struct strmap *map, struct span key, void *value)
{
    ASSERT(value != NULL);
    if (is_crowded(map->len, map->cap))
        strmap_grow(map);
    uint64_t hash = strmap_hash(map, key);
    struct strmap_slot *slot = &map->slots[strmap_slot_of(map, hash, key)];
    void *replaced = slot->value;
    *slot = (struct strmap_slot){hash, key, value};
    if (replaced == NULL)
        map->len++;
    return replaced;
}

void *strmap_remove(struct strmap *map, struct span key)
{
    if (map->len == 0)
        return NULL;
    size_t mask = map->cap - 1;
    size_t gap = strmap_slot_of(map, strmap_hash(map, key), key);
    void *removed = map->slots[gap].value;
    if (removed == NULL)
        return NULL;
    for (size_t at = (gap + 1) & mask; map->slots[at].value != NULL; at = (at + 1) & mask) {
        if (may_fill(gap, map->slots[at].hash & mask, at, mask)) {
            map->slots[gap] = map->slots[at];
            gap = at;
        }
    }
    map->slots[gap] = (struct strmap_slot){0};
    map->len--;
    return removed;
}

bool strmap_next(const struct strmap *map,
                 struct map_iter *iter,
                 struct span *ret_key,
                 void **ret_value)
{
    if (map->len == 0 && iter->left == 0)
        return false;
    if (iter->left == 0) {
        while (map->slots[iter->at].value != NULL)
            iter->at++;
        iter->left = map->cap;
    }
    while (iter->left > 1) {
        const struct strmap_slot *slot = &map->slots[iter_step(iter, map->cap)];
        if (slot->value == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = slot->key;
        *ret_value = slot->value;
        return true;
    }
    return false;
}
