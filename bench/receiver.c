/* receiver.c: the other side of the benchmark: HTTPS on many ADDR:PORT pairs, one thread.
 *
 *   receiver DIR N
 *
 * Makes a certificate authority and a leaf for 127.0.0.1 to .50, writes DIR/ca.pem and DIR/targets
 * (N lines "ADDR PORT"), prints "ready" and answers every POST that has a Content-Length with the
 * same small 200, until it is killed. Does no more than that: its own time is not measured. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 50, INPUT_BYTES = 32768 };

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: receiver\r\n"
                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                             "Content-Type: application/json\r\nContent-Length: 11\r\n\r\n"
                             "{\"ok\":true}";

struct link {
    int fd;
    SSL *ssl; /* NULL = a listener */
    size_t len;
    size_t body_left;
    char line[2048]; /* the head, as far as it has come */
};

static int epoll;
static SSL_CTX *ctx;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "receiver: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- certificates ---- */

static X509 *make_cert(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 30);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer));
    X509_set_pubkey(cert, key);
    char names[ADDRESSES * 16] = "";
    for (int i = 1; i <= ADDRESSES; i++)
        sprintf(names + strlen(names), "%sIP:127.0.0.%d", i == 1 ? "" : ",", i);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == NULL ? cert : issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension =
        issuer == NULL
            ? X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE")
            : X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    if (X509_sign(cert, issuer_key, EVP_sha256()) <= 0)
        fail("cannot sign a certificate");
    return cert;
}

static void make_ctx(const char *dir)
{
    char path[512];
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, "bench CA", NULL, ca_key);
    X509 *cert = make_cert(key, "bench receiver", ca, ca_key);
    snprintf(path, sizeof(path), "%s/ca.pem", dir);
    FILE *file = fopen(path, "w");
    if (file == NULL || !PEM_write_X509(file, ca))
        fail(path);
    fclose(file);
    ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

/* ---- connections ---- */

static void add(int fd, SSL *ssl)
{
    struct link *link = calloc(1, sizeof(*link));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    if (link == NULL)
        fail("out of memory");
    link->fd = fd;
    link->ssl = ssl;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static void drop(struct link *link)
{
    SSL_free(link->ssl);
    close(link->fd);
    free(link);
}

static void take_connections(struct link *listener)
{
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        SSL_set_accept_state(ssl);
        add(fd, ssl);
    }
}

/* Bytes of requests; true when one is complete. */
static int take_bytes(struct link *link, const char *bytes, size_t len)
{
    int complete = 0;
    while (len > 0) {
        if (link->body_left > 0) {
            size_t n = len < link->body_left ? len : link->body_left;
            link->body_left -= n;
            bytes += n;
            len -= n;
            complete += link->body_left == 0;
            continue;
        }
        if (link->len + 1 == sizeof(link->line))
            return -1;
        link->line[link->len++] = *bytes++;
        len--;
        if (link->len >= 4 && memcmp(link->line + link->len - 4, "\r\n\r\n", 4) == 0) {
            link->line[link->len] = '\0';
            const char *length = strcasestr(link->line, "content-length:");
            link->body_left = length == NULL ? 0 : strtoul(length + 15, NULL, 10);
            link->len = 0;
            complete += link->body_left == 0;
        }
    }
    return complete;
}

static void serve(struct link *link)
{
    static char input[INPUT_BYTES];
    do {
        int n = SSL_read(link->ssl, input, sizeof(input));
        if (n <= 0) {
            if (SSL_get_error(link->ssl, n) != SSL_ERROR_WANT_READ)
                drop(link);
            return;
        }
        int complete = take_bytes(link, input, (size_t)n);
        for (; complete > 0; complete--)
            SSL_write(link->ssl, answer, sizeof(answer) - 1);
    } while (SSL_has_pending(link->ssl));
}

static void open_listeners(const char *dir, unsigned n)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/targets", dir);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail(path);
    for (unsigned i = 0; i < n; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t len = sizeof(address);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i % ADDRESSES);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
            fail("cannot listen");
        fprintf(file, "127.0.0.%u %u\n", i % ADDRESSES + 1, ntohs(address.sin_port));
        add(fd, NULL);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct rlimit limit;
    if (argc != 3) {
        fprintf(stderr, "usage: receiver DIR N\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    make_ctx(argv[1]);
    open_listeners(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            if (link->ssl == NULL)
                take_connections(link);
            else
                serve(link);
        }
    }
}
