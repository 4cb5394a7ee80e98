/* client.h: the outbound HTTP/1.1 client: POST over TLS, keep-alive, one deadline.
 *
 * One client per courier loop; not thread-safe. It knows HTTP, TLS and names, no policy: which
 * address may be used is asked of `allow`, what an outcome means is decided by hook/verdict.
 * Connections, TLS sessions, DNS answers and the per-host ceiling are private to the client. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "sys/loop.h"

/* Why a request did not get a final response head. The slug and the sentence are in
 * http/client_error.def; the sentence of a result may be more exact (`detail`).
 * LOCAL ones are our own trouble: never counted against the receiver. */
enum http_error {
#define X(name, slug, sentence, local) name,
#include "http/client_error.def"
#undef X
    HTTP_ERROR_COUNT
};

const char *http_error_slug(enum http_error error);
const char *http_error_sentence(enum http_error error);
bool http_error_is_local(enum http_error error);

struct http_client_conf {
    /* false = the egress guard refuses this address. Called at connect time for every address. */
    bool (*allow)(void *ctx, const struct sockaddr *address);
    void *allow_ctx;
    const char *ca_file;       /* extra trust beside the system store; NULL = none */
    unsigned host_connections; /* ceiling of connections per host:port, 1..1000 */
    unsigned idle_connections; /* ceiling of idle ones in all; least recently used closed first */
    int idle_timeout_ms;       /* idle connections are closed after this */
    size_t head_bytes;         /* ceiling of a response head, 1xx included (64 KiB) */
    size_t drain_bytes;        /* ceiling of a response body that is read to keep a connection */
    size_t keep_body_bytes;    /* first bytes of the body of a failed response that are kept */
    bool plain_http;           /* benchmarks only: no TLS */
    const char *dns_servers;   /* tests only: "ADDR:PORT,..."; NULL = resolv.conf */
};

/* One POST. All memory is the caller's and stays valid until `done` was called. The head is
 * complete: request line, Host, Content-Length and all fields, ending with an empty line. */
struct http_post {
    const char *host; /* for DNS, SNI and verification; lower case; no brackets around IPv6 */
    uint16_t port;
    struct span head;
    struct span body[3]; /* spliced; unused ones empty */
    int timeout_ms;      /* one deadline, from now to the end of the final response head */
    void (*done)(struct http_post *post);

    /* Filled before `done`. */
    struct {
        enum http_error error;
        unsigned status;       /* 0 when there was no final response head */
        int64_t retry_after_s; /* from Retry-After (seconds or date); -1 absent */
        bool reused;           /* ran on a kept connection */
        bool resumed;          /* TLS session resumed */
        /* Phases; 0 = did not happen. The last one of a failure ends with the failure. */
        uint32_t dns_us, connect_us, tls_us, first_byte_us, total_us;
        char detail[160];             /* "certificate has expired"; empty = use the sentence */
        struct span body;             /* first bytes of a non-2xx body; valid until done returns */
        struct sockaddr_storage peer; /* address used; ss_family 0 when none was reached */
    } result;

    void *private_attempt; /* the client's; NULL outside */
};

struct http_client;

/* NULL with *error filled when the trust store or the resolver cannot be set up. */
struct http_client *
http_client_new(struct loop *loop, const struct http_client_conf *conf, struct error *error);
/* Every started post must be done or cancelled. NULL allowed. */
void http_client_free(struct http_client *client);

/* Starts; `done` is called later from the loop, never from inside this call, exactly once.
 * Waits (inside its deadline) when the host is at its connection ceiling. */
void http_client_post(struct http_client *client, struct http_post *post);
/* Ends it at once without calling `done`. */
void http_client_cancel(struct http_client *client, struct http_post *post);

/* True when a further post to host:port would start without waiting for the host's ceiling. */
bool http_client_has_room(struct http_client *client, const char *host, uint16_t port);

/* Gauges and counters for /metrics; readable on the loop's thread only. */
struct http_client_stats {
    uint64_t posts, reused, handshakes, resumed, stale_retries, dns_queries;
    uint64_t connections, idle_connections;
};
const struct http_client_stats *http_client_stats(const struct http_client *client);

#endif
