/* notify.h: tells the service manager how far we are. Source: sd_notify(3); written out here
 * because it is one datagram, and libsystemd is large. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* Sends `state` ("READY=1") to $NOTIFY_SOCKET; nothing when there is none. A failure is a line of
 * the log: the manager then ends us for being late. */
void notify_manager(const char *state);

#endif
