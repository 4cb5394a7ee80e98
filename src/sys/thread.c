/* thread.c: see thread.h. */
#include "sys/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static void *enter(void *arg)
{
    struct thread *thread = arg;
    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->arg);
    return NULL;
}

void thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg)
{
    sigset_t all, before;
    thread->run = run;
    thread->arg = arg;
    snprintf(thread->name, sizeof(thread->name), "%.15s", name);
    /* The new thread inherits the mask; set inside it, a signal could slip in before. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread->id, NULL, enter, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        fatal("cannot start the thread '%s': %s", thread->name, strerror(code));
}

void thread_join(struct thread *thread)
{
    int code = pthread_join(thread->id, NULL);
    if (code != 0)
        BUG("cannot join the thread '%s': %s", thread->name, strerror(code));
}
