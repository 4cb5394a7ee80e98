/* signal.c: see signal.h. sigwaitinfo rather than a handler: nothing runs in signal context. */
#include "sys/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"

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
