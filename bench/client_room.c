/* client_room.c: the product's own client (src/http/client.h) doing the work of the benchmark, with
 * all that it does in the product: deadlines, parser, verification, idle watching.
 * --idle-memory: opens one connection to each target and prints the memory per idle connection. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "common.h"
#include "http/client.h"

struct slot {
    struct http_post post;
    unsigned number;
    uint64_t nth;
};

static struct bench bench;
static struct loop *loop;
static struct http_client *client;
static struct slot *slots;
static uint64_t started, finished, wanted;

static bool allow(void *ctx, const struct sockaddr *address)
{
    (void)ctx, (void)address;
    return true;
}

static void start(struct slot *slot)
{
    const struct target *target = &bench.targets[bench_target(&bench, slot->number, slot->nth++)];
    slot->post.host = target->host;
    slot->post.port = target->port;
    slot->post.head = span_make(target->head, target->head_len);
    slot->post.body[0] = span_make(bench.body, bench.body_bytes);
    slot->post.timeout_ms = 30000;
    started++;
    http_client_post(client, &slot->post);
}

static void done(struct http_post *post)
{
    if (post->result.status != 200) {
        fprintf(stderr, "bench: %s %s\n", http_error_slug(post->result.error), post->result.detail);
        exit(1);
    }
    finished++;
    if (started < wanted)
        start(CONTAINER_OF(post, struct slot, post));
    else if (finished == wanted)
        loop_stop(loop);
}

static void deliver(uint64_t count)
{
    started = finished = 0;
    wanted = count;
    for (unsigned i = 0; i < bench.slots && started < wanted; i++)
        start(&slots[i]);
    loop_run(loop);
}

static void measure_memory(void)
{
    size_t before, after;
    unsigned n = bench.n_targets;
    bench.slots = 1; /* one handshake at a time: what is measured is what stays */
    deliver(2);
    before = bench_rss_bytes();
    deliver(n - 2);
    malloc_trim(0);
    after = bench_rss_bytes();
    printf("{\"name\":\"client_room_idle\",\"connections\":%llu,\"bytes_per_connection\":%.0f}\n",
           (unsigned long long)http_client_stats(client)->idle_connections,
           (double)(after - before) / (n - 2));
}

int main(int argc, char **argv)
{
    struct error error;
    bench_init(&bench, "client_room", argc, argv);
    struct http_client_conf conf = {.allow = allow,
                                    .ca_file = bench.ca_file,
                                    .host_connections = 64,
                                    .idle_connections = 100000,
                                    .idle_timeout_ms = 600000,
                                    .head_bytes = 65536,
                                    .drain_bytes = 16384,
                                    .keep_body_bytes = 1024};
    if (bench.n_targets > 1 && bench.slots > bench.n_targets)
        bench.slots = bench.n_targets;
    slots = calloc(bench.slots, sizeof(slots[0]));
    loop = loop_new();
    client = http_client_new(loop, &conf, &error);
    if (client == NULL || slots == NULL)
        bench_fail(error.message);
    for (unsigned i = 0; i < bench.slots; i++) {
        slots[i].number = i;
        slots[i].post.done = done;
    }
    if (bench.idle_memory) {
        measure_memory();
    } else {
        deliver(bench_connections(&bench));
        bench_begin(&bench);
        deliver(bench.count);
        bench_end(&bench);
        const struct http_client_stats *stats = http_client_stats(client);
        if (stats->handshakes > bench_connections(&bench))
            fprintf(stderr, "bench: %llu handshakes\n", (unsigned long long)stats->handshakes);
    }
    http_client_free(client);
    loop_free(loop);
    free(slots);
    bench_release(&bench);
}
