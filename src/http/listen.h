/* listen.h: listening sockets from what a user writes, and the way to a local one.
 *
 * "ADDR:PORT", "[V6ADDR]:PORT" (literal addresses; port 0 picks a free one) or "unix:/path".
 * The caller owns the descriptors. No name is resolved here. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Opens, binds and listens; non-blocking, close-on-exec. A TCP socket gets SO_REUSEADDR; [::]
 * takes IPv4 as well. A unix socket has mode 0600 before anyone can connect and replaces a file
 * that is there already (the caller holds whatever lock says that nobody uses it); its path may
 * be longer than sun_path. ERR_USAGE: not an address; ERR_IO: in use, no permission, ... */
MUST_USE enum err listen_open(const char *text, int *ret_fd, struct error *error);

/* The port a listening TCP socket really has; 0 for a unix socket. */
uint16_t listen_port(int fd);

/* The path in "unix:/path", else NULL. */
const char *listen_unix_path(const char *text);

/* True when only this machine can reach the address. */
bool listen_is_local(const char *text);

/* Connects to the unix socket at `path` (of any length), blocking, close-on-exec. ERR_NOT_FOUND
 * when nobody listens there, ERR_IO otherwise. */
MUST_USE enum err listen_unix_connect(const char *path, int *ret_fd, struct error *error);

#endif
