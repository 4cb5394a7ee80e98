/* sock.h: addresses as values, and the few calls on sockets that more than one file needs.
 * (Not socket.h: with src/ as include root that name would hide the C library's.) */
#ifndef SYS_SOCK_H
#define SYS_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address with its port; a quarter of sockaddr_storage. */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The size that connect() and bind() want for this family. */
socklen_t address_len(const union address *address);
void address_set_port(union address *address, uint16_t port);

/* Exactly the canonical notations of inet_pton; port 0. False for anything else. */
bool address_parse(const char *text, union address *ret_address);

/* A non-blocking TCP socket with TCP_NODELAY whose connect() is under way; the descriptor, or -1
 * with errno set (EMFILE, ENETUNREACH, ECONNREFUSED, ...). */
int sock_connect(const union address *address);

/* SO_ERROR of a socket whose connect() was under way: 0 = connected, else an errno. */
int sock_connect_result(int fd);

/* True for the errnos that say "we have no room" (descriptors, ports, memory). */
bool sock_is_out_of_room(int cause);

#endif
