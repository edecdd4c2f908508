#include "storage/store_internal.h"

#include <stdio.h>

/*
 * Migration n brings the schema from n to n + 1. A released one is never edited: databases in the
 * field have run it. bytes are last columns, so that SQLite need not build zeroblobs in memory.
 */
static const char *const migrations[] = {
	/* 0: the first schema */
	"CREATE TABLE documents ("
	" id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, name TEXT NOT NULL,"
	" version INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (repo, name)) STRICT;"
	"CREATE TABLE roots ("
	" id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, version INTEGER NOT NULL,"
	" bytes BLOB NOT NULL, UNIQUE (repo, version)) STRICT;"
	"CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"CREATE TABLE texts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"
	"CREATE TABLE images ("
	" ecu TEXT NOT NULL, slot INTEGER NOT NULL, name TEXT NOT NULL, length INTEGER NOT NULL,"
	" release_counter INTEGER, sha256 BLOB, sha512 BLOB,"
	" PRIMARY KEY (ecu, slot)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE reports (ecu TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;"
	"CREATE TABLE incidents ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, code TEXT NOT NULL,"
	" repo INTEGER NOT NULL, ecu TEXT NOT NULL, message TEXT NOT NULL,"
	" reported INTEGER NOT NULL DEFAULT 0) STRICT;",
	/* 1: which name each number of a repository stands for; a row is never deleted */
	"CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
	"INSERT INTO repositories (id, name) VALUES (1, 'director'), (2, 'image');",
	/* 2: the plan of the last bundle, which was a text while it was installed */
	"CREATE TABLE plan ("
	" id INTEGER PRIMARY KEY CHECK (id = 1), correlation_id TEXT NOT NULL,"
	" targets_version INTEGER NOT NULL, time INTEGER NOT NULL, state INTEGER NOT NULL,"
	" refuses INTEGER NOT NULL, reports INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;"
	"CREATE TABLE plan_members ("
	" position INTEGER PRIMARY KEY, ecu TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,"
	" reversible INTEGER NOT NULL, last INTEGER NOT NULL, redescribed INTEGER NOT NULL,"
	" tries INTEGER NOT NULL, reason TEXT NOT NULL,"
	" name TEXT NOT NULL, length INTEGER NOT NULL, release_counter INTEGER,"
	" sha256 BLOB, sha512 BLOB,"
	" old_name TEXT NOT NULL, old_length INTEGER NOT NULL, old_release_counter INTEGER,"
	" old_sha256 BLOB, old_sha512 BLOB) STRICT;"
	"DELETE FROM texts WHERE name = 'bundle';",
};

#define N_MIGRATIONS (sizeof(migrations) / sizeof(migrations[0]))

static enum upt_code
read_number(const struct upt_store *store, const char *sql, int64_t *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "reading the header", sql);
	bool row;

	*out = 0;
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_DATABASE, "%s: %s gives nothing", store->path, sql);
	*out = sqlite3_column_int64(q.stmt, 0);
	return UPT_OK;
}

/* The schema's number: 0 for a database that was just made. */
static enum upt_code
read_version(const struct upt_store *store, size_t *version, struct upt_err *err)
{
	int64_t application, user, tables;

	*version = 0;
	UPT_TRY(read_number(store, "PRAGMA application_id", &application, err));
	UPT_TRY(read_number(store, "PRAGMA user_version", &user, err));
	UPT_TRY(read_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err));
	if (application == 0 && user == 0 && tables == 0)
		return UPT_OK;
	if (application != UPT_STORE_APPLICATION_ID || user < 1)
		return upt_fail(
			err, UPT_E_DATABASE, "%s is the database of another program", store->path);
	if ((uint64_t)user > N_MIGRATIONS)
		return upt_fail(err, UPT_E_DATABASE,
			"%s was written by a newer version of this program (schema %jd, this one "
			"knows %zu)",
			store->path, (intmax_t)user, N_MIGRATIONS);
	*version = (size_t)user;
	return UPT_OK;
}

static enum upt_code
apply(const struct upt_store *store, size_t n, struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};
	char header[96];

	snprintf(header, sizeof(header), "PRAGMA application_id = %d; PRAGMA user_version = %zu",
		UPT_STORE_APPLICATION_ID, n + 1);
	UPT_TRY(upt_transaction_begin(&t, store, err));
	UPT_TRY(upt_store_exec(store, "migrating", migrations[n], err));
	UPT_TRY(upt_store_exec(store, "migrating", header, err));
	return upt_transaction_commit(&t, err);
}

enum upt_code
upt_store_migrate(const struct upt_store *store, struct upt_err *err)
{
	size_t version;

	UPT_TRY(read_version(store, &version, err));
	for (; version < N_MIGRATIONS; version++)
		UPT_TRY(apply(store, version, err));
	return UPT_OK;
}

enum upt_code
upt_store_check_schema(const struct upt_store *store, struct upt_err *err)
{
	size_t version;

	UPT_TRY(read_version(store, &version, err));
	/* Ours are renamed into place whole, so an empty one is no beginning but a loss. */
	if (version == 0)
		return upt_fail(
			err, UPT_E_DATABASE, "%s is a database without tables", store->path);
	if (store->read_only && version < N_MIGRATIONS)
		return upt_fail(err, UPT_E_DATABASE,
			"%s has the old schema %zu: start uptaned once to bring it to %zu",
			store->path, version, N_MIGRATIONS);
	return UPT_OK;
}
