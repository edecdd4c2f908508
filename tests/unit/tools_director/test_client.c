/* What this Director signs, read by the client's own verifier and its rules for Directors. */
#include "support.h"

#include <stdio.h>
/* Two folders are called director: this is the client's. */
#include "../src/director/director.h"
#include "metadata/trusted_set.h"

static const struct upt_vehicle_ecu ecus[] = {{"prim", "hw"}, {"sec", "hw"}};
static const struct upt_vehicle vehicle = {.vehicle_id = VEHICLE,
	.require_vehicle_id = true,
	.knows_all_ecus = true,
	.n_ecus = 2,
	.ecus = ecus};
static const struct upt_vehicle other_vehicle = {.vehicle_id = "veh-2",
	.require_vehicle_id = true,
	.knows_all_ecus = true,
	.n_ecus = 2,
	.ecus = ecus};

/* The bytes at path as a client gets them. */
static void
fetch(struct fixture *f, const char *path, int64_t now, struct upt_buf *out)
{
	struct reply reply = ask(f, path, upt_span("", 0), now);

	assert_int_equal(reply.status, 200);
	upt_buf_move(out, &reply.body);
	reply_clear(&reply);
}

static void
fetch_role(struct fixture *f, const struct upt_trusted_set *set, enum upt_role role, int64_t now,
	struct upt_buf *out)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	struct upt_err err = {0};

	assert_int_equal(upt_buf_printf(&path, &err, "/director/"), UPT_OK);
	assert_int_equal(upt_trusted_set_file_name(set, role, NULL, 0, &path, &err), UPT_OK);
	fetch(f, (const char *)path.data, now, out);
	assert_true(out->len <= upt_trusted_set_fetch_limit(set, role, NULL));
}

/* A client with root 1 of the Director, for the vehicle v. */
static struct upt_trusted_set *
new_client(struct fixture *f, const struct upt_vehicle *v)
{
	const struct upt_trust_policy policy = {.repo = UPT_REPO_DIRECTOR,
		.limits = UPT_LIMITS_DIRECTOR,
		.require_snapshot_hash = true,
		.check_rules = upt_director_check_rules,
		.rules_ctx = v};
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_trusted_set *set = NULL;
	struct upt_err err = {0};

	assert_int_equal(upt_trusted_set_new(&policy, &set, &err), UPT_OK);
	fetch(f, "/director/1.root.json", T0, &bytes);
	assert_int_equal(upt_trusted_set_pin_root(set, &bytes, &err), UPT_OK);
	return set;
}

/* Root n, then timestamp, snapshot and targets; the code of the last step. */
static enum upt_code
refresh(struct fixture *f, struct upt_trusted_set *set, uint64_t root_version, int64_t now)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_err err = {0};
	bool dropped = false;
	char path[64];

	if (root_version > 1) {
		(void)snprintf(path, sizeof(path), "/director/%llu.root.json",
			(unsigned long long)root_version);
		fetch(f, path, now, &bytes);
		UPT_TRY(upt_trusted_set_update_root(set, &bytes, &dropped, &err));
	}
	UPT_TRY(upt_trusted_set_finish_root(set, now, &err));
	fetch_role(f, set, UPT_ROLE_TIMESTAMP, now, &bytes);
	UPT_TRY(upt_trusted_set_update_timestamp(set, &bytes, now, &err));
	fetch_role(f, set, UPT_ROLE_SNAPSHOT, now, &bytes);
	UPT_TRY(upt_trusted_set_update_snapshot(set, &bytes, now, &err));
	fetch_role(f, set, UPT_ROLE_TARGETS, now, &bytes);
	return upt_trusted_set_update_targets(set, &bytes, now, &err);
}

static void
a_client_accepts_empty_targets_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct upt_trusted_set *set = new_client(f, &vehicle);

	assert_int_equal(refresh(f, set, 1, T0), UPT_OK);
	upt_trusted_set_free(&set);
	set = new_client(f, &other_vehicle);
	assert_int_equal(refresh(f, set, 1, T0), UPT_E_WRONG_VEHICLE);
	assert_null(upt_trusted_set_targets(set));
	upt_trusted_set_free(&set);
}

static void
a_client_finds_its_assignments(void **state)
{
	struct fixture *f = *state;
	struct upt_trusted_set *set = new_client(f, &vehicle);
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_assignment *assignments = NULL;
	const char *correlation_id = NULL;
	struct upt_err err = {0};
	size_t n = 0;

	assign(f, "sec", "brake-2", T0);
	assert_int_equal(refresh(f, set, 1, T0), UPT_OK);
	const struct upt_metadata *targets = upt_trusted_set_targets(set);
	assert_int_equal(
		upt_director_assignments(targets, &vehicle, &arena, &assignments, &n, &err),
		UPT_OK);
	assert_int_equal(n, 1);
	assert_int_equal(assignments[0].ecu, 1);
	assert_string_equal(assignments[0].target.image.name, "brake-2");
	assert_int_equal(
		upt_director_correlation_id(targets, &arena, &correlation_id, &err), UPT_OK);
	assert_memory_equal(correlation_id, "urn:uuid:", 9);
	upt_trusted_set_free(&set);
}

static void
a_client_follows_every_rotation(void **state)
{
	struct fixture *f = *state;
	struct upt_trusted_set *set = new_client(f, &vehicle);
	struct upt_err err = {0};
	uint64_t version = 0;

	assert_int_equal(refresh(f, set, 1, T0), UPT_OK);
	for (int i = 0; i < N_ROLES; i++) {
		assert_int_equal(
			director_rotate(&f->d, (enum role)i, false, T0, &version, &err), UPT_OK);
		assert_int_equal(refresh(f, set, version, T0), UPT_OK);
	}
	upt_trusted_set_free(&set);
}

static void
a_client_that_polls_never_sees_expired_metadata(void **state)
{
	struct fixture *f = *state;
	struct upt_trusted_set *set = new_client(f, &vehicle);
	uint64_t known_root = 1;

	/* Longer than the root lives, in steps that jump over whole lives of timestamps. */
	for (int64_t now = T0; now < T0 + ROOT_LIFE_S * 2; now += TIMESTAMP_LIFE_S * 3 / 2) {
		uint64_t root = version_at(f, ROLE_ROOT, now);
		assert_true(root == known_root || root == known_root + 1);
		assert_int_equal(refresh(f, set, root > known_root ? root : 1, now), UPT_OK);
		known_root = root;
	}
	assert_true(known_root > 3);
	upt_trusted_set_free(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_client_accepts_empty_targets_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_finds_its_assignments, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_follows_every_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_client_that_polls_never_sees_expired_metadata, setup, teardown),
	};

	return cmocka_run_group_tests_name("tools_director.client", tests, NULL, NULL);
}
