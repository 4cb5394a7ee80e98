/* vfs.h: the layer between SQLite and its files: counts and times fsync, and fails on demand.
 *
 * One per open store, registered under a name of its own. Any thread. */
#ifndef STORE_SQLITE_VFS_H
#define STORE_SQLITE_VFS_H

#include <stdint.h>

#include "store/store.h"

struct vfs;

/* Registers it with SQLite. */
struct vfs *vfs_new(void);
/* Every connection that was opened through it must be closed. NULL allowed. */
void vfs_free(struct vfs *vfs);
/* For sqlite3_open_v2. */
const char *vfs_name(const struct vfs *vfs);

/* The countdown-th write or fsync from now on fails once (1 = the next). */
void vfs_inject(struct vfs *vfs, enum store_fault fault, unsigned countdown);

/* Microseconds spent in fsync, of all files. */
uint64_t vfs_sync_us(const struct vfs *vfs);

#endif
