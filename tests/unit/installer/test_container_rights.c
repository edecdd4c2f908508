/* What a signed release may ask of a device: mounts, ports, devices, limits, health checks, and a
 * description that changes while the image does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "container_world.h"
#include "json/json.h"

#define C(members) "{\"container\":{" members "}}"

static void
assert_created(struct world *w, const char *text)
{
	if (strstr(w->fake.last_create, text) == NULL)
		fail_msg("no %s in %s", text, w->fake.last_create);
}

static void
all_that_a_release_says_reaches_the_engine(void **state)
{
	struct world *w = *state;

	w->config.allow_binds = "/etc/ssl/certs:ro /srv/data";
	w->config.allow_devices = "/dev/ttyS0";
	w->config.allow_ports = "8443 5353/udp";
	renew(w);
	CHECK_OK(update_with(w, 1,
		C("\"mounts\":[{\"volume\":\"data\",\"target\":\"/data\"},{\"bind\":\"/etc/ssl/"
		  "certs\","
		  "\"target\":\"/certs\",\"read_only\":true},{\"bind\":\"/srv/data\",\"target\":\"/"
		  "srv\"}],"
		  "\"ports\":[{\"host\":8443,\"container\":443,\"address\":\"0.0.0.0\"},{\"host\":"
		  "5353,"
		  "\"container\":53,\"protocol\":\"udp\",\"address\":\"::\"}],\"devices\":[\"/dev/"
		  "ttyS0\"],"
		  "\"restart\":\"on-failure\",\"user\":\"1000:www\",\"read_only\":true,"
		  "\"drop_capabilities\":[\"ALL\"],\"limits\":{\"memory_bytes\":67108864,"
		  "\"cpu_millis\":500,\"pids\":64}")));
	assert_created(w, "{\"Type\":\"volume\",\"Source\":\"dashboard-data\",\"Target\":\"/data\","
			  "\"ReadOnly\":false}");
	assert_created(w, "{\"Type\":\"bind\",\"Source\":\"/etc/ssl/certs\",\"Target\":\"/certs\","
			  "\"ReadOnly\":true}");
	assert_created(w, "\"443/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8443\"}]");
	assert_created(w, "\"53/udp\":[{\"HostIp\":\"::\",\"HostPort\":\"5353\"}]");
	assert_created(w, "\"PathOnHost\":\"/dev/ttyS0\"");
	assert_created(w, "\"Name\":\"on-failure\"");
	assert_created(w, "\"User\":\"1000:www\"");
	assert_created(w, "\"ReadonlyRootfs\":true");
	assert_created(w, "\"CapDrop\":[\"ALL\"]");
	assert_created(w, "\"Memory\":67108864,\"NanoCpus\":500000000,\"PidsLimit\":64");
	assert_string_equal(w->fake.volumes[0].name, "dashboard-data");
	assert_string_equal(w->fake.volumes[0].app, "dashboard");
}

static void
what_the_device_does_not_permit_is_refused_before_anything_is_pulled(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *custom, *says;
	} wrong[] = {
		{C("\"mounts\":[{\"bind\":\"/etc/ssl\",\"target\":\"/x\"}]"), "allow_binds"},
		{C("\"mounts\":[{\"bind\":\"/etc/ssl/certs\",\"target\":\"/x\"}]"), "writable"},
		{C("\"mounts\":[{\"bind\":\"/srv/data/x\",\"target\":\"/x\"}]"), "/srv/data/x"},
		{C("\"devices\":[\"/dev/ttyS1\"]"), "allow_devices"},
		{C("\"ports\":[{\"host\":80,\"container\":80,\"address\":\"0.0.0.0\"}]"),
			"allow_ports"},
		{C("\"ports\":[{\"host\":8443,\"container\":80,\"protocol\":\"udp\",\"address\":"
		   "\"0.0.0.0\"}]"),
			"8443/udp"},
	};

	w->config.allow_binds = "/etc/ssl/certs:ro /srv/data";
	w->config.allow_devices = "/dev/ttyS0";
	w->config.allow_ports = "8443";
	renew(w);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_CODE(prepare_with(w, 1, wrong[i].custom), UPT_E_PERMISSION);
		if (strstr(w->err.message, wrong[i].says) == NULL)
			fail_msg("\"%s\" does not say %s", w->err.message, wrong[i].says);
		CHECK_CODE(install_with(w, 1, wrong[i].custom), UPT_E_PERMISSION);
	}
	assert_int_equal(w->fake.n_calls, 0);
	CHECK_OK(prepare_with(w, 1,
		C("\"mounts\":[{\"bind\":\"/etc/ssl/certs\",\"target\":\"/x\",\"read_only\":true}],"
		  "\"ports\":[{\"host\":80,\"container\":80}]")));
}

static void
the_device_lowers_limits_and_never_raises_them(void **state)
{
	struct world *w = *state;

	w->config.max_memory_bytes = 1000;
	w->config.max_cpu_millis = 100;
	w->config.max_pids = 10;
	renew(w);
	CHECK_OK(update_with(w, 1, C("\"limits\":{\"memory_bytes\":2000,\"cpu_millis\":50}")));
	assert_created(w, "\"Memory\":1000,\"NanoCpus\":50000000,\"PidsLimit\":10");
}

static void
wrong_members_are_refused_by_name(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *custom, *says;
	} wrong[] = {
		{C("\"mounts\":{}"), "mounts"},
		{C("\"mounts\":[7]"), "mounts"},
		{C("\"mounts\":[{\"target\":\"/x\"}]"), "mounts"},
		{C("\"mounts\":[{\"volume\":\"a\"}]"), "mounts"},
		{C("\"mounts\":[{\"volume\":\"a\",\"bind\":\"/a\",\"target\":\"/x\"}]"), "mounts"},
		{C("\"mounts\":[{\"volume\":\"A b\",\"target\":\"/x\"}]"), "mounts.volume"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"x\"}]"), "mounts.target"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/\"}]"), "mounts.target"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/x/../etc\"}]"), "mounts.target"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/x:ro\"}]"), "mounts.target"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/x\"},{\"volume\":\"b\",\"target\":"
		   "\"/x\"}]"),
			"twice"},
		{C("\"mounts\":[{\"bind\":\"/a//b\",\"target\":\"/x\"}]"), "mounts.bind"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/x\",\"read_only\":1}]"),
			"read_only"},
		{C("\"mounts\":[{\"volume\":\"a\",\"target\":\"/x\",\"propagation\":\"shared\"}]"),
			"propagation"},
		{C("\"ports\":[{\"host\":80}]"), "ports"},
		{C("\"ports\":[{\"host\":0,\"container\":80}]"), "ports.host"},
		{C("\"ports\":[{\"host\":65536,\"container\":80}]"), "ports.host"},
		{C("\"ports\":[{\"host\":80,\"container\":80,\"protocol\":\"sctp\"}]"), "protocol"},
		{C("\"ports\":[{\"host\":80,\"container\":80,\"address\":\"eth0\"}]"), "address"},
		{C("\"ports\":[{\"host\":80,\"container\":80,\"mode\":\"x\"}]"), "mode"},
		{C("\"devices\":[\"/etc/passwd\"]"), "devices"},
		{C("\"devices\":[\"/dev/../etc/passwd\"]"), "devices"},
		{C("\"restart\":\"always\""), "restart"},
		{C("\"user\":\"0:\""), "user"},
		{C("\"user\":\"a b\""), "user"},
		{C("\"read_only\":\"yes\""), "read_only"},
		{C("\"drop_capabilities\":[\"all\"]"), "drop_capabilities"},
		{C("\"cap_add\":[\"ALL\"]"), "cap_add"},
		{C("\"limits\":{\"memory_bytes\":0}"), "limits.memory_bytes"},
		{C("\"limits\":{\"memory_bytes\":\"1g\"}"), "limits.memory_bytes"},
		{C("\"limits\":{\"swap\":1}"), "swap"},
		{C("\"health\":{\"command\":\"true\"}"), "health.command"},
		{C("\"health\":{\"command\":[\"true\"],\"engine\":true}"), "health"},
		{C("\"health\":{\"timeout_s\":3601}"), "timeout_s"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct upt_json_doc doc;
		CHECK_OK(upt_json_check(upt_span_str(wrong[i].custom), &doc, &w->err));
		CHECK_CODE(prepare_with(w, 1, wrong[i].custom), UPT_E_MALFORMED);
		if (strstr(w->err.message, wrong[i].says) == NULL)
			fail_msg("\"%s\" does not say %s", w->err.message, wrong[i].says);
	}
	assert_int_equal(w->fake.n_calls, 0);
}

static void
a_volume_of_somebody_else_is_not_taken(void **state)
{
	struct world *w = *state;
	const char *custom = C("\"mounts\":[{\"volume\":\"data\",\"target\":\"/data\"}]");

	snprintf(w->fake.volumes[0].name, sizeof(w->fake.volumes[0].name), "dashboard-data");
	CHECK_OK(update(w, 2));
	CHECK_CODE(update_with(w, 1, custom), UPT_E_INSTALL);
	assert_runs(w, 2);
	snprintf(w->fake.volumes[0].app, sizeof(w->fake.volumes[0].app), "dashboard");
	CHECK_OK(update_with(w, 1, custom));
	assert_runs(w, 1);
}

static void
two_versions_never_write_one_volume_at_a_time(void **state)
{
	struct world *w = *state;
	const char *custom = C("\"mounts\":[{\"volume\":\"data\",\"target\":\"/data\"}]");

	CHECK_OK(update_with(w, 1, custom));
	/* the new one fails after its start: had the old one not been stopped, it would still run
	 */
	w->fake.sick[2] = true;
	CHECK_CODE(update_with(w, 2, custom), UPT_E_INSTALL);
	assert_runs(w, 1);
	w->fake.sick[2] = false;
	w->fake.healthy_after[2] = 1;
	CHECK_OK(prepare_with(w, 2, custom));
	w->fake.crash_at = w->fake.n_calls + 9; /* the first look at the started new version */
	(void)install_with(w, 2, custom);
	assert_int_equal(fake_running(&w->fake), 2);
	w->fake.crashed = false;
	w->fake.crash_at = 0;
	renew(w);
	CHECK_OK(resume(w));
	assert_runs(w, 1);
}

static void
the_engines_own_check_proves_a_version(void **state)
{
	struct world *w = *state;
	const char *command = C("\"health\":{\"command\":[\"/bin/check\",\"-q\"],\"timeout_s\":7}");

	w->config.health_url = NULL;
	w->config.health_timeout_s = 0;
	for (unsigned docker = 0; docker < 2; docker++) {
		uint64_t began;
		fake_engine_init(&w->fake);
		unlink(w->state);
		w->fake.is_docker = docker == 1;
		renew(w);
		CHECK_OK(update_with(w, 1, command));
		assert_created(w, "\"Healthcheck\":{\"Test\":[\"CMD\",\"/bin/check\",\"-q\"]");
		assert_runs(w, 1);
		w->fake.engine_check_passes = false;
		began = w->fake.now_ms;
		CHECK_CODE(update_with(w, 2, command), UPT_E_INSTALL);
		assert_in_range(w->fake.now_ms - began, 6000, 8000);
		assert_runs(w, 1);
		w->fake.engine_check_passes = true;
		CHECK_OK(update_with(w, 2, C("\"health\":{\"engine\":true}")));
		assert_null(strstr(w->fake.last_create, "Healthcheck"));
		CHECK_OK(check(w));
		/* the label brings both back for a rollback */
		w->fake.engine_check_passes = false;
		CHECK_CODE(check(w), UPT_E_INSTALL);
		began = w->fake.now_ms;
		CHECK_CODE(rollback(w), UPT_E_INSTALL);
		assert_in_range(w->fake.now_ms - began, 6000, 8000);
		assert_runs(w, 2);
	}
}

static bool
is_outdated(struct world *w, unsigned version, const char *custom)
{
	struct upt_image of = image(w, version);
	struct upt_install_job job = job_of(&of, custom);

	return w->installer->ops->is_outdated(w->installer, &job);
}

static void
another_description_of_the_same_image_is_an_update(void **state)
{
	struct world *w = *state;
	const char *one = C("\"env\":{\"A\":\"1\"}"), *two = C("\"env\":{\"A\":\"2\"}");

	CHECK_OK(update(w, 3));
	CHECK_OK(update_with(w, 1, one));
	assert_false(is_outdated(w, 1, one));
	assert_false(is_outdated(w, 1, C("\"env\" : { \"A\" : \"1\" }"))); /* spelt otherwise */
	assert_true(is_outdated(w, 1, two));
	assert_false(is_outdated(w, 2, two)); /* another image: others see that */
	assert_false(is_outdated(w, 1, C("\"privileged\":true")));
	CHECK_OK(update_with(w, 1, two));
	assert_runs(w, 1);
	assert_created(w, "\"A=2\"");
	assert_false(is_outdated(w, 1, two));
	assert_true(is_outdated(w, 1, one));
	/* going back is to another image, and the old description is gone */
	assert_int_equal(fake_count(&w->fake), 2);
	CHECK_OK(rollback(w));
	assert_runs(w, 3);
}

static void
a_description_that_fails_is_undone_and_not_tried_again(void **state)
{
	struct world *w = *state;
	const char *one = C("\"env\":{\"A\":\"1\"}"), *two = C("\"env\":{\"A\":\"2\"}");

	CHECK_OK(update_with(w, 1, one));
	w->fake.sick[1] = true;
	CHECK_CODE(update_with(w, 1, two), UPT_E_INSTALL);
	w->fake.sick[1] = false;
	assert_runs(w, 1);
	assert_true(w->fake.present[1]);
	assert_false(is_outdated(w, 1, two));
	renew(w);
	assert_false(is_outdated(w, 1, two));
	assert_true(is_outdated(w, 1, C("\"env\":{\"A\":\"3\"}")));
	CHECK_OK(update_with(w, 1, C("\"env\":{\"A\":\"3\"}")));
	assert_true(is_outdated(w, 1, two));
}

static void
the_power_may_go_while_a_description_changes(void **state)
{
	struct world *w = *state;
	const char *one = C("\"ports\":[{\"host\":1,\"container\":1}]");
	const char *two = C("\"ports\":[{\"host\":2,\"container\":2}]");
	unsigned n_cuts = 0;

	for (unsigned at = 1;; at++) {
		enum upt_code code;
		fake_engine_init(&w->fake);
		unlink(w->state);
		unlink(path_in(w->dir, "state.images"));
		renew(w);
		CHECK_OK(update_with(w, 1, one));
		w->fake.n_calls = 0;
		w->fake.crash_at = (at + 1) / 2;
		w->fake.crash_after = at % 2 == 0;
		code = update_with(w, 1, two);
		if (!w->fake.crashed) {
			CHECK_OK(code);
			break;
		}
		n_cuts++;
		fake_power_cycle(&w->fake);
		renew(w);
		CHECK_OK(resume(w));
		assert_runs(w, 1);
		assert_int_equal(fake_count(&w->fake), 1);
		CHECK_OK(update_with(w, 1, two));
		assert_runs(w, 1);
		assert_false(is_outdated(w, 1, two));
		assert_true(w->fake.present[1]);
	}
	assert_in_range(n_cuts, 20, 80);
}

static void
a_senseless_list_of_rights_is_refused(void **state)
{
	struct world *w = *state;
	const struct upt_container_installer_config good = w->config;
	struct upt_container_installer_config bad[6];
	struct upt_installer *other = w->installer;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = good;
	bad[n++].allow_binds = "/srv/data relative";
	bad[n++].allow_binds = "/srv/../etc";
	bad[n++].allow_devices = "/srv/data";
	bad[n++].allow_devices = "/dev/ttyS0:ro";
	bad[n++].allow_ports = "80/tcp";
	bad[n++].allow_ports = "65536";
	assert_int_equal(n, sizeof(bad) / sizeof(bad[0]));
	for (size_t i = 0; i < n; i++) {
		CHECK_CODE(
			upt_container_installer_new(&bad[i], NULL, &other, &w->err), UPT_E_CONFIG);
		assert_null(other);
	}
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(all_that_a_release_says_reaches_the_engine),
		CASE(what_the_device_does_not_permit_is_refused_before_anything_is_pulled),
		CASE(the_device_lowers_limits_and_never_raises_them),
		CASE(wrong_members_are_refused_by_name),
		CASE(a_volume_of_somebody_else_is_not_taken),
		CASE(two_versions_never_write_one_volume_at_a_time),
		CASE(the_engines_own_check_proves_a_version),
		CASE(another_description_of_the_same_image_is_an_update),
		CASE(a_description_that_fails_is_undone_and_not_tried_again),
		CASE(the_power_may_go_while_a_description_changes),
		CASE(a_senseless_list_of_rights_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
