/* check_root (6.1 to 6.7). */
#include <stdio.h>
#include "metadata/trusted.h"

/* A document that is held and whose fate a new root decides. */
static const enum upt_role dependent[] = {UPT_ROLE_TIMESTAMP, UPT_ROLE_SNAPSHOT, UPT_ROLE_TARGETS};

static enum upt_code
check_roles(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_root *root = &doc->root;
	bool timestamp = root->has_role[UPT_ROLE_TIMESTAMP];
	bool snapshot = root->has_role[UPT_ROLE_SNAPSHOT];

	if (timestamp && snapshot)
		return UPT_OK;
	if (!timestamp && !snapshot && set->policy.allow_targets_only)
		return UPT_OK;
	return upt_fail(err, UPT_E_MALFORMED, "%s root v%llu defines no role %s",
		upt_repo_name(set->policy.repo), (unsigned long long)doc->version,
		timestamp ? "snapshot" : "timestamp");
}

/* Signed by its own keys, as every root must be. */
static enum upt_code
check_self(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE], by[UPT_TRUSTED_WHAT_SIZE + 32];

	UPT_TRY(check_roles(set, doc, err));
	snprintf(by, sizeof(by), "%s, by its own keys", upt_trusted_describe(set, doc, what));
	return upt_envelope_check_threshold(
		&doc->envelope, &doc->root.keyring, &doc->root.roles[UPT_ROLE_ROOT], by, err);
}

enum upt_code
upt_trusted_set_pin_root(struct upt_trusted_set *set, struct upt_buf *bytes, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	UPT_TRY(upt_trusted_parse(set, UPT_ROLE_ROOT, "root", bytes, &doc, err));
	code = check_self(set, doc, err);
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	/* A pinned root has no history: what was trusted under another one is nothing to it. */
	for (size_t i = 0; i < sizeof(dependent) / sizeof(dependent[0]); i++)
		upt_trusted_drop(set, dependent[i]);
	upt_trusted_replace(set, UPT_ROLE_ROOT, &doc, false);
	return UPT_OK;
}

static enum upt_code
check_next(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_metadata *trusted = set->roles[UPT_ROLE_ROOT].doc;
	char what[UPT_TRUSTED_WHAT_SIZE], by[UPT_TRUSTED_WHAT_SIZE + 48];

	/* Step 6.4: exactly N+1. A gap would skip a rotation that revoked a key. */
	if (doc->version != trusted->version + 1)
		return upt_fail(err,
			doc->version <= trusted->version ? UPT_E_ROLLBACK : UPT_E_VERSION_GAP,
			"%s where v%llu belongs", upt_trusted_describe(set, doc, what),
			(unsigned long long)trusted->version + 1);
	/* Step 6.3: by the old keys, or anyone could found a new line; */
	snprintf(by, sizeof(by), "%s, by the keys of v%llu", upt_trusted_describe(set, doc, what),
		(unsigned long long)trusted->version);
	UPT_TRY(upt_envelope_check_threshold(&doc->envelope, &trusted->root.keyring,
		&trusted->root.roles[UPT_ROLE_ROOT], by, err));
	/* ... and by the new ones, or a root nobody can follow would be accepted. */
	return check_self(set, doc, err);
}

/* Step 6.7: true when timestamp's or snapshot's keys are others than before. */
static bool
others_rotated(const struct upt_root *old, const struct upt_root *new)
{
	static const enum upt_role watched[] = {UPT_ROLE_TIMESTAMP, UPT_ROLE_SNAPSHOT};

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		enum upt_role role = watched[i];

		if (old->has_role[role] != new->has_role[role])
			return true;
		if (old->has_role[role] && !upt_role_keys_same(&old->roles[role], &old->keyring,
						   &new->roles[role], &new->keyring))
			return true;
	}
	return false;
}

/*
 * Which of the held documents the new root disowns: with rotated, timestamp and snapshot; and any
 * whose signatures the new keys do not make, e.g. targets of a revoked key, which would go on
 * counting as "previous" with the version that its thief chose. Decides only: "cannot tell" must
 * change nothing.
 */
static enum upt_code
choose_disowned(const struct upt_trusted_set *set, const struct upt_root *root, bool rotated,
	bool disowned[static UPT_N_ROLES], struct upt_err *err)
{
	for (size_t i = 0; i < sizeof(dependent) / sizeof(dependent[0]); i++) {
		enum upt_role role = dependent[i];
		enum upt_code code = UPT_OK;

		disowned[role] = rotated && role != UPT_ROLE_TARGETS;
		if (disowned[role] || set->roles[role].doc == NULL)
			continue;
		code = upt_trusted_check_signatures(set, root, set->roles[role].doc, err);
		if (code != UPT_OK && code != UPT_E_THRESHOLD)
			return code;
		disowned[role] = code != UPT_OK;
	}
	return UPT_OK;
}

enum upt_code
upt_trusted_set_update_root(
	struct upt_trusted_set *set, struct upt_buf *bytes, bool *drop_others, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	bool rotated = false, disowned[UPT_N_ROLES] = {false};
	enum upt_code code;

	*drop_others = false;
	if (set->roles[UPT_ROLE_ROOT].doc == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "no root is pinned");
	UPT_TRY(upt_trusted_parse(set, UPT_ROLE_ROOT, "root", bytes, &doc, err));
	code = check_next(set, doc, err);
	if (code == UPT_OK) {
		rotated = others_rotated(&set->roles[UPT_ROLE_ROOT].doc->root, &doc->root);
		code = choose_disowned(set, &doc->root, rotated, disowned, err);
	}
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	for (size_t i = 0; i < sizeof(dependent) / sizeof(dependent[0]); i++) {
		if (disowned[dependent[i]])
			upt_trusted_drop(set, dependent[i]);
	}
	upt_trusted_replace(set, UPT_ROLE_ROOT, &doc, false);
	*drop_others = rotated;
	return UPT_OK;
}

enum upt_code
upt_trusted_set_finish_root(struct upt_trusted_set *set, int64_t now, struct upt_err *err)
{
	struct upt_trusted *root = &set->roles[UPT_ROLE_ROOT];

	if (root->doc == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "no root is pinned");
	if (err != NULL)
		err->repo = set->policy.repo;
	UPT_TRY(upt_trusted_check_expiry(set, root->doc, now, err));
	root->current = true;
	return UPT_OK;
}
