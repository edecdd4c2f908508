#include "storage/store_internal.h"

#include <errno.h>
#include <sys/statvfs.h>

/* SQLite keeps no errno for some failures of the shared-memory file on a full disk. */
static bool
disk_is_full(const struct upt_store *store)
{
	struct statvfs vfs;

	return store->dir_fd >= 0 && fstatvfs(store->dir_fd, &vfs) == 0 && vfs.f_bavail == 0;
}

static enum upt_code
code_of_system_error(const struct upt_store *store, int rc)
{
	switch (sqlite3_system_errno(store->db)) {
	case ENOSPC:
	case EDQUOT:
		return UPT_E_NO_SPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return UPT_E_PERMISSION;
	case ENOMEM:
		return UPT_E_NO_MEMORY;
	default:
		break;
	}
	if (rc == SQLITE_READONLY || rc == SQLITE_PERM)
		return UPT_E_PERMISSION;
	return rc == SQLITE_IOERR && disk_is_full(store) ? UPT_E_NO_SPACE : UPT_E_IO;
}

static enum upt_code
code_of_result(const struct upt_store *store, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return UPT_E_NO_SPACE;
	case SQLITE_NOMEM:
		return UPT_E_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return UPT_E_BUSY;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_IOERR:
		return code_of_system_error(store, rc & 0xff);
	case SQLITE_TOOBIG:
		return UPT_E_TOO_LARGE;
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return UPT_E_INTERNAL;
	default:
		return UPT_E_DATABASE;
	}
}

enum upt_code
upt_store_fail(const struct upt_store *store, int rc, const char *what, struct upt_err *err)
{
	enum upt_code code = code_of_result(store, rc);
	int errnum = store->db != NULL ? sqlite3_system_errno(store->db) : 0;

	if (code == UPT_E_DATABASE)
		return upt_fail(err, code, "%s is no database or damaged (%s: %s)", store->path,
			what, sqlite3_errstr(rc));
	if (code == UPT_E_NO_SPACE)
		return upt_fail(err, code, "%s: %s: the disk is full", store->path, what);
	if (errnum != 0 && (code == UPT_E_IO || code == UPT_E_PERMISSION))
		return upt_fail(err, code, "%s: %s: %s (%s)", store->path, what, sqlite3_errstr(rc),
			strerror(errnum));
	return upt_fail(err, code, "%s: %s: %s", store->path, what, sqlite3_errstr(rc));
}

struct upt_query
upt_query_begin(const struct upt_store *store, const char *what, const char *sql)
{
	struct upt_query q = {.store = store, .what = what};

	q.rc = sqlite3_prepare_v2(store->db, sql, -1, &q.stmt, NULL);
	return q;
}

void
upt_query_end(struct upt_query *q)
{
	sqlite3_finalize(q->stmt);
	q->stmt = NULL;
}

void
upt_query_bind_int(struct upt_query *q, int at, int64_t value)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_int64(q->stmt, at, value);
}

void
upt_query_bind_u64(struct upt_query *q, int at, uint64_t value)
{
	if (q->rc == SQLITE_OK && value > INT64_MAX)
		q->rc = SQLITE_RANGE;
	upt_query_bind_int(q, at, (int64_t)value);
}

void
upt_query_bind_text(struct upt_query *q, int at, const char *value)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_text(q->stmt, at, value, -1, SQLITE_STATIC);
}

void
upt_query_bind_blob(struct upt_query *q, int at, struct upt_span value)
{
	/* A NULL pointer would bind NULL; an empty value is an empty blob. */
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_blob64(q->stmt, at,
			value.len > 0 ? value.data : (const void *)"", value.len, SQLITE_STATIC);
}

enum upt_code
upt_query_step(struct upt_query *q, bool *row, struct upt_err *err)
{
	*row = false;
	if (q->rc == SQLITE_OK) {
		int rc = sqlite3_step(q->stmt);
		if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
			*row = rc == SQLITE_ROW;
			return UPT_OK;
		}
		q->rc = rc;
	}
	return upt_store_fail(q->store, q->rc, q->what, err);
}

enum upt_code
upt_query_run(struct upt_query *q, struct upt_err *err)
{
	bool row;

	do
		UPT_TRY(upt_query_step(q, &row, err));
	while (row);
	return UPT_OK;
}

static enum upt_code
bad_column(const struct upt_query *q, int column, struct upt_err *err)
{
	return upt_fail(err, UPT_E_DATABASE, "%s is damaged (%s: column %d has a wrong value)",
		q->store->path, q->what, column);
}

enum upt_code
upt_query_u64(struct upt_query *q, int column, uint64_t *out, struct upt_err *err)
{
	int64_t v = sqlite3_column_int64(q->stmt, column);

	*out = 0;
	if (sqlite3_column_type(q->stmt, column) != SQLITE_INTEGER || v < 0)
		return bad_column(q, column, err);
	*out = (uint64_t)v;
	return UPT_OK;
}

enum upt_code
upt_query_text(struct upt_query *q, int column, char *out, size_t size, struct upt_err *err)
{
	const unsigned char *text = sqlite3_column_text(q->stmt, column);
	int len = sqlite3_column_bytes(q->stmt, column);

	out[0] = '\0';
	if (text == NULL || len < 0 || (size_t)len >= size ||
		strlen((const char *)text) != (size_t)len)
		return bad_column(q, column, err);
	memcpy(out, text, (size_t)len + 1);
	return UPT_OK;
}

enum upt_code
upt_query_blob(struct upt_query *q, int column, struct upt_buf *out, struct upt_err *err)
{
	const void *bytes = sqlite3_column_blob(q->stmt, column);
	int len = sqlite3_column_bytes(q->stmt, column);

	upt_buf_clear(out);
	if (len < 0 || (size_t)len > UPT_STORE_DOCUMENT_MAX_BYTES || (bytes == NULL && len > 0))
		return bad_column(q, column, err);
	return upt_buf_append(out, bytes, (size_t)len, err);
}

enum upt_code
upt_store_exec(
	const struct upt_store *store, const char *what, const char *sql, struct upt_err *err)
{
	int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? UPT_OK : upt_store_fail(store, rc, what, err);
}

enum upt_code
upt_transaction_begin(struct upt_transaction *t, const struct upt_store *store, struct upt_err *err)
{
	UPT_TRY(upt_store_exec(store, "beginning a transaction", "BEGIN IMMEDIATE", err));
	t->store = store;
	return UPT_OK;
}

enum upt_code
upt_transaction_commit(struct upt_transaction *t, struct upt_err *err)
{
	UPT_TRY(upt_store_exec(t->store, "committing", "COMMIT", err));
	t->store = NULL;
	return UPT_OK;
}

void
upt_transaction_end(struct upt_transaction *t)
{
	/* After some failures SQLite has rolled back by itself. */
	if (t->store != NULL && sqlite3_get_autocommit(t->store->db) == 0)
		sqlite3_exec(t->store->db, "ROLLBACK", NULL, NULL, NULL);
	t->store = NULL;
}
