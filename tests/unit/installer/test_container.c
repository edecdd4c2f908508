/* The OCI installer against an engine in memory: order of steps, failures, and the power going at
 * every single call. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/file.h"
#include "container_world.h"
#include "json/json.h"

static void
the_first_version_is_pulled_by_digest_and_started(void **state)
{
	struct world *w = *state;
	char expected[512];

	CHECK_OK(prepare_with(w, 1, ""));
	snprintf(expected, sizeof(expected), FAKE_REPOSITORY "@sha256:%s", w->fake.digest[1]);
	assert_string_equal(w->fake.last_pull, expected);
	assert_int_equal(fake_count(&w->fake), 0);
	CHECK_OK(install_with(w, 1, ""));
	assert_runs(w, 1);
	assert_non_null(fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442"));
}

static void
an_update_proves_itself_on_the_other_port_and_keeps_the_old_one(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	assert_int_equal(fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->port, 8081);
	assert_int_equal(fake_find(&w->fake, "dashboard-bbbbbbbbbbbb-e3b0c442")->port, 8082);
	CHECK_OK(update(w, 3));
	assert_runs(w, 3);
	assert_int_equal(fake_find(&w->fake, "dashboard-cccccccccccc-e3b0c442")->port, 8081);
	/* the oldest is gone, with its image */
	assert_int_equal(fake_count(&w->fake), 2);
	assert_false(w->fake.present[1]);
	assert_true(w->fake.present[2]);
}

static void
prepare_asks_no_registry_for_what_is_there(void **state)
{
	struct world *w = *state;

	CHECK_OK(prepare_with(w, 1, ""));
	CHECK_OK(prepare_with(w, 1, ""));
	assert_int_equal(w->fake.n_pulls, 1);
}

static void
a_pull_that_fails_in_its_stream_is_a_failure(void **state)
{
	struct world *w = *state;

	w->fake.in_registry[1] = false;
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	assert_non_null(strstr(w->err.message, "manifest unknown"));
	w->fake.pull_script = "{\"error\":\"write: no space left on device\"}\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_NO_SPACE);
	/* As Podman 4.3.1 and Docker 20.10 say it of a registry that serves other bytes. */
	w->fake.pull_script =
		"{\"error\":\"Manifest does not match provided manifest digest sha256:0\"}\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_IMAGE_HASH);
	w->fake.pull_script =
		"{\"error\":\"happened during read: Digest did not match, expected 0\"}\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_IMAGE_HASH);
	w->fake.pull_script =
		"{\"error\":\"filesystem layer verification failed for digest sha256:0\"}\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_IMAGE_HASH);
	w->fake.pull_script = "7\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	w->fake.pull_script = "{\"id\":\"x\"}\n{\"error\":7}\n";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	w->fake.pull_script = "<html>";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	w->fake.pull_script = "";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	w->fake.pull_script = NULL;
	w->fake.in_registry[1] = true;
	CHECK_OK(prepare_with(w, 1, ""));
}

static void
a_pull_that_leaves_no_image_of_that_digest_is_refused(void **state)
{
	struct world *w = *state;

	w->fake.pull_lies = true;
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_IMAGE_HASH);
	w->fake.pull_lies = false;
	CHECK_OK(prepare_with(w, 1, ""));
}

struct watcher {
	volatile bool cancel;
	bool cancel_now;
	uint64_t n_layers, n_bytes;
};

static void
watch(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct watcher *watcher = ctx;

	if (strcmp(unit, "layers") == 0) {
		assert_string_equal(what, "pull");
		assert_true(done <= total);
		watcher->n_layers = done;
	} else {
		assert_string_equal(what, "layer aaaaaaaaaaaa");
		assert_string_equal(unit, "bytes");
		assert_int_equal(total, 100);
		watcher->n_bytes = done;
	}
	watcher->cancel = watcher->cancel_now;
}

static void
a_pull_reports_and_can_be_cancelled(void **state)
{
	struct world *w = *state;
	struct upt_image of = image(w, 1);
	struct upt_install_job job = job_of(&of, "");
	struct watcher watcher = {.cancel_now = true};
	struct upt_install_progress progress = {watch, &watcher, &watcher.cancel};

	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, &progress, &w->err),
		UPT_E_CANCELLED);
	watcher = (struct watcher){.cancel = false};
	w->fake.present[1] = false;
	CHECK_OK(w->installer->ops->prepare(w->installer, &job, &progress, &w->err));
	assert_int_equal(watcher.n_layers, 2);
	assert_int_equal(watcher.n_bytes, 50);
}

static void
install_needs_a_prepared_image(void **state)
{
	struct world *w = *state;

	CHECK_CODE(install_with(w, 1, ""), UPT_E_NOT_FOUND);
	assert_int_equal(fake_count(&w->fake), 0);
	CHECK_OK(update(w, 1));
}

/* Version 2 fails in some way: version 1 must run on as if nothing had been. */
static void
assert_update_fails(struct world *w, const char *says)
{
	unsigned calls;

	CHECK_CODE(update(w, 2), UPT_E_INSTALL);
	if (says != NULL && strstr(w->err.message, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", w->err.message, says);
	assert_runs(w, 1);
	assert_int_equal(fake_count(&w->fake), 1);
	assert_false(w->fake.present[2]);
	calls = w->fake.n_calls;
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	assert_true(w->fake.n_calls > calls);
	assert_runs(w, 1);
}

static void
a_version_that_ends_is_removed_and_its_last_words_are_told(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.dies[2] = true;
	assert_update_fails(w, "exit code 3");
	/* framed, as the engine sends it; cut within a frame; and without frames */
	w->fake.log = BYTES("\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\7bye \x1b[1");
	assert_update_fails(w, "it said: hello|bye ?[1");
	w->fake.log = BYTES("\1\0\0\0\377\377\377\377all");
	assert_update_fails(w, "it said: all");
	w->fake.log = BYTES("cannot open /dev/can0\n");
	assert_update_fails(w, "it said: cannot open /dev/can0");
	w->fake.dies[2] = false;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
}

static void
a_version_that_does_not_start_is_removed(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.start_fails[2] = true;
	assert_update_fails(w, "no such entrypoint");
}

/* A version that is refused is refused for good, and a disk does not stay full. */
static void
a_full_disk_is_no_fault_of_the_version(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.full_at_create = true;
	CHECK_CODE(update(w, 2), UPT_E_NO_SPACE);
	assert_runs(w, 1);
	w->fake.full_at_create = false;
	w->fake.full_at_start = true;
	CHECK_CODE(update(w, 2), UPT_E_NO_SPACE);
	assert_runs(w, 1);
	w->fake.full_at_start = false;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
}

static void
a_version_that_never_answers_is_removed_in_bounded_time(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.sick[2] = true;
	w->fake.n_probes = w->fake.n_pauses = 0;
	assert_update_fails(w, "500: sick");
	assert_in_range(w->fake.n_probes, 5, 25);
	assert_in_range(w->fake.n_pauses, 4, 25);
}

static void
a_version_that_restarts_itself_is_not_healthy(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.flaps[2] = true;
	assert_update_fails(w, NULL);
}

static void
a_version_may_take_its_time(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	w->fake.healthy_after[2] = 7;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
}

static void
without_a_page_running_for_a_while_is_enough(void **state)
{
	struct world *w = *state;

	w->config.health_url = NULL;
	w->config.port_a = w->config.port_b = 0;
	renew(w);
	CHECK_OK(update(w, 1));
	assert_true(w->fake.n_pauses >= 5);
	assert_int_equal(w->fake.n_probes, 0);
	w->fake.flaps[2] = true;
	assert_update_fails(w, NULL);
	w->fake.flaps[2] = false;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	assert_false(file_exists(w->endpoint));
}

static void
one_port_means_the_old_version_stops_first_and_comes_back(void **state)
{
	struct world *w = *state;

	w->config.port_b = 0;
	renew(w);
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	w->fake.sick[3] = true;
	CHECK_CODE(update(w, 3), UPT_E_INSTALL);
	assert_runs(w, 2);
	w->fake.sick[1] = true;
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	assert_runs(w, 2);
	w->fake.sick[1] = false;
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
}

static void
a_page_without_the_port_cannot_be_answered_by_the_old_version(void **state)
{
	struct world *w = *state;

	/* the release names one fixed page for both versions */
	const char *custom = "{\"container\":{\"env\":{\"PORT\":\"9000\"},\"health\":{\"url\":"
			     "\"http://127.0.0.1:9000/\"}}}";
	w->config.port_a = w->config.port_b = 0;
	w->config.health_url = NULL;
	renew(w);
	CHECK_OK(prepare_with(w, 1, custom));
	CHECK_OK(install_with(w, 1, custom));
	w->fake.sick[2] = true;
	CHECK_OK(prepare_with(w, 2, custom));
	CHECK_CODE(install_with(w, 2, custom), UPT_E_INSTALL);
	assert_int_equal(fake_running(&w->fake), 1);
	w->fake.sick[2] = false;
	CHECK_OK(prepare_with(w, 2, custom));
	CHECK_OK(install_with(w, 2, custom));
	assert_int_equal(fake_running(&w->fake), 2);
	/* and the label brings the page back for a rollback */
	w->fake.sick[1] = true;
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	assert_int_equal(fake_running(&w->fake), 2);
}

static void
rollback_goes_back_and_forth(void **state)
{
	struct world *w = *state;

	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	CHECK_OK(update(w, 1));
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	CHECK_OK(update(w, 2));
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
	CHECK_OK(rollback(w));
	assert_runs(w, 2);
	w->fake.sick[1] = true;
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	assert_runs(w, 2);
	/* going forward from a rollback keeps the one that runs */
	w->fake.sick[1] = false;
	CHECK_OK(rollback(w));
	CHECK_OK(update(w, 3));
	assert_runs(w, 3);
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
}

static void
the_previous_version_can_be_installed_as_an_update(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	CHECK_OK(update(w, 1));
	assert_runs(w, 1);
	CHECK_OK(rollback(w));
	assert_runs(w, 2);
}

static void
install_of_what_runs_changes_nothing(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	w->fake.n_pulls = 0;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	assert_int_equal(w->fake.n_pulls, 0);
	assert_int_equal(fake_count(&w->fake), 2);
	/* an administrator stopped it: installing it means that it runs */
	fake_find(&w->fake, "dashboard-bbbbbbbbbbbb-e3b0c442")->status = FAKE_EXITED;
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
}

static void
a_state_that_cannot_be_saved_undoes_the_update(void **state)
{
	struct world *w = *state;
	const char *blocker;

	CHECK_OK(update(w, 1));
	/* a directory in the temporary's place: the commit point cannot be reached */
	blocker = path_in(w->dir, "state.new");
	CHECK_OK(upt_dir_make(blocker, 0700, &w->err));
	CHECK_OK(prepare_with(w, 2, ""));
	assert_true(install_with(w, 2, "") != UPT_OK);
	assert_runs(w, 1);
	assert_int_equal(fake_count(&w->fake), 1);
	assert_int_equal(rmdir(blocker), 0);
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
}

static void
resume_starts_what_shall_run_after_a_power_cycle(void **state)
{
	struct world *w = *state;

	CHECK_OK(resume(w));
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	fake_power_cycle(&w->fake);
	assert_int_equal(fake_running(&w->fake), 0);
	assert_int_equal(unlink(w->endpoint), 0); /* on a file system that forgets, /run say */
	renew(w);
	CHECK_OK(resume(w));
	assert_runs(w, 2);
	/* the engine's own restart at boot may start all there is */
	fake_power_cycle(&w->fake);
	fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->status = FAKE_RUNNING;
	CHECK_OK(resume(w));
	assert_runs(w, 2);
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
}

static void
a_container_on_its_way_down_is_stopped_once_more(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	/* the list is older than the stop: the engine answers that nothing is left to do */
	w->fake.list_exited_as = "stopping";
	CHECK_OK(resume(w));
	CHECK_OK(update(w, 3));
	assert_runs(w, 3);
}

static void
a_lost_state_file_is_made_good_by_what_runs(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	assert_int_equal(unlink(w->state), 0);
	assert_runs(w, 1);
	file_write_text(w->state, "current xyz\n");
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
}

/* What must hold whenever the power comes back: one version runs after resume(), or none where none
 * ran before, and the update can be done again. */
static void
recover(struct world *w, unsigned old, bool power_cycle)
{
	unsigned running;

	if (power_cycle)
		fake_power_cycle(&w->fake);
	w->fake.crashed = false;
	w->fake.crash_at = 0;
	renew(w);
	CHECK_OK(resume(w));
	running = fake_running(&w->fake);
	assert_true(running == old || running == 2);
	if (running != 0)
		assert_runs(w, running);
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	assert_int_equal(fake_count(&w->fake), old == 0 ? 1 : 2);
	if (old != 0) {
		CHECK_OK(rollback(w));
		assert_runs(w, old);
	}
}

/* The update from old to 2 with the power going at every call of the engine in turn. */
static void
cut_at_every_call(struct world *w, unsigned old, bool after, bool power_cycle)
{
	unsigned n_cuts = 0;

	for (unsigned at = 1;; at++) {
		enum upt_code code;
		fake_engine_init(&w->fake);
		unlink(w->state);
		unlink(path_in(w->dir, "state.images"));
		unlink(w->endpoint);
		renew(w);
		if (old != 0)
			CHECK_OK(update(w, old));
		w->fake.n_calls = 0;
		w->fake.crash_at = at;
		w->fake.crash_after = after;
		code = update(w, 2);
		if (!w->fake.crashed) {
			CHECK_OK(code);
			break;
		}
		n_cuts++;
		recover(w, old, power_cycle);
	}
	assert_in_range(n_cuts, 5, 40);
}

static void
the_power_may_go_at_any_call(void **state)
{
	struct world *w = *state;

	for (unsigned mode = 0; mode < 16; mode++) {
		w->config.port_b = (mode & 8) != 0 ? 8082 : 0;
		cut_at_every_call(w, (mode & 4) != 0, (mode & 2) != 0, (mode & 1) != 0);
	}
}

static void
the_power_may_go_during_a_rollback(void **state)
{
	struct world *w = *state;
	unsigned n_cuts = 0;

	for (unsigned at = 1;; at++) {
		unsigned running;
		fake_engine_init(&w->fake);
		unlink(w->state);
		w->config.port_b = at % 2 == 0 ? 8082 : 0;
		renew(w);
		CHECK_OK(update(w, 1));
		CHECK_OK(update(w, 2));
		w->fake.n_calls = 0;
		w->fake.crash_at = (at + 1) / 2;
		if (rollback(w) == UPT_OK && !w->fake.crashed)
			break;
		n_cuts++;
		fake_power_cycle(&w->fake);
		renew(w);
		CHECK_OK(resume(w));
		running = fake_running(&w->fake);
		assert_true(running == 1 || running == 2);
		assert_runs(w, running);
		assert_int_equal(fake_count(&w->fake), 2);
	}
	assert_in_range(n_cuts, 5, 40);
}

static void
current_does_not_believe_a_label(void **state)
{
	struct world *w = *state;
	struct upt_image found;

	CHECK_OK(update(w, 1));
	/* a container that says it is version 1 and is version 2 */
	w->fake.present[2] = true;
	fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->version = 2;
	memset(&found, 0xff, sizeof(found));
	CHECK_CODE(w->installer->ops->current(w->installer, &found, &w->err), UPT_E_INSTALL);
	assert_int_equal(found.n_digests, 0);
	fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->version = 1;
	assert_runs(w, 1);
}

/* The engine, the record and what the world reads: as they were before a check. */
static void
assert_check(struct world *w, enum upt_code code, const char *says)
{
	struct fake_container before[FAKE_CONTAINERS];
	upt_cleanup(upt_buf_clear) struct upt_buf record = {0};
	enum upt_code had = upt_file_read(AT_FDCWD, w->state, 4096, &record, NULL);

	memcpy(before, w->fake.containers, sizeof(before));
	w->fake.n_pauses = 0;
	CHECK_CODE(check(w), code);
	if (code != UPT_OK)
		assert_non_null(strstr(w->err.message, says));
	assert_memory_equal(before, w->fake.containers, sizeof(before));
	assert_int_equal(w->fake.n_pauses, 0);
	if (had == UPT_OK)
		assert_true(file_holds(w->state, upt_buf_span(&record)));
}

static void
a_check_is_of_what_shall_run_now(void **state)
{
	struct world *w = *state;
	struct fake_container *c;

	assert_check(w, UPT_OK, NULL);
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	assert_check(w, UPT_OK, NULL);
	c = fake_find(&w->fake, "dashboard-bbbbbbbbbbbb-e3b0c442");
	w->fake.sick[2] = true;
	assert_check(w, UPT_E_INSTALL, "dashboard-bbbbbbbbbbbb-e3b0c442 is not healthy: ");
	w->fake.sick[2] = false;
	assert_check(w, UPT_OK, NULL);
	c->status = FAKE_EXITED;
	assert_check(w, UPT_E_INSTALL, "dashboard does not run bbbbbbbbbbbb");
	/* nor does it help that another version runs */
	fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->status = FAKE_RUNNING;
	assert_check(w, UPT_E_INSTALL, "dashboard does not run bbbbbbbbbbbb");
	fake_find(&w->fake, "dashboard-aaaaaaaaaaaa-e3b0c442")->status = FAKE_EXITED;
	c->status = FAKE_RUNNING;
	c->version = 1;
	assert_check(w, UPT_E_INSTALL, "not what its label says");
	c->version = 2;
	/* it was started again by the engine, long ago perhaps, and is well */
	c->n_restarts = 7;
	assert_check(w, UPT_OK, NULL);
	w->fake.garbage = "{";
	assert_check(w, UPT_E_SERVER, "");
	c->used = false;
	assert_check(w, UPT_E_INSTALL, "dashboard does not run bbbbbbbbbbbb");
}

static void
current_cannot_tell_when_nothing_runs(void **state)
{
	struct world *w = *state;
	struct upt_image found, one = image(w, 1);
	bool done = true;

	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 0);
	CHECK_OK(update(w, 1));
	fake_power_cycle(&w->fake);
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 0);
	CHECK_CODE(w->installer->ops->finalize(w->installer, &one, &done, &w->err), UPT_E_INSTALL);
	assert_false(done);
}

static void
a_foreign_container_with_our_labels_is_left_alone(void **state)
{
	struct world *w = *state;
	struct fake_container *foreign = &w->fake.containers[FAKE_CONTAINERS - 1];

	/* its image brings the labels; its name is not ours */
	*foreign = (struct fake_container){.used = true, .version = 3, .status = FAKE_RUNNING};
	snprintf(foreign->name, sizeof(foreign->name), "database");
	snprintf(foreign->app, sizeof(foreign->app), "dashboard");
	snprintf(foreign->digest, sizeof(foreign->digest), "%s", w->fake.digest[3]);
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	CHECK_OK(resume(w));
	assert_true(foreign->used);
	assert_int_equal(foreign->status, FAKE_RUNNING);
	foreign->used = false;
	assert_runs(w, 2);
}

static void
the_device_decides_over_the_release(void **state)
{
	struct world *w = *state;
	const char *const env[] = {"MODE=device", "TOKEN=a=b"};
	const char *custom = "{\"name\":\"x\",\"container\":{\"name\":\"dashboard\",\"command\":["
			     "\"-v\",\"a b\"],"
			     "\"env\":{\"MODE\":\"release\",\"COLOUR\":\"blue\",\"PORT\":\"1\"}}}";

	w->config.env = env;
	w->config.n_env = 2;
	w->config.network = "host";
	renew(w);
	CHECK_OK(prepare_with(w, 1, custom));
	CHECK_OK(install_with(w, 1, custom));
	assert_non_null(strstr(w->fake.last_create, "\"MODE=device\""));
	assert_null(strstr(w->fake.last_create, "release"));
	assert_non_null(strstr(w->fake.last_create, "\"TOKEN=a=b\""));
	assert_non_null(strstr(w->fake.last_create, "\"COLOUR=blue\""));
	assert_non_null(strstr(w->fake.last_create, "\"PORT=8081\""));
	assert_non_null(strstr(w->fake.last_create, "\"Cmd\":[\"-v\",\"a b\"]"));
	assert_non_null(strstr(w->fake.last_create, "\"NetworkMode\":\"host\""));
	assert_non_null(strstr(w->fake.last_create, "\"SecurityOpt\":[\"no-new-privileges\"]"));
	assert_non_null(strstr(w->fake.last_create,
		"\"PortBindings\":{\"8081/tcp\":[{\"HostIp\":\"127.0.0.1\","
		"\"HostPort\":\"8081\"}]}"));
}

static void
an_unknown_or_wrong_member_refuses_the_target(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *custom, *says;
	} wrong[] = {
		{"{\"container\":{\"privileged\":true}}", "privileged"},
		{"{\"container\":{\"health\":{\"url\":\"http://127.0.0.1/\",\"x\":1}}}", "x"},
		{"{\"container\":[]}", "container"},
		{"{\"container\":{\"name\":\"other\"}}", "other"},
		{"{\"container\":{\"name\":\"Dash Board\"}}", "name"},
		{"{\"container\":{\"command\":\"sh\"}}", "command"},
		{"{\"container\":{\"command\":[1]}}", "command"},
		{"{\"container\":{\"env\":[\"A=b\"]}}", "env"},
		{"{\"container\":{\"env\":{\"A B\":\"c\"}}}", "env"},
		{"{\"container\":{\"env\":{\"A\":1}}}", "env"},
		{"{\"container\":{\"health\":\"/\"}}", "health"},
		{"{\"container\":{\"health\":{\"url\":\"http://10.0.0.1/\"}}}", "health.url"},
		{"{\"container\":{\"health\":{\"url\":\"http://127.0.0.1.evil/\"}}}", "health.url"},
		{"{\"container\":{\"health\":{\"url\":\"http://127.0.0.1:99999/\"}}}",
			"health.url"},
		{"{\"container\":{\"health\":{\"url\":\"file:///etc/passwd\"}}}", "health.url"},
		{"[]", "custom"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct upt_json_doc doc;
		CHECK_OK(upt_json_check(upt_span_str(wrong[i].custom), &doc, &w->err));
		CHECK_CODE(prepare_with(w, 1, wrong[i].custom), UPT_E_MALFORMED);
		assert_non_null(strstr(w->err.message, wrong[i].says));
	}
	assert_int_equal(w->fake.n_calls, 0);
	CHECK_OK(prepare_with(
		w, 1, "{\"container\":{\"health\":{\"url\":\"http://localhost:%p/ok\"}}}"));
}

static void
too_much_of_anything_is_refused(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	CHECK_OK(upt_buf_printf(&text, &w->err, "{\"container\":{\"command\":[\"a\""));
	for (unsigned i = 0; i < 63; i++)
		CHECK_OK(upt_buf_printf(&text, &w->err, ",\"a\""));
	CHECK_OK(upt_buf_printf(&text, &w->err, "]}}"));
	CHECK_OK(prepare_with(w, 1, (const char *)text.data));
	text.len -= 3;
	CHECK_OK(upt_buf_printf(&text, &w->err, ",\"a\"]}}"));
	CHECK_CODE(prepare_with(w, 1, (const char *)text.data), UPT_E_MALFORMED);
	text.len = 0;
	CHECK_OK(
		upt_buf_printf(&text, &w->err, "{\"container\":{\"env\":{\"A\":\"%04096u\"}}}", 1));
	CHECK_OK(prepare_with(w, 1, (const char *)text.data));
	text.len = 0;
	CHECK_OK(
		upt_buf_printf(&text, &w->err, "{\"container\":{\"env\":{\"A\":\"%04097u\"}}}", 1));
	CHECK_CODE(prepare_with(w, 1, (const char *)text.data), UPT_E_MALFORMED);
}

static void
a_reference_is_unmistakable_or_refused(void **state)
{
	struct world *w = *state;
	struct upt_image of = image(w, 1);
	struct upt_install_job job = job_of(&of, "");
	static const char *const wrong[] = {"dashboard", "library/dashboard", "/dashboard",
		"127.0.0.1:5000", "127.0.0.1:5000/", "127.0.0.1:5000/dashboard:latest",
		"127.0.0.1:5000/dashboard@sha256:00", "docker://127.0.0.1:5000/dashboard",
		"https://registry.example/dashboard", "127.0.0.1:5000//dashboard",
		"127.0.0.1:5000/../dashboard", "127.0.0.1:5000/Dashboard",
		"127.0.0.1:5000/dash board", "127.0.0.1:0/dashboard", "127.0.0.1:99999/dashboard",
		"127.0.0.1:x/dashboard", "127.0.0.1:%p/dashboard", "[::1]:5000/dashboard",
		"127.0.0.1:5000/dashboard?tlsVerify=false", "127.0.0.1:5000/dashboard&x", "",
		"-registry.example/x", "user@registry.example/x"};
	static const char *const right[] = {"127.0.0.1:5000/dashboard",
		"registry.example/a/b-c_d.e", "localhost/dashboard", "registry:5000/dashboard"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		job.uri = wrong[i];
		CHECK_CODE(w->installer->ops->prepare(w->installer, &job, NULL, &w->err),
			UPT_E_MALFORMED);
	}
	job.uri = NULL;
	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, NULL, &w->err), UPT_E_MALFORMED);
	assert_int_equal(w->fake.n_calls, 0);
	w->fake.pull_lies = true;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		enum upt_code code;
		w->fake.n_calls = 0;
		job.uri = right[i];
		code = w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
		assert_true(code == UPT_E_IMAGE_HASH || code == UPT_E_SERVER);
		assert_true(w->fake.n_calls > 0);
	}
}

static void
hashes_that_nobody_checks_refuse_the_target(void **state)
{
	struct world *w = *state;
	struct upt_image of = image_of("dashboard.oci", BYTES("x"));
	struct upt_install_job job = job_of(&of, "");

	CHECK_CODE(
		w->installer->ops->prepare(w->installer, &job, NULL, &w->err), UPT_E_UNSUPPORTED);
	of.digests[0] = of.digests[1];
	of.n_digests = 1;
	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, NULL, &w->err), UPT_E_MALFORMED);
	assert_int_equal(w->fake.n_calls, 0);
}

static void
a_nonsense_answer_is_never_a_state(void **state)
{
	struct world *w = *state;
	static const char *const garbage[] = {"", "x", "{}", "\"a\"", "[1,2", "7"};
	struct upt_image found;

	CHECK_OK(update(w, 1));
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		w->fake.garbage = garbage[i];
		CHECK_CODE(w->installer->ops->current(w->installer, &found, &w->err), UPT_E_SERVER);
		assert_int_equal(found.n_digests, 0);
	}
	w->fake.garbage =
		"[null, 7, {}, {\"Names\":[7],\"Labels\":{\"uptane.app\":\"dashboard\"}}]";
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 0);
	assert_runs(w, 1);
}

static void
a_senseless_configuration_is_refused(void **state)
{
	struct world *w = *state;
	const struct upt_container_installer_config good = w->config;
	const char *const no_value[] = {"SECRET"};
	struct upt_installer *other = w->installer;
	struct upt_container_installer_config bad[12];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = good;
	bad[n++].name = "Dash";
	bad[n++].name = NULL;
	bad[n++].http = NULL;
	bad[n++].state_path = NULL;
	bad[n++].network = "slirp";
	bad[n++].port_a = 0;
	bad[n++].port_b = good.port_a;
	bad[n++].health_url = "http://127.0.0.1:8081/"; /* the old version would answer */
	bad[n++].health_url = "ftp://127.0.0.1:%p/";
	bad[n++].health_timeout_s = 100000;
	bad[n++].stop_timeout_s = 100000;
	bad[n].env = no_value;
	bad[n++].n_env = 1;
	assert_int_equal(n, sizeof(bad) / sizeof(bad[0]));
	for (size_t i = 0; i < n; i++) {
		CHECK_CODE(
			upt_container_installer_new(&bad[i], NULL, &other, &w->err), UPT_E_CONFIG);
		assert_null(other);
		assert_null(strstr(w->err.message, "SECRET"));
	}
	renew(w);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(the_first_version_is_pulled_by_digest_and_started),
		CASE(an_update_proves_itself_on_the_other_port_and_keeps_the_old_one),
		CASE(prepare_asks_no_registry_for_what_is_there),
		CASE(a_pull_that_fails_in_its_stream_is_a_failure),
		CASE(a_pull_that_leaves_no_image_of_that_digest_is_refused),
		CASE(a_pull_reports_and_can_be_cancelled),
		CASE(install_needs_a_prepared_image),
		CASE(a_version_that_ends_is_removed_and_its_last_words_are_told),
		CASE(a_version_that_does_not_start_is_removed),
		CASE(a_full_disk_is_no_fault_of_the_version),
		CASE(a_version_that_never_answers_is_removed_in_bounded_time),
		CASE(a_version_that_restarts_itself_is_not_healthy),
		CASE(a_version_may_take_its_time),
		CASE(without_a_page_running_for_a_while_is_enough),
		CASE(one_port_means_the_old_version_stops_first_and_comes_back),
		CASE(a_page_without_the_port_cannot_be_answered_by_the_old_version),
		CASE(rollback_goes_back_and_forth),
		CASE(the_previous_version_can_be_installed_as_an_update),
		CASE(install_of_what_runs_changes_nothing),
		CASE(a_state_that_cannot_be_saved_undoes_the_update),
		CASE(resume_starts_what_shall_run_after_a_power_cycle),
		CASE(a_container_on_its_way_down_is_stopped_once_more),
		CASE(a_lost_state_file_is_made_good_by_what_runs),
		CASE(the_power_may_go_at_any_call),
		CASE(the_power_may_go_during_a_rollback),
		CASE(current_does_not_believe_a_label),
		CASE(a_check_is_of_what_shall_run_now),
		CASE(current_cannot_tell_when_nothing_runs),
		CASE(a_foreign_container_with_our_labels_is_left_alone),
		CASE(the_device_decides_over_the_release),
		CASE(an_unknown_or_wrong_member_refuses_the_target),
		CASE(too_much_of_anything_is_refused),
		CASE(a_reference_is_unmistakable_or_refused),
		CASE(hashes_that_nobody_checks_refuse_the_target),
		CASE(a_nonsense_answer_is_never_a_state),
		CASE(a_senseless_configuration_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
