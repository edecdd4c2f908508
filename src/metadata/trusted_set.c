#include "metadata/trusted.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

enum upt_code
upt_trusted_set_new(
	const struct upt_trust_policy *policy, struct upt_trusted_set **out, struct upt_err *err)
{
	struct upt_trusted_set *set = calloc(1, sizeof(*set));

	*out = NULL;
	if (set == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a trusted set");
	set->policy = *policy;
	*out = set;
	return UPT_OK;
}

void
upt_trusted_drop(struct upt_trusted_set *set, enum upt_role role)
{
	upt_metadata_free(&set->roles[role].doc);
	set->roles[role].current = false;
}

void
upt_trusted_drop_delegated(struct upt_trusted_set *set)
{
	for (size_t i = 0; i < set->n_delegated; i++)
		upt_metadata_free(&set->delegated[i].doc);
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
		upt_trusted_drop(*set, (enum upt_role)role);
	upt_trusted_drop_delegated(*set);
	free(*set);
	*set = NULL;
}

void
upt_trusted_outdate_below(struct upt_trusted_set *set, enum upt_role role)
{
	for (int later = (int)role + 1; later < UPT_N_ROLES; later++)
		set->roles[later].current = false;
	upt_trusted_drop_delegated(set);
}

void
upt_trusted_replace(
	struct upt_trusted_set *set, enum upt_role role, struct upt_metadata **doc, bool current)
{
	upt_metadata_free(&set->roles[role].doc);
	set->roles[role].doc = *doc;
	set->roles[role].current = current;
	*doc = NULL;
	upt_trusted_outdate_below(set, role);
}

size_t
upt_trusted_limit(const struct upt_trusted_set *set, enum upt_role role, bool delegated)
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

const char *
upt_trusted_describe(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	char out[static UPT_TRUSTED_WHAT_SIZE])
{
	snprintf(out, UPT_TRUSTED_WHAT_SIZE, "%s %s v%llu", upt_repo_name(set->policy.repo),
		doc->name, (unsigned long long)doc->version);
	return out;
}

static enum upt_code
refuse(const struct upt_trusted_set *set, enum upt_code code, const char *name, struct upt_err *err)
{
	if (err != NULL)
		err->repo = set->policy.repo;
	return upt_wrap(err, code, "%s %s", upt_repo_name(set->policy.repo), name);
}

/* Gives the bytes back when plain TUF has no such delegation. */
static enum upt_code
check_delegations(const struct upt_trusted_set *set, const char *name, struct upt_buf *bytes,
	struct upt_metadata **doc, struct upt_err *err)
{
	if (!set->policy.single_role_delegations || !(*doc)->targets.has_multi_roles)
		return UPT_OK;
	upt_buf_move(bytes, &(*doc)->bytes);
	upt_metadata_free(doc);
	return refuse(set, upt_fail(err, UPT_E_MALFORMED, "a delegation to several roles (TAP 3)"),
		name, err);
}

enum upt_code
upt_trusted_parse(const struct upt_trusted_set *set, enum upt_role role, const char *name,
	struct upt_buf *bytes, struct upt_metadata **doc, struct upt_err *err)
{
	/* No delegated role can be called "targets": upt_metadata_parse refuses such a delegation.
	 */
	bool delegated = role == UPT_ROLE_TARGETS && strcmp(name, "targets") != 0;
	const struct upt_metadata *before = delegated ? NULL : set->roles[role].doc;
	size_t limit = upt_trusted_limit(set, role, delegated);
	enum upt_code code;

	*doc = NULL;
	if (bytes->len > limit)
		code = upt_fail(err, UPT_E_TOO_LARGE, "%zu bytes, more than the %zu allowed",
			bytes->len, limit);
	else
		code = upt_metadata_parse_next(role, name, before, bytes, doc, err);
	if (code != UPT_OK)
		return refuse(set, code, name, err);
	return check_delegations(set, name, bytes, doc, err);
}

enum upt_code
upt_trusted_give_back(const struct upt_trusted_set *set, struct upt_metadata *doc,
	struct upt_buf *bytes, enum upt_code code, struct upt_err *err)
{
	upt_buf_move(bytes, &doc->bytes);
	if (err != NULL)
		err->repo = set->policy.repo;
	return code;
}

enum upt_code
upt_trusted_check_signatures(const struct upt_trusted_set *set, const struct upt_root *root,
	const struct upt_metadata *doc, struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE];

	if (!root->has_role[doc->role])
		return upt_fail(err, UPT_E_THRESHOLD, "%s: the root defines no role %s",
			upt_trusted_describe(set, doc, what), upt_role_name(doc->role));
	return upt_envelope_check_threshold(&doc->envelope, &root->keyring, &root->roles[doc->role],
		upt_trusted_describe(set, doc, what), err);
}

enum upt_code
upt_trusted_check_expiry(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	int64_t now, struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE], expires[UPT_TIME_TEXT_SIZE], now_text[UPT_TIME_TEXT_SIZE];

	if (doc->expires > now)
		return UPT_OK;
	upt_time_format(doc->expires, expires);
	upt_time_format(now, now_text);
	return upt_fail(err, UPT_E_EXPIRED, "%s expired at %s, it is %s",
		upt_trusted_describe(set, doc, what), expires, now_text);
}

enum upt_code
upt_trusted_check_not_older(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	const struct upt_metadata *previous, struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE];

	if (previous == NULL || doc->version >= previous->version)
		return UPT_OK;
	if (doc->role == UPT_ROLE_TARGETS && set->policy.targets_bound_by_snapshot &&
		!upt_trusted_set_targets_only(set))
		return UPT_OK;
	return upt_fail(err, UPT_E_ROLLBACK, "%s after v%llu", upt_trusted_describe(set, doc, what),
		(unsigned long long)previous->version);
}

static enum upt_code
check_restored(
	const struct upt_trusted_set *set, const struct upt_metadata *doc, struct upt_err *err)
{
	UPT_TRY(upt_trusted_check_signatures(set, &set->roles[UPT_ROLE_ROOT].doc->root, doc, err));
	/* What is held already was learnt later than any stored copy below it. */
	return upt_trusted_check_not_older(set, doc, set->roles[doc->role].doc, err);
}

enum upt_code
upt_trusted_set_restore(
	struct upt_trusted_set *set, enum upt_role role, struct upt_buf *bytes, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	enum upt_code code;

	if (set->roles[UPT_ROLE_ROOT].doc == NULL || role == UPT_ROLE_ROOT || role >= UPT_N_ROLES)
		return upt_fail(
			err, UPT_E_INTERNAL, "nothing to restore a %s under", upt_role_name(role));
	UPT_TRY(upt_trusted_parse(set, role, upt_role_name(role), bytes, &doc, err));
	code = check_restored(set, doc, err);
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	upt_trusted_replace(set, role, &doc, false);
	return UPT_OK;
}

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

int64_t
upt_trusted_set_expires(const struct upt_trusted_set *set)
{
	int64_t first = INT64_MAX;

	for (int role = 0; role < UPT_N_ROLES; role++) {
		const struct upt_metadata *doc = current(set, (enum upt_role)role);

		if (doc != NULL && doc->expires < first)
			first = doc->expires;
	}
	for (size_t i = 0; i < set->n_delegated; i++) {
		const struct upt_trusted_delegated *delegated = &set->delegated[i];

		if (delegated->current && delegated->doc->expires < first)
			first = delegated->doc->expires;
	}
	return first;
}
