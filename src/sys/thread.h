/* thread.h: named threads that see no signals.
 *
 * Signals are for the main thread alone (sys/signal.h); a started thread has all of them blocked,
 * so that no blocking call of it is interrupted. */
#ifndef SYS_THREAD_H
#define SYS_THREAD_H

#include <pthread.h>

struct thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg;
    char name[16]; /* as `top -H` shows it; longer names are cut */
};

/* Starts run(arg). `thread` is the caller's and must live until thread_join. fatal() when the
 * system has no room for another thread. */
void thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg);

/* Waits for the end of `run`. Exactly once per thread_start. */
void thread_join(struct thread *thread);

#endif
