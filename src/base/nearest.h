/* nearest.h: "did you mean ...?" for names that people type. Pure. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#define NEAREST_MAX_BYTES 64 /* longer names have no neighbour */

/* Edits (insert, delete, replace, swap of neighbours) between two names, ASCII case ignored and
 * '_' equal to '-'. SIZE_MAX when one is longer than NEAREST_MAX_BYTES. */
size_t nearest_distance(struct span a, struct span b);

/* True when so few edits are a slip of the hand for a name of this length. */
bool nearest_is_slip(size_t distance, size_t name_bytes);

#endif
