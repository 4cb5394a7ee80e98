/* config.h: config.db: what companies, credentials and webhooks are. Every change is one
 * transaction with fsync. Any thread (one connection, one lock: changes are rare). */
#ifndef STORE_SQLITE_CONFIG_H
#define STORE_SQLITE_CONFIG_H

#include "store/sqlite/vfs.h"
#include "store/store.h"

struct config;

MUST_USE enum err config_open(const struct vfs *vfs,
                              const char *dir,
                              struct config **ret_config,
                              struct error *error);
void config_close(struct config *config); /* NULL allowed */

/* As the verbs of the same name in store.h. */
enum err config_put_company(struct config *config,
                            struct company *company,
                            struct credential *first,
                            struct error *error);
enum err config_put_credential(struct config *config,
                               const struct credential *credential,
                               struct error *error);
enum err config_delete_credential(struct config *config, const char *api_id, struct error *error);
enum err config_put_webhook(struct config *config, struct webhook *webhook, struct error *error);
enum err config_delete_webhook(struct config *config, uint32_t number, struct error *error);
enum err config_webhook_url(
    struct config *config, uint32_t number, uint32_t revision, char **ret_url, struct error *error);
enum err
config_load(struct config *config, const struct store_conf_visitor *visitor, struct error *error);

#endif
