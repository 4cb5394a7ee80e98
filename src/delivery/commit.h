/* commit.h: one commit, start to end, on the committer's thread. */
#ifndef DELIVERY_COMMIT_H
#define DELIVERY_COMMIT_H

#include "base/list.h"
#include "delivery/keys.h"

struct commit;
struct engine;

enum commit_kind { COMMIT_INGEST = 1, COMMIT_CHANGE = 2, COMMIT_RESULTS = 3 };

struct commit *commit_new(struct engine *engine);
void commit_free(struct commit *commit);
/* Where recovery found the end of the log, and how much of it it had to fold. */
void commit_resume(struct commit *commit, const struct store_end *end, uint64_t replayed_bytes);
/* From now on a commit does not wait for room on the disk: without it, its records are dropped and
 * so are those of all later commits. Any thread. */
void commit_give_up(struct commit *commit);
struct keys *commit_keys(struct commit *commit);

/* How many items (events, changes, records) it is for the limits of a batch; adds its bytes. */
size_t commit_item_weight(const struct commit_item *item, size_t *bytes);

struct commit_count {
    size_t events;   /* of ingest requests, accepted or not */
    size_t requests; /* ingests and changes that were answered */
};
/* Commits everything in *items and answers it; the list is empty afterwards. */
struct commit_count commit_run(struct commit *commit, struct list *items);

#endif
