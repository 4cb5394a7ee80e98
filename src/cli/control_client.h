/* control_client.h: how local commands reach the data: through the control socket of the server
 * that holds the data directory, or by opening the directory themselves when nobody does. */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include <jansson.h>

#include "base/err.h"
#include "base/settings.h"
#include "base/span.h"

/* Does one control request and returns when its change is in force. `path` has its names
 * percent-encoded; `body` is borrowed, NULL = none. *ret_answer is the caller's (json_decref), NULL
 * for an answer without body. Waits up to some seconds for a server that is starting or leaving.
 * Errors carry the sentence of whoever refused. */
MUST_USE enum err control_call(const struct settings *settings,
                               const char *method,
                               const char *path,
                               const json_t *body,
                               json_t **ret_answer,
                               struct error *error);

/* An HTTP answer as it came from the socket: its status and body. False when it is not one whole
 * answer with Content-Length (or none). Pure; the span points into `bytes`. */
bool control_parse_answer(struct span bytes, unsigned *ret_status, struct span *ret_body);

#endif
