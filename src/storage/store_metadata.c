#include "storage/store_internal.h"

/* Which of the two tables with a blob named bytes. */
struct blob_place {
	const char *table;
	sqlite3_int64 row;
	const char *what;
};

static void
close_blob(sqlite3_blob **blob)
{
	sqlite3_blob_close(*blob);
}

/*
 * Fills the zeroblob of a row. Binding the bytes to the INSERT, or an upsert, would make SQLite
 * copy the whole document once more in memory.
 */
static enum upt_code
write_blob(const struct upt_store *store, const struct blob_place *place, struct upt_span bytes,
	struct upt_err *err)
{
	upt_cleanup(close_blob) sqlite3_blob *blob = NULL;
	int rc = sqlite3_blob_open(store->db, "main", place->table, "bytes", place->row, 1, &blob);

	if (rc == SQLITE_OK)
		rc = sqlite3_blob_write(blob, bytes.data, (int)bytes.len, 0);
	if (rc != SQLITE_OK)
		return upt_store_fail(store, rc, place->what, err);
	return UPT_OK;
}

static enum upt_code
read_blob(const struct upt_store *store, const struct blob_place *place, struct upt_buf *out,
	struct upt_err *err)
{
	upt_cleanup(close_blob) sqlite3_blob *blob = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	int rc = sqlite3_blob_open(store->db, "main", place->table, "bytes", place->row, 0, &blob);
	int len;

	if (rc != SQLITE_OK)
		return upt_store_fail(store, rc, place->what, err);
	len = sqlite3_blob_bytes(blob);
	if (len < 0 || (size_t)len > UPT_STORE_DOCUMENT_MAX_BYTES)
		return upt_fail(err, UPT_E_DATABASE, "%s is damaged (%s: a document of %d bytes)",
			store->path, place->what, len);
	UPT_TRY(upt_buf_reserve(&buf, (size_t)len, err));
	rc = sqlite3_blob_read(blob, buf.data, len, 0);
	if (rc != SQLITE_OK)
		return upt_store_fail(store, rc, place->what, err);
	buf.len = (size_t)len;
	buf.data[buf.len] = 0;
	upt_buf_move(out, &buf);
	return UPT_OK;
}

/* Inside the caller's transaction: the row with its zeroblob first, then its bytes. */
static enum upt_code
save_blob(const struct upt_store *store, struct upt_query *q, struct blob_place *place,
	struct upt_span bytes, struct upt_err *err)
{
	UPT_TRY(upt_query_run(q, err));
	place->row = sqlite3_last_insert_rowid(store->db);
	return bytes.len > 0 ? write_blob(store, place, bytes, err) : UPT_OK;
}

static enum upt_code
check_length(
	const struct upt_store *store, struct upt_span bytes, const char *what, struct upt_err *err)
{
	if (bytes.len > UPT_STORE_DOCUMENT_MAX_BYTES)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"%s: %s: %zu bytes, more than the %zu allowed", store->path, what,
			bytes.len, UPT_STORE_DOCUMENT_MAX_BYTES);
	return UPT_OK;
}

enum upt_code
upt_store_save_document(struct upt_store *store, enum upt_repo repo, const char *name,
	uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct blob_place place = {.table = "documents", .what = "saving a document"};
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};
	upt_cleanup(upt_query_end) struct upt_query q = {0};

	UPT_TRY(check_length(store, bytes, place.what, err));
	UPT_TRY(upt_transaction_begin(&t, store, err));
	q = upt_query_begin(store, place.what,
		"INSERT OR REPLACE INTO documents (repo, name, version, bytes)"
		" VALUES (?1, ?2, ?3, zeroblob(?4))");
	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_text(&q, 2, name);
	upt_query_bind_u64(&q, 3, version);
	upt_query_bind_u64(&q, 4, bytes.len);
	UPT_TRY(save_blob(store, &q, &place, bytes, err));
	return upt_transaction_commit(&t, err);
}

enum upt_code
upt_store_load_document(struct upt_store *store, enum upt_repo repo, const char *name,
	struct upt_buf *out, struct upt_err *err)
{
	struct blob_place place = {.table = "documents", .what = "loading a document"};
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, place.what, "SELECT id FROM documents WHERE repo = ?1 AND name = ?2");
	bool row;

	upt_buf_clear(out);
	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_text(&q, 2, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s: no %s %.64s stored", store->path,
			upt_repo_name(repo), name);
	/* q stays open: it holds the snapshot in which this row exists. */
	place.row = sqlite3_column_int64(q.stmt, 0);
	return read_blob(store, &place, out, err);
}

enum upt_code
upt_store_forget_document(
	struct upt_store *store, enum upt_repo repo, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store,
		"forgetting a document", "DELETE FROM documents WHERE repo = ?1 AND name = ?2");

	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_text(&q, 2, name);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_document_version(struct upt_store *store, enum upt_repo repo, const char *name,
	uint64_t *version, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "reading a document's version",
			"SELECT version FROM documents WHERE repo = ?1 AND name = ?2");
	bool row;

	*version = 0;
	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_text(&q, 2, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	return row ? upt_query_u64(&q, 0, version, err) : UPT_OK;
}

enum upt_code
upt_store_save_root(struct upt_store *store, enum upt_repo repo, uint64_t version,
	struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct blob_place place = {.table = "roots", .what = "saving a root"};
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};
	upt_cleanup(upt_query_end) struct upt_query q = {0};

	UPT_TRY(check_length(store, bytes, place.what, err));
	UPT_TRY(upt_transaction_begin(&t, store, err));
	if (drop_others) {
		UPT_TRY(upt_store_forget_document(store, repo, "timestamp", err));
		UPT_TRY(upt_store_forget_document(store, repo, "snapshot", err));
	}
	q = upt_query_begin(store, place.what,
		"INSERT OR REPLACE INTO roots (repo, version, bytes) VALUES (?1, ?2, "
		"zeroblob(?3))");
	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_u64(&q, 2, version);
	upt_query_bind_u64(&q, 3, bytes.len);
	UPT_TRY(save_blob(store, &q, &place, bytes, err));
	return upt_transaction_commit(&t, err);
}

enum upt_code
upt_store_load_root(struct upt_store *store, enum upt_repo repo, uint64_t version,
	struct upt_buf *out, struct upt_err *err)
{
	struct blob_place place = {.table = "roots", .what = "loading a root"};
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, place.what, "SELECT id FROM roots WHERE repo = ?1 AND version = ?2");
	bool row;

	upt_buf_clear(out);
	upt_query_bind_int(&q, 1, repo);
	upt_query_bind_u64(&q, 2, version);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s: no %s root v%ju stored", store->path,
			upt_repo_name(repo), (uintmax_t)version);
	/* q stays open: it holds the snapshot in which this row exists. */
	place.row = sqlite3_column_int64(q.stmt, 0);
	return read_blob(store, &place, out, err);
}

enum upt_code
upt_store_root_versions(struct upt_store *store, enum upt_repo repo, uint64_t *first,
	uint64_t *last, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "reading the root versions",
			"SELECT min(version), max(version) FROM roots WHERE repo = ?1"
			" HAVING count(*) > 0");
	uint64_t low, high;
	bool row;

	*first = *last = 0;
	upt_query_bind_int(&q, 1, repo);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s: no %s root stored", store->path,
			upt_repo_name(repo));
	UPT_TRY(upt_query_u64(&q, 0, &low, err));
	UPT_TRY(upt_query_u64(&q, 1, &high, err));
	*first = low;
	*last = high;
	return UPT_OK;
}
