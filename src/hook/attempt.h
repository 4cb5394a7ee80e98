/* attempt.h: the records of a commit block: attempts and what happened to lanes. Pure.
 *
 * They are what recovery folds (lane.h) and what the delivery log shows. Encoded little-endian
 * with a leading format byte, so that later versions can add fields. */
#ifndef HOOK_ATTEMPT_H
#define HOOK_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "hook/event.h"

enum record_kind {
    RECORD_ATTEMPT = 1,
    RECORD_DEACTIVATED = 2, /* a lane's health: struct deactivation */
    RECORD_EXPIRED = 3,     /* struct expiry */
    RECORD_KEY = 4,         /* an idempotency key; delivery/keys */
    RECORD_LANE = 5,        /* snapshot of one lane; lane_encode */
    RECORD_SNAPSHOT_BEGIN = 6,
    RECORD_SNAPSHOT_END = 7,
    RECORD_REOPENED = 8 /* struct reopening */
};

enum outcome {
    OUTCOME_DELIVERED = 1,
    OUTCOME_RETRY = 2,  /* again at due_at */
    OUTCOME_FAILED = 3, /* the schedule is exhausted */
    OUTCOME_HELD = 4    /* failed while the webhook is or became inactive: waits for the enable */
};

struct attempt {
    uint32_t webhook;
    uint64_t sequence;
    /* 1 = first; goes on after an enable. With OUTCOME_FAILED also 0, or again the number of the
     * last one: the delivery is given up without a request (its event is gone). */
    uint32_t number;
    uint32_t epoch;        /* the webhook's when the attempt started */
    uint32_t url_revision; /* with which URL it was sent */
    uint64_t event_seq;
    uint64_t order_hash;
    wall_ms event_accepted_at;
    wall_ms started_at;
    int64_t sent_timestamp_s; /* the webhook-timestamp header */
    enum outcome outcome;
    wall_ms due_at;       /* OUTCOME_RETRY */
    uint8_t step;         /* index of the next delay in the retry schedule */
    bool counted;         /* counts as a failed request of its epoch */
    uint16_t http_status; /* 0 = no final response head */
    uint16_t error;       /* enum http_error by value of its slug table; 0 = none */
    bool reused, resumed;
    uint32_t dns_us, connect_us, tls_us, first_byte_us, total_us;
    uint8_t peer[16];   /* the address that was reached: 4 or 16 bytes, network order */
    uint8_t peer_len;   /* 0 = none was */
    struct span detail; /* exact words of the error, at most 160 bytes */
    struct span body;   /* first bytes of a failed response */
};

enum deactivation_reason { DEACTIVATED_FAILURES = 1, DEACTIVATED_GONE = 2 };

struct deactivation {
    uint32_t webhook;
    uint32_t epoch;
    wall_ms at;
    enum deactivation_reason reason;
};

/* Every sequence up to and including `through` that was still owed is given up. */
struct expiry {
    uint32_t webhook;
    uint64_t through;
    uint64_t count;
    wall_ms at;
};

/* Somebody asked for a delivery again: it is due at once, with its schedule restarted. */
struct reopening {
    uint32_t webhook;
    uint64_t sequence;
    uint64_t event_seq;
    uint64_t order_hash;
    wall_ms event_accepted_at;
    uint32_t attempts; /* so far; numbers go on */
    wall_ms at;
};

/* Encoders append; decoders' spans point into `bytes`; ERR_CORRUPT when it does not decode. */
void attempt_encode(struct buf *buf, const struct attempt *attempt);
MUST_USE enum err attempt_decode(struct span bytes, struct attempt *ret_attempt);
void deactivation_encode(struct buf *buf, const struct deactivation *deactivation);
MUST_USE enum err deactivation_decode(struct span bytes, struct deactivation *ret_deactivation);
void expiry_encode(struct buf *buf, const struct expiry *expiry);
MUST_USE enum err expiry_decode(struct span bytes, struct expiry *ret_expiry);
void reopening_encode(struct buf *buf, const struct reopening *reopening);
MUST_USE enum err reopening_decode(struct span bytes, struct reopening *ret_reopening);

#endif
