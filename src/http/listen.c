/* listen.c: parsing and binding. Paths longer than sun_path (107 bytes; data directories are
 * often deeper) go through /proc/self/fd/DIR/name rather than a change of the working directory,
 * which all threads share. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define BACKLOG 1024

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

const char *listen_unix_path(const char *text)
{
    return strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

static bool parse_port(const char *text, uint16_t *ret_port)
{
    unsigned long port = 0;
    size_t digits = 0;

    for (; text[digits] != '\0'; digits++) {
        if (text[digits] < '0' || text[digits] > '9' || digits == 5)
            return false;
        port = port * 10 + (unsigned long)(text[digits] - '0');
    }
    if (digits == 0 || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool parse_tcp(const char *text, union address *ret_address, socklen_t *ret_len)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    uint16_t port;
    size_t len;

    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    len = (size_t)(colon - text);
    bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (v6) {
        text++;
        len -= 2;
    }
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    memset(ret_address, 0, sizeof *ret_address);
    if (v6) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port);
        *ret_len = sizeof ret_address->v6;
        return inet_pton(AF_INET6, host, &ret_address->v6.sin6_addr) == 1;
    }
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = htons(port);
    *ret_len = sizeof ret_address->v4;
    return inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1;
}

static enum err fail_listen(struct error *error, const char *text, int fd)
{
    int cause = errno;
    const char *advice = "";

    if (cause == EADDRINUSE)
        advice = "; another process listens there: stop it or choose another --listen";
    else if (cause == EACCES)
        advice = "; ports below 1024 need a privilege: choose another --listen";
    else if (cause == EADDRNOTAVAIL)
        advice = "; no interface of this machine has the address: choose another --listen";
    if (fd >= 0)
        close(fd);
    return error_set(error, ERR_IO, "cannot listen on \"%.100s\": %s%s", text, strerror(cause),
                     advice);
}

static enum err open_tcp(const char *text, int *ret_fd, struct error *error)
{
    union address address;
    socklen_t len;
    int fd, on = 1, off = 0;

    if (!parse_tcp(text, &address, &len))
        return error_set(error, ERR_USAGE,
                         "cannot listen on \"%.100s\": not ADDR:PORT; give for example "
                         "127.0.0.1:8080 or [::1]:8080",
                         text);
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return fail_listen(error, text, fd);
    if (address.any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)
        return fail_listen(error, text, fd);
    if (bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0)
        return fail_listen(error, text, fd);
    *ret_fd = fd;
    return OK;
}

/* Fills the address of a path. *ret_dir is a descriptor to close after its use, or -1. */
static bool unix_address(const char *path, struct sockaddr_un *ret_address, int *ret_dir)
{
    const char *slash = strrchr(path, '/');
    char *dir;
    int n;

    *ret_dir = -1;
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof ret_address->sun_path) {
        memcpy(ret_address->sun_path, path, strlen(path));
        return true;
    }
    if (slash == NULL || slash == path) {
        errno = ENAMETOOLONG;
        return false;
    }
    dir = mem_strndup(path, (size_t)(slash - path));
    *ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (*ret_dir < 0)
        return false;
    n = snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "/proc/self/fd/%d/%s",
                 *ret_dir, slash + 1);
    if (n > 0 && (size_t)n < sizeof ret_address->sun_path)
        return true;
    close(*ret_dir);
    *ret_dir = -1;
    errno = ENAMETOOLONG;
    return false;
}

static enum err open_unix(const char *text, int *ret_fd, struct error *error)
{
    const char *path = listen_unix_path(text);
    struct sockaddr_un address;
    int dir, fd;
    bool done;

    if (!unix_address(path, &address, &dir))
        return fail_listen(error, text, -1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Until listen() nobody can connect, so the mode is right from the first client on. */
    done = fd >= 0 && (unlink(path) == 0 || errno == ENOENT) &&
           bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
           chmod(path, 0600) == 0 && listen(fd, BACKLOG) == 0;
    int cause = errno;
    if (dir >= 0)
        close(dir);
    errno = cause;
    if (!done)
        return fail_listen(error, text, fd);
    *ret_fd = fd;
    return OK;
}

enum err listen_open(const char *text, int *ret_fd, struct error *error)
{
    if (listen_unix_path(text) != NULL)
        return open_unix(text, ret_fd, error);
    return open_tcp(text, ret_fd, error);
}

uint16_t listen_port(int fd)
{
    union {
        union address ip;
        struct sockaddr_storage storage;
    } address;
    socklen_t len = sizeof address;

    if (getsockname(fd, &address.ip.any, &len) != 0)
        return 0;
    if (address.ip.any.sa_family == AF_INET)
        return ntohs(address.ip.v4.sin_port);
    if (address.ip.any.sa_family == AF_INET6)
        return ntohs(address.ip.v6.sin6_port);
    return 0;
}

bool listen_is_local(const char *text)
{
    union address address;
    socklen_t len;

    if (listen_unix_path(text) != NULL)
        return true;
    if (!parse_tcp(text, &address, &len))
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
}

enum err listen_unix_connect(const char *path, int *ret_fd, struct error *error)
{
    struct sockaddr_un address;
    int dir, fd = -1, cause = 0;

    if (!unix_address(path, &address, &dir))
        return error_set(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                         "cannot connect to \"%.200s\": %s", path, strerror(errno));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        cause = errno;
    if (dir >= 0)
        close(dir);
    if (cause == 0) {
        *ret_fd = fd;
        return OK;
    }
    if (fd >= 0)
        close(fd);
    return error_set(error, cause == ENOENT || cause == ECONNREFUSED ? ERR_NOT_FOUND : ERR_IO,
                     "cannot connect to \"%.200s\": %s", path, strerror(cause));
}
