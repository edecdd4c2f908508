#include "storage/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"

#define DB_NAME "state.db"
#define NEW_NAME "state.db.new"
#define BUSY_TIMEOUT_MS 5000
#define INDEX_NAME "state.db-shm"
/* The first piece of the journal's index: 4062 pages, many times wal_autocheckpoint. */
#define INDEX_BYTES ((size_t)32 * 1024)
/* SQLite makes sure of one byte in so many. */
#define INDEX_PAGE_BYTES 4096
/* Room for a row around the largest document. */
#define SQLITE_LENGTH_LIMIT ((int)UPT_STORE_DOCUMENT_MAX_BYTES + 64 * 1024)

/*
 * What every connection gets. A small cache: a document of megabytes passes through it once and
 * would push out nothing but itself. secure_delete: signed metadata is no secret, and zeroing it
 * doubles the wear of the flash.
 */
static const char connection_pragmas[] = "PRAGMA synchronous = FULL;"
					 "PRAGMA foreign_keys = ON;"
					 "PRAGMA trusted_schema = OFF;"
					 "PRAGMA cell_size_check = ON;"
					 "PRAGMA secure_delete = OFF;"
					 "PRAGMA temp_store = MEMORY;"
					 "PRAGMA cache_size = -512;"
					 "PRAGMA wal_autocheckpoint = 256;"
					 "PRAGMA journal_size_limit = 1048576;";

/* ---- the database's connection ---- */

static enum upt_code
configure(const struct upt_store *store, struct upt_err *err)
{
	sqlite3 *db = store->db;
	int rc;

	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, SQLITE_LENGTH_LIMIT);
	/* A schema that somebody planted must not run code of its own. */
	rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	if (rc != SQLITE_OK)
		return upt_store_fail(store, rc, "configuring", err);
	return upt_store_exec(store, "configuring", connection_pragmas, err);
}

static enum upt_code
open_connection(struct upt_store *store, const char *name, int flags, struct upt_err *err)
{
	int rc = sqlite3_open_v2(
		name, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

	if (rc != SQLITE_OK)
		return upt_store_fail(store, rc, "opening", err);
	return configure(store, err);
}

static void
disconnect(struct upt_store *store)
{
	sqlite3_close(store->db);
	store->db = NULL;
}

static enum upt_code
use_wal(const struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "opening the journal", "PRAGMA journal_mode = WAL");
	char mode[16];
	bool row;

	UPT_TRY(upt_query_step(&q, &row, err));
	UPT_TRY(upt_query_text(&q, 0, mode, sizeof(mode), err));
	if (strcmp(mode, "wal") != 0)
		return upt_fail(err, UPT_E_IO,
			"%s: this file system cannot keep a write-ahead log (journal mode %s)",
			store->path, mode);
	return UPT_OK;
}

/*
 * The check writes what it could not read into its verdict like damage, by SQLite's code. A disk
 * that could not answer is no damaged database: whoever is told so may throw away what is trusted.
 */
static int
unread_page(const char *verdict)
{
	const char *at = strstr(verdict, "error code");
	int rc = 0;

	if (at == NULL || sscanf(at, "error code%*[= ]%d", &rc) != 1)
		return SQLITE_OK;
	return (rc & 0xff) == SQLITE_IOERR ? rc : SQLITE_OK;
}

static enum upt_code
quick_check(const struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "checking", "PRAGMA quick_check(1)");
	char result[256];
	bool row;

	UPT_TRY(upt_query_step(&q, &row, err));
	UPT_TRY(upt_query_text(&q, 0, result, sizeof(result), err));
	if (strcmp(result, "ok") == 0)
		return UPT_OK;
	if (unread_page(result) != SQLITE_OK)
		return upt_store_fail(store, unread_page(result), q.what, err);
	return upt_fail(err, UPT_E_DATABASE, "%s is damaged (%s)", store->path, result);
}

/* ---- the journal's index, which is mapped memory ---- */

/*
 * SQLite makes the index by one byte in 4096. Where blocks are smaller (ext4 of less than 512 MB
 * has 1 KiB) the rest are holes, and on a full disk the first use of one ends the process with
 * SIGBUS. *scarce: there is no room for it, counting what an index that is there already holds.
 */
static enum upt_code
check_index_room(const struct upt_store *store, bool *scarce, struct upt_err *err)
{
	struct statvfs vfs;
	struct stat st;
	uint64_t room;

	*scarce = false;
	if (fstatvfs(store->dir_fd, &vfs) != 0)
		return upt_fail_errno(
			err, errno, "cannot ask for the free space of %s", store->path);
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (fstatat(store->dir_fd, INDEX_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		room += (uint64_t)st.st_blocks * 512;
	*scarce = vfs.f_bsize < INDEX_PAGE_BYTES && room < 2 * INDEX_BYTES;
	return UPT_OK;
}

static enum upt_code
fail_scarce(const struct upt_store *store, struct upt_err *err)
{
	return upt_fail(
		err, UPT_E_NO_SPACE, "%s: opening the journal: the disk is full", store->path);
}

/* Fills the holes while there is room: from now on a full disk cannot reach the mapped pages. */
static enum upt_code
fill_index(const struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd =
		openat(store->dir_fd, INDEX_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT
			       ? UPT_OK
			       : upt_fail_errno(err, errno, "cannot open %s-shm", store->path);
	/* Not every file system can; those that cannot have no such holes to fill, or no way to. */
	if (fallocate(fd, 0, 0, (off_t)INDEX_BYTES) != 0 && (errno == ENOSPC || errno == EDQUOT))
		return upt_fail_errno(err, errno, "cannot allocate %s-shm", store->path);
	return UPT_OK;
}

/* ---- the file ---- */

/*
 * Makes the database beside its place and renames it there once it is whole and on disk. An empty
 * or half-made file at the place is damage then, never "a new vehicle": a client that took it for
 * one would trust old metadata again.
 */
static enum upt_code
fill_new(struct upt_store *store, struct upt_err *err)
{
	char name[PATH_MAX];
	enum upt_code code;

	if (snprintf(name, sizeof(name), "%s.new", store->path) >= (int)sizeof(name))
		return upt_fail(err, UPT_E_IO, "path too long: %.64s...", store->path);
	code = open_connection(store, name, SQLITE_OPEN_READWRITE, err);
	/* The file is thrown away unless this succeeds, so it needs no journal beside it. */
	if (code == UPT_OK)
		code = upt_store_exec(store, "creating", "PRAGMA journal_mode = MEMORY", err);
	if (code == UPT_OK)
		code = upt_store_migrate(store, err);
	disconnect(store);
	return code;
}

static enum upt_code
create_new(struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;

	if (unlinkat(store->dir_fd, NEW_NAME, 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove stale %s.new", store->path);
	fd = openat(
		store->dir_fd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot create %s.new", store->path);
	/* SQLite gives its journals the database's mode. */
	if (fchmod(fd, 0600) != 0)
		return upt_fail_errno(err, errno, "cannot set the mode of %s.new", store->path);
	UPT_TRY(fill_new(store, err));
	if (fsync(fd) != 0)
		return upt_fail_errno(err, errno, "cannot sync %s.new", store->path);
	if (renameat(store->dir_fd, NEW_NAME, store->dir_fd, DB_NAME) != 0)
		return upt_fail_errno(err, errno, "cannot rename %s.new", store->path);
	return upt_dir_sync(store->dir_fd, ".", err);
}

/* A write-ahead log without its database belongs to one that was deleted: SQLite would replay it
 * into the new one. */
static enum upt_code
check_no_orphan(const struct upt_store *store, struct upt_err *err)
{
	struct stat st;

	if (fstatat(store->dir_fd, DB_NAME "-wal", &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT
			       ? UPT_OK
			       : upt_fail_errno(err, errno, "cannot stat %s-wal", store->path);
	if (st.st_size > 0)
		return upt_fail(err, UPT_E_DATABASE,
			"%s is gone, but its journal %s-wal is there: restore it or move both away",
			store->path, store->path);
	if (unlinkat(store->dir_fd, DB_NAME "-wal", 0) != 0)
		return upt_fail_errno(err, errno, "cannot remove %s-wal", store->path);
	return UPT_OK;
}

/* *there says whether the database exists. */
static enum upt_code
check_file(const struct upt_store *store, bool *there, struct upt_err *err)
{
	struct stat st;

	*there = false;
	if (fstatat(store->dir_fd, DB_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? UPT_OK
				       : upt_fail_errno(err, errno, "cannot stat %s", store->path);
	if (!S_ISREG(st.st_mode))
		return upt_fail(err, UPT_E_DATABASE, "%s is no regular file", store->path);
	if (st.st_size == 0)
		return upt_fail(err, UPT_E_DATABASE, "%s is no database or damaged (it is empty)",
			store->path);
	if (!store->read_only && (st.st_mode & 077) != 0 &&
		fchmodat(store->dir_fd, DB_NAME, 0600, 0) != 0)
		return upt_fail_errno(err, errno, "cannot set the mode of %s", store->path);
	*there = true;
	return UPT_OK;
}

static enum upt_code
open_for_writing(struct upt_store *store, struct upt_err *err)
{
	bool there, scarce;

	UPT_TRY(check_file(store, &there, err));
	UPT_TRY(check_index_room(store, &scarce, err));
	if (scarce)
		return fail_scarce(store, err);
	if (!there) {
		UPT_TRY(check_no_orphan(store, err));
		UPT_TRY(create_new(store, err));
	}
	UPT_TRY(open_connection(store, store->path, SQLITE_OPEN_READWRITE, err));
	/* Before anything is changed in what may be another program's database. */
	UPT_TRY(upt_store_check_schema(store, err));
	UPT_TRY(use_wal(store, err));
	UPT_TRY(quick_check(store, err));
	UPT_TRY(fill_index(store, err));
	return upt_store_migrate(store, err);
}

/* ---- reading beside a running daemon, or without one ---- */

/* file:PATH?immutable=1 with what a URI would misread escaped. */
static enum upt_code
immutable_uri(const char *path, struct upt_buf *out, struct upt_err *err)
{
	UPT_TRY(upt_buf_append(out, "file:", 5, err));
	for (; *path != '\0'; path++) {
		if (*path == '?' || *path == '#' || *path == '%')
			UPT_TRY(upt_buf_printf(out, err, "%%%02x", (unsigned)*path));
		else
			UPT_TRY(upt_buf_append(out, path, 1, err));
	}
	return upt_buf_printf(out, err, "?immutable=1");
}

/* Bytes of the database's companion; 0 when there is none. */
static off_t
companion_size(const struct upt_store *store, const char *name)
{
	struct stat st;

	return fstatat(store->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : 0;
}

/*
 * On a read-only file system SQLite cannot make the shared-memory file of the journal. Nobody can
 * write there, so a database without a journal may be read as it lies (*frozen); with one it would
 * tell what was true before the last commits.
 */
static enum upt_code
check_frozen(const struct upt_store *store, bool *frozen, struct upt_err *err)
{
	bool journal = companion_size(store, DB_NAME "-wal") > 0, scarce;
	struct statvfs vfs;

	*frozen = false;
	UPT_TRY(check_index_room(store, &scarce, err));
	if (scarce && journal)
		return fail_scarce(store, err);
	/* Nobody writes to a full disk either. */
	*frozen = scarce;
	if (*frozen)
		return UPT_OK;
	if (fstatvfs(store->dir_fd, &vfs) != 0 || (vfs.f_flag & ST_RDONLY) == 0)
		return UPT_OK;
	if (journal && companion_size(store, DB_NAME "-shm") == 0)
		return upt_fail(err, UPT_E_PERMISSION,
			"%s has a journal to replay, but its file system is read-only",
			store->path);
	*frozen = !journal;
	return UPT_OK;
}

static enum upt_code
open_for_reading(struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf uri = {0};
	bool there, frozen;

	UPT_TRY(check_file(store, &there, err));
	if (!there)
		return upt_fail(err, UPT_E_NOT_FOUND, "there is no %s yet", store->path);
	UPT_TRY(check_frozen(store, &frozen, err));
	if (frozen) {
		UPT_TRY(immutable_uri(store->path, &uri, err));
		UPT_TRY(open_connection(store, (const char *)uri.data,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err));
	} else {
		UPT_TRY(open_connection(store, store->path, SQLITE_OPEN_READONLY, err));
	}
	UPT_TRY(upt_store_check_schema(store, err));
	return quick_check(store, err);
}

/* ---- the directory ---- */

static enum upt_code
open_directory(struct upt_store *store, const char *dir, struct upt_err *err)
{
	/* Resolved once: the path to SQLite may then forbid symbolic links. */
	upt_cleanup(upt_free_ptr) char *real = realpath(dir, NULL);
	struct stat st;

	if (real == NULL)
		return upt_fail_errno(err, errno, "cannot resolve directory %s", dir);
	if (asprintf(&store->path, "%s/" DB_NAME, real) < 0) {
		store->path = NULL;
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a path");
	}
	store->dir_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (store->dir_fd < 0)
		return upt_fail_errno(err, errno, "cannot open directory %s", dir);
	if (fstat(store->dir_fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot stat directory %s", dir);
	/* Whoever may rename files here replaces the trusted metadata and every counter. */
	if ((st.st_mode & S_IWOTH) != 0)
		return upt_fail(err, UPT_E_PERMISSION,
			"directory %s may be written by everybody (mode %04o)", dir,
			(unsigned)st.st_mode & 07777);
	return UPT_OK;
}

static enum upt_code
open_store(struct upt_store *store, const char *dir, struct upt_err *err)
{
	if (store->read_only) {
		UPT_TRY(open_directory(store, dir, err));
		return open_for_reading(store, err);
	}
	UPT_TRY(upt_dir_make(dir, 0700, err));
	UPT_TRY(open_directory(store, dir, err));
	UPT_TRY(upt_store_lock(store->dir_fd, dir, &store->lock_fd, err));
	return open_for_writing(store, err);
}

void
upt_store_close(struct upt_store **store)
{
	struct upt_store *s = *store;

	*store = NULL;
	if (s == NULL)
		return;
	disconnect(s);
	upt_store_unlock(&s->lock_fd); /* last: the next holder finds everything written */
	upt_close_fd(&s->dir_fd);
	free(s->path);
	free(s);
}

enum upt_code
upt_store_open(
	const char *dir, enum upt_store_mode mode, struct upt_store **out, struct upt_err *err)
{
	upt_cleanup(upt_store_close) struct upt_store *store = calloc(1, sizeof(*store));

	*out = NULL;
	if (store == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a store");
	store->dir_fd = -1;
	store->lock_fd = -1;
	store->read_only = mode == UPT_STORE_READ_ONLY;
	UPT_TRY(open_store(store, dir, err));
	*out = store;
	store = NULL;
	return UPT_OK;
}
