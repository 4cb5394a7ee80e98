/* data_dir.h: the data directory and its lock: one process at a time.
 *
 * The lock is an open file description lock on DIR/lock; it ends with the process, however that
 * ends, so nothing has to be cleaned up. The file says who holds it: "PID ROLE". */
#ifndef CLI_DATA_DIR_H
#define CLI_DATA_DIR_H

#include <sys/types.h>

#include "base/err.h"

struct data_dir {
    int lock_fd; /* -1 = not locked */
};

/* Creates the directory (mode 0700) when it is not there. ERR_IO with the reason. */
MUST_USE enum err data_dir_make(const char *path, struct error *error);

/* Tries once. `role` is "serve" or "command". ERR_BUSY when another process has the lock; its pid
 * and role are told in *error. */
MUST_USE enum err
data_dir_lock(struct data_dir *dir, const char *path, const char *role, struct error *error);
/* Harmless when not locked. */
void data_dir_unlock(struct data_dir *dir);

/* As data_dir_lock, but waits at most wait_ms while the holder is a command (they are short). */
MUST_USE enum err
data_dir_lock_for_server(struct data_dir *dir, const char *path, int wait_ms, struct error *error);

/* PATH/control.sock; free() it. */
char *data_dir_socket_path(const char *path);

#endif
