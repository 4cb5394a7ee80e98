/* event.c: see event.h. The texts lie behind the struct in one block of memory. */
#include "hook/event.h"

#include <endian.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

/* Copies `text` to *at, moves *at behind it. */
static struct span keep(char **at, struct span text)
{
    struct span copy = span_make(*at, text.len);
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

struct event *event_new(uint32_t company,
                        struct span name,
                        struct span resource,
                        struct span order_key,
                        int64_t timestamp_s,
                        struct span data)
{
    size_t bytes = sizeof(struct event) + name.len + resource.len + order_key.len + data.len;
    struct event *event = mem_alloc(bytes);
    *event = (struct event){
        .company = company,
        .order_hash = event_order_hash(resource, order_key),
        .timestamp_s = timestamp_s,
        .bytes = bytes,
    };
    atomic_init(&event->refs, 1);
    char *at = (char *)(event + 1);
    event->name = keep(&at, name);
    event->resource = keep(&at, resource);
    event->order_key = keep(&at, order_key);
    event->data = keep(&at, data);
    return event;
}

struct event *event_ref(struct event *event)
{
    /* Whoever passes a reference on holds one, so nothing needs to be ordered here. */
    unsigned before = atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return event;
}

void event_unref(struct event *event)
{
    if (event == NULL)
        return;
    /* Release: our reads end before the count falls; acquire: the last one sees all of them end. */
    unsigned before = atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1)
        return;
    free(event->targets);
    free(event);
}

void event_set_targets(struct event *event, const struct event_target *targets, uint32_t n)
{
    event->bytes -= event->n_targets * sizeof(*targets);
    free(event->targets);
    event->targets = NULL;
    event->n_targets = n;
    if (n == 0)
        return;
    event->targets = mem_alloc(n * sizeof(*targets));
    memcpy(event->targets, targets, n * sizeof(*targets));
    event->bytes += n * sizeof(*targets);
}

/* The hash is stored with attempts, so it must never change: the key of the second round is the
 * hash of the resource, which also keeps ("a", "bc") and ("ab", "c") apart. */
uint64_t event_order_hash(struct span resource, struct span key)
{
    static const uint8_t first_key[16] = "order of events";
    if (key.len == 0)
        return 0;
    uint64_t of_resource = htole64(siphash(first_key, resource.ptr, resource.len));
    uint8_t second_key[16] = "order of events";
    memcpy(second_key, &of_resource, sizeof(of_resource));
    uint64_t hash = siphash(second_key, key.ptr, key.len);
    return hash == 0 ? 1 : hash;
}
