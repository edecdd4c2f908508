/*
 * Full verification on the Secondary over its real state, with every call on the way failing once:
 * our allocations, OpenSSL's, and system calls. The metadata comes from memory, as the Primary
 * would send it.
 */
#include "../faults/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/scratch.h"
#include "secondary/agent_internal.h"

struct ecu {
	struct rotation r;
	char *parent, *dir;
	struct upt_agent agent;
};

static enum upt_code
fetch(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	enum upt_code code;

	faults_pause();
	code = rotation_fetch(ctx, repo, file_name, max_bytes, out, err);
	faults_resume();
	return code;
}

static int64_t
fixed_clock(void *ctx)
{
	(void)ctx;
	return NOW;
}

static void
open_state(struct ecu *e)
{
	struct upt_err err = {0};

	if (e->agent.state == NULL && upt_state_open(e->dir, &e->agent.state, &err) != UPT_OK)
		fail_msg("%s", err.message);
}

static enum upt_code
load(void *ctx, enum upt_repo repo, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct ecu *e = ctx;

	open_state(e);
	return upt_state_load(e->agent.state, repo, role, out, err);
}

static enum upt_code
verify(void *ctx, struct upt_err *err)
{
	struct ecu *e = ctx;
	const struct upt_agent_source source = {fetch, &e->r};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_agent_assignment assignment;

	if (e->agent.state == NULL)
		UPT_TRY(upt_state_open(e->dir, &e->agent.state, err));
	UPT_TRY(upt_agent_verify(&e->agent, &source, &arena, &assignment, err));
	assert_true(assignment.assigned);
	assert_string_equal(assignment.image.image.name, ROTATION_TARGET);
	return UPT_OK;
}

static void
close_state(void *ctx)
{
	upt_state_close(&((struct ecu *)ctx)->agent.state);
}

static void
plant_repo(struct upt_state *state, const struct rotation_repo *r)
{
	const struct upt_buf *d = r->documents[0];
	enum upt_repo repo = r->w.policy.repo;

	assert_code(upt_state_save_root(state, repo, 1, upt_buf_span(&d[0]), true, NULL), UPT_OK);
	for (size_t i = 1; i < r->n_documents; i++)
		assert_code(
			upt_state_save(state, repo, rotation_role(i), upt_buf_span(&d[i]), NULL),
			UPT_OK);
}

static void
plant(void *ctx)
{
	struct ecu *e = ctx;
	struct upt_image image = image_of("before", upt_span_str("before"), true);

	scratch_remove(&e->dir);
	assert_true(asprintf(&e->dir, "%s/state", e->parent) > 0);
	open_state(e);
	plant_repo(e->agent.state, &e->r.director);
	plant_repo(e->agent.state, &e->r.image);
	assert_code(upt_state_set_image(e->agent.state, UPT_STATE_INSTALLED, &image, NULL), UPT_OK);
	close_state(e);
}

static int
setup(void **state)
{
	struct ecu *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	rotation_init(&e->r);
	e->parent = scratch_make_in_memory();
	e->agent.config = (struct upt_agent_config){.serial = ROTATION_ECU,
		.hardware_id = ROTATION_HARDWARE,
		.vehicle_id = ROTATION_VEHICLE,
		.clock = fixed_clock};
	*state = e;
	return 0;
}

static int
teardown(void **state)
{
	struct ecu *e = *state;

	close_state(e);
	scratch_remove(&e->dir);
	scratch_remove(&e->parent);
	rotation_clear(&e->r);
	free(e);
	return 0;
}

static void
fail_each(void **state, enum fault fault, size_t stride)
{
	struct ecu *e = *state;
	const struct trial t = {&e->r, e, plant, verify, close_state, load};

	trial_run(&t, fault, stride);
}

static void
no_allocation_of_ours_that_fails_harms_the_state(void **state)
{
	fail_each(state, FAULT_MEMORY, 1);
}

/* Some six thousand: one in eleven. */
static void
no_allocation_of_openssl_that_fails_harms_the_state(void **state)
{
	fail_each(state, FAULT_OPENSSL_MEMORY, 11);
}

static void
no_error_of_the_disk_harms_the_state(void **state)
{
	fail_each(state, FAULT_DISK_ERROR, 1);
}

static void
no_full_disk_harms_the_state(void **state)
{
	fail_each(state, FAULT_DISK_FULL, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			no_allocation_of_ours_that_fails_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_error_of_the_disk_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(no_full_disk_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_allocation_of_openssl_that_fails_harms_the_state, setup, teardown),
	};

	if (!faults_hook_openssl())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
