/* server_room.c: the memory of all request bodies: conf.waiting_bytes, shared by those who send.
 *
 * Who sends bodies slowly, or many at once, holds room that others need. So an owner of several
 * bodies may hold at most OWNER_SHARE times what is left free: one alone can take 7/8, two together
 * 14/15, and however many there are, something is left for the next. A single body is always let
 * in where it fits. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/server_private.h"

#define OWNER_SHARE 7

struct owner {
    size_t bytes;
    size_t bodies;
};

static struct owner *find_owner(struct http_server *server, uint64_t id)
{
    struct owner *owner = map_get(&server->owners, id);

    if (owner == NULL) {
        owner = mem_zero(1, sizeof *owner);
        map_put(&server->owners, id, owner);
    }
    return owner;
}

static void forget_empty(struct http_server *server, uint64_t id, struct owner *owner)
{
    if (owner->bodies > 0)
        return;
    map_remove(&server->owners, id);
    free(owner);
}

static bool take(struct http_server *server, struct owner *owner, bool first, size_t bytes)
{
    size_t used = atomic_load(&server->waiting_bytes);
    size_t room = server->conf.waiting_bytes - used;

    ASSERT(used <= server->conf.waiting_bytes);
    if (bytes > room)
        return false;
    if (owner != NULL && owner->bodies + first > 1 &&
        (owner->bytes + bytes) / OWNER_SHARE > room - bytes)
        return false;
    if (owner != NULL) {
        owner->bytes += bytes;
        owner->bodies += first;
    }
    atomic_fetch_add(&server->waiting_bytes, bytes);
    return true;
}

bool room_take(struct http_request *request, size_t bytes)
{
    struct http_server *server = request->server;
    bool first = request->body.cap == 0;
    struct owner *owner = NULL;
    bool taken;

    pthread_mutex_lock(&server->room_lock);
    if (request->owner != 0)
        owner = find_owner(server, request->owner);
    taken = take(server, owner, first, bytes);
    if (owner != NULL)
        forget_empty(server, request->owner, owner);
    pthread_mutex_unlock(&server->room_lock);
    return taken;
}

void room_give(struct http_request *request)
{
    struct http_server *server = request->server;
    struct owner *owner;

    if (request->body.cap == 0)
        return;
    pthread_mutex_lock(&server->room_lock);
    atomic_fetch_sub(&server->waiting_bytes, request->body.cap);
    if (request->owner != 0) {
        owner = map_get(&server->owners, request->owner);
        ASSERT(owner != NULL && owner->bytes >= request->body.cap && owner->bodies > 0);
        owner->bytes -= request->body.cap;
        owner->bodies--;
        forget_empty(server, request->owner, owner);
    }
    pthread_mutex_unlock(&server->room_lock);
}

void http_request_set_owner(struct http_request *request, uint64_t owner)
{
    ASSERT(request->body.cap == 0);
    request->owner = owner;
}
