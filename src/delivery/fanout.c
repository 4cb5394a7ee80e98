/* fanout.c: matching and posting. */
#include "delivery/fanout.h"

#include <stdlib.h>

#include "base/mem.h"

void fanout_match_release(struct fanout_match *match)
{
    free(match->targets);
}

void fanout_match(struct engine *engine, struct fanout_match *match, struct event *event)
{
    int type = catalogue_find(event->name);
    if (type < 0)
        BUG("event '%.*s' is not in the catalogue", (int)event->name.len, event->name.ptr);
    const struct webhook *const *webhooks = NULL;
    size_t n = registry_peek_company(engine->registry, event->company, &webhooks);
    if (n > match->cap) {
        match->targets = mem_realloc(match->targets, n * sizeof(*match->targets));
        match->cap = n;
    }
    uint32_t n_targets = 0;
    for (size_t i = 0; i < n; i++) {
        if (!webhook_wants(webhooks[i], (size_t)type))
            continue;
        uint32_t number = webhooks[i]->number;
        match->targets[n_targets++] =
            (struct event_target){number, ledger_assign(engine->ledger, number)};
    }
    event_set_targets(event, match->targets, n_targets);
}

void fanout_unref(struct fanout *fanout)
{
    if (atomic_fetch_sub_explicit(&fanout->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < fanout->n_events; i++)
        event_unref(fanout->events[i]);
    free(fanout);
}

void fanout_post(struct engine *engine, struct event *const *events, size_t n_events)
{
    size_t n = 0;
    for (size_t i = 0; i < n_events; i++)
        n += events[i]->n_targets > 0;
    if (n == 0 || engine->n_couriers == 0)
        return;
    struct fanout *fanout = mem_alloc(sizeof *fanout + n * sizeof(struct event *));
    atomic_init(&fanout->refs, engine->n_couriers);
    fanout->n_events = 0;
    for (size_t i = 0; i < n_events; i++)
        if (events[i]->n_targets > 0)
            fanout->events[fanout->n_events++] = event_ref(events[i]);
    for (unsigned c = 0; c < engine->n_couriers; c++)
        courier_fanout(engine->couriers[c], fanout);
}
