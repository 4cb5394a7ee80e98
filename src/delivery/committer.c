/* committer.c: the queue and the thread; what one commit does is in commit.c. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/commit.h"
#include "delivery/engine_private.h"
#include "sys/thread.h"

/* The committer looks after the store at least so often when nothing happens. */
#define IDLE_S 1
/* Results alone wait so long for company: nobody waits for them, and a commit for each would cost
 * an fsync per delivery. A crash may repeat what these milliseconds delivered, no more. */
#define GATHER_MS 5
/* Work of store_maintain between two commits, and when idle. */
#define MAINTAIN_BUSY_MS 5
#define MAINTAIN_IDLE_MS 50

struct committer {
    struct engine *engine;
    struct commit *commit; /* the thread's own */
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the queue is not empty, or stop */
    pthread_cond_t idle; /* everything that was taken is answered */
    struct list queue;
    size_t queued_requests; /* ingests and changes in `queue` */
    size_t queued_results;  /* records in `queue` */
    size_t waiting_events;
    size_t waiting_requests; /* ingests and changes, queued or being committed */
    bool quiesced, stop;
    bool starved; /* a commit waits for room on the disk */
};

struct committer *committer_new(struct engine *engine)
{
    struct committer *committer = mem_zero(1, sizeof *committer);
    committer->engine = engine;
    committer->commit = commit_new(engine);
    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->wake, &attr);
    pthread_cond_init(&committer->idle, &attr);
    pthread_condattr_destroy(&attr);
    list_init(&committer->queue);
    return committer;
}

void committer_free(struct committer *committer)
{
    if (committer == NULL)
        return;
    ASSERT(list_empty(&committer->queue));
    commit_free(committer->commit);
    pthread_cond_destroy(&committer->wake);
    pthread_cond_destroy(&committer->idle);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}

void committer_resume(struct committer *committer,
                      const struct store_end *end,
                      uint64_t replayed_bytes)
{
    commit_resume(committer->commit, end, replayed_bytes);
}

struct keys *committer_keys(struct committer *committer)
{
    return commit_keys(committer->commit);
}

/* --- the queue --- */

/* Under the lock. */
static void enqueue(struct committer *committer, struct commit_item *item, int kind)
{
    item->kind = kind;
    bool wake = list_empty(&committer->queue);
    list_push_back(&committer->queue, &item->node);
    if (kind == COMMIT_RESULTS) {
        size_t bytes = 0;
        size_t limit = (size_t)committer->engine->settings->commit_batch_items;
        bool enough = committer->queued_results < limit;
        committer->queued_results += commit_item_weight(item, &bytes);
        wake = wake || (enough && committer->queued_results >= limit);
    } else {
        wake = wake || committer->queued_requests == 0;
        committer->queued_requests++;
    }
    if (wake)
        pthread_cond_signal(&committer->wake);
}

static void refuse_ingest(struct ingest_request *request, enum err code, const char *message)
{
    request->code = code;
    snprintf(request->message, sizeof request->message, "%s", message);
    for (size_t i = 0; i < request->n_events; i++)
        event_unref(request->events[i]);
    free(request->events);
    request->events = NULL;
    request->done(request);
}

void committer_ingest(struct committer *committer, struct ingest_request *request)
{
    struct engine *engine = committer->engine;
    size_t limit = (size_t)engine->settings->commit_queue_events;
    enum err refused = OK;
    pthread_mutex_lock(&committer->lock);
    if (committer->quiesced) {
        refused = ERR_SHUTDOWN;
    } else if (committer->starved) {
        refused = ERR_FULL;
    } else if (committer->waiting_events != 0 &&
               committer->waiting_events + request->n_events > limit) {
        refused = ERR_LIMIT;
    } else {
        committer->waiting_events += request->n_events;
        committer->waiting_requests++;
        enqueue(committer, &request->item, COMMIT_INGEST);
    }
    pthread_mutex_unlock(&committer->lock);
    if (refused == ERR_SHUTDOWN) {
        refuse_ingest(request, refused, err_sentence(refused));
    } else if (refused == ERR_FULL) {
        atomic_fetch_add(&engine->metrics.ingest_refused_full, 1);
        refuse_ingest(request, refused, COMMIT_FULL_TEXT);
    } else if (refused != OK) {
        atomic_fetch_add(&engine->metrics.ingest_refused_busy, 1);
        refuse_ingest(request, refused,
                      "too many events wait to be written; send again in a second");
    }
}

void committer_change(struct committer *committer, struct change *change)
{
    pthread_mutex_lock(&committer->lock);
    bool quiesced = committer->quiesced;
    bool starved = committer->starved;
    if (!quiesced && !starved) {
        committer->waiting_requests++;
        enqueue(committer, &change->item, COMMIT_CHANGE);
    }
    pthread_mutex_unlock(&committer->lock);
    if (quiesced) {
        error_set(&change->result, ERR_SHUTDOWN, "%s", err_sentence(ERR_SHUTDOWN));
        change->done(change);
    } else if (starved) {
        error_set(&change->result, ERR_FULL, "%s", COMMIT_FULL_TEXT);
        change->done(change);
    }
}

/* Refuses what was taken from the queue. */
static void refuse_all(struct committer *committer, struct list *items)
{
    struct list *node;
    while ((node = list_pop_front(items)) != NULL) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (item->kind == COMMIT_CHANGE) {
            struct change *change = CONTAINER_OF(item, struct change, item);
            error_set(&change->result, ERR_FULL, "%s", COMMIT_FULL_TEXT);
            change->done(change);
        } else {
            atomic_fetch_add(&committer->engine->metrics.ingest_refused_full, 1);
            refuse_ingest(CONTAINER_OF(item, struct ingest_request, item), ERR_FULL,
                          COMMIT_FULL_TEXT);
        }
    }
}

void committer_starve(struct committer *committer, bool starved)
{
    struct list refused;
    struct list *node;
    struct list *next;
    list_init(&refused);
    pthread_mutex_lock(&committer->lock);
    committer->starved = starved;
    LIST_FOREACH_SAFE (node, next, &committer->queue) {
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        if (!starved || item->kind == COMMIT_RESULTS)
            continue;
        list_remove(node);
        list_push_back(&refused, node);
        if (item->kind == COMMIT_INGEST)
            committer->waiting_events -= CONTAINER_OF(item, struct ingest_request, item)->n_events;
        committer->waiting_requests--;
        committer->queued_requests--;
    }
    if (committer->waiting_requests == 0)
        pthread_cond_broadcast(&committer->idle);
    pthread_mutex_unlock(&committer->lock);
    refuse_all(committer, &refused);
}

void committer_results(struct committer *committer, struct results *results)
{
    pthread_mutex_lock(&committer->lock);
    enqueue(committer, &results->item, COMMIT_RESULTS);
    pthread_mutex_unlock(&committer->lock);
}

bool committer_accepting(const struct committer *committer)
{
    struct committer *own = (struct committer *)(uintptr_t)committer;
    pthread_mutex_lock(&own->lock);
    bool accepting = !own->quiesced;
    pthread_mutex_unlock(&own->lock);
    return accepting;
}

/* --- the thread --- */

/* Under the lock: moves items from the queue to *taken, up to the limits of one commit. */
static void take(struct committer *committer, struct list *taken)
{
    const struct settings *settings = committer->engine->settings;
    size_t items = 0;
    size_t bytes = 0;
    while (!list_empty(&committer->queue) && items < (size_t)settings->commit_batch_items &&
           bytes < settings->commit_batch_bytes) {
        struct list *node = list_pop_front(&committer->queue);
        list_push_back(taken, node);
        struct commit_item *item = CONTAINER_OF(node, struct commit_item, node);
        size_t weight = commit_item_weight(item, &bytes);
        items += weight;
        if (item->kind == COMMIT_RESULTS)
            committer->queued_results -= weight;
        else
            committer->queued_requests--;
    }
}

static struct timespec from_now(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return until;
}

/* Under the lock: until something is queued or a second has passed. */
static void wait_for_work(struct committer *committer)
{
    struct timespec until = from_now(IDLE_S * MS_PER_S);
    while (list_empty(&committer->queue) && !committer->stop)
        if (pthread_cond_timedwait(&committer->wake, &committer->lock, &until) == ETIMEDOUT)
            return;
}

/* Under the lock: while only results are queued, and not a whole batch of them. */
static void gather(struct committer *committer)
{
    size_t limit = (size_t)committer->engine->settings->commit_batch_items;
    struct timespec until = from_now(GATHER_MS);
    while (!committer->stop && committer->queued_requests == 0 && committer->queued_results < limit)
        if (pthread_cond_timedwait(&committer->wake, &committer->lock, &until) == ETIMEDOUT)
            return;
}

static void committer_run(void *arg)
{
    struct committer *committer = arg;
    bool more_maintenance = false;
    for (;;) {
        struct list taken;
        list_init(&taken);
        pthread_mutex_lock(&committer->lock);
        if (list_empty(&committer->queue) && !committer->stop && !more_maintenance)
            wait_for_work(committer);
        if (!list_empty(&committer->queue))
            gather(committer);
        take(committer, &taken);
        bool stop = committer->stop && list_empty(&taken);
        pthread_mutex_unlock(&committer->lock);
        if (stop)
            return;
        if (list_empty(&taken)) {
            more_maintenance = store_maintain(committer->engine->store, MAINTAIN_IDLE_MS);
            continue;
        }
        struct commit_count count = commit_run(committer->commit, &taken);
        pthread_mutex_lock(&committer->lock);
        committer->waiting_events -= count.events;
        committer->waiting_requests -= count.requests;
        atomic_store_explicit(&committer->engine->metrics.commit_queue, committer->waiting_events,
                              memory_order_relaxed);
        if (committer->waiting_requests == 0)
            pthread_cond_broadcast(&committer->idle);
        pthread_mutex_unlock(&committer->lock);
        more_maintenance = store_maintain(committer->engine->store, MAINTAIN_BUSY_MS);
    }
}

void committer_start(struct committer *committer)
{
    thread_start(&committer->thread, "committer", committer_run, committer);
}

void committer_quiesce(struct committer *committer)
{
    commit_give_up(committer->commit);
    pthread_mutex_lock(&committer->lock);
    committer->quiesced = true;
    while (committer->waiting_requests > 0)
        pthread_cond_wait(&committer->idle, &committer->lock);
    pthread_mutex_unlock(&committer->lock);
}

void committer_stop(struct committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    committer->quiesced = true;
    committer->stop = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
    thread_join(&committer->thread);
}
