/* What a client keeps, and a folder instead of a server. */
#include <fcntl.h>
#include <stdio.h>
#include "base/encode.h"
#include "base/file.h"
#include "metadata/limits.h"
#include "runner.h"

#define ROOT_MAX_BYTES ((size_t)1 << 20)

/* The role in a file name as clients ask for it: "3.team%2Fa.json" is team/a. */
static void
note_asked(struct store *s, const char *file)
{
	const char *slash = strrchr(file, '/'), *p = slash != NULL ? slash + 1 : file;
	size_t digits = strspn(p, "0123456789"), len = 0;

	if (digits > 0 && p[digits] == '.')
		p += digits + 1;
	while (*p != '\0' && strcmp(p, ".json") != 0 && len + 1 < sizeof(s->asked)) {
		uint8_t c;

		if (*p == '%' && upt_hex_decode(upt_span(p + 1, 2), &c, 1)) {
			s->asked[len++] = (char)c;
			p += 3;
		} else {
			s->asked[len++] = *p++;
		}
	}
	s->asked[len] = '\0';
	s->n_asked++;
}

static enum upt_code
store_fetch(void *ctx, const char *file, size_t max, struct upt_buf *out, struct upt_err *err)
{
	struct store *s = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	enum upt_code code;

	/* A root that is not there is the end of the chain, and what is asked for next is told. */
	UPT_TRY(upt_buf_printf(&path, err, "%s/%s", s->folder, file));
	note_asked(s, file);
	code = upt_file_read(AT_FDCWD, (const char *)path.data, max, out, err);
	return code == UPT_E_NOT_FOUND ? UPT_E_ABSENT : code;
}

static enum upt_code
store_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	const struct store *s = ctx;

	return documents_load(&s->kept, role, out, err);
}

static enum upt_code
store_save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct store *s = ctx;

	UPT_TRY(documents_keep(&s->kept, role, version, bytes, err));
	documents_find(&s->kept, role)->mark = s->n_asked;
	return UPT_OK;
}

static enum upt_code
store_forget(void *ctx, const char *role, struct upt_err *err)
{
	struct store *s = ctx;

	(void)err;
	documents_forget(&s->kept, role);
	return UPT_OK;
}

static enum upt_code
store_save_root(
	void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct store *s = ctx;

	UPT_TRY(documents_keep_root(&s->kept, version, bytes, drop_others, err));
	documents_find(&s->kept, "root")->mark = s->n_asked;
	return UPT_OK;
}

struct upt_feed
store_feed(struct store *s)
{
	return (struct upt_feed){.ctx = s,
		.fetch = store_fetch,
		.load = store_load,
		.save = store_save,
		.save_root = store_save_root,
		.forget = store_forget};
}

bool
store_keeps_asked(const struct store *s)
{
	const struct document *kept = documents_find(&s->kept, s->asked);

	return kept != NULL && kept->mark == s->n_asked;
}

enum upt_code
store_provision(struct store *s, const char *folder, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	UPT_TRY(upt_buf_printf(&path, err, "%s/root.json", folder));
	UPT_TRY(upt_file_read(AT_FDCWD, (const char *)path.data, ROOT_MAX_BYTES, &bytes, err));
	return store_save(s, "root", 1, upt_buf_span(&bytes), err);
}

void
store_clear(struct store *s)
{
	documents_clear(&s->kept);
	*s = (struct store){0};
}
