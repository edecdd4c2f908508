/* When a vehicle's metadata is signed anew, and when not: with a clock that the test moves. */
#include "support.h"

#include <stdio.h>
#include <unistd.h>

/* What the last call of versions_are() asked for, in one line of the test. */
static void
versions_are(
	struct fixture *f, int64_t now, uint64_t timestamp, uint64_t snapshot, uint64_t targets)
{
	assert_int_equal(version_at(f, ROLE_TIMESTAMP, now), timestamp);
	assert_int_equal(version_at(f, ROLE_SNAPSHOT, now), snapshot);
	assert_int_equal(version_at(f, ROLE_TARGETS, now), targets);
}

static void
a_poll_before_half_of_the_life_signs_nothing(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	struct upt_digest before = database_digest(f);
	versions_are(f, T0 + TIMESTAMP_LIFE_S / 2 - 1, 1, 1, 1);
	struct upt_digest after = database_digest(f);
	assert_true(upt_digest_equal(&before, &after));
}

static void
the_timestamp_alone_is_signed_after_half_of_its_life(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	versions_are(f, T0 + TIMESTAMP_LIFE_S / 2, 2, 1, 1);
	versions_are(f, T0 + TIMESTAMP_LIFE_S - 1, 2, 1, 1);
	versions_are(f, T0 + TIMESTAMP_LIFE_S, 3, 1, 1);
}

static void
the_snapshot_brings_a_timestamp_after_half_of_its_life(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	versions_are(f, T0 + SNAPSHOT_LIFE_S / 2, 2, 2, 1);
}

static void
the_targets_bring_both_after_half_of_their_life(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	versions_are(f, T0 + TARGETS_LIFE_S / 2, 2, 2, 2);
}

static void
an_assignment_brings_all_three_once(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	assign(f, "prim", "os-2", T0 + 1);
	versions_are(f, T0 + 1, 2, 2, 2);
	versions_are(f, T0 + 2, 2, 2, 2);
	assign(f, "sec", "os-2", T0 + 3);
	assign(f, "prim", "os-3", T0 + 3);
	versions_are(f, T0 + 3, 3, 3, 3);
}

static void
a_clock_that_goes_back_signs_nothing(void **state)
{
	struct fixture *f = *state;

	versions_are(f, T0, 1, 1, 1);
	versions_are(f, T0 - 1000000, 1, 1, 1);
}

static void
a_rotation_brings_all_three(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};
	uint64_t version = 0;

	versions_are(f, T0, 1, 1, 1);
	assert_int_equal(director_rotate(&f->d, ROLE_TIMESTAMP, false, T0, &version, &err), UPT_OK);
	assert_int_equal(version, 2);
	versions_are(f, T0, 2, 2, 2);
}

static void
the_root_is_renewed_after_half_of_its_life(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(version_at(f, ROLE_ROOT, T0 + ROOT_LIFE_S / 2 - 1), 1);
	assert_int_equal(version_at(f, ROLE_ROOT, T0 + ROOT_LIFE_S / 2), 2);
	assert_int_equal(version_at(f, ROLE_ROOT, T0 + ROOT_LIFE_S / 2 + 1), 2);
	struct reply first = ask(f, "/director/1.root.json", upt_span("", 0), T0 + ROOT_LIFE_S / 2);
	assert_int_equal(first.status, 200);
	reply_clear(&first);
}

static void
a_lost_key_leaves_the_old_metadata_whole(void **state)
{
	struct fixture *f = *state;
	struct upt_err err = {0};
	char path[128];
	bool signed_anew = true;

	versions_are(f, T0, 1, 1, 1);
	assign(f, "prim", "os-2", T0 + 1);
	(void)snprintf(path, sizeof(path), "%s/keys/timestamp.1.pem", f->dir);
	assert_int_equal(unlink(path), 0);
	f->d.key_epoch = 0; /* as after a restart */
	struct upt_digest before = database_digest(f);
	assert_int_equal(
		metadata_refresh(&f->d, VEHICLE, T0 + 2, &signed_anew, &err), UPT_E_NOT_FOUND);
	assert_false(signed_anew);
	struct upt_digest after = database_digest(f);
	assert_true(upt_digest_equal(&before, &after));
}

static void
a_second_director_on_the_database_is_seen(void **state)
{
	struct fixture *f = *state;
	struct director other = {0};
	struct upt_err err = {0};
	uint64_t version = 0;

	versions_are(f, T0, 1, 1, 1);
	assert_int_equal(director_open(&other, f->dir, &err), UPT_OK);
	assert_int_equal(director_rotate(&other, ROLE_TARGETS, false, T0, &version, &err), UPT_OK);
	director_close(&other);
	versions_are(f, T0, 2, 2, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_poll_before_half_of_the_life_signs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_timestamp_alone_is_signed_after_half_of_its_life, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_snapshot_brings_a_timestamp_after_half_of_its_life, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_targets_bring_both_after_half_of_their_life, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_assignment_brings_all_three_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_clock_that_goes_back_signs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rotation_brings_all_three, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_root_is_renewed_after_half_of_its_life, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_lost_key_leaves_the_old_metadata_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_second_director_on_the_database_is_seen, setup, teardown),
	};

	return cmocka_run_group_tests_name("tools_director.metadata", tests, NULL, NULL);
}
