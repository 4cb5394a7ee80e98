/* tls.c: see tls.h.
 *
 * Own BIO instead of OpenSSL's socket BIO: send with MSG_NOSIGNAL, so that the library never
 * depends on SIGPIPE being ignored. Read-ahead is on: one read(2) per response instead of two (the
 * record's header, then its body). Buffers are released while a connection is idle: that is what
 * keeps thousands of idle connections cheap.
 * Owns the SSL objects; sockets and session slots are the caller's. Fails: handshakes, mostly. */
#include "sys/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "sys/clock.h"
#include "sys/sock.h"

#define SESSION_MAX_MS      (24 * MS_PER_HOUR)
#define SESSION_FALLBACK_MS (5 * MS_PER_MIN) /* the server gave no lifetime */

struct tls_trust {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    struct tls_session *session; /* the caller's slot */
    wall_ms verified_until;      /* 0 = not computed yet */
    wall_ms offered_until;       /* of the session that was offered; 0 = none was */
    unsigned long error;         /* OpenSSL's, of the failed call */
};

/* ---- BIO over a socket ---- */

static int bio_fd(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    ssize_t n = send(bio_fd(bio), bytes, (size_t)len, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int bio_read(BIO *bio, char *bytes, int len)
{
    ssize_t n = recv(bio_fd(bio), bytes, (size_t)len, 0);
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    else if (n == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)number, (void)ptr;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void method_init(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (method == NULL || !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_ctrl(method, bio_ctrl) ||
        !BIO_meth_set_create(method, bio_create))
        fatal("cannot set up OpenSSL");
}

/* ---- sessions ---- */

void tls_session_release(struct tls_session *session)
{
    SSL_SESSION_free(session->ssl);
    *session = (struct tls_session){0};
}

static wall_ms asn1_ms(const ASN1_TIME *time)
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm))
        return 0;
    return (wall_ms)timegm(&tm) * MS_PER_S;
}

/* How long the verification of this connection's chain holds. A resumed session shows no chain:
 * it inherits the bound of the handshake that did. */
static wall_ms verified_until(const struct tls *tls)
{
    wall_ms until = clock_wall_ms() + SESSION_MAX_MS;
    if (SSL_session_reused(tls->ssl))
        return tls->offered_until < until ? tls->offered_until : until;
    STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        wall_ms end = asn1_ms(X509_get0_notAfter(sk_X509_value(chain, i)));
        until = end < until ? end : until;
    }
    return chain == NULL ? 0 : until;
}

/* OpenSSL's callback: returning 1 takes over the reference. */
static int new_session(SSL *ssl, SSL_SESSION *fresh)
{
    struct tls *tls = SSL_get_app_data(ssl);
    int64_t lifetime_ms = (int64_t)SSL_SESSION_get_ticket_lifetime_hint(fresh) * MS_PER_S;
    if (tls->verified_until == 0)
        tls->verified_until = verified_until(tls);
    if (lifetime_ms == 0)
        lifetime_ms = SESSION_FALLBACK_MS;
    wall_ms until = clock_wall_ms() + lifetime_ms;
    tls_session_release(tls->session);
    tls->session->ssl = fresh;
    tls->session->until = until < tls->verified_until ? until : tls->verified_until;
    return 1;
}

/* ---- trust ---- */

static bool load_system_store(SSL_CTX *ctx, const char *ca_file)
{
    const char *dir = getenv(X509_get_default_cert_dir_env());
    const char *file = getenv(X509_get_default_cert_file_env());
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return false;
    dir = dir == NULL ? X509_get_default_cert_dir() : dir;
    file = file == NULL ? X509_get_default_cert_file() : file;
    if (access(dir, R_OK | X_OK) == 0 || access(file, R_OK) == 0)
        return true;
    if (errno == EACCES)
        return false;
    if (ca_file == NULL)
        LOG_WARN("there is no certificate store at '%s': install ca-certificates or give a CA "
                 "file, else no receiver is trusted",
                 dir);
    return true;
}

/* Of an OpenSSL call; of a system call under it the cause, which OpenSSL only calls "system lib".
 */
static const char *last_reason(void)
{
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        if (ERR_SYSTEM_ERROR(code))
            return strerror(ERR_GET_REASON(code));
        const char *reason = ERR_peek_error() == 0 ? ERR_reason_error_string(code) : NULL;
        if (reason != NULL)
            return reason;
    }
    return "no certificate found";
}

static bool configure(SSL_CTX *ctx)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* Names stand in subjectAltName; a CN is no name any more (RFC 9525). */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* A CA file may hold an intermediate alone. */
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, new_session);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0;
}

struct tls_trust *tls_trust_new(const char *ca_file, struct error *error)
{
    pthread_once(&method_once, method_init);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || !configure(ctx))
        fatal("cannot set up OpenSSL: %s", last_reason());
    ERR_clear_error();
    if (!load_system_store(ctx, ca_file)) {
        error_set(error, ERR_IO, "cannot read the certificate store '%s': %s",
                  X509_get_default_cert_dir(), strerror(errno));
    } else if (ca_file != NULL && SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
        error_set(error, ERR_IO,
                  "cannot read the CA file '%s': %s; it must hold certificates in PEM form",
                  ca_file, last_reason());
    } else {
        struct tls_trust *trust = mem_alloc(sizeof(*trust));
        trust->ctx = ctx;
        return trust;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

void tls_trust_free(struct tls_trust *trust)
{
    if (trust == NULL)
        return;
    SSL_CTX_free(trust->ctx);
    free(trust);
}

/* ---- connections ---- */

static bool set_host(SSL *ssl, const char *host)
{
    union address literal;
    if (address_parse(host, &literal))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    /* SSL_set_tlsext_host_name without the cast in the macro that -Wcast-qual refuses. */
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host) == 1 &&
           SSL_set1_host(ssl, host) == 1;
}

struct tls *tls_new(struct tls_trust *trust, int fd, const char *host, struct tls_session *session)
{
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(trust->ctx);
    struct tls *tls;
    if (bio == NULL || ssl == NULL || !set_host(ssl, host)) {
        BIO_free(bio);
        SSL_free(ssl);
        return NULL;
    }
    tls = mem_zero(1, sizeof(*tls));
    tls->ssl = ssl;
    tls->session = session;
    BIO_set_data(bio, (void *)(intptr_t)fd);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    SSL_set_connect_state(ssl);
    if (session->ssl != NULL && session->until <= clock_wall_ms())
        tls_session_release(session);
    if (session->ssl != NULL && SSL_set_session(ssl, session->ssl) == 1)
        tls->offered_until = session->until;
    return tls;
}

void tls_free(struct tls *tls, bool polite)
{
    if (tls == NULL)
        return;
    if (polite && SSL_is_init_finished(tls->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl);
    }
    /* Else SSL_free takes an unfinished shutdown for a broken session and spoils the slot's. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    free(tls);
}

static enum tls_status status_of(struct tls *tls, int result)
{
    if (result > 0)
        return TLS_DONE;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL:
        return TLS_ENDED;
    default:
        tls->error = ERR_peek_error();
        return TLS_FAILED;
    }
}

enum tls_status tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    enum tls_status status = status_of(tls, SSL_do_handshake(tls->ssl));
    /* A server that chokes on its own ticket gets none at the next attempt. */
    if ((status == TLS_FAILED || status == TLS_ENDED) && tls->offered_until != 0)
        tls_session_release(tls->session);
    return status;
}

enum tls_status tls_read(struct tls *tls, void *bytes, size_t cap, size_t *ret_len)
{
    ERR_clear_error();
    return status_of(tls, SSL_read_ex(tls->ssl, bytes, cap, ret_len));
}

enum tls_status tls_write(struct tls *tls, const void *bytes, size_t len, size_t *ret_len)
{
    ERR_clear_error();
    return status_of(tls, SSL_write_ex(tls->ssl, bytes, len, ret_len));
}

bool tls_pending(const struct tls *tls)
{
    return SSL_has_pending(tls->ssl) != 0;
}

bool tls_resumed(const struct tls *tls)
{
    return SSL_session_reused(tls->ssl) != 0;
}

static enum tls_failure failure_of(long verify_result)
{
    switch (verify_result) {
    case X509_V_OK:
        return TLS_FAIL_HANDSHAKE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return TLS_FAIL_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_FAIL_VALIDITY;
    case X509_V_ERR_STORE_LOOKUP:
    case X509_V_ERR_OUT_OF_MEM:
        return TLS_FAIL_TRUST;
    default:
        return TLS_FAIL_CERTIFICATE;
    }
}

enum tls_failure tls_failure(struct tls *tls, char *text, size_t text_cap)
{
    long result = SSL_get_verify_result(tls->ssl);
    const char *words = result == X509_V_OK ? ERR_reason_error_string(tls->error)
                                            : X509_verify_cert_error_string(result);
    if (words == NULL)
        words = "";
    size_t len = strlen(words) < text_cap ? strlen(words) : text_cap - 1;
    memcpy(text, words, len);
    text[len] = '\0';
    return failure_of(result);
}
