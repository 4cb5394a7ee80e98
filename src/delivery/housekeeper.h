/* housekeeper.h: what happens by the clock: expiry of holds, retention, gauges. One thread. */
#ifndef DELIVERY_HOUSEKEEPER_H
#define DELIVERY_HOUSEKEEPER_H

#include <stdbool.h>

#include "base/clock.h"

struct engine;
struct housekeeper;

struct housekeeper *housekeeper_start(struct engine *engine, wall_ms last_record_at);
void housekeeper_stop(struct housekeeper *housekeeper); /* joins and frees; NULL allowed */

/* A guard against clock steps: whether deleting by age is safe now. Pure. After a step of more
 * than a minute, also against the last record of the log at start, it is not for an hour of
 * monotonic time: a bad NTP step deletes nothing. */
struct clock_guard {
    wall_ms wall;
    mono_ms mono;
    mono_ms safe_at;
};
void clock_guard_init(struct clock_guard *guard, wall_ms wall, mono_ms mono, wall_ms last_record);
bool clock_guard_safe(struct clock_guard *guard, wall_ms wall, mono_ms mono);

/* One round of expiry at a given time: asks the couriers to give up what is held too long. */
void housekeeper_expire(struct engine *engine, wall_ms now);

#endif
