/* world.h: an engine over the memory store with one company, driven through its door. Tests block
 * until the committer has answered. */
#ifndef TESTS_UNIT_DELIVERY_WORLD_H
#define TESTS_UNIT_DELIVERY_WORLD_H

#include "delivery/engine.h"
#include "test.h"

struct world {
    struct settings settings;
    struct egress egress;
    struct store *store;
    struct engine *engine;
    uint32_t company;
    bool deliver; /* start with couriers */
};

/* For cmocka: a started engine without couriers; stops and frees it. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* Starts an engine over what the store holds; the one before was stopped. */
void world_start(struct world *world);
/* Stops the engine and starts another one, as a restart of the server does. */
void world_restart(struct world *world);

enum err world_change(struct world *world, struct change *change);
uint32_t world_add_webhook(struct world *world); /* all events */
uint32_t world_add_webhook_at(struct world *world, const char *url);
/* active: -1 keep, 0 pause, 1 enable. */
void world_update_webhook(struct world *world, uint32_t webhook, const char *url, int active);
/* n events with data.id `id`. */
void world_ingest_id(struct world *world, struct ingest_request *request, size_t n, unsigned id);
/* The same with `pad` bytes more in data. */
void world_ingest_padded(
    struct world *world, struct ingest_request *request, size_t n, unsigned id, size_t pad);
void world_ingest(struct world *world, struct ingest_request *request, size_t n);

#endif
