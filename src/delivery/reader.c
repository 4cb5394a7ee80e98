/* reader.c: a queue and its threads. A store that cannot be read is fatal: restart recovers. */
#include "delivery/reader.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sys/thread.h"

struct reader_pool {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list queue;
    bool stop;
    unsigned n_threads;
    struct thread threads[];
};

static void read_lane(struct store *store, struct read_job *job)
{
    struct error error = {0};
    if (store_lane(store, job->webhook, job->from, job->n, job->seqs, &error) != OK)
        fatal("the log cannot be read: %s", error.message);
    /* Sequences ascend with events, so the seqs that exist ascend too. */
    uint64_t seqs[READ_JOB_MAX];
    struct event *events[READ_JOB_MAX] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < job->n; i++)
        if (job->seqs[i] != 0)
            seqs[n++] = job->seqs[i];
    if (n > 0 && store_events(store, seqs, n, events, &error) != OK)
        fatal("the log cannot be read: %s", error.message);
    n = 0;
    for (size_t i = 0; i < job->n; i++)
        job->events[i] = job->seqs[i] != 0 ? events[n++] : NULL;
}

static void run_job(struct store *store, struct read_job *job)
{
    if (job->webhook != 0) {
        read_lane(store, job);
    } else {
        struct error error = {0};
        if (store_events(store, job->seqs, 1, job->events, &error) != OK)
            fatal("the log cannot be read: %s", error.message);
    }
    loop_post(job->loop, &job->msg);
}

static void reader_run(void *arg)
{
    struct reader_pool *pool = arg;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        while (list_empty(&pool->queue) && !pool->stop)
            pthread_cond_wait(&pool->wake, &pool->lock);
        struct list *node = list_pop_front(&pool->queue);
        pthread_mutex_unlock(&pool->lock);
        if (node == NULL)
            return;
        run_job(pool->store, CONTAINER_OF(node, struct read_job, node));
    }
}

struct reader_pool *reader_pool_new(struct store *store, unsigned threads)
{
    struct reader_pool *pool = mem_zero(1, sizeof *pool + threads * sizeof(struct thread));
    pool->store = store;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    list_init(&pool->queue);
    pool->n_threads = threads;
    for (unsigned i = 0; i < threads; i++)
        thread_start(&pool->threads[i], "reader", reader_run, pool);
    return pool;
}

void reader_pool_read(struct reader_pool *pool, struct read_job *job)
{
    pthread_mutex_lock(&pool->lock);
    list_push_back(&pool->queue, &job->node);
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void reader_pool_free(struct reader_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        thread_join(&pool->threads[i]);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
