/* verdict.h: what an HTTP outcome means for a delivery. Pure.
 * Source: the delivery rules (success is 2xx; 410 = gone; ours is never counted). */
#ifndef HOOK_VERDICT_H
#define HOOK_VERDICT_H

#include "hook/lane.h"
#include "http/client.h"

enum verdict verdict_of(enum http_error error, unsigned status);

/* One line for people: "HTTP 503", "time-out while waiting for the response", "the certificate is
 * not trusted: self-signed certificate", or the detail alone. */
void verdict_text(struct buf *buf, enum http_error error, unsigned status, struct span detail);

#endif
