/* catalogue.c: see catalogue.h. Names are found through a small open-addressing table, filled
 * before main; a strmap would do, but this one needs no memory, no lock and nobody to free it. */
#include "hook/catalogue.h"

#include "base/err.h"
#include "base/map.h"
#include "base/nearest.h"

static const struct event_type types[] = {
#define X(name, resource, order_path, description) {name, resource, order_path, description},
#include "hook/catalogue.def"
#undef X
};

enum { TYPES = sizeof(types) / sizeof(types[0]), SLOTS = 256 };
_Static_assert(TYPES <= EVENT_SET_MAX, "event_set is too small for the catalogue");
_Static_assert(TYPES <= SLOTS / 2, "enlarge the table of names");

static uint8_t slots[SLOTS]; /* index + 1; 0 = free */

static size_t first_slot(struct span name)
{
    static const uint8_t key[16]; /* nobody gains by collisions: the names are fixed */
    return siphash(key, name.ptr, name.len) % SLOTS;
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (size_t i = 0; i < TYPES; i++) {
        size_t at = first_slot(span_from(types[i].name));
        while (slots[at] != 0)
            at = (at + 1) % SLOTS;
        slots[at] = (uint8_t)(i + 1);
    }
}

size_t catalogue_size(void)
{
    return TYPES;
}

const struct event_type *catalogue_at(size_t index)
{
    ASSERT(index < TYPES);
    return &types[index];
}

int catalogue_find(struct span name)
{
    for (size_t at = first_slot(name); slots[at] != 0; at = (at + 1) % SLOTS) {
        if (span_eq_text(name, types[slots[at] - 1].name))
            return slots[at] - 1;
    }
    return -1;
}

const char *catalogue_nearest(struct span name)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < TYPES; i++) {
        size_t distance = nearest_distance(name, span_from(types[i].name));
        if (distance < least) {
            least = distance;
            best = types[i].name;
        }
    }
    return best != NULL && nearest_is_slip(least, name.len) ? best : NULL;
}

void event_set_add(struct event_set *set, size_t index)
{
    ASSERT(index < EVENT_SET_MAX);
    set->bits[index / 64] |= UINT64_C(1) << (index % 64);
}

void event_set_remove(struct event_set *set, size_t index)
{
    ASSERT(index < EVENT_SET_MAX);
    set->bits[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

bool event_set_has(const struct event_set *set, size_t index)
{
    ASSERT(index < EVENT_SET_MAX);
    return (set->bits[index / 64] >> (index % 64) & 1) != 0;
}

bool event_set_empty(const struct event_set *set)
{
    uint64_t any = 0;
    for (size_t i = 0; i < EVENT_SET_MAX / 64; i++)
        any |= set->bits[i];
    return any == 0;
}
