/* Both engines, registries with mirrors and credentials, slow pulls, and whose images go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "container_world.h"

static void
docker_runs_an_update_and_back(void **state)
{
	struct world *w = *state;

	w->fake.is_docker = true;
	w->config.engine = UPT_ENGINE_DOCKER;
	renew(w);
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 2));
	assert_runs(w, 2);
	CHECK_OK(rollback(w));
	assert_runs(w, 1);
	CHECK_OK(rollback(w));
	assert_runs(w, 2);
}

static void
another_engine_than_the_configured_one_is_refused(void **state)
{
	struct world *w = *state;

	w->config.engine = UPT_ENGINE_DOCKER;
	renew(w);
	CHECK_CODE(update(w, 1), UPT_E_CONFIG);
	w->fake.is_docker = true;
	w->config.engine = UPT_ENGINE_PODMAN;
	renew(w);
	CHECK_CODE(update(w, 1), UPT_E_CONFIG);
	assert_int_equal(w->fake.n_pulls, 0);
	w->config.engine = UPT_ENGINE_AUTO;
	renew(w);
	CHECK_OK(update(w, 1));
}

static void
an_engine_that_is_too_old_or_talks_nonsense_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const nonsense[] = {"{}", "[]", "{\"ApiVersion\":1.41}",
		"{\"ApiVersion\":\"1.41\"}", "{\"ApiVersion\":\"2.0\",\"MinAPIVersion\":\"1.24\"}",
		"{\"ApiVersion\":\"1.41/../x\",\"MinAPIVersion\":\"1.24\"}"};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		w->fake.version = nonsense[i];
		CHECK_CODE(prepare_with(w, 1, ""), UPT_E_SERVER);
	}
	w->fake.version = "{\"ApiVersion\":\"1.39\",\"MinAPIVersion\":\"1.12\"}";
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_UNSUPPORTED);
	assert_int_equal(w->fake.n_pulls, 0);
	/* a newer engine still speaks what this was written for */
	w->fake.version = "{\"ApiVersion\":\"1.47\",\"MinAPIVersion\":\"1.24\"}";
	CHECK_OK(prepare_with(w, 1, ""));
}

static void
who_answers_is_asked_once_and_again_after_a_failure(void **state)
{
	struct world *w = *state;
	unsigned n_calls;

	CHECK_OK(update(w, 1));
	w->fake.n_calls = 0;
	CHECK_OK(resume(w));
	n_calls = w->fake.n_calls;
	CHECK_OK(resume(w));
	assert_int_equal(w->fake.n_calls, 2 * n_calls);
	/* another engine in its place, and a list that cannot be had: the next one is asked who it
	 * is */
	w->fake.garbage = "x";
	CHECK_CODE(resume(w), UPT_E_SERVER);
	w->fake.n_calls = 0;
	CHECK_OK(resume(w));
	assert_int_equal(w->fake.n_calls, n_calls + 1);
}

static void
an_unchecked_registry_is_for_podman_alone(void **state)
{
	struct world *w = *state;

	w->config.tls_verify = false;
	renew(w);
	CHECK_OK(prepare_with(w, 1, ""));
	assert_non_null(strstr(w->fake.last_pull_path, "/libpod/images/pull?tlsVerify=false&"));
	w->fake.is_docker = true;
	renew(w);
	CHECK_CODE(prepare_with(w, 2, ""), UPT_E_CONFIG);
	assert_int_equal(w->fake.n_pulls, 1);
}

/* ---- mirrors ---- */

static void
mirrors_are_asked_first_and_for_the_same_digest(void **state)
{
	struct world *w = *state;
	char expected[512];

	w->config.mirrors = "  " FAKE_MIRROR " ";
	renew(w);
	CHECK_OK(prepare_with(w, 1, ""));
	snprintf(expected, sizeof(expected), FAKE_MIRRORED "@sha256:%s", w->fake.digest[1]);
	assert_string_equal(w->fake.last_pull, expected);
	CHECK_OK(install_with(w, 1, ""));
	assert_non_null(strstr(w->fake.last_create, expected));
	assert_runs(w, 1);
	CHECK_OK(prepare_with(w, 1, ""));
	assert_int_equal(w->fake.n_pulls, 1);
	w->fake.mirror_is_down = true;
	CHECK_OK(update(w, 2));
	assert_int_equal(w->fake.n_pulls, 3);
	snprintf(expected, sizeof(expected), FAKE_REPOSITORY "@sha256:%s", w->fake.digest[2]);
	assert_string_equal(w->fake.last_pull, expected);
	/* what was pulled from the mirror goes by the mirror's name */
	CHECK_OK(update(w, 3));
	assert_false(w->fake.present[1]);
}

static void
a_mirror_that_is_no_registry_is_refused(void **state)
{
	struct world *w = *state;
	struct upt_installer *other = w->installer;
	static const char *const wrong[] = {"mirror", "https://mirror.example",
		"mirror.example/Upper", "mirror.example:0", "mirror.example/",
		"a.b c.d e.f g.h i.j k.l m.n o.p q.r"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		w->config.mirrors = wrong[i];
		CHECK_CODE(upt_container_installer_new(&w->config, NULL, &other, &w->err),
			UPT_E_CONFIG);
		assert_null(other);
	}
}

/* ---- credentials ---- */

static const char *
write_auth(struct world *w, const char *text, mode_t mode)
{
	const char *path = path_in(w->dir, "auth.json");

	unlink(path);
	file_write_text(path, text);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

/* {"username":"u","password":"p:?>~","serveraddress":"127.0.0.1:5000"} in base64url */
#define HEADER                                                                                     \
	"X-Registry-Auth: eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA6Pz5-Iiwic2VydmVyYWRkcmVzcyI6"    \
	"IjEyNy4wLjAuMTo1MDAwIn0="
#define AUTHS "{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"dTpwOj8+fg==\"}}}"

static void
credentials_go_to_their_own_registry_only(void **state)
{
	struct world *w = *state;

	w->config.auth_path = write_auth(w, AUTHS, 0600);
	w->config.mirrors = FAKE_MIRROR;
	renew(w);
	CHECK_OK(prepare_with(w, 1, ""));
	assert_string_equal(w->fake.last_header, "");
	w->fake.mirror_is_down = true;
	CHECK_OK(prepare_with(w, 2, ""));
	assert_string_equal(w->fake.last_header, HEADER);
}

static void
credentials_that_others_can_read_are_none(void **state)
{
	struct world *w = *state;

	w->config.auth_path = write_auth(w, AUTHS, 0640);
	renew(w);
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_PERMISSION);
	assert_non_null(strstr(w->err.message, "0640"));
	assert_int_equal(w->fake.n_pulls, 0);
	write_auth(w, AUTHS, 0600);
	CHECK_OK(prepare_with(w, 1, ""));
}

static void
broken_credentials_are_named_and_not_shown(void **state)
{
	struct world *w = *state;
	static const char *const wrong[] = {"", "{}", "[]", "{\"auths\":[]}", "c2VjcmV0",
		"{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"c2VjcmV0\"}}}",
		"{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"c2Vj:cmV0\"}}}"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		w->config.auth_path = write_auth(w, wrong[i], 0600);
		renew(w);
		CHECK_CODE(prepare_with(w, 1, ""), UPT_E_CONFIG);
		assert_null(strstr(w->err.message, "ecret"));
		assert_null(strstr(w->err.message, "c2Vj"));
	}
	w->config.auth_path = path_in(w->dir, "none");
	renew(w);
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_NOT_FOUND);
	assert_int_equal(w->fake.n_pulls, 0);
}

/* ---- slow registries ---- */

#define STEP(status, current)                                                                      \
	"{\"status\":\"" status "\",\"progressDetail\":{\"current\":" current                      \
	",\"total\":1000000},\"id\":\"aaaaaaaaaaaa\"}\n"

static void
a_pull_that_trickles_is_too_slow(void **state)
{
	struct world *w = *state;

	w->config.stall_s = 60;
	w->config.min_speed_bytes = 100;
	renew(w);
	/* 20 s between two lines, that is 60 s for three */
	w->fake.piece_ms = 20000 / (sizeof(STEP("Downloading", "1000")) / 7);
	w->fake.pull_script = STEP("Downloading", "1000") STEP("Downloading", "1100")
		STEP("Downloading", "1200") STEP("Downloading", "1300") STEP("Downloading", "1400")
			STEP("Downloading", "1500");
	CHECK_CODE(prepare_with(w, 1, ""), UPT_E_TOO_SLOW);
	assert_int_equal(w->fake.last_quiet_ms, 60000);
	w->fake.present[1] = false;
	w->fake.pull_script = STEP("Downloading", "1000") STEP("Downloading", "5000")
		STEP("Downloading", "9000") STEP("Downloading", "13000")
			STEP("Downloading", "17000") STEP("Downloading", "21000");
	CHECK_OK(prepare_with(w, 1, ""));
	/* unpacking starts to count anew */
	w->fake.present[1] = false;
	w->fake.pull_script = STEP("Downloading", "1000") STEP("Downloading", "5000")
		STEP("Download complete", "0") STEP("Extracting", "1") STEP("Extracting", "4000")
			STEP("Extracting", "8000") STEP("Extracting", "12000");
	CHECK_OK(prepare_with(w, 1, ""));
}

/* ---- whose images go ---- */

static void
an_image_that_was_there_already_is_not_removed(void **state)
{
	struct world *w = *state;

	w->fake.present[1] = true;
	CHECK_OK(update(w, 1));
	assert_int_equal(w->fake.n_pulls, 0);
	CHECK_OK(update(w, 2));
	CHECK_OK(update(w, 3));
	assert_runs(w, 3);
	assert_true(w->fake.present[1]);
	CHECK_OK(update(w, 1));
	CHECK_OK(update(w, 3));
	/* 2 was pulled by us and nobody goes back to it */
	assert_false(w->fake.present[2]);
	assert_true(w->fake.present[1]);
}

static void
what_was_pulled_and_never_installed_makes_room_for_the_next(void **state)
{
	struct world *w = *state;

	CHECK_OK(update(w, 1));
	CHECK_OK(prepare_with(w, 2, ""));
	assert_true(w->fake.present[2]);
	CHECK_OK(prepare_with(w, 3, ""));
	assert_false(w->fake.present[2]);
	assert_true(w->fake.present[1]);
	assert_true(w->fake.present[3]);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(docker_runs_an_update_and_back),
		CASE(another_engine_than_the_configured_one_is_refused),
		CASE(an_engine_that_is_too_old_or_talks_nonsense_is_refused),
		CASE(who_answers_is_asked_once_and_again_after_a_failure),
		CASE(an_unchecked_registry_is_for_podman_alone),
		CASE(mirrors_are_asked_first_and_for_the_same_digest),
		CASE(a_mirror_that_is_no_registry_is_refused),
		CASE(credentials_go_to_their_own_registry_only),
		CASE(credentials_that_others_can_read_are_none),
		CASE(broken_credentials_are_named_and_not_shown),
		CASE(a_pull_that_trickles_is_too_slow),
		CASE(an_image_that_was_there_already_is_not_removed),
		CASE(what_was_pulled_and_never_installed_makes_room_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
