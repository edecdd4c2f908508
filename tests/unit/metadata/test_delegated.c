/* Delegated targets in the trusted set, and the file names and limits of all roles. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#define CONTENT upt_span("content", 7)

/* Top-level targets delegate to "a" (DEL_A) and "b" (DEL_B); the snapshot lists both as given. */
struct scene {
	struct upt_buf a, b;
};

static cJSON *
top(struct world *w, uint64_t version)
{
	cJSON *t = empty_targets(version);

	delegate(w, t, "a", K(DEL_A), 1, "a/*", false);
	delegate(w, t, "b", K(DEL_B), 1, "b/*", false);
	return t;
}

static void
list(struct world *w, uint64_t version, cJSON *targets, const struct scene *s)
{
	upt_cleanup(upt_buf_clear) struct upt_buf t = {0}, snapshot = {0};
	uint64_t own = (uint64_t)at(targets, "version")->valuedouble;
	cJSON *listing;

	sign_with(w, targets, K(TARG), &t);
	listing = snapshot_of(version, own, upt_buf_span(&t));
	if (s->a.len > 0)
		assert_code(upt_author_snapshot_add(
				    listing, "a.json", version, upt_buf_span(&s->a), NULL),
			UPT_OK);
	if (s->b.len > 0)
		assert_code(upt_author_snapshot_add(
				    listing, "b.json", version, upt_buf_span(&s->b), NULL),
			UPT_OK);
	sign_with(w, listing, K(SNAP), &snapshot);
	accepts(w, TIMESTAMP, timestamp_of(version, version, upt_buf_span(&snapshot)), K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	accepts_bytes(w, TARGETS, upt_buf_span(&t));
}

static const struct upt_delegated_role *
delegation(const struct upt_metadata *delegator, const char *name)
{
	for (size_t i = 0; i < delegator->targets.n_delegations; i++) {
		if (strcmp(delegator->targets.delegations[i].name, name) == 0)
			return &delegator->targets.delegations[i].roles[0];
	}
	fail_msg("no delegation to %s", name);
	return NULL;
}

static enum upt_code
give(struct world *w, const struct upt_metadata *from, const char *role, struct upt_span bytes,
	const struct upt_metadata **out)
{
	struct upt_buf buf = {0};
	struct upt_err err = {0};
	enum upt_code code;

	assert_code(upt_buf_append(&buf, bytes.data, bytes.len, NULL), UPT_OK);
	code = upt_trusted_set_update_delegated(
		w->set, from, delegation(from, role), &buf, NOW, out, &err);
	if (code == UPT_OK) {
		assert_null(buf.data);
		assert_non_null(*out);
	} else {
		assert_true(upt_span_equal(upt_buf_span(&buf), bytes));
		assert_null(*out);
		assert_code(err.code, code);
	}
	upt_buf_clear(&buf);
	return code;
}

static void
scene_clear(struct scene *s)
{
	upt_buf_clear(&s->a);
	upt_buf_clear(&s->b);
}

static void
delegated_role_needs_the_delegators_keys_and_the_listing(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	struct upt_buf other = {0};
	const struct upt_metadata *t, *out;

	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	sign_with(w, targets_with(1, "a/y", CONTENT), K(DEL_A), &other);
	list(w, 1, top(w, 1), &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(give(w, t, "a", upt_buf_span(&other), &out), UPT_E_HASH_MISMATCH);
	assert_code(give(w, t, "b", upt_buf_span(&s.a), &out), UPT_E_NOT_LISTED);
	assert_code(give(w, t, "a", upt_span_str("{}"), &out), UPT_E_MALFORMED);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_OK);
	assert_string_equal(out->name, "a");
	/* by other keys than its delegator's, not even by the top level's */
	sign_with(w, targets_with(2, "a/x", CONTENT), K(DEL_B) | K(TARG) | K(ROOT), &s.a);
	list(w, 2, top(w, 2), &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_E_THRESHOLD);
	scene_clear(&s);
	upt_buf_clear(&other);
}

static void
delegated_role_refuses_version_mismatch_and_expiry(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct upt_metadata *out;
	cJSON *expired = targets_with(2, "b/x", CONTENT);

	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	set_member(expired, "expires", cJSON_CreateString("2026-01-01T00:00:00Z"));
	sign_with(w, expired, K(DEL_B), &s.b);
	list(w, 2, top(w, 1), &s);
	assert_code(give(w, upt_trusted_set_targets(w->set), "a", upt_buf_span(&s.a), &out),
		UPT_E_VERSION_MISMATCH);
	assert_code(give(w, upt_trusted_set_targets(w->set), "b", upt_buf_span(&s.b), &out),
		UPT_E_EXPIRED);
	scene_clear(&s);
}

/* An image is installed on the word of a delegated role too: when that expires, so does the word. */
static void
first_expiry_of_what_is_current_counts_delegated_roles(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct upt_metadata *out;
	cJSON *short_lived = targets_with(1, "a/x", CONTENT);
	struct upt_trusted_set *empty = NULL;

	set_member(short_lived, "expires", cJSON_CreateString("2026-01-01T00:00:09Z"));
	sign_with(w, short_lived, K(DEL_A), &s.a);
	list(w, 1, top(w, 1), &s);
	assert_int_equal(upt_trusted_set_expires(w->set), LATER);
	assert_code(give(w, upt_trusted_set_targets(w->set), "a", upt_buf_span(&s.a), &out), UPT_OK);
	assert_int_equal(upt_trusted_set_expires(w->set), NOW + 9);
	scene_clear(&s);
	assert_code(upt_trusted_set_new(&w->policy, &empty, NULL), UPT_OK);
	assert_true(upt_trusted_set_expires(empty) == INT64_MAX);
	upt_trusted_set_free(&empty);
}

static void
delegated_role_too_large_is_refused(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct upt_metadata *out;

	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	w->policy.limits.delegated_max_bytes = s.a.len - 1;
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	list(w, 1, top(w, 1), &s);
	assert_code(give(w, upt_trusted_set_targets(w->set), "a", upt_buf_span(&s.a), &out),
		UPT_E_TOO_LARGE);
	scene_clear(&s);
}

/* Of all searches of a cycle together: what one search may load. */
static void
delegated_roles_together_are_bounded(void **state)
{
	struct world *w = *state;
	const struct upt_metadata *t, *out;
	struct scene s = {0};

	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	sign_with(w, targets_with(1, "b/x", CONTENT), K(DEL_B), &s.b);
	for (unsigned room = 0; room < 2; room++) {
		w->policy.limits.max_delegations = 1;
		w->policy.limits.delegated_max_bytes = s.a.len + s.b.len - 1 + room;
		world_reset(w);
		accepts(w, PIN, plain_root(w, 1), K(ROOT));
		assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
		list(w, 1, top(w, 1), &s);
		t = upt_trusted_set_targets(w->set);
		assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_OK);
		assert_code(give(w, t, "b", upt_buf_span(&s.b), &out),
			room ? UPT_OK : UPT_E_DELEGATION);
		/* What is held stays, and the next cycle begins anew. */
		assert_code(
			upt_trusted_set_find_delegated(w->set, t, delegation(t, "a"), &out, NULL),
			UPT_OK);
		assert_non_null(out);
		list(w, 1, top(w, 1), &s);
		t = upt_trusted_set_targets(w->set);
		assert_code(give(w, t, "b", upt_buf_span(&s.b), &out), UPT_OK);
	}
	scene_clear(&s);
}

/* A role reached by two paths is trusted through each by itself. */
static void
role_reached_twice_must_satisfy_both_delegators(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	struct upt_err err = {0};
	const struct upt_metadata *t, *a, *b, *again;
	cJSON *ta = targets_with(1, "a/x", CONTENT);

	/* a delegates to b with another key than the top level does */
	delegate(w, ta, "b", K(DEL_C), 1, "*", false);
	sign_with(w, ta, K(DEL_A), &s.a);
	sign_with(w, targets_with(1, "b/x", CONTENT), K(DEL_B), &s.b);
	list(w, 1, top(w, 1), &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(upt_trusted_set_find_delegated(w->set, t, delegation(t, "b"), &again, &err),
		UPT_OK);
	assert_null(again);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &a), UPT_OK);
	assert_code(give(w, t, "b", upt_buf_span(&s.b), &b), UPT_OK);
	assert_code(upt_trusted_set_find_delegated(w->set, t, delegation(t, "b"), &again, &err),
		UPT_OK);
	assert_ptr_equal(again, b);
	assert_code(upt_trusted_set_find_delegated(w->set, a, delegation(a, "b"), &again, &err),
		UPT_E_THRESHOLD);
	assert_null(again);
	assert_int_equal(err.repo, UPT_REPO_IMAGE);
	/* it is not loaded a second time: a search may stand on it */
	assert_code(give(w, t, "b", upt_buf_span(&s.b), &again), UPT_E_INTERNAL);
	scene_clear(&s);
}

static void
only_a_current_document_delegates(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	upt_cleanup(upt_metadata_free) struct upt_metadata *foreign = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_metadata *out, *t;

	sign_with(w, targets_with(1, "a/x", CONTENT), K(THIEF), &s.a);
	list(w, 1, top(w, 1), &s);
	/* a document that nobody accepted delegates "a" to the thief */
	{
		cJSON *evil = empty_targets(1);

		delegate(w, evil, "a", K(THIEF), 1, "*", false);
		sign_with(w, evil, 0, &bytes);
	}
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "evil", &bytes, &foreign, NULL), UPT_OK);
	assert_code(give(w, foreign, "a", upt_buf_span(&s.a), &out), UPT_E_INTERNAL);
	t = upt_trusted_set_targets(w->set);
	assert_code(upt_trusted_set_update_delegated(w->set, t,
			    &foreign->targets.delegations[0].roles[0], &s.a, NOW, &out, NULL),
		UPT_E_INTERNAL);
	assert_code(upt_trusted_set_find_delegated(
			    w->set, foreign, &foreign->targets.delegations[0].roles[0], &out, NULL),
		UPT_E_INTERNAL);
	scene_clear(&s);
}

/* 9.4: the snapshot's own listing cannot go back, but after its keys rotated there is no previous
 * one. */
static void
delegated_role_refuses_rollback_below_its_stored_copy(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	struct upt_buf old = {0}, thiefs = {0};
	const struct upt_metadata *t, *out;
	const struct upt_delegated_role *d;

	sign_with(w, targets_with(7, "a/x", CONTENT), K(DEL_A), &old);
	sign_with(w, targets_with(9, "a/x", CONTENT), K(THIEF), &thiefs);
	sign_with(w, targets_with(5, "a/x", CONTENT), K(DEL_A), &s.a);
	list(w, 5, top(w, 1), &s);
	t = upt_trusted_set_targets(w->set);
	d = delegation(t, "a");
	/* a copy that the delegator's keys did not sign is no previous one */
	assert_code(
		upt_trusted_set_restore_delegated(w->set, t, d, &thiefs, NULL), UPT_E_THRESHOLD);
	assert_true(thiefs.len > 0);
	assert_code(upt_trusted_set_restore_delegated(w->set, t, d, &old, NULL), UPT_OK);
	assert_int_equal(old.len, 0);
	/* and a restored one is not found as if it were current */
	assert_code(upt_trusted_set_find_delegated(w->set, t, d, &out, NULL), UPT_OK);
	assert_null(out);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_E_ROLLBACK);
	sign_with(w, targets_with(7, "a/x", CONTENT), K(DEL_A), &s.a);
	list(w, 7, top(w, 1), &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_OK);
	scene_clear(&s);
	upt_buf_clear(&old);
	upt_buf_clear(&thiefs);
}

static void
restored_delegated_role_gives_way_to_a_newer_one(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	struct upt_buf old = {0}, older = {0};
	const struct upt_metadata *t, *out;

	sign_with(w, targets_with(3, "a/x", CONTENT), K(DEL_A), &old);
	sign_with(w, targets_with(2, "a/x", CONTENT), K(DEL_A), &older);
	sign_with(w, targets_with(4, "a/x", CONTENT), K(DEL_A), &s.a);
	list(w, 4, top(w, 1), &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(upt_trusted_set_restore_delegated(w->set, t, delegation(t, "a"), &old, NULL),
		UPT_OK);
	assert_code(upt_trusted_set_restore_delegated(w->set, t, delegation(t, "a"), &older, NULL),
		UPT_E_ROLLBACK);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_OK);
	assert_int_equal(out->version, 4);
	assert_code(upt_trusted_set_restore_delegated(w->set, t, delegation(t, "a"), &older, NULL),
		UPT_E_INTERNAL);
	upt_buf_clear(&old);
	upt_buf_clear(&older);
	scene_clear(&s);
}

/* ---- shapes of delegations ---- */

static void
delegations_of_a_wrong_shape_are_refused(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *path, *json;
		enum upt_code want;
	} cases[] = {
		{"delegations", "[]", UPT_E_MALFORMED},
		{"delegations/roles", "{}", UPT_E_MALFORMED},
		{"delegations/roles/0", "1", UPT_E_MALFORMED},
		{"delegations/roles/0/name", NULL, UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"\"", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "1", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"root\"", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"timestamp\"", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"snapshot\"", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"targets\"", UPT_E_MALFORMED},
		{"delegations/roles/0/name", "\"b\"", UPT_E_MALFORMED}, /* twice */
		{"delegations/roles/0/paths", NULL, UPT_E_MALFORMED},
		{"delegations/roles/0/paths", "\"*\"", UPT_E_MALFORMED},
		{"delegations/roles/0/paths", "[1]", UPT_E_MALFORMED},
		{"delegations/roles/0/path_hash_prefixes", "[\"00\"]",
			UPT_E_MALFORMED}, /* and paths */
		{"delegations/roles/0/terminating", "\"true\"", UPT_E_MALFORMED},
		{"delegations/roles/0/threshold", "0", UPT_E_BAD_THRESHOLD},
		{"delegations/roles/0/threshold", NULL, UPT_E_MALFORMED},
		{"delegations/roles/0/keyids", NULL, UPT_E_MALFORMED},
		{"delegations/roles/0/keyids", "[\"a\",\"a\"]", UPT_E_DUPLICATE_KEYID},
		{"delegations/roles/0/hardwareIds", "\"hw\"", UPT_E_MALFORMED},
		/* half of the shape of several roles */
		{"delegations/roles/0/min_roles_in_agreement", "1", UPT_E_MALFORMED},
		{"delegations/roles/0/roleinfo", "[]", UPT_E_MALFORMED},
		{"delegations/keys", "[]", UPT_E_MALFORMED},
	};
	struct upt_metadata *out;
	struct upt_buf bytes = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *t = top(w, 1);

		if (cases[i].json == NULL)
			drop_member(t, cases[i].path);
		else
			set_member(t, cases[i].path, cJSON_Parse(cases[i].json));
		sign_with(w, t, K(TARG), &bytes);
		assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &out, NULL),
			cases[i].want);
		assert_null(out);
		assert_true(bytes.len > 0);
	}
	sign_with(w, top(w, 1), K(TARG), &bytes);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &out, NULL), UPT_OK);
	assert_true(out->targets.has_delegations);
	upt_metadata_free(&out);
}

/* "team" is both "a" and "b", of which one must agree. */
static cJSON *
team(struct world *w)
{
	const struct named_keys roles[] = {{"a", K(DEL_A)}, {"b", K(DEL_B)}};
	cJSON *t = top(w, 1);

	delegate_to_several(w, t, "team", roles, 2, 1, "*", true);
	return t;
}

static void
delegation_to_several_roles_is_read_beside_others(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	const struct upt_delegation *d;
	cJSON *t = team(w);

	set_member(t, "delegations/roles/2/min_roles_in_agreement", cJSON_CreateNumber(2));
	set_member(t, "delegations/roles/2/hardwareIds", cJSON_Parse("[\"hw\"]"));
	sign_with(w, t, K(TARG), &bytes);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &m, NULL), UPT_OK);
	assert_true(m->targets.has_multi_roles);
	assert_int_equal(m->targets.n_delegations, 3);
	d = &m->targets.delegations[1];
	assert_int_equal(d->n_roles, 1);
	assert_int_equal(d->min_roles, 1);
	assert_string_equal(d->roles[0].name, "b");
	d = &m->targets.delegations[2];
	assert_string_equal(d->name, "team");
	assert_int_equal(d->n_roles, 2);
	assert_int_equal(d->min_roles, 2);
	assert_true(d->terminating);
	assert_string_equal(d->paths[0], "*");
	assert_string_equal(d->hardware_ids[0], "hw");
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(d->roles[i].name, i == 0 ? "a" : "b");
		assert_int_equal(d->roles[i].keys.threshold, 1);
		assert_int_equal(d->roles[i].keys.n_keyids, 1);
	}
	assert_string_not_equal(d->roles[0].keys.keyids[0], d->roles[1].keys.keyids[0]);
}

static void
delegations_to_several_roles_of_a_wrong_shape_are_refused(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *member, *json;
		enum upt_code want;
	} cases[] = {
		{"name", NULL, UPT_E_MALFORMED},
		{"name", "\"a\"", UPT_E_MALFORMED}, /* another delegation's */
		{"name", "1", UPT_E_MALFORMED}, {"min_roles_in_agreement", NULL, UPT_E_MALFORMED},
		{"min_roles_in_agreement", "\"1\"", UPT_E_MALFORMED},
		{"min_roles_in_agreement", "true", UPT_E_MALFORMED},
		{"min_roles_in_agreement", "0", UPT_E_BAD_THRESHOLD},
		{"min_roles_in_agreement", "3", UPT_E_BAD_THRESHOLD},
		{"roleinfo", NULL, UPT_E_MALFORMED}, {"roleinfo", "{}", UPT_E_MALFORMED},
		{"roleinfo", "[]", UPT_E_MALFORMED}, {"roleinfo/0", "\"a\"", UPT_E_MALFORMED},
		{"roleinfo/0/rolename", NULL, UPT_E_MALFORMED},
		{"roleinfo/0/rolename", "1", UPT_E_MALFORMED},
		{"roleinfo/0/rolename", "\"\"", UPT_E_MALFORMED},
		{"roleinfo/0/rolename", "\"b\"", UPT_E_MALFORMED}, /* twice */
		{"roleinfo/0/rolename", "\"root\"", UPT_E_MALFORMED},
		{"roleinfo/1/rolename", "\"targets\"", UPT_E_MALFORMED},
		{"roleinfo/1/keyids", NULL, UPT_E_MALFORMED},
		{"roleinfo/1/keyids", "[\"k\",\"k\"]", UPT_E_DUPLICATE_KEYID},
		{"roleinfo/1/threshold", NULL, UPT_E_MALFORMED},
		{"roleinfo/1/threshold", "0", UPT_E_BAD_THRESHOLD},
		{"keyids", "[\"k\"]", UPT_E_MALFORMED}, /* half of the other shape */
		{"threshold", "1", UPT_E_MALFORMED}, {"paths", NULL, UPT_E_MALFORMED},
		{"path_hash_prefixes", "[\"00\"]", UPT_E_MALFORMED}, /* and paths */
	};
	struct upt_metadata *out;
	struct upt_buf bytes = {0};
	char path[80];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *t = team(w);

		snprintf(path, sizeof(path), "delegations/roles/2/%s", cases[i].member);
		if (cases[i].json == NULL)
			drop_member(t, path);
		else
			set_member(t, path, cJSON_Parse(cases[i].json));
		sign_with(w, t, K(TARG), &bytes);
		assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &out, NULL),
			cases[i].want);
		assert_null(out);
		assert_true(bytes.len > 0);
	}
	sign_with(w, team(w), K(TARG), &bytes);
	assert_code(upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &out, NULL), UPT_OK);
	upt_metadata_free(&out);
}

static enum upt_code
read_roles(struct world *w, size_t n)
{
	upt_cleanup(upt_metadata_free) struct upt_metadata *m = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct named_keys roles[UPT_MAX_MULTI_ROLES + 1];
	char names[UPT_MAX_MULTI_ROLES + 1][24];
	cJSON *t = empty_targets(1);

	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "r%zu", i);
		roles[i] = (struct named_keys){names[i], K(DEL_A)};
	}
	delegate_to_several(w, t, "team", roles, n, (unsigned)n, "*", false);
	sign_with(w, t, K(TARG), &bytes);
	return upt_metadata_parse(UPT_ROLE_TARGETS, "targets", &bytes, &m, NULL);
}

static void
number_of_roles_in_a_delegation_is_bounded(void **state)
{
	assert_code(read_roles(*state, 1), UPT_OK);
	assert_code(read_roles(*state, UPT_MAX_MULTI_ROLES), UPT_OK);
	assert_code(read_roles(*state, UPT_MAX_MULTI_ROLES + 1), UPT_E_DELEGATION);
}

/* Its members are looked up one by one, each by the keys that stand beside its name. */
static void
each_of_several_roles_is_checked_by_its_own_keys(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct named_keys roles[] = {{"a", K(DEL_A)}, {"b", K(DEL_B)}};
	const struct upt_metadata *t, *out;
	const struct upt_delegated_role *members;
	cJSON *payload = empty_targets(1);

	delegate_to_several(w, payload, "team", roles, 2, 2, "*", false);
	sign_with(w, targets_with(1, "x", CONTENT), K(DEL_A), &s.a);
	sign_with(w, targets_with(1, "x", CONTENT), K(DEL_A), &s.b);
	list(w, 1, payload, &s);
	t = upt_trusted_set_targets(w->set);
	members = t->targets.delegations[0].roles;
	assert_code(upt_trusted_set_update_delegated(w->set, t, &members[1], &s.b, NOW, &out, NULL),
		UPT_E_THRESHOLD);
	assert_null(out);
	assert_code(upt_trusted_set_update_delegated(w->set, t, &members[0], &s.a, NOW, &out, NULL),
		UPT_OK);
	assert_string_equal(out->name, "a");
	scene_clear(&s);
}

/* One document may name a role in two delegations, each with keys of its own. */
static void
role_in_two_delegations_answers_to_both(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct named_keys roles[] = {{"a", K(DEL_C)}, {"b", K(DEL_B)}};
	const struct upt_metadata *t, *out;
	const struct upt_delegated_role *members;
	cJSON *payload = top(w, 1);

	delegate_to_several(w, payload, "team", roles, 2, 2, "*", false);
	sign_with(w, targets_with(1, "x", CONTENT), K(DEL_A), &s.a);
	sign_with(w, targets_with(1, "x", CONTENT), K(DEL_B), &s.b);
	list(w, 1, payload, &s);
	t = upt_trusted_set_targets(w->set);
	assert_code(give(w, t, "a", upt_buf_span(&s.a), &out), UPT_OK);
	assert_code(give(w, t, "b", upt_buf_span(&s.b), &out), UPT_OK);
	members = t->targets.delegations[2].roles;
	assert_code(upt_trusted_set_find_delegated(w->set, t, &members[0], &out, NULL),
		UPT_E_THRESHOLD);
	assert_null(out);
	assert_code(upt_trusted_set_find_delegated(w->set, t, &members[1], &out, NULL), UPT_OK);
	assert_string_equal(out->name, "b");
	scene_clear(&s);
}

/* TAP 3 is no part of plain TUF. */
static void
plain_tuf_refuses_delegations_to_several_roles(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	struct upt_buf bytes = {0}, snapshot = {0};

	w->policy.single_role_delegations = true;
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	sign_with(w, team(w), K(TARG), &bytes);
	sign_with(w, snapshot_of(1, 1, upt_buf_span(&bytes)), K(SNAP), &snapshot);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&snapshot)), K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	refuses_bytes(w, TARGETS, upt_buf_span(&bytes), UPT_E_MALFORMED);
	list(w, 2, top(w, 2), &s);
	upt_buf_clear(&bytes);
	upt_buf_clear(&snapshot);
}

/* ---- names and limits ---- */

static void
assert_name(struct world *w, enum upt_role role, const char *name, const char *want)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};

	assert_code(upt_trusted_set_file_name(w->set, role, name, 12, &out, NULL), UPT_OK);
	assert_string_equal((const char *)out.data, want);
}

static void
file_names_are_versioned_in_a_consistent_repository(void **state)
{
	struct world *w = *state;
	struct scene s = {0};

	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	assert_name(w, UPT_ROLE_ROOT, NULL, "12.root.json");
	assert_name(w, UPT_ROLE_TIMESTAMP, NULL, "timestamp.json");
	list(w, 34, top(w, 9), &s);
	assert_name(w, UPT_ROLE_TIMESTAMP, NULL, "timestamp.json");
	assert_name(w, UPT_ROLE_SNAPSHOT, NULL, "34.snapshot.json");
	assert_name(w, UPT_ROLE_TARGETS, NULL, "9.targets.json");
	assert_name(w, UPT_ROLE_TARGETS, "a", "34.a.json");
	w->policy.delegations_in_folder = true; /* copied when the set was made: no effect */
	assert_name(w, UPT_ROLE_TARGETS, "a", "34.a.json");
	scene_clear(&s);
}

static void
file_names_are_plain_without_consistent_snapshots(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {1, K(ROOT), K(TIME), K(SNAP), K(TARG), 1, true};
	struct scene s = {0};

	w->policy.delegations_in_folder = true;
	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	world_reset(w);
	accepts(w, PIN, plan_root(w, &plan), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	list(w, 34, top(w, 9), &s);
	assert_name(w, UPT_ROLE_ROOT, NULL, "12.root.json");
	assert_name(w, UPT_ROLE_SNAPSHOT, NULL, "snapshot.json");
	assert_name(w, UPT_ROLE_TARGETS, NULL, "targets.json");
	assert_name(w, UPT_ROLE_TARGETS, "a", "delegations/a.json");
	scene_clear(&s);
}

static void
role_names_cannot_leave_the_folder(void **state)
{
	struct world *w = *state;

	assert_name(w, UPT_ROLE_TARGETS, "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json");
	assert_name(w, UPT_ROLE_TARGETS, "..", "%2E..json");
	assert_name(w, UPT_ROLE_TARGETS, ".hidden", "%2Ehidden.json");
	assert_name(w, UPT_ROLE_TARGETS, "a%2Fb", "a%252Fb.json");
	assert_name(w, UPT_ROLE_TARGETS, "a?b#c d\\e:f", "a%3Fb%23c%20d%5Ce%3Af.json");
	assert_name(w, UPT_ROLE_TARGETS,
		"gr\xc3\xb6\xc3\x9f"
		"e",
		"gr%C3%B6%C3%9Fe.json");
	assert_name(w, UPT_ROLE_TARGETS, "1.2~a_b-c", "1.2~a_b-c.json");
}

static void
fetch_limit_is_the_listed_length_when_that_is_less(void **state)
{
	struct world *w = *state;
	struct scene s = {0};
	const struct upt_limits *limits = &w->policy.limits;

	assert_int_equal(
		upt_trusted_set_fetch_limit(w->set, UPT_ROLE_ROOT, NULL), limits->root_max_bytes);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_TIMESTAMP, NULL),
		limits->timestamp_max_bytes);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_SNAPSHOT, NULL),
		limits->snapshot_max_bytes);
	sign_with(w, targets_with(1, "a/x", CONTENT), K(DEL_A), &s.a);
	list(w, 1, top(w, 1), &s);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_SNAPSHOT, NULL),
		upt_trusted_set_snapshot(w->set)->bytes.len);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_TARGETS, NULL),
		upt_trusted_set_targets(w->set)->bytes.len);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_TARGETS, "a"), s.a.len);
	assert_int_equal(upt_trusted_set_fetch_limit(w->set, UPT_ROLE_TARGETS, "not-listed"),
		limits->delegated_max_bytes);
	scene_clear(&s);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(delegated_role_needs_the_delegators_keys_and_the_listing),
		T(delegated_role_refuses_version_mismatch_and_expiry),
		T(first_expiry_of_what_is_current_counts_delegated_roles),
		T(delegated_role_too_large_is_refused),
		T(delegated_roles_together_are_bounded),
		T(role_reached_twice_must_satisfy_both_delegators),
		T(only_a_current_document_delegates),
		T(delegated_role_refuses_rollback_below_its_stored_copy),
		T(restored_delegated_role_gives_way_to_a_newer_one),
		T(delegations_of_a_wrong_shape_are_refused),
		T(delegation_to_several_roles_is_read_beside_others),
		T(delegations_to_several_roles_of_a_wrong_shape_are_refused),
		T(number_of_roles_in_a_delegation_is_bounded),
		T(each_of_several_roles_is_checked_by_its_own_keys),
		T(role_in_two_delegations_answers_to_both),
		T(plain_tuf_refuses_delegations_to_several_roles),
		T(file_names_are_versioned_in_a_consistent_repository),
		T(file_names_are_plain_without_consistent_snapshots),
		T(role_names_cannot_leave_the_folder),
		T(fetch_limit_is_the_listed_length_when_that_is_less),
	};
	return cmocka_run_group_tests_name("delegated", tests, NULL, NULL);
}
