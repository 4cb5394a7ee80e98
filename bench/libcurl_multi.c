/* libcurl_multi.c: what a user would write: curl_multi with its socket interface on epoll, reused
 * easy handles, a connection cache of the right size. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "common.h"

struct slot {
    CURL *easy;
    unsigned number;
    uint64_t nth;
};

static struct bench bench;
static CURLM *multi;
static struct curl_slist *headers;
static int epoll;
static long timeout_ms = -1;
static uint64_t started, finished, wanted;

static size_t discard(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct epoll_event event = {.data.fd = fd};
    (void)easy, (void)arg;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    epoll_ctl(epoll, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(multi, fd, &bench);
    return 0;
}

static int on_timer(CURLM *handle, long ms, void *arg)
{
    (void)handle, (void)arg;
    timeout_ms = ms;
    return 0;
}

static void start(struct slot *slot)
{
    char url[128];
    const struct target *target = &bench.targets[bench_target(&bench, slot->number, slot->nth++)];
    snprintf(url, sizeof(url), "https://%s:%u/hooks/calls?source=hookswitch", target->host,
             target->port);
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    started++;
    curl_multi_add_handle(multi, slot->easy);
}

static void make_easy(struct slot *slot)
{
    slot->easy = curl_easy_init();
    curl_easy_setopt(slot->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, bench.body);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)bench.body_bytes);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(slot->easy, CURLOPT_CAINFO, bench.ca_file);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
}

static void collect(void)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *private = NULL;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || status != 200)
            bench_fail(curl_easy_strerror(code));
        curl_multi_remove_handle(multi, easy);
        finished++;
        if (started < wanted)
            start((struct slot *)(void *)private);
    }
}

static void deliver(struct slot *slots, uint64_t count)
{
    struct epoll_event events[256];
    int running;
    started = finished = 0;
    wanted = count;
    for (unsigned i = 0; i < bench.slots && started < wanted; i++)
        start(&slots[i]);
    while (finished < wanted) {
        int n = timeout_ms == 0 ? 0 : epoll_wait(epoll, events, 256, (int)timeout_ms);
        if (n <= 0) {
            timeout_ms = -1;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < n; i++) {
            int what = (events[i].events & ~(uint32_t)EPOLLOUT ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            curl_multi_socket_action(multi, events[i].data.fd, what, &running);
        }
        collect();
    }
}

int main(int argc, char **argv)
{
    static const char *const fields[] = {
        "content-type: application/json",
        "user-agent: hookswitch/0",
        "accept:",
        "webhook-id: evt_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "webhook-timestamp: 1700000000",
        "webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        "hookswitch-sequence: 123456",
        "hookswitch-attempt: 1",
        "aircall-origin: webhooks",
        "expect:",
    };
    bench_init(&bench, "libcurl_multi", argc, argv);
    if (bench.n_targets > 1 && bench.slots > bench.n_targets)
        bench.slots = bench.n_targets;
    curl_global_init(CURL_GLOBAL_ALL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)bench_connections(&bench) + 64);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        headers = curl_slist_append(headers, fields[i]);
    struct slot *slots = calloc(bench.slots, sizeof(slots[0]));
    if (slots == NULL)
        bench_fail("out of memory");
    for (unsigned i = 0; i < bench.slots; i++) {
        slots[i].number = i;
        make_easy(&slots[i]);
    }
    deliver(slots, bench_connections(&bench));
    bench_begin(&bench);
    deliver(slots, bench.count);
    bench_end(&bench);
    for (unsigned i = 0; i < bench.slots; i++)
        curl_easy_cleanup(slots[i].easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    free(slots);
    bench_release(&bench);
}
