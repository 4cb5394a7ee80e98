/* engine_private.h: what the files of this room share. */
#ifndef DELIVERY_ENGINE_PRIVATE_H
#define DELIVERY_ENGINE_PRIVATE_H

#include "delivery/committer.h"
#include "delivery/courier.h"
#include "delivery/engine.h"
#include "delivery/ledger.h"
#include "delivery/network.h"
#include "hook/lane.h"

struct housekeeper;
struct reader_pool;

struct engine {
    const struct settings *settings;
    const struct egress *egress;
    struct store *store;
    struct registry *registry;
    struct ledger *ledger;
    struct committer *committer;
    struct reader_pool *readers;
    struct housekeeper *housekeeper;
    struct courier **couriers;
    unsigned n_couriers;
    struct lane_policy policy;
    struct metrics metrics;
    struct network_watch *network;
};

/* changes.c: applies one change to config.db, registry and ledger (the committer's thread).
 * Fills result, webhook, active and dropped; *ret_webhook is the webhook that the couriers must
 * look at, or 0. */
void change_apply(struct engine *engine, struct change *change, wall_ms now, uint32_t *ret_webhook);

/* recovery.c: folds the log into the ledger and the keys. */
MUST_USE enum err recovery_run(struct engine *engine, struct error *error);

#endif
