/* api.c: the three doors that http/server.h knocks at, and the state behind them. */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "base/mem.h"

/* The engine counts events until their whole commit is answered, we until they are themselves. Less
 * by one commit, it is us who refuse: we know whose part is used up. */
static size_t queue_events(const struct settings *settings)
{
    size_t all = (size_t)settings->commit_queue_events;
    size_t commit = (size_t)settings->commit_batch_items;

    return all - (commit < all / 2 ? commit : all / 2);
}

struct api *api_new(const struct settings *settings,
                    struct engine *engine,
                    const struct egress *egress,
                    const char *public_url)
{
    struct api *api = mem_zero(1, sizeof(*api));

    api->settings = settings;
    api->engine = engine;
    api->egress = egress;
    api->management = rate_new((uint32_t)settings->api_rate_limit, MS_PER_MIN);
    api->ingest = rate_new((uint32_t)settings->ingest_rate_limit, MS_PER_S);
    share_init(&api->queue, queue_events(settings));
    atomic_store(&api->refusal_logged_at, -MS_PER_S);
    api_set_public_url(api, public_url);
    return api;
}

void api_free(struct api *api)
{
    struct api_url *url, *older;

    if (api == NULL)
        return;
    for (url = atomic_load(&api->public_url); url != NULL; url = older) {
        older = url->older;
        free(url);
    }
    rate_free(api->management);
    rate_free(api->ingest);
    share_release(&api->queue);
    free(api);
}

void api_set_public_url(struct api *api, const char *public_url)
{
    size_t len = strlen(public_url);
    struct api_url *url;

    while (len > 0 && public_url[len - 1] == '/')
        len--;
    url = mem_alloc(sizeof(*url) + len + 1);
    memcpy(url->text, public_url, len);
    url->text[len] = '\0';
    url->older = atomic_load(&api->public_url);
    atomic_store(&api->public_url, url);
}

const char *api_public_url(struct api *api)
{
    return atomic_load(&api->public_url)->text;
}

void api_set_server(struct api *api, const struct http_server *server)
{
    atomic_store(&api->server, server);
}

static size_t route_limit(const struct api *api, const struct route *route)
{
    size_t request_bytes = api->settings->max_request_bytes;

    /* Or anybody could fill --max-waiting-bytes with bodies for /healthz. */
    if (route->body == ROUTE_NONE)
        return HTTP_BODY_DROPPED;
    if (route->body == ROUTE_EVENTS || request_bytes < API_OBJECT_BYTES)
        return request_bytes;
    return API_OBJECT_BYTES;
}

size_t api_body_limit(void *ctx, struct http_request *request)
{
    const struct call *call = call_of(ctx, request);

    http_request_set_owner(request, call->company);
    /* What the head refuses is refused before a byte of the body is kept. */
    return call->refusal != OK ? 0 : route_limit(ctx, call->match.route);
}

static void refuse_body(struct call *call, enum err code, size_t limit)
{
    if (code == ERR_LIMIT)
        call_fail_later(call, 429, 1, "too many request bodies are waiting; try again in a moment");
    else if (code == ERR_TOO_LARGE)
        call_fail(call, 413, "the body is over %zu bytes; send it in smaller parts", limit);
    else
        call_fail_code(call, code, NULL);
}

void api_refuse(void *ctx, struct http_request *request, enum err code)
{
    struct call *call = call_of(ctx, request);
    size_t limit;

    if (call_refused(call))
        return;
    limit = route_limit(ctx, call->match.route);
    refuse_body(call, code,
                limit == HTTP_BODY_DROPPED ? call->api->settings->max_discard_bytes : limit);
}

void api_handle(void *ctx, struct http_request *request)
{
    struct call *call = call_of(ctx, request);

    if (!call_refused(call))
        call->match.route->handle(call);
}

size_t api_control_body_limit(void *ctx, struct http_request *request)
{
    return API_OBJECT_BYTES;
}

void api_control_refuse(void *ctx, struct http_request *request, enum err code)
{
    refuse_body(call_of_control(ctx, request), code, API_OBJECT_BYTES);
}
