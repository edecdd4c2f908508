#include "metadata/roles.h"

static enum upt_code
parse_role(
	struct upt_json_iter *it, struct upt_metadata *m, enum upt_role role, struct upt_err *err)
{
	struct upt_role_keys *keys = &m->root.roles[role];
	struct upt_json_iter members = upt_json_enter(it);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "role %s is no object", upt_role_name(role));
	while (upt_json_next(&members))
		UPT_TRY(upt_role_keys_member(&members, &m->arena, keys, err));
	UPT_TRY(upt_role_keys_check(keys, upt_role_name(role), err));
	m->root.has_role[role] = true;
	return UPT_OK;
}

static enum upt_code
parse_roles(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "roles is no object");
	while (upt_json_next(&members)) {
		for (int role = 0; role < UPT_N_ROLES; role++) {
			if (upt_json_key_is(&members, upt_role_name((enum upt_role)role)))
				UPT_TRY(parse_role(&members, m, (enum upt_role)role, err));
		}
		/* Other roles (offline updates, mirrors) are somebody else's and ignored. */
	}
	return UPT_OK;
}

enum upt_code
upt_root_member(struct upt_json_iter *it, struct upt_metadata *m, struct upt_err *err)
{
	if (upt_json_key_is(it, "keys"))
		return upt_keyring_parse(it, &m->arena,
			m->before != NULL ? &m->before->root.keyring : NULL, &m->root.keyring, err);
	if (upt_json_key_is(it, "roles"))
		return parse_roles(it, m, err);
	if (upt_json_key_is(it, "consistent_snapshot")) {
		if (it->type != UPT_JSON_TRUE && it->type != UPT_JSON_FALSE)
			return upt_fail(err, UPT_E_MALFORMED,
				"consistent_snapshot is neither true nor false");
		m->root.consistent_snapshot = it->type == UPT_JSON_TRUE;
	}
	return UPT_OK;
}

enum upt_code
upt_root_complete(const struct upt_metadata *m, struct upt_err *err)
{
	if (m->root.keyring.keys == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "no keys");
	if (!m->root.has_role[UPT_ROLE_ROOT] || !m->root.has_role[UPT_ROLE_TARGETS])
		return upt_fail(err, UPT_E_MALFORMED, "role %s is not defined",
			m->root.has_role[UPT_ROLE_ROOT] ? "targets" : "root");
	/* Whether timestamp and snapshot may be missing is the trusted set's policy. */
	return UPT_OK;
}
