/* Whom the client trusts, and to whom it shows its own certificate. */
#include "fixture.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "pki.h"

static void
start(struct fixture *f, bool client_required, int tls_version)
{
	server_stop(&f->server);
	f->server = server_start(&(struct server_options){
		.cert = fixture_path(f, "server.pem"),
		.key = fixture_path(f, "server.key"),
		.client_ca = fixture_path(f, "ca.pem"),
		.client_required = client_required,
		.tls_version = tls_version,
	});
}

static void
trust(struct fixture *f, const char *ca, const char *cert, const char *key)
{
	f->config.ca_path = fixture_path(f, ca);
	f->config.cert_path = cert != NULL ? fixture_path(f, cert) : NULL;
	f->config.key_path = key != NULL ? fixture_path(f, key) : NULL;
	fixture_new_client(f);
}

static void
mutual_tls_works_and_reuses_its_connection(void **state)
{
	struct fixture *f = *state;

	start(f, true, 0);
	trust(f, "ca.pem", "client.pem", "client.key");
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	assert_code(fixture_get(f, "/404", 100), UPT_E_ABSENT, &f->err);
	assert_int_equal(server_seen(f->server).n_client_certificates, 3);
	assert_int_equal(upt_http_get_stats(f->http).n_connections, 1);
}

static void
server_of_another_authority_is_refused(void **state)
{
	struct fixture *f = *state;

	start(f, false, 0);
	trust(f, "other-ca.pem", NULL, NULL);
	assert_code(fixture_get(f, "/ok", 100), UPT_E_TLS, &f->err);
	assert_says(f, "TLS with https://127.0.0.1:");
	assert_out(f, "before");
	/* No second try: it would find the same stranger. */
	assert_int_equal(server_seen(f->server).n_connections, 1);
	trust(f, "ca.pem", NULL, NULL);
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
}

enum outcome { AS_IT_SHOULD = 0, WRONG = 1, CANNOT_TEST = 2 };

/* In a child: puts our authority in the place of the system's, in a mount namespace of its own. */
static bool
replace_system_authorities(const char *hashed_dir, const char *system_dir)
{
	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(hashed_dir, system_dir, NULL, MS_BIND, NULL) == 0;
}

static enum outcome
trust_only_ours(struct fixture *f, const char *hashed_dir)
{
	const char *system_dir = curl_version_info(CURLVERSION_NOW)->capath;
	enum upt_code with_system, with_other;

	if (system_dir == NULL || !replace_system_authorities(hashed_dir, system_dir))
		return CANNOT_TEST;
	f->config.ca_path = NULL;
	fixture_new_client(f);
	with_system = fixture_get(f, "/ok", 100);
	f->config.ca_path = fixture_path(f, "other-ca.pem");
	fixture_new_client(f);
	with_other = fixture_get(f, "/ok", 100);
	if (with_system != UPT_OK)
		return CANNOT_TEST;
	return with_other == UPT_E_TLS ? AS_IT_SHOULD : WRONG;
}

/* Fills dir with ca.pem under the names that OpenSSL and libcurl look for. */
static void
make_hashed_dir(struct fixture *f, char *dir, char hashed[static 128], char bundle[static 128])
{
	BIO *bio = BIO_new_file(fixture_path(f, "ca.pem"), "r");
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	assert_non_null(cert);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(hashed, 128, "%s/%08lx.0", dir, X509_subject_name_hash(cert));
	snprintf(bundle, 128, "%s/ca-certificates.crt", dir);
	assert_int_equal(link(fixture_path(f, "ca.pem"), hashed), 0);
	assert_int_equal(link(fixture_path(f, "ca.pem"), bundle), 0);
	X509_free(cert);
	BIO_free(bio);
}

/* libcurl's built-in folder of authorities stays trusted beside a given file unless it is taken
 * away. */
static void
systems_authorities_are_not_trusted_beside_ours(void **state)
{
	struct fixture *f = *state;
	char dir[100], hashed[128], bundle[128];
	int status;
	pid_t child;

	start(f, false, 0);
	snprintf(dir, sizeof(dir), "%s/system", f->dir);
	make_hashed_dir(f, dir, hashed, bundle);
	child = fork();
	if (child == 0)
		_exit((int)trust_only_ours(f, dir));
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(hashed);
	unlink(bundle);
	rmdir(dir);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_TEST)
		skip();
	assert_int_equal(WEXITSTATUS(status), AS_IT_SHOULD);
}

static void
server_of_another_name_is_refused(void **state)
{
	struct fixture *f = *state;

	f->server = server_start(&(struct server_options){
		.cert = fixture_path(f, "wrong-name.pem"),
		.key = fixture_path(f, "wrong-name.key"),
	});
	trust(f, "ca.pem", NULL, NULL);
	assert_code(fixture_get(f, "/ok", 100), UPT_E_TLS, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 0);
}

static void
client_without_a_certificate_is_told_so(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		start(f, true, versions[i]);
		trust(f, "ca.pem", NULL, NULL);
		assert_code(fixture_get(f, "/ok", 100), UPT_E_TLS, &f->err);
		assert_says(f, "alert");
		assert_out(f, i == 0 ? "before" : "hello");
		assert_int_equal(server_seen(f->server).n_connections, 1);
		trust(f, "ca.pem", "other-client.pem", "other-client.key");
		assert_code(fixture_get(f, "/ok", 100), UPT_E_TLS, &f->err);
		trust(f, "ca.pem", "client.pem", "client.key");
		assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	}
}

static void
old_tls_is_refused(void **state)
{
	struct fixture *f = *state;

	start(f, false, TLS1_1_VERSION);
	trust(f, "ca.pem", NULL, NULL);
	assert_code(fixture_get(f, "/ok", 100), UPT_E_TLS, &f->err);
	start(f, false, TLS1_2_VERSION);
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
}

static void
server_that_hangs_up_in_the_handshake_is_a_network_failure(void **state)
{
	struct fixture *f = *state;
	char url[128];

	/* A plain server reads the hello, finds no request in it, and closes. */
	f->server = server_start(&(struct server_options){0});
	trust(f, "ca.pem", NULL, NULL);
	snprintf(url, sizeof(url), "https://%s", server_url(f->server, "/ok") + strlen("http://"));
	f->config.connect_timeout_ms = 200;
	fixture_new_client(f);
	assert_code(upt_http_get(f->http, url, 100, &f->out, &f->err), UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
}

static enum upt_code
count_bytes(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	uint64_t *n = ctx;

	(void)err;
	*n += chunk.len;
	return UPT_OK;
}

static enum upt_code
download(struct fixture *f, const char *path, uint64_t *n)
{
	struct upt_http_download want = {
		.url = server_url(f->server, path),
		.total_bytes = FILE_SIZE,
		.sink = count_bytes,
		.ctx = n,
	};

	*n = 0;
	return upt_http_download(f->http, &want, &f->err);
}

static void
redirect_target_of_another_origin_sees_no_certificate(void **state)
{
	struct fixture *f = *state;
	struct server *storage;
	uint64_t n;

	start(f, true, 0);
	storage = server_start(&(struct server_options){
		.cert = fixture_path(f, "server.pem"),
		.key = fixture_path(f, "server.key"),
		.client_ca = fixture_path(f, "ca.pem"),
	});
	trust(f, "ca.pem", "client.pem", "client.key");
	server_set_target(f->server, server_url(storage, "/file"));
	assert_code(download(f, "/hop/0", &n), UPT_OK, &f->err);
	assert_int_equal(n, FILE_SIZE);
	assert_int_equal(server_seen(f->server).n_client_certificates, 1);
	assert_int_equal(server_seen(storage).n_requests, 1);
	assert_int_equal(server_seen(storage).n_client_certificates, 0);
	/* Asked for directly it would have got one: the client trusts its caller's choice. */
	assert_code(upt_http_get(f->http, server_url(storage, "/ok"), 100, &f->out, &f->err),
		UPT_OK, &f->err);
	assert_int_equal(server_seen(storage).n_client_certificates, 1);
	/* And back home by a redirect of the stranger. */
	server_set_target(f->server, server_url(storage, "/hop/0"));
	server_set_target(storage, server_url(f->server, "/file"));
	assert_code(download(f, "/hop/0", &n), UPT_OK, &f->err);
	assert_int_equal(server_seen(f->server).n_client_certificates, 3);
	assert_int_equal(server_seen(storage).n_client_certificates, 1);
	server_stop(&storage);
}

static void
redirect_from_https_to_http_is_refused(void **state)
{
	struct fixture *f = *state;
	struct server *plain = server_start(&(struct server_options){0});
	uint64_t n;

	start(f, false, 0);
	trust(f, "ca.pem", NULL, NULL);
	server_set_target(f->server, server_url(plain, "/file"));
	assert_code(download(f, "/hop/0", &n), UPT_E_SERVER, &f->err);
	assert_says(f, "refused redirect to http://");
	assert_int_equal(n, 0);
	assert_int_equal(server_seen(plain).n_requests, 0);
	server_set_target(f->server, server_url(f->server, "/file"));
	assert_code(download(f, "/hop/0", &n), UPT_OK, &f->err);
	server_stop(&plain);
}

static void
wrong_files_are_configuration_errors(void **state)
{
	static const struct {
		const char *ca, *cert, *key, *named;
	} cases[] = {
		{"missing.pem", NULL, NULL, "missing.pem"},
		{"ca.key", NULL, NULL, "ca.key"}, /* PEM, but no certificate */
		{"junk.pem", NULL, NULL, "junk.pem"},
		{"broken.pem", NULL, NULL, "broken.pem"},
		{"half.pem", NULL, NULL, "half.pem"}, /* a good one, then a broken one */
		{".", NULL, NULL, "regular"},
		{"ca.pem", "client.pem", NULL, "needs its key"},
		{"ca.pem", NULL, "client.key", "needs its key"},
		{"ca.pem", "missing.pem", "client.key", "missing.pem"},
		{"ca.pem", "client.pem", "missing.key", "missing.key"},
		{"ca.pem", "client.pem", "client.pem", "client.pem"},
		{"ca.pem", "client.pem", "server.key", "server.key"},
		{"ca.pem", "client.pem", "locked.key", "unencrypted"},
	};
	struct fixture *f = *state;

	upt_http_free(&f->http);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upt_http *http = (struct upt_http *)f;
		f->config.ca_path = fixture_path(f, cases[i].ca);
		f->config.cert_path = cases[i].cert ? fixture_path(f, cases[i].cert) : NULL;
		f->config.key_path = cases[i].key ? fixture_path(f, cases[i].key) : NULL;
		assert_code(upt_http_new(&f->config, &http, &f->err), UPT_E_CONFIG, &f->err);
		assert_says(f, cases[i].named);
		assert_null(http);
	}
	trust(f, "ca.pem", "client.pem", "client.key");
	assert_non_null(f->http);
}

static void
write_file(struct fixture *f, const char *name, const char *text)
{
	FILE *file = fopen(fixture_path(f, name), "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

#define BROKEN_PEM "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"

static int
setup_with_junk(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf half = {0};
	struct fixture *f;

	fixture_setup_tls(state);
	f = *state;
	assert_int_equal(
		upt_file_read(AT_FDCWD, fixture_path(f, "ca.pem"), 65536, &half, &f->err), UPT_OK);
	assert_int_equal(upt_buf_printf(&half, &f->err, BROKEN_PEM), UPT_OK);
	write_file(f, "half.pem", (const char *)half.data);
	write_file(f, "junk.pem", "no certificate at all\n");
	write_file(f, "broken.pem", BROKEN_PEM);
	return 0;
}

static int
teardown_with_junk(void **state)
{
	struct fixture *f = *state;

	unlink(fixture_path(f, "half.pem"));
	unlink(fixture_path(f, "junk.pem"));
	unlink(fixture_path(f, "broken.pem"));
	return fixture_teardown(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_tls, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mutual_tls_works_and_reuses_its_connection),
		CASE(server_of_another_authority_is_refused),
		CASE(systems_authorities_are_not_trusted_beside_ours),
		CASE(server_of_another_name_is_refused),
		CASE(client_without_a_certificate_is_told_so),
		CASE(old_tls_is_refused),
		CASE(server_that_hangs_up_in_the_handshake_is_a_network_failure),
		CASE(redirect_target_of_another_origin_sees_no_certificate),
		CASE(redirect_from_https_to_http_is_refused),
		cmocka_unit_test_setup_teardown(
			wrong_files_are_configuration_errors, setup_with_junk, teardown_with_junk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
