#include <string.h>
#include "vectors.h"

#define FIRST_ROOT_MAX_BYTES ((size_t)256 * 1024)

static enum upt_code
store_fetch(void *ctx, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	const struct vector_store *store = ctx;

	return web_get(store->web, store->url, file_name, max_bytes, out, err);
}

static enum upt_code
fetch_first_root(struct vector_store *store, struct upt_buf *out, struct upt_err *err)
{
	enum upt_code code =
		store_fetch(store, "1.root.json", FIRST_ROOT_MAX_BYTES, &store->first_root, err);

	/* Not "no newer root", and not "nothing provisioned": there is nothing to start from. */
	if (code == UPT_E_ABSENT)
		return upt_wrap(err, UPT_E_MISSING, "first root");
	UPT_TRY(code);
	upt_buf_clear(out);
	return upt_buf_append(out, store->first_root.data, store->first_root.len, err);
}

static enum upt_code
store_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct vector_store *store = ctx;

	if (documents_find(&store->kept, role) == NULL && strcmp(role, "root") == 0)
		return fetch_first_root(store, out, err);
	return documents_load(&store->kept, role, out, err);
}

static enum upt_code
store_save(
	void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct vector_store *store = ctx;

	return documents_keep(&store->kept, role, version, bytes, err);
}

static enum upt_code
store_forget(void *ctx, const char *role, struct upt_err *err)
{
	struct vector_store *store = ctx;

	(void)err;
	documents_forget(&store->kept, role);
	return UPT_OK;
}

static enum upt_code
store_save_root(
	void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct vector_store *store = ctx;

	return documents_keep_root(&store->kept, version, bytes, drop_others, err);
}

struct upt_feed
vector_store_feed(struct vector_store *store)
{
	return (struct upt_feed){.ctx = store,
		.fetch = store_fetch,
		.load = store_load,
		.save = store_save,
		.save_root = store_save_root,
		.forget = store_forget};
}

enum upt_code
vector_store_settle(
	struct vector_store *store, const struct upt_trusted_set *set, struct upt_err *err)
{
	if (upt_trusted_set_root(set) == NULL || documents_find(&store->kept, "root") != NULL)
		return UPT_OK;
	return store_save(store, "root", 1, upt_buf_span(&store->first_root), err);
}

void
vector_store_clear(struct vector_store *store)
{
	documents_clear(&store->kept);
	upt_buf_clear(&store->first_root);
	*store = (struct vector_store){0};
}
