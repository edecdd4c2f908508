#include "recorder.h"

#include <stdio.h>
#include <unistd.h>

#include "vfs.h"

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

static struct record *records;
static size_t n_records, max_records;

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

static int
look(const struct vfs_event *e)
{
	unsigned file = e->journal ? 1 : 0;

	if (e->call == VFS_WRITE)
		add(WRITE, file, e->at, e->data, e->len);
	else if (e->call == VFS_TRUNCATE)
		add(TRUNCATE, file, e->at, NULL, 0);
	else if (e->call == VFS_SYNC)
		add(SYNC, file, 0, NULL, 0);
	else if (e->call == VFS_DELETE && e->journal)
		add(DELETE, file, 0, NULL, 0);
	return SQLITE_OK;
}

void
recorder_start(void)
{
	recorder_clear();
	vfs_start(look);
}

void
recorder_stop(void)
{
	vfs_stop();
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
