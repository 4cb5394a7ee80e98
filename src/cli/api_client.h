/* api_client.h: one call to a server's public API (docs/api.md), over HTTP or HTTPS.
 *
 * libcurl does the work: certificates are verified, redirects are not followed (they would carry
 * the credentials to wherever they point), nothing but http and https is spoken, 30 seconds are
 * the limit. Knows nothing of commands and of what answers mean beyond refusals. Not for
 * deliveries: those have a client of their own on the event loop. */
#ifndef CLI_API_CLIENT_H
#define CLI_API_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define API_DEFAULT_URL "http://127.0.0.1:8080"
#define API_TIMEOUT_S   30
#define API_ANSWER_MAX  (64 * 1024 * 1024)
#define API_KEY_MAX     255 /* bytes of an Idempotency-Key */

/* Whom to call and as whom; nothing is owned. */
struct api_target {
    const char *url;     /* as api_base_url left it */
    const char *api_id;  /* NULL = the token alone, as Bearer */
    const char *token;   /* required */
    const char *ca_file; /* PEM of the only authorities to trust; NULL = the system's */
};

struct api_request {
    const char *method;
    const char *path;            /* from "/v1/" on, encoded, with its query */
    struct span body;            /* JSON; empty = none */
    const char *idempotency_key; /* NULL = none */
};

/* Checks the base URL that a user gave (scheme http or https, a host, no user name, query or
 * fragment) and appends it without a trailing slash or "/v1". ERR_USAGE with a sentence. */
MUST_USE enum err api_base_url(const char *text, struct buf *ret_url, struct error *error);

/* Tokens and ids are visible ASCII; an id has no ':' because Basic ends it there. ERR_USAGE. */
MUST_USE enum err api_check_credentials(const struct api_target *target, struct error *error);

/* Sends, waits and appends the body of a 2xx answer. Every other answer is an error with the
 * server's own sentence where it has one; ERR_IO when there was no answer. Blocks. */
MUST_USE enum err api_call(const struct api_target *target,
                           const struct api_request *request,
                           struct buf *ret_body,
                           struct error *error);

/* The error of an answer that is no 2xx; `url` is the base that was called. Never OK. */
enum err api_refusal(long status, struct span body, const char *url, struct error *error);

#endif
