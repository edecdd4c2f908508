#include "repo/release.h"

#include <inttypes.h>
#include <stdio.h>
#include "authoring/authoring.h"
#include "base/clock.h"
#include "base/file.h"
#include "json/json.h"

static cJSON *
list_roles(struct repo *repo, uint64_t version, int64_t expires, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *payload = upt_author_snapshot(version, expires);
	cJSON *result;

	for (size_t i = REPO_N_TOP - 1; payload != NULL && i < repo->n_roles; i++) {
		const struct repo_role *role = repo->roles[i];
		char file[320];
		snprintf(file, sizeof(file), "%s.json", role->name);
		if (role->bytes.len == 0) {
			upt_fail(err, UPT_E_KEY, "role %s was never signed", role->name);
			return NULL;
		}
		if (upt_author_snapshot_add(payload, file, repo_role_version(role),
			    upt_buf_span(&role->bytes), err) != UPT_OK)
			return NULL;
	}
	if (payload == NULL)
		upt_fail(err, UPT_E_NO_MEMORY, "no memory for a snapshot");
	result = payload;
	payload = NULL;
	return result;
}

static cJSON *
list_snapshot(struct repo *repo, uint64_t version, int64_t expires, struct upt_err *err)
{
	const struct repo_role *snapshot = repo_role_find(repo, "snapshot");
	cJSON *payload = upt_author_timestamp(version, expires);

	if (payload == NULL) {
		upt_fail(err, UPT_E_NO_MEMORY, "no memory for a timestamp");
		return NULL;
	}
	if (upt_author_timestamp_set(payload, repo_role_version(snapshot),
		    upt_buf_span(&snapshot->bytes), err) != UPT_OK)
		upt_author_json_clear(&payload);
	return payload;
}

enum upt_code
release_list(struct repo *repo, struct repo_role *role, bool *same, struct upt_err *err)
{
	/* Version and expiry of the last signature, to compare with it; signing sets new ones. */
	uint64_t version = repo_role_version(role);
	int64_t expires = repo_role_expires(role);
	cJSON *payload = strcmp(role->name, "snapshot") == 0
				 ? list_roles(repo, version, expires, err)
				 : list_snapshot(repo, version, expires, err);

	*same = false;
	if (payload == NULL)
		return err->code;
	cJSON_Delete(role->staged);
	role->staged = payload;
	return repo_role_signs(role, payload, same, err);
}

void
release_path(const struct repo_role *role, char out[static 320])
{
	bool versioned = strcmp(role->name, "timestamp") != 0;

	repo_role_path(role, "public", versioned ? repo_role_version(role) : 0, out);
}

/*
 * A workspace restored from a backup would sign versions that clients have seen with other content,
 * and they would refuse everything for good.
 */
static enum upt_code
check_timestamp(const struct repo *repo, const struct repo_role *role, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *envelope = NULL;
	uint64_t theirs, ours = repo_role_version(role);

	UPT_TRY(repo_read_json(repo, "public/timestamp.json", NULL, &envelope, err));
	theirs = repo_json_u64(cJSON_GetObjectItemCaseSensitive(envelope, "signed"), "version");
	if (theirs >= ours)
		return upt_fail(err, UPT_E_ROLLBACK,
			"public/timestamp.json has version %" PRIu64 ", the workspace %" PRIu64
			": this workspace is older than what was published from it",
			theirs, ours);
	return UPT_OK;
}

enum upt_code
release_is_public(
	const struct repo *repo, const struct repo_role *role, bool *is_public, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	char path[320];
	enum upt_code code;

	*is_public = false;
	release_path(role, path);
	code = upt_file_read(repo->dirfd, path, REPO_DOC_MAX_BYTES, &bytes, err);
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	*is_public = upt_span_equal(upt_buf_span(&bytes), upt_buf_span(&role->bytes));
	if (*is_public)
		return UPT_OK;
	if (strcmp(role->name, "timestamp") == 0)
		return check_timestamp(repo, role, err);
	return upt_fail(err, UPT_E_CHANGED,
		"%s is not what this workspace signed as that version: nothing may be published "
		"twice",
		path);
}

struct upt_span
release_definer(const struct repo *repo, const struct repo_role *role, const char **name)
{
	const struct repo_role *definer =
		role->parent != NULL ? role->parent : repo_role_find(repo, "root");

	*name = definer->name;
	return repo_role_bytes(definer);
}
