/* results.c: what a courier's turn produced, encoded for the commit queue. */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/committer.h"

struct results *results_new(struct courier *courier)
{
    struct results *results = mem_zero(1, sizeof *results);
    results->courier = courier;
    list_init(&results->waiters);
    return results;
}

void results_begin(struct results *results, uint8_t kind, uint32_t webhook, uint64_t sequence)
{
    if (results->n == results->cap) {
        results->cap = results->cap == 0 ? 8 : 2 * results->cap;
        results->records = mem_realloc(results->records, results->cap * sizeof(*results->records));
    }
    results->records[results->n] = (struct result_record){
        .kind = kind, .webhook = webhook, .sequence = sequence, .offset = results->bytes.len};
}

void results_end(struct results *results)
{
    struct result_record *record = &results->records[results->n++];
    record->len = results->bytes.len - record->offset;
}

void results_free(struct results *results)
{
    if (results == NULL)
        return;
    buf_release(&results->bytes);
    free(results->records);
    free(results);
}
