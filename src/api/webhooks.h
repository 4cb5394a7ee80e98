/* webhooks.h: what other resources need of webhooks. */
#ifndef API_WEBHOOKS_H
#define API_WEBHOOKS_H

#include "api/call.h"

/* The webhook that the first parameter of the path names, by UUID or integer id (webhook_release).
 * False when it answered 404. */
bool webhooks_find(struct call *call, struct webhook *ret_webhook);

#endif
