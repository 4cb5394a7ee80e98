/* loop.h: one epoll loop: descriptors, timers, and messages from other threads.
 *
 * A loop belongs to the thread that runs it; only loop_post and loop_stop may be called from
 * others. Nodes are intrusive: the caller owns their memory, nothing is allocated per use. */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"

struct loop;

/* A watched descriptor. `events` as in epoll(7), level-triggered. */
struct loop_io {
    int fd;
    uint32_t events;
    void (*ready)(struct loop_io *io, uint32_t events);
};

/* A timer, accurate to a millisecond. Fires once at or after `due`. */
struct loop_timer {
    struct heap_node node;
    mono_ms due;
    void (*fire)(struct loop_timer *timer);
};

/* A message posted by any thread, handled once on the loop's thread, in order of posting per
 * sender. The node is free again when `handle` is called. */
struct loop_msg {
    struct list node;
    void (*handle)(struct loop_msg *msg);
};

struct loop *loop_new(void);
void loop_free(struct loop *loop); /* NULL allowed; nothing may be registered any more */

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* From any thread or from a signal-free callback: loop_run returns after the current turn. */
void loop_stop(struct loop *loop);

/* After loop_run returned: handles the messages that are still queued, on the calling thread, so
 * that their memory can be freed. */
void loop_drain(struct loop *loop);

/* The time of this turn, read once after epoll_wait; loop_now_us reads the clock. */
mono_ms loop_now(const struct loop *loop);
mono_us loop_now_us(const struct loop *loop);

/* fatal() only for misuse; returns false when the kernel has no room (ENOMEM, ENOSPC). */
MUST_USE bool loop_io_add(struct loop *loop, struct loop_io *io);
void loop_io_change(struct loop *loop, struct loop_io *io, uint32_t events);
/* Safe inside callbacks: no event that was already fetched reaches a removed io. */
void loop_io_remove(struct loop *loop, struct loop_io *io);

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer));
/* Arms or moves. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, mono_ms due);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);

/* Any thread. Wakes the loop at most once per turn (eventfd). */
void loop_post(struct loop *loop, struct loop_msg *msg);

/* Called on the loop's thread once at the end of each turn, after io, timers and messages
 * (the courier picks there). NULL to switch off. */
void loop_on_turn(struct loop *loop, void (*turn)(void *arg), void *arg);

#endif
