#include "repo/workspace.h"

#include <inttypes.h>
#include <stdio.h>
#include "authoring/authoring.h"
#include "base/clock.h"
#include "json/json.h"
#include "metadata/limits.h"

static const char *const top_names[REPO_N_TOP] = {"root", "timestamp", "snapshot", "targets"};

struct repo_role *
repo_role_find(const struct repo *repo, const char *name)
{
	for (size_t i = 0; i < repo->n_roles; i++) {
		if (strcmp(repo->roles[i]->name, name) == 0)
			return repo->roles[i];
	}
	return NULL;
}

enum upt_code
repo_role_need(const struct repo *repo, const char *name, bool targets_only, struct repo_role **out,
	struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) const char **names = NULL;
	const char *nearest;
	size_t n = 0;

	*out = repo_role_find(repo, name);
	if (*out != NULL && targets_only && repo_is_top_role(name) &&
		strcmp(name, "targets") != 0) {
		*out = NULL;
		return upt_fail(err, UPT_E_USAGE, "role %s lists no targets", name);
	}
	if (*out != NULL && (*out)->parent == NULL && !repo_is_top_role(name)) {
		*out = NULL;
		return upt_fail(err, UPT_E_USAGE, "role %s is no longer delegated to", name);
	}
	if (*out != NULL)
		return UPT_OK;
	names = calloc(repo->n_roles + 1, sizeof(*names));
	for (size_t i = 0; names != NULL && i < repo->n_roles; i++)
		names[n++] = repo->roles[i]->name;
	nearest = repo_nearest(name, names, n);
	if (nearest != NULL)
		return upt_fail(err, UPT_E_USAGE, "no role %s; did you mean %s?", name, nearest);
	return upt_fail(err, UPT_E_USAGE, "no role %s; \"delegate\" adds one", name);
}

const cJSON *
repo_role_payload(const struct repo_role *role)
{
	return role->staged != NULL ? role->staged : role->current;
}

struct upt_span
repo_role_bytes(const struct repo_role *role)
{
	return upt_buf_span(role->staged != NULL ? &role->staged_bytes : &role->bytes);
}

uint64_t
repo_role_version(const struct repo_role *role)
{
	return role->current == NULL ? 0 : repo_json_u64(role->current, "version");
}

int64_t
repo_role_expires(const struct repo_role *role)
{
	int64_t expires = 0;

	upt_time_parse(upt_span_str(repo_json_text(role->current, "expires")), &expires);
	return expires;
}

void
repo_role_path(
	const struct repo_role *role, const char *folder, uint64_t version, char out[static 320])
{
	char encoded[REPO_ROLE_FILE_SIZE];

	repo_encode_role(role->name, encoded);
	if (version == 0)
		snprintf(out, 320, "%s/%s.json", folder, encoded);
	else
		snprintf(out, 320, "%s/%" PRIu64 ".%s.json", folder, version, encoded);
}

static void
role_free(struct repo_role **role)
{
	if (*role == NULL)
		return;
	free((*role)->name);
	cJSON_Delete((*role)->current);
	cJSON_Delete((*role)->staged);
	upt_buf_clear(&(*role)->bytes);
	upt_buf_clear(&(*role)->staged_bytes);
	free(*role);
	*role = NULL;
}

void
repo_roles_clear(struct repo *repo)
{
	for (size_t i = 0; i < repo->n_roles; i++)
		role_free(&repo->roles[i]);
	free(repo->roles);
	repo->roles = NULL;
	repo->n_roles = 0;
}

enum upt_code
repo_role_add(struct repo *repo, const char *name, struct repo_role *parent, struct repo_role **out,
	struct upt_err *err)
{
	upt_cleanup(role_free) struct repo_role *role = calloc(1, sizeof(*role));
	struct repo_role **grown;

	*out = NULL;
	grown = realloc(repo->roles, (repo->n_roles + 1) * sizeof(struct repo_role *));
	if (grown != NULL)
		repo->roles = grown;
	if (role != NULL)
		role->name = strdup(name);
	if (grown == NULL || role == NULL || role->name == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for role %s", name);
	role->parent = parent;
	repo->roles[repo->n_roles++] = role;
	*out = role;
	role = NULL;
	return UPT_OK;
}

/* Reads an envelope and takes its payload out. */
static enum upt_code
read_payload(const struct repo *repo, const char *path, struct upt_buf *bytes, cJSON **out,
	struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *envelope = NULL;
	uint64_t version;

	*out = NULL;
	UPT_TRY(repo_read_json(repo, path, bytes, &envelope, err));
	*out = cJSON_DetachItemFromObjectCaseSensitive(envelope, "signed");
	version = repo_json_u64(*out, "version");
	if (!cJSON_IsObject(*out) || version >= UPT_JSON_MAX_INTEGER) {
		upt_author_json_clear(out);
		return upt_fail(err, UPT_E_MALFORMED, "%s is no metadata", path);
	}
	return UPT_OK;
}

/* A delegated role may be unsigned, and a role need not have staged changes. */
static enum upt_code
load_role(const struct repo *repo, struct repo_role *role, struct upt_err *err)
{
	char path[320];
	enum upt_code code;

	repo_role_path(role, "metadata", 0, path);
	code = read_payload(repo, path, &role->bytes, &role->current, err);
	if (code == UPT_E_NOT_FOUND && repo_is_top_role(role->name))
		return upt_wrap(err, code, "the workspace is damaged");
	if (code != UPT_OK && code != UPT_E_NOT_FOUND)
		return code;
	repo_role_path(role, "staged", 0, path);
	code = read_payload(repo, path, &role->staged_bytes, &role->staged, err);
	role->staged_on_disk = code == UPT_OK;
	return code == UPT_E_NOT_FOUND ? UPT_OK : code;
}

static enum upt_code
load_named(struct repo *repo, const char *name, struct repo_role *parent, struct upt_err *err)
{
	struct repo_role *role;

	if (repo->n_roles > UPT_MAX_DELEGATED_ROLES)
		return upt_fail(
			err, UPT_E_DELEGATION, "more than %d roles", UPT_MAX_DELEGATED_ROLES);
	UPT_TRY(repo_role_add(repo, name, parent, &role, err));
	return load_role(repo, role, err);
}

cJSON *
repo_delegated_role(cJSON *delegation, int i)
{
	const cJSON *several = cJSON_GetObjectItemCaseSensitive(delegation, "roleinfo");

	if (several != NULL)
		return cJSON_GetArrayItem(several, i);
	return i == 0 ? delegation : NULL;
}

const char *
repo_delegated_name(const cJSON *delegated_role)
{
	const char *name = repo_json_text(delegated_role, "rolename");

	return name[0] != '\0' ? name : repo_json_text(delegated_role, "name");
}

static enum upt_code
load_delegation(
	struct repo *repo, struct repo_role *parent, cJSON *entry, struct upt_err *err)
{
	const cJSON *role;

	for (int i = 0; (role = repo_delegated_role(entry, i)) != NULL; i++) {
		const char *name = repo_delegated_name(role);
		if (repo_check_role_name(name, err) != UPT_OK)
			return upt_wrap(err, UPT_E_MALFORMED, "delegations of %s", parent->name);
		if (repo_role_find(repo, name) == NULL)
			UPT_TRY(load_named(repo, name, parent, err));
	}
	return UPT_OK;
}

static enum upt_code
load_delegated(struct repo *repo, struct repo_role *parent, struct upt_err *err)
{
	const cJSON *delegations =
		cJSON_GetObjectItemCaseSensitive(repo_role_payload(parent), "delegations");
	cJSON *entry;

	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(delegations, "roles"))
		UPT_TRY(load_delegation(repo, parent, entry, err));
	return UPT_OK;
}

/* A snapshot must go on listing what it ever listed: clients take a missing file for a rollback. */
static enum upt_code
load_former(struct repo *repo, struct upt_err *err)
{
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(
		repo_role_payload(repo_role_find(repo, "snapshot")), "meta");
	const cJSON *entry;

	cJSON_ArrayForEach(entry, meta)
	{
		char name[UPT_MAX_ROLE_NAME_BYTES + 1];
		size_t len = strlen(entry->string);
		if (len <= 5 || len - 5 >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(len - 5), entry->string);
		if (repo_role_find(repo, name) == NULL)
			UPT_TRY(load_named(repo, name, NULL, err));
	}
	return UPT_OK;
}

enum upt_code
repo_roles_load(struct repo *repo, struct upt_err *err)
{
	for (int i = 0; i < REPO_N_TOP; i++)
		UPT_TRY(load_named(repo, top_names[i], NULL, err));
	for (size_t i = REPO_N_TOP - 1; i < repo->n_roles; i++)
		UPT_TRY(load_delegated(repo, repo->roles[i], err));
	return load_former(repo, err);
}

enum upt_code
repo_role_edit(struct repo_role *role, cJSON **out, struct upt_err *err)
{
	/* Without a document of its own: a role that an imported one delegates to. */
	if (role->staged == NULL)
		role->staged = role->current != NULL ? cJSON_Duplicate(role->current, true)
						     : upt_author_targets(0, 0);
	*out = role->staged;
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to change role %s", role->name);
	return UPT_OK;
}

/* The bytes of `signed` in an envelope of ours. */
static struct upt_span
signed_part(struct upt_span envelope)
{
	static const char mark[] = "],\"signed\":";
	const uint8_t *at = envelope.len == 0
				    ? NULL
				    : memmem(envelope.data, envelope.len, mark, sizeof(mark) - 1);

	if (at == NULL)
		return upt_span(NULL, 0);
	at += sizeof(mark) - 1;
	return upt_span(at, (size_t)(envelope.data + envelope.len - at));
}

enum upt_code
repo_role_signs(const struct repo_role *role, const cJSON *payload, bool *same, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	*same = false;
	UPT_TRY(upt_author_sign(payload, NULL, 0, &bytes, err));
	*same = role->bytes.len > 0 && upt_span_equal(signed_part(upt_buf_span(&bytes)),
					       signed_part(upt_buf_span(&role->bytes)));
	return UPT_OK;
}

enum upt_code
repo_role_stage(struct repo_role *role, struct upt_err *err)
{
	enum upt_code code = upt_author_sign(role->staged, NULL, 0, &role->staged_bytes, err);

	if (code != UPT_OK)
		return upt_wrap(err, code, "role %s", role->name);
	role->write_staged = true;
	if (role->bytes.len > 0 && upt_span_equal(signed_part(upt_buf_span(&role->staged_bytes)),
					   signed_part(upt_buf_span(&role->bytes)))) {
		upt_author_json_clear(&role->staged);
		upt_buf_clear(&role->staged_bytes);
	}
	return UPT_OK;
}
