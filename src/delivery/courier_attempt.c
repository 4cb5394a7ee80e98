/* courier_attempt.c: from a pick to a record.
 *
 *   first:  hot event ------------------------> build, sign, send -> done -> judge -> record
 *   retry:  read the event by its position ---> build, sign, send -> done -> judge -> record
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/ulid.h"
#include "delivery/courier_private.h"
#include "hook/envelope.h"
#include "hook/verdict.h"
#include "sys/clock.h"

/* A lane waits so long after a trouble of our own. */
#define LOCAL_HOLD_MS      (10 * MS_PER_S)
#define LOCAL_LOG_EVERY_MS (5 * MS_PER_S)
#define RETRY_AFTER_MAX_S  3600
#define FREE_RUNS_MAX      1024
#define KEEP_BUFFER_BYTES  4096

static struct run *run_new(struct work_lane *w, uint64_t sequence)
{
    struct courier *courier = w->courier;
    struct run *run = NULL;
    struct list *node = list_pop_front(&courier->free_runs);
    if (node != NULL) {
        courier->n_free_runs--;
        run = CONTAINER_OF(node, struct run, node);
        struct buf head = run->head;
        struct buf prefix = run->prefix;
        memset(run, 0, sizeof *run);
        run->head = head;
        run->prefix = prefix;
    } else {
        run = mem_zero(1, sizeof *run);
    }
    list_init(&run->node);
    list_push_back(&courier->runs, &run->node);
    run->lane = w;
    run->target = target_ref(w->target);
    run->sequence = sequence;
    w->in_flight++;
    run->gate = gate_ref(courier, w->target->host_hash);
    run->gate->in_flight++;
    run->unproven = w->sched.tier == SCHED_UNPROVEN;
    run->gate->unproven_in_flight += run->unproven;
    courier->slots_taken++;
    atomic_fetch_add_explicit(&courier->in_flight, 1, memory_order_relaxed);
    return run;
}

void run_free(struct run *run)
{
    buf_release(&run->head);
    buf_release(&run->prefix);
    free(run);
}

static void run_recycle(struct courier *courier, struct run *run)
{
    list_remove(&run->node);
    if (courier->n_free_runs >= FREE_RUNS_MAX || run->head.cap > KEEP_BUFFER_BYTES ||
        run->prefix.cap > KEEP_BUFFER_BYTES) {
        run_free(run);
        return;
    }
    courier->n_free_runs++;
    list_push_front(&courier->free_runs, &run->node);
}

static void tell_dead(const struct work_lane *w)
{
    char uuid[WEBHOOK_UUID_TEXT + 1];
    webhook_uuid_text(&w->target->webhook, uuid);
    int64_t wait_ms = sched_lane_probe_at(&w->sched) - loop_now(w->courier->loop);
    LOG_FIELDS(LOG_LEVEL_INFO, "a receiver cannot be reached and is left alone until a probe",
               LOG_TEXT("webhook_id", uuid), LOG_NUM("company", w->target->webhook.company),
               LOG_NUM("probe_in_s", wait_ms / MS_PER_S));
}

/* Gives back everything that run_new and the start took, but the result slot. */
static void run_end(struct run *run, enum signal_kind signal)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    struct host_gate *gate = run->gate;
    gate->in_flight--;
    gate->unproven_in_flight -= run->unproven;
    work_lane_drop_key(w, run->order_hash);
    mono_ms now = loop_now(courier->loop);
    bool was_dead = work_lane_dead(w);
    sched_done(&courier->sched, &w->sched, signal, now, &courier->rng);
    if (work_lane_dead(w) && !was_dead)
        tell_dead(w);
    gate_change_line(w);
    atomic_fetch_sub_explicit(&courier->in_flight, 1, memory_order_relaxed);
    event_unref(run->event);
    target_unref(run->target);
    run_recycle(courier, run);
    gate_wake(courier, gate);
    gate_unref(courier, gate);
    w->in_flight--; /* last: until now nobody could end the lane under our feet */
    work_lane_update(w);
}

/* --- sending --- */

static void run_done(struct http_post *post);

static void send_run(struct run *run)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    const struct event *event = run->event;
    const struct webhook *webhook = &run->target->webhook;
    wall_ms now = clock_wall_ms();
    struct attempt *attempt = &run->attempt;
    attempt->webhook = w->lane.webhook;
    attempt->sequence = run->sequence;
    attempt->epoch = w->lane.epoch;
    attempt->url_revision = webhook->url_revision;
    attempt->event_seq = event->seq;
    attempt->order_hash = event->order_hash;
    attempt->event_accepted_at = event->accepted_at;
    attempt->started_at = now;
    attempt->sent_timestamp_s = now / MS_PER_S;

    envelope_prefix(&run->prefix, event, webhook->token);
    run->post.body[0] = buf_span(&run->prefix);
    run->post.body[1] = event->data;
    run->post.body[2] = SPAN_LIT(ENVELOPE_END);
    struct ulid ulid;
    char id[EVENT_ID_TEXT_LEN + 1];
    char signature[SIGNATURE_TEXT + 1];
    memcpy(ulid.bytes, event->id, ULID_BYTES);
    event_id_text(&ulid, id);
    signer_sign(courier->signer, span_make(webhook->secret, WEBHOOK_SECRET_BYTES),
                span_make(id, EVENT_ID_TEXT_LEN), attempt->sent_timestamp_s, run->post.body, 3,
                signature);
    const struct envelope_head head = {
        .url = &run->target->url,
        .event = event,
        .sequence = run->sequence,
        .attempt = attempt->number,
        .timestamp_s = attempt->sent_timestamp_s,
        .body_bytes = run->prefix.len + event->data.len + strlen(ENVELOPE_END),
        .signature = span_make(signature, SIGNATURE_TEXT),
    };
    envelope_head(&run->head, &head);
    run->post.head = buf_span(&run->head);
    run->post.host = run->target->url.host;
    run->post.port = run->target->url.port;
    run->post.timeout_ms = courier->engine->settings->deliver_timeout_ms;
    run->post.done = run_done;
    run->sent = true;
    http_client_post(courier->client, &run->post);
}

void run_first(struct work_lane *w, unsigned offset)
{
    uint64_t sequence = w->lane.cursor + 1 + offset;
    struct run *run = run_new(w, sequence);
    run->event = event_ref(work_lane_event(w, sequence));
    run->attempt.number = 1;
    run->order_hash = run->event->order_hash;
    work_lane_take_key(w, run->order_hash);
    w->flight |= UINT64_C(1) << offset;
    send_run(run);
}

/* The attempt did not happen: the delivery is where it was, nothing is counted. */
static void put_back(struct run *run)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    if (run->retry) {
        struct lane_retry *retry = lane_retry_find(&w->lane, run->sequence);
        if (retry != NULL)
            lane_retry_cancel(&w->lane, retry);
    } else {
        w->flight &= ~(UINT64_C(1) << (run->sequence - w->lane.cursor - 1));
    }
    courier->slots_taken--;
}

/* The event of a retry was read. */
static void retry_read(struct loop_msg *msg)
{
    struct run *run = CONTAINER_OF(CONTAINER_OF(msg, struct read_job, msg), struct run, job);
    struct work_lane *w = run->lane;
    run->event = run->job.events[0];
    /* The webhook may have been switched off, or the server told to stop, while it was read. */
    bool open = lane_active(&w->lane) && !w->gone && !atomic_load(&w->courier->quiesced);
    if (run->event != NULL && open) {
        send_run(run);
        return;
    }
    if (run->event != NULL) {
        put_back(run);
        run_end(run, SIGNAL_NONE);
        return;
    }
    work_lane_give_up(w, run->sequence, run->job.seqs[0]);
    w->courier->slots_taken--;
    run_end(run, SIGNAL_NONE);
}

void run_retry(struct work_lane *w, struct lane_retry *retry)
{
    struct run *run = run_new(w, retry->sequence);
    run->retry = true;
    run->attempt.number = retry->attempts + 1;
    run->order_hash = retry->order_hash;
    work_lane_take_key(w, run->order_hash);
    lane_retry_start(&w->lane, retry);
    run->job.msg.handle = retry_read;
    run->job.loop = w->courier->loop;
    run->job.n = 1;
    run->job.seqs[0] = retry->event_seq;
    reader_pool_read(w->courier->engine->readers, &run->job);
}

/* --- judging --- */

/* Ours: nothing is counted, the lane waits. */
static void local_trouble(struct run *run)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    const struct http_post *post = &run->post;
    mono_ms now = loop_now(courier->loop);
    put_back(run);
    work_lane_suspend(w, now + LOCAL_HOLD_MS + (mono_ms)rng_below(&courier->rng, 1000));
    atomic_fetch_add(&courier->engine->metrics.attempts_local, 1);
    if (now - courier->local_trouble_logged_at < LOCAL_LOG_EVERY_MS)
        return;
    courier->local_trouble_logged_at = now;
    const char *words = post->result.detail[0] != '\0' ? post->result.detail
                                                       : http_error_sentence(post->result.error);
    LOG_FIELDS(LOG_LEVEL_ERROR, "a delivery could not be tried for a reason of our own",
               LOG_NUM("webhook", w->lane.webhook), LOG_TEXT("host", post->host),
               LOG_TEXT("reason", words));
}

static void fill_peer(struct attempt *attempt, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        attempt->peer_len = 4;
        memcpy(attempt->peer, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        attempt->peer_len = 16;
        memcpy(attempt->peer, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
    }
}

static void fill_attempt(struct run *run)
{
    struct attempt *attempt = &run->attempt;
    const struct http_post *post = &run->post;
    attempt->http_status = (uint16_t)post->result.status;
    attempt->error = (uint16_t)post->result.error;
    attempt->reused = post->result.reused;
    attempt->resumed = post->result.resumed;
    attempt->dns_us = post->result.dns_us;
    attempt->connect_us = post->result.connect_us;
    attempt->tls_us = post->result.tls_us;
    attempt->first_byte_us = post->result.first_byte_us;
    attempt->total_us = post->result.total_us;
    fill_peer(attempt, &post->result.peer);
    attempt->detail = span_from(post->result.detail);
    attempt->body = post->result.body;
}

static void measure(struct courier *courier, const struct attempt *attempt)
{
    struct metrics *metrics = &courier->engine->metrics;
    histogram_add(&metrics->attempt_time, attempt->total_us);
    switch (attempt->outcome) {
    case OUTCOME_DELIVERED:
        atomic_fetch_add(&metrics->attempts_delivered, 1);
        break;
    case OUTCOME_RETRY:
        atomic_fetch_add(&metrics->attempts_retry, 1);
        break;
    case OUTCOME_FAILED:
        atomic_fetch_add(&metrics->attempts_failed, 1);
        break;
    case OUTCOME_HELD:
        atomic_fetch_add(&metrics->attempts_held, 1);
        break;
    }
    wall_ms waited = attempt->started_at - attempt->event_accepted_at;
    if (attempt->number == 1 && attempt->http_status != 0 && waited >= 0)
        histogram_add(&metrics->accept_to_first_byte, (uint64_t)waited * 1000 + attempt->total_us);
}

static void tell_deactivated(struct work_lane *w)
{
    struct engine *engine = w->courier->engine;
    struct buf text = BUF_INIT;
    lane_ledger_text(&text, &w->lane, engine->policy.failure_threshold,
                     engine->settings->deliver_timeout_ms);
    char uuid[WEBHOOK_UUID_TEXT + 1];
    webhook_uuid_text(&w->target->webhook, uuid);
    LOG_FIELDS(LOG_LEVEL_WARN, "webhook deactivated", LOG_TEXT("webhook_id", uuid),
               LOG_NUM("company", w->target->webhook.company), LOG_SPAN("ledger", buf_span(&text)));
    buf_release(&text);
    atomic_fetch_add(&engine->metrics.deactivations, 1);
}

/* Judges, folds into the working copy and records. */
static void conclude(struct run *run, enum verdict verdict)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    struct attempt *attempt = &run->attempt;
    struct deactivation deactivation;
    fill_attempt(run);
    const struct lane_retry *previous =
        run->retry ? lane_retry_find(&w->lane, run->sequence) : NULL;
    bool deactivates =
        lane_judge(&w->lane, &courier->engine->policy, verdict, run->post.result.retry_after_s,
                   previous, clock_wall_ms(), &courier->rng, attempt, &deactivation);
    struct results *results = courier_results(courier);
    results->slots++;
    results_begin(results, RECORD_ATTEMPT, attempt->webhook, attempt->sequence);
    attempt_encode(&results->bytes, attempt);
    results_end(results);
    uint64_t cursor = w->lane.cursor;
    if (!run->retry)
        w->flight &= ~(UINT64_C(1) << (run->sequence - cursor - 1));
    lane_fold_attempt(&w->lane, attempt);
    work_lane_moved(w, cursor);
    measure(courier, attempt);
    if (deactivates) {
        results_begin(results, RECORD_DEACTIVATED, attempt->webhook, 0);
        deactivation_encode(&results->bytes, &deactivation);
        results_end(results);
        lane_fold_deactivation(&w->lane, &deactivation);
        tell_deactivated(w);
    }
}

static void honour_retry_after(struct run *run)
{
    int64_t seconds = run->post.result.retry_after_s;
    unsigned status = run->post.result.status;
    if (seconds <= 0 || (status != 429 && status != 503))
        return;
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    work_lane_suspend(run->lane, loop_now(run->lane->courier->loop) + seconds * MS_PER_S);
}

/* Tells how the request went; true when our own network is suspected now. */
static bool network_suspect(const struct run *run, bool answered)
{
    const struct courier *courier = run->lane->courier;
    struct engine *engine = courier->engine;
    bool changed = false;
    bool suspect = network_watch_note(engine->network, run->target->host_hash, answered,
                                      loop_now(courier->loop), &changed);
    if (!changed)
        return suspect;
    atomic_store(&engine->metrics.network_paused, suspect);
    if (suspect)
        LOG_ERROR("more than half of the hosts that answered lately fail before HTTP: the fault is "
                  "probably ours; deliveries pause and nothing is counted against receivers");
    else
        LOG_INFO("most hosts answer again: deliveries go on");
    return suspect;
}

/* What the scheduler is told. An attempt at the URL that was, or from before the webhook was
 * enabled again, says nothing about the receiver that is. */
static enum signal_kind heed(const struct run *run)
{
    const struct work_lane *w = run->lane;
    if (run->attempt.epoch != w->lane.epoch ||
        run->attempt.url_revision != w->target->webhook.url_revision)
        return SIGNAL_NONE;
    return signal_of(run->post.result.error, run->post.result.status);
}

static void run_done(struct http_post *post)
{
    struct run *run = CONTAINER_OF(post, struct run, post);
    run->sent = false;
    enum http_error error = post->result.error;
    enum verdict verdict = verdict_of(error, post->result.status);
    bool answered = post->result.status != 0;
    bool theirs = answered || error == HTTP_ERR_MALFORMED || error == HTTP_ERR_HEAD_TOO_LARGE ||
                  error == HTTP_ERR_TIMEOUT_RESPONSE || error == HTTP_ERR_ADDRESS_REFUSED;
    if (verdict != VERDICT_LOCAL && (answered || !theirs)) {
        if (network_suspect(run, answered) && !answered)
            verdict = VERDICT_LOCAL;
    }
    enum signal_kind signal = SIGNAL_NONE;
    if (verdict == VERDICT_LOCAL) {
        local_trouble(run);
    } else {
        signal = heed(run);
        conclude(run, verdict);
        honour_retry_after(run);
    }
    run_end(run, signal);
}

void run_abandon(struct run *run)
{
    struct work_lane *w = run->lane;
    struct courier *courier = w->courier;
    if (run->sent) {
        http_client_cancel(courier->client, &run->post);
        event_unref(run->event);
    }
    w->in_flight--;
    gate_unref(courier, run->gate);
    target_unref(run->target);
    list_remove(&run->node);
    run_free(run);
}
