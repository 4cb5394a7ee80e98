/* store_private.h: what the engines of this room share: the table of verbs. Private to store/. */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include "store/store.h"

/* One engine. Every entry as the verb of the same name in store.h. */
struct store_ops {
    void (*close)(struct store *store);
    enum err (*append)(struct store *store, const struct store_batch *batch, struct error *error);
    bool (*maintain)(struct store *store, int budget_ms);
    enum err (*mark_snapshot)(struct store *store, uint64_t first, struct error *error);
    enum err (*retain)(struct store *store,
                       wall_ms before,
                       uint64_t keep_seq,
                       unsigned *ret_files,
                       struct error *error);
    void (*end)(struct store *store, struct store_end *ret_end);
    enum err (*replay)(struct store *store,
                       uint64_t from,
                       enum err (*fn)(void *ctx, const struct store_block *block),
                       void *ctx,
                       struct error *error);
    enum err (*events)(struct store *store,
                       const uint64_t *seqs,
                       size_t n,
                       struct event **ret_events,
                       struct error *error);
    enum err (*event_by_id)(struct store *store,
                            const uint8_t id[16],
                            struct event **ret_event,
                            struct error *error);
    enum err (*lane)(struct store *store,
                     uint32_t webhook,
                     uint64_t from,
                     size_t n,
                     uint64_t *ret_seqs,
                     struct error *error);
    enum err (*attempts)(struct store *store,
                         uint32_t webhook,
                         uint64_t sequence,
                         struct store_attempts *ret_attempts,
                         struct error *error);
    enum err (*last_attempts)(struct store *store,
                              uint32_t webhook,
                              uint64_t from,
                              size_t n,
                              struct attempt *ret_attempts,
                              bool *ret_found,
                              struct error *error);
    enum err (*put_company)(struct store *store,
                            struct company *company,
                            struct credential *first,
                            struct error *error);
    enum err (*put_credential)(struct store *store,
                               const struct credential *credential,
                               struct error *error);
    enum err (*delete_credential)(struct store *store, const char *api_id, struct error *error);
    enum err (*put_webhook)(struct store *store, struct webhook *webhook, struct error *error);
    enum err (*delete_webhook)(struct store *store, uint32_t number, struct error *error);
    enum err (*webhook_url)(struct store *store,
                            uint32_t number,
                            uint32_t revision,
                            char **ret_url,
                            struct error *error);
    enum err (*load_conf)(struct store *store,
                          const struct store_conf_visitor *visitor,
                          struct error *error);
    void (*stats)(struct store *store, struct store_stats *ret_stats);
    void (*inject_fault)(struct store *store, enum store_fault fault, unsigned countdown);
    void (*keep)(struct store *store);
};

/* The first member of every engine's own struct. */
struct store {
    const struct store_ops *ops;
};

/* Both engines refuse a batch that does not follow the last one: it is the committer's bug. */
void store_check_batch(const struct store_end *end, const struct store_batch *batch);

#endif
