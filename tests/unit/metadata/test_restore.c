/* Stored copies: they count as "previous", are never current by themselves, and wedge nothing. */
#include "world.h"

static void
assert_nothing_current(const struct upt_trusted_set *set)
{
	assert_null(upt_trusted_set_timestamp(set));
	assert_null(upt_trusted_set_snapshot(set));
	assert_null(upt_trusted_set_targets(set));
}

static void
restore_all(struct world *w, const struct release *r)
{
	accepts_bytes(w, RESTORE_TIMESTAMP, upt_buf_span(&r->timestamp));
	accepts_bytes(w, RESTORE_SNAPSHOT, upt_buf_span(&r->snapshot));
	accepts_bytes(w, RESTORE_TARGETS, upt_buf_span(&r->targets));
}

static void
restored_documents_are_current_only_when_confirmed_in_order(void **state)
{
	struct world *w = *state;
	struct release r = {0};

	release_make(w, empty_targets(1), 1, &r);
	restore_all(w, &r);
	assert_nothing_current(w->set);
	/* nothing vouches for them yet */
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot), UPT_E_INTERNAL);
	refuses_bytes(w, TARGETS, upt_buf_span(&r.targets), UPT_E_INTERNAL);
	assert_nothing_current(w->set);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	assert_true(upt_trusted_set_confirm_snapshot(w->set, NOW));
	assert_null(upt_trusted_set_targets(w->set));
	assert_true(upt_trusted_set_confirm_targets(w->set, NOW));
	assert_int_equal(upt_trusted_set_targets(w->set)->version, 1);
	release_clear(&r);
}

static void
restored_copy_of_other_content_is_not_confirmed(void **state)
{
	struct world *w = *state;
	struct release r = {0}, other = {0};

	release_make(w, empty_targets(1), 1, &r);
	release_make(w, targets_with(1, "x", upt_span("x", 1)), 1, &other);
	restore_all(w, &other);
	accepts_bytes(w, TIMESTAMP, upt_buf_span(&r.timestamp));
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&r.snapshot));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	accepts_bytes(w, TARGETS, upt_buf_span(&r.targets));
	release_clear(&r);
	release_clear(&other);
}

static void
stored_copy_past_its_expiry_wedges_nothing_and_is_not_confirmed(void **state)
{
	struct world *w = *state;
	struct upt_buf targets = {0}, snapshot = {0}, timestamp = {0};
	static const char old[] = "2025-12-01T00:00:00Z";
	cJSON *t = empty_targets(1), *s;

	set_member(t, "expires", cJSON_CreateString(old));
	sign_with(w, t, K(TARG), &targets);
	s = snapshot_of(1, 1, upt_buf_span(&targets));
	set_member(s, "expires", cJSON_CreateString(old));
	sign_with(w, s, K(SNAP), &snapshot);
	t = timestamp_of(1, 1, upt_buf_span(&snapshot));
	set_member(t, "expires", cJSON_CreateString(old));
	sign_with(w, t, K(TIME), &timestamp);
	accepts_bytes(w, RESTORE_TIMESTAMP, upt_buf_span(&timestamp));
	accepts_bytes(w, RESTORE_SNAPSHOT, upt_buf_span(&snapshot));
	accepts_bytes(w, RESTORE_TARGETS, upt_buf_span(&targets));
	/* The server still lists the old snapshot, under a fresh timestamp. */
	accepts(w, TIMESTAMP, timestamp_of(2, 1, upt_buf_span(&snapshot)), K(TIME));
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	refuses_bytes(w, SNAPSHOT, upt_buf_span(&snapshot), UPT_E_EXPIRED);
	/* And then a fresh one, with the old targets. */
	sign_with(w, snapshot_of(2, 1, upt_buf_span(&targets)), K(SNAP), &snapshot);
	accepts(w, TIMESTAMP, timestamp_of(3, 2, upt_buf_span(&snapshot)), K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	assert_false(upt_trusted_set_confirm_targets(w->set, NOW));
	refuses_bytes(w, TARGETS, upt_buf_span(&targets), UPT_E_EXPIRED);
	/* And at last everything fresh. */
	sign_with(w, empty_targets(2), K(TARG), &targets);
	sign_with(w, snapshot_of(3, 2, upt_buf_span(&targets)), K(SNAP), &snapshot);
	accepts(w, TIMESTAMP, timestamp_of(4, 3, upt_buf_span(&snapshot)), K(TIME));
	accepts_bytes(w, SNAPSHOT, upt_buf_span(&snapshot));
	accepts_bytes(w, TARGETS, upt_buf_span(&targets));
	upt_buf_clear(&targets);
	upt_buf_clear(&snapshot);
	upt_buf_clear(&timestamp);
}

static void
copy_that_no_longer_verifies_is_refused(void **state)
{
	struct world *w = *state;
	struct release r = {0};

	release_make(w, empty_targets(1), 1, &r);
	refuses(w, RESTORE_TIMESTAMP, timestamp_of(1, 1, upt_buf_span(&r.snapshot)), K(TIME2),
		UPT_E_THRESHOLD);
	refuses(w, RESTORE_SNAPSHOT, snapshot_of(1, 1, upt_buf_span(&r.targets)), K(SNAP2),
		UPT_E_THRESHOLD);
	refuses(w, RESTORE_TARGETS, empty_targets(1), K(TARG2), UPT_E_THRESHOLD);
	refuses_bytes(w, RESTORE_TARGETS, upt_span_str("half a fi"), UPT_E_MALFORMED);
	refuses_bytes(w, RESTORE_TARGETS, upt_buf_span(&r.snapshot), UPT_E_WRONG_ROLE);
	restore_all(w, &r);
	release_clear(&r);
}

static void
restore_needs_a_root_and_is_not_for_roots(void **state)
{
	struct world *w = *state;
	struct upt_buf bytes = {0};
	struct upt_err err = {0};
	struct release r = {0};

	sign_with(w, plain_root(w, 1), K(ROOT), &bytes);
	assert_code(upt_trusted_set_restore(w->set, UPT_ROLE_ROOT, &bytes, &err), UPT_E_INTERNAL);
	assert_true(bytes.len > 0);
	upt_buf_clear(&bytes);
	release_make(w, empty_targets(1), 1, &r);
	world_reset(w);
	refuses_bytes(w, RESTORE_TIMESTAMP, upt_buf_span(&r.timestamp), UPT_E_INTERNAL);
	release_clear(&r);
}

/* A current role must not survive the replacement of what it depends on. */
static void
restoring_a_role_ends_what_depends_on_it(void **state)
{
	struct world *w = *state;
	struct release r = {0};
	struct upt_buf other = {0};

	release_make(w, empty_targets(1), 1, &r);
	accepts_release(w, &r);
	sign_with(w, snapshot_of(1, 1, upt_span("other targets", 13)), K(SNAP), &other);
	accepts_bytes(w, RESTORE_SNAPSHOT, upt_buf_span(&other));
	assert_null(upt_trusted_set_snapshot(w->set));
	assert_null(upt_trusted_set_targets(w->set));
	assert_non_null(upt_trusted_set_timestamp(w->set));
	assert_false(upt_trusted_set_confirm_snapshot(w->set, NOW));
	accepts_bytes(w, RESTORE_TIMESTAMP, upt_buf_span(&r.timestamp));
	assert_nothing_current(w->set);
	release_clear(&r);
	upt_buf_clear(&other);
}

/* The file system is as it was before the last accepted document, or somebody put it back. */
static void
restoring_an_older_copy_than_the_held_one_is_a_rollback(void **state)
{
	struct world *w = *state;
	struct release one = {0}, two = {0};

	release_make(w, empty_targets(1), 1, &one);
	release_make(w, empty_targets(2), 2, &two);
	restore_all(w, &two);
	refuses_bytes(w, RESTORE_TIMESTAMP, upt_buf_span(&one.timestamp), UPT_E_ROLLBACK);
	refuses_bytes(w, RESTORE_SNAPSHOT, upt_buf_span(&one.snapshot), UPT_E_ROLLBACK);
	refuses_bytes(w, RESTORE_TARGETS, upt_buf_span(&one.targets), UPT_E_ROLLBACK);
	restore_all(w, &two);
	release_clear(&one);
	release_clear(&two);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(restored_documents_are_current_only_when_confirmed_in_order),
		T(restored_copy_of_other_content_is_not_confirmed),
		T(stored_copy_past_its_expiry_wedges_nothing_and_is_not_confirmed),
		T(copy_that_no_longer_verifies_is_refused),
		T(restore_needs_a_root_and_is_not_for_roots),
		T(restoring_a_role_ends_what_depends_on_it),
		T(restoring_an_older_copy_than_the_held_one_is_a_rollback),
	};
	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
