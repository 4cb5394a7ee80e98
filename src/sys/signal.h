/* signal.h: SIGTERM and SIGINT are waited for; SIGPIPE is an errno.
 *
 * Call signal_setup first thing in main, before any thread is started: threads inherit the mask. */
#ifndef SYS_SIGNAL_H
#define SYS_SIGNAL_H

/* With src/ as include root <sys/signal.h> finds this file before the C library's own of that name:
 * hand that one through. */
#include_next <sys/signal.h>

/* Blocks SIGTERM and SIGINT (they wait for signal_wait) and ignores SIGPIPE. */
void signal_setup(void);

/* Waits for SIGTERM or SIGINT, also one that came since signal_setup, and returns it. */
int signal_wait(void);

#endif
