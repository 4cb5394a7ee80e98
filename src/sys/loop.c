/* loop.c: one epoll instance, one heap of timers, one queue of messages.
 *
 * A turn is: wait, descriptors, timers, messages, the turn hook. Callbacks may register, change
 * and remove anything, themselves included. The fetched events stay in the loop while they are
 * handed out, so that loop_io_remove can strike out those of the removed io: without that a
 * freed connection would be called once more.
 * Messages wait under a mutex (held for a few instructions); the eventfd is edge-triggered, so
 * that nobody has to read it, and written at most once per turn.
 * Fails only where the kernel has no room for a registration; what should never fail is fatal. */
#include "sys/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "sys/clock.h"

enum { EVENTS_PER_TURN = 256, WAIT_MS_MAX = 60000 };

struct loop {
    int epoll;
    int wake;
    unsigned n_ios;
    mono_ms now;
    struct heap timers;
    void (*turn)(void *arg);
    void *turn_arg;

    /* What this turn fetched; [next, count) is still to be handed out. */
    int next;
    int count;
    struct epoll_event events[EVENTS_PER_TURN];

    /* Shared with other threads. */
    atomic_bool stop;
    atomic_bool woken;
    pthread_mutex_t lock; /* guards `messages` */
    struct list messages;
};

static bool timer_less(const struct heap_node *a, const struct heap_node *b)
{
    const struct loop_timer *left = (const struct loop_timer *)(const void *)a;
    const struct loop_timer *right = (const struct loop_timer *)(const void *)b;
    return left->due < right->due;
}
_Static_assert(offsetof(struct loop_timer, node) == 0, "timer_less relies on it");

struct loop *loop_new(void)
{
    struct loop *loop = mem_zero(1, sizeof(*loop));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->wake < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) != 0)
        fatal("cannot create an event loop: %s", strerror(errno));
    pthread_mutex_init(&loop->lock, NULL);
    list_init(&loop->messages);
    heap_init(&loop->timers, timer_less);
    loop->now = clock_mono_ms();
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    ASSERT(loop->n_ios == 0 && loop->timers.len == 0);
    close(loop->epoll);
    close(loop->wake);
    pthread_mutex_destroy(&loop->lock);
    heap_release(&loop->timers);
    free(loop);
}

/* ---- descriptors ---- */

bool loop_io_add(struct loop *loop, struct loop_io *io)
{
    struct epoll_event event = {.events = io->events, .data.ptr = io};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, io->fd, &event) != 0) {
        if (errno != ENOMEM && errno != ENOSPC)
            BUG("epoll_ctl add %d: %s", io->fd, strerror(errno));
        return false;
    }
    loop->n_ios++;
    return true;
}

void loop_io_change(struct loop *loop, struct loop_io *io, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = io};
    if (io->events == events)
        return;
    io->events = events;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, io->fd, &event) != 0)
        fatal("epoll_ctl change %d: %s", io->fd, strerror(errno));
}

void loop_io_remove(struct loop *loop, struct loop_io *io)
{
    struct epoll_event unused = {0};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_DEL, io->fd, &unused) != 0)
        BUG("epoll_ctl remove %d: %s", io->fd, strerror(errno));
    loop->n_ios--;
    for (int i = loop->next; i < loop->count; i++) {
        if (loop->events[i].data.ptr == io)
            loop->events[i].data.ptr = NULL;
    }
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer))
{
    heap_node_init(&timer->node);
    timer->due = 0;
    timer->fire = fire;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, mono_ms due)
{
    bool armed = heap_has(&timer->node);
    timer->due = due;
    if (armed)
        heap_update(&loop->timers, &timer->node);
    else
        heap_push(&loop->timers, &timer->node);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
    heap_remove(&loop->timers, &timer->node);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    return heap_has(&timer->node);
}

/* At most as many as were armed before, so that a timer that arms itself for "now" cannot keep
 * the loop from its descriptors. */
static void fire_timers(struct loop *loop)
{
    for (size_t left = loop->timers.len; left > 0; left--) {
        struct heap_node *node = heap_peek(&loop->timers);
        if (node == NULL)
            return;
        struct loop_timer *timer = CONTAINER_OF(node, struct loop_timer, node);
        if (timer->due > loop->now)
            return;
        heap_pop(&loop->timers);
        timer->fire(timer);
    }
}

/* ---- messages ---- */

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    if (!atomic_exchange(&loop->woken, true) && write(loop->wake, &one, sizeof(one)) < 0 &&
        errno != EAGAIN)
        fatal("cannot wake an event loop: %s", strerror(errno));
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
    pthread_mutex_lock(&loop->lock);
    list_push_back(&loop->messages, &msg->node);
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
}

/* `woken` falls before the queue is taken: whoever posts later writes the eventfd again. What
 * handlers post is for the next turn. */
static void handle_messages(struct loop *loop)
{
    struct list taken;
    struct list *node;
    list_init(&taken);
    if (!atomic_exchange(&loop->woken, false))
        return;
    pthread_mutex_lock(&loop->lock);
    if (!list_empty(&loop->messages)) {
        taken = loop->messages;
        taken.next->prev = &taken;
        taken.prev->next = &taken;
        list_init(&loop->messages);
    }
    pthread_mutex_unlock(&loop->lock);
    while ((node = list_pop_front(&taken)) != NULL) {
        struct loop_msg *msg = CONTAINER_OF(node, struct loop_msg, node);
        msg->handle(msg);
    }
}

/* ---- the turn ---- */

/* A millisecond too late rather than one too early: an early wake-up would spin. */
static int wait_ms(struct loop *loop)
{
    struct heap_node *node = heap_peek(&loop->timers);
    if (atomic_load(&loop->woken))
        return 0;
    if (node == NULL)
        return WAIT_MS_MAX;
    mono_ms left = CONTAINER_OF(node, struct loop_timer, node)->due - clock_mono_ms();
    return left <= 0 ? 0 : left > WAIT_MS_MAX ? WAIT_MS_MAX : (int)left;
}

static void turn(struct loop *loop)
{
    loop->count = epoll_wait(loop->epoll, loop->events, EVENTS_PER_TURN, wait_ms(loop));
    if (loop->count < 0) {
        if (errno != EINTR)
            fatal("epoll_wait: %s", strerror(errno));
        loop->count = 0;
    }
    loop->now = clock_mono_ms();
    for (loop->next = 0; loop->next < loop->count;) {
        const struct epoll_event *event = &loop->events[loop->next++];
        struct loop_io *io = event->data.ptr;
        if (io != NULL)
            io->ready(io, event->events);
    }
    loop->count = loop->next = 0;
    fire_timers(loop);
    handle_messages(loop);
    if (loop->turn != NULL)
        loop->turn(loop->turn_arg);
}

void loop_run(struct loop *loop)
{
    while (!atomic_exchange(&loop->stop, false))
        turn(loop);
}

void loop_drain(struct loop *loop)
{
    handle_messages(loop);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

mono_ms loop_now(const struct loop *loop)
{
    return loop->now;
}

mono_us loop_now_us(const struct loop *loop)
{
    (void)loop;
    return clock_mono_us();
}

void loop_on_turn(struct loop *loop, void (*hook)(void *arg), void *arg)
{
    loop->turn = hook;
    loop->turn_arg = arg;
}
