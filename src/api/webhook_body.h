/* webhook_body.h: the JSON object of a webhook: reading what clients send, writing what they get.
 */
#ifndef API_WEBHOOK_BODY_H
#define API_WEBHOOK_BODY_H

#include <jansson.h>

#include "base/buf.h"
#include "delivery/engine.h"
#include "hook/egress.h"

/* Fills *ret_patch from a body: url, custom_name, events, active; other fields are ignored, null
 * counts as absent. `action` is the query parameter events_action or NULL. The texts of the patch
 * point into `body`. ERR_INVALID with a sentence that names the field. Where the URL is refused,
 * the sentence is url.h's or egress.h's. */
MUST_USE enum err webhook_patch_read(const json_t *body,
                                     const char *action,
                                     const struct egress *egress,
                                     struct webhook_patch *ret_patch,
                                     struct error *error);

/* Appends the nine fields as an object. */
void webhook_add_json(struct buf *buf,
                      const struct webhook *webhook,
                      bool active,
                      const char *public_url);

#endif
