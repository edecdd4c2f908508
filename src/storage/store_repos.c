#include "storage/store_internal.h"

/* *out is UPT_REPO_NONE when the name has no number. */
static enum upt_code
look_up(struct upt_store *store, const char *name, enum upt_repo *out, struct upt_err *err)
{
	upt_cleanup(upt_query_end) struct upt_query q = upt_query_begin(
		store, "looking up a repository", "SELECT id FROM repositories WHERE name = ?1");
	uint64_t id;
	bool row;

	*out = UPT_REPO_NONE;
	upt_query_bind_text(&q, 1, name);
	UPT_TRY(upt_query_step(&q, &row, err));
	if (!row)
		return UPT_OK;
	UPT_TRY(upt_query_u64(&q, 0, &id, err));
	if (id == UPT_REPO_NONE || id > UPT_REPO_MAX)
		return upt_fail(err, UPT_E_DATABASE,
			"%s is damaged (repository %.64s has number %ju)", store->path, name,
			(uintmax_t)id);
	*out = (enum upt_repo)id;
	return UPT_OK;
}

enum upt_code
upt_store_find_repo(
	struct upt_store *store, const char *name, enum upt_repo *out, struct upt_err *err)
{
	UPT_TRY(look_up(store, name, out, err));
	return *out != UPT_REPO_NONE ? UPT_OK
				     : upt_fail(err, UPT_E_NOT_FOUND,
					       "%s: no repository %.64s stored", store->path, name);
}

static enum upt_code
insert(struct upt_store *store, const char *name, struct upt_err *err)
{
	/* The next number: SQLite's choice for a NULL id, and nothing is ever deleted. */
	upt_cleanup(upt_query_end) struct upt_query q =
		upt_query_begin(store, "naming a repository",
			"INSERT INTO repositories (name) SELECT ?1"
			" WHERE (SELECT max(id) FROM repositories) < ?2");

	upt_query_bind_text(&q, 1, name);
	upt_query_bind_int(&q, 2, UPT_REPO_MAX);
	return upt_query_run(&q, err);
}

enum upt_code
upt_store_add_repo(
	struct upt_store *store, const char *name, enum upt_repo *out, struct upt_err *err)
{
	upt_cleanup(upt_transaction_end) struct upt_transaction t = {0};
	enum upt_repo repo;

	UPT_TRY(look_up(store, name, out, err));
	if (*out != UPT_REPO_NONE)
		return UPT_OK;
	UPT_TRY(upt_transaction_begin(&t, store, err));
	UPT_TRY(insert(store, name, err));
	UPT_TRY(look_up(store, name, &repo, err));
	if (repo == UPT_REPO_NONE)
		return upt_fail(err, UPT_E_CONFIG, "%s: %u repositories had a name here, no more",
			store->path, UPT_REPO_MAX);
	UPT_TRY(upt_transaction_commit(&t, err));
	*out = repo;
	return UPT_OK;
}
