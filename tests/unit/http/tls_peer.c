/* tls_peer.c: see tls_peer.h. Blocking sockets: simplest to script. */
#include "tls_peer.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

#define DAY_S 86400L

static EVP_PKEY *ca_key, *other_key;
static X509 *ca_cert, *other_cert;
static char ca_path[64];

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ASSERT(key != NULL);
    return key;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ASSERT(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(EVP_PKEY *key,
                       const char *name,
                       const char *alternatives,
                       long valid_s,
                       X509 *issuer,
                       EVP_PKEY *issuer_key)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -30 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(cert), valid_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer));
    X509_set_pubkey(cert, key);
    if (issuer == NULL)
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    else
        add_extension(cert, issuer, NID_subject_alt_name, alternatives);
    ASSERT(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

const char *peer_ca_file(void)
{
    if (ca_cert != NULL)
        return ca_path;
    ca_key = make_key();
    other_key = make_key();
    ca_cert = make_cert(ca_key, "test CA", NULL, 365 * DAY_S, NULL, ca_key);
    other_cert = make_cert(other_key, "another CA", NULL, 365 * DAY_S, NULL, other_key);
    snprintf(ca_path, sizeof(ca_path), "/tmp/hookswitch-test-ca-XXXXXX");
    int fd = mkstemp(ca_path);
    ASSERT(fd >= 0);
    FILE *file = fdopen(fd, "w");
    ASSERT(file != NULL && PEM_write_X509(file, ca_cert) == 1);
    fclose(file);
    return ca_path;
}

void peer_remove_files(void)
{
    if (ca_cert == NULL)
        return;
    unlink(ca_path);
    X509_free(ca_cert);
    X509_free(other_cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(other_key);
    ca_cert = NULL;
}

static SSL_CTX *make_ctx(enum leaf leaf)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = make_key();
    long valid_s = leaf == LEAF_EXPIRED ? -DAY_S : leaf == LEAF_SHORT ? PEER_SHORT_S : 90 * DAY_S;
    bool other_ca = leaf == LEAF_OTHER_CA;
    const char *names =
        leaf == LEAF_OTHER_NAME ? "DNS:other.example" : "DNS:localhost,IP:127.0.0.1";
    peer_ca_file();
    X509 *cert = make_cert(key, "leaf", names, valid_s, other_ca ? other_cert : ca_cert,
                           other_ca ? other_key : ca_key);
    ASSERT(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

struct job {
    struct peer *peer;
    struct wire wire;
    unsigned nth;
};

static void *work(void *arg)
{
    struct job *job = arg;
    job->peer->serve(job->peer, &job->wire, job->nth);
    if (job->wire.ssl != NULL && SSL_is_init_finished(job->wire.ssl) && job->wire.fd >= 0)
        SSL_shutdown(job->wire.ssl);
    SSL_free(job->wire.ssl);
    if (job->wire.fd >= 0)
        close(job->wire.fd);
    free(job);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct peer *peer = arg;
    for (;;) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        ASSERT(peer->n_workers < sizeof(peer->workers) / sizeof(peer->workers[0]));
        struct job *job = calloc(1, sizeof(*job));
        ASSERT(job != NULL);
        job->peer = peer;
        job->wire.fd = fd;
        job->nth = peer->n_workers;
        ASSERT(pthread_create(&peer->workers[peer->n_workers++], NULL, work, job) == 0);
    }
}

void peer_start(struct peer *peer,
                enum leaf leaf,
                void (*serve)(struct peer *, struct wire *, unsigned))
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    memset(peer, 0, sizeof(*peer));
    peer->serve = serve;
    peer->ctx = make_ctx(leaf);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    ASSERT(listen(peer->listener, 64) == 0);
    ASSERT(getsockname(peer->listener, (struct sockaddr *)&address, &len) == 0);
    peer->port = ntohs(address.sin_port);
    ASSERT(pthread_create(&peer->acceptor, NULL, accept_all, peer) == 0);
}

void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->acceptor, NULL);
    for (unsigned i = 0; i < peer->n_workers; i++)
        pthread_join(peer->workers[i], NULL);
    close(peer->listener);
    SSL_CTX_free(peer->ctx);
}

bool wire_handshake(struct peer *peer, struct wire *wire)
{
    wire->ssl = SSL_new(peer->ctx);
    SSL_set_fd(wire->ssl, wire->fd);
    return SSL_accept(wire->ssl) == 1;
}

static int wire_recv(struct wire *wire, char *bytes, size_t cap)
{
    return wire->ssl == NULL ? (int)recv(wire->fd, bytes, cap, 0)
                             : SSL_read(wire->ssl, bytes, (int)cap);
}

bool wire_read(struct peer *peer, struct wire *wire)
{
    size_t len = 0;
    for (;;) {
        int n = wire_recv(wire, wire->request + len, sizeof(wire->request) - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        wire->request[len] = '\0';
        const char *end = strstr(wire->request, "\r\n\r\n");
        const char *length = strcasestr(wire->request, "content-length:");
        if (end == NULL || length == NULL)
            continue;
        size_t want = (size_t)(end + 4 - wire->request) + strtoul(length + 15, NULL, 10);
        if (len < want)
            continue;
        atomic_fetch_add(&peer->n_requests, 1);
        return true;
    }
}

void wire_send(struct wire *wire, const char *text)
{
    size_t len = strlen(text);
    if (wire->ssl != NULL)
        SSL_write(wire->ssl, text, (int)len);
    else
        send(wire->fd, text, len, MSG_NOSIGNAL);
}

void wire_wait_end(struct wire *wire)
{
    char bytes[4096];
    while (recv(wire->fd, bytes, sizeof(bytes), 0) > 0)
        continue;
}

void wire_reset(struct wire *wire)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(wire->fd);
    wire->fd = -1;
}
