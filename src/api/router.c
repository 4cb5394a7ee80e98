/* router.c: a table walked from top to bottom. Twenty routes do not want a tree. */
#include "api/router.h"

#include <string.h>

static bool matches(const char *pattern, struct span path, struct span *params)
{
    size_t at = 0, n = 0;

    while (*pattern != '\0') {
        if (pattern[0] == ':') {
            size_t len = span_find(span_from_at(path, at), '/');
            if (len == 0)
                return false;
            ASSERT(n < ROUTE_PARAMS_MAX);
            params[n++] = span_make(path.ptr + at, len);
            at += len;
            pattern += strcspn(pattern, "/");
        } else if (at < path.len && path.ptr[at] == *pattern) {
            at++;
            pattern++;
        } else {
            return false;
        }
    }
    return at == path.len;
}

enum err router_match(const struct route *routes,
                      size_t n_routes,
                      enum http_method method,
                      struct span path,
                      struct route_match *ret_match)
{
    struct route_match match = {NULL, 0, {{NULL, 0}}};

    if (method == HTTP_HEAD)
        method = HTTP_GET;
    for (size_t i = 0; i < n_routes; i++) {
        struct span params[ROUTE_PARAMS_MAX] = {{NULL, 0}};
        if (!matches(routes[i].pattern, path, params))
            continue;
        if (match.route == NULL || routes[i].method == method) {
            match.route = &routes[i];
            memcpy(match.params, params, sizeof(params));
        }
        match.methods |= 1U << routes[i].method;
        if (routes[i].method == method) {
            *ret_match = match;
            return OK;
        }
    }
    if (match.route == NULL)
        return ERR_NOT_FOUND;
    *ret_match = match;
    return ERR_METHOD;
}

void router_add_allow(struct buf *buf, unsigned methods)
{
    static const struct {
        enum http_method method;
        const char *text;
    } names[] = {
        {HTTP_GET, "GET, HEAD"}, {HTTP_POST, "POST"}, {HTTP_PUT, "PUT"}, {HTTP_DELETE, "DELETE"}};
    const char *comma = "";

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((methods & 1U << names[i].method) == 0)
            continue;
        buf_add_text(buf, comma);
        buf_add_text(buf, names[i].text);
        comma = ", ";
    }
}
