/* api_private.h: the state that all requests share; only this room includes it. */
#ifndef API_API_PRIVATE_H
#define API_API_PRIVATE_H

#include <stdatomic.h>

#include "api/api.h"
#include "api/rate.h"
#include "sys/share.h"

/* Ceiling of a JSON object that a management call sends: a URL, a name and every event name that
 * there is fit many times. */
#define API_OBJECT_BYTES ((size_t)262144)

/* One URL that was set; older ones stay readable for the requests that hold them. */
struct api_url {
    struct api_url *older;
    char text[];
};

struct api {
    const struct settings *settings;
    struct engine *engine;
    const struct egress *egress;
    _Atomic(struct api_url *) public_url;
    _Atomic(const struct http_server *) server;
    struct rate *management; /* per minute */
    struct rate *ingest;     /* per second */
    struct share queue;      /* of the commit: events that are not answered yet */

    /* for GET /metrics */
    atomic_uint_fast64_t answers[6]; /* by the first digit of the status */
    atomic_uint_fast64_t refused_credentials;
    atomic_uint_fast64_t refused_rate;

    /* refused credentials are logged at most once a second */
    atomic_int_fast64_t refusal_logged_at; /* mono_ms */
    atomic_uint_fast64_t refusals_unlogged;
};

const char *api_public_url(struct api *api);

#endif
