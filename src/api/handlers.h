/* handlers.h: one function per public route. Each gets an admitted call (authenticated, within its
 * limit) and must lead to exactly one answer. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/call.h"

#define X(method, pattern, handler, access, body, summary) void handler(struct call *call);
/* webhooks_update has two routes; a repeated declaration is harmless. */
#include "api/routes.def"
#undef X

#endif
