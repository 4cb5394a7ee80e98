/* webhook.h: what a webhook is (its health is folded from the log: lane.h). Pure.
 *
 * Intent lives here and in config.db: URL, events, paused. `epoch` grows by one with every enable
 * (and every pause); attempts and deactivations carry it, and those of an older epoch are logged
 * but not counted. A webhook is active when it is not paused and its lane holds no deactivation
 * of the current epoch. */
#ifndef HOOK_WEBHOOK_H
#define HOOK_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "hook/catalogue.h"
#include "http/url.h"

#define WEBHOOK_NAME_MAX     255 /* characters of custom_name */
#define WEBHOOK_TOKEN_TEXT   32  /* hex digits of 128 random bits */
#define WEBHOOK_SECRET_BYTES 32
#define WEBHOOK_SECRET_TEXT  50 /* "whsec_" + 44 base64 */
#define WEBHOOK_UUID_TEXT    36

struct webhook {
    uint32_t number; /* also the public integer id, 1..2^31-1, never reused */
    uint32_t company;
    uint8_t uuid[16];
    char token[WEBHOOK_TOKEN_TEXT + 1]; /* unique per server */
    uint8_t secret[WEBHOOK_SECRET_BYTES];
    char *custom_name;       /* owned; NULL = not set, shown as "Webhook" */
    char *url;               /* owned; byte for byte as given */
    uint32_t url_revision;   /* grows with each change of url; old ones are kept */
    bool all_events;         /* also those that the catalogue gains later */
    struct event_set events; /* meaningful when !all_events */
    bool paused;             /* switched off by hand */
    wall_ms paused_at;
    uint32_t epoch; /* from 1 */
    wall_ms created_at;
};

void webhook_release(struct webhook *webhook);                         /* frees the owned texts */
void webhook_copy(const struct webhook *from, struct webhook *ret_to); /* deep */
bool webhook_wants(const struct webhook *webhook, size_t event_type);

/* Texts: NUL-terminated, into buffers of the *_TEXT size + 1. */
void webhook_uuid_text(const struct webhook *webhook, char *ret_text);
void webhook_secret_text(const struct webhook *webhook, char *ret_text);

/* ERR_INVALID with a sentence: not UTF-8, control characters, over WEBHOOK_NAME_MAX characters.
 * Empty is allowed. */
MUST_USE enum err webhook_check_name(struct span name, struct error *error);

#endif
