/*
 * Fetching one commit by its id, and nothing by a name that a server can move. libostree's pull
 * runs in a process of its own, uptane-ostree-pull: in 2022.7 it cannot be cancelled while it waits
 * for the first replies, so that a server that says nothing would hold the client for ever, and it
 * aborts the process in places. A killed pull is taken up again, object by object.
 */
#include "installer/ostree_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "installer/run.h"

#define TEMPORARY_REMOTE "uptaned"
#define POLL_MS 100
#define LINE_MAX_BYTES 1024

enum upt_code
upt_ostree_check_commit(OstreeRepo *repo, const char *commit, const struct upt_image *image,
	bool *complete, struct upt_err *err)
{
	g_autoptr(GVariant) variant = NULL;
	g_autoptr(GError) error = NULL;
	OstreeRepoCommitState state = OSTREE_REPO_COMMIT_STATE_PARTIAL;
	struct upt_span bytes;

	*complete = false;
	if (!ostree_repo_load_commit(repo, commit, &variant, &state, &error)) {
		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			return UPT_OK;
		return upt_ostree_fail(err, error, "cannot read commit %s", commit);
	}
	bytes = upt_span(g_variant_get_data(variant), g_variant_get_size(variant));
	/* A commit id is the SHA-256 of the commit object: any other listed hash is over it too. */
	for (size_t i = 0; i < image->n_digests; i++) {
		struct upt_digest got;
		UPT_TRY(upt_hash_span(image->digests[i].alg, bytes, &got, err));
		if (!upt_digest_equal(&got, &image->digests[i]))
			return upt_fail(err, UPT_E_IMAGE_HASH,
				"the %s of commit %s is not the listed one", upt_hash_name(got.alg),
				commit);
	}
	if (image->length_bytes != 0 && image->length_bytes != bytes.len)
		return upt_fail(err, UPT_E_IMAGE_HASH, "commit %s has %zu bytes, listed are %ju",
			commit, bytes.len, (uintmax_t)image->length_bytes);
	*complete = state == OSTREE_REPO_COMMIT_STATE_NORMAL;
	return UPT_OK;
}

/* False when one of the objects that the commit needs is not there. */
static enum upt_code
has_all_objects(OstreeRepo *repo, const char *commit, bool *all, struct upt_err *err)
{
	g_autoptr(GHashTable) objects = NULL;
	g_autoptr(GError) error = NULL;
	GHashTableIter iter;
	gpointer name;

	*all = false;
	if (!ostree_repo_traverse_commit(repo, commit, 0, &objects, NULL, &error)) {
		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			return UPT_OK;
		return upt_ostree_fail(err, error, "cannot read commit %s", commit);
	}
	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		const char *checksum;
		OstreeObjectType type;
		gboolean has = FALSE;

		ostree_object_name_deserialize(name, &checksum, &type);
		if (!ostree_repo_has_object(repo, type, checksum, &has, NULL, &error))
			return upt_ostree_fail(err, error, "cannot look for object %s", checksum);
		if (!has)
			return UPT_OK;
	}
	*all = true;
	return UPT_OK;
}

enum upt_code
upt_ostree_check_objects(
	const struct upt_ostree *self, const char *commit, bool *all, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;
	g_autoptr(GError) error = NULL;

	*all = false;
	UPT_TRY(upt_ostree_open(self->sysroot, UPT_OSTREE_CHANGE, &sysroot, err));
	UPT_TRY(upt_ostree_get_repo(sysroot, &repo, err));
	UPT_TRY(has_all_objects(repo, commit, all, err));
	if (!*all && !ostree_repo_mark_commit_partial(repo, commit, TRUE, &error))
		return upt_ostree_fail(err, error, "cannot mark commit %s", commit);
	return UPT_OK;
}

/* The running program and what it has said so far. */
struct pull {
	const struct upt_install_progress *progress;
	pid_t pid;
	int fd; /* its standard output */
	size_t len;
	char line[LINE_MAX_BYTES];
	bool done;
	struct upt_err failure;
};

static void
report_line(const struct pull *pull, const char *text)
{
	unsigned long long fetched, requested, bytes, all_bytes;

	if (pull->progress == NULL || pull->progress->report == NULL ||
		sscanf(text, "%20llu %20llu %20llu %20llu", &fetched, &requested, &bytes,
			&all_bytes) != 4)
		return;
	pull->progress->report(pull->progress->ctx, "pull", fetched, requested, "objects");
	/* Of how many, only some commits tell. */
	if (all_bytes > 0)
		pull->progress->report(pull->progress->ctx, "pull",
			bytes < all_bytes ? bytes : all_bytes, all_bytes, "bytes");
}

/* "progress FETCHED REQUESTED BYTES OF-BYTES", "done", or "failed CODE-NAME MESSAGE"
 * (ostree_fetch.c). */
static void
take_line(struct pull *pull)
{
	char *name = pull->line + strlen("failed "), *message;
	enum upt_code code;

	if (strncmp(pull->line, "progress ", 9) == 0)
		report_line(pull, pull->line + 9);
	else if (strcmp(pull->line, "done") == 0)
		pull->done = true;
	if (strncmp(pull->line, "failed ", 7) != 0)
		return;
	message = strchr(name, ' ');
	if (message == NULL)
		return;
	*message++ = '\0';
	code = upt_code_from_name(name);
	if (code == UPT_OK || code == UPT_N_CODES)
		code = UPT_E_INTERNAL;
	upt_fail(&pull->failure, code, "%s", message);
}

/* Reads what is there; false at the end. */
static bool
take_bytes(struct pull *pull)
{
	char chunk[512];
	ssize_t n = read(pull->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t i = 0; i < n; i++) {
		if (chunk[i] != '\n') {
			/* What is too long is cut: it is a message to people. */
			if (pull->len < LINE_MAX_BYTES - 1)
				pull->line[pull->len++] = chunk[i];
			continue;
		}
		pull->line[pull->len] = '\0';
		pull->len = 0;
		take_line(pull);
	}
	return n > 0;
}

static bool
cancelled(const struct pull *pull)
{
	return pull->progress != NULL && pull->progress->cancel != NULL && *pull->progress->cancel;
}

/* Follows the program to its end, which comes at once when the pull is cancelled. */
static enum upt_code
follow(struct pull *pull, const char *commit, struct upt_err *err)
{
	struct pollfd wait = {.fd = pull->fd, .events = POLLIN};
	bool open = true, killed = false;
	int status = 0;

	while (open) {
		if (!killed && cancelled(pull)) {
			kill(pull->pid, SIGKILL);
			killed = true;
		}
		if (poll(&wait, 1, POLL_MS) > 0)
			open = take_bytes(pull);
	}
	while (waitpid(pull->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (killed)
		return upt_fail(
			err, UPT_E_CANCELLED, "the pull of commit %s was cancelled", commit);
	if (pull->failure.code != UPT_OK)
		return upt_fail(err, pull->failure.code, "cannot pull commit %s: %s", commit,
			pull->failure.message);
	if (!pull->done || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return upt_fail(err, UPT_E_INTERNAL,
			"the pull of commit %s broke off (status 0x%x)", commit, (unsigned)status);
	return UPT_OK;
}

static enum upt_code
run_pull(const struct upt_ostree *self, const char *remote, const char *commit, const char *url,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	char speed[16], window[16], reserve[24];
	const char *const argv[] = {self->pull_program, self->sysroot, remote, commit, speed,
		window, reserve, url, NULL};
	struct pull pull = {.progress = progress};
	enum upt_code code;
	int fds[2];

	snprintf(speed, sizeof(speed), "%u", self->min_speed_bytes);
	snprintf(window, sizeof(window), "%u", self->min_speed_window_s);
	snprintf(reserve, sizeof(reserve), "%ju", (uintmax_t)self->reserve_bytes);
	if (pipe2(fds, O_CLOEXEC) != 0)
		return upt_fail_errno(err, errno, "cannot make a pipe");
	/* In English: failures are told apart by libostree's and libcurl's words. */
	code = upt_run_spawn(argv, fds[1], false, &pull.pid, err);
	close(fds[1]);
	if (code == UPT_OK) {
		pull.fd = fds[0];
		code = follow(&pull, commit, err);
	}
	close(fds[0]);
	return code;
}

static enum upt_code
open_repo(const struct upt_ostree *self, enum upt_ostree_access access, OstreeSysroot **sysroot,
	OstreeRepo **repo, struct upt_err *err)
{
	UPT_TRY(upt_ostree_open(self->sysroot, access, sysroot, err));
	return upt_ostree_get_repo(*sysroot, repo, err);
}

/* A key in hardware makes libostree's libcurl abort. */
static enum upt_code
check_remote_key(const struct upt_ostree *self, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;
	g_autofree char *key = NULL;
	g_autoptr(GError) error = NULL;

	UPT_TRY(open_repo(self, UPT_OSTREE_READ, &sysroot, &repo, err));
	if (!ostree_repo_get_remote_option(
		    repo, self->remote, "tls-client-key-path", NULL, &key, &error))
		return upt_fail(err, UPT_E_CONFIG, "no remote %s in the sysroot: %s", self->remote,
			error == NULL ? "" : error->message);
	if (key != NULL && g_str_has_prefix(key, "pkcs11:"))
		return upt_fail(err, UPT_E_UNSUPPORTED,
			"remote %s has its key in hardware, which libostree cannot use",
			self->remote);
	return UPT_OK;
}

static void
add_option(GVariantBuilder *builder, const char *name, const char *value)
{
	if (value != NULL)
		g_variant_builder_add(builder, "{sv}", name, g_variant_new_string(value));
}

static GVariant *
remote_options(const struct upt_ostree *self)
{
	GVariantBuilder builder;

	g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
	add_option(&builder, "tls-ca-path", self->ca_path);
	add_option(&builder, "tls-client-cert-path", self->cert_path);
	add_option(&builder, "tls-client-key-path", self->key_path);
	add_option(&builder, "proxy", self->proxy);
	/* The signed targets vouch for the commit id: a second kind of signature adds nothing. */
	g_variant_builder_add(&builder, "{sv}", "gpg-verify", g_variant_new_boolean(FALSE));
	return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* Makes the remote for uri, in place of what a crash left, or with uri NULL removes it. */
static enum upt_code
set_temporary_remote(const struct upt_ostree *self, const char *uri, struct upt_err *err)
{
	g_autoptr(OstreeSysroot) sysroot = NULL;
	g_autoptr(OstreeRepo) repo = NULL;
	g_autoptr(GVariant) options = uri == NULL ? NULL : remote_options(self);
	g_autoptr(GError) error = NULL;

	UPT_TRY(open_repo(self, UPT_OSTREE_CHANGE, &sysroot, &repo, err));
	if (!ostree_repo_remote_change(repo, NULL,
		    uri == NULL ? OSTREE_REPO_REMOTE_CHANGE_DELETE_IF_EXISTS
				: OSTREE_REPO_REMOTE_CHANGE_REPLACE,
		    TEMPORARY_REMOTE, uri, options, NULL, &error))
		return upt_ostree_fail(err, error, "cannot set up remote %s", TEMPORARY_REMOTE);
	return UPT_OK;
}

static enum upt_code
pull_from_uri(const struct upt_ostree *self, const char *commit, const char *uri,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct upt_err ignored = {0};
	enum upt_code code;

	UPT_TRY(set_temporary_remote(self, uri, err));
	code = run_pull(self, TEMPORARY_REMOTE, commit, "", progress, err);
	if (set_temporary_remote(self, NULL, &ignored) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_WARNING, &ignored, "a remote stays behind");
	return code;
}

/* Printable ASCII and one of two schemes: a uri must not reach into the local file system. */
static bool
uri_ok(const char *uri)
{
	if (strncmp(uri, "https://", 8) != 0 && strncmp(uri, "http://", 7) != 0)
		return false;
	for (const char *c = uri; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}
	return strlen(uri) <= 2048;
}

enum upt_code
upt_ostree_pull(const struct upt_ostree *self, const char *commit, const char *uri,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	if (uri != NULL && !uri_ok(uri))
		return upt_fail(err, UPT_E_MALFORMED, "uri \"%.128s\" is no http(s) address", uri);
	if (self->remote == NULL && uri == NULL)
		return upt_fail(err, UPT_E_CONFIG,
			"no remote is configured and the target names no uri to pull from");
	if (self->remote == NULL)
		return pull_from_uri(self, commit, uri, progress, err);
	UPT_TRY(check_remote_key(self, err));
	return run_pull(self, self->remote, commit, uri == NULL ? "" : uri, progress, err);
}
