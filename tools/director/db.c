#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "db.h"
#include "db_schema.h"

static enum upt_code
db_code(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return UPT_E_BUSY;
	case SQLITE_FULL:
		return UPT_E_NO_SPACE;
	case SQLITE_NOMEM:
		return UPT_E_NO_MEMORY;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return UPT_E_PERMISSION;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return UPT_E_IO;
	default:
		return UPT_E_DATABASE;
	}
}

static enum upt_code
db_fail(sqlite3 *handle, int rc, struct upt_err *err)
{
	const char *text = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);

	return upt_fail(err, db_code(rc), "database: %s", text);
}

static enum upt_code
db_script(struct db *db, const char *sql, struct upt_err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? UPT_OK : db_fail(db->handle, rc, err);
}

static enum upt_code
db_connect(struct db *db, const char *path, struct upt_err *err)
{
	int rc = sqlite3_open_v2(path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

	if (rc != SQLITE_OK)
		return db_fail(db->handle, rc, err);
	(void)sqlite3_extended_result_codes(db->handle, 1);
	(void)sqlite3_busy_timeout(db->handle, DB_BUSY_TIMEOUT_MS);
	/* An index or expression smuggled into a database file must not run as code. */
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return db_script(db, "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL;", err);
}

static enum upt_code
db_check_version(struct db *db, const char *path, struct upt_err *err)
{
	int64_t application = 0, version = 0;

	UPT_TRY(db_get_int(db, &application, err, "PRAGMA application_id", DB_NO_ARGS));
	UPT_TRY(db_get_int(db, &version, err, "PRAGMA user_version", DB_NO_ARGS));
	if (application != DB_APPLICATION_ID)
		return upt_fail(err, UPT_E_DATABASE, "%s is no Director database", path);
	if (version != DB_SCHEMA_VERSION)
		return upt_fail(err, UPT_E_DATABASE,
			"%s has schema version %lld, this program knows %d", path,
			(long long)version, DB_SCHEMA_VERSION);
	return UPT_OK;
}

void
db_close(struct db *db)
{
	if (db->handle != NULL)
		(void)sqlite3_close(db->handle);
	db->handle = NULL;
}

static enum upt_code
db_create_file(const char *path, struct upt_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return upt_fail_errno(err, errno, "%s", path);
	close(fd);
	return UPT_OK;
}

enum upt_code
db_create(struct db *db, const char *path, struct upt_err *err)
{
	*db = (struct db){0};
	UPT_TRY(db_create_file(path, err));
	enum upt_code code = db_connect(db, path, err);
	if (code == UPT_OK)
		code = db_script(db, "PRAGMA journal_mode=WAL; BEGIN IMMEDIATE;" DB_SCHEMA, err);
	if (code == UPT_OK) {
		char *sql =
			sqlite3_mprintf("PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
				DB_APPLICATION_ID, DB_SCHEMA_VERSION);
		code = sql == NULL ? upt_fail(err, UPT_E_NO_MEMORY, "database: out of memory")
				   : db_script(db, sql, err);
		sqlite3_free(sql);
	}
	if (code != UPT_OK)
		db_close(db);
	return code;
}

enum upt_code
db_open(struct db *db, const char *path, struct upt_err *err)
{
	struct stat st;

	*db = (struct db){0};
	if (stat(path, &st) != 0)
		return upt_fail_errno(err, errno, "%s", path);
	enum upt_code code = db_connect(db, path, err);
	if (code == UPT_OK)
		code = db_check_version(db, path, err);
	if (code != UPT_OK)
		db_close(db);
	return code;
}

void
db_finish(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(*statement);
	*statement = NULL;
}

static int
bind_one(sqlite3_stmt *statement, int index, const struct db_arg *arg)
{
	/* A NULL pointer would bind SQL's NULL where an empty value is meant. */
	const void *data = arg->bytes.len == 0 ? (const void *)"" : arg->bytes.data;

	switch (arg->type) {
	case DB_ARG_INT:
		return sqlite3_bind_int64(statement, index, arg->integer);
	case DB_ARG_TEXT:
		return sqlite3_bind_text64(
			statement, index, data, arg->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
	case DB_ARG_BLOB:
		return sqlite3_bind_blob64(statement, index, data, arg->bytes.len, SQLITE_STATIC);
	case DB_ARG_NULL:
	default:
		return sqlite3_bind_null(statement, index);
	}
}

enum upt_code
db_query(struct db *db, sqlite3_stmt **out, struct upt_err *err, const char *sql,
	const struct db_arg *args, size_t n_args)
{
	*out = NULL;
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	for (size_t i = 0; i < n_args && rc == SQLITE_OK; i++)
		rc = bind_one(statement, (int)i + 1, &args[i]);
	if (rc != SQLITE_OK)
		return db_fail(db->handle, rc, err);
	*out = statement;
	statement = NULL;
	return UPT_OK;
}

enum upt_code
db_step(sqlite3_stmt *statement, bool *row, struct upt_err *err)
{
	int rc = sqlite3_step(statement);

	*row = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return UPT_OK;
	return db_fail(sqlite3_db_handle(statement), rc, err);
}

enum upt_code
db_run(struct db *db, struct upt_err *err, const char *sql, const struct db_arg *args,
	size_t n_args)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = true;

	UPT_TRY(db_query(db, &statement, err, sql, args, n_args));
	while (row)
		UPT_TRY(db_step(statement, &row, err));
	return UPT_OK;
}

/* The only row of sql in *out, positioned; UPT_E_NOT_FOUND when its first column is missing. */
static enum upt_code
db_one_row(struct db *db, sqlite3_stmt **out, struct upt_err *err, const char *sql,
	const struct db_arg *args, size_t n_args)
{
	bool row = false;

	UPT_TRY(db_query(db, out, err, sql, args, n_args));
	UPT_TRY(db_step(*out, &row, err));
	if (!row || sqlite3_column_type(*out, 0) == SQLITE_NULL)
		return upt_fail(err, UPT_E_NOT_FOUND, "database: no such record");
	return UPT_OK;
}

enum upt_code
db_get_int(struct db *db, int64_t *out, struct upt_err *err, const char *sql,
	const struct db_arg *args, size_t n_args)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;

	*out = 0;
	UPT_TRY(db_one_row(db, &statement, err, sql, args, n_args));
	*out = sqlite3_column_int64(statement, 0);
	return UPT_OK;
}

enum upt_code
db_get_bytes(struct db *db, struct upt_buf *out, struct upt_err *err, const char *sql,
	const struct db_arg *args, size_t n_args)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	upt_buf_clear(out);
	UPT_TRY(db_one_row(db, &statement, err, sql, args, n_args));
	struct upt_span value = db_column_bytes(statement, 0);
	UPT_TRY(upt_buf_append(&bytes, value.data, value.len, err));
	upt_buf_move(out, &bytes);
	return UPT_OK;
}

const char *
db_column_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text != NULL ? (const char *)text : "";
}

struct upt_span
db_column_bytes(sqlite3_stmt *statement, int column)
{
	const void *data = sqlite3_column_blob(statement, column);
	int len = sqlite3_column_bytes(statement, column);

	return data != NULL && len > 0 ? upt_span(data, (size_t)len) : upt_span("", 0);
}

enum upt_code
db_begin(struct db *db, struct db_tx *tx, struct upt_err *err)
{
	*tx = (struct db_tx){0};
	/* IMMEDIATE: a transaction that reads first could not be upgraded when a command wrote
	 * meanwhile. */
	UPT_TRY(db_script(db, "BEGIN IMMEDIATE", err));
	tx->db = db;
	return UPT_OK;
}

enum upt_code
db_begin_read(struct db *db, struct db_tx *tx, struct upt_err *err)
{
	*tx = (struct db_tx){0};
	UPT_TRY(db_script(db, "BEGIN DEFERRED", err));
	tx->db = db;
	return UPT_OK;
}

enum upt_code
db_commit(struct db_tx *tx, struct upt_err *err)
{
	UPT_TRY(db_script(tx->db, "COMMIT", err));
	tx->db = NULL;
	return UPT_OK;
}

void
db_rollback(struct db_tx *tx)
{
	if (tx->db != NULL)
		(void)sqlite3_exec(tx->db->handle, "ROLLBACK", NULL, NULL, NULL);
	tx->db = NULL;
}
