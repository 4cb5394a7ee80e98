/* heap.h: an intrusive binary heap: timers, retries, whatever is due next.
 *
 * The caller owns the nodes (CONTAINER_OF of list.h leads back to the item); the heap owns only
 * its array of pointers, which grows by doubling and never shrinks. A node is on at most one heap
 * and remembers its position, so that removing or moving any node costs O(log n). Nothing here
 * fails: running out of memory is fatal() (mem.h). Not thread-safe. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h" /* CONTAINER_OF */

/* All zero = on no heap, so a zeroed item needs no further set-up. */
struct heap_node {
    size_t pos; /* index in the heap's array + 1; 0 when on no heap */
};

/* True when `a` must come out before `b`. Equal nodes come out in any order. */
typedef bool heap_less_fn(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **nodes;
    size_t len;
    size_t cap;
    heap_less_fn *less;
};

/* An empty heap; allocates nothing yet. */
void heap_init(struct heap *heap, heap_less_fn *less);

/* Frees the array. Nodes that are still on the heap are left as on none. */
void heap_release(struct heap *heap);

/* Makes `node` a node that is on no heap. */
static inline void heap_node_init(struct heap_node *node)
{
    node->pos = 0;
}

static inline bool heap_has(const struct heap_node *node)
{
    return node->pos != 0;
}

/* The first node, left on the heap; NULL when empty. O(1). */
static inline struct heap_node *heap_peek(const struct heap *heap)
{
    return heap->len == 0 ? NULL : heap->nodes[0];
}

/* Adds a node that is on no heap (BUG otherwise). */
void heap_push(struct heap *heap, struct heap_node *node);

/* Takes out the first node; NULL when empty. */
struct heap_node *heap_pop(struct heap *heap);

/* Takes the node out from wherever it is; harmless for one that is on no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* To be called after the key of a node on this heap has changed, in either direction, and before
 * any other call on the heap. */
void heap_update(struct heap *heap, struct heap_node *node);

#endif
