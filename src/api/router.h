/* router.h: which entry of a table of routes a request means. Pure. */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "http/server.h"

struct call;

enum route_access { ROUTE_OPEN, ROUTE_MANAGEMENT, ROUTE_INGEST };
enum route_body { ROUTE_NONE, ROUTE_OBJECT, ROUTE_EVENTS };

struct route {
    enum http_method method;
    const char *pattern;
    void (*handle)(struct call *call);
    enum route_access access;
    enum route_body body;
    const char *summary;
};

#define ROUTE_PARAMS_MAX 2

struct route_match {
    const struct route *route;            /* for ERR_METHOD: the first one of that path */
    unsigned methods;                     /* which the path knows: bit 1 << enum http_method */
    struct span params[ROUTE_PARAMS_MAX]; /* of ":name" in order, as sent, into the path */
};

/* The public table (routes.def). */
extern const struct route api_routes[];
extern const size_t n_api_routes;

/* OK, ERR_METHOD (the path exists, not with this method) or ERR_NOT_FOUND. HEAD finds the routes
 * of GET. Bytes are compared as sent: an encoded letter is another path. Cost: linear in the
 * table, well under a microsecond for twenty routes. */
MUST_USE enum err router_match(const struct route *routes,
                               size_t n_routes,
                               enum http_method method,
                               struct span path,
                               struct route_match *ret_match);

/* The value of an Allow field: "GET, HEAD, PUT". */
void router_add_allow(struct buf *buf, unsigned methods);

#endif
