/* committer.h: the one thread that orders events, changes and results, and makes them durable.
 *
 *   queue -> batch: assign ids and sequences, match subscriptions, apply changes to config.db
 *         -> store_append: one transaction, one fsync
 *         -> fold into the ledger -> answer -> fan out to the couriers
 *
 * Idle latency is one fsync; under load the batch grows by itself. No request waits for a timer;
 * only results do, for a few milliseconds, when nothing else is queued. */
#ifndef DELIVERY_COMMITTER_H
#define DELIVERY_COMMITTER_H

#include "base/buf.h"
#include "delivery/engine.h"

struct committer;
struct courier;

/* Finished attempts and lane changes of one courier, encoded. */
struct results {
    struct commit_item item;
    struct courier *courier; /* gets `slots` back when they are committed; NULL = nobody */
    unsigned slots;
    struct buf bytes;
    struct list waiters; /* retry_request.node: answered when these results are committed */
    struct result_record {
        uint8_t kind;
        uint32_t webhook;
        uint64_t sequence;
        size_t offset, len; /* in bytes */
    } * records;
    size_t n, cap;
};
struct results *results_new(struct courier *courier);
/* Begins a record; the caller encodes into results->bytes, then calls results_end. */
void results_begin(struct results *results, uint8_t kind, uint32_t webhook, uint64_t sequence);
void results_end(struct results *results);
void results_free(struct results *results);

struct committer *committer_new(struct engine *engine);
void committer_start(struct committer *committer);
void committer_ingest(struct committer *committer, struct ingest_request *request);
void committer_change(struct committer *committer, struct change *change);
/* Never refused: the courier reserved the slots. Takes the object. */
void committer_results(struct committer *committer, struct results *results);
/* Refuses new ingests and changes; returns when all that were taken are answered. From now on
 * results that find no room on the disk are dropped: their deliveries stay owed. */
void committer_quiesce(struct committer *committer);
bool committer_accepting(const struct committer *committer);
/* Commits what is left, ends the thread. */
void committer_stop(struct committer *committer);
void committer_free(struct committer *committer);

/* Of the commit that waits for room on the disk, on the committer's thread: from now on ingests and
 * changes are refused with ERR_FULL, those that are queued as well, until it is called with false.
 */
void committer_starve(struct committer *committer, bool starved);
#define COMMIT_FULL_TEXT "the disk is full: make room on the server, then send again"

/* What recovery found: where the next block, event and id go on, and the keys. */
struct keys;
void committer_resume(struct committer *committer,
                      const struct store_end *end,
                      uint64_t replayed_bytes);
struct keys *committer_keys(struct committer *committer);

#endif
