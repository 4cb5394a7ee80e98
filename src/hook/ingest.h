/* ingest.h: the body of POST /v1/events, validated and cut into spans. Pure. */
#ifndef HOOK_INGEST_H
#define HOOK_INGEST_H

#include "base/err.h"
#include "base/span.h"
#include "hook/catalogue.h"

struct ingest_event {
    int type;              /* catalogue index */
    struct span data;      /* the object's bytes, without surrounding white space */
    struct span order_key; /* raw scalar at the type's order path, or empty */
    bool has_timestamp;
    int64_t timestamp_s;
};

struct ingest_error {
    size_t index;  /* of the event in the batch; 0 for a single one or the document itself */
    size_t offset; /* byte of the body */
    char message[300];
};

struct ingest_limits {
    size_t max_events;      /* 1000 */
    size_t max_event_bytes; /* 1 MiB, of one event's text */
};

/* Bytes of an order key as written: it is kept with every retry of its event. */
#define INGEST_ORDER_KEY_MAX 512

#define INGEST_ERRORS_MAX 20

struct ingest {
    bool batch;                  /* {"events": [...]} */
    struct ingest_event *events; /* owned */
    size_t n_events;
    struct ingest_error errors[INGEST_ERRORS_MAX];
    size_t n_errors;
};

/* ERR_INVALID (or ERR_TOO_LARGE when one event is over its limit) with errors filled: all events
 * are checked, up to INGEST_ERRORS_MAX errors are told; a syntax error ends the search.
 * Refused: unknown event, missing event or data, data not an object, timestamp not an integer of
 * 0..253402300799, unknown or repeated keys, empty or too long batch, invalid JSON or UTF-8,
 * trailing bytes, depth over 64. ingest_release in any case. */
MUST_USE enum err
ingest_parse(struct span body, const struct ingest_limits *limits, struct ingest *ret_ingest);
void ingest_release(struct ingest *ingest);

#endif
