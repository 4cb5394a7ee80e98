/* data_dir.c: mkdir, lock, and who holds it. Open file description locks rather than flock,
 * because they also hold on NFS, and rather than POSIX locks, because those vanish when any
 * descriptor of the file is closed. */
#include "cli/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "sys/clock.h"

#define POLL_MS 20

static char *join(const char *dir, const char *name)
{
    size_t len = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(len);

    snprintf(path, len, "%s/%s", dir, name);
    return path;
}

char *data_dir_socket_path(const char *path)
{
    return join(path, "control.sock");
}

/* A directory of somebody else's, in /tmp for instance, would get our secrets, and its links would
 * lead our writes elsewhere. root may look after the directory of a service. */
static enum err check_owner(const char *path, uid_t owner, struct error *error)
{
    uid_t we = geteuid();

    if (owner == we)
        return OK;
    if (we != 0)
        return error_set(error, ERR_IO,
                         "the data directory \"%.200s\" belongs to another user (uid %lu): run as "
                         "that user or choose another --data",
                         path, (unsigned long)owner);
    LOG_WARN("data directory \"%s\" belongs to uid %lu, and files that root makes in it do not",
             path, (unsigned long)owner);
    return OK;
}

enum err data_dir_make(const char *path, struct error *error)
{
    struct stat stat_buf;

    /* chmod as well, because the umask may have taken bits that we need */
    if (mkdir(path, 0700) == 0 && chmod(path, 0700) == 0)
        return OK;
    if (errno != EEXIST)
        return error_set(error, ERR_IO, "cannot create the data directory \"%.200s\": %s", path,
                         strerror(errno));
    if (stat(path, &stat_buf) != 0)
        return error_set(error, ERR_IO, "cannot use the data directory \"%.200s\": %s", path,
                         strerror(errno));
    if (!S_ISDIR(stat_buf.st_mode))
        return error_set(error, ERR_IO, "\"%.200s\" is not a directory; choose another --data",
                         path);
    if ((stat_buf.st_mode & 077) != 0)
        LOG_WARN("data directory \"%s\" is open to other users (mode %03o): chmod 700 it", path,
                 (unsigned)stat_buf.st_mode & 0777);
    return check_owner(path, stat_buf.st_uid, error);
}

/* What stands in the lock file; zeros when it cannot be read (yet). */
struct holder {
    long pid;
    char role[16];
};

static struct holder read_holder(int fd)
{
    struct holder holder = {0, ""};
    char text[64];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n > 0) {
        text[n] = '\0';
        if (sscanf(text, "%ld %15s", &holder.pid, holder.role) < 1)
            holder.pid = 0;
    }
    return holder;
}

static bool try_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static enum err lock_once(struct data_dir *dir,
                          const char *path,
                          const char *role,
                          struct holder *ret_holder,
                          struct error *error)
{
    char *name = join(path, "lock"), text[64];
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), cause, len;

    free(name);
    if (fd < 0)
        return error_set(error, ERR_IO, "cannot open \"%.200s/lock\": %s", path, strerror(errno));
    if (try_lock(fd)) {
        len = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), role);
        if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len) {
            dir->lock_fd = fd;
            return OK;
        }
        cause = errno;
        close(fd);
        return error_set(error, ERR_IO, "cannot write \"%.200s/lock\": %s", path, strerror(cause));
    }
    cause = errno;
    *ret_holder = read_holder(fd);
    close(fd);
    if (cause != EAGAIN && cause != EACCES)
        return error_set(error, ERR_IO, "cannot lock \"%.200s/lock\": %s", path, strerror(cause));
    return error_set(error, ERR_BUSY,
                     "another hookswitch (pid %ld) uses \"%.200s\"; stop it or choose another "
                     "--data",
                     ret_holder->pid, path);
}

enum err
data_dir_lock(struct data_dir *dir, const char *path, const char *role, struct error *error)
{
    struct holder holder = {0, ""};

    dir->lock_fd = -1;
    return lock_once(dir, path, role, &holder, error);
}

enum err
data_dir_lock_for_server(struct data_dir *dir, const char *path, int wait_ms, struct error *error)
{
    mono_ms until = clock_mono_ms() + wait_ms;

    dir->lock_fd = -1;
    for (;;) {
        struct holder holder = {0, ""};
        enum err err = lock_once(dir, path, "serve", &holder, error);
        if (err != ERR_BUSY || strcmp(holder.role, "serve") == 0 || clock_mono_ms() >= until)
            return err;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

void data_dir_unlock(struct data_dir *dir)
{
    if (dir->lock_fd >= 0) {
        /* The text goes first, while the lock still keeps others out. */
        (void)!ftruncate(dir->lock_fd, 0);
        close(dir->lock_fd);
    }
    dir->lock_fd = -1;
}
