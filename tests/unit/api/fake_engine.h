/* fake_engine.h: delivery/engine.h without threads and disk, on the real registry: changes are
 * applied at once, ingests are kept for the test to look at and to answer. */
#ifndef TESTS_FAKE_ENGINE_H
#define TESTS_FAKE_ENGINE_H

#include "delivery/engine.h"

struct engine {
    struct registry *registry;
    struct metrics metrics;
    uint32_t numbers; /* of companies and webhooks, given so far */
    bool ready;
    /* what the next ingest or change leads to */
    enum err code;
    const char *message;
    bool hold; /* keep the ingest instead of answering it */
    /* what was seen */
    struct ingest_request *ingest;
    struct event **events; /* of the last ingest; owned */
    size_t n_events;
    enum change_kind kind;
    struct webhook_patch patch; /* of the last change; texts copied below */
    char patch_url[256];
    /* what reads answer */
    struct webhook_status status;
    struct event *event; /* known to engine_event, engine_delivery and the list; borrowed */
    struct attempt attempt;
    enum delivery_status delivery_status;
    enum err retry_code; /* what a retry leads to */
    uint64_t retried;    /* the sequence of the last one */
    uint64_t next;
    struct delivery_query query; /* of the last list */
};

struct engine *fake_engine_new(void);
void fake_engine_free(struct engine *engine);
/* Ends the ingest that was held. */
void fake_engine_finish(struct engine *engine);

#endif
