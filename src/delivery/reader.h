/* reader.h: threads that read the store for the couriers, which may not block.
 *
 * A job is the courier's memory; it comes back as a message on the courier's loop, always. */
#ifndef DELIVERY_READER_H
#define DELIVERY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hook/event.h"
#include "store/store.h"
#include "sys/loop.h"

#define READ_JOB_MAX 32

struct read_job {
    struct loop_msg msg; /* posted to `loop` when done; msg.handle is the courier's */
    struct loop *loop;
    void *owner; /* the courier's */
    struct list node;
    /* what to read: n sequences of a webhook from `from` on, or (webhook 0) the event seqs[0] */
    uint32_t webhook;
    uint64_t from;
    size_t n;
    /* answer: seqs[i] 0 or events[i] NULL = retention took it. References are the caller's. */
    uint64_t seqs[READ_JOB_MAX];
    struct event *events[READ_JOB_MAX];
};

struct reader_pool;
struct reader_pool *reader_pool_new(struct store *store, unsigned threads);
void reader_pool_read(struct reader_pool *pool, struct read_job *job);
/* Finishes what is queued, then joins. */
void reader_pool_free(struct reader_pool *pool);

#endif
