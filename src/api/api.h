/* api.h: the HTTP face: what a request means, and what it is answered. docs/api.md is the contract.
 *
 * Stands between http/server.h (which knows no route) and delivery/engine.h (which knows no HTTP).
 * It never reads a socket, never touches the store but through the engine, and keeps nothing about
 * a request beyond its answer; what it does keep (one small counter per company and limit) is
 * bounded by the number of companies. Every handler answers exactly once, some of them later, from
 * the committer's thread. */
#ifndef API_API_H
#define API_API_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/settings.h"
#include "delivery/engine.h"
#include "hook/egress.h"
#include "http/server.h"

struct api;

/* All pointers are borrowed until api_free, but public_url, which is copied: scheme and authority
 * for the links in answers ("http://127.0.0.1:8080"); a slash at its end is cut. */
struct api *api_new(const struct settings *settings,
                    struct engine *engine,
                    const struct egress *egress,
                    const char *public_url);
/* NULL allowed. Both servers must have been stopped. */
void api_free(struct api *api);

/* Replaces the public URL (the port is known only after the bind). One thread; requests may be
 * running meanwhile. */
void api_set_public_url(struct api *api, const char *public_url);
/* Whose figures GET /metrics shows; borrowed; NULL again before that server is stopped. */
void api_set_server(struct api *api, const struct http_server *server);

/* For struct http_server_conf of the public listener; ctx is the struct api. */
size_t api_body_limit(void *ctx, struct http_request *request);
void api_refuse(void *ctx, struct http_request *request, enum err code);
void api_handle(void *ctx, struct http_request *request);

/* The same for the control socket in the data directory: no credentials, for it is reached by who
 * may read that directory. Handlers wait for the commit, so it must not share its threads with the
 * public listener. */
size_t api_control_body_limit(void *ctx, struct http_request *request);
void api_control_refuse(void *ctx, struct http_request *request, enum err code);
void api_control_handle(void *ctx, struct http_request *request);

/* What a control request does, without a server: local commands when none runs. `method` is
 * "GET", "POST" or "DELETE"; `path` begins with /control/ and has its names percent-encoded;
 * `body` is borrowed, NULL = none. Waits until a change is durable and in force.
 * Always fills *ret_status and *ret_answer (json_decref by the caller; NULL for 204); returns OK
 * for 2xx, else the code whose exit status the command ends with. The sentence for the user is in
 * the answer's "troubleshoot". Not on the committer's thread. */
MUST_USE enum err api_control_call(struct engine *engine,
                                   const char *method,
                                   const char *path,
                                   const json_t *body,
                                   int *ret_status,
                                   json_t **ret_answer);

#endif
