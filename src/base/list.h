/* list.h: intrusive doubly linked list; a node is on at most one list. Header only. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

#define CONTAINER_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define LIST_FOREACH(item, head) \
    for ((item) = (head)->next; (item) != (head); (item) = (item)->next)
#define LIST_FOREACH_SAFE(item, tmp, head)                              \
    for ((item) = (head)->next, (tmp) = (item)->next; (item) != (head); \
         (item) = (tmp), (tmp) = (item)->next)

/* Also makes a node that is on no list. */
static inline void list_init(struct list *list)
{
    list->prev = list->next = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_add_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_add_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_add_before(head->next, node);
}

/* Leaves the node on no list; harmless for one that is on none. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* NULL when empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
