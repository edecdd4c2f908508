#include "storage/store_internal.h"

enum upt_code
upt_store_save_report(
	struct upt_store *store, const char *ecu, struct upt_span envelope, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving a report",
		"INSERT INTO reports (ecu, envelope) VALUES (?1, ?2)"
		" ON CONFLICT (ecu) DO UPDATE SET envelope = excluded.envelope");

	upt_query_bind_text(&q, 1, ecu);
	upt_query_bind_blob(&q, 2, envelope);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_load_report(
	struct upt_store *store, const char *ecu, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, "loading a report", "SELECT envelope FROM reports WHERE ecu = ?1");
	bool row;

	upt_buf_clear(out);
	upt_query_bind_text(&q, 1, ecu);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s: no version report of ECU %.128s stored",
			store->path, ecu);
	return upt_query_blob(&q, 0, out, err);
}
