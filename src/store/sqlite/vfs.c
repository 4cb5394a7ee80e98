/* vfs.c: see vfs.h. A copy of the default VFS whose files are wrapped; all but writing and
 * syncing is passed straight through. */
#include "store/sqlite/vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "sys/clock.h"

struct vfs {
    sqlite3_vfs vfs; /* what SQLite sees */
    sqlite3_vfs *below;
    atomic_int fault; /* enum store_fault */
    atomic_uint countdown;
    _Atomic uint64_t sync_us;
    char name[40];
};

struct vfs_file {
    sqlite3_file file; /* what SQLite sees */
    struct vfs *vfs;
    sqlite3_file *below; /* lies behind this struct */
};

static struct vfs_file *wrapper(sqlite3_file *file)
{
    return CONTAINER_OF(file, struct vfs_file, file);
}

static sqlite3_file *below(sqlite3_file *file)
{
    return wrapper(file)->below;
}

/* Counts one operation of this kind; true when it is the one that must fail. */
static bool is_struck(struct vfs *vfs, enum store_fault fault)
{
    int expected = (int)fault;
    if (atomic_load_explicit(&vfs->fault, memory_order_acquire) != expected)
        return false;
    if (atomic_fetch_sub(&vfs->countdown, 1) != 1)
        return false;
    atomic_store(&vfs->fault, STORE_FAULT_NONE);
    return true;
}

static int file_close(sqlite3_file *file)
{
    return below(file)->pMethods->xClose(below(file));
}

static int file_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
    return below(file)->pMethods->xRead(below(file), bytes, n, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    struct vfs *vfs = wrapper(file)->vfs;
    if (is_struck(vfs, STORE_FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (is_struck(vfs, STORE_FAULT_FULL))
        return SQLITE_FULL;
    return below(file)->pMethods->xWrite(below(file), bytes, n, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return below(file)->pMethods->xTruncate(below(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct vfs *vfs = wrapper(file)->vfs;
    if (is_struck(vfs, STORE_FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    mono_us begin = clock_mono_us();
    int rc = below(file)->pMethods->xSync(below(file), flags);
    atomic_fetch_add_explicit(&vfs->sync_us, (uint64_t)(clock_mono_us() - begin),
                              memory_order_relaxed);
    return rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return below(file)->pMethods->xFileSize(below(file), ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *ret_held)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), ret_held);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    return below(file)->pMethods->xFileControl(below(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return below(file)->pMethods->xShmMap(below(file), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return below(file)->pMethods->xShmLock(below(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    below(file)->pMethods->xShmBarrier(below(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return below(file)->pMethods->xShmUnmap(below(file), delete);
}

/* Version 2: shared memory, but no mapped reading, which would turn an I/O error into SIGBUS. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int
open_file(sqlite3_vfs *sqlite_vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct vfs *vfs = CONTAINER_OF(sqlite_vfs, struct vfs, vfs);
    struct vfs_file *self = wrapper(file);
    self->vfs = vfs;
    self->below = (sqlite3_file *)(void *)(self + 1);
    self->file.pMethods = NULL;
    int rc = vfs->below->xOpen(vfs->below, name, self->below, flags, ret_flags);
    if (rc == SQLITE_OK)
        self->file.pMethods = &methods;
    return rc;
}

struct vfs *vfs_new(void)
{
    static atomic_uint number;
    sqlite3_initialize();
    struct vfs *vfs = mem_zero(1, sizeof *vfs);
    vfs->below = sqlite3_vfs_find(NULL);
    ASSERT(vfs->below != NULL);
    vfs->vfs = *vfs->below;
    vfs->vfs.pNext = NULL;
    vfs->vfs.szOsFile += (int)sizeof(struct vfs_file);
    snprintf(vfs->name, sizeof vfs->name, "hookswitch-%u", atomic_fetch_add(&number, 1));
    vfs->vfs.zName = vfs->name;
    vfs->vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&vfs->vfs, 0) != SQLITE_OK)
        fatal("the VFS cannot be registered with SQLite");
    return vfs;
}

void vfs_free(struct vfs *vfs)
{
    if (vfs == NULL)
        return;
    sqlite3_vfs_unregister(&vfs->vfs);
    free(vfs);
}

const char *vfs_name(const struct vfs *vfs)
{
    return vfs->name;
}

void vfs_inject(struct vfs *vfs, enum store_fault fault, unsigned countdown)
{
    atomic_store(&vfs->fault, STORE_FAULT_NONE);
    atomic_store(&vfs->countdown, countdown);
    atomic_store(&vfs->fault, countdown == 0 ? STORE_FAULT_NONE : (int)fault);
}

uint64_t vfs_sync_us(const struct vfs *vfs)
{
    return atomic_load_explicit(&vfs->sync_us, memory_order_relaxed);
}
