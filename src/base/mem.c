/* mem.c: see mem.h. A request of 0 bytes gets 1, so that NULL only ever means "none". */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static _Noreturn void out_of_memory(size_t bytes)
{
    fatal("out of memory while asking for %zu bytes: give this machine more memory, or lower the "
          "limits in the settings",
          bytes);
}

void *mem_alloc(size_t bytes)
{
    void *ptr = malloc(bytes == 0 ? 1 : bytes);
    if (ptr == NULL)
        out_of_memory(bytes);
    return ptr;
}

void *mem_zero(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    void *ptr = calloc(count, size); /* checks the product */
    if (ptr == NULL)
        out_of_memory(count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return ptr;
}

void *mem_realloc(void *ptr, size_t bytes)
{
    void *moved = realloc(ptr, bytes == 0 ? 1 : bytes);
    if (moved == NULL)
        out_of_memory(bytes);
    return moved;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *ptr, size_t len)
{
    ASSERT(len < SIZE_MAX);
    char *copy = mem_alloc(len + 1);
    if (len > 0)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}
