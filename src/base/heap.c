/* heap.c: see heap.h. The array is 0-based; children of i are 2i+1 and 2i+2. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { FIRST_CAP = 16 };

void heap_init(struct heap *heap, heap_less_fn *less)
{
    *heap = (struct heap){.less = less};
}

void heap_release(struct heap *heap)
{
    for (size_t i = 0; i < heap->len; i++)
        heap->nodes[i]->pos = 0;
    free(heap->nodes);
    heap_init(heap, heap->less);
}

static void place(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->pos = index + 1;
}

/* Moves the hole at `index` up until `node` fits into it. */
static void sift_up(struct heap *heap, size_t index, struct heap_node *node)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!heap->less(node, heap->nodes[parent]))
            break;
        place(heap, index, heap->nodes[parent]);
        index = parent;
    }
    place(heap, index, node);
}

/* Moves the hole at `index` down until `node` fits into it. */
static void sift_down(struct heap *heap, size_t index, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->len)
            break;
        if (child + 1 < heap->len && heap->less(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!heap->less(heap->nodes[child], node))
            break;
        place(heap, index, heap->nodes[child]);
        index = child;
    }
    place(heap, index, node);
}

static void settle(struct heap *heap, size_t index, struct heap_node *node)
{
    if (index > 0 && heap->less(node, heap->nodes[(index - 1) / 2]))
        sift_up(heap, index, node);
    else
        sift_down(heap, index, node);
}

static void assert_on_this_heap(const struct heap *heap, const struct heap_node *node)
{
    ASSERT(node->pos <= heap->len && heap->nodes[node->pos - 1] == node);
}

void heap_push(struct heap *heap, struct heap_node *node)
{
    ASSERT(node->pos == 0);
    if (heap->len == heap->cap) {
        size_t cap = heap->cap == 0 ? FIRST_CAP : 2 * heap->cap;
        heap->nodes = mem_realloc(heap->nodes, cap * sizeof(*heap->nodes));
        heap->cap = cap;
    }
    heap->len++;
    sift_up(heap, heap->len - 1, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->pos == 0)
        return;
    assert_on_this_heap(heap, node);
    size_t index = node->pos - 1;
    struct heap_node *last = heap->nodes[--heap->len];
    node->pos = 0;
    if (last != node)
        settle(heap, index, last);
}

struct heap_node *heap_pop(struct heap *heap)
{
    struct heap_node *first = heap_peek(heap);
    if (first != NULL)
        heap_remove(heap, first);
    return first;
}

void heap_update(struct heap *heap, struct heap_node *node)
{
    ASSERT(node->pos != 0);
    assert_on_this_heap(heap, node);
    settle(heap, node->pos - 1, node);
}
