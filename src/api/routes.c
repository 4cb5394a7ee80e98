/* routes.c: the public table, made from routes.def. */
#include "api/handlers.h"
#include "api/router.h"

const struct route api_routes[] = {
#define X(method, pattern, handler, access, body, summary) \
    {HTTP_##method, pattern, handler, ROUTE_##access, ROUTE_##body, summary},
#include "api/routes.def"
#undef X
};
const size_t n_api_routes = sizeof(api_routes) / sizeof(api_routes[0]);
