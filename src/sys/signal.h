/* signal.h: SIGTERM and SIGINT as a callback of a loop; SIGPIPE as an errno.
 *
 * Call signal_setup first thing in main, before any thread is started: threads inherit the mask. */
#ifndef SYS_SIGNAL_H
#define SYS_SIGNAL_H

/* With src/ as include root <sys/signal.h> finds this file before the C library's own of that name:
 * hand that one through. */
#include_next <sys/signal.h>

#include "sys/loop.h"

struct signal_watch {
    struct loop_io io;
    struct loop *loop;
    void (*caught)(struct signal_watch *watch, int signal_number);
};

/* Blocks SIGTERM and SIGINT (they wait for a watch or signal_wait) and ignores SIGPIPE. */
void signal_setup(void);

/* Calls `caught` on the loop's thread for every SIGTERM or SIGINT, also for one that came since
 * signal_setup. `watch` is the caller's, until signal_watch_stop. fatal() without descriptors. */
void signal_watch_start(struct signal_watch *watch,
                        struct loop *loop,
                        void (*caught)(struct signal_watch *watch, int signal_number));
void signal_watch_stop(struct signal_watch *watch);

/* For a main thread that runs no loop: waits for SIGTERM or SIGINT and returns it. */
int signal_wait(void);

#endif
