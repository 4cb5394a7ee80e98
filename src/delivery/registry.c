/* registry.c: config.db in memory.
 *
 * Webhook objects are immutable once they are in the registry: a change swaps the pointer under
 * the write lock, so the committer (the only writer) may use them without a lock. */
#include "delivery/registry.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

struct company_entry {
    struct company company;
    struct credential **credentials;
    size_t n_credentials;
    const struct webhook **webhooks; /* in order of creation */
    size_t n_webhooks, cap_webhooks;
};

struct registry {
    pthread_rwlock_t lock;
    struct map companies;         /* id -> company_entry */
    struct strmap companies_name; /* name -> company_entry */
    struct company_entry **order; /* by id */
    size_t n_order;
    struct strmap api_ids;      /* api_id -> credential */
    struct strmap token_hashes; /* token hash -> credential */
    struct map webhooks;        /* number -> webhook */
    struct strmap uuids;        /* uuid bytes -> webhook */
};

struct registry *registry_new(void)
{
    struct registry *registry = mem_zero(1, sizeof *registry);
    pthread_rwlock_init(&registry->lock, NULL);
    map_init(&registry->companies);
    strmap_init(&registry->companies_name);
    strmap_init(&registry->api_ids);
    strmap_init(&registry->token_hashes);
    map_init(&registry->webhooks);
    strmap_init(&registry->uuids);
    return registry;
}

static void webhook_drop(const struct webhook *webhook)
{
    struct webhook *own = (struct webhook *)(uintptr_t)webhook;
    webhook_release(own);
    free(own);
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    for (size_t i = 0; i < registry->n_order; i++) {
        struct company_entry *entry = registry->order[i];
        for (size_t c = 0; c < entry->n_credentials; c++)
            free(entry->credentials[c]);
        for (size_t w = 0; w < entry->n_webhooks; w++)
            webhook_drop(entry->webhooks[w]);
        free(entry->credentials);
        free(entry->webhooks);
        free(entry);
    }
    free(registry->order);
    map_release(&registry->companies);
    strmap_release(&registry->companies_name);
    strmap_release(&registry->api_ids);
    strmap_release(&registry->token_hashes);
    map_release(&registry->webhooks);
    strmap_release(&registry->uuids);
    pthread_rwlock_destroy(&registry->lock);
    free(registry);
}

static void load_company(void *ctx, const struct company *company)
{
    registry_put_company(ctx, company);
}

static void load_credential(void *ctx, const struct credential *credential)
{
    registry_put_credential(ctx, credential);
}

static void load_webhook(void *ctx, const struct webhook *webhook)
{
    registry_put_webhook(ctx, webhook);
}

enum err registry_load(struct registry *registry, struct store *store, struct error *error)
{
    const struct store_conf_visitor visitor = {
        .company = load_company,
        .credential = load_credential,
        .webhook = load_webhook,
        .ctx = registry,
    };
    return store_load_conf(store, &visitor, error);
}

/* --- readers --- */

bool registry_company(struct registry *registry, uint32_t id, struct company *ret_company)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct company_entry *entry = map_get(&registry->companies, id);
    if (entry != NULL)
        *ret_company = entry->company;
    pthread_rwlock_unlock(&registry->lock);
    return entry != NULL;
}

bool registry_company_find(struct registry *registry,
                           const char *name_or_id,
                           struct company *ret_company)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct company_entry *entry =
        strmap_get(&registry->companies_name, span_from(name_or_id));
    if (entry == NULL && name_or_id[0] >= '1' && name_or_id[0] <= '9') {
        char *end = NULL;
        unsigned long id = strtoul(name_or_id, &end, 10);
        if (*end == '\0' && id <= UINT32_MAX)
            entry = map_get(&registry->companies, id);
    }
    if (entry != NULL)
        *ret_company = entry->company;
    pthread_rwlock_unlock(&registry->lock);
    return entry != NULL;
}

size_t registry_companies(struct registry *registry, struct company **ret_companies)
{
    pthread_rwlock_rdlock(&registry->lock);
    size_t n = registry->n_order;
    struct company *companies = mem_zero(n + 1, sizeof *companies);
    for (size_t i = 0; i < n; i++)
        companies[i] = registry->order[i]->company;
    pthread_rwlock_unlock(&registry->lock);
    *ret_companies = companies;
    return n;
}

size_t registry_credentials(struct registry *registry,
                            uint32_t company,
                            struct credential **ret_credentials)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct company_entry *entry = map_get(&registry->companies, company);
    size_t n = entry == NULL ? 0 : entry->n_credentials;
    struct credential *credentials = mem_zero(n + 1, sizeof *credentials);
    for (size_t i = 0; i < n; i++)
        credentials[i] = *entry->credentials[i];
    pthread_rwlock_unlock(&registry->lock);
    *ret_credentials = credentials;
    return n;
}

bool registry_authenticate(struct registry *registry,
                           const char *api_id,
                           const uint8_t token_hash[TOKEN_HASH_BYTES],
                           uint32_t *ret_company)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct credential *credential =
        api_id != NULL
            ? strmap_get(&registry->api_ids, span_from(api_id))
            : strmap_get(&registry->token_hashes, span_make(token_hash, TOKEN_HASH_BYTES));
    bool ok = credential != NULL &&
              CRYPTO_memcmp(credential->token_hash, token_hash, TOKEN_HASH_BYTES) == 0;
    if (ok)
        *ret_company = credential->company;
    pthread_rwlock_unlock(&registry->lock);
    return ok;
}

static bool copy_out(const struct webhook *webhook, uint32_t company, struct webhook *ret_webhook)
{
    if (webhook == NULL || webhook->company != company)
        return false;
    webhook_copy(webhook, ret_webhook);
    return true;
}

bool registry_webhook_by_number(struct registry *registry,
                                uint32_t company,
                                uint32_t number,
                                struct webhook *ret_webhook)
{
    pthread_rwlock_rdlock(&registry->lock);
    bool found = copy_out(map_get(&registry->webhooks, number), company, ret_webhook);
    pthread_rwlock_unlock(&registry->lock);
    return found;
}

bool registry_webhook_by_uuid(struct registry *registry,
                              uint32_t company,
                              const uint8_t uuid[16],
                              struct webhook *ret_webhook)
{
    pthread_rwlock_rdlock(&registry->lock);
    bool found = copy_out(strmap_get(&registry->uuids, span_make(uuid, 16)), company, ret_webhook);
    pthread_rwlock_unlock(&registry->lock);
    return found;
}

bool registry_webhook_any(struct registry *registry, uint32_t number, struct webhook *ret_webhook)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct webhook *webhook = map_get(&registry->webhooks, number);
    if (webhook != NULL)
        webhook_copy(webhook, ret_webhook);
    pthread_rwlock_unlock(&registry->lock);
    return webhook != NULL;
}

size_t registry_webhook_count(struct registry *registry, uint32_t company)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct company_entry *entry = map_get(&registry->companies, company);
    size_t n = entry == NULL ? 0 : entry->n_webhooks;
    pthread_rwlock_unlock(&registry->lock);
    return n;
}

size_t registry_webhooks(struct registry *registry,
                         uint32_t company,
                         bool descending,
                         size_t offset,
                         size_t n,
                         struct webhook *ret_webhooks)
{
    pthread_rwlock_rdlock(&registry->lock);
    const struct company_entry *entry = map_get(&registry->companies, company);
    size_t total = entry == NULL ? 0 : entry->n_webhooks;
    size_t copied = 0;
    for (size_t i = offset; i < total && copied < n; i++, copied++)
        webhook_copy(entry->webhooks[descending ? total - 1 - i : i], &ret_webhooks[copied]);
    pthread_rwlock_unlock(&registry->lock);
    return copied;
}

/* --- the writer --- */

void registry_put_company(struct registry *registry, const struct company *company)
{
    pthread_rwlock_wrlock(&registry->lock);
    struct company_entry *entry = map_get(&registry->companies, company->id);
    if (entry == NULL) {
        entry = mem_zero(1, sizeof *entry);
        map_put(&registry->companies, company->id, entry);
        registry->order =
            mem_realloc(registry->order, (registry->n_order + 1) * sizeof(*registry->order));
        size_t at = registry->n_order++;
        for (; at > 0 && registry->order[at - 1]->company.id > company->id; at--)
            registry->order[at] = registry->order[at - 1];
        registry->order[at] = entry;
    } else {
        strmap_remove(&registry->companies_name, span_from(entry->company.name));
    }
    entry->company = *company;
    strmap_put(&registry->companies_name, span_from(entry->company.name), entry);
    pthread_rwlock_unlock(&registry->lock);
}

void registry_put_credential(struct registry *registry, const struct credential *credential)
{
    pthread_rwlock_wrlock(&registry->lock);
    struct company_entry *entry = map_get(&registry->companies, credential->company);
    if (entry != NULL) {
        struct credential *own = mem_alloc(sizeof *own);
        *own = *credential;
        entry->credentials = mem_realloc(entry->credentials,
                                         (entry->n_credentials + 1) * sizeof(*entry->credentials));
        entry->credentials[entry->n_credentials++] = own;
        strmap_put(&registry->api_ids, span_from(own->api_id), own);
        strmap_put(&registry->token_hashes, span_make(own->token_hash, TOKEN_HASH_BYTES), own);
    }
    pthread_rwlock_unlock(&registry->lock);
}

void registry_delete_credential(struct registry *registry, const char *api_id)
{
    pthread_rwlock_wrlock(&registry->lock);
    struct credential *own = strmap_remove(&registry->api_ids, span_from(api_id));
    if (own != NULL) {
        strmap_remove(&registry->token_hashes, span_make(own->token_hash, TOKEN_HASH_BYTES));
        struct company_entry *entry = map_get(&registry->companies, own->company);
        size_t kept = 0;
        for (size_t i = 0; i < entry->n_credentials; i++)
            if (entry->credentials[i] != own)
                entry->credentials[kept++] = entry->credentials[i];
        entry->n_credentials = kept;
        OPENSSL_cleanse(own, sizeof *own);
        free(own);
    }
    pthread_rwlock_unlock(&registry->lock);
}

static struct company_entry *entry_of(struct registry *registry, const struct webhook *webhook)
{
    struct company_entry *entry = map_get(&registry->companies, webhook->company);
    if (entry == NULL)
        fatal("webhook %u belongs to company %u, which does not exist", webhook->number,
              webhook->company);
    return entry;
}

void registry_put_webhook(struct registry *registry, const struct webhook *webhook)
{
    struct webhook *own = mem_alloc(sizeof *own);
    webhook_copy(webhook, own);
    pthread_rwlock_wrlock(&registry->lock);
    struct company_entry *entry = entry_of(registry, own);
    const struct webhook *old = map_put(&registry->webhooks, own->number, own);
    if (old == NULL) {
        if (entry->n_webhooks == entry->cap_webhooks) {
            entry->cap_webhooks = entry->cap_webhooks == 0 ? 4 : 2 * entry->cap_webhooks;
            entry->webhooks = mem_realloc((void *)entry->webhooks,
                                          entry->cap_webhooks * sizeof(*entry->webhooks));
        }
        entry->webhooks[entry->n_webhooks++] = own;
    } else {
        for (size_t i = 0; i < entry->n_webhooks; i++)
            if (entry->webhooks[i] == old)
                entry->webhooks[i] = own;
    }
    strmap_put(&registry->uuids, span_make(own->uuid, 16), own);
    pthread_rwlock_unlock(&registry->lock);
    if (old != NULL)
        webhook_drop(old);
}

void registry_delete_webhook(struct registry *registry, uint32_t number)
{
    pthread_rwlock_wrlock(&registry->lock);
    struct webhook *own = map_remove(&registry->webhooks, number);
    if (own != NULL) {
        strmap_remove(&registry->uuids, span_make(own->uuid, 16));
        struct company_entry *entry = entry_of(registry, own);
        size_t kept = 0;
        for (size_t i = 0; i < entry->n_webhooks; i++)
            if (entry->webhooks[i] != own)
                entry->webhooks[kept++] = entry->webhooks[i];
        entry->n_webhooks = kept;
    }
    pthread_rwlock_unlock(&registry->lock);
    if (own != NULL)
        webhook_drop(own);
}

const struct webhook *registry_peek(const struct registry *registry, uint32_t number)
{
    return map_get(&registry->webhooks, number);
}

size_t registry_peek_company(const struct registry *registry,
                             uint32_t company,
                             const struct webhook *const **ret_webhooks)
{
    const struct company_entry *entry = map_get(&registry->companies, company);
    *ret_webhooks = entry == NULL ? NULL : entry->webhooks;
    return entry == NULL ? 0 : entry->n_webhooks;
}

void registry_each_webhook(const struct registry *registry,
                           void (*fn)(void *ctx, const struct webhook *webhook),
                           void *ctx)
{
    for (size_t i = 0; i < registry->n_order; i++) {
        const struct company_entry *entry = registry->order[i];
        for (size_t w = 0; w < entry->n_webhooks; w++)
            fn(ctx, entry->webhooks[w]);
    }
}
