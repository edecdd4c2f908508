/*
 * Who may list which targets ("targets_role_delegations"). An entry of delegations.roles is to one
 * role ("name", "keyids", "threshold"), or to several that must agree (TAP 3: "name" of the
 * delegation, "min_roles_in_agreement", "roleinfo"). Half of one shape and half of the other has no
 * one meaning: refused.
 */
#include "metadata/limits.h"
#include "metadata/roles.h"

/* What an entry holds, until it is known to be of one shape. */
struct entry {
	struct upt_delegation *d;
	struct upt_role_keys keys; /* of the entry itself */
	bool has_keys, has_min_roles;
};

/* ---- names ---- */

static enum upt_code
parse_name(struct upt_json_iter *it, struct upt_arena *arena, const char **out, struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw) || raw.len == 0 || raw.len > UPT_MAX_ROLE_NAME_BYTES)
		return upt_fail(err, UPT_E_MALFORMED, "a role name is no string of 1 to %d bytes",
			UPT_MAX_ROLE_NAME_BYTES);
	return upt_json_decode_string(arena, raw, out, err);
}

/* A delegated role called "root" would be stored and looked up as the real one. */
static enum upt_code
check_role_name(const char *name, struct upt_err *err)
{
	for (int role = 0; role < UPT_N_ROLES; role++) {
		if (strcmp(name, upt_role_name((enum upt_role)role)) == 0)
			return upt_fail(err, UPT_E_MALFORMED,
				"a delegation to the top-level role %s", name);
	}
	return UPT_OK;
}

/* ---- roleinfo ---- */

static enum upt_code
parse_role(struct upt_json_iter *it, struct upt_arena *arena, struct upt_delegation *d,
	struct upt_err *err)
{
	struct upt_delegated_role *role = &d->roles[d->n_roles];
	struct upt_json_iter members = upt_json_enter(it);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "an item of roleinfo is no object");
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "rolename"))
			UPT_TRY(parse_name(&members, arena, &role->name, err));
		else
			UPT_TRY(upt_role_keys_member(&members, arena, &role->keys, err));
	}
	if (role->name == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "an item of roleinfo has no rolename");
	UPT_TRY(check_role_name(role->name, err));
	/* Whoever holds the role would be one more party that agrees. */
	for (size_t i = 0; i < d->n_roles; i++) {
		if (strcmp(d->roles[i].name, role->name) == 0)
			return upt_fail(
				err, UPT_E_MALFORMED, "roleinfo names role %s twice", role->name);
	}
	UPT_TRY(upt_role_keys_check(&role->keys, role->name, err));
	d->n_roles++;
	return UPT_OK;
}

static enum upt_code
alloc_roles(struct upt_arena *arena, size_t n, struct upt_delegation *d, struct upt_err *err)
{
	d->roles = upt_arena_alloc(arena, n, sizeof(*d->roles));
	if (d->roles == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a delegation to %zu roles", n);
	return UPT_OK;
}

static enum upt_code
parse_roleinfo(struct upt_json_iter *it, struct upt_arena *arena, struct upt_delegation *d,
	struct upt_err *err)
{
	struct upt_json_iter items;
	size_t n = 0;

	if (it->type != UPT_JSON_ARRAY)
		return upt_fail(err, UPT_E_MALFORMED, "roleinfo is no list");
	items = upt_json_iter(upt_json_value(it));
	while (upt_json_next(&items))
		n++;
	if (n < 1)
		return upt_fail(err, UPT_E_MALFORMED, "roleinfo names no role");
	if (n > UPT_MAX_MULTI_ROLES)
		return upt_fail(err, UPT_E_DELEGATION,
			"a delegation to %zu roles, more than the %d allowed", n,
			UPT_MAX_MULTI_ROLES);
	UPT_TRY(alloc_roles(arena, n, d, err));
	items = upt_json_enter(it);
	while (upt_json_next(&items))
		UPT_TRY(parse_role(&items, arena, d, err));
	return UPT_OK;
}

/* ---- an entry ---- */

static enum upt_code
parse_terminating(struct upt_json_iter *it, bool *out, struct upt_err *err)
{
	if (it->type != UPT_JSON_TRUE && it->type != UPT_JSON_FALSE)
		return upt_fail(err, UPT_E_MALFORMED, "terminating is neither true nor false");
	*out = it->type == UPT_JSON_TRUE;
	return UPT_OK;
}

static enum upt_code
parse_entry_member(
	struct upt_json_iter *it, struct upt_arena *arena, struct entry *entry, struct upt_err *err)
{
	struct upt_delegation *d = entry->d;

	if (upt_json_key_is(it, "name"))
		return parse_name(it, arena, &d->name, err);
	if (upt_json_key_is(it, "terminating"))
		return parse_terminating(it, &d->terminating, err);
	if (upt_json_key_is(it, "paths"))
		return upt_strings_parse(
			it, arena, UPT_MAX_PATHS, UPT_TARGET_NAME_MAX, &d->paths, &d->n_paths, err);
	if (upt_json_key_is(it, "path_hash_prefixes"))
		return upt_strings_parse(
			it, arena, UPT_MAX_PATHS, 64, &d->hash_prefixes, &d->n_hash_prefixes, err);
	if (upt_json_key_is(it, "hardwareIds")) {
		d->has_hardware_ids = true;
		return upt_strings_parse(it, arena, UPT_MAX_HARDWARE_IDS, UPT_HARDWARE_ID_MAX,
			&d->hardware_ids, &d->n_hardware_ids, err);
	}
	if (upt_json_key_is(it, "roleinfo"))
		return parse_roleinfo(it, arena, d, err);
	if (upt_json_key_is(it, "min_roles_in_agreement")) {
		entry->has_min_roles = true;
		if (!upt_json_u64(it, &d->min_roles))
			return upt_fail(
				err, UPT_E_MALFORMED, "min_roles_in_agreement is no whole number");
		return UPT_OK;
	}
	entry->has_keys = entry->has_keys || upt_json_key_is(it, "keyids") ||
			  upt_json_key_is(it, "threshold");
	return upt_role_keys_member(it, arena, &entry->keys, err);
}

static enum upt_code
finish_multi_role(const struct entry *entry, struct upt_err *err)
{
	const struct upt_delegation *d = entry->d;

	if (d->roles == NULL || !entry->has_min_roles || entry->has_keys)
		return upt_fail(err, UPT_E_MALFORMED,
			"delegation %s is to several roles, and has %s", d->name,
			entry->has_keys    ? "keyids or a threshold of its own"
			: d->roles == NULL ? "no roleinfo"
					   : "no min_roles_in_agreement");
	/* 0 would let anybody's listing pass, more than there are lets nobody's. */
	if (d->min_roles < 1 || d->min_roles > d->n_roles)
		return upt_fail(err, UPT_E_BAD_THRESHOLD,
			"delegation %s wants %llu of %zu roles to agree", d->name,
			(unsigned long long)d->min_roles, d->n_roles);
	return UPT_OK;
}

/* One role is a group of one. */
static enum upt_code
finish_single_role(struct entry *entry, struct upt_arena *arena, struct upt_err *err)
{
	struct upt_delegation *d = entry->d;

	UPT_TRY(check_role_name(d->name, err));
	UPT_TRY(upt_role_keys_check(&entry->keys, d->name, err));
	UPT_TRY(alloc_roles(arena, 1, d, err));
	d->roles[0] = (struct upt_delegated_role){.name = d->name, .keys = entry->keys};
	d->n_roles = 1;
	d->min_roles = 1;
	return UPT_OK;
}

static enum upt_code
check_paths(const struct upt_delegation *d, struct upt_err *err)
{
	if (d->paths != NULL && d->hash_prefixes != NULL)
		return upt_fail(err, UPT_E_MALFORMED,
			"delegation %s has paths and path_hash_prefixes", d->name);
	if (d->paths == NULL && d->hash_prefixes == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "delegation %s names no paths", d->name);
	return UPT_OK;
}

static enum upt_code
parse_entry(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_targets *targets = &m->targets;
	struct entry entry = {.d = &targets->delegations[targets->n_delegations]};
	struct upt_json_iter members = upt_json_enter(it);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "a delegation is no object");
	while (upt_json_next(&members))
		UPT_TRY(parse_entry_member(&members, &m->arena, &entry, err));
	if (entry.d->name == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "a delegation has no name");
	UPT_TRY(check_paths(entry.d, err));
	for (size_t i = 0; i < targets->n_delegations; i++) {
		if (strcmp(targets->delegations[i].name, entry.d->name) == 0)
			return upt_fail(
				err, UPT_E_MALFORMED, "two delegations called %s", entry.d->name);
	}
	if (entry.d->roles != NULL || entry.has_min_roles) {
		UPT_TRY(finish_multi_role(&entry, err));
		targets->has_multi_roles = true;
	} else {
		UPT_TRY(finish_single_role(&entry, &m->arena, err));
	}
	targets->n_delegations++;
	return UPT_OK;
}

/* ---- the list ---- */

static enum upt_code
parse_list(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter items;
	size_t n = 0;

	if (it->type != UPT_JSON_ARRAY)
		return upt_fail(err, UPT_E_MALFORMED, "delegations.roles is no list");
	items = upt_json_iter(upt_json_value(it));
	while (upt_json_next(&items))
		n++;
	if (n > UPT_MAX_DELEGATED_ROLES)
		return upt_fail(err, UPT_E_DELEGATION, "%zu delegations, more than the %d allowed",
			n, UPT_MAX_DELEGATED_ROLES);
	m->targets.delegations = upt_arena_alloc(&m->arena, n + 1, sizeof(*m->targets.delegations));
	if (m->targets.delegations == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu delegations", n);
	items = upt_json_enter(it);
	while (upt_json_next(&items))
		UPT_TRY(parse_entry(&items, m, err));
	return UPT_OK;
}

enum upt_code
upt_delegations_parse(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	size_t n_members = 0;

	if (it->type == UPT_JSON_NULL)
		return UPT_OK;
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "delegations is no object");
	while (upt_json_next(&members)) {
		n_members++;
		if (upt_json_key_is(&members, "keys"))
			UPT_TRY(upt_keyring_parse(&members, &m->arena,
				m->before != NULL ? &m->before->targets.keyring : NULL,
				&m->targets.keyring, err));
		else if (upt_json_key_is(&members, "roles"))
			UPT_TRY(parse_list(&members, m, err));
	}
	/* An empty object, or empty lists, delegate nothing. */
	m->targets.has_delegations = m->targets.n_delegations > 0 || m->targets.keyring.n_keys > 0;
	return UPT_OK;
}
