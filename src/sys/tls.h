/* tls.h: TLS of outgoing connections: TLS 1.2 and 1.3, chain and host name verified, always.
 *
 * Works on a connected non-blocking socket that the caller owns and closes. Knows nothing of HTTP
 * but the ALPN name. A `struct tls_trust` (and all that was made from it) belongs to one thread.
 * Trust is fixed for the life of the object: who changes trust makes a new one, and sessions of
 * the old one must not be offered to it (a resumed session is not verified again). */
#ifndef SYS_TLS_H
#define SYS_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"

struct tls_trust;
struct tls;

/* A session that a later connection to the same host and port may resume; one per host. `until`:
 * when it must not be offered any more: min(ticket lifetime, earliest end of validity in the
 * verified chain, 24 h after the chain was verified). All zero = none. */
struct tls_session {
    void *ssl; /* SSL_SESSION, owned */
    wall_ms until;
};

void tls_session_release(struct tls_session *session);

enum tls_status {
    TLS_DONE,       /* the handshake is finished, or bytes were moved */
    TLS_WANT_READ,  /* call again when the socket is readable */
    TLS_WANT_WRITE, /* ... writable */
    TLS_ENDED,      /* the peer ended the connection: EOF, reset or close_notify */
    TLS_FAILED,     /* the protocol or the verification failed: tls_failure() */
};

enum tls_failure {
    TLS_FAIL_HANDSHAKE,
    TLS_FAIL_CERTIFICATE, /* not trusted */
    TLS_FAIL_NAME,        /* for another host */
    TLS_FAIL_VALIDITY,    /* expired or not yet valid */
    TLS_FAIL_TRUST,       /* our own trust store could not be read */
};

/* System store plus the certificates in `ca_file` (PEM; NULL = none). NULL with *error filled when
 * either cannot be read. */
struct tls_trust *tls_trust_new(const char *ca_file, struct error *error);
void tls_trust_free(struct tls_trust *trust); /* NULL allowed */

/* A client on `fd` for `host` (a name for SNI and verification, or a literal address). `session`
 * lives longer than the result: it is offered if it is still valid, and replaced by each new one
 * that the server gives. NULL when out of memory. */
struct tls *tls_new(struct tls_trust *trust, int fd, const char *host, struct tls_session *session);

/* Frees. `polite` sends a close_notify first (one system call), for connections that are in order.
 * Does not close the socket. NULL allowed. */
void tls_free(struct tls *tls, bool polite);

enum tls_status tls_handshake(struct tls *tls);
/* At most `cap` bytes to `bytes`. */
enum tls_status tls_read(struct tls *tls, void *bytes, size_t cap, size_t *ret_len);
/* May take fewer than `len`; after TLS_WANT_* the same bytes must be offered again (they may have
 * moved). Up to 16 KiB go out as one record in one system call. */
enum tls_status tls_write(struct tls *tls, const void *bytes, size_t len, size_t *ret_len);

/* True when bytes were received but not read yet: epoll will not report those. */
bool tls_pending(const struct tls *tls);

/* After the handshake. */
bool tls_resumed(const struct tls *tls);

/* After TLS_FAILED: the kind, and OpenSSL's words for it. */
enum tls_failure tls_failure(struct tls *tls, char *text, size_t text_cap);

#endif
