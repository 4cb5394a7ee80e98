/* nearest.c: the optimal string alignment distance over three rows of fixed size. */
#include "base/nearest.h"

#include <stdint.h>

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '_' ? '-' : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(struct span a, struct span b)
{
    size_t rows[3][NEAREST_MAX_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    if (a.len > NEAREST_MAX_BYTES || b.len > NEAREST_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = before[j] = above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char ca = fold(a.ptr[i - 1]), cb = fold(b.ptr[j - 1]);
            size_t best = least(above[j] + 1, row[j - 1] + 1);
            best = least(best, above[j - 1] + (ca == cb ? 0 : 1));
            if (i > 1 && j > 1 && ca == fold(b.ptr[j - 2]) && fold(a.ptr[i - 2]) == cb)
                best = least(best, before[j - 2] + 1);
            row[j] = best;
        }
    }
    return row[b.len];
}

bool nearest_is_slip(size_t distance, size_t name_bytes)
{
    return distance <= 1 + name_bytes / 5;
}
