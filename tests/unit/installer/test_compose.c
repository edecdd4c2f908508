/* The COMPOSE installer against an engine and a compose in memory: order of steps, failures, and
 * the power going at every single step of both. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"
#include "fake_engine.h"
#include "installer/compose_run.h"

#define PROJECT "dash"
#define MAX_FILE 1024

struct world {
	char dir[PATH_MAX], state[PATH_MAX];
	struct fake_engine fake;
	struct upt_compose_runner runner;
	struct upt_compose_installer_config config;
	struct upt_installer *installer;
	struct upt_err err;
	bool compose_fails; /* its exit code, whatever it does */
	bool compose_does_nothing;
	unsigned n_runs;
	char last_run[2048];
};

/* ---- a compose ---- */

static struct fake_container *
find_service(struct world *w, const char *service)
{
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		struct fake_container *c = &w->fake.containers[i];
		if (c->used && strcmp(c->service, service) == 0)
			return c;
	}
	return NULL;
}

static bool
power_fails(struct world *w)
{
	return fake_power_fails_before(&w->fake) || fake_power_fails_after(&w->fake);
}

/* One service: its old container stops and goes, the new one is made and started; each is a step.
 */
static bool
up_service(struct world *w, const char *service, unsigned version)
{
	struct fake_container *c = find_service(w, service);

	assert_true(w->fake.present[version]); /* compose must have nothing to pull */
	if (power_fails(w))
		return false;
	if (c != NULL && c->version != version) {
		c->used = false;
		c = NULL;
		if (power_fails(w))
			return false;
	}
	if (c == NULL) {
		c = fake_new_container(&w->fake);
		*c = (struct fake_container){.used = true, .version = version};
		snprintf(c->project, sizeof(c->project), PROJECT);
		snprintf(c->service, sizeof(c->service), "%s", service);
		snprintf(c->name, sizeof(c->name), PROJECT "_%s_1", service);
		if (power_fails(w))
			return false;
	}
	if (c->status != FAKE_RUNNING)
		fake_start(&w->fake, c);
	return true;
}

/* All containers of the project that are not among the services of text go. */
static bool
remove_others(struct world *w, const char *text)
{
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		struct fake_container *c = &w->fake.containers[i];
		char line[80];
		snprintf(line, sizeof(line), "\n  %s:\n", c->service);
		if (!c->used || c->service[0] == '\0' || strstr(text, line) != NULL)
			continue;
		if (power_fails(w))
			return false;
		c->used = false;
	}
	return true;
}

static bool
up(struct world *w, const char *text)
{
	char service[64], image[256];
	const char *at = text;

	while ((at = strstr(at, "\n  ")) != NULL) {
		at++;
		if (sscanf(at, "  %63[a-z]:\n    image: %255s\n", service, image) == 2 &&
			!up_service(w, service, fake_version_of(&w->fake, image)))
			return false;
	}
	return remove_others(w, text);
}

static enum upt_code
run_compose(void *ctx, const char *const *argv, char *out, size_t size, struct upt_err *err)
{
	struct world *w = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	size_t n = 0;
	bool done;

	snprintf(out, size, "compose says no");
	w->n_runs++;
	w->last_run[0] = '\0';
	for (size_t i = 0; argv[i] != NULL; i++)
		n += (size_t)snprintf(w->last_run + n, sizeof(w->last_run) - n, "%s ", argv[i]);
	assert_string_equal(argv[3], "-p");
	assert_string_equal(argv[4], PROJECT);
	assert_string_equal(argv[5], "-f");
	CHECK_OK(upt_file_read(AT_FDCWD, argv[6], MAX_FILE, &text, &w->err));
	if (w->compose_does_nothing)
		return UPT_OK;
	done = strcmp(argv[7], "up") == 0 ? up(w, (const char *)text.data) : remove_others(w, "");
	if (!done || w->compose_fails)
		return upt_fail(err, UPT_E_INSTALL, "compose failed: %s", out);
	return UPT_OK;
}

/* ---- the world ---- */

static void
renew(struct world *w)
{
	upt_installer_free(&w->installer);
	CHECK_OK(upt_compose_installer_new(&w->config, NULL, &w->installer, &w->err));
}

static int
set_up(void **state)
{
	static struct world world;
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	dir_make(w->dir);
	snprintf(w->state, sizeof(w->state), "%s", path_in(w->dir, "state"));
	fake_engine_init(&w->fake);
	w->runner = (struct upt_compose_runner){run_compose, w};
	w->config = (struct upt_compose_installer_config){
		.container = {.http = &w->fake.ops,
			.name = PROJECT,
			.health_timeout_s = 10,
			.state_path = w->state,
			.tls_verify = true},
		.socket_path = "/run/none.sock",
		.runner = &w->runner,
	};
	renew(w);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	upt_installer_free(&w->installer);
	dir_remove(w->dir);
	return 0;
}

/* Service "web" in a version, and "db" in another unless that is 0; check: web has a health check.
 */
static const char *
file_of(struct world *w, unsigned web, unsigned db, bool check)
{
	static char texts[4 * 4 * 2][MAX_FILE]; /* each has its place */
	char *text = texts[web * 8 + db * 2 + check];
	int n = snprintf(text, MAX_FILE,
		"services:\n  web:\n    image: " FAKE_REPOSITORY "@sha256:%s\n%s",
		w->fake.digest[web], check ? "    healthcheck: {test: [CMD, /check]}\n" : "");

	if (db != 0)
		snprintf(text + n, MAX_FILE - (size_t)n,
			"  db:\n    image: " FAKE_REPOSITORY "@sha256:%s\n", w->fake.digest[db]);
	return text;
}

static enum upt_code
run_op(struct world *w, const char *text, bool install)
{
	const char *path = path_in(w->dir, "target");
	struct upt_image of = image_of("dash.compose", upt_span_str(text));
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_install_job job = {.image = &of, .format = "COMPOSE"};
	bool needs_reboot = true;
	enum upt_code code;

	file_write_text(path, text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	job.image_fd = fd;
	if (!install)
		return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
	code = w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err);
	assert_false(needs_reboot);
	return code;
}

static enum upt_code
update(struct world *w, const char *text)
{
	enum upt_code code = run_op(w, text, false);

	return code != UPT_OK ? code : run_op(w, text, true);
}

static enum upt_code
rollback(struct world *w)
{
	bool needs_reboot = true;

	return w->installer->ops->rollback(w->installer, &needs_reboot, &w->err);
}

static bool
service_runs(struct world *w, const char *service, unsigned version)
{
	const struct fake_container *c = find_service(w, service);

	return version == 0 ? c == NULL
			    : c != NULL && c->status == FAKE_RUNNING && c->version == version;
}

/* By the engine's truth and by the installer's word. */
static void
assert_runs(struct world *w, const char *text, unsigned web, unsigned db)
{
	struct upt_image found, expected = image_of("dash.compose", upt_span_str(text));
	bool done = false;

	assert_true(service_runs(w, "web", web));
	assert_true(service_runs(w, "db", db));
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 2);
	assert_true(upt_image_same_content(&found, &expected));
	CHECK_OK(w->installer->ops->finalize(w->installer, &expected, &done, &w->err));
	assert_true(done);
}

static unsigned
n_files(struct world *w)
{
	unsigned n = 0;

	for (unsigned web = 1; web < 4; web++) {
		for (unsigned db = 0; db < 4; db++) {
			struct upt_image of =
				image_of("", upt_span_str(file_of(w, web, db, false)));
			char path[PATH_MAX + 80];
			size_t at = (size_t)snprintf(path, sizeof(path), "%s.d/", w->state);
			for (size_t i = 0; i < 32; i++)
				at += (size_t)snprintf(path + at, sizeof(path) - at, "%02x",
					of.digests[0].bytes[i]);
			snprintf(path + at, sizeof(path) - at, ".yml");
			n += file_exists(path);
		}
	}
	return n;
}

/* ---- cases ---- */

static void
an_update_pulls_all_before_compose_runs_and_keeps_the_old_file(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 2, false), *two = file_of(w, 3, 2, false);

	CHECK_OK(run_op(w, one, false));
	assert_int_equal(w->fake.n_pulls, 2);
	assert_int_equal(w->n_runs, 0);
	CHECK_OK(run_op(w, one, true));
	assert_non_null(strstr(w->last_run, "/usr/bin/docker-compose --ansi never -p dash -f "));
	assert_non_null(strstr(w->last_run, ".yml up -d --no-build --remove-orphans -t 10 "));
	assert_runs(w, one, 1, 2);
	CHECK_OK(update(w, two));
	assert_runs(w, two, 3, 2);
	assert_int_equal(n_files(w), 2);
	CHECK_OK(rollback(w));
	assert_runs(w, one, 1, 2);
	CHECK_OK(rollback(w));
	assert_runs(w, two, 3, 2);
	CHECK_OK(update(w, two));
	assert_runs(w, two, 3, 2);
}

static void
install_needs_all_images_prepared(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false), *two = file_of(w, 1, 2, false);

	CHECK_OK(update(w, one));
	w->n_runs = 0;
	CHECK_CODE(run_op(w, two, true), UPT_E_NOT_FOUND);
	assert_int_equal(w->n_runs, 0);
	assert_runs(w, one, 1, 0);
	w->fake.in_registry[2] = false;
	CHECK_CODE(run_op(w, two, false), UPT_E_SERVER);
	assert_runs(w, one, 1, 0);
}

static void
a_preparation_that_broke_off_keeps_what_it_pulled(void **state)
{
	struct world *w = *state;
	const char *text = file_of(w, 2, 3, false);

	CHECK_OK(update(w, file_of(w, 1, 0, false)));
	w->fake.in_registry[3] = false;
	CHECK_CODE(run_op(w, text, false), UPT_E_SERVER);
	w->fake.in_registry[3] = true;
	w->fake.n_pulls = 0;
	CHECK_OK(run_op(w, text, false));
	assert_int_equal(w->fake.n_pulls, 1);
}

static void
images_that_no_kept_file_names_are_removed(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, file_of(w, 1, 0, false)));
	CHECK_OK(update(w, file_of(w, 2, 0, false)));
	assert_true(w->fake.present[1]);
	CHECK_OK(update(w, file_of(w, 3, 0, false)));
	assert_false(w->fake.present[1]);
	assert_true(w->fake.present[2]);
	assert_int_equal(n_files(w), 2);
}

static void
a_version_that_fails_gives_way_to_the_old_one(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false), *two = file_of(w, 2, 3, false);

	CHECK_OK(update(w, one));
	w->fake.dies[3] = true;
	CHECK_CODE(update(w, two), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "service db ended"));
	assert_runs(w, one, 1, 0);
	assert_false(w->fake.present[2]);
	assert_int_equal(n_files(w), 1);
	w->fake.dies[3] = false;
	w->fake.flaps[2] = true;
	CHECK_CODE(update(w, two), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "was started again"));
	assert_runs(w, one, 1, 0);
	w->fake.flaps[2] = false;
	CHECK_OK(update(w, two));
	assert_runs(w, two, 2, 3);
}

static void
a_first_version_that_fails_leaves_nothing(void **state)
{
	struct world *w = *state;

	w->fake.dies[2] = true;
	CHECK_CODE(update(w, file_of(w, 1, 2, false)), UPT_E_INSTALL);
	assert_int_equal(fake_count(&w->fake), 0);
	assert_int_equal(n_files(w), 0);
	assert_false(w->fake.present[1]);
	CHECK_OK(update(w, file_of(w, 1, 0, false)));
}

static void
the_engine_is_believed_and_not_an_exit_code(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false), *two = file_of(w, 2, 0, false);

	CHECK_OK(update(w, one));
	w->compose_does_nothing = true;
	CHECK_CODE(update(w, two), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "another image than the pinned one"));
	assert_runs(w, one, 1, 0);
	w->compose_does_nothing = false;
	w->compose_fails = true;
	CHECK_OK(update(w, two));
	assert_runs(w, two, 2, 0);
}

static void
a_health_check_of_the_file_must_pass(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false), *two = file_of(w, 2, 0, true);
	uint64_t began;

	for (unsigned docker = 0; docker < 2; docker++) {
		w->fake.is_docker = docker == 1;
		renew(w);
		CHECK_OK(update(w, one));
		w->fake.engine_check_passes = false;
		began = w->fake.now_ms;
		CHECK_CODE(update(w, two), UPT_E_INSTALL);
		assert_non_null(strstr(w->err.message, "service web is not healthy"));
		assert_in_range(w->fake.now_ms - began, 10000, 20000);
		assert_runs(w, one, 1, 0);
		w->fake.engine_check_passes = true;
		CHECK_OK(update(w, two));
		assert_runs(w, two, 2, 0);
	}
}

static void
assert_check(struct world *w, enum upt_code code, const char *says)
{
	struct fake_container before[FAKE_CONTAINERS];
	unsigned runs = w->n_runs;

	memcpy(before, w->fake.containers, sizeof(before));
	w->fake.n_pauses = 0;
	CHECK_CODE(w->installer->ops->check(w->installer, &w->err), code);
	if (code != UPT_OK)
		assert_non_null(strstr(w->err.message, says));
	assert_memory_equal(before, w->fake.containers, sizeof(before));
	assert_int_equal(w->fake.n_pauses, 0);
	assert_int_equal(w->n_runs, runs);
}

static void
a_check_is_of_every_service_now(void **state)
{
	struct world *w = *state;
	struct fake_container *web;

	assert_check(w, UPT_OK, NULL);
	w->fake.engine_check_passes = true;
	CHECK_OK(update(w, file_of(w, 1, 2, true)));
	web = find_service(w, "web");
	assert_check(w, UPT_OK, NULL);
	w->fake.engine_check_passes = false;
	assert_check(w, UPT_E_INSTALL, "service web is not healthy");
	w->fake.engine_check_passes = true;
	find_service(w, "db")->status = FAKE_EXITED;
	assert_check(w, UPT_E_INSTALL, "service db ended");
	find_service(w, "db")->status = FAKE_RUNNING;
	web->n_restarts = 7;
	assert_check(w, UPT_OK, NULL);
	web->version = 2;
	assert_check(w, UPT_E_INSTALL, "service web runs another image than the pinned one");
	web->version = 1;
	w->fake.garbage = "{";
	assert_check(w, UPT_E_SERVER, "");
	assert_check(w, UPT_OK, NULL);
}

static void
a_container_of_no_service_is_no_success(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false);
	struct upt_image found;
	struct fake_container *c;

	CHECK_OK(update(w, one));
	c = fake_new_container(&w->fake);
	*c = (struct fake_container){.used = true, .version = 1, .status = FAKE_RUNNING};
	snprintf(c->project, sizeof(c->project), PROJECT);
	snprintf(c->service, sizeof(c->service), "stranger");
	snprintf(c->name, sizeof(c->name), PROJECT "_stranger_1");
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 0);
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	assert_runs(w, one, 1, 0);
	assert_int_equal(fake_count(&w->fake), 1);
}

static void
other_bytes_than_the_listed_ones_are_refused(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false), *two = file_of(w, 2, 0, false);
	const char *path = path_in(w->dir, "target");
	struct upt_image of = image_of("dash.compose", upt_span_str(one));
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_install_job job = {.image = &of, .format = "COMPOSE"};
	bool needs_reboot;

	file_write_text(path, two);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	job.image_fd = fd;
	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, NULL, &w->err), UPT_E_IMAGE_HASH);
	CHECK_CODE(w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err),
		UPT_E_IMAGE_HASH);
	assert_int_equal(w->fake.n_calls, 0);
	assert_int_equal(w->n_runs, 0);
	CHECK_CODE(run_op(w, "services: {}\n", false), UPT_E_MALFORMED);
	assert_int_equal(w->fake.n_calls, 0);
}

static void
a_kept_file_that_was_edited_is_not_brought_up(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 0, false);
	struct upt_image of = image_of("", upt_span_str(one)), found;
	char path[PATH_MAX + 80];
	size_t at = (size_t)snprintf(path, sizeof(path), "%s.d/", w->state);

	CHECK_OK(update(w, one));
	for (size_t i = 0; i < 32; i++)
		at += (size_t)snprintf(
			path + at, sizeof(path) - at, "%02x", of.digests[0].bytes[i]);
	snprintf(path + at, sizeof(path) - at, ".yml");
	file_write_text(path, file_of(w, 2, 0, false));
	w->n_runs = 0;
	CHECK_CODE(w->installer->ops->current(w->installer, &found, &w->err), UPT_E_IMAGE_HASH);
	CHECK_CODE(w->installer->ops->resume(w->installer, &w->err), UPT_E_IMAGE_HASH);
	assert_int_equal(w->n_runs, 0);
	CHECK_OK(update(w, one));
	assert_runs(w, one, 1, 0);
}

static void
resume_brings_up_what_shall_run(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, 2, false);

	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	CHECK_OK(update(w, one));
	w->n_runs = 0;
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	assert_int_equal(w->n_runs, 0);
	fake_power_cycle(&w->fake);
	renew(w);
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	assert_runs(w, one, 1, 2);
}

static void
the_power_may_go_at_any_step(void **state)
{
	struct world *w = *state;
	const char *old = file_of(w, 1, 3, false), *new = file_of(w, 2, 3, false);

	for (unsigned mode = 0; mode < 4; mode++) {
		bool first = (mode & 1) != 0; /* there is no old version */
		unsigned n_cuts = 0;

		for (unsigned at = 1;; at++) {
			enum upt_code code;
			dir_remove(w->dir);
			dir_make(w->dir);
			snprintf(w->state, sizeof(w->state), "%s", path_in(w->dir, "state"));
			fake_engine_init(&w->fake);
			renew(w);
			if (!first)
				CHECK_OK(update(w, old));
			w->fake.n_calls = 0;
			w->fake.crash_at = at;
			w->fake.crash_after = (mode & 2) != 0;
			code = update(w, new);
			if (!w->fake.crashed) {
				CHECK_OK(code);
				break;
			}
			n_cuts++;
			fake_power_cycle(&w->fake);
			renew(w);
			CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
			if (service_runs(w, "web", 2))
				assert_runs(w, new, 2, 3);
			else if (first)
				assert_int_equal(fake_running(&w->fake), 0);
			else
				assert_runs(w, old, 1, 3);
			CHECK_OK(update(w, new));
			assert_runs(w, new, 2, 3);
			if (first)
				continue;
			CHECK_OK(rollback(w));
			assert_runs(w, old, 1, 3);
		}
		assert_in_range(n_cuts, 30, 120);
	}
}

static void
a_senseless_configuration_is_refused(void **state)
{
	struct world *w = *state;
	const struct upt_compose_installer_config good = w->config;
	const char *const env[] = {"A=b"};
	struct upt_compose_installer_config bad[8];
	struct upt_installer *other = w->installer;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = good;
	bad[n++].socket_path = NULL;
	bad[n++].socket_path = "docker.sock";
	bad[n++].program = "docker-compose";
	bad[n++].container.port_a = 80;
	bad[n++].container.mirrors = "mirror.example";
	bad[n++].timeout_s = 4000;
	bad[n].container.env = env;
	bad[n++].container.n_env = 1;
	bad[n++].container.name = "Dash";
	assert_int_equal(n, sizeof(bad) / sizeof(bad[0]));
	for (size_t i = 0; i < n; i++) {
		CHECK_CODE(upt_compose_installer_new(&bad[i], NULL, &other, &w->err), UPT_E_CONFIG);
		assert_null(other);
	}
}

/* ---- the process ---- */

static enum upt_code
run_script(struct world *w, const char *script, unsigned timeout_s, char out[static 64])
{
	const char *path = path_in(w->dir, "script");
	const char *const argv[] = {path, "a b", "$HOME", NULL};
	struct upt_compose_run settings = {
		.socket_path = "/run/x.sock", .home = w->dir, .timeout_s = timeout_s};

	unlink(path);
	file_write_text(path, script);
	assert_int_equal(chmod(path, 0700), 0);
	return upt_compose_run(&settings, argv, out, 64, &w->err);
}

static void
compose_runs_without_a_shell_and_with_our_environment_alone(void **state)
{
	struct world *w = *state;
	char out[64], expected[PATH_MAX + 16];

	assert_int_equal(setenv("UPT_TEST_SECRET", "x", 1), 0);
	CHECK_OK(run_script(w, "#!/bin/sh\necho \"$1,$2,$UPT_TEST_SECRET\"\n", 10, out));
	assert_string_equal(out, "a b,$HOME,");
	CHECK_OK(run_script(w, "#!/bin/sh\necho $DOCKER_HOST\n", 10, out));
	assert_string_equal(out, "unix:///run/x.sock");
	CHECK_OK(run_script(w, "#!/bin/sh\necho err >&2\npwd\n", 10, out));
	snprintf(expected, sizeof(expected), "err | %s", w->dir);
	assert_string_equal(out, expected);
	CHECK_CODE(
		run_script(w, "#!/bin/sh\necho no such thing\nexit 3\n", 10, out), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "exited with 3: no such thing"));
	/* of what does not fit the end stays, fit for a log */
	CHECK_OK(run_script(w,
		"#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8; do printf 'line\\033 %s\\r' $i; done\nprintf "
		"end\n",
		10, out));
	assert_string_equal(out, "line? 3 | line? 4 | line? 5 | line? 6 | line? 7 | line? 8 | end");
	CHECK_CODE(run_script(w, "#!/none\n", 10, out), UPT_E_NOT_FOUND);
}

static void
compose_that_hangs_ends_with_all_it_started(void **state)
{
	struct world *w = *state;
	const char *pid_path = path_in(w->dir, "pid");
	upt_cleanup(upt_buf_clear) struct upt_buf pid = {0};
	char out[64], proc[64];

	CHECK_CODE(run_script(w, "#!/bin/sh\nsleep 600 &\necho $! >pid\nwait\n", 1, out),
		UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "did not end within 1000 ms"));
	CHECK_OK(upt_file_read(AT_FDCWD, pid_path, 32, &pid, &w->err));
	snprintf(proc, sizeof(proc), "/proc/%lu/cmdline", strtoul((char *)pid.data, NULL, 10));
	/* killed; its parent's parent may still have to collect it, and then it has no command line
	 */
	pid.len = 0;
	for (unsigned i = 0; i < 1000000 && file_exists(proc); i++) {
		char c;
		upt_cleanup(upt_close_fd) int fd = open(proc, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, &c, 1) <= 0)
			return;
	}
	assert_false(file_exists(proc));
	/* a child that keeps the output open is not waited for */
	CHECK_OK(run_script(w, "#!/bin/sh\nsleep 600 &\necho done\n", 20, out));
	assert_string_equal(out, "done");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(an_update_pulls_all_before_compose_runs_and_keeps_the_old_file),
		CASE(install_needs_all_images_prepared),
		CASE(a_preparation_that_broke_off_keeps_what_it_pulled),
		CASE(images_that_no_kept_file_names_are_removed),
		CASE(a_version_that_fails_gives_way_to_the_old_one),
		CASE(a_first_version_that_fails_leaves_nothing),
		CASE(the_engine_is_believed_and_not_an_exit_code),
		CASE(a_health_check_of_the_file_must_pass),
		CASE(a_check_is_of_every_service_now),
		CASE(a_container_of_no_service_is_no_success),
		CASE(other_bytes_than_the_listed_ones_are_refused),
		CASE(a_kept_file_that_was_edited_is_not_brought_up),
		CASE(resume_brings_up_what_shall_run),
		CASE(the_power_may_go_at_any_step),
		CASE(a_senseless_configuration_is_refused),
		CASE(compose_runs_without_a_shell_and_with_our_environment_alone),
		CASE(compose_that_hangs_ends_with_all_it_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
