/* courier_gate.c: the ceiling of one host:port, and who waits for it.
 *
 * A lane that the scheduler picked but whose host has no room leaves the rings and waits at the
 * gate. Lanes that are not proven share a quarter of the connections: those of a host that hangs
 * would otherwise take all that the scheduler has for lanes that are not proven, also those of
 * other hosts that had no chance yet. They wait in a line of their own, since nobody who may start
 * should stand behind somebody who may not. A lane that is woken and finds the room taken from the
 * other line goes back to the head of its own. */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/courier_private.h"

/* One in so many connections of a host is for lanes that are not proven. */
#define UNPROVEN_SHARE 4

struct host_gate *gate_ref(struct courier *courier, uint64_t hash)
{
    struct host_gate *gate = map_get(&courier->hosts, hash);
    if (gate == NULL) {
        gate = mem_zero(1, sizeof *gate);
        gate->hash = hash;
        for (unsigned line = 0; line < SCHED_TIERS; line++)
            list_init(&gate->waiting[line]);
        map_put(&courier->hosts, hash, gate);
    }
    gate->refs++;
    return gate;
}

void gate_unref(struct courier *courier, struct host_gate *gate)
{
    if (--gate->refs > 0)
        return;
    map_remove(&courier->hosts, gate->hash);
    free(gate);
}

static bool
has_room(const struct courier *courier, const struct host_gate *gate, enum sched_tier tier)
{
    unsigned ceiling = (unsigned)courier->engine->settings->host_connections;
    unsigned share = ceiling < UNPROVEN_SHARE ? 1 : ceiling / UNPROVEN_SHARE;
    return gate->in_flight < ceiling && (tier == SCHED_PROVEN || gate->unproven_in_flight < share);
}

bool gate_has_room(const struct work_lane *w)
{
    return has_room(w->courier, w->gate, w->sched.tier);
}

void gate_wait(struct work_lane *w)
{
    ASSERT(!w->gated);
    w->line = w->sched.tier;
    struct list *line = &w->gate->waiting[w->line];
    if (w->woken)
        list_push_front(line, &w->gate_node);
    else
        list_push_back(line, &w->gate_node);
    w->gated = true;
    w->woken = false;
}

void gate_change_line(struct work_lane *w)
{
    if (!w->gated || w->line == w->sched.tier)
        return;
    w->line = w->sched.tier;
    list_remove(&w->gate_node);
    list_push_back(&w->gate->waiting[w->line], &w->gate_node);
}

/* A lane that is woken may turn out to have nothing to start (it was switched off meanwhile), so
 * one end of an attempt cannot simply wake one lane. */
static void wake_line(struct courier *courier, struct host_gate *gate, unsigned line)
{
    bool ready = false;
    while (!ready && has_room(courier, gate, (enum sched_tier)line)) {
        struct list *node = list_pop_front(&gate->waiting[line]);
        if (node == NULL)
            break;
        struct work_lane *w = CONTAINER_OF(node, struct work_lane, gate_node);
        bool stays = !w->gone && !w->moving;
        w->gated = false;
        w->woken = true;
        work_lane_update(w);
        ready = stays && w->sched.state == SCHED_READY;
    }
}

/* `waking` makes the calls that come from the lanes themselves flat: no recursion over the length
 * of the line. The lines take turns in coming first. */
void gate_wake(struct courier *courier, struct host_gate *gate)
{
    if (gate->waking)
        return;
    gate->waking = true;
    gate->refs++;
    for (unsigned i = 0; i < SCHED_TIERS; i++)
        wake_line(courier, gate, (gate->turn + i) % SCHED_TIERS);
    gate->turn = (gate->turn + 1) % SCHED_TIERS;
    gate->waking = false;
    gate_unref(courier, gate);
}
