/* memory_config.c: companies, credentials and webhooks of the memory engine. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/memory/memory.h"

void memory_config_release(struct world *world)
{
    for (size_t i = 0; i < world->n_webhooks; i++)
        webhook_release(&world->webhooks[i]);
    for (size_t i = 0; i < world->n_urls; i++)
        free(world->urls[i].url);
    free(world->companies);
    free(world->credentials);
    free(world->webhooks);
    free(world->urls);
}

/* Under the lock: the index of the credential, or n_credentials. */
static size_t find_credential(const struct world *world, const char *api_id);

static void add_credential(struct world *world, const struct credential *credential)
{
    world->credentials = memory_grow(world->credentials, world->n_credentials,
                                     &world->cap_credentials, sizeof(*world->credentials));
    world->credentials[world->n_credentials++] = *credential;
}

enum err memory_put_company(struct store *store,
                            struct company *company,
                            struct credential *first,
                            struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    size_t at = SIZE_MAX;
    enum err err = OK;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < world->n_companies && err == OK; i++) {
        if (company->id != 0 && world->companies[i].id == company->id)
            at = i;
        else if (strcmp(world->companies[i].name, company->name) == 0)
            err =
                error_set(error, ERR_EXISTS,
                          "there is a company \"%s\" already; choose another name", company->name);
    }
    if (err == OK && first != NULL && find_credential(world, first->api_id) < world->n_credentials)
        err = error_set(error, ERR_EXISTS, "there is a credential with this api_id already");
    if (err == OK)
        err = memory_touch_disk(s, error);
    if (err == OK) {
        if (company->id == 0)
            company->id = world->last_company + 1;
        if (company->id > world->last_company)
            world->last_company = company->id;
        if (at == SIZE_MAX) {
            world->companies = memory_grow(world->companies, world->n_companies,
                                           &world->cap_companies, sizeof(*world->companies));
            at = world->n_companies++;
        }
        world->companies[at] = *company;
        if (first != NULL) {
            first->company = company->id;
            add_credential(world, first);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

static size_t find_credential(const struct world *world, const char *api_id)
{
    size_t at = 0;
    while (at < world->n_credentials && strcmp(world->credentials[at].api_id, api_id) != 0)
        at++;
    return at;
}

enum err
memory_put_credential(struct store *store, const struct credential *credential, struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    enum err err = OK;
    pthread_mutex_lock(&s->lock);
    if (find_credential(world, credential->api_id) < world->n_credentials)
        err = error_set(error, ERR_EXISTS, "there is a credential with this api_id already");
    if (err == OK)
        err = memory_touch_disk(s, error);
    if (err == OK)
        add_credential(world, credential);
    pthread_mutex_unlock(&s->lock);
    return err;
}

enum err memory_delete_credential(struct store *store, const char *api_id, struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    pthread_mutex_lock(&s->lock);
    size_t at = find_credential(world, api_id);
    enum err err = memory_touch_disk(s, error);
    if (err == OK && at == world->n_credentials)
        err = error_set(error, ERR_NOT_FOUND, "there is no such credential");
    if (err == OK) {
        world->n_credentials--;
        memmove(world->credentials + at, world->credentials + at + 1,
                (world->n_credentials - at) * sizeof(*world->credentials));
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* --- webhooks --- */

static void keep_url(struct world *world, const struct webhook *webhook)
{
    for (size_t i = 0; i < world->n_urls; i++) {
        struct memory_url *one = &world->urls[i];
        if (one->number != webhook->number || one->revision != webhook->url_revision)
            continue;
        char *copy = mem_strdup(webhook->url);
        free(one->url);
        one->url = copy;
        return;
    }
    world->urls = memory_grow(world->urls, world->n_urls, &world->cap_urls, sizeof(*world->urls));
    world->urls[world->n_urls++] = (struct memory_url){.number = webhook->number,
                                                       .revision = webhook->url_revision,
                                                       .url = mem_strdup(webhook->url)};
}

/* Keeps the array ascending by number. */
static void keep_webhook(struct world *world, const struct webhook *webhook)
{
    size_t at = 0;
    while (at < world->n_webhooks && world->webhooks[at].number < webhook->number)
        at++;
    struct webhook copy;
    webhook_copy(webhook, &copy);
    if (at < world->n_webhooks && world->webhooks[at].number == webhook->number) {
        webhook_release(&world->webhooks[at]);
    } else {
        world->webhooks = memory_grow(world->webhooks, world->n_webhooks, &world->cap_webhooks,
                                      sizeof(*world->webhooks));
        memmove(world->webhooks + at + 1, world->webhooks + at,
                (world->n_webhooks - at) * sizeof(*world->webhooks));
        world->n_webhooks++;
    }
    world->webhooks[at] = copy;
}

enum err memory_put_webhook(struct store *store, struct webhook *webhook, struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    enum err err = OK;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < world->n_webhooks && err == OK; i++) {
        const struct webhook *one = &world->webhooks[i];
        if (one->number != webhook->number &&
            (strcmp(one->token, webhook->token) == 0 ||
             memcmp(one->uuid, webhook->uuid, sizeof one->uuid) == 0))
            err =
                error_set(error, ERR_EXISTS, "there is a webhook with this token or uuid already");
    }
    if (err == OK)
        err = memory_touch_disk(s, error);
    if (err == OK) {
        if (webhook->number == 0)
            webhook->number = world->last_webhook + 1;
        if (webhook->number > world->last_webhook)
            world->last_webhook = webhook->number;
        keep_webhook(world, webhook);
        keep_url(world, webhook);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

enum err memory_delete_webhook(struct store *store, uint32_t number, struct error *error)
{
    struct memory_store *s = memory_of(store);
    struct world *world = s->world;
    pthread_mutex_lock(&s->lock);
    size_t at = 0;
    while (at < world->n_webhooks && world->webhooks[at].number != number)
        at++;
    enum err err = memory_touch_disk(s, error);
    if (err == OK && at == world->n_webhooks)
        err = error_set(error, ERR_NOT_FOUND, "there is no such webhook");
    if (err == OK) {
        webhook_release(&world->webhooks[at]);
        world->n_webhooks--;
        memmove(world->webhooks + at, world->webhooks + at + 1,
                (world->n_webhooks - at) * sizeof(*world->webhooks));
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

enum err memory_webhook_url(
    struct store *store, uint32_t number, uint32_t revision, char **ret_url, struct error *error)
{
    struct memory_store *s = memory_of(store);
    const struct world *world = s->world;
    *ret_url = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < world->n_urls && *ret_url == NULL; i++)
        if (world->urls[i].number == number && world->urls[i].revision == revision)
            *ret_url = mem_strdup(world->urls[i].url);
    pthread_mutex_unlock(&s->lock);
    return OK;
}

enum err
memory_load_conf(struct store *store, const struct store_conf_visitor *visitor, struct error *error)
{
    struct memory_store *s = memory_of(store);
    const struct world *world = s->world;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < world->n_companies; i++)
        visitor->company(visitor->ctx, &world->companies[i]);
    for (size_t i = 0; i < world->n_credentials; i++)
        visitor->credential(visitor->ctx, &world->credentials[i]);
    for (size_t i = 0; i < world->n_webhooks; i++)
        visitor->webhook(visitor->ctx, &world->webhooks[i]);
    pthread_mutex_unlock(&s->lock);
    return OK;
}
