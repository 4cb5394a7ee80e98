/* registry.h: companies, credentials and webhooks in memory, as config.db has them.
 *
 * Written by the committer's thread only; read by any thread under a read lock; readers get
 * copies, so nothing here is held while somebody waits. */
#ifndef DELIVERY_REGISTRY_H
#define DELIVERY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hook/company.h"
#include "hook/event.h"
#include "hook/webhook.h"
#include "store/store.h"

struct registry;

struct registry *registry_new(void);
void registry_free(struct registry *registry);
/* Reads everything from the store, at start. */
MUST_USE enum err
registry_load(struct registry *registry, struct store *store, struct error *error);

/* --- readers, any thread --- */

bool registry_company(struct registry *registry, uint32_t id, struct company *ret_company);
/* By exact name, or by decimal id. */
bool registry_company_find(struct registry *registry,
                           const char *name_or_id,
                           struct company *ret_company);
/* All companies in order of id; the array is malloc'ed. */
size_t registry_companies(struct registry *registry, struct company **ret_companies);
/* All credentials of a company, oldest first; malloc'ed. */
size_t registry_credentials(struct registry *registry,
                            uint32_t company,
                            struct credential **ret_credentials);
/* The company of a credential. api_id NULL: by the token's hash alone (Bearer). The hash is
 * compared in constant time. False when there is none. */
bool registry_authenticate(struct registry *registry,
                           const char *api_id,
                           const uint8_t token_hash[TOKEN_HASH_BYTES],
                           uint32_t *ret_company);
/* Webhooks: copies, webhook_release. False when there is none or it is another company's. */
bool registry_webhook_by_number(struct registry *registry,
                                uint32_t company,
                                uint32_t number,
                                struct webhook *ret_webhook);
bool registry_webhook_by_uuid(struct registry *registry,
                              uint32_t company,
                              const uint8_t uuid[16],
                              struct webhook *ret_webhook);
/* Of any company: for the couriers. */
bool registry_webhook_any(struct registry *registry, uint32_t number, struct webhook *ret_webhook);
size_t registry_webhook_count(struct registry *registry, uint32_t company);
/* Copies webhooks offset..offset+n-1 in order of creation (descending: newest first). Returns how
 * many were copied. */
size_t registry_webhooks(struct registry *registry,
                         uint32_t company,
                         bool descending,
                         size_t offset,
                         size_t n,
                         struct webhook *ret_webhooks);

/* --- the committer's thread only --- */

void registry_put_company(struct registry *registry, const struct company *company);
void registry_put_credential(struct registry *registry, const struct credential *credential);
void registry_delete_credential(struct registry *registry, const char *api_id);
void registry_put_webhook(struct registry *registry, const struct webhook *webhook); /* copies */
void registry_delete_webhook(struct registry *registry, uint32_t number);
/* The live webhook, borrowed until the next write; NULL when there is none. */
const struct webhook *registry_peek(const struct registry *registry, uint32_t number);
/* The webhooks of a company in order of creation, borrowed until the next write. */
size_t registry_peek_company(const struct registry *registry,
                             uint32_t company,
                             const struct webhook *const **ret_webhooks);
/* Calls fn for every webhook (recovery, engine start). */
void registry_each_webhook(const struct registry *registry,
                           void (*fn)(void *ctx, const struct webhook *webhook),
                           void *ctx);

#endif
