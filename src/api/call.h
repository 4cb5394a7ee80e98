/* call.h: one request on its way through the API: who calls, what route, and how it is answered.
 *
 * The call is the request's state: it lives until the answer was sent. Every answering function
 * ends it: neither the call nor anything that it owns may be touched afterwards. */
#ifndef API_CALL_H
#define API_CALL_H

#include <jansson.h>

#include "api/api_private.h"
#include "api/router.h"
#include "base/buf.h"

struct call {
    struct api *api;
    struct http_request *request;
    struct route_match match;
    enum err refusal; /* OK, or why the head alone is refused */
    uint32_t company; /* by the credentials; 0 = open route or refused */
    struct rate_view rate;
    bool limited;                 /* `rate` is set */
    size_t queued;                /* events taken from api.queue */
    struct ingest_request ingest; /* POST /v1/events: lives here to save an allocation */
};

/* The call of a request: made (and authenticated) at the first use. */
struct call *call_of(struct api *api, struct http_request *request);
/* A call for a request of the control socket: known, without a limit. */
struct call *call_of_control(struct api *api, struct http_request *request);

/* Answers what the head alone refuses (404, 405, 401, 403, 429): true when it did. */
bool call_refused(struct call *call);
/* Charges events to the ingest limit: false when it answered 429. */
bool call_charge_events(struct call *call, size_t n_events);

/* --- answers --- */

/* Takes *body. */
void call_answer(struct call *call, unsigned status, struct buf *body);
void call_answer_text(struct call *call,
                      unsigned status,
                      const char *content_type,
                      struct buf *body);
/* {"error","troubleshoot","success":false}; the sentence says what is wrong and what to do. */
void call_fail(struct call *call, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The status and, where `message` is empty or NULL, the sentence of the code. What the caller
 * cannot mend (5xx but shutdown and full) is logged with its message and told in general words. */
void call_fail_code(struct call *call, enum err code, const char *message);
/* 429 with Retry-After. */
void call_fail_later(struct call *call,
                     unsigned status,
                     unsigned retry_after_s,
                     const char *fmt,
                     ...) PRINTF_LIKE(4, 5);
/* Appends the three fields without the closing brace, for answers that say more. */
void call_add_failure(struct buf *buf, unsigned status, struct span sentence);

/* --- reading --- */

/* The body as a JSON object (json_decref), or NULL when it answered 400 or 415. */
json_t *call_object(struct call *call);
/* False when it answered 415: there is a body and its type is not JSON. */
bool call_body_is_json(struct call *call);
/* "a string", "a number" ...: for sentences about wrong types. */
const char *value_kind(const json_t *value);

/* Appends "2026-01-31T23:59:59.123Z" with quotes, or null for 0 and WALL_NEVER. */
void buf_add_wall(struct buf *buf, wall_ms time);

#endif
