#include <stdlib.h>
#include <string.h>
#include "vectors.h"

#define FIRST_ROOT_MAX_BYTES ((size_t)256 * 1024)

static struct vector_document *
find(const struct vector_store *store, const char *role)
{
	for (size_t i = 0; i < store->n_documents; i++) {
		if (strcmp(store->documents[i].role, role) == 0)
			return &store->documents[i];
	}
	return NULL;
}

static enum upt_code
copy(struct upt_span bytes, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf fresh = {0};

	UPT_TRY(upt_buf_append(&fresh, bytes.data, bytes.len, err));
	upt_buf_move(out, &fresh);
	return UPT_OK;
}

/* A place for a role; NULL without memory. */
static struct vector_document *
reserve(struct vector_store *store, const char *role)
{
	struct vector_document *found = find(store, role), *grown;

	if (found != NULL)
		return found;
	grown = realloc(store->documents, (store->n_documents + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	store->documents = grown;
	grown += store->n_documents;
	*grown = (struct vector_document){.role = strdup(role)};
	if (grown->role == NULL)
		return NULL;
	store->n_documents++;
	return grown;
}

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
	return copy(upt_buf_span(&store->first_root), out, err);
}

static enum upt_code
store_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct vector_store *store = ctx;
	const struct vector_document *found = find(store, role);

	if (found != NULL)
		return copy(upt_buf_span(&found->bytes), out, err);
	if (strcmp(role, "root") == 0)
		return fetch_first_root(store, out, err);
	return upt_fail(err, UPT_E_NOT_FOUND, "no %s is stored", role);
}

static enum upt_code
store_save(
	void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct vector_document *place = reserve(ctx, role);

	(void)version;
	if (place == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to store %s", role);
	return copy(bytes, &place->bytes, err);
}

static enum upt_code
store_forget(void *ctx, const char *role, struct upt_err *err)
{
	struct vector_store *store = ctx;
	struct vector_document *found = find(store, role);

	(void)err;
	if (found == NULL)
		return UPT_OK;
	free(found->role);
	upt_buf_clear(&found->bytes);
	*found = store->documents[--store->n_documents];
	return UPT_OK;
}

static enum upt_code
store_save_root(
	void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	if (drop_others) {
		UPT_TRY(store_forget(ctx, "timestamp", err));
		UPT_TRY(store_forget(ctx, "snapshot", err));
	}
	return store_save(ctx, "root", version, bytes, err);
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
	if (upt_trusted_set_root(set) == NULL || find(store, "root") != NULL)
		return UPT_OK;
	return store_save(store, "root", 1, upt_buf_span(&store->first_root), err);
}

void
vector_store_clear(struct vector_store *store)
{
	for (size_t i = 0; i < store->n_documents; i++) {
		free(store->documents[i].role);
		upt_buf_clear(&store->documents[i].bytes);
	}
	free(store->documents);
	upt_buf_clear(&store->first_root);
	*store = (struct vector_store){0};
}
