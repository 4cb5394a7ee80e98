/* bare.c: the physical limit: epoll and OpenSSL, and nothing else. One SSL_write and one SSL_read
 * per request; no timers, no parser but for the end of the head, no errors handled. What any client
 * on this machine must spend at least. */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

struct link {
    int fd;
    SSL *ssl;
    unsigned slot;
    const struct target *target;
};

static struct bench bench;
static struct link *links;
static uint64_t *sent_by_slot;
static int epoll;

static void open_link(struct link *link, SSL_CTX *ctx)
{
    int on = 1;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address = (const struct sockaddr *)&link->target->address;
    if (link->fd < 0 || connect(link->fd, address, sizeof(link->target->address)) != 0)
        bench_fail("cannot connect");
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    link->ssl = SSL_new(ctx);
    SSL_set_fd(link->ssl, link->fd);
    if (SSL_connect(link->ssl) != 1)
        bench_fail("the handshake failed");
}

static void send_request(struct link *link)
{
    char record[16384];
    const struct target *target = link->target;
    memcpy(record, target->head, target->head_len);
    memcpy(record + target->head_len, bench.body, bench.body_bytes);
    int len = (int)(target->head_len + bench.body_bytes);
    if (SSL_write(link->ssl, record, len) != len)
        bench_fail("cannot write");
}

static struct link *next_link(unsigned slot)
{
    if (bench.n_targets == 1)
        return &links[slot];
    return &links[bench_target(&bench, slot, sent_by_slot[slot]++)];
}

/* Whether a whole head arrived; the body is known to come with it. */
static bool read_response(struct link *link)
{
    char input[16384];
    int n = SSL_read(link->ssl, input, sizeof(input) - 1);
    if (n <= 0) {
        if (SSL_get_error(link->ssl, n) != SSL_ERROR_WANT_READ)
            bench_fail("cannot read");
        return false;
    }
    return memmem(input, (size_t)n, "\r\n\r\n", 4) != NULL;
}

static void deliver(uint64_t count)
{
    struct epoll_event events[256];
    uint64_t started = 0, finished = 0;
    for (unsigned slot = 0; slot < bench.slots && started < count; slot++, started++) {
        struct link *link = next_link(slot);
        link->slot = slot;
        send_request(link);
    }
    while (finished < count) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            unsigned slot = link->slot;
            if (!read_response(link))
                continue;
            finished++;
            if (started == count)
                continue;
            started++;
            link = next_link(slot);
            link->slot = slot;
            send_request(link);
        }
    }
}

int main(int argc, char **argv)
{
    bench_init(&bench, "bare", argc, argv);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_file(ctx, bench.ca_file);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(ctx, 1);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    unsigned n = bench_connections(&bench);
    if (bench.n_targets > 1 && bench.slots > bench.n_targets)
        bench.slots = bench.n_targets;
    links = calloc(n, sizeof(links[0]));
    sent_by_slot = calloc(bench.slots, sizeof(sent_by_slot[0]));
    if (links == NULL || sent_by_slot == NULL)
        bench_fail("out of memory");
    for (unsigned i = 0; i < n; i++) {
        links[i].target = &bench.targets[bench.n_targets == 1 ? 0 : i];
        open_link(&links[i], ctx);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &links[i]};
        if (fcntl(links[i].fd, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, links[i].fd, &event) != 0)
            bench_fail("epoll_ctl");
    }
    deliver(n);
    bench_begin(&bench);
    deliver(bench.count);
    bench_end(&bench);
    for (unsigned i = 0; i < n; i++) {
        SSL_free(links[i].ssl);
        close(links[i].fd);
    }
    SSL_CTX_free(ctx);
    free(links);
    free(sent_by_slot);
    bench_release(&bench);
}
