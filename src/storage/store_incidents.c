#include "storage/store_internal.h"

static enum upt_code
insert(struct upt_store *store, const struct upt_incident *incident, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving an incident",
		"INSERT INTO incidents (time, code, repo, ecu, message) VALUES (?1, ?2, ?3, ?4, "
		"?5)");

	upt_query_bind_int(&q, 1, incident->time);
	/* By name: the enum's order may change between versions. */
	upt_query_bind_text(&q, 2, upt_code_name(incident->code));
	upt_query_bind_int(&q, 3, incident->repo);
	upt_query_bind_text(&q, 4, incident->ecu);
	upt_query_bind_text(&q, 5, incident->message);
	return upt_query_run(&q, err);
}

static enum upt_code
drop_oldest(struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "dropping old incidents",
			"DELETE FROM incidents WHERE id <= (SELECT max(id) FROM incidents) - ?1");

	upt_query_bind_int(&q, 1, UPT_STORE_MAX_INCIDENTS);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_add_incident(
	struct upt_store *store, const struct upt_incident *incident, struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};

	UPT_TRY(upt_transaction_begin(&t, store, err));
	UPT_TRY(insert(store, incident, err));
	UPT_TRY(drop_oldest(store, err));
	return upt_transaction_commit(&t, err);
}

/* Columns id, time, code, repo, ecu, message, the repository's name or "". */
static enum upt_code
read_incident(struct upt_query *q, struct upt_incident *out, struct upt_err *err)
{
	struct upt_incident incident = {.time = sqlite3_column_int64(q->stmt, 1)};
	char code[64];
	uint64_t repo;

	UPT_TRY(upt_query_u64(q, 0, &incident.id, err));
	UPT_TRY(upt_query_text(q, 2, code, sizeof(code), err));
	UPT_TRY(upt_query_u64(q, 3, &repo, err));
	UPT_TRY(upt_query_text(q, 4, incident.ecu, sizeof(incident.ecu), err));
	UPT_TRY(upt_query_text(q, 5, incident.message, sizeof(incident.message), err));
	UPT_TRY(upt_query_text(q, 6, incident.repo_name, sizeof(incident.repo_name), err));
	incident.code = upt_code_from_name(code);
	if (incident.code == UPT_N_CODES || repo > UPT_REPO_MAX ||
		(repo != UPT_REPO_NONE && incident.repo_name[0] == '\0'))
		return upt_fail(err, UPT_E_DATABASE,
			"%s is damaged (incident %ju has code \"%s\", repository %ju)",
			q->store->path, (uintmax_t)incident.id, code, (uintmax_t)repo);
	incident.repo = (enum upt_repo)repo;
	*out = incident;
	return UPT_OK;
}

static enum upt_code
next_incident(struct upt_store *store, bool unreported, struct upt_incident *incident, bool *row,
	struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "reading incidents",
		"SELECT i.id, i.time, i.code, i.repo, i.ecu, i.message, coalesce(r.name, '')"
		" FROM incidents i LEFT JOIN repositories r ON r.id = i.repo"
		" WHERE i.id > ?1 AND i.reported <= ?2 ORDER BY i.id LIMIT 1");

	upt_query_bind_u64(&q, 1, incident->id);
	upt_query_bind_int(&q, 2, unreported ? 0 : 1);
	UPT_TRY(upt_query_step(&q, row, err));
	return *row ? read_incident(&q, incident, err) : UPT_OK;
}

enum upt_code
upt_store_each_incident(struct upt_store *store, bool unreported,
	enum upt_code (*each)(void *ctx, const struct upt_incident *incident, struct upt_err *err),
	void *ctx, struct upt_err *err)
{
	struct upt_incident incident = {0};
	bool row;

	/* A query per step, so that each() may change what it is shown. */
	for (;;) {
		UPT_TRY(next_incident(store, unreported, &incident, &row, err));
		if (!row)
			return UPT_OK;
		UPT_TRY(each(ctx, &incident, err));
	}
}

enum upt_code
upt_store_mark_reported(struct upt_store *store, uint64_t up_to_id, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "marking incidents as reported",
			"UPDATE incidents SET reported = 1 WHERE id <= ?1 AND reported = 0");

	upt_query_bind_u64(&q, 1, up_to_id);
	return upt_query_run(&q, err);
}
