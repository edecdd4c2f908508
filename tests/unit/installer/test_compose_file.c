/* What a compose file may say: each refusal names its line, and its twin that differs in one thing
 * is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "installer/compose_file.h"
#include "installer/compose_yaml.h"
#include "support.h"

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define IMAGE "registry.example/app@sha256:" HEX
#define SERVICE "services:\n  web:\n    image: " IMAGE "\n"

static const struct upt_container_limits permitted = {
	.binds = "/srv/data /etc/certs:ro", .devices = "/dev/ttyS0", .ports = "8080"};

static enum upt_code
parse(const char *text, struct upt_err *err)
{
	upt_cleanup(upt_compose_file_clear) struct upt_compose_file file;
	enum upt_code code =
		upt_compose_file_parse(upt_span_str(text), &permitted, NULL, &file, err);

	if (code != UPT_OK) {
		assert_int_equal(file.n_services, 0);
		assert_null(file.arena.blocks);
	}
	return code;
}

static void
assert_parses(const char *text)
{
	struct upt_err err = {0};

	if (parse(text, &err) != UPT_OK)
		fail_msg("%s\nrefused: %s", text, err.message);
}

static void
assert_refused(const char *text, enum upt_code code, const char *says)
{
	struct upt_err err = {0};
	enum upt_code got = parse(text, &err);

	if (got != code || strstr(err.message, says) == NULL)
		fail_msg("%s\n%s: %s; not %s: %s", text, upt_code_name(got), err.message,
			upt_code_name(code), says);
}

static void
a_file_with_all_that_is_allowed_is_read(void **state)
{
	upt_cleanup(upt_compose_file_clear) struct upt_compose_file file = {0};
	struct upt_err err = {0};
	const struct upt_compose_service *web, *db;
	const char *text = "version: \"2.4\"\n"
			   "services:\n"
			   "  web:\n"
			   "    image: " IMAGE "\n"
			   "    command: [\"--port\", \"80\"]\n"
			   "    entrypoint: /bin/server\n"
			   "    environment:\n"
			   "      MODE: demo\n"
			   "      PRICE: 5$$\n"
			   "    labels: {a: b}\n"
			   "    volumes:\n"
			   "      - data:/data\n"
			   "      - /etc/certs:/certs:ro\n"
			   "    tmpfs: [/tmp]\n"
			   "    ports:\n"
			   "      - \"8080:80\"\n"
			   "      - '127.0.0.1:5353:53/udp'\n"
			   "    devices: [\"/dev/ttyS0:/dev/ttyS0\"]\n"
			   "    networks: [back]\n"
			   "    restart: \"no\"\n"
			   "    user: \"1000:1000\"\n"
			   "    working_dir: /srv\n"
			   "    hostname: web\n"
			   "    read_only: true\n"
			   "    init: false\n"
			   "    cap_drop: [ALL]\n"
			   "    mem_limit: 64m\n"
			   "    cpus: \"0.5\"\n"
			   "    pids_limit: 64\n"
			   "    healthcheck:\n"
			   "      test: [\"CMD\", \"/bin/check\"]\n"
			   "      interval: 5s\n"
			   "      timeout: 2s\n"
			   "      retries: 3\n"
			   "      start_period: 1s\n"
			   "    depends_on:\n"
			   "      db: {condition: service_started}\n"
			   "    stop_grace_period: 3s\n"
			   "    stop_signal: SIGTERM\n"
			   "  db:\n"
			   "    image: localhost/db@sha256:" HEX "\n"
			   "    network_mode: none\n"
			   "    environment: [\"A=b\"]\n"
			   "volumes:\n"
			   "  data:\n"
			   "networks:\n"
			   "  back: {}\n";

	(void)state;
	if (upt_compose_file_parse(upt_span_str(text), &permitted, NULL, &file, &err) != UPT_OK)
		fail_msg("%s", err.message);
	assert_int_equal(file.n_services, 2);
	web = &file.services[0];
	db = &file.services[1];
	assert_string_equal(web->name, "web");
	assert_string_equal(web->image, IMAGE);
	assert_string_equal(web->digest, HEX);
	assert_int_equal(web->line, 3); /* its key */
	assert_true(web->has_check);
	assert_false(db->has_check);
	assert_int_equal(web->run->n_mounts, 2);
	assert_string_equal(web->run->mounts[0].volume, "data");
	assert_string_equal(web->run->mounts[1].bind, "/etc/certs");
	assert_true(web->run->mounts[1].read_only);
	assert_string_equal(web->run->ports[0].address, "0.0.0.0");
	assert_int_equal(web->run->ports[0].host, 8080);
	assert_true(web->run->ports[1].udp);
	assert_int_equal(web->run->memory_bytes, 64u << 20);
	assert_int_equal(web->run->cpu_millis, 500);
	assert_int_equal(web->run->pids, 64);
}

static void
an_image_that_is_not_pinned_is_refused_with_its_line(void **state)
{
	static const char *const wrong[] = {"registry.example/app", "registry.example/app:latest",
		"registry.example/app:1@sha256:" HEX, "app@sha256:" HEX, "library/app@sha256:" HEX,
		IMAGE "a", "registry.example/app@sha256:abc", "${IMAGE}", "[" IMAGE "]",
		"registry.example/app@sha512:" HEX};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "services:\n  web:\n    image: %s\n", wrong[i]);
		assert_refused(text, UPT_E_MALFORMED, "line 3: image");
	}
	assert_refused("services:\n  web:\n    user: \"1\"\n", UPT_E_MALFORMED, "line 2: web");
	assert_parses(SERVICE);
}

static void
what_reads_other_files_or_grants_rights_is_refused(void **state)
{
	static const char *const wrong[] = {"build: .", "env_file: /etc/secrets",
		"privileged: true", "extends: {service: x}", "cap_add: [ALL]",
		"security_opt: [seccomp=unconfined]", "pid: host", "ipc: host", "userns_mode: host",
		"volumes_from: [x]", "secrets: [x]", "configs: [x]", "container_name: x",
		"devices: [/etc/shadow]", "restart: maybe", "volumes: [\"/srv/data\"]",
		"volumes: [\"nodata:/data\"]", "volumes: [\"/srv/../etc:/data\"]",
		"volumes: [\"./x:/data\"]", "volumes: [{type: bind, source: /etc, target: /x}]",
		"volumes: [\"data:/x:z\"]", "ports: [8080:80]", "ports: [\"80\"]",
		"ports: [\"8080-8090:80\"]", "ports: [\"[::]:8080:80\"]", "read_only: yes",
		"labels: {uptane.app: x}", "labels: [\"com.docker.compose.project=x\"]",
		"environment: [PATH]", "environment: {PATH: }", "environment: {PATH: null}",
		"environment: {PATH: ~}", "environment: {A: \"${HOME}\"}", "command: $HOME",
		"network_mode: \"container:x\"", "network_mode: \"service:x\"",
		"networks: [nowhere]", "depends_on: [nobody]", "healthcheck: {disable: true}",
		"healthcheck: {interval: 1s}", "mem_limit: lots", "mem_limit: -1", "cpus: all",
		"pids_limit: -1", "tmpfs: [\"/tmp:exec\"]", "deploy: {}",
		"logging: {driver: syslog}", "<<: {privileged: true}", "x-anything: 1"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), SERVICE "    %s\nvolumes: {data: }\n", wrong[i]);
		assert_refused(text, UPT_E_MALFORMED, "line 4: ");
	}
	assert_refused(SERVICE "volumes:\n  data: {driver_opts: {device: /etc}}\n", UPT_E_MALFORMED,
		"line 5: data");
	assert_refused(SERVICE "volumes:\n  data: {external: true}\n", UPT_E_MALFORMED, "line 5");
	assert_refused(SERVICE "include: [x.yml]\n", UPT_E_MALFORMED, "line 4: include");
	assert_refused(SERVICE "name: other\n", UPT_E_MALFORMED, "line 4: name");
	assert_refused("services: {}\n", UPT_E_MALFORMED, "line 1: services");
	assert_refused("version: \"3\"\n", UPT_E_MALFORMED, "without services");
}

static void
what_the_device_does_not_permit_is_refused_by_service(void **state)
{
	static const struct {
		const char *member, *says;
	} wrong[] = {
		{"volumes: [\"/etc:/x\"]", "allow_binds"},
		{"volumes: [\"/etc/certs:/x\"]", "writable"},
		{"devices: [\"/dev/ttyS1\"]", "allow_devices"},
		{"ports: [\"80:80\"]", "allow_ports"},
		{"network_mode: host", "network = host"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), SERVICE "    %s\n", wrong[i].member);
		assert_refused(text, UPT_E_PERMISSION, "line 2: service web");
		assert_refused(text, UPT_E_PERMISSION, wrong[i].says);
	}
	assert_parses(SERVICE "    volumes: [\"/etc/certs:/x:ro\"]\n    devices: [/dev/ttyS0]\n"
			      "    ports: [\"8080:80\", \"127.0.0.1:80:80\"]\n");
}

static void
limits_of_the_device_must_be_in_the_file(void **state)
{
	const struct upt_container_limits limits = {.memory_bytes = 1 << 20, .cpu_millis = 500};
	struct upt_compose_file file;
	struct upt_err err = {0};
	static const struct {
		const char *text;
		enum upt_code code;
	} cases[] = {
		{SERVICE, UPT_E_PERMISSION},
		{SERVICE "    mem_limit: 1m\n", UPT_E_PERMISSION},
		{SERVICE "    mem_limit: 2m\n    cpus: 0.5\n", UPT_E_PERMISSION},
		{SERVICE "    mem_limit: 1m\n    cpus: 0.51\n", UPT_E_PERMISSION},
		{SERVICE "    mem_limit: 1m\n    cpus: 0.5\n", UPT_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(upt_compose_file_parse(
					 upt_span_str(cases[i].text), &limits, NULL, &file, &err),
			cases[i].code);
		upt_compose_file_clear(&file);
	}
}

static void
yaml_that_two_readers_may_read_differently_is_refused(void **state)
{
	(void)state;
	assert_refused("a: &x 1\n", UPT_E_MALFORMED, "line 1: anchors");
	assert_refused("a: &x [b]\nb: *x\n", UPT_E_MALFORMED, "anchors");
	assert_refused("a: !!str 1\n", UPT_E_MALFORMED, "tags");
	assert_refused("&k a: 1\n", UPT_E_MALFORMED, "line 1");
	assert_refused("? [a]\n: 1\n", UPT_E_MALFORMED, "line 1: a key");
	assert_refused(SERVICE "services:\n", UPT_E_MALFORMED, "line 4: 'services' comes twice");
	assert_refused("%YAML 1.1\n---\n" SERVICE, UPT_E_MALFORMED, "directives");
	assert_refused(SERVICE "---\n" SERVICE, UPT_E_MALFORMED, "more than one document");
	assert_refused("\"a\\0b\": 1\n", UPT_E_MALFORMED, "NUL");
	assert_refused("", UPT_E_MALFORMED, "line 1");
	assert_refused("{", UPT_E_MALFORMED, "line ");
	assert_refused("- 1\n", UPT_E_MALFORMED, "no map");
	assert_refused("just text\n", UPT_E_MALFORMED, "no map");
	assert_refused("[[[[[[[[[1]]]]]]]]]\n", UPT_E_TOO_LARGE, "deeper than 8");
}

static void
size_and_number_are_bounded(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	(void)state;
	for (int i = 0; i < UPT_YAML_MAX_NODES; i++)
		assert_int_equal(upt_buf_printf(&text, NULL, "- a\n"), UPT_OK);
	assert_refused((const char *)text.data, UPT_E_TOO_LARGE, "values");
	text.len = 0;
	assert_int_equal(upt_buf_printf(&text, NULL, SERVICE "#"), UPT_OK);
	while (text.len < UPT_YAML_MAX_BYTES)
		assert_int_equal(upt_buf_printf(&text, NULL, "x"), UPT_OK);
	assert_parses((const char *)text.data);
	assert_int_equal(upt_buf_printf(&text, NULL, "x"), UPT_OK);
	assert_refused((const char *)text.data, UPT_E_TOO_LARGE, "bytes");
	text.len = 0;
	assert_int_equal(upt_buf_printf(&text, NULL, "services:\n"), UPT_OK);
	for (int i = 0; i < UPT_COMPOSE_MAX_SERVICES; i++)
		assert_int_equal(
			upt_buf_printf(&text, NULL, "  s%d: {image: \"" IMAGE "\"}\n", i), UPT_OK);
	assert_parses((const char *)text.data);
	assert_int_equal(upt_buf_printf(&text, NULL, "  more: {image: \"" IMAGE "\"}\n"), UPT_OK);
	assert_refused((const char *)text.data, UPT_E_MALFORMED, "too many");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_with_all_that_is_allowed_is_read),
		cmocka_unit_test(an_image_that_is_not_pinned_is_refused_with_its_line),
		cmocka_unit_test(what_reads_other_files_or_grants_rights_is_refused),
		cmocka_unit_test(what_the_device_does_not_permit_is_refused_by_service),
		cmocka_unit_test(limits_of_the_device_must_be_in_the_file),
		cmocka_unit_test(yaml_that_two_readers_may_read_differently_is_refused),
		cmocka_unit_test(size_and_number_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
