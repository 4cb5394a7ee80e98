/* mem.h: allocation that does not return NULL.
 *
 * Every size that a peer chooses is checked against a setting before it comes here, so running
 * out means that the machine is out of memory: fatal(), and a restart recovers. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull, alloc_size(1)));
/* zeroed, count x size checked for overflow */
void *mem_zero(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *mem_realloc(void *ptr, size_t bytes) __attribute__((returns_nonnull, alloc_size(2)));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
/* a NUL-terminated copy of len bytes */
char *mem_strndup(const char *ptr, size_t len) __attribute__((malloc, returns_nonnull));

#endif
