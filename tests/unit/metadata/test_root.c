/* check_root: every refusal beside an accepted twin. */
#include "world.h"

#include <string.h>

static void
pinned_root_must_sign_itself(void **state)
{
	struct world *w = *state;

	world_reset(w);
	refuses(w, PIN, plain_root(w, 1), K(THIEF), UPT_E_THRESHOLD);
	refuses(w, PIN, plain_root(w, 1), 0, UPT_E_THRESHOLD);
	assert_null(upt_trusted_set_root(w->set));
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_int_equal(upt_trusted_set_root(w->set)->version, 1);
}

static void
next_root_needs_the_old_keys_and_its_own(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {2, K(ROOT2), K(TIME), K(SNAP), K(TARG), 1, false};

	refuses(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT), UPT_E_THRESHOLD);
	refuses(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT2), UPT_E_THRESHOLD);
	accepts(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT) | K(ROOT2));
	assert_int_equal(upt_trusted_set_root(w->set)->version, 2);
}

static void
next_root_needs_both_thresholds(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {
		2, K(ROOT) | K(ROOT2) | K(ROOT3), K(TIME), K(SNAP), K(TARG), 2, false};

	refuses(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT), UPT_E_THRESHOLD);
	accepts(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT) | K(ROOT3));
	/* and now two of the old ones */
	plan.version = 3;
	plan.root_threshold = 1;
	refuses(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT), UPT_E_THRESHOLD);
	accepts(w, NEXT_ROOT, plan_root(w, &plan), K(ROOT) | K(ROOT2));
}

static void
root_refuses_version_gap_and_rollback(void **state)
{
	struct world *w = *state;

	refuses(w, NEXT_ROOT, plain_root(w, 3), K(ROOT), UPT_E_VERSION_GAP);
	refuses(w, NEXT_ROOT, plain_root(w, 1), K(ROOT), UPT_E_ROLLBACK);
	accepts(w, NEXT_ROOT, plain_root(w, 2), K(ROOT));
	refuses(w, NEXT_ROOT, plain_root(w, 2), K(ROOT), UPT_E_ROLLBACK);
	refuses(w, NEXT_ROOT, plain_root(w, 1), K(ROOT), UPT_E_ROLLBACK);
}

static void
root_steps_past_an_expired_one_and_refuses_to_end_there(void **state)
{
	struct world *w = *state;
	cJSON *expired = plain_root(w, 2);
	struct upt_err err = {0};

	set_member(expired, "expires", cJSON_CreateString("2025-12-31T23:59:59Z"));
	accepts(w, NEXT_ROOT, expired, K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, &err), UPT_E_EXPIRED);
	assert_int_equal(err.repo, UPT_REPO_IMAGE);
	/* nothing goes on under it */
	refuses_bytes(w, TIMESTAMP, upt_span_str("{}"), UPT_E_INTERNAL);
	accepts(w, NEXT_ROOT, plain_root(w, 3), K(ROOT));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
}

static void
root_expires_at_the_second_it_names(void **state)
{
	struct world *w = *state;

	assert_code(upt_trusted_set_finish_root(w->set, LATER, NULL), UPT_E_EXPIRED);
	assert_code(upt_trusted_set_finish_root(w->set, LATER - 1, NULL), UPT_OK);
}

static void
root_update_needs_a_pinned_one(void **state)
{
	struct world *w = *state;

	world_reset(w);
	refuses(w, NEXT_ROOT, plain_root(w, 1), K(ROOT), UPT_E_INTERNAL);
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_E_INTERNAL);
}

static void
root_without_timestamp_or_snapshot_is_for_a_director_of_profile_ota(void **state)
{
	struct world *w = *state;
	struct root_plan both = {1, K(ROOT), 0, 0, K(TARG), 1, false};
	struct root_plan one = {1, K(ROOT), K(TIME), 0, K(TARG), 1, false};

	world_reset(w);
	refuses(w, PIN, plan_root(w, &both), K(ROOT), UPT_E_MALFORMED);
	w->policy.allow_targets_only = true;
	world_reset(w);
	refuses(w, PIN, plan_root(w, &one), K(ROOT), UPT_E_MALFORMED);
	one.timestamp = 0;
	one.snapshot = K(SNAP);
	refuses(w, PIN, plan_root(w, &one), K(ROOT), UPT_E_MALFORMED);
	accepts(w, PIN, plan_root(w, &both), K(ROOT));
	assert_true(upt_trusted_set_targets_only(w->set));
}

static void
root_that_lists_timestamp_and_snapshot_binds_also_in_profile_ota(void **state)
{
	struct world *w = *state;

	w->policy.allow_targets_only = true;
	world_reset(w);
	accepts(w, PIN, plain_root(w, 1), K(ROOT));
	assert_false(upt_trusted_set_targets_only(w->set));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	refuses(w, TARGETS, empty_targets(1), K(TARG), UPT_E_INTERNAL);
}

static void
root_refuses_shapes_that_are_none(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *path;
		const char *json; /* NULL: removed */
		enum upt_code want;
	} cases[] = {
		{"_type", "\"targets\"", UPT_E_WRONG_ROLE},
		{"_type", "1", UPT_E_MALFORMED},
		{"_type", NULL, UPT_E_WRONG_ROLE},
		{"version", "0", UPT_E_MALFORMED},
		{"version", "\"2\"", UPT_E_MALFORMED},
		{"version", NULL, UPT_E_MALFORMED},
		{"expires", "\"2027-01-01T00:00:00+00:00\"", UPT_E_MALFORMED},
		{"expires", "1800000000", UPT_E_MALFORMED},
		{"expires", NULL, UPT_E_MALFORMED},
		{"keys", NULL, UPT_E_MALFORMED},
		{"keys", "[]", UPT_E_MALFORMED},
		{"keys", "{\"a\":1}", UPT_E_MALFORMED},
		{"roles", NULL, UPT_E_MALFORMED},
		{"roles", "[]", UPT_E_MALFORMED},
		{"roles/root", NULL, UPT_E_MALFORMED},
		{"roles/targets", NULL, UPT_E_MALFORMED},
		{"roles/root/threshold", NULL, UPT_E_MALFORMED},
		{"roles/root/threshold", "0", UPT_E_BAD_THRESHOLD},
		{"roles/snapshot/threshold", "0", UPT_E_BAD_THRESHOLD},
		{"roles/root/threshold", "\"1\"", UPT_E_MALFORMED},
		{"roles/root/keyids", NULL, UPT_E_MALFORMED},
		{"roles/root/keyids", "{}", UPT_E_MALFORMED},
		{"roles/root/keyids", "[1]", UPT_E_MALFORMED},
		{"roles/root/keyids", "[\"a\",\"a\"]", UPT_E_DUPLICATE_KEYID},
		{"consistent_snapshot", "1", UPT_E_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *root = plain_root(w, 2);

		if (cases[i].json == NULL)
			drop_member(root, cases[i].path);
		else
			set_member(root, cases[i].path, cJSON_Parse(cases[i].json));
		refuses(w, NEXT_ROOT, root, K(ROOT), cases[i].want);
	}
	accepts(w, NEXT_ROOT, plain_root(w, 2), K(ROOT));
}

static void
root_too_large_is_refused_before_it_is_read(void **state)
{
	struct world *w = *state;
	struct upt_buf root = {0};

	sign_with(w, plain_root(w, 2), K(ROOT), &root);
	w->policy.limits.root_max_bytes = root.len - 1;
	world_reset(w);
	refuses_bytes(w, PIN, upt_buf_span(&root), UPT_E_TOO_LARGE);
	w->policy.limits.root_max_bytes = root.len;
	world_reset(w);
	accepts_bytes(w, PIN, upt_buf_span(&root));
	upt_buf_clear(&root);
}

/* ---- 6.7 ---- */

static bool
next_root(struct world *w, const struct root_plan *plan, unsigned keys)
{
	struct upt_buf bytes = {0};
	bool drop_others = false;

	sign_with(w, plan_root(w, plan), keys, &bytes);
	assert_code(upt_trusted_set_update_root(w->set, &bytes, &drop_others, NULL), UPT_OK);
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	return drop_others;
}

static void
rotation_drops_timestamp_and_snapshot_and_heals_a_fast_forward(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {2, K(ROOT), K(TIME2), K(SNAP), K(TARG), 1, false};
	struct release r = {0};

	/* The thief of the timestamp and snapshot keys went far ahead. */
	release_make(w, empty_targets(1), 9000000000, &r);
	accepts_release(w, &r);
	assert_true(next_root(w, &plan, K(ROOT)));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_TIMESTAMP));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_SNAPSHOT));
	assert_null(upt_trusted_set_targets(w->set));
	/* the old key is worth nothing, the new one may start small */
	refuses_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp), UPT_E_THRESHOLD);
	sign_with(w, snapshot_of(2, 1, upt_buf_span(&r.targets)), K(SNAP), &r.snapshot);
	accepts(w, TIMESTAMP, timestamp_of(2, 2, upt_buf_span(&r.snapshot)), K(TIME2));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot));
	accepts_bytes(w, TARGETS, upt_buf_span(&r.targets));
	release_clear(&r);
}

static void
root_with_the_same_keys_keeps_what_was_learnt(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {2, K(ROOT) | K(ROOT2), K(TIME), K(SNAP), K(TARG), 1, false};
	struct release r = {0}, old = {0};

	release_make(w, empty_targets(1), 4, &old);
	release_make(w, empty_targets(1), 5, &r);
	accepts_release(w, &r);
	assert_false(next_root(w, &plan, K(ROOT)));
	/* held as the previous one, current no more: it was checked under another root */
	assert_null(upt_trusted_set_timestamp(w->set));
	assert_null(upt_trusted_set_snapshot(w->set));
	assert_null(upt_trusted_set_targets(w->set));
	refuses_bytes(w, TIMESTAMP, upt_buf_span(&old.timestamp), UPT_E_ROLLBACK);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
	assert_true(upt_trusted_set_confirm_snapshot(w->set, NOW));
	assert_true(upt_trusted_set_confirm_targets(w->set, NOW));
	release_clear(&r);
	release_clear(&old);
}

static void
rotation_is_seen_in_values_and_thresholds_not_in_key_ids(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {2, K(ROOT), K(TIME), K(SNAP) | K(SNAP2), K(TARG), 1, false};
	cJSON *root, *key;
	struct upt_buf bytes = {0};
	bool drop_others = true;
	char id[65];

	assert_true(next_root(w, &plan, K(ROOT))); /* one key more */
	plan.version = 3;
	root = plan_root(w, &plan);
	set_member(root, "roles/snapshot/threshold", cJSON_CreateNumber(2));
	sign_with(w, root, K(ROOT), &bytes);
	assert_code(upt_trusted_set_update_root(w->set, &bytes, &drop_others, NULL), UPT_OK);
	assert_true(drop_others);
	/* the same key under another name is no rotation */
	plan.version = 4;
	root = plan_root(w, &plan);
	set_member(root, "roles/snapshot/threshold", cJSON_CreateNumber(2));
	upt_private_key_id(w->keys[TIME], id);
	key = cJSON_DetachItemFromObjectCaseSensitive(at(root, "keys"), id);
	set_member(root, "keys/another-name", key);
	set_member(root, "roles/timestamp/keyids", cJSON_Parse("[\"another-name\"]"));
	sign_with(w, root, K(ROOT), &bytes);
	assert_code(upt_trusted_set_update_root(w->set, &bytes, &drop_others, NULL), UPT_OK);
	assert_false(drop_others);
}

/* A thief of the timestamp's key went ahead; a root that merely stops naming the role, and one that
 * names it again, must not bring his version back. */
static void
role_that_appears_or_vanishes_is_a_rotation(void **state)
{
	struct root_plan with = {1, K(ROOT), K(TIME), K(SNAP), K(TARG), 1, false};
	struct root_plan without = {2, K(ROOT), 0, 0, K(TARG), 1, false};
	struct world w;

	(void)state;
	world_init(&w, UPT_REPO_DIRECTOR);
	w.policy.allow_targets_only = true;
	world_reset(&w);
	accepts(&w, PIN, plan_root(&w, &with), K(ROOT));
	assert_true(next_root(&w, &without, K(ROOT)));
	without.version = 3;
	assert_false(next_root(&w, &without, K(ROOT)));
	with.version = 4;
	assert_true(next_root(&w, &with, K(ROOT)));
	with.version = 5;
	assert_false(next_root(&w, &with, K(ROOT)));
	world_clear(&w);
}

static void
rotation_of_the_targets_key_disowns_the_held_targets(void **state)
{
	struct world *w = *state;
	struct root_plan plan = {2, K(ROOT), K(TIME), K(SNAP), K(TARG2), 1, false};
	struct upt_buf targets = {0}, snapshot = {0}, restored = {0};

	/* restored as a previous version: the thief of the old key chose it */
	sign_with(w, empty_targets(9000000000), K(TARG), &restored);
	accepts_bytes(w, RESTORE_TARGETS, upt_buf_span(&restored));
	assert_false(next_root(w, &plan, K(ROOT)));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_TARGETS));
	sign_with(w, empty_targets(2), K(TARG2), &targets);
	sign_with(w, snapshot_of(1, 2, upt_buf_span(&targets)), K(SNAP), &snapshot);
	accepts(w, TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&snapshot)), K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	accepts_bytes(w, TARGETS, upt_buf_span(&targets));
	upt_buf_clear(&targets);
	upt_buf_clear(&snapshot);
	upt_buf_clear(&restored);
}

/* Confirming looks at hash and version: the signatures must have been checked by this very root. */
static void
pinning_another_root_forgets_what_the_first_one_trusted(void **state)
{
	struct world *w = *state;
	struct root_plan other = {1, K(ROOT2), K(TIME2), K(SNAP2), K(TARG2), 1, false};
	struct release r = {0};

	release_make(w, empty_targets(7), 7, &r);
	accepts_release(w, &r);
	accepts(w, PIN, plan_root(w, &other), K(ROOT2));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_TIMESTAMP));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_SNAPSHOT));
	assert_null(upt_trusted_set_held(w->set, UPT_ROLE_TARGETS));
	assert_code(upt_trusted_set_finish_root(w->set, NOW, NULL), UPT_OK);
	accepts(w, TIMESTAMP, timestamp_of(1, 7, upt_buf_span(&r.snapshot)), K(TIME2));
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot), UPT_E_THRESHOLD);
	release_clear(&r);
}

static void
unknown_roles_and_members_are_ignored(void **state)
{
	struct world *w = *state;
	cJSON *root = plain_root(w, 2);

	set_member(root, "roles/mirrors", cJSON_Parse("{\"keyids\":[],\"threshold\":1}"));
	set_member(root, "roles/offline-updates", cJSON_Parse("[1,2]"));
	set_member(root, "x-something", cJSON_Parse("{\"a\":[null]}"));
	accepts(w, NEXT_ROOT, root, K(ROOT));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(pinned_root_must_sign_itself),
		T(next_root_needs_the_old_keys_and_its_own),
		T(next_root_needs_both_thresholds),
		T(root_refuses_version_gap_and_rollback),
		T(root_steps_past_an_expired_one_and_refuses_to_end_there),
		T(root_expires_at_the_second_it_names),
		T(root_update_needs_a_pinned_one),
		T(root_without_timestamp_or_snapshot_is_for_a_director_of_profile_ota),
		T(root_that_lists_timestamp_and_snapshot_binds_also_in_profile_ota),
		T(root_refuses_shapes_that_are_none),
		T(root_too_large_is_refused_before_it_is_read),
		T(rotation_drops_timestamp_and_snapshot_and_heals_a_fast_forward),
		T(root_with_the_same_keys_keeps_what_was_learnt),
		T(rotation_is_seen_in_values_and_thresholds_not_in_key_ids),
		T(role_that_appears_or_vanishes_is_a_rotation),
		T(rotation_of_the_targets_key_disowns_the_held_targets),
		T(pinning_another_root_forgets_what_the_first_one_trusted),
		T(unknown_roles_and_members_are_ignored),
	};
	return cmocka_run_group_tests_name("root", tests, NULL, NULL);
}
