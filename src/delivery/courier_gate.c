/* courier_gate.c: the ceiling of one host:port, and who waits for it.
 *
 * A lane that the scheduler picked but whose host has no room leaves the rings and waits at the
 * gate, in one of three lines: the scheduler may be shut for lanes that are not proven, and those
 * whose last outcome was a time-out share a quarter of the connections, so one line could stand
 * behind a lane that cannot use the room. A lane that is woken and finds the room taken by another
 * line goes back to the head of its own. */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/courier_private.h"

/* One in so many connections of a host is for lanes whose last outcome was a time-out. */
#define SLOW_SHARE 4

struct host_gate *gate_ref(struct courier *courier, uint64_t hash)
{
    struct host_gate *gate = map_get(&courier->hosts, hash);
    if (gate == NULL) {
        gate = mem_zero(1, sizeof *gate);
        gate->hash = hash;
        for (unsigned line = 0; line < GATE_LINES; line++)
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

static bool has_room(const struct courier *courier, const struct host_gate *gate, bool slow)
{
    unsigned ceiling = (unsigned)courier->engine->settings->host_connections;
    unsigned share = ceiling < SLOW_SHARE ? 1 : ceiling / SLOW_SHARE;
    return gate->in_flight < ceiling && (!slow || gate->slow_in_flight < share);
}

bool gate_has_room(const struct work_lane *w)
{
    return has_room(w->courier, w->gate, w->slow);
}

static enum gate_line line_of(const struct work_lane *w)
{
    if (w->slow)
        return GATE_SLOW;
    return w->sched.tier == SCHED_PROVEN ? GATE_PROVEN : GATE_UNPROVEN;
}

void gate_wait(struct work_lane *w)
{
    ASSERT(!w->gated);
    w->line = line_of(w);
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
    if (!w->gated || w->line == line_of(w))
        return;
    w->line = line_of(w);
    list_remove(&w->gate_node);
    list_push_back(&w->gate->waiting[w->line], &w->gate_node);
}

/* A lane that is woken may turn out to have nothing to start (it was switched off meanwhile), so
 * one end of an attempt cannot simply wake one lane. */
static void wake_line(struct courier *courier, struct host_gate *gate, unsigned line)
{
    bool ready = false;
    while (!ready && has_room(courier, gate, line == GATE_SLOW)) {
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
    for (unsigned i = 0; i < GATE_LINES; i++)
        wake_line(courier, gate, (gate->turn + i) % GATE_LINES);
    gate->turn = (gate->turn + 1) % GATE_LINES;
    gate->waking = false;
    gate_unref(courier, gate);
}
