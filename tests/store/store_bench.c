/* store_bench.c: how much the SQLite engine takes: events per second and CPU per event, all
 * durable, with attempts, index and checkpoints.
 *
 *   store_bench [EVENTS [BATCH [WEBHOOKS [DIR]]]]      300000 100 1000 /tmp
 *
 * Each event has 1.5 KB and three targets; each commit also carries the attempts of the commit
 * before it, three per event. Not a test: it asserts nothing about time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/ulid.h"
#include "store/store.h"
#include "sys/clock.h"

enum { FAN_OUT = 3, DATA = 1500 };

struct bench {
    struct store *store;
    struct rng rng;
    struct ulid last_id;
    size_t batch, webhooks;
    uint64_t seq, block;
    uint64_t *sequences;
    struct event_target *targets; /* of the commit before, FAN_OUT each */
    size_t n_targets;
    uint64_t *seqs;
    char data[DATA];
};

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static struct event *make_event(struct bench *bench, wall_ms now)
{
    char key[24];
    snprintf(key, sizeof key, "%llu", (unsigned long long)rng_below(&bench->rng, 1000000));
    struct event *event = event_new(1, SPAN_LIT("call.created"), SPAN_LIT("call"), span_from(key),
                                    now / 1000, span_make(bench->data, DATA));
    event->seq = ++bench->seq;
    event->accepted_at = now;
    ulid_next(&bench->last_id, now, &bench->rng, &bench->last_id);
    memcpy(event->id, bench->last_id.bytes, EVENT_ID_BYTES);
    struct event_target targets[FAN_OUT];
    size_t first = (size_t)rng_below(&bench->rng, bench->webhooks);
    for (size_t i = 0; i < FAN_OUT; i++) {
        size_t webhook = (first + i) % bench->webhooks;
        targets[i] = (struct event_target){(uint32_t)webhook + 1, ++bench->sequences[webhook]};
    }
    event_set_targets(event, targets, FAN_OUT);
    return event;
}

static size_t add_attempts(struct bench *bench, struct buf *bytes, struct store_record *records)
{
    size_t *offsets = mem_alloc((bench->n_targets + 1) * sizeof *offsets);
    for (size_t i = 0; i < bench->n_targets; i++) {
        const struct event_target *target = &bench->targets[i];
        offsets[i] = bytes->len;
        attempt_encode(bytes, &(struct attempt){.webhook = target->webhook,
                                                .sequence = target->sequence,
                                                .number = 1,
                                                .epoch = 1,
                                                .url_revision = 1,
                                                .event_seq = bench->seqs[i / FAN_OUT],
                                                .order_hash = 1 + target->sequence,
                                                .event_accepted_at = INT64_C(1700000000000),
                                                .started_at = INT64_C(1700000000005),
                                                .sent_timestamp_s = 1700000000,
                                                .outcome = OUTCOME_DELIVERED,
                                                .http_status = 200,
                                                .reused = true,
                                                .first_byte_us = 20000,
                                                .total_us = 21000});
    }
    offsets[bench->n_targets] = bytes->len;
    for (size_t i = 0; i < bench->n_targets; i++)
        records[i] = (struct store_record){
            RECORD_ATTEMPT, bench->targets[i].webhook, bench->targets[i].sequence,
            span_make(bytes->ptr + offsets[i], offsets[i + 1] - offsets[i])};
    free(offsets);
    return bench->n_targets;
}

/* One commit; returns the CPU time of the store in it. */
static int64_t commit(struct bench *bench, int64_t *ret_us)
{
    struct error error = {0};
    wall_ms now = clock_wall_ms();
    struct event **events = mem_alloc(bench->batch * sizeof(struct event *));
    struct store_record *records = mem_alloc(bench->batch * FAN_OUT * sizeof *records);
    struct buf bytes = BUF_INIT;
    size_t n_records = add_attempts(bench, &bytes, records);
    bench->n_targets = 0;
    for (size_t i = 0; i < bench->batch; i++) {
        events[i] = make_event(bench, now);
        memcpy(bench->targets + bench->n_targets, events[i]->targets,
               FAN_OUT * sizeof *bench->targets);
        bench->seqs[i] = events[i]->seq;
        bench->n_targets += FAN_OUT;
    }
    const struct store_batch batch = {++bench->block, now,     events,
                                      bench->batch,   records, n_records};
    int64_t cpu = cpu_us();
    int64_t begin = clock_mono_us();
    if (store_append(bench->store, &batch, &error) != OK)
        fatal("%s", error.message);
    *ret_us = clock_mono_us() - begin;
    store_maintain(bench->store, 2);
    cpu = cpu_us() - cpu;
    for (size_t i = 0; i < bench->batch; i++)
        event_unref(events[i]);
    buf_release(&bytes);
    free(events);
    free(records);
    return cpu;
}

/* Reads lanes from their beginning as a drain does, 64 sequences at a time. */
static void read_back(struct bench *bench, size_t most)
{
    struct error error = {0};
    uint64_t seqs[64];
    struct event *events[64];
    size_t n = 0;
    int64_t begin = clock_mono_us();
    int64_t cpu = cpu_us();
    for (uint32_t webhook = 1; webhook <= bench->webhooks && n < most; webhook++) {
        uint64_t last = bench->sequences[webhook - 1];
        for (uint64_t from = 1; from <= last && n < most; from += 64) {
            size_t step = last - from + 1 < 64 ? (size_t)(last - from + 1) : 64;
            if (store_lane(bench->store, webhook, from, step, seqs, &error) != OK ||
                store_events(bench->store, seqs, step, events, &error) != OK)
                fatal("%s", error.message);
            for (size_t i = 0; i < step; i++) {
                ASSERT(events[i] != NULL);
                event_unref(events[i]);
            }
            n += step;
        }
    }
    printf("%zu events read by lane: %.1f us and %.1f us CPU each\n", n,
           (double)(clock_mono_us() - begin) / (double)n, (double)(cpu_us() - cpu) / (double)n);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static size_t argument(int argc, char **argv, int at, size_t otherwise)
{
    return argc > at ? (size_t)strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    size_t n = argument(argc, argv, 1, 300000);
    struct bench bench = {.batch = argument(argc, argv, 2, 100),
                          .webhooks = argument(argc, argv, 3, 1000)};
    char dir[200];
    snprintf(dir, sizeof dir, "%s/hookswitch-bench-XXXXXX", argc > 4 ? argv[4] : "/tmp");
    if (mkdtemp(dir) == NULL)
        fatal("no directory: %s", dir);
    rng_seed(&bench.rng, 1);
    bench.sequences = mem_zero(bench.webhooks, sizeof *bench.sequences);
    bench.targets = mem_alloc(bench.batch * FAN_OUT * sizeof *bench.targets);
    bench.seqs = mem_alloc(bench.batch * sizeof *bench.seqs);
    for (size_t i = 0; i < DATA; i++)
        bench.data[i] = (char)('a' + rng_below(&bench.rng, 26));
    struct error error = {0};
    const struct store_conf conf = {
        .dir = dir, .log_file_bytes = 1 << 30, .log_file_ms = 24 * MS_PER_HOUR, .readers = 2};
    if (store_open_sqlite(&conf, &bench.store, &error) != OK)
        fatal("%s", error.message);
    size_t commits = n / bench.batch;
    int64_t *times = mem_zero(commits + 1, sizeof *times);
    int64_t cpu = 0;
    int64_t begin = clock_mono_us();
    for (size_t i = 0; i < commits; i++)
        cpu += commit(&bench, &times[i]);
    int64_t us = clock_mono_us() - begin;
    struct store_stats stats;
    store_stats(bench.store, &stats);
    double events = (double)(commits * bench.batch);
    qsort(times, commits, sizeof *times, compare);
    printf("%.0f events in batches of %zu, %zu webhooks: %.0f events/s, %.1f us CPU per event; "
           "commit p50 %.2f ms, p99 %.2f ms; fsync %.2f ms per commit; %.1f KB on disk per event\n",
           events, bench.batch, bench.webhooks, events * 1e6 / (double)us, (double)cpu / events,
           (double)times[commits / 2] / 1e3, (double)times[commits * 99 / 100] / 1e3,
           (double)stats.fsync_us_total / 1e3 / (double)commits,
           (double)stats.bytes_on_disk / 1024 / events);
    begin = clock_mono_us();
    store_close(bench.store);
    int64_t closed = clock_mono_us();
    if (store_open_sqlite(&conf, &bench.store, &error) != OK)
        fatal("%s", error.message);
    printf("close %.0f ms, open %.0f ms\n", (double)(closed - begin) / 1e3,
           (double)(clock_mono_us() - closed) / 1e3);
    read_back(&bench, 100000);
    store_close(bench.store);
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    free(bench.sequences);
    free(bench.targets);
    free(bench.seqs);
    free(times);
    return system(command);
}
