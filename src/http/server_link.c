/* server_link.c: the inbound connections, and how long each may take.
 *
 * libmicrohttpd closes a connection only when nothing at all comes: one byte a minute keeps it open
 * for ever, in the head, in the body and while an answer is read. So each phase has a deadline
 * here, and a thread looks once a second for connections that missed theirs. It shuts the socket
 * down, nothing else: libmicrohttpd finds that out by itself and ends the connection in its own
 * thread, as if the client had left.
 *
 * A link also remembers the request of its connection: libmicrohttpd 0.9.75 does not tell the end
 * of one whose head leaves no room for an error page, and anybody can send such heads. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "http/server_private.h"
#include "sys/clock.h"

#define NEVER     INT64_MAX
#define PERIOD_MS 1000

struct link *link_new(struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct link *link = mem_zero(1, sizeof *link);

    link->fd = info == NULL ? -1 : info->connect_fd;
    link_expect(link, LINK_HEAD, server->conf.head_timeout_s);
    pthread_mutex_lock(&server->links_lock);
    list_push_back(&server->links, &link->node);
    pthread_mutex_unlock(&server->links_lock);
    return link;
}

void link_free(struct http_server *server, struct link *link)
{
    /* Behind this lock the socket is not closed yet; after it nobody knows its number. */
    pthread_mutex_lock(&server->links_lock);
    list_remove(&link->node);
    pthread_mutex_unlock(&server->links_lock);
    free(link);
}

struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

void link_expect(struct link *link, enum link_phase phase, unsigned within_s)
{
    atomic_store(&link->phase, phase);
    atomic_store(&link->deadline, phase == LINK_NOTHING || within_s == 0
                                      ? NEVER
                                      : clock_mono_ms() + (mono_ms)within_s * MS_PER_S);
}

/* A client in the middle of its body has sent a whole head, so it can be told. What does not fit
 * into the socket's buffer is lost. */
static void send_timeout(const struct link *link, unsigned seconds)
{
    char body[200], text[400];
    int len =
        snprintf(body, sizeof body,
                 "{\"error\":\"Request Timeout\",\"troubleshoot\":\"the body was not complete "
                 "after %u s; send it faster or in smaller parts\",\"success\":false}",
                 seconds);

    len = snprintf(text, sizeof text,
                   "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                   "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   len, body);
    (void)!send(link->fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void sweep(struct http_server *server)
{
    mono_ms now = clock_mono_ms();
    struct list *node;

    LIST_FOREACH (node, &server->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (atomic_load(&link->deadline) > now)
            continue;
        if (atomic_load(&link->phase) == LINK_BODY && server->cert == NULL)
            send_timeout(link, server->conf.transfer_timeout_s);
        atomic_fetch_add(&server->timeouts, 1);
        atomic_store(&link->deadline, NEVER);
        (void)shutdown(link->fd, SHUT_RDWR);
    }
}

static void sweeper_main(void *arg)
{
    struct http_server *server = arg;
    struct timespec until;

    pthread_mutex_lock(&server->links_lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    while (!server->sweeper_stops) {
        until.tv_sec += PERIOD_MS / MS_PER_S;
        while (!server->sweeper_stops &&
               pthread_cond_timedwait(&server->sweeper_wake, &server->links_lock, &until) == 0)
            ;
        sweep(server);
    }
    pthread_mutex_unlock(&server->links_lock);
}

void sweeper_start(struct http_server *server)
{
    pthread_condattr_t attr;

    list_init(&server->links);
    pthread_mutex_init(&server->links_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->sweeper_wake, &attr);
    pthread_condattr_destroy(&attr);
    thread_start(&server->sweeper, "http-sweeper", sweeper_main, server);
}

void sweeper_stop(struct http_server *server)
{
    pthread_mutex_lock(&server->links_lock);
    server->sweeper_stops = true;
    pthread_cond_signal(&server->sweeper_wake);
    pthread_mutex_unlock(&server->links_lock);
    thread_join(&server->sweeper);
    ASSERT(list_empty(&server->links));
    pthread_cond_destroy(&server->sweeper_wake);
    pthread_mutex_destroy(&server->links_lock);
}
