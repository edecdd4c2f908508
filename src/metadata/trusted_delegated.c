/* Delegated targets: check_targets by the keys of the delegator (9.1 to 9.5, 10.2). */
#include <stdio.h>
#include <stdlib.h>
#include "metadata/trusted.h"

/* By the keys of the delegator through which it was reached this time. */
static enum upt_code
check_signatures(const struct upt_trusted_set *set, const struct upt_metadata *doc,
	const struct upt_metadata *delegator, const struct upt_delegated_role *as,
	struct upt_err *err)
{
	char what[UPT_TRUSTED_WHAT_SIZE], by[2 * UPT_TRUSTED_WHAT_SIZE];

	snprintf(by, sizeof(by), "%s, by the keys that %s lists",
		upt_trusted_describe(set, doc, what), delegator->name);
	return upt_envelope_check_threshold(
		&doc->envelope, &delegator->targets.keyring, &as->keys, by, err);
}

static struct upt_trusted_delegated *
find(const struct upt_trusted_set *set, const char *name)
{
	for (size_t i = 0; i < set->n_delegated; i++) {
		if (strcmp(set->delegated[i].doc->name, name) == 0)
			return &set->delegated[i];
	}
	return NULL;
}

/* True when a document that is current in this set delegates to that role: only such a one says who
 * may sign for whom. */
static bool
is_current_delegation(const struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as)
{
	bool known = delegator == upt_trusted_set_targets(set);

	if (upt_trusted_set_targets(set) == NULL)
		return false;
	for (size_t i = 0; i < set->n_delegated && !known; i++)
		known = set->delegated[i].current && set->delegated[i].doc == delegator;
	if (!known)
		return false;
	for (size_t i = 0; i < delegator->targets.n_delegations; i++) {
		const struct upt_delegation *d = &delegator->targets.delegations[i];

		for (size_t k = 0; k < d->n_roles; k++) {
			if (&d->roles[k] == as)
				return true;
		}
	}
	return false;
}

enum upt_code
upt_trusted_set_find_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, const struct upt_metadata **out, struct upt_err *err)
{
	const struct upt_trusted_delegated *found = find(set, as->name);

	*out = NULL;
	if (!is_current_delegation(set, delegator, as))
		return upt_fail(err, UPT_E_INTERNAL, "a delegation of no current document");
	if (found == NULL || !found->current)
		return UPT_OK;
	/* The path by which it came was checked then; every other one has keys of its own. */
	if (found->delegator != delegator || found->as != as) {
		if (err != NULL)
			err->repo = set->policy.repo;
		UPT_TRY(check_signatures(set, found->doc, delegator, as, err));
	}
	*out = found->doc;
	return UPT_OK;
}

/* A place for a role: the one it has, or a new one. NULL without memory. */
static struct upt_trusted_delegated *
reserve(struct upt_trusted_set *set, const char *name)
{
	struct upt_trusted_delegated *found = find(set, name), *grown;

	if (found != NULL)
		return found;
	grown = realloc(set->delegated, (set->n_delegated + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	set->delegated = grown;
	return &grown[set->n_delegated];
}

/* Takes *doc over; cannot fail once there is a place. */
static void
keep(struct upt_trusted_set *set, struct upt_trusted_delegated *place,
	struct upt_trusted_delegated role)
{
	if (place == &set->delegated[set->n_delegated])
		set->n_delegated++;
	else
		upt_metadata_free(&place->doc);
	*place = role;
}

static enum upt_code
check(const struct upt_trusted_set *set, const struct upt_trusted_delegated *role, int64_t now,
	struct upt_err *err)
{
	const struct upt_trusted_delegated *previous = find(set, role->doc->name);

	/* Step 9.2 */
	UPT_TRY(upt_trusted_check_targets_listed(set, role->doc, err));
	/* Step 9.3 */
	UPT_TRY(check_signatures(set, role->doc, role->delegator, role->as, err));
	/* Step 9.4. The snapshot's listing (8.5) says the same, unless a rotation of its keys has
	 * just made the client forget it. */
	UPT_TRY(upt_trusted_check_not_older(
		set, role->doc, previous != NULL ? previous->doc : NULL, err));
	/* Step 9.5 */
	return upt_trusted_check_expiry(set, role->doc, now, err);
}

/*
 * A search is bounded by the number of its roles; a cycle has a search for each assignment, and
 * keeps what all of them loaded. Whoever delegates could have each visit other roles, until memory
 * runs out.
 */
static enum upt_code
check_room(const struct upt_trusted_set *set, const char *name, size_t n_bytes, struct upt_err *err)
{
	const struct upt_limits *limits = &set->policy.limits;
	uint64_t max = (uint64_t)limits->max_delegations * limits->delegated_max_bytes;
	uint64_t held = n_bytes;

	for (size_t i = 0; i < set->n_delegated; i++)
		held += set->delegated[i].doc->bytes.len;
	if (held <= max)
		return UPT_OK;
	if (err != NULL)
		err->repo = set->policy.repo;
	return upt_fail(err, UPT_E_DELEGATION,
		"%s %s: %llu bytes of delegated roles in one cycle, more than the %llu allowed",
		upt_repo_name(set->policy.repo), name, (unsigned long long)held,
		(unsigned long long)max);
}

/* Common beginning: the delegation must be current, and its role not loaded already. */
static enum upt_code
begin(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, struct upt_buf *bytes, struct upt_metadata **doc,
	struct upt_err *err)
{
	const struct upt_trusted_delegated *held = find(set, as->name);

	if (!is_current_delegation(set, delegator, as))
		return upt_fail(err, UPT_E_INTERNAL, "a delegation of no current document");
	/* Replacing it would free what a search may be standing on. */
	if (held != NULL && held->current)
		return upt_fail(
			err, UPT_E_INTERNAL, "delegated role %s is loaded already", as->name);
	UPT_TRY(check_room(set, as->name, bytes->len, err));
	return upt_trusted_parse(set, UPT_ROLE_TARGETS, as->name, bytes, doc, err);
}

enum upt_code
upt_trusted_set_restore_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, struct upt_buf *bytes, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	struct upt_trusted_delegated *place = NULL;
	const struct upt_trusted_delegated *previous;
	enum upt_code code;

	UPT_TRY(begin(set, delegator, as, bytes, &doc, err));
	previous = find(set, as->name);
	code = check_signatures(set, doc, delegator, as, err);
	if (code == UPT_OK)
		code = upt_trusted_check_not_older(
			set, doc, previous != NULL ? previous->doc : NULL, err);
	if (code == UPT_OK && (place = reserve(set, as->name)) == NULL)
		code = upt_fail(err, UPT_E_NO_MEMORY, "no memory for another delegated role");
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	keep(set, place,
		(struct upt_trusted_delegated){.doc = doc, .delegator = delegator, .as = as});
	doc = NULL;
	return UPT_OK;
}

enum upt_code
upt_trusted_set_update_delegated(struct upt_trusted_set *set, const struct upt_metadata *delegator,
	const struct upt_delegated_role *as, struct upt_buf *bytes, int64_t now,
	const struct upt_metadata **out, struct upt_err *err)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *doc = NULL;
	struct upt_trusted_delegated role = {.delegator = delegator, .as = as, .current = true};
	struct upt_trusted_delegated *place = NULL;
	enum upt_code code;

	*out = NULL;
	UPT_TRY(begin(set, delegator, as, bytes, &doc, err));
	role.doc = doc;
	code = check(set, &role, now, err);
	if (code == UPT_OK && (place = reserve(set, as->name)) == NULL)
		code = upt_fail(err, UPT_E_NO_MEMORY, "no memory for another delegated role");
	if (code != UPT_OK)
		return upt_trusted_give_back(set, doc, bytes, code, err);
	keep(set, place, role);
	*out = doc;
	doc = NULL;
	return UPT_OK;
}
