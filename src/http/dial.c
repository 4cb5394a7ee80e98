/* dial.c: see dial.h. A small relative of RFC 8305 ("happy eyeballs"): the order comes from the
 * resolver, both families race, nothing is remembered between connections. */
#include "http/dial.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"

void dial_add(struct dial *dial, const union address *address)
{
    if (dial->n_tries < DIAL_ADDRESSES_MAX)
        dial->tries[dial->n_tries++] = (struct dial_try){.address = *address, .io.fd = -1};
}

/* How much an errno tells: that our network lacks IPv6 says least, what the receiver's side
 * answered says most. */
static int weight(int cause)
{
    if (cause == 0)
        return -1;
    if (cause == ENETUNREACH || cause == ENETDOWN)
        return 0;
    return sock_is_out_of_room(cause) ? 1 : 2;
}

static void note_failure(struct dial *dial, int cause)
{
    if (weight(cause) >= weight(dial->cause))
        dial->cause = cause;
}

static void stop_try(struct dial *dial, struct dial_try *try)
{
    loop_io_remove(dial->loop, &try->io);
    try->io.fd = -1;
    dial->flying--;
}

void dial_stop(struct dial *dial)
{
    loop_timer_clear(dial->loop, &dial->timer);
    for (unsigned i = 0; i < dial->next; i++) {
        int fd = dial->tries[i].io.fd;
        if (fd >= 0) {
            stop_try(dial, &dial->tries[i]);
            close(fd);
        }
    }
}

static void try_ready(struct loop_io *io, uint32_t events);

static bool try_one(struct dial *dial, struct dial_try *try)
{
    int fd = sock_connect(&try->address);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && dial->make_room(dial->owner))
        fd = sock_connect(&try->address);
    if (fd < 0) {
        note_failure(dial, errno);
        return false;
    }
    try->dial = dial;
    try->io = (struct loop_io){.fd = fd, .events = EPOLLOUT, .ready = try_ready};
    if (loop_io_add(dial->loop, &try->io)) {
        dial->flying++;
        return true;
    }
    try->io.fd = -1;
    close(fd);
    note_failure(dial, ENOMEM);
    return false;
}

/* Starts the next candidate that can be started. */
static void go_on(struct dial *dial)
{
    while (dial->next < dial->n_tries) {
        if (!try_one(dial, &dial->tries[dial->next++]))
            continue;
        if (dial->next < dial->n_tries)
            loop_timer_set(dial->loop, &dial->timer, loop_now(dial->loop) + DIAL_STAGGER_MS);
        return;
    }
}

static void go_on_or_fail(struct dial *dial)
{
    loop_timer_clear(dial->loop, &dial->timer);
    go_on(dial);
    if (dial->flying == 0) {
        dial->fd = -1;
        dial->done(dial);
    }
}

static void timer_fire(struct loop_timer *timer)
{
    go_on_or_fail(CONTAINER_OF(timer, struct dial, timer));
}

static void try_ready(struct loop_io *io, uint32_t events)
{
    struct dial_try *try = CONTAINER_OF(io, struct dial_try, io);
    struct dial *dial = try->dial;
    int fd = io->fd;
    int cause = sock_connect_result(fd);
    (void)events;
    stop_try(dial, try);
    if (cause == 0) {
        dial->fd = fd;
        dial->address = try->address;
        dial_stop(dial);
        dial->done(dial);
        return;
    }
    close(fd);
    note_failure(dial, cause);
    go_on_or_fail(dial);
}

enum dial_result dial_start(struct dial *dial)
{
    ASSERT(dial->n_tries > 0);
    loop_timer_init(&dial->timer, timer_fire);
    go_on(dial);
    return dial->flying > 0 ? DIAL_UNDERWAY : DIAL_FAILED;
}
