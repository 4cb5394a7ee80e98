/* store.c: passes every verb on to the engine that was opened. See store.h. */
#include "store/store_private.h"

#include <stdlib.h>

void store_check_batch(const struct store_end *end, const struct store_batch *batch)
{
    if (batch->block != end->block + 1)
        BUG("block %llu was appended behind block %llu", (unsigned long long)batch->block,
            (unsigned long long)end->block);
    for (size_t i = 0; i < batch->n_events; i++)
        ASSERT(batch->events[i]->seq == end->event_seq + 1 + i);
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

enum err store_append(struct store *store, const struct store_batch *batch, struct error *error)
{
    return store->ops->append(store, batch, error);
}

bool store_maintain(struct store *store, int budget_ms)
{
    return store->ops->maintain(store, budget_ms);
}

enum err store_mark_snapshot(struct store *store, uint64_t first, struct error *error)
{
    return store->ops->mark_snapshot(store, first, error);
}

enum err store_retain(struct store *store,
                      wall_ms before,
                      uint64_t keep_seq,
                      unsigned *ret_files,
                      struct error *error)
{
    return store->ops->retain(store, before, keep_seq, ret_files, error);
}

void store_end(struct store *store, struct store_end *ret_end)
{
    store->ops->end(store, ret_end);
}

enum err store_replay(struct store *store,
                      uint64_t from,
                      enum err (*fn)(void *ctx, const struct store_block *block),
                      void *ctx,
                      struct error *error)
{
    return store->ops->replay(store, from, fn, ctx, error);
}

enum err store_events(struct store *store,
                      const uint64_t *seqs,
                      size_t n,
                      struct event **ret_events,
                      struct error *error)
{
    return store->ops->events(store, seqs, n, ret_events, error);
}

enum err store_event_by_id(struct store *store,
                           const uint8_t id[16],
                           struct event **ret_event,
                           struct error *error)
{
    return store->ops->event_by_id(store, id, ret_event, error);
}

enum err store_lane(struct store *store,
                    uint32_t webhook,
                    uint64_t from,
                    size_t n,
                    uint64_t *ret_seqs,
                    struct error *error)
{
    return store->ops->lane(store, webhook, from, n, ret_seqs, error);
}

enum err store_attempts(struct store *store,
                        uint32_t webhook,
                        uint64_t sequence,
                        struct store_attempts *ret_attempts,
                        struct error *error)
{
    return store->ops->attempts(store, webhook, sequence, ret_attempts, error);
}

void store_attempts_release(struct store_attempts *attempts)
{
    free(attempts->attempts);
    free(attempts->memory);
    *attempts = (struct store_attempts){0};
}

enum err store_last_attempts(struct store *store,
                             uint32_t webhook,
                             uint64_t from,
                             size_t n,
                             struct attempt *ret_attempts,
                             bool *ret_found,
                             struct error *error)
{
    return store->ops->last_attempts(store, webhook, from, n, ret_attempts, ret_found, error);
}

enum err store_put_company(struct store *store,
                           struct company *company,
                           struct credential *first,
                           struct error *error)
{
    return store->ops->put_company(store, company, first, error);
}

enum err
store_put_credential(struct store *store, const struct credential *credential, struct error *error)
{
    return store->ops->put_credential(store, credential, error);
}

enum err store_delete_credential(struct store *store, const char *api_id, struct error *error)
{
    return store->ops->delete_credential(store, api_id, error);
}

enum err store_put_webhook(struct store *store, struct webhook *webhook, struct error *error)
{
    return store->ops->put_webhook(store, webhook, error);
}

enum err store_delete_webhook(struct store *store, uint32_t number, struct error *error)
{
    return store->ops->delete_webhook(store, number, error);
}

enum err store_webhook_url(
    struct store *store, uint32_t number, uint32_t revision, char **ret_url, struct error *error)
{
    return store->ops->webhook_url(store, number, revision, ret_url, error);
}

enum err
store_load_conf(struct store *store, const struct store_conf_visitor *visitor, struct error *error)
{
    return store->ops->load_conf(store, visitor, error);
}

void store_stats(struct store *store, struct store_stats *ret_stats)
{
    store->ops->stats(store, ret_stats);
}

void store_inject_fault(struct store *store, enum store_fault fault, unsigned countdown)
{
    store->ops->inject_fault(store, fault, countdown);
}

void store_memory_keep(struct store *store)
{
    if (store->ops->keep != NULL)
        store->ops->keep(store);
}
