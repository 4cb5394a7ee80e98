/* envelope.h: the bytes of a delivery: body parts and request head. Pure.
 *
 * Body: {"resource":R,"event":E,"timestamp":T,"token":K,"data":D} in this order; D is the
 * producer's bytes, spliced. The log rebuilds the head that was sent from the same function. */
#ifndef HOOK_ENVELOPE_H
#define HOOK_ENVELOPE_H

#include "base/buf.h"
#include "hook/event.h"
#include "hook/signature.h"
#include "hook/webhook.h"

/* Everything before the data; the data follows, then ENVELOPE_END. Replaces *prefix. */
#define ENVELOPE_END "}"
void envelope_prefix(struct buf *prefix, const struct event *event, const char *token);

struct envelope_head {
    const struct url *url;
    const struct event *event;
    uint64_t sequence;
    uint32_t attempt;
    int64_t timestamp_s; /* of this attempt: webhook-timestamp */
    size_t body_bytes;
    struct span signature; /* "v1,..." */
};

/* The complete request head, ending with an empty line. Replaces *head.
 * POST target, host, content-type, user-agent hookswitch/VERSION, content-length, webhook-id,
 * webhook-timestamp, webhook-signature, hookswitch-sequence, hookswitch-attempt,
 * aircall-origin: webhooks. */
void envelope_head(struct buf *head, const struct envelope_head *fields);

#endif
