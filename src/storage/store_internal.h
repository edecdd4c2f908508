/*
 * Shared by the files of the store only: the handle, one query, one transaction.
 */
#ifndef UPT_STORAGE_STORE_INTERNAL_H
#define UPT_STORAGE_STORE_INTERNAL_H

#include <sqlite3.h>
#include "storage/store.h"

/* "UptS": tells file(1) and us whose database this is. */
#define UPT_STORE_APPLICATION_ID 0x55707453

struct upt_store {
	sqlite3 *db;
	char *path; /* of the database, resolved */
	int dir_fd;
	int lock_fd; /* -1 when read-only */
	bool read_only;
};

/*
 * Translates what SQLite last said about store->db into a code and a message
 * "PATH: what: SQLite's text". rc is the result code of the failed call.
 */
enum upt_code
upt_store_fail(const struct upt_store *store, int rc, const char *what, struct upt_err *err);

/*
 * One prepared statement. Failures of preparing and binding stick and are reported by step, so
 * that a query reads as one block. what names the attempt in messages ("saving a report").
 */
struct upt_query {
	const struct upt_store *store;
	sqlite3_stmt *stmt;
	const char *what;
	int rc;
};

struct upt_query upt_query_begin(const struct upt_store *store, const char *what, const char *sql);
void upt_query_end(struct upt_query *q); /* finalizes; fits upt_cleanup() */
void upt_query_bind_int(struct upt_query *q, int at, int64_t value);
/* Texts and spans are borrowed until the query ends. */
void upt_query_bind_text(struct upt_query *q, int at, const char *value);
void upt_query_bind_blob(struct upt_query *q, int at, struct upt_span value);
/* An unsigned number; one above INT64_MAX makes step fail instead of coming back negative. */
void upt_query_bind_u64(struct upt_query *q, int at, uint64_t value);
/* *row says whether a row is there to read; false is the end. */
UPT_NODISCARD enum upt_code upt_query_step(struct upt_query *q, bool *row, struct upt_err *err);
/* Steps to the end; rows are dropped. */
UPT_NODISCARD enum upt_code upt_query_run(struct upt_query *q, struct upt_err *err);
/* Columns of the current row; a value of the wrong kind is UPT_E_DATABASE. */
UPT_NODISCARD enum upt_code
upt_query_u64(struct upt_query *q, int column, uint64_t *out, struct upt_err *err);
/* Copies at most size - 1 bytes of text and a NUL. */
UPT_NODISCARD enum upt_code
upt_query_text(struct upt_query *q, int column, char *out, size_t size, struct upt_err *err);
/* Replaces out by a blob of at most UPT_STORE_DOCUMENT_MAX_BYTES. */
UPT_NODISCARD enum upt_code
upt_query_blob(struct upt_query *q, int column, struct upt_buf *out, struct upt_err *err);

/* An image in five columns: name, length, release_counter, sha256, sha512. */
UPT_NODISCARD enum upt_code upt_query_image(
	struct upt_query *q, int column, struct upt_image *out, struct upt_err *err);
void upt_query_bind_image(struct upt_query *q, int at, const struct upt_image *image);

/* Runs statements without parameters. */
UPT_NODISCARD enum upt_code upt_store_exec(
	const struct upt_store *store, const char *what, const char *sql, struct upt_err *err);

/* BEGIN IMMEDIATE; rolled back at the end of scope unless committed. */
struct upt_transaction {
	const struct upt_store *store;
};
UPT_NODISCARD enum upt_code upt_transaction_begin(
	struct upt_transaction *t, const struct upt_store *store, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_transaction_commit(struct upt_transaction *t, struct upt_err *err);
void upt_transaction_end(struct upt_transaction *t); /* fits upt_cleanup() */

/* flock of DIR/lock: UPT_E_BUSY names the process that holds it. dir is for messages. */
UPT_NODISCARD enum upt_code
upt_store_lock(int dir_fd, const char *dir, int *lock_fd, struct upt_err *err);
void upt_store_unlock(int *lock_fd);

/* Refuses a foreign, an empty or a newer database, and an older one when read-only. */
UPT_NODISCARD enum upt_code
upt_store_check_schema(const struct upt_store *store, struct upt_err *err);
/* Applies the migrations the database lacks, each in one transaction. */
UPT_NODISCARD enum upt_code upt_store_migrate(const struct upt_store *store, struct upt_err *err);

#endif
