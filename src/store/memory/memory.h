/* memory.h: the parts of the memory engine that its files share. Private to memory/.
 *
 * Everything lies in plain arrays under one lock. It follows store.h to the letter (one suite tests
 * both engines), log files and their retention included, so that what runs on it runs on SQLite. */
#ifndef STORE_MEMORY_MEMORY_H
#define STORE_MEMORY_MEMORY_H

#include <pthread.h>

#include "base/map.h"
#include "store/store_private.h"

struct memory_block {
    uint64_t block;
    wall_ms time;
    uint64_t first_seq;
    size_t n_events;
    struct store_record *records; /* with their bytes behind them in one piece of memory */
    size_t n_records;
};

/* What a log file would be: where it begins. */
struct memory_file {
    uint64_t first_seq, first_block;
    wall_ms born_at, last_time;
    uint64_t bytes;
};

struct memory_entry {
    uint64_t sequence, seq;
};

struct memory_ref {
    uint64_t sequence, block;
    size_t record;
};

/* Of one webhook. */
struct memory_lane {
    struct memory_entry *entries; /* ascending by sequence */
    size_t n_entries, cap_entries;
    struct memory_ref *refs; /* in order of commit */
    size_t n_refs, cap_refs;
};

struct memory_url {
    uint32_t number, revision;
    char *url;
};

/* What a restart would find. */
struct world {
    struct store_end end;
    struct event **events; /* events[i].seq == end.first_seq + i */
    size_t n_events, cap_events;
    struct memory_block *blocks;
    size_t n_blocks, cap_blocks;
    struct memory_file *files;
    size_t n_files, cap_files;
    struct map lanes;

    struct company *companies;
    size_t n_companies, cap_companies;
    struct credential *credentials;
    size_t n_credentials, cap_credentials;
    struct webhook *webhooks;
    size_t n_webhooks, cap_webhooks;
    struct memory_url *urls;
    size_t n_urls, cap_urls;
    uint32_t last_company, last_webhook;
};

struct memory_store {
    struct store store;
    struct store_conf conf;
    pthread_mutex_t lock;
    struct world *world;
    bool kept;
    bool failed;
    enum store_fault fault;
    unsigned countdown;
    uint64_t commits;
};

static inline struct memory_store *memory_of(struct store *store)
{
    return (struct memory_store *)(void *)store;
}

/* Makes room for one more. */
void *memory_grow(void *array, size_t n, size_t *cap, size_t size);

/* Under the lock: what a commit would do to a disk, one write and one fsync. */
MUST_USE enum err memory_touch_disk(struct memory_store *s, struct error *error);

/* --- memory_read.c --- */
enum err memory_replay(struct store *store,
                       uint64_t from,
                       enum err (*fn)(void *ctx, const struct store_block *block),
                       void *ctx,
                       struct error *error);
enum err memory_events(struct store *store,
                       const uint64_t *seqs,
                       size_t n,
                       struct event **ret_events,
                       struct error *error);
enum err memory_event_by_id(struct store *store,
                            const uint8_t id[16],
                            struct event **ret_event,
                            struct error *error);
enum err memory_lane(struct store *store,
                     uint32_t webhook,
                     uint64_t from,
                     size_t n,
                     uint64_t *ret_seqs,
                     struct error *error);
enum err memory_attempts(struct store *store,
                         uint32_t webhook,
                         uint64_t sequence,
                         struct store_attempts *ret_attempts,
                         struct error *error);
enum err memory_last_attempts(struct store *store,
                              uint32_t webhook,
                              uint64_t from,
                              size_t n,
                              struct attempt *ret_attempts,
                              bool *ret_found,
                              struct error *error);

/* --- memory_config.c --- */
enum err memory_put_company(struct store *store,
                            struct company *company,
                            struct credential *first,
                            struct error *error);
enum err memory_put_credential(struct store *store,
                               const struct credential *credential,
                               struct error *error);
enum err memory_delete_credential(struct store *store, const char *api_id, struct error *error);
enum err memory_put_webhook(struct store *store, struct webhook *webhook, struct error *error);
enum err memory_delete_webhook(struct store *store, uint32_t number, struct error *error);
enum err memory_webhook_url(
    struct store *store, uint32_t number, uint32_t revision, char **ret_url, struct error *error);
enum err memory_load_conf(struct store *store,
                          const struct store_conf_visitor *visitor,
                          struct error *error);
void memory_config_release(struct world *world);

#endif
