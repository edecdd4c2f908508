#include "primary/internal.h"

#include <stdlib.h>
#include <string.h>

/* ctx of every callback is the repository. */

static enum upt_code
feed_fetch(void *ctx, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	struct upt_repository *r = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	UPT_TRY(upt_buf_printf(&url, err, "%s/%s", r->config->url, file_name));
	return upt_http_get(r->primary->http, (const char *)url.data, max_bytes, out, err);
}

static enum upt_code
feed_load(void *ctx, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct upt_repository *r = ctx;
	struct upt_store *store = r->primary->store;
	uint64_t first, last;

	if (strcmp(role, "root") != 0)
		return upt_store_load_document(store, r->id, role, out, err);
	UPT_TRY(upt_store_root_versions(store, r->id, &first, &last, err));
	return upt_store_load_root(store, r->id, last, out, err);
}

static enum upt_code
feed_save(void *ctx, const char *role, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	struct upt_repository *r = ctx;

	return upt_store_save_document(r->primary->store, r->id, role, version, bytes, err);
}

static enum upt_code
feed_save_root(
	void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	struct upt_repository *r = ctx;

	return upt_store_save_root(r->primary->store, r->id, version, bytes, drop_others, err);
}

static enum upt_code
feed_forget(void *ctx, const char *role, struct upt_err *err)
{
	struct upt_repository *r = ctx;

	return upt_store_forget_document(r->primary->store, r->id, role, err);
}

struct upt_feed
upt_repository_feed(struct upt_repository *r)
{
	return (struct upt_feed){r, feed_fetch, feed_load, feed_save, feed_save_root, feed_forget};
}

/* ---- for Secondaries: only what this Primary has verified and stored ---- */

static int
hex_digit(char c)
{
	const char *digits = "0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Decimal digits and a dot before the rest; unchanged when there are none, or more than any version
 * has. */
static const char *
skip_version(const char *text, uint64_t *version)
{
	const char *p = text;

	*version = 0;
	for (; *p >= '0' && *p <= '9' && *version <= UPT_JSON_MAX_INTEGER; p++)
		*version = *version * 10 + (uint64_t)(*p - '0');
	if (p > text && *p == '.' && *version <= UPT_JSON_MAX_INTEGER)
		return p + 1;
	*version = 0;
	return text;
}

/*
 * "3.targets.json", "delegations/a%2Fb.json" -> version 3 or 0 and the role's name. The name comes
 * from a Secondary: nothing of it is a path here, and what it spells is only looked up. versioned:
 * this repository's names begin with a version, so that "1.x" is not taken for a role of that name.
 */
static bool
parse_file_name(const char *file, bool versioned, uint64_t *version,
	char role[static UPT_MAX_ROLE_NAME_BYTES + 1])
{
	const char *p = file, *end = file + strlen(file);
	size_t n = 0;

	*version = 0;
	if (end - file < 6 || strcmp(end - 5, ".json") != 0)
		return false;
	end -= 5;
	if (strncmp(p, "delegations/", 12) == 0)
		p += 12;
	else if (versioned)
		p = skip_version(p, version);
	for (; p < end; p++, n++) {
		int hi = *p == '%' ? hex_digit(p[1]) : 0,
		    lo = *p == '%' && hi >= 0 ? hex_digit(p[2]) : 0;

		if (n == UPT_MAX_ROLE_NAME_BYTES || *p == '/' || hi < 0 || lo < 0)
			return false;
		role[n] = *p == '%' ? (char)(hi << 4 | lo) : *p;
		if (role[n] == '\0')
			return false;
		p += *p == '%' ? 2 : 0;
	}
	role[n] = '\0';
	return n > 0;
}

/* Roots always carry their version, the rest where snapshots are consistent. */
static bool
is_versioned(const struct upt_primary *p, enum upt_repo repo, const char *file_name)
{
	size_t index = repo == UPT_REPO_DIRECTOR ? UPT_DIRECTOR_INDEX : UPT_IMAGE_INDEX;
	const struct upt_trusted_set *set = p->repos[index].set;
	const struct upt_metadata *root = set != NULL ? upt_trusted_set_root(set) : NULL;
	size_t digits = strspn(file_name, "0123456789");

	return strcmp(file_name + digits, ".root.json") == 0 || root == NULL ||
	       root->root.consistent_snapshot;
}

static enum upt_code
source_fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes,
	struct upt_buf *out, struct upt_err *err)
{
	struct upt_primary *p = ctx;
	char role[UPT_MAX_ROLE_NAME_BYTES + 1];
	uint64_t version;
	enum upt_code code;

	if (!parse_file_name(file_name, is_versioned(p, repo, file_name), &version, role))
		return upt_fail(err, UPT_E_ABSENT, "no metadata has the name %.100s", file_name);
	if (strcmp(role, "root") == 0)
		code = upt_store_load_root(p->store, repo, version, out, err);
	else
		code = upt_store_load_document(p->store, repo, role, out, err);
	if (code == UPT_E_NOT_FOUND)
		return upt_fail(err, UPT_E_ABSENT, "no %s is stored", file_name);
	if (code != UPT_OK || out->len <= max_bytes)
		return code;
	upt_fail(err, UPT_E_TOO_LARGE, "%s has %zu bytes, more than the %zu asked for", file_name,
		out->len, max_bytes);
	upt_buf_clear(out);
	return UPT_E_TOO_LARGE;
}

struct upt_metadata_source
upt_primary_source(struct upt_primary *p)
{
	return (struct upt_metadata_source){.fetch = source_fetch, .ctx = p};
}
