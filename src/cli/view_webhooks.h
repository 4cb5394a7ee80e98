/* view_webhooks.h: webhooks as text. */
#ifndef CLI_VIEW_WEBHOOKS_H
#define CLI_VIEW_WEBHOOKS_H

#include "cli/view.h"

/* {"webhooks":[...]}: a table. */
view_fn view_webhook_list;
/* {"webhook":{...},"status":{...},"secret":"..."}; status and secret may be absent, and the token
 * is shown beside the secret only. */
view_fn view_webhook;
/* The answer of PUT {"webhook":{...}}: what it does from now on. */
view_fn view_webhook_switched;

#endif
