#include "vfs.h"

#include <stdint.h>
#include <string.h>

#include "support.h"

struct file {
	sqlite3_file base;
	bool journal;
	sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs our_vfs;
static vfs_look look_at;

/* ---- the file's methods ---- */

static struct file *
file_of(sqlite3_file *f)
{
	return (struct file *)f;
}

static int
look(sqlite3_file *f, enum vfs_call call, sqlite3_int64 at, const void *data, int len)
{
	return look_at(&(struct vfs_event){.call = call,
		.journal = file_of(f)->journal,
		.at = at,
		.data = data,
		.len = (size_t)len});
}

#define REAL(f) (file_of(f)->real)
#define CALL(f, method) (REAL(f)->pMethods->method)

/* A method that is passed on. */
#define PASS(type, name, method, params, args)                                                     \
	static type name params                                                                    \
	{                                                                                          \
		return CALL(f, method) args;                                                       \
	}
/* One that is looked at before. */
#define LOOK(name, method, params, args, ...)                                                      \
	static int name params                                                                     \
	{                                                                                          \
		int rc = look(f, __VA_ARGS__);                                                     \
                                                                                                   \
		return rc != SQLITE_OK ? rc : CALL(f, method) args;                                \
	}

LOOK(file_read, xRead, (sqlite3_file * f, void *out, int n, sqlite3_int64 at),
	(REAL(f), out, n, at), VFS_READ, at, NULL, n)
LOOK(file_write, xWrite, (sqlite3_file * f, const void *data, int n, sqlite3_int64 at),
	(REAL(f), data, n, at), VFS_WRITE, at, data, n)
LOOK(file_truncate, xTruncate, (sqlite3_file * f, sqlite3_int64 size), (REAL(f), size),
	VFS_TRUNCATE, size, NULL, 0)
LOOK(file_sync, xSync, (sqlite3_file * f, int flags), (REAL(f), flags), VFS_SYNC, 0, NULL, 0)
LOOK(file_size, xFileSize, (sqlite3_file * f, sqlite3_int64 *size), (REAL(f), size), VFS_SIZE, 0,
	NULL, 0)
LOOK(file_lock, xLock, (sqlite3_file * f, int level), (REAL(f), level), VFS_LOCK, 0, NULL, 0)
LOOK(file_shm_map, xShmMap, (sqlite3_file * f, int page, int size, int extend, void volatile **out),
	(REAL(f), page, size, extend, out), VFS_MAP_INDEX, 0, NULL, 0)
PASS(int, file_close, xClose, (sqlite3_file * f), (REAL(f)))
PASS(int, file_unlock, xUnlock, (sqlite3_file * f, int level), (REAL(f), level))
PASS(int, file_check_lock, xCheckReservedLock, (sqlite3_file * f, int *out), (REAL(f), out))
PASS(int, file_control, xFileControl, (sqlite3_file * f, int op, void *arg), (REAL(f), op, arg))
PASS(int, file_sector_size, xSectorSize, (sqlite3_file * f), (REAL(f)))
PASS(int, file_device, xDeviceCharacteristics, (sqlite3_file * f), (REAL(f)))
PASS(void, file_shm_barrier, xShmBarrier, (sqlite3_file * f), (REAL(f)))
PASS(int, file_shm_unmap, xShmUnmap, (sqlite3_file * f, int delete), (REAL(f), delete))

static int
file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	/* Giving a lock back has no way to fail. */
	int rc = (flags & SQLITE_SHM_LOCK) != 0 ? look(f, VFS_LOCK_INDEX, 0, NULL, 0) : SQLITE_OK;

	return rc != SQLITE_OK ? rc : CALL(f, xShmLock)(REAL(f), offset, n, flags);
}

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
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_device,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

/* ---- the file system's ---- */

static bool
is_journal(const char *name)
{
	size_t len = name != NULL ? strlen(name) : 0;

	return len > 4 && strcmp(name + len - 4, "-wal") == 0;
}

static int
look_at_name(enum vfs_call call, const char *name)
{
	return look_at(&(struct vfs_event){.call = call, .journal = is_journal(name)});
}

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct file *f = file_of(file);
	int rc = look_at_name(VFS_OPEN, name);

	(void)vfs;
	file->pMethods = NULL;
	if (rc != SQLITE_OK)
		return rc;
	f->real = (sqlite3_file *)(f + 1);
	f->journal = is_journal(name);
	rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
	file->pMethods = f->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	int rc = look_at_name(VFS_DELETE, name);

	(void)vfs;
	return rc != SQLITE_OK ? rc : real_vfs->xDelete(real_vfs, name, sync_dir);
}

static int
vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	int rc = look_at_name(VFS_ACCESS, name);

	(void)vfs;
	return rc != SQLITE_OK ? rc : real_vfs->xAccess(real_vfs, name, flags, out);
}

void
vfs_start(vfs_look looks)
{
	look_at = looks;
	real_vfs = sqlite3_vfs_find(NULL);
	our_vfs = *real_vfs;
	our_vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	our_vfs.zName = "looked-at";
	our_vfs.pNext = NULL;
	our_vfs.xOpen = vfs_open;
	our_vfs.xDelete = vfs_delete;
	our_vfs.xAccess = vfs_access;
	assert_int_equal(sqlite3_vfs_register(&our_vfs, 1), SQLITE_OK);
}

void
vfs_stop(void)
{
	assert_int_equal(sqlite3_vfs_unregister(&our_vfs), SQLITE_OK);
	assert_int_equal(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
}
