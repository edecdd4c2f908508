#include "metadata/trusted_set.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

#define WHAT_SIZE 160

/* One accepted document and whether everything about it was checked in this cycle. */
struct trusted {
	struct upt_metadata *doc;
	bool current;
};

struct upt_trusted_set {
	struct upt_trust_policy policy;
	struct trusted roles[UPT_N_ROLES];
	struct upt_metadata **delegated;
	size_t n_delegated;
};

enum upt_code
upt_trusted_set_new(const struct upt_trust_policy *policy, struct upt_trusted_set **out, struct upt_err *err)
{
	struct upt_trusted_set *set = calloc(1, sizeof(*set));

	*out = NULL;
	if (set == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a trusted set");
	set->policy = *policy;
	*out = set;
	return UPT_OK;
}

static void
drop(struct trusted *t)
{
	upt_metadata_free(&t->doc);
	t->current = false;
}

static void
drop_delegated(struct upt_trusted_set *set)
{
	for (size_t i = 0; i < set->n_delegated; i++)
		upt_metadata_free(&set->delegated[i]);
	free(set->delegated);
	set->delegated = NULL;
	set->n_delegated = 0;
}

void
upt_trusted_set_free(struct upt_trusted_set **set)
{
	if (*set == NULL)
		return;
	for (int role = 0; role < UPT_N_ROLES; role++)
		drop(&(*set)->roles[role]);
	drop_delegated(*set);
	free(*set);
	*set = NULL;
}

/* What depends on a role is no longer current when the role is replaced. */
static void
replace(struct upt_trusted_set *set, enum upt_role role, struct upt_metadata **doc, bool current)
{
	upt_metadata_free(&set->roles[role].doc);
	set->roles[role].doc = *doc;
	set->roles[role].current = current;
	*doc = NULL;
	for (int later = (int)role + 1; later < UPT_N_ROLES; later++)
		set->roles[later].current = false;
	drop_delegated(set);
}

static size_t
role_limit(const struct upt_trusted_set *set, enum upt_role role, bool delegated)
{
	const struct upt_limits *limits = &set->policy.limits;

	switch (role) {
	case UPT_ROLE_ROOT:
		return limits->root_max_bytes;
	case UPT_ROLE_TIMESTAMP:
		return limits->timestamp_max_bytes;
	case UPT_ROLE_SNAPSHOT:
		return limits->snapshot_max_bytes;
	case UPT_ROLE_TARGETS:
	case UPT_N_ROLES:
		break;
	}
	return delegated ? limits->delegated_max_bytes : limits->targets_max_bytes;
}

/* "director root v7" for messages. */
static const char *
describe(const struct upt_trusted_set *set, const struct upt_metadata *doc, char out[static WHAT_SIZE])
{
	snprintf(out, WHAT_SIZE, "%s %s v%llu", upt_repo_name(set->policy.repo), doc->name,
		(unsigned long long)doc->version);
	return out;
}

static enum upt_code
refuse(const struct upt_trusted_set *set, enum upt_code code, const char *name, struct upt_err *err)
{
	if (err != NULL)
		err->repo = set->policy.repo;
	return upt_wrap(err, code, "%s %s", upt_repo_name(set->policy.repo), name);
}

/* Limit and strict reading; bytes move into *doc on success only. */
static enum upt_code
parse(struct upt_trusted_set *set, enum upt_role role, const char *name, struct upt_buf *bytes,
	struct upt_metadata **doc, struct upt_err *err)
{
	bool delegated = role == UPT_ROLE_TARGETS && strcmp(name, "targets") != 0;
	size_t limit = role_limit(set, role, delegated);
	enum upt_code code;

	*doc = NULL;
	if (bytes->len > limit)
		code = upt_fail(err, UPT_E_TOO_LARGE, "%zu bytes, more than the %zu allowed",
			bytes->len, limit);
	else
		code = upt_metadata_parse(role, name, bytes, doc, err);
	return code == UPT_OK ? UPT_OK : refuse(set, code, name, err);
}

/* A refusal after parsing: the caller gets its bytes back. */
static enum upt_code
give_back(const struct upt_trusted_set *set, struct upt_metadata *doc, struct upt_buf *bytes,
	enum upt_code code, struct upt_err *err)
{
	upt_buf_move(bytes, &doc->bytes);
	if (err != NULL)
		err->repo = set->policy.repo;
	return code;
}

static enum upt_code
check_signatures(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_root *root = &set->roles[UPT_ROLE_ROOT].doc->root;
	char what[WHAT_SIZE];

	if (!root->has_role[doc->role])
		return upt_fail(err, UPT_E_THRESHOLD, "%s: the root defines no role %s",
			describe(set, doc, what), upt_role_name(doc->role));
	return upt_envelope_check_threshold(&doc->envelope, &root->keyring, &root->roles[doc->role],
		describe(set, doc, what), err);
}

static enum upt_code
check_expiry(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	char what[WHAT_SIZE], expires[UPT_TIME_TEXT_SIZE], now_text[UPT_TIME_TEXT_SIZE];

	if (doc->expires > now)
		return UPT_OK;
	upt_time_format(doc->expires, expires);
	upt_time_format(now, now_text);
	return upt_fail(err, UPT_E_EXPIRED, "%s expired at %s, it is %s", describe(set, doc, what),
		expires, now_text);
}

/* 7.3, 8.4, 9.4: not below the version accepted before. */
static enum upt_code
check_not_older(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_metadata *previous = set->roles[doc->role].doc;
	char what[WHAT_SIZE];

	if (previous == NULL || doc->version >= previous->version)
		return UPT_OK;
	return upt_fail(err, UPT_E_ROLLBACK, "%s after v%llu", describe(set, doc, what),
		(unsigned long long)previous->version);
}

/* ---- root ---- */

static enum upt_code
check_root_roles(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
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
check_root_self(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	char what[WHAT_SIZE], by[WHAT_SIZE + 32];

	UPT_TRY(check_root_roles(set, doc, err));
	snprintf(by, sizeof(by), "%s, by its own keys", describe(set, doc, what));
	return upt_envelope_check_threshold(&doc->envelope, &doc->root.keyring,
		&doc->root.roles[UPT_ROLE_ROOT], by, err);
}

enum upt_code
upt_trusted_set_pin_root(struct upt_trusted_set *set, struct upt_buf *bytes, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	UPT_TRY(parse(set, UPT_ROLE_ROOT, "root", bytes, &doc, err));
	code = check_root_self(set, doc, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	replace(set, UPT_ROLE_ROOT, &doc, false);
	return UPT_OK;
}

static enum upt_code
check_next_root(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_metadata *trusted = set->roles[UPT_ROLE_ROOT].doc;
	char what[WHAT_SIZE], by[WHAT_SIZE + 48];

	/* Step 6.4: exactly N+1. A gap would skip a rotation that revoked a key. */
	if (doc->version != trusted->version + 1)
		return upt_fail(err,
			doc->version <= trusted->version ? UPT_E_ROLLBACK : UPT_E_VERSION_GAP,
			"%s where v%llu belongs", describe(set, doc, what),
			(unsigned long long)trusted->version + 1);
	/* Step 6.3: by the old keys, or anyone could found a new line; */
	snprintf(by, sizeof(by), "%s, by the keys of v%llu", describe(set, doc, what),
		(unsigned long long)trusted->version);
	UPT_TRY(upt_envelope_check_threshold(&doc->envelope, &trusted->root.keyring,
		&trusted->root.roles[UPT_ROLE_ROOT], by, err));
	/* ... and by the new ones, or a root nobody can follow would be accepted. */
	return check_root_self(set, doc, err);
}

/* Step 6.7: true when timestamp's or snapshot's keys are others than before. */
static bool
others_rotated(const struct upt_root *old, const struct upt_root *new)
{
	static const enum upt_role watched[] = {UPT_ROLE_TIMESTAMP, UPT_ROLE_SNAPSHOT};

	for (size_t i = 0; i < 2; i++) {
		enum upt_role role = watched[i];
		if (old->has_role[role] != new->has_role[role])
			return true;
		if (old->has_role[role] &&
			!upt_role_keys_same(&old->roles[role], &old->keyring, &new->roles[role],
				&new->keyring))
			return true;
	}
	return false;
}

enum upt_code
upt_trusted_set_update_root(struct upt_trusted_set *set, struct upt_buf *bytes, bool *drop_others,
	struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	*drop_others = false;
	if (set->roles[UPT_ROLE_ROOT].doc == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "no root is pinned");
	UPT_TRY(parse(set, UPT_ROLE_ROOT, "root", bytes, &doc, err));
	code = check_next_root(set, doc, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	if (others_rotated(&set->roles[UPT_ROLE_ROOT].doc->root, &doc->root)) {
		drop(&set->roles[UPT_ROLE_TIMESTAMP]);
		drop(&set->roles[UPT_ROLE_SNAPSHOT]);
		*drop_others = true;
	}
	replace(set, UPT_ROLE_ROOT, &doc, false);
	return UPT_OK;
}

enum upt_code
upt_trusted_set_finish_root(struct upt_trusted_set *set, int64_t now, struct upt_err *err)
{
	struct trusted *root = &set->roles[UPT_ROLE_ROOT];

	if (root->doc == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "no root is pinned");
	if (err != NULL)
		err->repo = set->policy.repo;
	UPT_TRY(check_expiry(set, root->doc, now, err));
	root->current = true;
	return UPT_OK;
}

/* ---- stored copies ---- */

enum upt_code
upt_trusted_set_restore(struct upt_trusted_set *set, enum upt_role role, struct upt_buf *bytes,
	struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (set->roles[UPT_ROLE_ROOT].doc == NULL || role == UPT_ROLE_ROOT || role >= UPT_N_ROLES)
		return upt_fail(err, UPT_E_INTERNAL, "nothing to restore a %s under", upt_role_name(role));
	UPT_TRY(parse(set, role, upt_role_name(role), bytes, &doc, err));
	code = check_signatures(set, doc, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	drop(&set->roles[role]);
	set->roles[role].doc = doc;
	doc = NULL;
	return UPT_OK;
}

/* ---- timestamp ---- */

static enum upt_code
check_timestamp(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	const struct upt_metadata *previous = set->roles[UPT_ROLE_TIMESTAMP].doc;
	const struct upt_file_meta *listed = &doc->timestamp.snapshot;
	char what[WHAT_SIZE];

	/* Step 7.2 */
	UPT_TRY(check_signatures(set, doc, err));
	/* Step 7.3 */
	UPT_TRY(check_not_older(set, doc, err));
	/* The snapshot it lists must not go back either, or a newer timestamp would carry an older
	 * snapshot past a client that has lost its own copy of it. */
	if (previous != NULL && listed->version < previous->timestamp.snapshot.version)
		return upt_fail(err, UPT_E_ROLLBACK, "%s lists snapshot v%llu after v%llu",
			describe(set, doc, what), (unsigned long long)listed->version,
			(unsigned long long)previous->timestamp.snapshot.version);
	if (set->policy.require_snapshot_hash && listed->n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s lists no hash of the snapshot",
			describe(set, doc, what));
	/* Step 7.4 */
	return check_expiry(set, doc, now, err);
}

enum upt_code
upt_trusted_set_update_timestamp(struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now,
	struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (!set->roles[UPT_ROLE_ROOT].current)
		return upt_fail(err, UPT_E_INTERNAL, "timestamp before a current root");
	UPT_TRY(parse(set, UPT_ROLE_TIMESTAMP, "timestamp", bytes, &doc, err));
	code = check_timestamp(set, doc, now, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	replace(set, UPT_ROLE_TIMESTAMP, &doc, true);
	return UPT_OK;
}

/* ---- what a timestamp or snapshot says of a file ---- */

static enum upt_code
check_hashes_listed(const struct upt_file_meta *listed, struct upt_span bytes, const char *what,
	struct upt_err *err)
{
	for (size_t i = 0; i < listed->n_digests; i++) {
		struct upt_digest actual;

		UPT_TRY(upt_hash_span(listed->digests[i].alg, bytes, &actual, err));
		if (!upt_digest_equal(&actual, &listed->digests[i]))
			return upt_fail(err, UPT_E_HASH_MISMATCH, "%s: %s is not the listed one", what,
				upt_hash_name(listed->digests[i].alg));
	}
	return UPT_OK;
}

static enum upt_code
check_length_listed(const struct upt_file_meta *listed, size_t len, const char *what, struct upt_err *err)
{
	if (!listed->has_length || listed->length_bytes == len)
		return UPT_OK;
	return upt_fail(err, UPT_E_HASH_MISMATCH, "%s: %zu bytes, listed are %llu", what, len,
		(unsigned long long)listed->length_bytes);
}

/*
 * Profile ota: the hashes may be those of the canonical envelope. The length is then that of the served
 * text or of the canonical one (both are in the field): the hashes alone bind the content.
 */
static enum upt_code
check_canonical_listed(const struct upt_file_meta *listed, const struct upt_metadata *doc, const char *what,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf canonical = {0};
	enum upt_code code = UPT_E_HASH_MISMATCH;

	if (listed->n_digests == 0)
		return check_length_listed(listed, doc->bytes.len, what, err);
	for (int form = 0; form < UPT_JSON_N_FORMS && code == UPT_E_HASH_MISMATCH; form++) {
		canonical.len = 0;
		UPT_TRY(upt_json_canonical(doc->envelope.doc.whole.text, (enum upt_json_form)form,
			&canonical, err));
		code = check_hashes_listed(listed, upt_buf_span(&canonical), what, err);
		if (code == UPT_OK && check_length_listed(listed, doc->bytes.len, what, err) != UPT_OK)
			code = check_length_listed(listed, canonical.len, what, err);
	}
	return code;
}

/* Version, length and every hash, over the served bytes, or in profile ota over the canonical envelope. */
static enum upt_code
check_listed(const struct upt_trusted_set *set, const struct upt_file_meta *listed,
	const struct upt_metadata *doc, struct upt_err *err)
{
	char what[WHAT_SIZE];
	enum upt_code code;

	describe(set, doc, what);
	if (doc->version != listed->version)
		return upt_fail(err, UPT_E_VERSION_MISMATCH, "%s where v%llu is listed", what,
			(unsigned long long)listed->version);
	code = check_length_listed(listed, doc->bytes.len, what, err);
	if (code == UPT_OK)
		code = check_hashes_listed(listed, upt_buf_span(&doc->bytes), what, err);
	if (code != UPT_E_HASH_MISMATCH || !set->policy.allow_canonical_hashes)
		return code;
	return check_canonical_listed(listed, doc, what, err);
}

/* ---- snapshot ---- */

/* Steps 8.5, 8.6: nothing listed before goes back or disappears. */
static enum upt_code
check_listing(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_metadata *previous = set->roles[UPT_ROLE_SNAPSHOT].doc;
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	char what[WHAT_SIZE];

	for (size_t i = 0; previous != NULL && i < previous->snapshot.n_files; i++) {
		const struct upt_file_meta *before = &previous->snapshot.files[i], *now;
		const char *name;

		UPT_TRY(upt_json_decode_string(&arena, before->raw_name, &name, err));
		now = upt_snapshot_find(&doc->snapshot, name);
		if (now == NULL)
			return upt_fail(err, UPT_E_FILE_DROPPED, "%s no longer lists %s",
				describe(set, doc, what), name);
		if (now->version < before->version)
			return upt_fail(err, UPT_E_ROLLBACK, "%s lists %s v%llu after v%llu",
				describe(set, doc, what), name, (unsigned long long)now->version,
				(unsigned long long)before->version);
	}
	return UPT_OK;
}

static enum upt_code
check_snapshot(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	const struct upt_metadata *timestamp = set->roles[UPT_ROLE_TIMESTAMP].doc;

	/* Step 8.2 */
	UPT_TRY(check_listed(set, &timestamp->timestamp.snapshot, doc, err));
	/* Step 8.3 */
	UPT_TRY(check_signatures(set, doc, err));
	/* Step 8.4 */
	UPT_TRY(check_not_older(set, doc, err));
	/* Steps 8.5, 8.6 */
	UPT_TRY(check_listing(set, doc, err));
	/* Step 8.7 */
	return check_expiry(set, doc, now, err);
}

bool
upt_trusted_set_confirm_snapshot(struct upt_trusted_set *set, int64_t now)
{
	struct trusted *snapshot = &set->roles[UPT_ROLE_SNAPSHOT];
	const struct trusted *timestamp = &set->roles[UPT_ROLE_TIMESTAMP];
	struct upt_err ignored;

	if (snapshot->doc == NULL || !timestamp->current ||
		timestamp->doc->timestamp.snapshot.n_digests == 0)
		return false;
	if (check_listed(set, &timestamp->doc->timestamp.snapshot, snapshot->doc, &ignored) != UPT_OK ||
		check_expiry(set, snapshot->doc, now, &ignored) != UPT_OK)
		return false;
	snapshot->current = true;
	return true;
}

enum upt_code
upt_trusted_set_update_snapshot(struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now,
	struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (!set->roles[UPT_ROLE_TIMESTAMP].current)
		return upt_fail(err, UPT_E_INTERNAL, "snapshot before a current timestamp");
	UPT_TRY(parse(set, UPT_ROLE_SNAPSHOT, "snapshot", bytes, &doc, err));
	code = check_snapshot(set, doc, now, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	replace(set, UPT_ROLE_SNAPSHOT, &doc, true);
	return UPT_OK;
}

/* ---- targets ---- */

bool
upt_trusted_set_targets_only(const struct upt_trusted_set *set)
{
	const struct upt_metadata *root = set->roles[UPT_ROLE_ROOT].doc;

	return root != NULL && set->policy.allow_targets_only &&
		!root->root.has_role[UPT_ROLE_TIMESTAMP] && !root->root.has_role[UPT_ROLE_SNAPSHOT];
}

/* Step 9.2. Without a snapshot (targets only) there is no list to hold it against. */
static enum upt_code
check_targets_listed(const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	const struct upt_file_meta *listed;

	if (upt_trusted_set_targets_only(set))
		return UPT_OK;
	UPT_TRY(upt_buf_printf(&file, err, "%s.json", doc->name));
	listed = upt_snapshot_find(&set->roles[UPT_ROLE_SNAPSHOT].doc->snapshot, (const char *)file.data);
	if (listed == NULL)
		return upt_fail(err, UPT_E_NOT_LISTED, "%s %s: the snapshot does not list it",
			upt_repo_name(set->policy.repo), doc->name);
	return check_listed(set, listed, doc, err);
}

static enum upt_code
check_targets(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	char what[WHAT_SIZE];

	/* Step 9.2 */
	UPT_TRY(check_targets_listed(set, doc, err));
	/* Step 9.3 */
	UPT_TRY(check_signatures(set, doc, err));
	/* Step 9.4 */
	UPT_TRY(check_not_older(set, doc, err));
	/* Step 9.5 */
	UPT_TRY(check_expiry(set, doc, now, err));
	/* Step 9.6: a Director that delegates would hand its vehicles to keys nobody pinned. */
	if (set->policy.repo == UPT_REPO_DIRECTOR && doc->targets.has_delegations)
		return upt_fail(err, UPT_E_DIRECTOR_DELEGATES, "%s delegates", describe(set, doc, what));
	/* Steps 9.7, 9.8 */
	if (set->policy.check_rules != NULL)
		UPT_TRY(set->policy.check_rules(set->policy.rules_ctx, doc, err));
	return UPT_OK;
}

static bool
ready_for_targets(const struct upt_trusted_set *set)
{
	return upt_trusted_set_targets_only(set) ? set->roles[UPT_ROLE_ROOT].current
						 : set->roles[UPT_ROLE_SNAPSHOT].current;
}

bool
upt_trusted_set_confirm_targets(struct upt_trusted_set *set, int64_t now)
{
	struct trusted *targets = &set->roles[UPT_ROLE_TARGETS];
	const struct upt_file_meta *listed;
	struct upt_err ignored;

	/* Without a listed hash, an equal version proves nothing about equal content. */
	if (targets->doc == NULL || upt_trusted_set_targets_only(set) || !ready_for_targets(set))
		return false;
	listed = upt_snapshot_find(&set->roles[UPT_ROLE_SNAPSHOT].doc->snapshot, "targets.json");
	if (listed == NULL || listed->n_digests == 0 ||
		check_targets(set, targets->doc, now, &ignored) != UPT_OK)
		return false;
	targets->current = true;
	return true;
}

enum upt_code
upt_trusted_set_update_targets(struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now,
	struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (!ready_for_targets(set))
		return upt_fail(err, UPT_E_INTERNAL, "targets before a current snapshot");
	UPT_TRY(parse(set, UPT_ROLE_TARGETS, "targets", bytes, &doc, err));
	code = check_targets(set, doc, now, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	replace(set, UPT_ROLE_TARGETS, &doc, true);
	return UPT_OK;
}

/* ---- delegated targets ---- */

/* By the keys of the delegator through which it was reached this time. */
static enum upt_code
check_delegated_signatures(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	const struct upt_metadata *delegator, const struct upt_delegation *d, struct upt_err *err)
{
	char what[WHAT_SIZE], by[2 * WHAT_SIZE];

	snprintf(by, sizeof(by), "%s, by the keys that %s lists", describe(set, doc, what), delegator->name);
	return upt_envelope_check_threshold(&doc->envelope, &delegator->targets.keyring, &d->role, by, err);
}

enum upt_code
upt_trusted_set_find_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegation *d, const struct upt_metadata **out, struct upt_err *err)
{
	*out = NULL;
	for (size_t i = 0; i < set->n_delegated; i++) {
		const struct upt_metadata *doc = set->delegated[i];

		if (strcmp(doc->name, d->name) != 0)
			continue;
		if (err != NULL)
			err->repo = set->policy.repo;
		UPT_TRY(check_delegated_signatures(set, doc, delegator, d, err));
		*out = doc;
		return UPT_OK;
	}
	return UPT_OK;
}

static enum upt_code
keep_delegated(struct upt_trusted_set *set, struct upt_metadata **doc, struct upt_err *err)
{
	struct upt_metadata **grown =
		realloc(set->delegated, (set->n_delegated + 1) * sizeof(struct upt_metadata *));

	if (grown == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for another delegated role");
	set->delegated = grown;
	grown[set->n_delegated++] = *doc;
	*doc = NULL;
	return UPT_OK;
}

static enum upt_code
check_delegated(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	const struct upt_metadata *delegator, const struct upt_delegation *d, int64_t now,
	struct upt_err *err)
{
	/* Step 9.2; the snapshot also keeps its version from going back (9.4 through 8.5). */
	UPT_TRY(check_targets_listed(set, doc, err));
	/* Step 9.3 */
	UPT_TRY(check_delegated_signatures(set, doc, delegator, d, err));
	/* Step 9.5 */
	return check_expiry(set, doc, now, err);
}

enum upt_code
upt_trusted_set_update_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegation *d, struct upt_buf *bytes, int64_t now,
	const struct upt_metadata **out, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	const struct upt_metadata *kept;
	enum upt_code code;

	*out = NULL;
	if (!set->roles[UPT_ROLE_TARGETS].current)
		return upt_fail(err, UPT_E_INTERNAL, "a delegated role before current targets");
	UPT_TRY(parse(set, UPT_ROLE_TARGETS, d->name, bytes, &doc, err));
	code = check_delegated(set, doc, delegator, d, now, err);
	kept = doc;
	if (code == UPT_OK)
		code = keep_delegated(set, &doc, err);
	if (code != UPT_OK)
		return give_back(set, doc, bytes, code, err);
	*out = kept;
	return UPT_OK;
}

/* ---- what is current, and how it is fetched ---- */

const struct upt_trust_policy *
upt_trusted_set_policy(const struct upt_trusted_set *set)
{
	return &set->policy;
}

const struct upt_metadata *
upt_trusted_set_root(const struct upt_trusted_set *set)
{
	return set->roles[UPT_ROLE_ROOT].doc;
}

const struct upt_metadata *
upt_trusted_set_held(const struct upt_trusted_set *set, enum upt_role role)
{
	return set->roles[role].doc;
}

static const struct upt_metadata *
current(const struct upt_trusted_set *set, enum upt_role role)
{
	return set->roles[role].current ? set->roles[role].doc : NULL;
}

const struct upt_metadata *
upt_trusted_set_timestamp(const struct upt_trusted_set *set)
{
	return current(set, UPT_ROLE_TIMESTAMP);
}

const struct upt_metadata *
upt_trusted_set_snapshot(const struct upt_trusted_set *set)
{
	return current(set, UPT_ROLE_SNAPSHOT);
}

const struct upt_metadata *
upt_trusted_set_targets(const struct upt_trusted_set *set)
{
	return current(set, UPT_ROLE_TARGETS);
}

/* How the current timestamp or snapshot lists the file of a role; NULL when nothing does. */
static const struct upt_file_meta *
listing(const struct upt_trusted_set *set, enum upt_role role, const char *name)
{
	const struct upt_metadata *timestamp = current(set, UPT_ROLE_TIMESTAMP);
	const struct upt_metadata *snapshot = current(set, UPT_ROLE_SNAPSHOT);
	char file[UPT_MAX_ROLE_NAME_BYTES + 8];

	if (role == UPT_ROLE_SNAPSHOT)
		return timestamp != NULL ? &timestamp->timestamp.snapshot : NULL;
	if (role != UPT_ROLE_TARGETS || snapshot == NULL)
		return NULL;
	snprintf(file, sizeof(file), "%s.json", name != NULL ? name : "targets");
	return upt_snapshot_find(&snapshot->snapshot, file);
}

size_t
upt_trusted_set_fetch_limit(const struct upt_trusted_set *set, enum upt_role role, const char *name)
{
	size_t limit = role_limit(set, role, name != NULL);
	const struct upt_file_meta *listed = listing(set, role, name);

	/* Where the listed length may be the canonical text's, the served one may be longer. */
	if (listed != NULL && listed->has_length && !set->policy.allow_canonical_hashes &&
		listed->length_bytes < limit)
		limit = (size_t)listed->length_bytes;
	return limit;
}

/* Everything but unreserved characters: a role called "../../x" stays one harmless path component. */
static enum upt_code
append_encoded(struct upt_buf *out, const char *name, struct upt_err *err)
{
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' ||
			(c == '.' && p != name);

		if (plain)
			UPT_TRY(upt_buf_append(out, p, 1, err));
		else
			UPT_TRY(upt_buf_printf(out, err, "%%%02X", c));
	}
	return UPT_OK;
}

enum upt_code
upt_trusted_set_file_name(const struct upt_trusted_set *set, enum upt_role role, const char *name,
	uint64_t root_version, struct upt_buf *out, struct upt_err *err)
{
	const struct upt_metadata *root = set->roles[UPT_ROLE_ROOT].doc;
	const struct upt_file_meta *listed = listing(set, role, name);
	bool versioned = root != NULL && root->root.consistent_snapshot;

	if (role == UPT_ROLE_ROOT)
		return upt_buf_printf(out, err, "%llu.root.json", (unsigned long long)root_version);
	if (role == UPT_ROLE_TIMESTAMP)
		return upt_buf_printf(out, err, "timestamp.json");
	if (name != NULL && set->policy.delegations_in_folder && !versioned)
		UPT_TRY(upt_buf_printf(out, err, "delegations/"));
	if (versioned && listed != NULL)
		UPT_TRY(upt_buf_printf(out, err, "%llu.", (unsigned long long)listed->version));
	UPT_TRY(append_encoded(out, name != NULL ? name : upt_role_name(role), err));
	return upt_buf_printf(out, err, ".json");
}
