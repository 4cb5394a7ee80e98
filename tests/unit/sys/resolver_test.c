/* resolver_test.c: names against a small DNS server in this process: answers, caching, coalescing,
 * and above all whose fault a failure is. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/resolver.h"

/* ---- the DNS server: on the same loop ---- */

static struct loop *loop;
static struct resolver *resolver;
static struct loop_io dns;
static unsigned n_asked;    /* questions for addresses */
static bool answer_root;    /* whether the question for the root is answered */
static unsigned n_v4, n_v6; /* addresses per answer */

/* The first label as a string; its length is the first byte of the question. */
static void first_label(const unsigned char *question, char label[64])
{
    memcpy(label, question + 1, question[0]);
    label[question[0]] = '\0';
}

static size_t add_record(unsigned char *at, bool v6, unsigned nth)
{
    const unsigned char fixed[] = {0xC0, 12, 0, v6 ? 28 : 1, 0, 1, 0, 0, 0, 30, 0, v6 ? 16 : 4};
    size_t len = v6 ? 16 : 4;
    memcpy(at, fixed, sizeof(fixed));
    memset(at + sizeof(fixed), 0, len);
    at[sizeof(fixed)] = v6 ? 0x20 : 10;
    at[sizeof(fixed) + len - 1] = (unsigned char)nth;
    return sizeof(fixed) + len;
}

static void dns_ready(struct loop_io *io, uint32_t events)
{
    unsigned char packet[1500];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    char label[64];
    (void)events;
    ssize_t n = recvfrom(io->fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
    assert_true(n > 16);
    unsigned char *question = packet + 12;
    size_t end = 12;
    while (packet[end] != 0)
        end += packet[end] + 1U;
    bool v6 = packet[end + 2] == 28;
    end += 5;
    first_label(question, label);
    bool root = question[0] == 0;
    n_asked += root ? 0 : 1;
    if (strcmp(label, "dead") == 0 || (root && !answer_root))
        return;
    packet[2] = 0x81; /* a response */
    packet[3] = 0x80;
    memset(packet + 6, 0, 6);
    if (strcmp(label, "missing") == 0) {
        packet[3] |= 3;
    } else if (strcmp(label, "broken") == 0) {
        packet[3] |= 2;
    } else if (!root && strcmp(label, "empty") != 0) {
        unsigned count = v6 ? n_v6 : n_v4;
        packet[7] = (unsigned char)count;
        for (unsigned i = 0; i < count; i++)
            end += add_record(packet + end, v6, i);
    }
    sendto(io->fd, packet, end, 0, (struct sockaddr *)&from, from_len);
}

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    char servers[64];
    struct error error;
    (void)state;
    loop = loop_new();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    dns = (struct loop_io){.events = EPOLLIN, .ready = dns_ready};
    dns.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(dns.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(dns.fd, (struct sockaddr *)&address, &len), 0);
    assert_true(loop_io_add(loop, &dns));
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(address.sin_port));
    resolver = resolver_new(loop, servers, &error);
    assert_non_null(resolver);
    n_asked = 0;
    answer_root = true;
    n_v4 = n_v6 = 2;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(resolver);
    loop_io_remove(loop, &dns);
    close(dns.fd);
    loop_free(loop);
    return 0;
}

/* ---- questions ---- */

static unsigned pending;

struct question {
    struct resolver_query query;
    union address addresses[RESOLVER_ADDRESSES_MAX];
    unsigned n;
};

static void take(struct question *question)
{
    question->n = question->query.n_addresses;
    if (question->n > 0)
        memcpy(question->addresses, question->query.addresses,
               question->n * sizeof(question->addresses[0]));
}

static void done(struct resolver_query *query)
{
    take(CONTAINER_OF(query, struct question, query));
    if (--pending == 0)
        loop_stop(loop);
}

/* True when it was answered at once. */
static bool ask(struct question *question, const char *name)
{
    *question = (struct question){.query.done = done};
    if (!resolver_ask(resolver, name, &question->query)) {
        pending++;
        return false;
    }
    take(question);
    return true;
}

static enum resolver_status ask_and_wait(const char *name)
{
    struct question question;
    if (!ask(&question, name))
        loop_run(loop);
    return question.query.status;
}

static void test_literals_and_localhost(void **state)
{
    struct question question;
    (void)state;
    assert_true(ask(&question, "192.0.2.7"));
    assert_int_equal(question.n, 1);
    assert_int_equal(question.addresses[0].any.sa_family, AF_INET);
    assert_true(ask(&question, "2001:db8::1"));
    assert_int_equal(question.addresses[0].any.sa_family, AF_INET6);
    assert_true(ask(&question, "localhost"));
    assert_int_equal(question.n, 2);
    assert_true(ask(&question, "a.localhost"));
    assert_int_equal(n_asked, 0);
    assert_int_equal(resolver_asked(resolver), 0);
}

static void test_addresses_alternate_and_are_kept(void **state)
{
    struct question question;
    (void)state;
    assert_false(ask(&question, "good.example"));
    loop_run(loop);
    assert_int_equal(question.query.status, RESOLVER_FOUND);
    assert_int_equal(question.n, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(question.addresses[i].any.sa_family, i % 2 == 0 ? AF_INET6 : AF_INET);
    assert_int_equal(n_asked, 2);
    assert_true(ask(&question, "good.example"));
    assert_int_equal(question.n, 4);
    assert_int_equal(n_asked, 2);
}

static void test_many_addresses_are_bounded(void **state)
{
    struct question question;
    (void)state;
    n_v4 = 30;
    n_v6 = 0;
    ask(&question, "many.example");
    loop_run(loop);
    assert_int_equal(question.n, RESOLVER_ADDRESSES_MAX / 2);
}

static void test_equal_questions_are_one(void **state)
{
    struct question questions[10];
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_false(ask(&questions[i], "good.example"));
    resolver_cancel(&questions[3].query);
    pending--;
    loop_run(loop);
    assert_int_equal(n_asked, 2);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(questions[i].n, i == 3 ? 0 : 4);
}

static void test_their_fault(void **state)
{
    (void)state;
    assert_int_equal(ask_and_wait("missing.example"), RESOLVER_NOT_FOUND);
    assert_int_equal(ask_and_wait("empty.example"), RESOLVER_NOT_FOUND);
    assert_int_equal(ask_and_wait("broken.example"), RESOLVER_NOT_FOUND);
    assert_int_equal(ask_and_wait("dead.example"), RESOLVER_NOT_FOUND);
    assert_true(resolver_answered_since(resolver, 0));
}

static void test_our_fault(void **state)
{
    (void)state;
    answer_root = false;
    assert_int_equal(ask_and_wait("dead.example"), RESOLVER_UNREACHABLE);
    assert_false(resolver_answered_since(resolver, 0));
}

static void test_failures_are_kept(void **state)
{
    struct question question;
    (void)state;
    assert_int_equal(ask_and_wait("missing.example"), RESOLVER_NOT_FOUND);
    unsigned before = n_asked;
    assert_true(ask(&question, "missing.example"));
    assert_int_equal(question.query.status, RESOLVER_NOT_FOUND);
    assert_non_null(question.query.detail);
    assert_int_equal(n_asked, before);
}

static void test_names_are_bounded(void **state)
{
    char name[64];
    struct question question;
    (void)state;
    n_v6 = 0;
    for (unsigned i = 0; i < RESOLVER_NAMES_MAX + 100; i++) {
        /* Refused by c-ares itself, so that no packet is needed. */
        snprintf(name, sizeof(name), "n%u..example", i);
        if (!ask(&question, name))
            loop_run(loop);
        assert_int_not_equal(question.query.status, RESOLVER_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_literals_and_localhost),
        TEST(test_addresses_alternate_and_are_kept),
        TEST(test_many_addresses_are_bounded),
        TEST(test_equal_questions_are_one),
        TEST(test_their_fault),
        TEST(test_our_fault),
        TEST(test_failures_are_kept),
        TEST(test_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
