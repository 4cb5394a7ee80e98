/* courier_private.h: a courier from the inside.
 *
 *   courier.c          the thread: messages from outside, the turn, which lanes are here
 *   courier_lane.c     a working lane: its hot window, what may start next, waiting
 *   courier_gate.c     the ceiling of a host, and who waits for it
 *   courier_attempt.c  one attempt: built, sent, judged, recorded
 */
#ifndef DELIVERY_COURIER_PRIVATE_H
#define DELIVERY_COURIER_PRIVATE_H

#include "base/list.h"
#include "base/map.h"
#include "delivery/engine_private.h"
#include "delivery/reader.h"
#include "hook/scheduler.h"
#include "hook/signature.h"
#include "http/client.h"
#include "sys/loop.h"
#include "sys/thread.h"

struct courier {
    struct engine *engine;
    unsigned index;
    struct thread thread;
    bool started;
    struct loop *loop;
    struct http_client *client;
    struct signer *signer;
    struct rng rng;
    struct sched sched;
    struct map companies;    /* company number -> company_ring */
    struct map lanes;        /* webhook number -> work_lane */
    struct map hosts;        /* host hash -> host_gate */
    struct results *results; /* of this turn */
    struct list runs;        /* in flight */
    struct list free_runs;   /* kept for reuse, with their buffers */
    unsigned n_free_runs;
    size_t hot_bytes, hot_limit;
    struct loop_msg again; /* more to pick than one turn allows */
    bool again_posted;
    /* result slots: taken before an attempt starts, given back when its result is committed */
    unsigned slots_taken; /* the loop's own */
    unsigned slots_limit;
    atomic_uint slots_back; /* committed, not yet seen by the loop */
    struct loop_msg slots_msg;
    atomic_bool slots_posted;
    atomic_bool quiesced;
    atomic_uint in_flight;
    mono_ms local_trouble_logged_at;
    struct loop_timer tell;        /* figures for /metrics */
    struct http_client_stats told; /* what /metrics has of this client ... */
    size_t told_hot_bytes;         /* ... and of this courier */
    unsigned told_in_flight;
    size_t told_dead;
};

/* A company that has lanes here. */
struct company_ring {
    struct sched_company sched;
    uint32_t number;
};

/* The ceiling of one host:port, shared by all lanes that point there. */
struct host_gate {
    uint64_t hash;
    unsigned refs; /* lanes that point here and attempts in flight; freed at 0 */
    unsigned in_flight;
    unsigned unproven_in_flight;      /* of those, started by lanes that were not proven then */
    bool waking;                      /* gate_wake is at work */
    unsigned turn;                    /* the line that is woken first next time */
    struct list waiting[SCHED_TIERS]; /* lanes that could start but for the ceiling, in order */
};

/* Where a lane delivers to: immutable, shared with the attempts that were started with it. */
struct target {
    unsigned refs;
    uint64_t host_hash;
    struct webhook webhook;
    struct url url; /* points into webhook.url */
};

/* The events near the cursor; exists while the lane has something to do. */
struct heat {
    struct event *hot[LANE_WINDOW]; /* slot: sequence % LANE_WINDOW */
    uint64_t keys[LANE_WINDOW];     /* order hashes in flight */
    unsigned n_keys;
};

/* Events behind the window that are still in memory: a run of sequences from `first` on. Saves
 * reading back what was written a moment ago when events come in bursts. */
#define TAIL_MAX 4096
struct tail {
    struct event **ring; /* slot: sequence % cap */
    unsigned cap;        /* 0, or a power of two up to TAIL_MAX */
    uint64_t first;
    unsigned n;
};

struct work_lane {
    struct sched_lane sched;
    struct courier *courier;
    struct lane lane; /* the working copy of the fold */
    struct target *target;
    struct host_gate *gate;
    struct list gate_node; /* in gate->waiting */
    bool gated;
    enum sched_tier line;  /* where, while gated */
    bool woken;            /* by the gate, and not picked since */
    uint32_t url_revision; /* that the breaker knows */
    uint64_t flight;       /* bit i: the first attempt of cursor + 1 + i is in flight */
    unsigned in_flight;    /* attempts, and retries whose event is being read */
    uint64_t loaded;       /* sequences up to this one are in `hot` (or settled) */
    size_t hot_bytes;
    bool tight; /* an event found no room; until some is freed nothing is fetched */
    bool lean;  /* ... and then little at a time, until all of a stretch found room */
    struct heat *heat;
    struct tail tail;
    struct read_job *fetch;  /* of the hot window; at most one */
    struct loop_timer timer; /* the next retry is due, or the suspension ends */
    mono_ms suspended_until;
    bool gone;   /* deleted: freed when nothing is in flight */
    bool moving; /* belongs to another courier: goes when nothing is in flight */
    struct loop_msg move;
};

/* One attempt, from the pick to its result. */
struct run {
    struct list node;
    struct work_lane *lane;
    struct target *target;
    struct host_gate *gate;
    struct event *event;
    uint64_t sequence;
    bool retry;
    bool unproven; /* counts in gate->unproven_in_flight */
    bool sent;     /* post is with the client */
    uint64_t order_hash;
    struct attempt attempt;
    struct http_post post;
    struct buf head, prefix;
    struct read_job job; /* of a retry's event */
};

/* courier_lane.c */
struct work_lane *work_lane_new(struct courier *courier, struct target *target);
void work_lane_free(struct work_lane *w);
/* After anything that may change what can start: tells the scheduler, arms the timer, fetches
 * events, cools or ends the lane. The lane may be gone afterwards. */
void work_lane_update(struct work_lane *w);
/* Its receiver cannot be reached: nothing starts before the probe is due. */
bool work_lane_dead(const struct work_lane *w);
void work_lane_set_target(struct work_lane *w, struct target *target); /* takes the reference */
/* Gives its gate back; what it may have been about to take there passes to those who wait. */
void work_lane_leave_gate(struct work_lane *w);
/* Offsets from the cursor (0 = cursor + 1) of the first sequence that may start, or -1. */
int work_lane_first(const struct work_lane *w);
/* The retry that may start now, or NULL. */
struct lane_retry *work_lane_retry(const struct work_lane *w);
struct event *work_lane_event(const struct work_lane *w, uint64_t sequence);
/* A committed event for this lane. */
void work_lane_raise(struct work_lane *w, uint64_t sequence, struct event *event);
void work_lane_take_key(struct work_lane *w, uint64_t order_hash);
void work_lane_drop_key(struct work_lane *w, uint64_t order_hash);
/* The working copy folded something: keeps `flight` and `hot` in step with the cursor that was. */
void work_lane_moved(struct work_lane *w, uint64_t old_cursor);
void work_lane_suspend(struct work_lane *w, mono_ms until);
/* The event of a sequence is not stored any more: gives the delivery up, recorded. */
void work_lane_give_up(struct work_lane *w, uint64_t sequence, uint64_t event_seq);

/* courier.c */
struct target *target_ref(struct target *target);
void target_unref(struct target *target);

/* courier_gate.c */
struct host_gate *gate_ref(struct courier *courier, uint64_t hash);
void gate_unref(struct courier *courier, struct host_gate *gate);
bool gate_has_room(const struct work_lane *w);
/* The lane, just picked, found no room. */
void gate_wait(struct work_lane *w);
/* Whether it is proven may have changed. */
void gate_change_line(struct work_lane *w);
/* To be called whenever the gate may have room that nobody takes: lets those who wait try again,
 * one by one, until one of each line is on the scheduler's rings. So while there is room and
 * somebody waits who may use it, a lane of this gate is about to be picked. May end other lanes,
 * never the caller's as long as that has something in flight. */
void gate_wake(struct courier *courier, struct host_gate *gate);

/* courier.c */
/* Frees or hands over a lane that is gone or moving and has nothing in flight. */
void courier_part_with(struct work_lane *w);
struct results *courier_results(struct courier *courier);
/* Hands what was recorded so far to the committer: at the end of each turn, and before a lane
 * leaves, since the next courier's records of that lane must come behind ours. */
void courier_flush(struct courier *courier);

/* courier_attempt.c */
void run_first(struct work_lane *w, unsigned offset);
void run_retry(struct work_lane *w, struct lane_retry *retry);
/* Shutdown: ends it without a result. */
void run_abandon(struct run *run);
void run_free(struct run *run);

#endif
