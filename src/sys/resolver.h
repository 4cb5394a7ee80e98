/* resolver.h: host names to addresses on a loop, with a cache; never blocks on the network.
 *
 * One per loop; not thread-safe. c-ares does the asking (A and AAAA, no search domains, /etc/hosts
 * first). Literal addresses and `localhost` (RFC 6761) are answered without asking anyone. Answers
 * are kept for their TTL, 1 to 60 s; "no" and failures 1 s. Equal questions in flight are one.
 * Cached names are limited to RESOLVER_NAMES_MAX, least recently asked dropped first. */
#ifndef SYS_RESOLVER_H
#define SYS_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "sys/loop.h"
#include "sys/sock.h"

#define RESOLVER_ADDRESSES_MAX 16
#define RESOLVER_NAMES_MAX     16384

enum resolver_status {
    RESOLVER_FOUND,
    RESOLVER_NOT_FOUND, /* the name does not exist, or its servers refuse to say: its owner's fault
                         */
    RESOLVER_UNREACHABLE, /* our own resolver does not answer, or we are out of descriptors */
};

struct resolver;

/* One question. The caller's; on the resolver's list until it was answered or cancelled. */
struct resolver_query {
    struct list node;
    mono_ms asked_at;
    void (*done)(struct resolver_query *query);

    /* The answer: valid until `done` (or resolver_ask, when it returned true) returns, which is
     * when the caller must have copied the addresses. IPv6 and IPv4 alternate, port 0. */
    enum resolver_status status;
    const union address *addresses;
    unsigned n_addresses;
    const char *detail; /* a sentence when not found; static */
};

/* `servers`: "ADDR[:PORT],..." for tests, NULL = /etc/resolv.conf (read again when it changes).
 * NULL with *error filled when c-ares cannot be set up. */
struct resolver *resolver_new(struct loop *loop, const char *servers, struct error *error);

/* No query may be waiting. NULL allowed. */
void resolver_free(struct resolver *resolver);

/* Asks for `name` (lower case, no brackets around IPv6). True: answered at once, query->done is
 * not called. False: query->done is called later from the loop, exactly once unless cancelled. */
bool resolver_ask(struct resolver *resolver, const char *name, struct resolver_query *query);

/* Withdraws a query that was not answered yet. */
void resolver_cancel(struct resolver_query *query);

/* Whether our resolver has answered anything since that time: tells a dead name server of theirs
 * from a dead resolver of ours when a question runs into its deadline. (A question that waits for
 * more than half a second makes the resolver ask for the root as well, to find out.) */
bool resolver_answered_since(const struct resolver *resolver, mono_ms since);

/* Questions sent to the network or the hosts file, so not from the cache. */
uint64_t resolver_asked(const struct resolver *resolver);

#endif
