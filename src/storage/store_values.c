#include "storage/store_internal.h"

enum upt_code
upt_store_get_u64(struct upt_store *store, const char *name, uint64_t fallback, uint64_t *out,
	struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, "reading a number", "SELECT value FROM numbers WHERE name = ?1");
	bool row;

	*out = 0;
	upt_query_bind_text(&q, 1, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (row)
		return upt_query_u64(&q, 0, out, err);
	*out = fallback;
	return UPT_OK;
}

enum upt_code
upt_store_set_u64(struct upt_store *store, const char *name, uint64_t value, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving a number",
		"INSERT INTO numbers (name, value) VALUES (?1, ?2)"
		" ON CONFLICT (name) DO UPDATE SET value = excluded.value");

	upt_query_bind_text(&q, 1, name);
	upt_query_bind_u64(&q, 2, value);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_next_u64(struct upt_store *store, const char *name, uint64_t *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "counting",
		"INSERT INTO numbers (name, value) VALUES (?1, 1)"
		" ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value");
	uint64_t next;
	bool row;

	*out = 0;
	upt_query_bind_text(&q, 1, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	UPT_TRY(upt_query_u64(&q, 0, &next, err));
	/* Committed only when the statement has run to its end: not one report earlier. */
	UPT_TRY(upt_query_run(&q, err));
	*out = next;
	return UPT_OK;
}

enum upt_code
upt_store_get_text(
	struct upt_store *store, const char *name, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "reading a text", "SELECT value FROM texts WHERE name = ?1");
	bool row;

	upt_buf_clear(out);
	upt_query_bind_text(&q, 1, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	return row ? upt_query_blob(&q, 0, out, err) : UPT_OK;
}

enum upt_code
upt_store_set_text(
	struct upt_store *store, const char *name, struct upt_span text, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving a text",
		"INSERT INTO texts (name, value) VALUES (?1, ?2)"
		" ON CONFLICT (name) DO UPDATE SET value = excluded.value");

	upt_query_bind_text(&q, 1, name);
	upt_query_bind_blob(&q, 2, text);
	return upt_query_run(&q, err);
}
