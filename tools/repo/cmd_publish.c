#include "repo/cli.h"

#include <inttypes.h>
#include "base/clock.h"
#include "base/file.h"
#include "metadata/limits.h"
#include "repo/images.h"
#include "repo/release.h"

/* clang-format off */
static const char help[] =
	"Signs what changed: delegated roles and targets with staged changes or changed keys, then the\n"
	"snapshot, then the timestamp (always a new one, unless \"sign timestamp\" made one that is not\n"
	"published yet). Then writes public/: image files and versioned documents first, which never\n"
	"change afterwards, timestamp.json last, so that a client that polls at any moment sees one\n"
	"consistent release. When timestamp, snapshot or targets got new keys, documents are signed with\n"
	"the old keys too as long as these are here, for clients between the two roots.\n\n"
	"Run it from a timer more often than the timestamp's lifetime. An interrupted run is completed\n"
	"by the next command.\n";
/* clang-format on */

struct publication {
	struct cli *cli;
	struct repo *repo;
	cJSON *old_root; /* payload of the root that clients see now, when it is older */
	struct upt_buf old_bytes;
	bool old_clients_verify; /* what is published now verifies with the old root as well */
};

static void
publication_clear(struct publication *p)
{
	upt_author_json_clear(&p->old_root);
	upt_buf_clear(&p->old_bytes);
}

static void
root_path(const char *folder, uint64_t version, char out[static 320])
{
	snprintf(out, 320, "%s/%" PRIu64 ".root.json", folder, version);
}

/* The newest published root, when it is not the workspace's. */
static enum upt_code
find_old_root(struct publication *p, struct upt_err *err)
{
	uint64_t version = repo_role_version(repo_role_find(p->repo, "root"));
	cJSON *envelope;
	char path[320];

	for (uint64_t v = version; v > 0; v--) {
		root_path("public", v, path);
		if (faccessat(p->repo->dirfd, path, F_OK, 0) != 0)
			continue;
		if (v == version)
			return UPT_OK;
		root_path("metadata", v, path);
		UPT_TRY(repo_read_json(p->repo, path, &p->old_bytes, &envelope, err));
		p->old_root = cJSON_DetachItemFromObjectCaseSensitive(envelope, "signed");
		cJSON_Delete(envelope);
		return UPT_OK;
	}
	return UPT_OK;
}

static enum upt_code
sign(struct publication *p, struct repo_role *role, struct upt_err *err)
{
	struct sign_request request = {
		.expires = repo_expiry(p->repo, role->name), .published_root = p->old_root};

	UPT_TRY(repo_sign(p->repo, role, &request, err));
	cli_say(p->cli, "signed %s version %" PRIu64, role->name, repo_role_version(role));
	return UPT_OK;
}

/* "Cannot tell" (no memory) is neither. */
static enum upt_code
has_its_signatures(
	const struct repo *repo, const struct repo_role *role, bool *ok, struct upt_err *err)
{
	const char *definer;
	struct upt_span bytes = release_definer(repo, role, &definer);
	enum upt_code code =
		repo_check_signatures(role->name, upt_buf_span(&role->bytes), definer, bytes, err);

	*ok = code == UPT_OK;
	return code == UPT_E_THRESHOLD ? UPT_OK : code;
}

static enum upt_code
sign_targets(struct publication *p, struct upt_err *err)
{
	/* A delegator comes before its delegates, and both before the snapshot that lists them. */
	for (size_t i = REPO_N_TOP - 1; i < p->repo->n_roles; i++) {
		struct repo_role *role = p->repo->roles[i];
		bool ok = true;
		if (role->parent == NULL && i >= REPO_N_TOP)
			continue;
		if (role->staged == NULL)
			UPT_TRY(has_its_signatures(p->repo, role, &ok, err));
		if (!ok || role->staged != NULL)
			UPT_TRY(sign(p, role, err));
	}
	return UPT_OK;
}

static enum upt_code
sign_online(struct publication *p, struct upt_err *err)
{
	static const char *const names[] = {"snapshot", "timestamp"};

	for (int i = 0; i < 2; i++) {
		struct repo_role *role = repo_role_find(p->repo, names[i]);
		bool same, ok, is_public, stale;
		UPT_TRY(release_list(p->repo, role, &same, err));
		UPT_TRY(has_its_signatures(p->repo, role, &ok, err));
		UPT_TRY(release_is_public(p->repo, role, &is_public, err));
		/* What was signed by hand and not published yet is published as it is. */
		stale = is_public && (i == 1 || repo_role_expires(role) <= p->repo->now);
		if (!same || !ok || stale) {
			UPT_TRY(sign(p, role, err));
			continue;
		}
		upt_author_json_clear(&role->staged);
	}
	return UPT_OK;
}

/* ---- what people should know ---- */
static size_t
limit_of(const char *role_name)
{
	const struct upt_limits limits = UPT_LIMITS_IMAGE;

	if (strcmp(role_name, "root") == 0)
		return limits.root_max_bytes;
	if (strcmp(role_name, "timestamp") == 0)
		return limits.timestamp_max_bytes;
	if (strcmp(role_name, "snapshot") == 0)
		return limits.snapshot_max_bytes;
	return limits.targets_max_bytes;
}

static void
warn_about(const struct publication *p, const struct repo_role *role)
{
	char expires[UPT_TIME_TEXT_SIZE];

	upt_time_format(repo_role_expires(role), expires);
	if (repo_role_expires(role) <= p->repo->now)
		cli_warn(p->cli,
			"%s version %" PRIu64
			" expired at %s: clients refuse it; \"sign %s\" renews it",
			role->name, repo_role_version(role), expires, role->name);
	if (role->bytes.len > limit_of(role->name))
		cli_warn(p->cli,
			"%s has %zu bytes, more than the %zu that clients take unless configured",
			role->name, role->bytes.len, limit_of(role->name));
}

/* ---- public/ ---- */
static bool
needs_bytes(const cJSON *entry)
{
	const cJSON *custom = cJSON_GetObjectItemCaseSensitive(entry, "custom");
	const char *format = repo_json_text(custom, "targetFormat");

	return repo_json_u64(entry, "length") > 0 && repo_json_text(custom, "uri")[0] == '\0' &&
	       (format[0] == '\0' || strcmp(format, "BINARY") == 0);
}

static enum upt_code
publish_images(const struct publication *p, struct upt_err *err)
{
	size_t n_missing = 0;

	for (size_t i = REPO_N_TOP - 1; i < p->repo->n_roles; i++) {
		const struct repo_role *role = p->repo->roles[i];
		const cJSON *entry;
		cJSON_ArrayForEach(
			entry, cJSON_GetObjectItemCaseSensitive(role->current, "targets"))
		{
			bool here;
			UPT_TRY(repo_image_publish(p->repo, entry->string, entry, &here, err));
			n_missing += !here && needs_bytes(entry);
		}
	}
	if (n_missing > 0)
		cli_warn(p->cli,
			"%zu targets have neither bytes in images/ nor a uri: place them under "
			"public/targets/ yourself",
			n_missing);
	return UPT_OK;
}

static enum upt_code
put_roots(struct publication *p, struct upt_err *err)
{
	uint64_t last = repo_role_version(repo_role_find(p->repo, "root"));
	char from[320], to[320];

	for (uint64_t v = 1; v <= last; v++) {
		upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
		root_path("metadata", v, from);
		root_path("public", v, to);
		if (faccessat(p->repo->dirfd, to, F_OK, 0) == 0)
			continue;
		UPT_TRY(upt_file_read(p->repo->dirfd, from, REPO_DOC_MAX_BYTES, &bytes, err));
		UPT_TRY(txn_put(&p->repo->txn, to, 0644, upt_buf_span(&bytes), err));
	}
	return UPT_OK;
}

static enum upt_code
put_role(struct publication *p, const struct repo_role *role, struct upt_err *err)
{
	bool is_public;
	char path[320];

	UPT_TRY(release_is_public(p->repo, role, &is_public, err));
	if (is_public)
		return UPT_OK;
	release_path(role, path);
	return txn_put(&p->repo->txn, path, 0644, upt_buf_span(&role->bytes), err);
}

/* Whether a client that has only the old root accepts the new timestamp, snapshot and targets. */
static enum upt_code
check_old_clients(struct publication *p, struct upt_err *err)
{
	static const char *const names[] = {"timestamp", "snapshot", "targets"};

	p->old_clients_verify = p->old_root != NULL;
	for (int i = 0; i < 3 && p->old_clients_verify; i++) {
		const struct repo_role *role = repo_role_find(p->repo, names[i]);
		enum upt_code code = repo_check_signatures(names[i], upt_buf_span(&role->bytes),
			"root", upt_buf_span(&p->old_bytes), err);
		if (code != UPT_OK && code != UPT_E_THRESHOLD)
			return code;
		p->old_clients_verify = code == UPT_OK;
	}
	return UPT_OK;
}

/*
 * Order of appearance: immutable documents, then what makes clients ask for them. Clients ask for
 * roots first: when the timestamp satisfies the old root too, it comes before the new root, so that
 * there is no moment in which a client finds a timestamp of keys that its root does not name.
 */
static enum upt_code
put_all(struct publication *p, struct upt_err *err)
{
	for (size_t i = 0; i < p->repo->n_roles; i++) {
		const struct repo_role *role = p->repo->roles[i];
		warn_about(p, role);
		if (role->bytes.len > 0 && strcmp(role->name, "root") != 0 &&
			strcmp(role->name, "timestamp") != 0)
			UPT_TRY(put_role(p, role, err));
	}
	UPT_TRY(check_old_clients(p, err));
	if (!p->old_clients_verify)
		UPT_TRY(put_roots(p, err));
	UPT_TRY(put_role(p, repo_role_find(p->repo, "timestamp"), err));
	return p->old_clients_verify ? put_roots(p, err) : UPT_OK;
}

/* A published root that is not this workspace's would never lead a client to what follows. */
static enum upt_code
check_root(const struct repo *repo, struct upt_err *err)
{
	const struct repo_role *root = repo_role_find(repo, "root");
	bool is_public, ok;
	char path[320];

	root_path("public", repo_role_version(root) + 1, path);
	if (faccessat(repo->dirfd, path, F_OK, 0) == 0)
		return upt_fail(err, UPT_E_ROLLBACK,
			"%s is newer than the workspace's root: this workspace is older than what "
			"was "
			"published from it",
			path);
	UPT_TRY(has_its_signatures(repo, root, &ok, err));
	if (!ok)
		return upt_fail(err, UPT_E_THRESHOLD, "root version %" PRIu64 " lacks signatures",
			repo_role_version(root));
	return release_is_public(repo, root, &is_public, err);
}

static enum upt_code
publish(struct publication *p, struct upt_err *err)
{
	UPT_TRY(check_root(p->repo, err));
	UPT_TRY(find_old_root(p, err));
	UPT_TRY(sign_targets(p, err));
	UPT_TRY(sign_online(p, err));
	UPT_TRY(publish_images(p, err));
	/* The workspace's own copies come first in the commit: they are what the next command
	 * reads. */
	for (size_t i = 0; i < p->repo->n_roles; i++)
		UPT_TRY(repo_put_role(p->repo, p->repo->roles[i], err));
	UPT_TRY(put_all(p, err));
	return txn_commit(&p->repo->txn, p->repo->dir, p->repo->dirfd, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	upt_cleanup(publication_clear) struct publication p = {.cli = cli, .repo = &repo};
	int option;

	UPT_TRY(cli_option(cli, argc, argv, NULL, &option, err));
	UPT_TRY(cli_arguments(argc, argv, 0, 0, "", err));
	UPT_TRY(repo_open(cli->dir, &repo, err));
	UPT_TRY(publish(&p, err));
	cli_say(cli,
		"published in %s/public: root %" PRIu64 ", targets %" PRIu64 ", snapshot %" PRIu64
		", timestamp %" PRIu64,
		cli->dir, repo_role_version(repo_role_find(&repo, "root")),
		repo_role_version(repo_role_find(&repo, "targets")),
		repo_role_version(repo_role_find(&repo, "snapshot")),
		repo_role_version(repo_role_find(&repo, "timestamp")));
	return UPT_OK;
}

const struct command cmd_publish = {
	.name = "publish",
	.args = "",
	.summary = "Sign what changed and write public/",
	.help = help,
	.run = run,
};
