/* metrics.c: GET /metrics: figures of every room in Prometheus' text format 0.0.4.
 *
 * Counters are read one by one without a lock: each is right, together they are of nearly one
 * moment, which is what a scrape can use. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/handlers.h"

static void add_head(struct buf *buf, const char *name, const char *type, const char *help)
{
    buf_printf(buf, "# HELP hookswitch_%s %s\n# TYPE hookswitch_%s %s\n", name, help, name, type);
}

static void
add_one(struct buf *buf, const char *name, const char *type, const char *help, uint64_t value)
{
    add_head(buf, name, type, help);
    buf_printf(buf, "hookswitch_%s %" PRIu64 "\n", name, value);
}

/* microseconds as seconds */
static void add_seconds(
    struct buf *buf, const char *name, const char *type, const char *help, uint64_t value_us)
{
    add_head(buf, name, type, help);
    buf_printf(buf, "hookswitch_%s %.6f\n", name, (double)value_us / 1e6);
}

/* One label of a family. */
static void
add_labelled(struct buf *buf, const char *name, const char *label, const char *text, uint64_t value)
{
    buf_printf(buf, "hookswitch_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, text, value);
}

/* unit: how many of the histogram's units make one of those that are shown (1e6 for seconds). */
static void add_histogram(
    struct buf *buf, const char *name, const char *help, struct histogram *histogram, double unit)
{
    uint64_t sum = 0;

    add_head(buf, name, "histogram", help);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum += atomic_load(&histogram->bucket[i]);
        if (i + 1 < HISTOGRAM_BUCKETS)
            buf_printf(buf, "hookswitch_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                       histogram_bound_s(i) * 1e6 / unit, sum);
        else
            buf_printf(buf, "hookswitch_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
    }
    /* The count is that of the buckets, so that both agree while others add. */
    buf_printf(buf, "hookswitch_%s_sum %.6f\nhookswitch_%s_count %" PRIu64 "\n", name,
               (double)atomic_load(&histogram->sum_us) / unit, name, sum);
}

static void add_ingest(struct buf *buf, struct metrics *m)
{
    add_one(buf, "events_accepted_total", "counter", "Events that were answered with 202.",
            atomic_load(&m->events_accepted));
    add_one(buf, "events_unmatched_total", "counter",
            "Accepted events that no webhook subscribed to.", atomic_load(&m->events_unmatched));
    add_one(buf, "events_replayed_total", "counter",
            "Events in answers that an Idempotency-Key repeated.",
            atomic_load(&m->events_replayed));
    add_head(buf, "ingest_refused_total", "counter", "Ingest requests refused by the engine.");
    add_labelled(buf, "ingest_refused_total", "reason", "disk_full",
                 atomic_load(&m->ingest_refused_full));
    add_labelled(buf, "ingest_refused_total", "reason", "busy",
                 atomic_load(&m->ingest_refused_busy));
    add_one(buf, "commit_queue", "gauge", "Events that wait for their commit.",
            atomic_load(&m->commit_queue));
    add_one(buf, "commits_total", "counter",
            "Rounds of the committer, also those without a log entry.", atomic_load(&m->commits));
    add_one(buf, "commit_items_total", "counter", "Events, results and changes committed.",
            atomic_load(&m->commit_items));
    add_histogram(buf, "commit_duration_seconds", "Time of one commit, fsync included.",
                  &m->commit_time, 1e6);
    add_histogram(buf, "commit_batch_items", "Items per commit.", &m->commit_batch, 1);
}

static void add_deliveries(struct buf *buf, struct metrics *m)
{
    add_head(buf, "attempts_total", "counter", "Attempts of deliveries by outcome.");
    add_labelled(buf, "attempts_total", "outcome", "delivered",
                 atomic_load(&m->attempts_delivered));
    add_labelled(buf, "attempts_total", "outcome", "retry", atomic_load(&m->attempts_retry));
    add_labelled(buf, "attempts_total", "outcome", "failed", atomic_load(&m->attempts_failed));
    add_labelled(buf, "attempts_total", "outcome", "held", atomic_load(&m->attempts_held));
    add_one(buf, "attempts_local_total", "counter",
            "Attempts that failed by a trouble of this server; counted against no receiver.",
            atomic_load(&m->attempts_local));
    add_one(buf, "deliveries_expired_total", "counter", "Deliveries given up after their hold.",
            atomic_load(&m->deliveries_expired));
    add_one(buf, "deliveries_dropped_total", "counter",
            "Deliveries given up because their webhook was deleted.",
            atomic_load(&m->deliveries_dropped));
    add_histogram(buf, "attempt_duration_seconds",
                  "Time of an attempt, from DNS to the head of the response.", &m->attempt_time,
                  1e6);
    add_histogram(buf, "accept_to_first_byte_seconds",
                  "First attempts: from acceptance to the first byte of the response.",
                  &m->accept_to_first_byte, 1e6);
    add_one(buf, "deliveries_in_flight", "gauge", "Attempts that run now.",
            atomic_load(&m->in_flight));
    add_one(buf, "network_paused", "gauge", "1 while deliveries pause for a fault of this network.",
            atomic_load(&m->network_paused));
}

static void add_lanes(struct buf *buf, struct metrics *m)
{
    add_one(buf, "lanes", "gauge", "Webhooks with a lane.", atomic_load(&m->lanes));
    add_one(buf, "lanes_on_hold", "gauge",
            "Lanes that hold what they are owed because their webhook is inactive.",
            atomic_load(&m->lanes_inactive));
    add_one(buf, "lanes_dead", "gauge",
            "Lanes whose receiver cannot be reached and that wait for a probe.",
            atomic_load(&m->lanes_dead));
    add_one(buf, "deliveries_owed", "gauge",
            "Deliveries that are not finished, held ones included.",
            atomic_load(&m->deliveries_owed));
    add_one(buf, "deliveries_held", "gauge", "Of those, waiting for an inactive webhook.",
            atomic_load(&m->deliveries_held));
    add_one(buf, "webhooks_deactivated_total", "counter", "Webhooks switched off by failures.",
            atomic_load(&m->deactivations));
    add_one(buf, "webhooks_enabled_total", "counter", "Webhooks enabled by their owners.",
            atomic_load(&m->enables));
    add_one(buf, "hot_bytes", "gauge", "Event payloads kept in memory.",
            atomic_load(&m->hot_bytes));
}

static void add_connections(struct buf *buf, struct metrics *m)
{
    add_one(buf, "client_connections", "gauge", "Connections to receivers.",
            atomic_load(&m->connections));
    add_one(buf, "client_idle_connections", "gauge", "Of those, kept without a request.",
            atomic_load(&m->idle_connections));
    add_one(buf, "client_handshakes_total", "counter", "TLS handshakes with receivers.",
            atomic_load(&m->handshakes));
    add_one(buf, "client_resumed_total", "counter", "Of those, resumed sessions.",
            atomic_load(&m->resumed));
    add_one(buf, "client_reused_total", "counter", "Requests on a kept connection.",
            atomic_load(&m->reused));
    add_one(buf, "client_stale_retries_total", "counter",
            "Requests repeated because a kept connection had ended.",
            atomic_load(&m->stale_retries));
}

static void add_server(struct buf *buf, struct api *api)
{
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct http_server *server = atomic_load(&api->server);

    add_head(buf, "http_answers_total", "counter", "Answers of the API by class of status.");
    for (unsigned i = 2; i < sizeof(classes) / sizeof(classes[0]); i++)
        add_labelled(buf, "http_answers_total", "class", classes[i], atomic_load(&api->answers[i]));
    add_one(buf, "http_credentials_refused_total", "counter",
            "Requests without or with wrong credentials.", atomic_load(&api->refused_credentials));
    add_one(buf, "http_rate_limited_total", "counter", "Requests over a company's limit.",
            atomic_load(&api->refused_rate));
    if (server == NULL)
        return;
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    add_one(buf, "http_requests_total", "counter", "Requests to the API.", stats.requests);
    add_one(buf, "http_connections", "gauge", "Inbound connections.", stats.connections);
    add_one(buf, "http_timeouts_total", "counter",
            "Inbound connections closed for being too slow in a head, a body or an answer.",
            stats.timeouts);
    add_one(buf, "http_waiting_bytes", "gauge", "Request bodies held in memory.",
            stats.waiting_bytes);
}

static void add_store(struct buf *buf, struct store *store)
{
    struct store_stats stats = {0};

    store_stats(store, &stats);
    add_one(buf, "store_bytes", "gauge", "Size of the data directory's files.",
            stats.bytes_on_disk);
    add_one(buf, "store_free_bytes", "gauge", "Room on the disk.", stats.free_bytes);
    add_one(buf, "store_log_files", "gauge", "Log files.", stats.log_files);
    add_one(buf, "store_commits_total", "counter", "Transactions of the log.", stats.commits);
    add_seconds(buf, "store_fsync_seconds_total", "counter", "Time spent in fsync.",
                stats.fsync_us_total);
    add_seconds(buf, "store_commit_seconds_total", "counter", "Time spent in transactions.",
                stats.commit_us_total);
}

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t timeval_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void add_process(struct buf *buf)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    add_one(buf, "memory_resident_bytes", "gauge", "Memory of the process.", resident_bytes());
    add_seconds(buf, "cpu_seconds_total", "counter", "CPU time of the process.",
                timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime));
    add_head(buf, "build_info", "gauge", "Always 1; the version is a label.");
    add_labelled(buf, "build_info", "version", HOOKSWITCH_VERSION, 1);
}

void metrics_get(struct call *call)
{
    struct metrics *metrics = engine_metrics(call->api->engine);
    struct buf body = BUF_INIT;

    add_ingest(&body, metrics);
    add_deliveries(&body, metrics);
    add_lanes(&body, metrics);
    add_connections(&body, metrics);
    add_server(&body, call->api);
    add_store(&body, engine_store(call->api->engine));
    add_process(&body);
    call_answer_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}
