/* sock.c: see sock.h. */
#include "sys/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

socklen_t address_len(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

void address_set_port(union address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

bool address_parse(const char *text, union address *ret_address)
{
    union address address;
    memset(&address, 0, sizeof(address));
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
        address.v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
        address.v6.sin6_family = AF_INET6;
    else
        return false;
    *ret_address = address;
    return true;
}

int sock_connect(const union address *address)
{
    int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
        (connect(fd, &address->any, address_len(address)) == 0 || errno == EINPROGRESS))
        return fd;
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

int sock_connect_result(int fd)
{
    int cause = 0;
    socklen_t len = sizeof(cause);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &len) != 0)
        return errno;
    return cause;
}

bool sock_is_out_of_room(int cause)
{
    return cause == EMFILE || cause == ENFILE || cause == ENOMEM || cause == ENOBUFS ||
           cause == EADDRNOTAVAIL || cause == ENOSPC || cause == EAGAIN;
}
