/* common.h: what the senders of the benchmark share: arguments, targets, the request, the result.
 *
 * All senders do the same work: `slots` requests are in flight; slot s serves the targets s,
 * s + slots, s + 2 * slots, ... in turn (with one target all slots share it), so no target ever has
 * two requests in flight unless it is the only one. After one unmeasured request per connection,
 * `count` requests are measured: user and system time of this process alone. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
    struct sockaddr_in address;
    char host[16];
    uint16_t port;
    char *head; /* of the request */
    size_t head_len;
};

struct bench {
    const char *name;
    const char *ca_file;
    const char *targets_file; /* "ADDR PORT" lines, as the receiver writes them */
    unsigned n_targets;
    unsigned slots;
    unsigned body_bytes;
    uint64_t count;
    bool idle_memory; /* measure memory per idle connection instead */
    struct target *targets;
    char *body;

    double cpu_before, wall_before;
};

/* Exits 2 with a sentence when the arguments or the files are wrong. */
void bench_init(struct bench *bench, const char *name, int argc, char **argv);
void bench_release(struct bench *bench);

/* How many connections the work needs: one per target, or one per slot on a single target. */
unsigned bench_connections(const struct bench *bench);
/* The target of a slot's nth request. */
unsigned bench_target(const struct bench *bench, unsigned slot, uint64_t nth);

void bench_begin(struct bench *bench);
/* Prints one line of JSON. */
void bench_end(const struct bench *bench);

/* Resident memory of this process. */
size_t bench_rss_bytes(void);

_Noreturn void bench_fail(const char *what);

#endif
