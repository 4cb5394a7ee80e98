/* heap_test.c: order, removal from anywhere, moving in both directions; against a plain sort. */
#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

struct item {
    uint64_t due;
    struct heap_node node;
};

static bool item_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct item *left = (const struct item *)((const char *)a - offsetof(struct item, node));
    const struct item *right = (const struct item *)((const char *)b - offsetof(struct item, node));
    return left->due < right->due;
}

static struct item *item_of(struct heap_node *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct item, node);
}

enum { MANY = 20000 };

static struct item *make_items(struct heap *heap, struct rng *rng)
{
    struct item *items = calloc(MANY, sizeof(*items)); /* zeroed nodes are on no heap */
    assert_non_null(items);
    heap_init(heap, item_less);
    for (size_t i = 0; i < MANY; i++) {
        items[i].due = rng_below(rng, MANY / 2);
        heap_push(heap, &items[i].node);
    }
    return items;
}

/* Pops everything; returns how many came, in order. */
static size_t drain(struct heap *heap)
{
    size_t count = 0;
    uint64_t last = 0;
    for (struct item *item; (item = item_of(heap_peek(heap))) != NULL; count++) {
        assert_true(item->due >= last);
        last = item->due;
        assert_ptr_equal(heap_pop(heap), &item->node);
        assert_false(heap_has(&item->node));
    }
    return count;
}

static void pops_in_order(void **state)
{
    struct heap heap;
    struct rng rng;
    rng_seed(&rng, 1);
    struct item *items = make_items(&heap, &rng);
    assert_int_equal(heap.len, MANY);
    assert_int_equal(drain(&heap), MANY);
    assert_null(heap_pop(&heap));
    heap_release(&heap);
    free(items);
}

static void removes_from_anywhere(void **state)
{
    struct heap heap;
    struct rng rng;
    rng_seed(&rng, 2);
    struct item *items = make_items(&heap, &rng);
    size_t removed = 0;
    for (size_t i = 0; i < MANY; i += 1 + rng_below(&rng, 3)) {
        heap_remove(&heap, &items[i].node);
        assert_false(heap_has(&items[i].node));
        heap_remove(&heap, &items[i].node); /* harmless */
        removed++;
    }
    assert_int_equal(drain(&heap), MANY - removed);
    heap_release(&heap);
    free(items);
}

static void moves_in_both_directions(void **state)
{
    struct heap heap;
    struct rng rng;
    rng_seed(&rng, 3);
    struct item *items = make_items(&heap, &rng);
    for (size_t i = 0; i < MANY; i++) {
        struct item *item = &items[rng_below(&rng, MANY)];
        item->due = rng_below(&rng, MANY);
        heap_update(&heap, &item->node);
        if (i % 4 == 0) {
            heap_remove(&heap, &item->node);
            item->due = rng_next(&rng) >> 1;
            heap_push(&heap, &item->node);
        }
    }
    assert_int_equal(drain(&heap), MANY);
    heap_release(&heap);
    free(items);
}

static void release_leaves_nodes_on_no_heap(void **state)
{
    struct heap heap;
    struct item one = {.due = 1};
    heap_init(&heap, item_less);
    assert_null(heap_peek(&heap));
    assert_null(heap_pop(&heap));
    heap_push(&heap, &one.node);
    heap_update(&heap, &one.node);
    heap_release(&heap);
    assert_false(heap_has(&one.node));
    heap_push(&heap, &one.node); /* usable again */
    assert_ptr_equal(heap_pop(&heap), &one.node);
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pops_in_order),
        cmocka_unit_test(removes_from_anywhere),
        cmocka_unit_test(moves_in_both_directions),
        cmocka_unit_test(release_leaves_nodes_on_no_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
