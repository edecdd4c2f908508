/*
 * SQLite's default VFS with a look at every call that touches the disk, before it happens: it can
 * be written down, or made to fail. The state in memory is the test's own; one at a time.
 */
#ifndef UPT_TESTS_STORAGE_VFS_H
#define UPT_TESTS_STORAGE_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum vfs_call {
	VFS_OPEN,
	VFS_DELETE,
	VFS_ACCESS,
	VFS_READ,
	VFS_WRITE,
	VFS_TRUNCATE,
	VFS_SYNC,
	VFS_SIZE,
	VFS_LOCK,
	VFS_MAP_INDEX,
	VFS_LOCK_INDEX,
};

struct vfs_event {
	enum vfs_call call;
	bool journal; /* else the database, or another file */
	sqlite3_int64 at; /* of a read or write; the size of a truncation */
	const void *data; /* of a write */
	size_t len;
};

/* What it returns instead of SQLITE_OK is returned in place of the call. */
typedef int (*vfs_look)(const struct vfs_event *event);

/* Becomes the default VFS, for databases opened from now on. */
void vfs_start(vfs_look look);
/* Restores the VFS of before. */
void vfs_stop(void);

#endif
