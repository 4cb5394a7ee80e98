/* tls_peer.h: a receiver for tests: real TCP and TLS in threads of this process, scripted in C.
 * Certificates are made at start; nothing on disk but the CA file that the client reads. */
#ifndef TEST_TLS_PEER_H
#define TEST_TLS_PEER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the leaf certificate is like. */
enum leaf { LEAF_GOOD, LEAF_EXPIRED, LEAF_OTHER_NAME, LEAF_OTHER_CA, LEAF_SHORT };

#define PEER_SHORT_S 4 /* LEAF_SHORT is valid for so long from peer_start on */

struct wire;

struct peer {
    int listener;
    uint16_t port;
    SSL_CTX *ctx; /* NULL = plain TCP */
    /* Runs in a thread of its own for each connection; `nth` counts from 0. */
    void (*serve)(struct peer *peer, struct wire *wire, unsigned nth);
    pthread_t acceptor;
    pthread_t workers[256];
    unsigned n_workers;
    atomic_uint n_requests;
    void *arg;
};

/* One connection, inside `serve`. */
struct wire {
    int fd;
    SSL *ssl;
    char request[65536]; /* the last one, NUL-terminated */
};

/* The PEM file of the CA that signed all but LEAF_OTHER_CA; made at the first call. */
const char *peer_ca_file(void);
void peer_remove_files(void);

/* Listens on 127.0.0.1, port picked by the kernel, and serves. */
void peer_start(struct peer *peer,
                enum leaf leaf,
                void (*serve)(struct peer *, struct wire *, unsigned));
/* Ends the threads; the client must have closed its connections. */
void peer_stop(struct peer *peer);

bool wire_handshake(struct peer *peer, struct wire *wire);
/* A whole request with Content-Length; false at the end of the connection. */
bool wire_read(struct peer *peer, struct wire *wire);
void wire_send(struct wire *wire, const char *text);
/* Until the other side ends the connection. */
void wire_wait_end(struct wire *wire);
/* close() with a RST */
void wire_reset(struct wire *wire);

#endif
