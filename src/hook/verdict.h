/* verdict.h: what an HTTP outcome means for a delivery. Pure.
 * Source: the delivery rules (success is 2xx; 410 = gone; ours is never counted). */
#ifndef HOOK_VERDICT_H
#define HOOK_VERDICT_H

#include "hook/lane.h"
#include "http/client.h"

enum verdict verdict_of(enum http_error error, unsigned status);

/* What the same outcome says about the receiver: hook/window.h and hook/breaker.h act on it. A
 * 4xx is a failed request, yet the site is alive; a 500 may be the fault of one event.
 *
 *   2xx, 3xx, 4xx                                   GOOD
 *   410; ours; address refused by the egress guard  NONE
 *   500, 501, 505 ...                               NEUTRAL
 *   429, 503                                        SUSPEND
 *   502, 504; an answer that is not HTTP            BAD
 *   refused, reset, DNS, TLS, time-out              COHORT
 */
enum signal_kind {
    SIGNAL_GOOD,    /* grows the window, and makes the webhook proven */
    SIGNAL_NONE,    /* says nothing */
    SIGNAL_NEUTRAL, /* neither grows nor shrinks; the cohort stays */
    SIGNAL_SUSPEND, /* wait as told, then a smaller window */
    SIGNAL_BAD,     /* a smaller window */
    SIGNAL_COHORT,  /* a smaller window, and perhaps dead */
};
enum signal_kind signal_of(enum http_error error, unsigned status);

/* One line for people: "HTTP 503", "time-out while waiting for the response", "the certificate is
 * not trusted: self-signed certificate", or the detail alone. */
void verdict_text(struct buf *buf, enum http_error error, unsigned status, struct span detail);

#endif
