#include "repo/signing.h"

#include <inttypes.h>
#include <stdio.h>
#include "authoring/authoring.h"
#include "base/clock.h"
#include "metadata/roles.h"

static cJSON *
find_role(cJSON *delegation, const char *role_name)
{
	cJSON *role;

	for (int i = 0; (role = repo_delegated_role(delegation, i)) != NULL; i++) {
		if (strcmp(repo_delegated_name(role), role_name) == 0)
			return role;
	}
	return NULL;
}

static cJSON *
delegation_list(const cJSON *payload)
{
	return cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(payload, "delegations"), "roles");
}

cJSON *
role_delegation(const cJSON *payload, const char *role_name)
{
	cJSON *entry;

	cJSON_ArrayForEach(entry, delegation_list(payload))
	{
		if (find_role(entry, role_name) != NULL)
			return entry;
	}
	return NULL;
}

cJSON *
role_entry(const cJSON *payload, const char *role_name)
{
	return find_role(role_delegation(payload, role_name), role_name);
}

cJSON *
role_delegation_named(const cJSON *payload, const char *name)
{
	cJSON *entry;

	cJSON_ArrayForEach(entry, delegation_list(payload))
	{
		if (strcmp(repo_json_text(entry, "name"), name) == 0)
			return entry;
	}
	return NULL;
}

enum upt_code
role_def_find(
	const struct repo_role *role, const cJSON *root, struct role_def *out, struct upt_err *err)
{
	const cJSON *entry, *holder = root;

	*out = (struct role_def){0};
	if (role->parent == NULL) {
		entry = cJSON_GetObjectItemCaseSensitive(
			cJSON_GetObjectItemCaseSensitive(root, "roles"), role->name);
	} else {
		const cJSON *payload = repo_role_payload(role->parent);
		entry = role_entry(payload, role->name);
		holder = cJSON_GetObjectItemCaseSensitive(payload, "delegations");
	}
	out->keys = cJSON_GetObjectItemCaseSensitive(holder, "keys");
	out->keyids = cJSON_GetObjectItemCaseSensitive(entry, "keyids");
	out->threshold = repo_json_u64(entry, "threshold");
	if (!cJSON_IsObject(out->keys) || !cJSON_IsArray(out->keyids) || out->threshold == 0)
		return upt_fail(
			err, UPT_E_MALFORMED, "nothing names the keys of role %s", role->name);
	return UPT_OK;
}

size_t
repo_count_here(const struct repo *repo, const struct role_def *def)
{
	const cJSON *id;
	size_t n = 0;

	cJSON_ArrayForEach(id, def->keyids)
	{
		const struct repo_key *key = repo_key_by_id(repo, id->valuestring);
		n += key != NULL && repo_key_is_here(repo, key);
	}
	return n;
}

/* ---- signing ---- */
struct signers {
	const struct upt_private_key **keys;
	size_t n;
};

static void
signers_clear(struct signers *signers)
{
	free(signers->keys);
	*signers = (struct signers){0};
}

static bool
is_asked_for(const struct sign_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_only; i++) {
		if (strcmp(request->only[i], name) == 0)
			return true;
	}
	return request->n_only == 0;
}

static enum upt_code
add_signer(struct signers *signers, const struct upt_private_key *key, struct upt_err *err)
{
	const struct upt_private_key **grown;

	for (size_t i = 0; i < signers->n; i++) {
		if (signers->keys[i] == key)
			return UPT_OK;
	}
	grown = realloc(signers->keys, (signers->n + 1) * sizeof(const struct upt_private_key *));
	if (grown == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sign");
	signers->keys = grown;
	signers->keys[signers->n++] = key;
	return UPT_OK;
}

/* "name (key id)" for people who must fetch it from a safe. */
static void
note_missing(char *text, size_t size, const struct repo_key *key, const char *id)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s (key id %.16s...)", used == 0 ? "" : ", ",
		key == NULL ? "an unknown key" : key->name, id);
}

/* Adds every key of the definition that is here and asked for. needed: fewer than the threshold
 * fail. */
static enum upt_code
collect(const struct repo *repo, const char *role_name, const struct role_def *def,
	const struct sign_request *request, bool needed, struct signers *signers,
	struct upt_err *err)
{
	char missing[300] = "";
	const cJSON *id;
	uint64_t n = 0;

	cJSON_ArrayForEach(id, def->keyids)
	{
		struct repo_key *key = repo_key_by_id(repo, id->valuestring);
		if (key != NULL && !is_asked_for(request, key->name))
			continue;
		if (key == NULL || !repo_key_is_here(repo, key)) {
			note_missing(missing, sizeof(missing), key, id->valuestring);
			continue;
		}
		UPT_TRY(repo_key_open(repo, key, err));
		UPT_TRY(add_signer(signers, key->private_key, err));
		n++;
	}
	if (n >= def->threshold || !needed)
		return UPT_OK;
	if (missing[0] == '\0')
		return upt_fail(err, UPT_E_KEY,
			"role %s needs signatures of %" PRIu64 " keys, only %" PRIu64 " given",
			role_name, def->threshold, n);
	return upt_fail(err, UPT_E_KEY,
		"role %s needs signatures of %" PRIu64 " keys, %" PRIu64
		" here; not in %s/keys: %s",
		role_name, def->threshold, n, repo->dir, missing);
}

/* A key that was asked for and does not hold the role is a mistake, not a wish to sign with less.
 */
static enum upt_code
check_asked(const struct repo *repo, const char *role_name, const struct role_def *now,
	const struct role_def *before, const struct sign_request *request, struct upt_err *err)
{
	for (size_t i = 0; i < request->n_only; i++) {
		struct repo_key *key;
		UPT_TRY(repo_key_need(repo, request->only[i], &key, err));
		if (!repo_json_has_string(now->keyids, key->id) &&
			!repo_json_has_string(before->keyids, key->id))
			return upt_fail(err, UPT_E_USAGE, "key %s is no key of role %s", key->name,
				role_name);
	}
	return UPT_OK;
}

static enum upt_code
find_signers(const struct repo *repo, const struct repo_role *role,
	const struct sign_request *request, struct signers *signers, struct upt_err *err)
{
	const struct repo_role *root = repo_role_find(repo, "root");
	struct role_def now, before = {0};

	UPT_TRY(role_def_find(role, repo_role_payload(root), &now, err));
	if (role == root && root->current != NULL)
		UPT_TRY(role_def_find(role, root->current, &before, err));
	UPT_TRY(check_asked(repo, role->name, &now, &before, request, err));
	UPT_TRY(collect(repo, role->name, &now, request, !request->partial, signers, err));
	if (before.keyids != NULL)
		UPT_TRY(collect(
			repo, role->name, &before, request, !request->partial, signers, err));
	if (request->published_root != NULL && role->parent == NULL && role != root) {
		UPT_TRY(role_def_find(role, request->published_root, &before, err));
		UPT_TRY(collect(repo, role->name, &before, request, false, signers, err));
	}
	return UPT_OK;
}

static enum upt_code
set_text(cJSON *payload, const char *name, cJSON *value, struct upt_err *err)
{
	if (value == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sign");
	cJSON_DeleteItemFromObjectCaseSensitive(payload, name);
	if (!cJSON_AddItemToObject(payload, name, value)) {
		cJSON_Delete(value);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to sign");
	}
	return UPT_OK;
}

enum upt_code
repo_sign(struct repo *repo, struct repo_role *role, const struct sign_request *request,
	struct upt_err *err)
{
	upt_cleanup(signers_clear) struct signers signers = {0};
	uint64_t version = repo_role_version(role) + 1;
	char time[UPT_TIME_TEXT_SIZE];
	cJSON *payload;
	enum upt_code code;

	UPT_TRY(find_signers(repo, role, request, &signers, err));
	UPT_TRY(repo_role_edit(role, &payload, err));
	upt_time_format(request->expires, time);
	UPT_TRY(set_text(payload, "expires", cJSON_CreateString(time), err));
	UPT_TRY(set_text(payload, "version", cJSON_CreateNumber((double)version), err));
	code = upt_author_sign(payload, signers.keys, signers.n, &role->bytes, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "signing role %s", role->name);
	cJSON_Delete(role->current);
	role->current = role->staged;
	role->staged = NULL;
	upt_buf_clear(&role->staged_bytes);
	role->write_signed = true;
	role->write_staged = true;
	return UPT_OK;
}

/* ---- the client's view ---- */
static enum upt_code
check_against(const struct upt_metadata *definer, const char *role_name,
	const struct upt_envelope *envelope, struct upt_err *err)
{
	if (definer->role == UPT_ROLE_ROOT) {
		for (int i = 0; i < UPT_N_ROLES; i++) {
			if (strcmp(upt_role_name((enum upt_role)i), role_name) == 0 &&
				definer->root.has_role[i])
				return upt_envelope_check_threshold(envelope,
					&definer->root.keyring, &definer->root.roles[i], role_name,
					err);
		}
	}
	for (size_t i = 0; i < definer->targets.n_delegations; i++) {
		const struct upt_delegation *d = &definer->targets.delegations[i];
		for (size_t k = 0; k < d->n_roles; k++) {
			if (strcmp(d->roles[k].name, role_name) == 0)
				return upt_envelope_check_threshold(envelope,
					&definer->targets.keyring, &d->roles[k].keys, role_name,
					err);
		}
	}
	return upt_fail(err, UPT_E_THRESHOLD, "nothing names the keys of role %s", role_name);
}

enum upt_code
repo_check_signatures(const char *role_name, struct upt_span bytes, const char *definer_name,
	struct upt_span definer, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf copy = {0};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	struct upt_envelope envelope;
	enum upt_role kind = strcmp(definer_name, "root") == 0 ? UPT_ROLE_ROOT : UPT_ROLE_TARGETS;

	if (bytes.len == 0)
		return upt_fail(err, UPT_E_THRESHOLD, "role %s was never signed", role_name);
	UPT_TRY(upt_envelope_parse(bytes, &arena, &envelope, err));
	UPT_TRY(upt_buf_append(&copy, definer.data, definer.len, err));
	UPT_TRY(upt_metadata_parse(kind, definer_name, &copy, &doc, err));
	return check_against(doc, role_name, &envelope, err);
}

/* ---- changing who holds a role ---- */
static enum upt_code
add_holder(cJSON *keys, cJSON *ids, const struct repo_key *key, struct upt_err *err)
{
	cJSON *id = cJSON_CreateString(key->id);

	if (id == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for key %s", key->name);
	cJSON_AddItemToArray(ids, id);
	if (cJSON_GetObjectItemCaseSensitive(keys, key->id) != NULL)
		return UPT_OK;
	return set_text(keys, key->id, cJSON_Duplicate(key->public_part, true), err);
}

enum upt_code
role_def_set(cJSON *keys, cJSON *entry, struct repo_key *const *holders, size_t n_holders,
	uint64_t threshold, struct upt_err *err)
{
	cJSON *ids = cJSON_CreateArray();

	if (threshold < 1 || threshold > n_holders) {
		cJSON_Delete(ids);
		return upt_fail(err, UPT_E_USAGE,
			"a threshold of %" PRIu64
			" with %zu keys: it must be 1 to the number of keys",
			threshold, n_holders);
	}
	UPT_TRY(set_text(entry, "keyids", ids, err));
	for (size_t i = 0; i < n_holders; i++)
		UPT_TRY(add_holder(keys, ids, holders[i], err));
	return set_text(entry, "threshold", cJSON_CreateNumber((double)threshold), err);
}

static enum upt_code
check_pair_apart(const cJSON *a, const cJSON *b, struct upt_err *err)
{
	const cJSON *id;

	cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(a, "keyids"))
	{
		if (repo_json_has_string(
			    cJSON_GetObjectItemCaseSensitive(b, "keyids"), id->valuestring))
			return upt_fail(err, UPT_E_USAGE,
				"roles %s and %s have a key in common (key id %.16s...): its "
				"holder would agree with himself",
				repo_delegated_name(a), repo_delegated_name(b), id->valuestring);
	}
	return UPT_OK;
}

enum upt_code
role_keys_apart(cJSON *delegation, struct upt_err *err)
{
	const cJSON *a, *b;

	for (int i = 0; (a = repo_delegated_role(delegation, i)) != NULL; i++) {
		for (int k = i + 1; (b = repo_delegated_role(delegation, k)) != NULL; k++)
			UPT_TRY(check_pair_apart(a, b, err));
	}
	return UPT_OK;
}

static bool
is_named(const cJSON *roles, const char *id)
{
	cJSON *entry, *role;

	cJSON_ArrayForEach(entry, roles)
	{
		for (int i = 0; (role = repo_delegated_role(entry, i)) != NULL; i++) {
			if (repo_json_has_string(
				    cJSON_GetObjectItemCaseSensitive(role, "keyids"), id))
				return true;
		}
	}
	return false;
}

void
role_def_prune(cJSON *keys, const cJSON *roles)
{
	cJSON *key = keys->child;

	while (key != NULL) {
		cJSON *next = key->next;
		if (!is_named(roles, key->string))
			cJSON_Delete(cJSON_DetachItemViaPointer(keys, key));
		key = next;
	}
}
