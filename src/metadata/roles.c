#include "metadata/roles.h"

#include <stdlib.h>
#include <strings.h>
#include "base/clock.h"
#include "metadata/limits.h"

const char *
upt_role_name(enum upt_role role)
{
	static const char *const names[UPT_N_ROLES] = {"root", "timestamp", "snapshot", "targets"};

	return role < UPT_N_ROLES ? names[role] : "unknown";
}

enum upt_code
upt_strings_parse(struct upt_json_iter *it, struct upt_arena *arena, size_t max, size_t max_bytes,
	const char ***out, size_t *n_out, struct upt_err *err)
{
	struct upt_json_iter items;
	struct upt_span raw;
	size_t n = 0;

	*out = NULL;
	*n_out = 0;
	if (it->type != UPT_JSON_ARRAY)
		return upt_fail(err, UPT_E_MALFORMED, "not a list of strings");
	items = upt_json_iter(upt_json_value(it));
	while (upt_json_next(&items))
		n++;
	if (n > max)
		return upt_fail(
			err, UPT_E_MALFORMED, "a list of %zu, more than the %zu allowed", n, max);
	*out = upt_arena_alloc(arena, n + 1, sizeof(**out));
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu strings", n);
	items = upt_json_enter(it);
	while (upt_json_next(&items)) {
		if (!upt_json_raw_string(&items, &raw) || raw.len > max_bytes)
			return upt_fail(err, UPT_E_MALFORMED,
				"an item is no string of at most %zu bytes", max_bytes);
		UPT_TRY(upt_json_decode_string(arena, raw, &(*out)[*n_out], err));
		(*n_out)++;
	}
	return UPT_OK;
}

typedef enum upt_code
member_fn(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err);
typedef enum upt_code complete_fn(const struct upt_metadata *m, struct upt_err *err);

static member_fn *const member_fns[UPT_N_ROLES] = {
	upt_root_member, upt_timestamp_member, upt_snapshot_member, upt_targets_member};
static complete_fn *const complete_fns[UPT_N_ROLES] = {
	upt_root_complete, upt_timestamp_complete, upt_snapshot_complete, upt_targets_complete};

static enum upt_code
parse_type(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	const char *want = upt_role_name(m->role);
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw))
		return upt_fail(err, UPT_E_MALFORMED, "_type is no string");
	/* "Root" and "root" are both in use; anything else is a document of another role. */
	if (raw.len != strlen(want) || strncasecmp((const char *)raw.data, want, raw.len) != 0)
		return upt_fail(err, UPT_E_WRONG_ROLE, "_type is \"%.*s\" where \"%s\" belongs",
			(int)(raw.len < 32 ? raw.len : 32), (const char *)raw.data, want);
	return UPT_OK;
}

static enum upt_code
parse_expires(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw) || !upt_time_parse(raw, &m->expires))
		return upt_fail(err, UPT_E_MALFORMED, "expires is no time YYYY-MM-DDTHH:MM:SSZ");
	return UPT_OK;
}

static enum upt_code
parse_payload(struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(m->envelope.payload->text);
	bool has_type = false, has_expires = false;

	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "_type")) {
			UPT_TRY(parse_type(&it, m, err));
			has_type = true;
		} else if (upt_json_key_is(&it, "version")) {
			if (!upt_json_u64(&it, &m->version) || m->version < 1)
				return upt_fail(
					err, UPT_E_MALFORMED, "version is no whole number above 0");
		} else if (upt_json_key_is(&it, "expires")) {
			UPT_TRY(parse_expires(&it, m, err));
			has_expires = true;
		} else {
			UPT_TRY(member_fns[m->role](&it, m, err));
		}
	}
	if (!has_type)
		return upt_fail(err, UPT_E_WRONG_ROLE, "no _type where \"%s\" belongs",
			upt_role_name(m->role));
	if (m->version < 1 || !has_expires)
		return upt_fail(
			err, UPT_E_MALFORMED, "no %s", m->version < 1 ? "version" : "expires");
	return complete_fns[m->role](m, err);
}

enum upt_code
upt_metadata_parse_next(enum upt_role role, const char *name, const struct upt_metadata *before,
	struct upt_buf *bytes, struct upt_metadata **out, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = calloc(1, sizeof(*m));
	enum upt_code code;

	*out = NULL;
	if (m == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a document");
	m->role = role;
	m->before = before;
	m->name = upt_arena_string(&m->arena, upt_span_str(name));
	if (m->name == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a document");
	upt_buf_move(&m->bytes, bytes);
	code = upt_envelope_parse(upt_buf_span(&m->bytes), &m->arena, &m->envelope, err);
	if (code == UPT_OK)
		code = parse_payload(m, err);
	if (code != UPT_OK) {
		upt_buf_move(bytes, &m->bytes);
		return code;
	}
	m->before = NULL;
	*out = m;
	m = NULL;
	return UPT_OK;
}

enum upt_code
upt_metadata_parse(enum upt_role role, const char *name, struct upt_buf *bytes,
	struct upt_metadata **out, struct upt_err *err)
{
	return upt_metadata_parse_next(role, name, NULL, bytes, out, err);
}

void
upt_metadata_free(struct upt_metadata **metadata)
{
	struct upt_metadata *m = *metadata;

	if (m == NULL)
		return;
	upt_keyring_clear(&m->root.keyring);
	upt_keyring_clear(&m->targets.keyring);
	free(m->targets.refs);
	upt_arena_clear(&m->arena);
	upt_buf_clear(&m->bytes);
	free(m);
	*metadata = NULL;
}
