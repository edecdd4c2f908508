#include "recorder.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

enum kind {
	WRITE,
	TRUNCATE,
	SYNC,
	DELETE,
	ACKNOWLEDGE,
};

struct record {
	enum kind kind;
	unsigned file; /* 0 database, 1 journal; or the step that is acknowledged */
	sqlite3_int64 at;
	uint8_t *data;
	size_t len;
};

struct recorded_file {
	sqlite3_file base;
	unsigned file;
	sqlite3_file *real;
};

static struct record *records;
static size_t n_records, max_records;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs recorder_vfs;

static const char *const file_names[] = {"state.db", "state.db-wal"};

static void
add(enum kind kind, unsigned file, sqlite3_int64 at, const void *data, size_t len)
{
	if (n_records == max_records) {
		max_records = max_records * 2 + 64;
		records = realloc(records, max_records * sizeof(*records));
		assert_non_null(records);
	}
	records[n_records] = (struct record){.kind = kind, .file = file, .at = at, .len = len};
	if (data != NULL) {
		records[n_records].data = malloc(len);
		assert_non_null(records[n_records].data);
		memcpy(records[n_records].data, data, len);
	}
	n_records++;
}

/* ---- the file's methods ---- */

static struct recorded_file *
recorded(sqlite3_file *file)
{
	return (struct recorded_file *)file;
}

#define REAL(f) (recorded(f)->real)
#define CALL(f, method) (REAL(f)->pMethods->method)

static int
file_close(sqlite3_file *f)
{
	return CALL(f, xClose)(REAL(f));
}

static int
file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	return CALL(f, xRead)(REAL(f), out, n, at);
}

static int
file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	add(WRITE, recorded(f)->file, at, data, (size_t)n);
	return CALL(f, xWrite)(REAL(f), data, n, at);
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	add(TRUNCATE, recorded(f)->file, size, NULL, 0);
	return CALL(f, xTruncate)(REAL(f), size);
}

static int
file_sync(sqlite3_file *f, int flags)
{
	add(SYNC, recorded(f)->file, 0, NULL, 0);
	return CALL(f, xSync)(REAL(f), flags);
}

static int
file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return CALL(f, xFileSize)(REAL(f), size);
}

static int
file_lock(sqlite3_file *f, int level)
{
	return CALL(f, xLock)(REAL(f), level);
}

static int
file_unlock(sqlite3_file *f, int level)
{
	return CALL(f, xUnlock)(REAL(f), level);
}

static int
file_check_lock(sqlite3_file *f, int *out)
{
	return CALL(f, xCheckReservedLock)(REAL(f), out);
}

static int
file_control(sqlite3_file *f, int op, void *arg)
{
	return CALL(f, xFileControl)(REAL(f), op, arg);
}

static int
file_sector_size(sqlite3_file *f)
{
	return CALL(f, xSectorSize)(REAL(f));
}

static int
file_device(sqlite3_file *f)
{
	return CALL(f, xDeviceCharacteristics)(REAL(f));
}

static int
file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return CALL(f, xShmMap)(REAL(f), page, size, extend, out);
}

static int
file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return CALL(f, xShmLock)(REAL(f), offset, n, flags);
}

static void
file_shm_barrier(sqlite3_file *f)
{
	CALL(f, xShmBarrier)(REAL(f));
}

static int
file_shm_unmap(sqlite3_file *f, int delete)
{
	return CALL(f, xShmUnmap)(REAL(f), delete);
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

static bool
is_journal(const char *name)
{
	size_t len = name != NULL ? strlen(name) : 0;

	return len > 4 && strcmp(name + len - 4, "-wal") == 0;
}

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct recorded_file *f = recorded(file);
	int rc;

	(void)vfs;
	f->real = (sqlite3_file *)(f + 1);
	f->file = is_journal(name) ? 1 : 0;
	rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
	file->pMethods = f->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	(void)vfs;
	if (is_journal(name))
		add(DELETE, 1, 0, NULL, 0);
	return real_vfs->xDelete(real_vfs, name, sync_dir);
}

void
recorder_start(void)
{
	recorder_clear();
	real_vfs = sqlite3_vfs_find(NULL);
	recorder_vfs = *real_vfs;
	recorder_vfs.szOsFile = (int)sizeof(struct recorded_file) + real_vfs->szOsFile;
	recorder_vfs.zName = "recorder";
	recorder_vfs.pNext = NULL;
	recorder_vfs.xOpen = vfs_open;
	recorder_vfs.xDelete = vfs_delete;
	assert_int_equal(sqlite3_vfs_register(&recorder_vfs, 1), SQLITE_OK);
}

void
recorder_stop(void)
{
	assert_int_equal(sqlite3_vfs_unregister(&recorder_vfs), SQLITE_OK);
	assert_int_equal(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
}

void
recorder_acknowledge(unsigned step)
{
	add(ACKNOWLEDGE, step, 0, NULL, 0);
}

size_t
recorder_length(void)
{
	return n_records;
}

void
recorder_clear(void)
{
	for (size_t i = 0; i < n_records; i++)
		free(records[i].data);
	free(records);
	records = NULL;
	n_records = max_records = 0;
}

/* ---- rebuilding ---- */

static void
apply_write(struct upt_buf *disk, const struct record *r, size_t len)
{
	size_t end = (size_t)r->at + len;

	if (end > disk->len) {
		assert_int_equal(upt_buf_reserve(disk, end - disk->len, NULL), UPT_OK);
		memset(disk->data + disk->len, 0, end - disk->len);
		disk->len = end;
	}
	memcpy(disk->data + r->at, r->data, len);
}

static void
apply(struct upt_buf *disk, const struct record *r)
{
	if (r->kind == WRITE)
		apply_write(disk, r, r->len);
	else if (r->kind == DELETE || (size_t)r->at < disk->len)
		disk->len = r->kind == DELETE ? 0 : (size_t)r->at;
}

static bool
is_lost(enum recorder_loss loss, size_t i)
{
	return loss == RECORDER_LOSE_ALL || (loss == RECORDER_LOSE_ODD && i % 2 == 1) ||
	       (loss == RECORDER_LOSE_EVEN && i % 2 == 0);
}

/* What the last sync of this file covered, and of the rest what loss leaves. */
static void
rebuild_file(struct upt_buf *disk, unsigned file, size_t n, enum recorder_loss loss)
{
	size_t synced = 0;

	for (size_t i = 0; i < n; i++) {
		if (records[i].kind == SYNC && records[i].file == file)
			synced = i;
	}
	for (size_t i = 0; i < n; i++) {
		const struct record *r = &records[i];

		if (r->kind == ACKNOWLEDGE || r->kind == SYNC || r->file != file)
			continue;
		/* A deletion follows the checkpoint that made the journal superfluous. */
		if (i > synced && r->kind != DELETE && is_lost(loss, i))
			continue;
		if (i > synced && i + 1 == n && r->kind == WRITE && loss == RECORDER_TEAR_LAST)
			apply_write(disk, r, r->len / 2);
		else
			apply(disk, r);
	}
}

unsigned
recorder_rebuild(const char *before, const char *dir, size_t n, enum recorder_loss loss)
{
	char path[4096];
	unsigned step = 0;

	for (unsigned file = 0; file < 2; file++) {
		upt_cleanup(upt_buf_clear) struct upt_buf disk = {0};

		if (scratch_exists(before, file_names[file]))
			scratch_read(before, file_names[file], &disk);
		rebuild_file(&disk, file, n, loss);
		unlink(scratch_path(path, dir, file_names[file]));
		if (disk.len > 0)
			scratch_write(dir, file_names[file], disk.data, disk.len);
	}
	unlink(scratch_path(path, dir, "state.db-shm"));
	for (size_t i = 0; i < n; i++) {
		if (records[i].kind == ACKNOWLEDGE)
			step = records[i].file;
	}
	return step;
}
