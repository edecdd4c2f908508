/* check_timestamp, check_snapshot, check_targets for the top-level roles (7.2 to 9.8). */
#include "metadata/trusted.h"

static const struct upt_root *
root_of(const struct upt_trusted_set *set)
{
	return &set->roles[UPT_ROLE_ROOT].doc->root;
}

/* ---- timestamp ---- */

static enum upt_code
check_timestamp(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	const struct upt_metadata *previous = set->roles[UPT_ROLE_TIMESTAMP].doc;
	const struct upt_file_meta *listed = &doc->timestamp.snapshot;
	char what[UPT_TRUSTED_WHAT_SIZE];

	/* Step 7.2 */
	UPT_TRY(upt_trusted_check_signatures(set, root_of(set), doc, err));
	/* Step 7.3 */
	UPT_TRY(upt_trusted_check_not_older(set, doc, previous, err));
	/* The snapshot it lists must not go back either, or a newer timestamp would carry an older
	 * snapshot past a client that has lost its own copy of it. */
	if (previous != NULL && listed->version < previous->timestamp.snapshot.version)
		return upt_fail(err, UPT_E_ROLLBACK, "%s lists snapshot v%llu after v%llu",
			upt_trusted_describe(set, doc, what), (unsigned long long)listed->version,
			(unsigned long long)previous->timestamp.snapshot.version);
	if (set->policy.require_snapshot_hash && listed->n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s lists no hash of the snapshot",
			upt_trusted_describe(set, doc, what));
	/* Step 7.4 */
	return upt_trusted_check_expiry(set, doc, now, err);
}

/*
 * Plain TUF: one version has one content, so the held one, which was seen first, stays. The new one
 * must be signed all the same, and the held one still be valid: else it would freeze the client.
 */
static enum upt_code
keep_timestamp(struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	struct upt_trusted *held = &set->roles[UPT_ROLE_TIMESTAMP];

	UPT_TRY(upt_trusted_check_signatures(set, root_of(set), doc, err));
	UPT_TRY(upt_trusted_check_expiry(set, held->doc, now, err));
	held->current = true;
	upt_trusted_outdate_below(set, UPT_ROLE_TIMESTAMP);
	return UPT_OK;
}

enum upt_code
upt_trusted_set_update_timestamp(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	const struct upt_metadata *held = set->roles[UPT_ROLE_TIMESTAMP].doc;
	enum upt_code code;
	bool keep;

	if (!set->roles[UPT_ROLE_ROOT].current)
		return upt_fail(err, UPT_E_INTERNAL, "timestamp before a current root");
	UPT_TRY(upt_trusted_parse(set, UPT_ROLE_TIMESTAMP, "timestamp", bytes, &doc, err));
	keep = set->policy.keep_equal_timestamp && held != NULL && held->version == doc->version;
	code = keep ? keep_timestamp(set, doc, now, err) : check_timestamp(set, doc, now, err);
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	if (keep)
		return UPT_OK;
	upt_trusted_replace(set, UPT_ROLE_TIMESTAMP, &doc, true);
	return UPT_OK;
}

/* ---- snapshot ---- */

/* Steps 8.5, 8.6: nothing listed before goes back or disappears. Both listings are sorted. */
static enum upt_code
check_listing(
	const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	const struct upt_metadata *previous = set->roles[UPT_ROLE_SNAPSHOT].doc;
	const struct upt_snapshot *snapshot = &doc->snapshot;
	char what[UPT_TRUSTED_WHAT_SIZE];
	size_t at = 0;

	for (size_t i = 0; previous != NULL && i < previous->snapshot.n_files; i++) {
		const struct upt_file_meta *before = previous->snapshot.by_name[i], *now;
		int len = (int)(before->name.len < 100 ? before->name.len : 100);
		int order = -1;

		while (at < snapshot->n_files &&
			(order = upt_file_name_compare(snapshot->by_name[at]->name, before->name)) <
				0)
			at++;
		if (at == snapshot->n_files || order != 0)
			return upt_fail(err, UPT_E_FILE_DROPPED, "%s no longer lists %.*s",
				upt_trusted_describe(set, doc, what), len,
				(const char *)before->name.data);
		now = snapshot->by_name[at];
		if (now->version < before->version)
			return upt_fail(err, UPT_E_ROLLBACK, "%s lists %.*s v%llu after v%llu",
				upt_trusted_describe(set, doc, what), len,
				(const char *)before->name.data, (unsigned long long)now->version,
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
	UPT_TRY(upt_trusted_check_listed(set, &timestamp->timestamp.snapshot, doc, err));
	/* Step 8.3 */
	UPT_TRY(upt_trusted_check_signatures(set, root_of(set), doc, err));
	/* Step 8.4 */
	UPT_TRY(upt_trusted_check_not_older(set, doc, set->roles[UPT_ROLE_SNAPSHOT].doc, err));
	/* Steps 8.5, 8.6 */
	UPT_TRY(check_listing(set, doc, err));
	/* Step 8.7 */
	return upt_trusted_check_expiry(set, doc, now, err);
}

bool
upt_trusted_set_confirm_snapshot(struct upt_trusted_set *set, int64_t now)
{
	struct upt_trusted *snapshot = &set->roles[UPT_ROLE_SNAPSHOT];
	const struct upt_trusted *timestamp = &set->roles[UPT_ROLE_TIMESTAMP];
	struct upt_err ignored = {0};

	/* Without a listed hash, an equal version proves nothing about equal content (plain TUF
	 * takes it as a proof). Its signatures were checked when it was restored, and again by
	 * every root that came since. */
	if (snapshot->doc == NULL || !timestamp->current ||
		(timestamp->doc->timestamp.snapshot.n_digests == 0 &&
			!set->policy.equal_version_is_current))
		return false;
	if (upt_trusted_check_listed(
		    set, &timestamp->doc->timestamp.snapshot, snapshot->doc, &ignored) != UPT_OK ||
		upt_trusted_check_expiry(set, snapshot->doc, now, &ignored) != UPT_OK)
		return false;
	snapshot->current = true;
	return true;
}

enum upt_code
upt_trusted_set_update_snapshot(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (!set->roles[UPT_ROLE_TIMESTAMP].current)
		return upt_fail(err, UPT_E_INTERNAL, "snapshot before a current timestamp");
	UPT_TRY(upt_trusted_parse(set, UPT_ROLE_SNAPSHOT, "snapshot", bytes, &doc, err));
	code = check_snapshot(set, doc, now, err);
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	upt_trusted_replace(set, UPT_ROLE_SNAPSHOT, &doc, true);
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

static enum upt_code
check_targets(const struct upt_trusted_set *set, const struct upt_metadata *doc, int64_t now,
	struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE];

	/* Step 9.2 */
	UPT_TRY(upt_trusted_check_targets_listed(set, doc, err));
	/* Step 9.3 */
	UPT_TRY(upt_trusted_check_signatures(set, root_of(set), doc, err));
	/* Step 9.4 */
	UPT_TRY(upt_trusted_check_not_older(set, doc, set->roles[UPT_ROLE_TARGETS].doc, err));
	/* Step 9.5 */
	UPT_TRY(upt_trusted_check_expiry(set, doc, now, err));
	/* Step 9.6: a Director that delegates would hand its vehicles to keys nobody pinned. */
	if (set->policy.repo == UPT_REPO_DIRECTOR && doc->targets.has_delegations)
		return upt_fail(err, UPT_E_DIRECTOR_DELEGATES, "%s delegates",
			upt_trusted_describe(set, doc, what));
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
	struct upt_trusted *targets = &set->roles[UPT_ROLE_TARGETS];
	const struct upt_file_meta *listed;
	struct upt_err ignored = {0};

	/* Without a listed hash, an equal version proves nothing about equal content. */
	if (targets->doc == NULL || upt_trusted_set_targets_only(set) || !ready_for_targets(set))
		return false;
	listed = upt_snapshot_find(&set->roles[UPT_ROLE_SNAPSHOT].doc->snapshot, "targets.json");
	if (listed == NULL || (listed->n_digests == 0 && !set->policy.equal_version_is_current) ||
		check_targets(set, targets->doc, now, &ignored) != UPT_OK)
		return false;
	targets->current = true;
	return true;
}

enum upt_code
upt_trusted_set_update_targets(
	struct upt_trusted_set *set, struct upt_buf *bytes, int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (!ready_for_targets(set))
		return upt_fail(err, UPT_E_INTERNAL, "targets before a current snapshot");
	UPT_TRY(upt_trusted_parse(set, UPT_ROLE_TARGETS, "targets", bytes, &doc, err));
	code = check_targets(set, doc, now, err);
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	upt_trusted_replace(set, UPT_ROLE_TARGETS, &doc, true);
	return UPT_OK;
}
