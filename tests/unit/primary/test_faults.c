/*
 * The Primary's step 3 over its real store, with every call on the way failing once: our
 * allocations, OpenSSL's and SQLite's, our system calls and SQLite's. Documents come from memory,
 * as upt_http_get() would return them; that function is wrapped.
 */
#include "../faults/trial.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/scratch.h"
#include "../storage/vfs.h"
#include "primary/internal.h"

#define IMAGE_URL "image"
#define DIRECTOR_URL "director"

struct vehicle {
	struct rotation r;
	char *before, *dir; /* the state as it was planted, and the one that is worked on */
	struct upt_ecu_config ecu_config;
	struct upt_mapping_config mapping;
	struct upt_config config;
	struct upt_ecu ecu;
	struct upt_vehicle_ecu vehicle_ecu;
	struct upt_primary p;
};

/* ---- what fails ---- */

static sqlite3_mem_methods real_memory;

static void *
sqlite_malloc(int size)
{
	return faults_due(FAULT_SQLITE_MEMORY) ? NULL : real_memory.xMalloc(size);
}

static void *
sqlite_realloc(void *p, int size)
{
	return faults_due(FAULT_SQLITE_MEMORY) ? NULL : real_memory.xRealloc(p, size);
}

/* Without small allocations of its own: each of them can fail once those are used up. */
static bool
hook_sqlite(void)
{
	sqlite3_mem_methods ours;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
		return false;
	ours = real_memory;
	ours.xMalloc = sqlite_malloc;
	ours.xRealloc = sqlite_realloc;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK &&
	       sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK;
}

/* As SQLite's own VFS names the failure of each call. */
static int
fail_disk(const struct vfs_event *e)
{
	static const int codes[] = {
		[VFS_OPEN] = SQLITE_CANTOPEN,
		[VFS_DELETE] = SQLITE_IOERR_DELETE,
		[VFS_ACCESS] = SQLITE_IOERR_ACCESS,
		[VFS_READ] = SQLITE_IOERR_READ,
		[VFS_WRITE] = SQLITE_IOERR_WRITE,
		[VFS_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
		[VFS_SYNC] = SQLITE_IOERR_FSYNC,
		[VFS_SIZE] = SQLITE_IOERR_FSTAT,
		[VFS_LOCK] = SQLITE_IOERR_LOCK,
		[VFS_MAP_INDEX] = SQLITE_IOERR_SHMMAP,
		[VFS_LOCK_INDEX] = SQLITE_IOERR_SHMLOCK,
	};
	bool needs_room = e->call == VFS_OPEN || e->call == VFS_WRITE || e->call == VFS_SYNC ||
			  e->call == VFS_TRUNCATE || e->call == VFS_MAP_INDEX;

	if (!faults_disk_due(needs_room))
		return SQLITE_OK;
	return e->call == VFS_WRITE && errno == ENOSPC ? SQLITE_FULL : codes[e->call];
}

enum upt_code __wrap_upt_http_get(struct upt_http *http, const char *url, size_t max_bytes,
	struct upt_buf *out, struct upt_err *err);

enum upt_code
__wrap_upt_http_get(struct upt_http *http, const char *url, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	const struct rotation *r = (const void *)http;
	const char *file = strrchr(url, '/') + 1;
	bool director = strncmp(url, DIRECTOR_URL "/", strlen(DIRECTOR_URL "/")) == 0;
	enum upt_code code;

	faults_pause();
	code = rotation_fetch(
		r, director ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE, file, max_bytes, out, err);
	faults_resume();
	return code;
}

/* ---- the vehicle ---- */

static void
open_store(struct vehicle *v)
{
	struct upt_err err = {0};

	if (v->p.store == NULL &&
		upt_store_open(v->dir, UPT_STORE_WRITE, &v->p.store, &err) != UPT_OK)
		fail_msg("%s", err.message);
}

static struct upt_repository *
repository(struct upt_primary *p, enum upt_repo repo)
{
	return &p->repos[repo == UPT_REPO_DIRECTOR ? UPT_DIRECTOR_INDEX : UPT_IMAGE_INDEX];
}

static enum upt_code
load(void *ctx, enum upt_repo repo, const char *role, struct upt_buf *out, struct upt_err *err)
{
	struct vehicle *v = ctx;
	struct upt_feed feed = repository(&v->p, repo)->feed;

	open_store(v);
	return feed.load(feed.ctx, role, out, err);
}

static enum upt_code
verify(void *ctx, struct upt_err *err)
{
	struct upt_primary *p = &((struct vehicle *)ctx)->p;
	struct upt_cycle_summary summary = {0};
	bool changed;

	if (p->store == NULL)
		UPT_TRY(upt_store_open(p->config->state_dir, UPT_STORE_WRITE, &p->store, err));
	UPT_TRY(upt_primary_begin_cycle(p, err));
	UPT_TRY(upt_primary_verify_director(p, &changed, err));
	UPT_TRY(upt_primary_plan(p, &summary, err));
	UPT_TRY(upt_primary_verify_images(p, err));
	assert_int_equal(summary.n_wanted, 1);
	assert_string_equal(p->jobs[0].image.image.name, ROTATION_TARGET);
	return UPT_OK;
}

static void
close_store(void *ctx)
{
	struct upt_primary *p = &((struct vehicle *)ctx)->p;

	upt_primary_end_cycle(p);
	upt_store_close(&p->store);
}

static void
plant(void *ctx)
{
	static const char *const leftovers[] = {"state.db-wal", "state.db-shm"};
	struct vehicle *v = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf db = {0};
	char path[4096];

	for (size_t i = 0; i < 2; i++)
		unlink(scratch_path(path, v->dir, leftovers[i]));
	scratch_read(v->before, "state.db", &db);
	scratch_write(v->dir, "state.db", db.data, db.len);
}

/* Version 1 of both repositories, by the feeds themselves; and an ECU that runs one image and has
 * refused another, which the Director no longer assigns. */
static void
plant_first(struct vehicle *v)
{
	struct upt_image image = image_of("before", upt_span_str("before"), true);
	const struct rotation_repo *repos[] = {&v->r.director, &v->r.image};
	upt_cleanup(upt_buf_clear) struct upt_buf db = {0};

	open_store(v);
	for (size_t i = 0; i < 2; i++) {
		const struct upt_buf *d = repos[i]->documents[0];
		struct upt_feed feed = repository(&v->p, repos[i]->w.policy.repo)->feed;

		assert_code(feed.save_root(feed.ctx, 1, upt_buf_span(&d[0]), false, NULL), UPT_OK);
		for (size_t k = 1; k < repos[i]->n_documents; k++)
			assert_code(
				feed.save(feed.ctx, rotation_role(k), 1, upt_buf_span(&d[k]), NULL),
				UPT_OK);
	}
	for (enum upt_image_slot slot = UPT_SLOT_INSTALLED; slot <= UPT_SLOT_REFUSED; slot++)
		if (slot != UPT_SLOT_PENDING)
			assert_code(
				upt_store_set_image(v->p.store, ROTATION_ECU, slot, &image, NULL),
				UPT_OK);
	upt_store_close(&v->p.store);
	scratch_read(v->dir, "state.db", &db);
	scratch_write(v->before, "state.db", db.data, db.len);
}

static int
setup(void **state)
{
	struct vehicle *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	rotation_init(&v->r);
	v->before = scratch_make_in_memory();
	v->dir = scratch_make_in_memory();
	v->ecu_config = (struct upt_ecu_config){
		.serial = ROTATION_ECU, .hardware_id = ROTATION_HARDWARE, .is_ip = true};
	v->mapping = (struct upt_mapping_config){.n_repos = 2,
		.repos = {UPT_DIRECTOR_INDEX, UPT_IMAGE_INDEX},
		.threshold = 2,
		.terminating = true};
	v->config = (struct upt_config){.vehicle_id = ROTATION_VEHICLE,
		.state_dir = v->dir,
		.director = {.url = DIRECTOR_URL, .is_director = true, .limits = UPT_LIMITS_DIRECTOR},
		.image = {.url = IMAGE_URL, .limits = UPT_LIMITS_IMAGE},
		.n_mappings = 1,
		.mappings = &v->mapping,
		.n_ecus = 1,
		.ecus = &v->ecu_config};
	v->ecu = (struct upt_ecu){.config = &v->ecu_config, .reachable = true};
	v->vehicle_ecu = (struct upt_vehicle_ecu){ROTATION_ECU, ROTATION_HARDWARE};
	v->p = (struct upt_primary){.config = &v->config,
		.http = (void *)&v->r,
		.vehicle = {.vehicle_id = ROTATION_VEHICLE,
			.require_vehicle_id = true,
			.knows_all_ecus = true,
			.n_ecus = 1,
			.ecus = &v->vehicle_ecu},
		.n_ecus = 1,
		.ecus = &v->ecu,
		.now = NOW};
	assert_code(upt_repositories_new(&v->p, NULL), UPT_OK);
	plant_first(v);
	vfs_start(fail_disk);
	*state = v;
	return 0;
}

static int
teardown(void **state)
{
	struct vehicle *v = *state;

	close_store(v);
	vfs_stop();
	scratch_remove(&v->before);
	scratch_remove(&v->dir);
	rotation_clear(&v->r);
	free(v);
	return 0;
}

static void
fail_each(void **state, enum fault fault, size_t stride)
{
	struct vehicle *v = *state;
	const struct trial t = {&v->r, v, plant, verify, close_store, load};

	trial_run(&t, fault, stride);
}

static void
no_allocation_of_ours_that_fails_harms_the_state(void **state)
{
	fail_each(state, FAULT_MEMORY, 1);
}

/* Some six thousand: one in twenty-nine; the Secondary fails more of them. */
static void
no_allocation_of_openssl_that_fails_harms_the_state(void **state)
{
	fail_each(state, FAULT_OPENSSL_MEMORY, 29);
}

static void
no_allocation_of_sqlite_that_fails_harms_the_state(void **state)
{
	fail_each(state, FAULT_SQLITE_MEMORY, 1);
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
			no_allocation_of_sqlite_that_fails_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_error_of_the_disk_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(no_full_disk_harms_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_allocation_of_openssl_that_fails_harms_the_state, setup, teardown),
	};

	if (!faults_hook_openssl() || !hook_sqlite())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
