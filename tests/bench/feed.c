#include "feed.h"

#include "base/file.h"

#define MAX_ROOT_BYTES ((size_t)1 << 20)

static enum upt_code
folder_fetch(void *ctx, const char *file, size_t max, struct upt_buf *out, struct upt_err *err)
{
	const int *fd = ctx;
	enum upt_code code = upt_file_read(*fd, file, max, out, err);

	return code == UPT_E_NOT_FOUND ? UPT_E_ABSENT : code;
}

static enum upt_code
folder_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	const int *fd = ctx;

	if (strcmp(role, "root") == 0)
		return upt_file_read(*fd, "1.root.json", MAX_ROOT_BYTES, out, err);
	return upt_fail(err, UPT_E_NOT_FOUND, "nothing stored");
}

static enum upt_code
drop_save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	(void)ctx, (void)role, (void)version, (void)bytes, (void)err;
	return UPT_OK;
}

static enum upt_code
drop_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	(void)ctx, (void)version, (void)bytes, (void)drop_others, (void)err;
	return UPT_OK;
}

static enum upt_code
drop_forget(void *ctx, const char *role, struct upt_err *err)
{
	(void)ctx, (void)role, (void)err;
	return UPT_OK;
}

struct upt_feed
bench_feed(int *fd)
{
	return (struct upt_feed){fd, folder_fetch, folder_load, drop_save, drop_root, drop_forget};
}
