#include "tuf_store.h"

#include <errno.h>
#include <fcntl.h>
#include "base/file.h"

enum upt_code
tuf_quote(const char *name, struct upt_buf *out, struct upt_err *err)
{
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;

		if (plain)
			UPT_TRY(upt_buf_append(out, p, 1, err));
		else
			UPT_TRY(upt_buf_printf(out, err, "%%%02X", c));
	}
	return UPT_OK;
}

static enum upt_code
local_name(const char *role, struct upt_buf *out, struct upt_err *err)
{
	UPT_TRY(tuf_quote(role, out, err));
	return upt_buf_printf(out, err, ".json");
}

static enum upt_code
store_fetch(void *ctx, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	const struct tuf_store *store = ctx;

	return web_get(store->web, store->url, file_name, max_bytes, out, err);
}

static enum upt_code
store_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	const struct tuf_store *store = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0};

	UPT_TRY(local_name(role, &name, err));
	return upt_file_read(store->dirfd, (const char *)name.data, store->max_bytes, out, err);
}

static enum upt_code
store_save(
	void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	const struct tuf_store *store = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0};

	(void)version;
	UPT_TRY(local_name(role, &name, err));
	return upt_file_replace(store->dirfd, (const char *)name.data, 0644, bytes, err);
}

static enum upt_code
store_forget(void *ctx, const char *role, struct upt_err *err)
{
	const struct tuf_store *store = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0};

	UPT_TRY(local_name(role, &name, err));
	if (unlinkat(store->dirfd, (const char *)name.data, 0) != 0) {
		if (errno == ENOENT)
			return UPT_OK;
		return upt_fail_errno(err, errno, "cannot remove %s", (const char *)name.data);
	}
	return upt_dir_sync(store->dirfd, ".", err);
}

/*
 * One rename stores the root, so what it disowns goes first (TUF 5.3.11): after a power cut between
 * the two the old root still leads to this one, and nothing fast-forwarded outlives its keys.
 */
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
tuf_store_feed(struct tuf_store *store)
{
	return (struct upt_feed){.ctx = store,
		.fetch = store_fetch,
		.load = store_load,
		.save = store_save,
		.save_root = store_save_root,
		.forget = store_forget};
}
