/* fuzz.h: what every fuzz target shares. A target aborts (ASSERT) when a promise is broken;
 * sanitizers watch the rest. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Called by libFuzzer for every input; the bytes end where the memory ends. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether `inner` lies wholly inside `outer`. */
static inline bool span_inside(struct span inner, struct span outer)
{
    return inner.ptr >= outer.ptr && inner.len <= outer.len &&
           (size_t)(inner.ptr - outer.ptr) <= outer.len - inner.len;
}

#endif
