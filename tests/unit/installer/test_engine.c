/*
 * The OCI installer on a real Podman or Docker with a real registry. Started by engine_world.sh,
 * which makes both and says where they are in the environment: a missing one is a failure, not a
 * skipped test.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "engine_http.h"
#include "support.h"

struct world {
	char dir[PATH_MAX], state[PATH_MAX], endpoint[PATH_MAX];
	const char *digest[3], *repository;
	unsigned port_a, port_b;
	struct engine_http engine;
	struct upt_container_installer_config config;
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

static unsigned
number_from_environment(const char *name)
{
	return (unsigned)strtoul(from_environment(name), NULL, 10);
}

static void
renew(struct world *w)
{
	upt_installer_free(&w->installer);
	CHECK_OK(upt_container_installer_new(&w->config, NULL, &w->installer, &w->err));
}

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
	snprintf(w.state, sizeof(w.state), "%s", path_in(w.dir, "state"));
	snprintf(w.endpoint, sizeof(w.endpoint), "%s", path_in(w.dir, "endpoint"));
	w.repository = from_environment("APP_NAME");
	w.digest[1] = from_environment("APP_V1");
	w.digest[2] = from_environment("APP_V2");
	w.port_a = number_from_environment("TEST_PORT_A");
	w.port_b = number_from_environment("TEST_PORT_B");
	engine_http_init(&w.engine, from_environment("ENGINE_SOCK"));
	w.config = (struct upt_container_installer_config){
		.http = &w.engine.ops,
		.engine = strcmp(from_environment("ENGINE"), "docker") == 0 ? UPT_ENGINE_DOCKER
									    : UPT_ENGINE_PODMAN,
		.name = "dashboard",
		.network = "host",
		.port_a = (uint16_t)w.port_a,
		.port_b = (uint16_t)w.port_b,
		.health_url = "http://127.0.0.1:%p/",
		.health_timeout_s = 10,
		.stop_timeout_s = 1,
		.endpoint_path = w.endpoint,
		.state_path = w.state,
		.tls_verify = true,
	};
	renew(&w);
	*state = &w;
	return 0;
}

static enum upt_code
engine_call(struct world *w, const char *method, const char *path, struct upt_buf *out)
{
	long status = 0;

	return w->engine.ops.request(w->engine.ops.ctx, method, path, NULL, upt_span(NULL, 0),
		1 << 20, out, &status, &w->err);
}

/* All that the tests leave: containers by their label, then the volume. */
static void
remove_all(struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf list = {0}, reply = {0};
	char path[256];

	CHECK_OK(engine_call(w, "GET",
		"/v1.40/containers/"
		"json?all=true&filters=%7B%22label%22%3A%5B%22uptane.app%22%5D%7D",
		&list));
	for (const char *id = (const char *)list.data; (id = strstr(id, "{\"Id\":\"")) != NULL;) {
		id += 7;
		snprintf(path, sizeof(path), "/v1.40/containers/%.64s?force=true", id);
		CHECK_OK(engine_call(w, "DELETE", path, &reply));
	}
	(void)engine_call(w, "DELETE", "/v1.40/volumes/dashboard-data", &reply);
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	remove_all(w);
	upt_installer_free(&w->installer);
	engine_http_clear(&w->engine);
	dir_remove(w->dir);
	return 0;
}

static enum upt_code
run_op(struct world *w, const char *hex, const char *custom, bool install)
{
	struct upt_image of = image_of_hex("dashboard.oci", hex);
	struct upt_install_job job = {.image = &of,
		.format = "OCI",
		.uri = w->repository,
		.custom = upt_span_str(custom),
		.image_fd = -1};
	bool needs_reboot = true;
	enum upt_code code;

	if (!install)
		return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
	code = w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err);
	assert_false(needs_reboot);
	return code;
}

static enum upt_code
update_with(struct world *w, unsigned version, const char *custom)
{
	CHECK_OK(run_op(w, w->digest[version], custom, false));
	return run_op(w, w->digest[version], custom, true);
}

static enum upt_code
update(struct world *w, unsigned version)
{
	return update_with(w, version, "");
}

static enum upt_code
rollback(struct world *w)
{
	bool needs_reboot;

	return w->installer->ops->rollback(w->installer, &needs_reboot, &w->err);
}

static bool
page_says(struct world *w, unsigned port, const char *text)
{
	struct upt_http_config config = {0};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf page = {0};
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	CHECK_OK(upt_http_new(&config, &http, &w->err));
	return upt_http_get(http, url, 65536, &page, &w->err) == UPT_OK &&
	       strstr((const char *)page.data, text) != NULL;
}

/* The page of that version on that port, none on the other, and the installer says so too. */
static void
assert_serves(struct world *w, unsigned version, unsigned port)
{
	struct upt_image found, expected = image_of_hex("", w->digest[version]);
	char text[32];
	bool done = false;

	snprintf(text, sizeof(text), "gateway dashboard %u", version);
	assert_true(page_says(w, port, text));
	assert_false(page_says(w, port == w->port_a ? w->port_b : w->port_a, "gateway"));
	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 1);
	assert_true(upt_digest_equal(&found.digests[0], &expected.digests[0]));
	CHECK_OK(w->installer->ops->finalize(w->installer, &expected, &done, &w->err));
	assert_true(done);
	snprintf(text, sizeof(text), "%u\n", port);
	assert_true(file_holds(w->endpoint, upt_span_str(text)));
}

static void
an_update_and_back_again(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	assert_serves(w, 1, w->port_a);
	CHECK_OK(update(w, 2));
	assert_serves(w, 2, w->port_b);
	CHECK_OK(rollback(w));
	assert_serves(w, 1, w->port_a);
	CHECK_OK(rollback(w));
	assert_serves(w, 2, w->port_b);
	CHECK_OK(update(w, 2));
	assert_serves(w, 2, w->port_b);
}

static void
one_port_serves_one_version_after_the_other(void **state)
{
	struct world *w = *state;

	w->config.port_b = 0;
	renew(w);
	CHECK_OK(update(w, 1));
	assert_serves(w, 1, w->port_a);
	CHECK_OK(update(w, 2));
	assert_serves(w, 2, w->port_a);
	CHECK_OK(rollback(w));
	assert_serves(w, 1, w->port_a);
}

static void
a_broken_version_leaves_the_old_one_serving(void **state)
{
	struct world *w = *state;
	const char *const env[] = {"PORT=none"};

	CHECK_OK(update(w, 1));
	assert_serves(w, 1, w->port_a);
	w->config.env = env;
	w->config.n_env = 1;
	w->config.port_a = w->config.port_b = 0;
	w->config.health_url = NULL;
	renew(w);
	CHECK_CODE(update(w, 2), UPT_E_INSTALL);
	/* seen after its end, or after the engine had started it once more */
	if (strstr(w->err.message, " ended ") == NULL ||
		strstr(w->err.message, "it said: httpd: bad port 'none'") == NULL)
		fail_msg("not explained: %s", w->err.message);
	assert_serves(w, 1, w->port_a);
}

static void
a_digest_that_the_registry_lacks_is_not_there(void **state)
{
	struct world *w = *state;
	char hex[65];

	memset(hex, '0', 64);
	hex[64] = '\0';
	CHECK_CODE(run_op(w, hex, "", false), UPT_E_SERVER);
	if (strstr(w->err.message, "manifest") == NULL)
		fail_msg("not explained: %s", w->err.message);
	CHECK_OK(run_op(w, w->digest[1], "", false));
}

static void
stop(struct world *w, unsigned version)
{
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	char path[256];

	snprintf(path, sizeof(path), "/v1.40/containers/dashboard-%.12s-e3b0c442/stop?t=1",
		w->digest[version]);
	CHECK_OK(engine_call(w, "POST", path, &reply));
}

static void
a_killed_and_stopped_application_is_resumed(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	char path[256];

	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	stop(w, 2);
	snprintf(path, sizeof(path), "/v1.40/containers/dashboard-%.12s-e3b0c442/start",
		w->digest[1]);
	CHECK_OK(engine_call(w, "POST", path, &reply));
	renew(w);
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	CHECK_OK(update(w, 2));
	/* resume() does not wait for the page; each try of it is retried with a pause */
	for (unsigned i = 0; i < 50 && !page_says(w, w->port_b, "gateway"); i++)
		;
	assert_serves(w, 2, w->port_b);
}

#define DATA "\"mounts\":[{\"volume\":\"data\",\"target\":\"/data\"}]"

static void
a_volume_survives_an_update_and_is_the_applications(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	/* the health check looks at the volume: it writes in the first version, reads in the second
	 */
	const char *writes = "{\"container\":{" DATA ",\"read_only\":true,\"health\":{\"command\":["
			     "\"/bin/busybox\",\"touch\",\"/data/seen\"]}}}";
	const char *reads = "{\"container\":{" DATA ",\"read_only\":true,\"health\":{\"command\":["
			    "\"/bin/busybox\",\"test\",\"-e\",\"/data/seen\"]}}}";
	const char *misses = "{\"container\":{" DATA ",\"health\":{\"timeout_s\":4,\"command\":["
			     "\"/bin/busybox\",\"test\",\"-e\",\"/data/unseen\"]}}}";

	w->config.health_url = NULL;
	w->config.health_timeout_s = 0;
	renew(w);
	CHECK_OK(update_with(w, 1, writes));
	CHECK_OK(update_with(w, 2, reads));
	CHECK_CODE(update_with(w, 1, misses), UPT_E_INSTALL);
	CHECK_OK(update_with(w, 1, reads));
	assert_serves(w, 1, w->port_a);
	CHECK_OK(engine_call(w, "GET", "/v1.40/volumes/dashboard-data", &reply));
	assert_non_null(strstr((const char *)reply.data, "\"uptane.app\":\"dashboard\""));
}

static void
limits_and_dropped_rights_hold_inside(void **state)
{
	struct world *w = *state;
	/* uid 1000, no capability, a read-only root, at most 32 processes: each seen from inside */
	const char *custom =
		"{\"container\":{\"user\":\"1000:1000\",\"read_only\":true,\"drop_capabilities\":["
		"\"ALL\"],\"limits\":{\"memory_bytes\":67108864,\"cpu_millis\":500,\"pids\":32},"
		"\"health\":{\"timeout_s\":10,\"command\":[\"/bin/busybox\",\"sh\",\"-c\","
		"\"/bin/busybox test $(/bin/busybox id -u) = 1000 && ! /bin/busybox touch /x && "
		"/bin/busybox grep -q 'CapEff:.0*$' /proc/self/status\"]}}}";

	w->config.health_url = NULL;
	w->config.health_timeout_s = 0;
	renew(w);
	CHECK_OK(update_with(w, 1, custom));
	assert_serves(w, 1, w->port_a);
}

static enum upt_code
check(struct world *w)
{
	return w->installer->ops->check(w->installer, &w->err);
}

static void
a_check_sees_a_page_that_is_gone_and_a_stopped_application(void **state)
{
	struct world *w = *state;

	CHECK_OK(check(w));
	CHECK_OK(update(w, 1));
	CHECK_OK(check(w));
	w->config.health_url = "http://127.0.0.1:%p/missing";
	renew(w);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "404"));
	w->config.health_url = "http://127.0.0.1:%p/";
	renew(w);
	assert_serves(w, 1, w->port_a);
	stop(w, 1);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "dashboard does not run"));
	CHECK_OK(w->installer->ops->resume(w->installer, &w->err));
	for (unsigned i = 0; i < 50 && !page_says(w, w->port_a, "gateway"); i++)
		;
	CHECK_OK(check(w));
}

/* Podman runs such a check by timers of systemd only: it must be told to, and see today's answer.
 */
static void
a_check_asks_the_engines_own_now(void **state)
{
	struct world *w = *state;
	const char *custom = "{\"container\":{" DATA ",\"health\":{\"command\":[\"/bin/busybox\","
			     "\"test\",\"!\",\"-e\",\"/data/sick\"]}}}";
	const char *sickens = "{\"container\":{" DATA ",\"health\":{\"command\":["
			      "\"/bin/busybox\",\"mkdir\",\"/data/sick\"]}}}";

	w->config.health_url = NULL;
	w->config.health_timeout_s = 0;
	renew(w);
	CHECK_OK(update_with(w, 1, custom));
	CHECK_OK(check(w));
	/* the first answer is a yes, and each later one a no: mkdir of what is there. The engine
	 * takes three in a row for a no, of which Docker asks one in two seconds */
	CHECK_OK(update_with(w, 1, sickens));
	for (unsigned i = 0; i < 60 && check(w) == UPT_OK; i++)
		(void)poll(NULL, 0, 500);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "is not healthy"));
}

static void
another_description_of_the_same_image_takes_over(void **state)
{
	struct world *w = *state;

	CHECK_OK(update_with(w, 1, "{\"container\":{\"env\":{\"MODE\":\"a\"}}}"));
	CHECK_OK(update_with(w, 1, "{\"container\":{\"env\":{\"MODE\":\"b\"}}}"));
	assert_serves(w, 1, w->port_b);
	CHECK_CODE(rollback(w), UPT_E_INSTALL);
	assert_serves(w, 1, w->port_b);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(an_update_and_back_again),
		CASE(one_port_serves_one_version_after_the_other),
		CASE(a_broken_version_leaves_the_old_one_serving),
		CASE(a_digest_that_the_registry_lacks_is_not_there),
		CASE(a_killed_and_stopped_application_is_resumed),
		CASE(a_volume_survives_an_update_and_is_the_applications),
		CASE(limits_and_dropped_rights_hold_inside),
		CASE(a_check_sees_a_page_that_is_gone_and_a_stopped_application),
		CASE(a_check_asks_the_engines_own_now),
		CASE(another_description_of_the_same_image_takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
