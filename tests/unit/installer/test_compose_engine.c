/*
 * The COMPOSE installer on a real Podman or Docker with the real docker-compose, a real registry
 * and real power cuts: the process is killed. Started by engine_world.sh.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "engine_http.h"
#include "installer/compose_run.h"
#include "support.h"

struct world {
	char dir[PATH_MAX], state[PATH_MAX];
	const char *digest[3], *repository;
	unsigned port;
	struct engine_http engine;
	struct upt_compose_installer_config config;
	struct upt_installer *installer;
	struct upt_err err;
};

static const char *
from_environment(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		fail_msg("%s is not set: run this by engine_world.sh", name);
	return value;
}

static void
renew(struct world *w)
{
	upt_installer_free(&w->installer);
	CHECK_OK(upt_compose_installer_new(&w->config, NULL, &w->installer, &w->err));
}

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
	snprintf(w.state, sizeof(w.state), "%s", path_in(w.dir, "state"));
	w.repository = from_environment("APP_NAME");
	w.digest[1] = from_environment("APP_V1");
	w.digest[2] = from_environment("APP_V2");
	w.port = (unsigned)strtoul(from_environment("TEST_PORT_A"), NULL, 10);
	engine_http_init(&w.engine, from_environment("ENGINE_SOCK"));
	w.config = (struct upt_compose_installer_config){
		.container = {.http = &w.engine.ops,
			.name = "upt-test",
			.network = "host",
			.health_timeout_s = 20,
			.stop_timeout_s = 1,
			.state_path = w.state,
			.tls_verify = true},
		.socket_path = from_environment("ENGINE_SOCK"),
	};
	renew(&w);
	*state = &w;
	return 0;
}

/* What is left of the project goes by the installer's own way: a first version that never was. */
static int
tear_down(void **state)
{
	struct world *w = *state;

	unlink(w->state);
	renew(w);
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	upt_installer_free(&w->installer);
	engine_http_clear(&w->engine);
	dir_remove(w->dir);
	return 0;
}

/* A page on the port, and a second service; check is the page's health check. */
static const char *
file_of(struct world *w, unsigned version, const char *check)
{
	static char texts[8][1024];
	static unsigned turn;
	char *text = texts[turn++ % 8];

	snprintf(text, sizeof(texts[0]),
		"services:\n"
		"  page:\n"
		"    image: %s@sha256:%s\n"
		"    network_mode: host\n"
		"    environment: {PORT: \"%u\"}\n"
		"    volumes: [\"data:/data\"]\n"
		"    healthcheck: {test: [\"CMD\", \"/bin/busybox\", \"%s\"], interval: 1s}\n"
		"  idle:\n"
		"    image: %s@sha256:%s\n"
		"    network_mode: none\n"
		"    entrypoint: [\"/bin/busybox\", \"sleep\", \"600\"]\n"
		"    stop_signal: SIGKILL\n"
		"volumes:\n"
		"  data:\n",
		w->repository, w->digest[version], w->port, check, w->repository, w->digest[1]);
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

	file_write_text(path, text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	job.image_fd = fd;
	if (!install)
		return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
	return w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err);
}

static enum upt_code
update(struct world *w, const char *text)
{
	CHECK_OK(run_op(w, text, false));
	return run_op(w, text, true);
}

static bool
page_says(struct world *w, const char *text)
{
	struct upt_http_config config = {0};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf page = {0};
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", w->port);
	CHECK_OK(upt_http_new(&config, &http, &w->err));
	return upt_http_get(http, url, 65536, &page, &w->err) == UPT_OK &&
	       strstr((const char *)page.data, text) != NULL;
}

static void
assert_serves(struct world *w, const char *text, unsigned version)
{
	struct upt_image expected = image_of("dash.compose", upt_span_str(text));
	char title[32];
	bool done = false;

	snprintf(title, sizeof(title), "gateway dashboard %u", version);
	assert_true(page_says(w, title));
	CHECK_OK(w->installer->ops->finalize(w->installer, &expected, &done, &w->err));
	assert_true(done);
}

static void
an_update_and_back_again(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, "true"), *two = file_of(w, 2, "true");
	bool needs_reboot;

	CHECK_OK(update(w, one));
	assert_serves(w, one, 1);
	CHECK_OK(update(w, two));
	assert_serves(w, two, 2);
	CHECK_OK(w->installer->ops->rollback(w->installer, &needs_reboot, &w->err));
	assert_serves(w, one, 1);
}

static void
a_sick_version_gives_way_to_the_old_one(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, "true");

	CHECK_OK(update(w, one));
	w->config.container.health_timeout_s = 8;
	renew(w);
	CHECK_CODE(update(w, file_of(w, 2, "false")), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "service page is not healthy"));
	assert_serves(w, one, 1);
}

struct cut {
	struct upt_compose_run run;
	bool after;
};

static enum upt_code
cut_power(void *ctx, const char *const *argv, char *out, size_t size, struct upt_err *err)
{
	struct cut *cut = ctx;

	if (cut->after && upt_compose_run(&cut->run, argv, out, size, err) != UPT_OK)
		_exit(2);
	raise(SIGKILL);
	return UPT_OK;
}

/* The whole process goes before or after compose did its work; then it is started again. */
static void
a_killed_update_ends_in_the_old_version_and_can_be_done_again(void **state)
{
	struct world *w = *state;
	const char *one = file_of(w, 1, "true"), *two = file_of(w, 2, "true");
	char home[PATH_MAX + 8];
	struct cut cut = {
		.run = {.socket_path = w->config.socket_path, .home = home, .timeout_s = 60}};
	struct upt_compose_runner runner = {cut_power, &cut};

	snprintf(home, sizeof(home), "%s.d", w->state);
	CHECK_OK(update(w, one));
	CHECK_OK(run_op(w, two, false));
	for (unsigned i = 0; i < 2; i++) {
		int status = 0;
		pid_t child;

		cut.after = i == 1;
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			w->config.runner = &runner;
			renew(w);
			(void)run_op(w, two, true);
			_exit(1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		renew(w);
		CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
		for (unsigned k = 0; k < 50 && !page_says(w, "gateway"); k++)
			;
		assert_serves(w, one, 1);
	}
	CHECK_OK(update(w, two));
	assert_serves(w, two, 2);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(an_update_and_back_again),
		CASE(a_sick_version_gives_way_to_the_old_one),
		CASE(a_killed_update_ends_in_the_old_version_and_can_be_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
