#include "metadata/refresh.h"

#include <string.h>

/* A needed file that the server surely lacks is its own refusal, not "cannot tell". */
static enum upt_code
fetch_needed(struct upt_trusted_set *set, const struct upt_feed *feed, enum upt_role role,
	const char *delegated, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0};
	const char *repo = upt_repo_name(upt_trusted_set_policy(set)->repo);
	enum upt_code code;

	UPT_TRY(upt_trusted_set_file_name(set, role, delegated, 0, &name, err));
	code = feed->fetch(feed->ctx, (const char *)name.data,
		upt_trusted_set_fetch_limit(set, role, delegated), out, err);
	if (code == UPT_OK)
		return UPT_OK;
	if (err != NULL)
		err->repo = upt_trusted_set_policy(set)->repo;
	if (code == UPT_E_ABSENT)
		return upt_fail(err, UPT_E_MISSING, "%s: the server has no %s", repo,
			(const char *)name.data);
	return upt_wrap(err, code, "%s %s", repo, (const char *)name.data);
}

/* ---- steps 3 and 6: root ---- */

static enum upt_code
pin_stored_root(struct upt_trusted_set *set, const struct upt_feed *feed, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	UPT_TRY(feed->load(feed->ctx, "root", &bytes, err));
	return upt_trusted_set_pin_root(set, &bytes, err);
}

/* One step N to N+1, unless may_step is false. *done when the server surely has no newer root. */
static enum upt_code
step_root(struct upt_trusted_set *set, const struct upt_feed *feed, bool may_step, bool *done,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf name = {0}, bytes = {0};
	uint64_t next = upt_trusted_set_root(set)->version + 1;
	const struct upt_metadata *root;
	bool drop_others;
	enum upt_code code;

	UPT_TRY(upt_trusted_set_file_name(set, UPT_ROLE_ROOT, NULL, next, &name, err));
	code = feed->fetch(feed->ctx, (const char *)name.data,
		upt_trusted_set_fetch_limit(set, UPT_ROLE_ROOT, NULL), &bytes, err);
	*done = code == UPT_E_ABSENT;
	if (*done)
		return UPT_OK;
	if (err != NULL)
		err->repo = upt_trusted_set_policy(set)->repo;
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s %s",
			upt_repo_name(upt_trusted_set_policy(set)->repo), (const char *)name.data);
	/* Going on under a root that is known to be replaced would trust keys that a later one
	 * revokes. */
	if (!may_step)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"%s: more than %u new roots in one cycle; the next one goes on from v%llu",
			upt_repo_name(upt_trusted_set_policy(set)->repo),
			upt_trusted_set_policy(set)->limits.max_root_steps,
			(unsigned long long)(next - 1));
	UPT_TRY(upt_trusted_set_update_root(set, &bytes, &drop_others, err));
	root = upt_trusted_set_root(set);
	return feed->save_root(
		feed->ctx, root->version, upt_buf_span(&root->bytes), drop_others, err);
}

static enum upt_code
refresh_root(struct upt_trusted_set *set, const struct upt_feed *feed, int64_t now, bool *changed,
	struct upt_err *err)
{
	const struct upt_trust_policy *policy = upt_trusted_set_policy(set);
	unsigned max = policy->limits.max_root_steps;
	bool done = false;

	/* Steps 6.1 to 6.5; each accepted root is stored, so that the next cycle goes on from it.
	 */
	for (unsigned i = 0; !done && (i < max || !policy->go_on_after_max_root_steps); i++) {
		UPT_TRY(step_root(set, feed, i < max, &done, err));
		*changed = *changed || !done;
	}
	/* Step 6.6 */
	return upt_trusted_set_finish_root(set, now, err);
}

/* ---- stored copies ---- */

/* A stored copy that no longer verifies (its keys rotated, its file rotted) is dropped: it may
 * neither wedge the client nor count as "previous". */
static enum upt_code
restore(struct upt_trusted_set *set, const struct upt_feed *feed, enum upt_role role,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	enum upt_code code = feed->load(feed->ctx, upt_role_name(role), &bytes, err);

	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	code = upt_trusted_set_restore(set, role, &bytes, err);
	/* OpenSSL reports some failed allocations as a wrong signature: asked twice before
	 * forgetting. */
	if (code == UPT_E_THRESHOLD)
		code = upt_trusted_set_restore(set, role, &bytes, err);
	if (code == UPT_OK || code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL)
		return code;
	return feed->forget(feed->ctx, upt_role_name(role), err);
}

static enum upt_code
save(struct upt_trusted_set *set, const struct upt_feed *feed, enum upt_role role,
	struct upt_err *err)
{
	const struct upt_metadata *doc = upt_trusted_set_held(set, role);

	return feed->save(feed->ctx, doc->name, doc->version, upt_buf_span(&doc->bytes), err);
}

/* ---- steps 4 and 7: timestamp ---- */

static enum upt_code
refresh_timestamp(
	struct upt_trusted_set *set, const struct upt_feed *feed, int64_t now, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_metadata *held;
	uint64_t version;
	bool same;

	UPT_TRY(fetch_needed(set, feed, UPT_ROLE_TIMESTAMP, NULL, &bytes, err));
	held = upt_trusted_set_held(set, UPT_ROLE_TIMESTAMP);
	version = held != NULL ? held->version : 0;
	same = held != NULL && upt_span_equal(upt_buf_span(&held->bytes), upt_buf_span(&bytes));
	UPT_TRY(upt_trusted_set_update_timestamp(set, &bytes, now, err));
	same = same || (upt_trusted_set_policy(set)->keep_equal_timestamp &&
			       upt_trusted_set_held(set, UPT_ROLE_TIMESTAMP)->version == version);
	/* A poll with nothing new writes nothing: flash wears out over fifteen years. */
	return same ? UPT_OK : save(set, feed, UPT_ROLE_TIMESTAMP, err);
}

/* ---- steps 5 and 8: snapshot ---- */

static enum upt_code
refresh_snapshot(struct upt_trusted_set *set, const struct upt_feed *feed, int64_t now,
	bool *changed, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	if (upt_trusted_set_confirm_snapshot(set, now))
		return UPT_OK;
	UPT_TRY(fetch_needed(set, feed, UPT_ROLE_SNAPSHOT, NULL, &bytes, err));
	UPT_TRY(upt_trusted_set_update_snapshot(set, &bytes, now, err));
	*changed = true;
	return save(set, feed, UPT_ROLE_SNAPSHOT, err);
}

/* ---- steps 6 and 9: targets ---- */

static enum upt_code
refresh_targets(struct upt_trusted_set *set, const struct upt_feed *feed, int64_t now,
	bool *changed, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_metadata *held;
	bool same;

	if (upt_trusted_set_confirm_targets(set, now))
		return UPT_OK;
	UPT_TRY(fetch_needed(set, feed, UPT_ROLE_TARGETS, NULL, &bytes, err));
	held = upt_trusted_set_held(set, UPT_ROLE_TARGETS);
	same = held != NULL && upt_span_equal(upt_buf_span(&held->bytes), upt_buf_span(&bytes));
	UPT_TRY(upt_trusted_set_update_targets(set, &bytes, now, err));
	if (same)
		return UPT_OK;
	*changed = true;
	return save(set, feed, UPT_ROLE_TARGETS, err);
}

enum upt_code
upt_refresh(struct upt_trusted_set *set, const struct upt_feed *feed, int64_t now, bool *changed,
	struct upt_err *err)
{
	*changed = false;
	UPT_TRY(pin_stored_root(set, feed, err));
	UPT_TRY(refresh_root(set, feed, now, changed, err));
	if (!upt_trusted_set_targets_only(set)) {
		UPT_TRY(restore(set, feed, UPT_ROLE_TIMESTAMP, err));
		UPT_TRY(refresh_timestamp(set, feed, now, err));
		UPT_TRY(restore(set, feed, UPT_ROLE_SNAPSHOT, err));
		UPT_TRY(refresh_snapshot(set, feed, now, changed, err));
	}
	UPT_TRY(restore(set, feed, UPT_ROLE_TARGETS, err));
	return refresh_targets(set, feed, now, changed, err);
}

/* The stored copy: *out when the snapshot still lists it, else the "previous" of what is fetched.
 * One that does not verify by this delegator's keys is neither, and is overwritten by what is
 * fetched. */
static enum upt_code
take_stored(struct upt_trusted_set *set, const struct upt_feed *feed,
	const struct upt_metadata *delegator, const struct upt_delegated_role *as, int64_t now,
	const struct upt_metadata **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	enum upt_code code = feed->load(feed->ctx, as->name, &bytes, err);

	*out = NULL;
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	if (upt_trusted_set_update_delegated(set, delegator, as, &bytes, now, out, err) == UPT_OK)
		return UPT_OK;
	code = upt_trusted_set_restore_delegated(set, delegator, as, &bytes, err);
	return code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL ? code : UPT_OK;
}

enum upt_code
upt_refresh_delegated(struct upt_trusted_set *set, const struct upt_feed *feed,
	const struct upt_metadata *delegator, const struct upt_delegated_role *as, int64_t now,
	const struct upt_metadata **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	UPT_TRY(upt_trusted_set_find_delegated(set, delegator, as, out, err));
	if (*out != NULL)
		return UPT_OK;
	UPT_TRY(take_stored(set, feed, delegator, as, now, out, err));
	if (*out != NULL)
		return UPT_OK;
	UPT_TRY(fetch_needed(set, feed, UPT_ROLE_TARGETS, as->name, &bytes, err));
	UPT_TRY(upt_trusted_set_update_delegated(set, delegator, as, &bytes, now, out, err));
	return feed->save(
		feed->ctx, (*out)->name, (*out)->version, upt_buf_span(&(*out)->bytes), err);
}
