/* catalogue.h: the event names that webhooks may subscribe to, as data. Pure, any thread.
 * Source: the table hook/catalogue.def; Aircall's names are the default catalogue. */
#ifndef HOOK_CATALOGUE_H
#define HOOK_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct event_type {
    const char *name;
    const char *resource;
    const char *order_path; /* path below data that orders deliveries: "id", "call_id" */
    const char *description;
};

size_t catalogue_size(void);
const struct event_type *catalogue_at(size_t index);
/* Index of a name, or -1. Cost: one hash look-up. */
int catalogue_find(struct span name);
/* The name that was probably meant by one that is not in the catalogue, or NULL. Cost: a
 * comparison with every name, up to 0.5 ms for long ones: for one complaint, not for many. */
const char *catalogue_nearest(struct span name);

/* A set of catalogue indexes, all below EVENT_SET_MAX. They say where an event stands in this
 * version's table: what is stored for longer than a process is the names. */
#define EVENT_SET_MAX 256
struct event_set {
    uint64_t bits[EVENT_SET_MAX / 64];
};
void event_set_add(struct event_set *set, size_t index);
void event_set_remove(struct event_set *set, size_t index);
bool event_set_has(const struct event_set *set, size_t index);
bool event_set_empty(const struct event_set *set);

#endif
