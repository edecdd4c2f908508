/*
 * The OSTREE installer over HTTPS with client certificates, in a process that also loads the
 * transport's libcurl: Debian's libostree brings libcurl-gnutls, ours is the OpenSSL one. Started
 * by ostree_https_world.sh; a missing world is a failure, not a skipped test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "support.h"
#include "transport/http.h"

struct world {
	char dir[PATH_MAX], state[PATH_MAX], ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	const char *pki, *url;
	struct upt_ostree_installer_config config;
	struct upt_installer *installer;
	struct upt_err err;
};

static const char *
from_environment(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		fail_msg("%s is not set: run this by ostree_https_world.sh", name);
	return value;
}

static void
renew(struct world *w)
{
	upt_installer_free(&w->installer);
	CHECK_OK(upt_ostree_installer_new(&w->config, NULL, &w->installer, &w->err));
}

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
	w.pki = from_environment("PKI_DIR");
	w.url = from_environment("TEST_URL");
	snprintf(w.state, sizeof(w.state), "%s", path_in(w.dir, "state"));
	snprintf(w.ca, sizeof(w.ca), "%s", path_in(w.pki, "ca.pem"));
	snprintf(w.cert, sizeof(w.cert), "%s", path_in(w.pki, "device.pem"));
	snprintf(w.key, sizeof(w.key), "%s", path_in(w.pki, "device.key"));
	w.config = (struct upt_ostree_installer_config){
		.sysroot = from_environment("TEST_SYSROOT"),
		.os = "gateway",
		.cmdline_path = from_environment("TEST_CMDLINE"),
		.boot_id_path = from_environment("TEST_BOOT_ID"),
		.state_path = w.state,
		.ca_path = w.ca,
		.cert_path = w.cert,
		.key_path = w.key,
		.pull_program = PULL_PROGRAM,
	};
	renew(&w);
	*state = &w;
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

static enum upt_code
prepare_watched(struct world *w, const char *uri, const struct upt_install_progress *progress)
{
	struct upt_image image = image_of_hex("gateway-os", from_environment("OSTREE_V2"));
	struct upt_install_job job = {
		.image = &image, .format = "OSTREE", .uri = uri, .image_fd = -1};

	return w->installer->ops->prepare(w->installer, &job, progress, &w->err);
}

static enum upt_code
prepare(struct world *w, const char *uri)
{
	return prepare_watched(w, uri, NULL);
}

/* A GET with the other libcurl, which must know the same certificates. */
static void
other_libcurl_works(struct world *w)
{
	struct upt_http_config config = {
		.ca_path = w->ca, .cert_path = w->cert, .key_path = w->key};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	char url[256];

	snprintf(url, sizeof(url), "%sconfig", w->url);
	CHECK_OK(upt_http_new(&config, &http, &w->err));
	CHECK_OK(upt_http_get(http, url, 65536, &reply, &w->err));
	assert_non_null(strstr((const char *)reply.data, "mode=archive"));
}

static void
assert_no_remote_is_left(struct world *w)
{
	char text[256], repo[PATH_MAX];

	snprintf(repo, sizeof(repo), "%s", path_in(w->config.sysroot, "ostree/repo"));
	run_output(path_in(w->dir, "log"), text, sizeof(text),
		(const char *const[]){"ostree", "remote", "list", "--repo", repo, NULL});
	assert_string_equal(text, "updates");
}

static void
another_ca_is_refused(void **state)
{
	struct world *w = *state;

	snprintf(w->ca, sizeof(w->ca), "%s", path_in(w->pki, "wrong-ca.pem"));
	renew(w);
	CHECK_CODE(prepare(w, w->url), UPT_E_TLS);
	assert_no_remote_is_left(w);
}

static void
a_request_without_our_certificate_is_refused_by_the_server(void **state)
{
	struct world *w = *state;

	w->config.cert_path = w->config.key_path = NULL;
	renew(w);
	CHECK_CODE(prepare(w, w->url), UPT_E_SERVER);
}

static void
an_address_that_has_no_repository_is_absent(void **state)
{
	struct world *w = *state;
	char url[256];

	snprintf(url, sizeof(url), "%snothing/here", w->url);
	CHECK_CODE(prepare(w, url), UPT_E_ABSENT);
	assert_no_remote_is_left(w);
}

static void
a_commit_comes_over_https_and_both_libcurls_live_together(void **state)
{
	struct world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", from_environment("OSTREE_V2"));
	struct upt_install_job job = {.image = &image, .format = "OSTREE", .image_fd = -1};
	bool needs_reboot = false, done = true;

	other_libcurl_works(w);
	CHECK_OK(prepare(w, w->url));
	assert_no_remote_is_left(w);
	other_libcurl_works(w);
	CHECK_OK(w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err));
	assert_true(needs_reboot);
	CHECK_OK(w->installer->ops->finalize(w->installer, &image, &done, &w->err));
	assert_false(done);
	other_libcurl_works(w);
}

struct watcher {
	volatile bool cancel;
	uint64_t most;
};

static void
cancel_at_half(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct watcher *watcher = ctx;

	(void)what;
	(void)unit;
	watcher->most = done > watcher->most ? done : watcher->most;
	watcher->cancel = watcher->cancel || (done > 0 && done < total);
}

static void
a_slow_server_is_named_and_a_cancelled_pull_is_taken_up_again(void **state)
{
	struct world *w = *state;
	struct watcher watcher = {.cancel = false};
	struct upt_install_progress progress = {cancel_at_half, &watcher, &watcher.cancel};

	/* the configured remote, its address replaced by the target's */
	w->config.remote = "updates";
	w->config.min_speed_bytes = 1000000;
	w->config.min_speed_window_s = 2;
	renew(w);
	CHECK_CODE(prepare(w, w->url), UPT_E_TOO_SLOW);
	w->config.min_speed_bytes = 100;
	w->config.min_speed_window_s = 10;
	renew(w);
	CHECK_CODE(prepare_watched(w, w->url, &progress), UPT_E_CANCELLED);
	assert_true(watcher.most > 0);
	CHECK_OK(prepare(w, NULL));
}

int
main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest fast[] = {
		CASE(another_ca_is_refused),
		CASE(a_request_without_our_certificate_is_refused_by_the_server),
		CASE(an_address_that_has_no_repository_is_absent),
		CASE(a_commit_comes_over_https_and_both_libcurls_live_together),
	};
	const struct CMUnitTest slow[] = {
		CASE(a_slow_server_is_named_and_a_cancelled_pull_is_taken_up_again),
	};

	if (argc != 2)
		return 2;
	return strcmp(argv[1], "slow") == 0 ? cmocka_run_group_tests(slow, NULL, NULL)
					    : cmocka_run_group_tests(fast, NULL, NULL);
}
