#include "storage/store_internal.h"

#include <stdlib.h>

void
upt_plan_clear(struct upt_plan *plan)
{
	free(plan->members);
	*plan = (struct upt_plan){0};
}

/* ---- reading ---- */

/* A number of at most max: an enumerator, or a truth. */
static enum upt_code
read_small(struct upt_query *q, int column, uint64_t max, uint64_t *out, struct upt_err *err)
{
	UPT_TRY(upt_query_u64(q, column, out, err));
	if (*out > max)
		return upt_fail(err, UPT_E_DATABASE, "%s is damaged (%s: %ju in column %d)",
			q->store->path, q->what, (uintmax_t)*out, column);
	return UPT_OK;
}

static enum upt_code
read_bool(struct upt_query *q, int column, bool *out, struct upt_err *err)
{
	uint64_t value;

	UPT_TRY(read_small(q, column, 1, &value, err));
	*out = value == 1;
	return UPT_OK;
}

static enum upt_code
read_head(struct upt_query *q, struct upt_plan *plan, struct upt_err *err)
{
	uint64_t state;

	UPT_TRY(upt_query_text(q, 0, plan->correlation_id, sizeof(plan->correlation_id), err));
	UPT_TRY(upt_query_u64(q, 1, &plan->targets_version, err));
	plan->time = sqlite3_column_int64(q->stmt, 2);
	UPT_TRY(read_small(q, 3, UPT_PLAN_ROLLED_BACK, &state, err));
	plan->state = (enum upt_plan_state)state;
	UPT_TRY(read_bool(q, 4, &plan->refuses, err));
	UPT_TRY(read_bool(q, 5, &plan->reports, err));
	return upt_query_text(q, 6, plan->reason, sizeof(plan->reason), err);
}

static enum upt_code
load_head(struct upt_store *store, struct upt_plan *plan, bool *found, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "reading the plan",
		"SELECT correlation_id, targets_version, time, state, refuses, reports, reason"
		" FROM plan");

	UPT_TRY(upt_query_step(&q, found, err));
	return *found ? read_head(&q, plan, err) : UPT_OK;
}

static enum upt_code
count_members(struct upt_store *store, uint64_t *n, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "reading the plan", "SELECT count(*) FROM plan_members");
	bool row;

	UPT_TRY(upt_query_step(&q, &row, err));
	return upt_query_u64(&q, 0, n, err);
}

static enum upt_code
read_member(struct upt_query *q, struct upt_plan_member *m, struct upt_err *err)
{
	uint64_t state;

	UPT_TRY(upt_query_text(q, 0, m->ecu, sizeof(m->ecu), err));
	UPT_TRY(read_small(q, 1, UPT_MEMBER_LEFT, &state, err));
	m->state = (enum upt_member_state)state;
	UPT_TRY(read_bool(q, 2, &m->reversible, err));
	UPT_TRY(read_bool(q, 3, &m->last, err));
	UPT_TRY(read_bool(q, 4, &m->redescribed, err));
	UPT_TRY(upt_query_u64(q, 5, &m->n_tries, err));
	UPT_TRY(upt_query_text(q, 6, m->reason, sizeof(m->reason), err));
	UPT_TRY(upt_query_image(q, 7, &m->image, err));
	return upt_query_image(q, 12, &m->before, err);
}

static enum upt_code
load_members(struct upt_store *store, struct upt_plan *plan, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = {0};
	uint64_t n;
	bool row;

	UPT_TRY(count_members(store, &n, err));
	plan->members = calloc((size_t)n + 1, sizeof(*plan->members));
	if (plan->members == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a plan");
	q = upt_query_begin(store, "reading the plan",
		"SELECT ecu, state, reversible, last, redescribed, tries, reason,"
		" name, length, release_counter, sha256, sha512,"
		" old_name, old_length, old_release_counter, old_sha256, old_sha512"
		" FROM plan_members ORDER BY position");
	for (;;) {
		UPT_TRY(upt_query_step(&q, &row, err));
		/* Beside a writer the two looks may differ. */
		if (!row || plan->n_members == n)
			return UPT_OK;
		UPT_TRY(read_member(&q, &plan->members[plan->n_members], err));
		plan->n_members++;
	}
}

enum upt_code
upt_store_load_plan(struct upt_store *store, struct upt_plan *out, struct upt_err *err)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	bool found;

	upt_plan_clear(out);
	UPT_TRY(load_head(store, &plan, &found, err));
	if (found)
		UPT_TRY(load_members(store, &plan, err));
	*out = plan;
	plan.members = NULL;
	return UPT_OK;
}

/* ---- writing ---- */

static enum upt_code
save_head(struct upt_store *store, const struct upt_plan *plan, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving the plan",
		"INSERT OR REPLACE INTO plan (id, correlation_id, targets_version, time, state,"
		" refuses, reports, reason) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)");

	upt_query_bind_text(&q, 1, plan->correlation_id);
	upt_query_bind_u64(&q, 2, plan->targets_version);
	upt_query_bind_int(&q, 3, plan->time);
	upt_query_bind_int(&q, 4, plan->state);
	upt_query_bind_int(&q, 5, plan->refuses);
	upt_query_bind_int(&q, 6, plan->reports);
	upt_query_bind_text(&q, 7, plan->reason);
	return upt_query_run(&q, err);
}

static enum upt_code
save_member(struct upt_store *store, size_t position, const struct upt_plan_member *m,
	struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(store, "saving the plan",
		"INSERT INTO plan_members (position, ecu, state, reversible, last, redescribed,"
		" tries, reason, name, length, release_counter, sha256, sha512,"
		" old_name, old_length, old_release_counter, old_sha256, old_sha512)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18)");

	upt_query_bind_u64(&q, 1, position);
	upt_query_bind_text(&q, 2, m->ecu);
	upt_query_bind_int(&q, 3, m->state);
	upt_query_bind_int(&q, 4, m->reversible);
	upt_query_bind_int(&q, 5, m->last);
	upt_query_bind_int(&q, 6, m->redescribed);
	upt_query_bind_u64(&q, 7, m->n_tries);
	upt_query_bind_text(&q, 8, m->reason);
	upt_query_bind_image(&q, 9, &m->image);
	upt_query_bind_image(&q, 14, &m->before);
	return upt_query_run(&q, err);
}

static enum upt_code
save_rows(struct upt_store *store, const struct upt_plan *plan, struct upt_err *err)
{
	UPT_TRY(save_head(store, plan, err));
	UPT_TRY(upt_store_exec(store, "saving the plan", "DELETE FROM plan_members", err));
	for (size_t i = 0; i < plan->n_members; i++)
		UPT_TRY(save_member(store, i, &plan->members[i], err));
	return UPT_OK;
}

enum upt_code
upt_store_save_plan(struct upt_store *store, const struct upt_plan *plan, struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};

	UPT_TRY(upt_transaction_begin(&t, store, err));
	UPT_TRY(save_rows(store, plan, err));
	return upt_transaction_commit(&t, err);
}

static bool
did_not_stay(const struct upt_plan_member *m)
{
	return !m->redescribed &&
	       (m->state == UPT_MEMBER_TO_DO || m->state == UPT_MEMBER_FAILED ||
		       m->state == UPT_MEMBER_BACK || m->state == UPT_MEMBER_LEFT);
}

static enum upt_code
refuse_or_allow(
	struct upt_store *store, const struct upt_plan_member *m, bool refuses, struct upt_err *err)
{
	struct upt_image refused;

	if (refuses)
		return upt_store_set_image(store, m->ecu, UPT_SLOT_REFUSED, &m->image, err);
	UPT_TRY(upt_store_get_image(store, m->ecu, UPT_SLOT_REFUSED, &refused, err));
	return upt_image_same(&refused, &m->image)
		       ? upt_store_clear_image(store, m->ecu, UPT_SLOT_REFUSED, err)
		       : UPT_OK;
}

enum upt_code
upt_store_end_plan(struct upt_store *store, const struct upt_plan *plan, struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};

	UPT_TRY(upt_transaction_begin(&t, store, err));
	for (size_t i = 0; i < plan->n_members; i++) {
		if (did_not_stay(&plan->members[i]))
			UPT_TRY(refuse_or_allow(store, &plan->members[i], plan->refuses, err));
	}
	UPT_TRY(save_rows(store, plan, err));
	return upt_transaction_commit(&t, err);
}
