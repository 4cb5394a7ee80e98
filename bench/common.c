/* common.c: see common.h. */
#include "common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(2);
}

static void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s --ca FILE --targets FILE [--hosts N] [--slots N] [--count N] [--body BYTES] "
            "[--idle-memory]\n",
            name);
    exit(2);
}

static void parse(struct bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "--idle-memory") == 0) {
            bench->idle_memory = true;
            continue;
        }
        if (++i == argc)
            usage(bench->name);
        if (strcmp(flag, "--ca") == 0)
            bench->ca_file = argv[i];
        else if (strcmp(flag, "--targets") == 0)
            bench->targets_file = argv[i];
        else if (strcmp(flag, "--hosts") == 0)
            bench->n_targets = (unsigned)strtoul(argv[i], NULL, 10);
        else if (strcmp(flag, "--slots") == 0)
            bench->slots = (unsigned)strtoul(argv[i], NULL, 10);
        else if (strcmp(flag, "--count") == 0)
            bench->count = strtoull(argv[i], NULL, 10);
        else if (strcmp(flag, "--body") == 0)
            bench->body_bytes = (unsigned)strtoul(argv[i], NULL, 10);
        else
            usage(bench->name);
    }
    if (bench->ca_file == NULL || bench->targets_file == NULL || bench->n_targets == 0 ||
        bench->slots == 0)
        usage(bench->name);
}

static void make_head(const struct bench *bench, struct target *target)
{
    char head[1024];
    target->head_len = (size_t)snprintf(
        head, sizeof(head),
        "POST /hooks/calls?source=hookswitch HTTP/1.1\r\nHost: %s:%u\r\n"
        "content-length: %u\r\ncontent-type: application/json\r\nuser-agent: hookswitch/0\r\n"
        "webhook-id: evt_01ARZ3NDEKTSV4RRFFQ69G5FAV\r\nwebhook-timestamp: 1700000000\r\n"
        "webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\r\n"
        "hookswitch-sequence: 123456\r\nhookswitch-attempt: 1\r\n"
        "aircall-origin: webhooks\r\n\r\n",
        target->host, target->port, bench->body_bytes);
    target->head = strdup(head);
    if (target->head == NULL)
        bench_fail("out of memory");
}

static void read_targets(struct bench *bench)
{
    FILE *file = fopen(bench->targets_file, "r");
    bench->targets = calloc(bench->n_targets, sizeof(bench->targets[0]));
    if (file == NULL || bench->targets == NULL)
        bench_fail("cannot read the targets");
    for (unsigned i = 0; i < bench->n_targets; i++) {
        struct target *target = &bench->targets[i];
        if (fscanf(file, "%15s %hu", target->host, &target->port) != 2)
            bench_fail("the receiver has fewer targets than --hosts");
        target->address.sin_family = AF_INET;
        target->address.sin_port = htons(target->port);
        inet_pton(AF_INET, target->host, &target->address.sin_addr);
        make_head(bench, target);
    }
    fclose(file);
}

void bench_init(struct bench *bench, const char *name, int argc, char **argv)
{
    struct rlimit limit;
    *bench = (struct bench){
        .name = name, .n_targets = 1, .slots = 64, .count = 20000, .body_bytes = 1500};
    parse(bench, argc, argv);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    read_targets(bench);
    bench->body = malloc(bench->body_bytes + 1);
    if (bench->body == NULL)
        bench_fail("out of memory");
    memset(bench->body, 'x', bench->body_bytes);
    bench->body[bench->body_bytes] = '\0';
}

void bench_release(struct bench *bench)
{
    for (unsigned i = 0; i < bench->n_targets; i++)
        free(bench->targets[i].head);
    free(bench->targets);
    free(bench->body);
}

unsigned bench_connections(const struct bench *bench)
{
    return bench->n_targets == 1 ? bench->slots : bench->n_targets;
}

unsigned bench_target(const struct bench *bench, unsigned slot, uint64_t nth)
{
    unsigned n = bench->n_targets;
    if (n == 1)
        return 0;
    if (slot >= n)
        return slot % n;
    uint64_t own = (n - 1 - slot) / bench->slots + 1;
    return slot + (unsigned)(nth % own) * bench->slots;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void bench_begin(struct bench *bench)
{
    bench->cpu_before = cpu_s();
    bench->wall_before = wall_s();
}

void bench_end(const struct bench *bench)
{
    double cpu = cpu_s() - bench->cpu_before;
    double wall = wall_s() - bench->wall_before;
    printf("{\"name\":\"%s\",\"hosts\":%u,\"slots\":%u,\"body_bytes\":%u,\"deliveries\":%llu,"
           "\"cpu_us_per_delivery\":%.3f,\"wall_s\":%.3f,\"rss_bytes\":%zu}\n",
           bench->name, bench->n_targets, bench->slots, bench->body_bytes,
           (unsigned long long)bench->count, cpu * 1e6 / (double)bench->count, wall,
           bench_rss_bytes());
}

size_t bench_rss_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &pages, &resident) != 2)
        bench_fail("cannot read /proc/self/statm");
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}
