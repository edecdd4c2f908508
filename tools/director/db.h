/*
 * The Director's SQLite database: opening with its schema, transactions that roll back unless they
 * were committed, and statements with typed arguments. `serve` and the commands use one database at
 * the same time: WAL, a busy timeout, synchronous=FULL, so that nothing is served that a power cut
 * could take back. Thread-safety: a struct db belongs to one thread.
 */
#ifndef UPT_TOOLS_DIRECTOR_DB_H
#define UPT_TOOLS_DIRECTOR_DB_H

#include <sqlite3.h>
#include "base/span.h"

#define DB_BUSY_TIMEOUT_MS 5000

struct db {
	sqlite3 *handle; /* owned; NULL is closed */
};

/* Makes path (mode 0600) with an empty schema; UPT_E_IO when it exists. */
UPT_NODISCARD enum upt_code db_create(struct db *db, const char *path, struct upt_err *err);
/* Opens an existing database. UPT_E_NOT_FOUND; UPT_E_DATABASE when it is another program's, damaged
 * or of a newer version. */
UPT_NODISCARD enum upt_code db_open(struct db *db, const char *path, struct upt_err *err);
void db_close(struct db *db);

/* One bound argument. Texts and blobs are borrowed until the statement is finished. */
struct db_arg {
	enum { DB_ARG_NULL, DB_ARG_INT, DB_ARG_TEXT, DB_ARG_BLOB } type;
	int64_t integer;
	struct upt_span bytes;
};

static inline struct db_arg
db_int(int64_t value)
{
	return (struct db_arg){.type = DB_ARG_INT, .integer = value};
}

/* NULL becomes SQL's NULL. */
static inline struct db_arg
db_text(const char *text)
{
	if (text == NULL)
		return (struct db_arg){.type = DB_ARG_NULL};
	return (struct db_arg){.type = DB_ARG_TEXT, .bytes = upt_span_str(text)};
}

static inline struct db_arg
db_text_span(struct upt_span text)
{
	return (struct db_arg){.type = DB_ARG_TEXT, .bytes = text};
}

static inline struct db_arg
db_blob(struct upt_span bytes)
{
	return (struct db_arg){.type = DB_ARG_BLOB, .bytes = bytes};
}

#define DB_ARGS(...)                                                                               \
	(const struct db_arg[]){__VA_ARGS__},                                                      \
		sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)
#define DB_NO_ARGS NULL, 0

/* Finishes a statement; fits upt_cleanup(). */
void db_finish(sqlite3_stmt **statement);
/* Prepares sql and binds its arguments; the caller steps it with db_step(). */
UPT_NODISCARD enum upt_code db_query(struct db *db, sqlite3_stmt **out, struct upt_err *err,
	const char *sql, const struct db_arg *args, size_t n_args);
UPT_NODISCARD enum upt_code db_step(sqlite3_stmt *statement, bool *row, struct upt_err *err);
/* Runs a statement that yields nothing of interest. */
UPT_NODISCARD enum upt_code db_run(struct db *db, struct upt_err *err, const char *sql,
	const struct db_arg *args, size_t n_args);
/* One row's first column; UPT_E_NOT_FOUND when there is no row or it is NULL. */
UPT_NODISCARD enum upt_code db_get_int(struct db *db, int64_t *out, struct upt_err *err,
	const char *sql, const struct db_arg *args, size_t n_args);
UPT_NODISCARD enum upt_code db_get_bytes(struct db *db, struct upt_buf *out, struct upt_err *err,
	const char *sql, const struct db_arg *args, size_t n_args);
/* Column as text, "" for NULL; borrowed until the next step. */
const char *db_column_text(sqlite3_stmt *statement, int column);
struct upt_span db_column_bytes(sqlite3_stmt *statement, int column);

/* A transaction; {0} is none. db_rollback fits upt_cleanup() and does nothing after a commit. */
struct db_tx {
	struct db *db;
};
UPT_NODISCARD enum upt_code db_begin(struct db *db, struct db_tx *tx, struct upt_err *err);
/* The same for reading only: one consistent view, which never blocks and never waits. */
UPT_NODISCARD enum upt_code db_begin_read(struct db *db, struct db_tx *tx, struct upt_err *err);
UPT_NODISCARD enum upt_code db_commit(struct db_tx *tx, struct upt_err *err);
void db_rollback(struct db_tx *tx);

#endif
