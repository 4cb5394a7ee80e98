/* changes.c: companies, credentials and webhooks: one change at a time, on the committer's thread.
 *
 * Durable (config.db) first, then the registry, then the ledger; a failure leaves all three as
 * they were. What a change needs to be random is made here, so that a caller cannot forget it. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/engine_private.h"
#include "sys/random.h"

static void company_add(struct engine *engine, struct change *change, wall_ms now)
{
    change->company.created_at = now;
    change->company.id = 0;
    change->credential.created_at = now;
    if (store_put_company(engine->store, &change->company, &change->credential, &change->result) !=
        OK)
        return;
    registry_put_company(engine->registry, &change->company);
    registry_put_credential(engine->registry, &change->credential);
}

static void credential_add(struct engine *engine, struct change *change, wall_ms now)
{
    struct company company;
    if (!registry_company(engine->registry, change->credential.company, &company)) {
        error_set(&change->result, ERR_NOT_FOUND, "there is no company %u",
                  change->credential.company);
        return;
    }
    change->company = company;
    change->credential.created_at = now;
    if (store_put_credential(engine->store, &change->credential, &change->result) != OK)
        return;
    registry_put_credential(engine->registry, &change->credential);
}

static void credential_revoke(struct engine *engine, struct change *change)
{
    struct credential *credentials = NULL;
    size_t n = registry_credentials(engine->registry, change->credential.company, &credentials);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found = found || strcmp(credentials[i].api_id, change->credential.api_id) == 0;
    free(credentials);
    if (!found) {
        error_set(&change->result, ERR_NOT_FOUND,
                  "the company has no credential '%s'; `hookswitch credential list` shows them",
                  change->credential.api_id);
        return;
    }
    if (store_delete_credential(engine->store, change->credential.api_id, &change->result) == OK)
        registry_delete_credential(engine->registry, change->credential.api_id);
}

static void patch_events(struct webhook *webhook, const struct webhook_patch *patch)
{
    switch (patch->events_action) {
    case PATCH_EVENTS_KEEP:
        break;
    case PATCH_EVENTS_ALL:
        webhook->all_events = true;
        break;
    case PATCH_EVENTS_REPLACE:
        webhook->all_events = false;
        webhook->events = patch->events;
        break;
    case PATCH_EVENTS_ADD:
        for (size_t i = 0; i < catalogue_size() && !webhook->all_events; i++)
            if (event_set_has(&patch->events, i))
                event_set_add(&webhook->events, i);
        break;
    case PATCH_EVENTS_REMOVE:
        if (webhook->all_events)
            for (size_t i = 0; i < catalogue_size(); i++)
                event_set_add(&webhook->events, i);
        webhook->all_events = false;
        for (size_t i = 0; i < catalogue_size(); i++)
            if (event_set_has(&patch->events, i))
                event_set_remove(&webhook->events, i);
        break;
    }
}

static void replace_text(char **text, const char *with)
{
    char *copy = mem_strdup(with);
    free(*text);
    *text = copy;
}

static void patch_webhook(struct webhook *webhook, const struct webhook_patch *patch, wall_ms now)
{
    if (patch->url != NULL && (webhook->url == NULL || strcmp(webhook->url, patch->url) != 0)) {
        replace_text(&webhook->url, patch->url);
        webhook->url_revision++;
    }
    if (patch->custom_name != NULL)
        replace_text(&webhook->custom_name, patch->custom_name);
    patch_events(webhook, patch);
    if (patch->active == 1) {
        webhook->paused = false;
        webhook->paused_at = 0;
        webhook->epoch++;
    } else if (patch->active == 0 && !webhook->paused) {
        webhook->paused = true;
        webhook->paused_at = now;
        webhook->epoch++;
    }
}

static void lane_is_active(void *ctx, const struct lane *lane)
{
    *(bool *)ctx = lane_active(lane);
}

/* Makes the webhook durable and current; on failure releases it and leaves the result. */
static bool webhook_put(struct engine *engine, struct change *change, struct webhook *webhook)
{
    if (store_put_webhook(engine->store, webhook, &change->result) != OK) {
        webhook_release(webhook);
        return false;
    }
    registry_put_webhook(engine->registry, webhook);
    ledger_configure(engine->ledger, webhook);
    change->webhook = *webhook;
    ledger_with(engine->ledger, webhook->number, lane_is_active, &change->active);
    return true;
}

static void webhook_create(struct engine *engine, struct change *change, wall_ms now)
{
    size_t limit = (size_t)engine->settings->max_webhooks;
    if (registry_webhook_count(engine->registry, change->company_id) >= limit) {
        error_set(&change->result, ERR_INVALID,
                  "the company has %zu webhooks, which is the limit; delete one that is not needed "
                  "any more",
                  limit);
        return;
    }
    struct webhook webhook = {0};
    uint8_t token[WEBHOOK_TOKEN_TEXT / 2];
    random_bytes(token, sizeof token);
    hex_encode(token, sizeof token, webhook.token);
    random_bytes(webhook.secret, sizeof webhook.secret);
    random_bytes(webhook.uuid, sizeof webhook.uuid);
    uuid_v4_set_bits(webhook.uuid);
    webhook.company = change->company_id;
    webhook.created_at = now;
    webhook.all_events = true;
    webhook.epoch = 1;
    struct webhook_patch patch = change->patch;
    if (patch.active == 1)
        patch.active = -1;
    patch_webhook(&webhook, &patch, now);
    webhook_put(engine, change, &webhook);
}

static const struct webhook *webhook_of(struct engine *engine, struct change *change)
{
    const struct webhook *webhook = registry_peek(engine->registry, change->webhook_number);
    if (webhook != NULL && webhook->company == change->company_id)
        return webhook;
    error_set(&change->result, ERR_NOT_FOUND, "there is no such webhook; it may have been deleted");
    return NULL;
}

/* Its counterpart, "webhook deactivated", is the courier's. */
static void tell_switched(const struct change *change, bool was_active)
{
    const struct webhook *webhook = &change->webhook;
    bool switched_by_hand = change->patch.active >= 0;
    if (!switched_by_hand || change->active == was_active)
        return;
    char uuid[WEBHOOK_UUID_TEXT + 1];
    webhook_uuid_text(webhook, uuid);
    LOG_FIELDS(LOG_LEVEL_INFO, change->active ? "webhook enabled" : "webhook switched off by hand",
               LOG_TEXT("webhook_id", uuid), LOG_NUM("company", webhook->company));
}

static bool webhook_update(struct engine *engine, struct change *change, wall_ms now)
{
    const struct webhook *current = webhook_of(engine, change);
    if (current == NULL)
        return false;
    bool was_active = false;
    ledger_with(engine->ledger, current->number, lane_is_active, &was_active);
    struct webhook webhook;
    webhook_copy(current, &webhook);
    patch_webhook(&webhook, &change->patch, now);
    if (!webhook_put(engine, change, &webhook))
        return false;
    tell_switched(change, was_active);
    if (change->patch.active == 1)
        atomic_fetch_add(&engine->metrics.enables, 1);
    return true;
}

static bool webhook_delete(struct engine *engine, struct change *change)
{
    if (webhook_of(engine, change) == NULL)
        return false;
    if (store_delete_webhook(engine->store, change->webhook_number, &change->result) != OK)
        return false;
    registry_delete_webhook(engine->registry, change->webhook_number);
    change->dropped = ledger_remove(engine->ledger, change->webhook_number);
    atomic_fetch_add(&engine->metrics.deliveries_dropped, change->dropped);
    return true;
}

void change_apply(struct engine *engine, struct change *change, wall_ms now, uint32_t *ret_webhook)
{
    *ret_webhook = 0;
    change->result = (struct error){.code = OK, .offset = ERROR_NO_OFFSET};
    switch (change->kind) {
    case CHANGE_COMPANY_ADD:
        company_add(engine, change, now);
        break;
    case CHANGE_CREDENTIAL_ADD:
        credential_add(engine, change, now);
        break;
    case CHANGE_CREDENTIAL_REVOKE:
        credential_revoke(engine, change);
        break;
    case CHANGE_WEBHOOK_CREATE:
        webhook_create(engine, change, now);
        *ret_webhook = change->webhook.number;
        break;
    case CHANGE_WEBHOOK_UPDATE:
        if (webhook_update(engine, change, now))
            *ret_webhook = change->webhook_number;
        break;
    case CHANGE_WEBHOOK_DELETE:
        if (webhook_delete(engine, change))
            *ret_webhook = change->webhook_number;
        break;
    }
}
