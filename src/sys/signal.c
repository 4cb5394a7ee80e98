/* signal.c: see signal.h. signalfd rather than a handler: nothing runs in signal context. */
#include "sys/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ending_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
}

void signal_setup(void)
{
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

static void ready(struct loop_io *io, uint32_t events)
{
    struct signal_watch *watch = CONTAINER_OF(io, struct signal_watch, io);
    struct signalfd_siginfo info;
    (void)events;
    if (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        watch->caught(watch, (int)info.ssi_signo);
}

void signal_watch_start(struct signal_watch *watch,
                        struct loop *loop,
                        void (*caught)(struct signal_watch *watch, int signal_number))
{
    sigset_t set;
    ending_signals(&set);
    watch->loop = loop;
    watch->caught = caught;
    watch->io = (struct loop_io){.events = EPOLLIN, .ready = ready};
    watch->io.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch->io.fd < 0 || !loop_io_add(loop, &watch->io))
        fatal("cannot watch for signals: %s", strerror(errno));
}

void signal_watch_stop(struct signal_watch *watch)
{
    loop_io_remove(watch->loop, &watch->io);
    close(watch->io.fd);
}

int signal_wait(void)
{
    sigset_t set;
    int number;
    ending_signals(&set);
    while ((number = sigwaitinfo(&set, NULL)) < 0) {
        if (errno != EINTR)
            fatal("cannot wait for signals: %s", strerror(errno));
    }
    return number;
}
