/* client.c: posts, hosts and their queues; the connections themselves are in conn.c.
 *
 * A host record exists per host:port that was used lately. Without connections and posts it is kept
 * for its TLS session, up to UNUSED_HOSTS_MAX records and an hour. */
#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/client_private.h"

enum { UNUSED_HOSTS_MAX = 8192, HOST_NAME_MAX_BYTES = 255 };
#define UNUSED_HOST_MS MS_PER_HOUR

static const struct {
    const char *slug;
    const char *sentence;
    bool local;
} errors[] = {
#define X(name, slug, sentence, local) {slug, sentence, local},
#include "http/client_error.def"
#undef X
};

const char *http_error_slug(enum http_error error)
{
    ASSERT(error < HTTP_ERROR_COUNT);
    return errors[error].slug;
}

const char *http_error_sentence(enum http_error error)
{
    ASSERT(error < HTTP_ERROR_COUNT);
    return errors[error].sentence;
}

bool http_error_is_local(enum http_error error)
{
    ASSERT(error < HTTP_ERROR_COUNT);
    return errors[error].local;
}

/* ---- hosts ---- */

/* "name", NUL, two bytes of port: unique, and the name can be used as a string. */
static struct span host_key(const char *name, uint16_t port, char *buffer)
{
    size_t len = strlen(name);
    ASSERT(len <= HOST_NAME_MAX_BYTES);
    memcpy(buffer, name, len + 1);
    memcpy(buffer + len + 1, &port, sizeof(port));
    return span_make(buffer, len + 1 + sizeof(port));
}

static struct host *host_find(const struct http_client *client, const char *name, uint16_t port)
{
    char buffer[HOST_NAME_MAX_BYTES + 3];
    return strmap_get(&client->hosts, host_key(name, port, buffer));
}

static void host_free(struct host *host)
{
    strmap_remove(&host->client->hosts, span_make(host->name, host->key_len));
    tls_session_release(&host->session);
    free(host);
}

static void host_forget(struct list *node)
{
    struct host *host = CONTAINER_OF(node, struct host, unused);
    list_remove(node);
    host->client->n_unused_hosts--;
    host_free(host);
}

static struct host *host_get(struct http_client *client, const char *name, uint16_t port)
{
    char buffer[HOST_NAME_MAX_BYTES + 3];
    struct span key = host_key(name, port, buffer);
    struct host *host = strmap_get(&client->hosts, key);
    if (host == NULL) {
        host = mem_zero(1, sizeof(*host) + key.len);
        memcpy(host->name, key.ptr, key.len);
        host->key_len = key.len;
        host->client = client;
        host->port = port;
        list_init(&host->unused);
        list_init(&host->idle);
        list_init(&host->waiting);
        strmap_put(&client->hosts, span_make(host->name, key.len), host);
    } else if (!list_empty(&host->unused)) {
        list_remove(&host->unused);
        client->n_unused_hosts--;
    }
    return host;
}

static void host_check_unused(struct host *host)
{
    struct http_client *client = host->client;
    mono_ms now = loop_now(client->loop);
    struct list *node, *next;
    if (host->n_conns > 0 || !list_empty(&host->waiting) || !list_empty(&host->unused))
        return;
    host->unused_since = now;
    list_push_back(&client->unused_hosts, &host->unused);
    client->n_unused_hosts++;
    LIST_FOREACH_SAFE (node, next, &client->unused_hosts) {
        struct host *oldest = CONTAINER_OF(node, struct host, unused);
        if (oldest == host || (client->n_unused_hosts <= UNUSED_HOSTS_MAX &&
                               now - oldest->unused_since < UNUSED_HOST_MS))
            return;
        host_forget(node);
    }
}

void host_pump(struct host *host)
{
    struct list *node;
    /* Opening may fail at once and come back here: the outer call goes on. */
    if (host->pumping)
        return;
    host->pumping = true;
    while (!list_empty(&host->waiting) &&
           (!list_empty(&host->idle) || host->n_conns < host->client->conf.host_connections)) {
        node = list_pop_front(&host->waiting);
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);
        loop_timer_clear(host->client->loop, &attempt->timer);
        if (!list_empty(&host->idle))
            conn_reuse(host, attempt);
        else
            conn_open(host, attempt);
    }
    host->pumping = false;
    host_check_unused(host);
}

bool client_close_oldest_idle(struct http_client *client)
{
    if (list_empty(&client->idle))
        return false;
    conn_close_spare(client->idle.next);
    return true;
}

/* ---- attempts ---- */

static void attempt_free(struct attempt *attempt)
{
    attempt->post->private_attempt = NULL;
    free(attempt->kept);
    free(attempt);
}

void attempt_finish(struct attempt *attempt, enum http_error error, const char *detail)
{
    struct http_client *client = attempt->host->client;
    struct http_post *post = attempt->post;
    post->result.error = error;
    if (detail != NULL)
        snprintf(post->result.detail, sizeof(post->result.detail), "%s", detail);
    if (post->result.total_us == 0)
        post->result.total_us = (uint32_t)(loop_now_us(client->loop) - attempt->started);
    attempt->conn = NULL;
    if (list_empty(&client->finished))
        loop_timer_set(client->loop, &client->finish_timer, loop_now(client->loop));
    list_push_back(&client->finished, &attempt->node);
}

/* `done` may post and cancel: the list is taken item by item. */
static void finish_fire(struct loop_timer *timer)
{
    struct http_client *client = CONTAINER_OF(timer, struct http_client, finish_timer);
    struct list taken;
    struct list *node;
    list_init(&taken);
    while ((node = list_pop_front(&client->finished)) != NULL)
        list_push_back(&taken, node);
    while ((node = list_pop_front(&taken)) != NULL) {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);
        struct http_post *post = attempt->post;
        char *kept = attempt->kept;
        post->result.body = span_make(kept, attempt->kept_len);
        attempt->kept = NULL;
        attempt_free(attempt);
        post->done(post);
        free(kept);
    }
}

static void waited_too_long(struct loop_timer *timer)
{
    struct attempt *attempt = CONTAINER_OF(timer, struct attempt, timer);
    struct host *host = attempt->host;
    list_remove(&attempt->node);
    attempt_finish(attempt, HTTP_ERR_TIMEOUT_WAIT, NULL);
    host_check_unused(host);
}

void http_client_post(struct http_client *client, struct http_post *post)
{
    struct host *host = host_get(client, post->host, post->port);
    struct attempt *attempt = mem_zero(1, sizeof(*attempt));
    memset(&post->result, 0, sizeof(post->result));
    post->result.retry_after_s = -1;
    post->private_attempt = attempt;
    attempt->post = post;
    attempt->host = host;
    attempt->started = loop_now_us(client->loop);
    attempt->deadline = attempt->started / 1000 + post->timeout_ms;
    list_init(&attempt->node);
    loop_timer_init(&attempt->timer, waited_too_long);
    client->stats.posts++;
    list_push_back(&host->waiting, &attempt->node);
    host_pump(host);
    if (host->waiting.prev == &attempt->node) /* still there */
        loop_timer_set(client->loop, &attempt->timer, attempt->deadline);
}

void http_client_cancel(struct http_client *client, struct http_post *post)
{
    struct attempt *attempt = post->private_attempt;
    ASSERT(attempt != NULL);
    struct host *host = attempt->host;
    loop_timer_clear(client->loop, &attempt->timer);
    list_remove(&attempt->node);
    struct conn *conn = attempt->conn;
    attempt_free(attempt);
    if (conn != NULL)
        conn_abandon(conn);
    else
        host_check_unused(host);
}

bool http_client_has_room(struct http_client *client, const char *host_name, uint16_t port)
{
    const struct host *host = host_find(client, host_name, port);
    return host == NULL ||
           (list_empty(&host->waiting) &&
            (!list_empty(&host->idle) || host->n_conns < client->conf.host_connections));
}

/* ---- the client ---- */

struct http_client *
http_client_new(struct loop *loop, const struct http_client_conf *conf, struct error *error)
{
    struct tls_trust *trust = tls_trust_new(conf->ca_file, error);
    if (trust == NULL)
        return NULL;
    struct resolver *resolver = resolver_new(loop, conf->dns_servers, error);
    if (resolver == NULL) {
        tls_trust_free(trust);
        return NULL;
    }
    struct http_client *client = mem_zero(1, sizeof(*client));
    client->loop = loop;
    client->conf = *conf;
    client->trust = trust;
    client->resolver = resolver;
    strmap_init(&client->hosts);
    list_init(&client->unused_hosts);
    list_init(&client->idle);
    list_init(&client->draining);
    list_init(&client->finished);
    loop_timer_init(&client->finish_timer, finish_fire);
    return client;
}

void http_client_free(struct http_client *client)
{
    struct map_iter iter = {0};
    struct list *node, *next;
    void *value;
    if (client == NULL)
        return;
    ASSERT(list_empty(&client->finished));
    LIST_FOREACH_SAFE (node, next, &client->idle)
        conn_close_spare(node);
    LIST_FOREACH_SAFE (node, next, &client->draining)
        conn_close_spare(node);
    LIST_FOREACH_SAFE (node, next, &client->unused_hosts)
        host_forget(node);
    ASSERT(!strmap_next(&client->hosts, &iter, NULL, &value));
    loop_timer_clear(client->loop, &client->finish_timer);
    strmap_release(&client->hosts);
    resolver_free(client->resolver);
    tls_trust_free(client->trust);
    free(client);
}

const struct http_client_stats *http_client_stats(const struct http_client *client)
{
    return &client->stats;
}
