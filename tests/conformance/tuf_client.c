#include "tuf_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include "artifact.h"
#include "base/file.h"
#include "imagerepo/imagerepo.h"
#include "tuf_store.h"

#define ROOT_MAX_BYTES ((size_t)512 * 1024)
#define TARGETS_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define RETRY_DELAY_MS 100u

/* One run: the directory, the server and what is trusted. */
struct client {
	const struct tuf_options *options;
	struct upt_http *http;
	struct web web;
	struct tuf_store store;
	struct upt_feed feed;
	struct upt_trusted_set *set;
	int64_t now;
};

static void
client_clear(struct client *c)
{
	upt_trusted_set_free(&c->set);
	upt_http_free(&c->http);
	upt_close_fd(&c->store.dirfd);
}

static struct upt_trust_policy
plain_tuf(const struct tuf_options *options)
{
	struct upt_trust_policy policy = {
		.repo = UPT_REPO_IMAGE,
		.limits = UPT_LIMITS_IMAGE,
		.go_on_after_max_root_steps = true,
		.keep_equal_timestamp = true,
		.equal_version_is_current = true,
		.targets_bound_by_snapshot = true,
		.visit_roles_once = true,
		.single_role_delegations = true,
		.plain_leading_dot = true,
	};

	/* Public repositories are larger than a vehicle's. */
	policy.limits.root_max_bytes = ROOT_MAX_BYTES;
	policy.limits.targets_max_bytes = TARGETS_MAX_BYTES;
	policy.limits.delegated_max_bytes = TARGETS_MAX_BYTES;
	policy.limits.max_delegation_depth = 32;
	policy.limits.max_root_steps = options->max_root_rotations;
	return policy;
}

static enum upt_code
open_directory(const char *path, int *out, struct upt_err *err)
{
	UPT_TRY(upt_dir_make(path, 0755, err));
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0)
		return upt_fail_errno(err, errno, "cannot open directory %s", path);
	return UPT_OK;
}

static enum upt_code
client_start(struct client *c, const struct tuf_options *options, int64_t now, struct upt_err *err)
{
	/* Object storage says 403 of files that it does not have. */
	static const long absent[] = {403, 0};
	struct upt_http_config config = {
		.user_agent = "tuf-client/" UPT_VERSION, .retry_delay_ms = RETRY_DELAY_MS};
	struct upt_trust_policy policy = plain_tuf(options);

	*c = (struct client){.options = options, .now = now, .store = {.dirfd = -1}};
	UPT_TRY(open_directory(options->metadata_dir, &c->store.dirfd, err));
	UPT_TRY(upt_http_new(&config, &c->http, err));
	UPT_TRY(upt_trusted_set_new(&policy, &c->set, err));
	c->web = (struct web){.http = c->http, .absent = absent};
	c->store.web = &c->web;
	c->store.url = options->metadata_url;
	c->store.max_bytes = TARGETS_MAX_BYTES;
	c->feed = tuf_store_feed(&c->store);
	return UPT_OK;
}

static enum upt_code
refresh(struct client *c, struct upt_err *err)
{
	enum upt_code code;
	bool changed;

	code = upt_refresh(c->set, &c->feed, c->now, &changed, err);
	if (code == UPT_E_NOT_FOUND)
		return upt_wrap(err, code, "no trusted root (init first)");
	return code;
}

/* ---- artifacts (TUF 5.7) ---- */

/* DIR/HASH.FILE in a consistent repository, else DIR/FILE. */
static enum upt_code
artifact_url(const struct client *c, const struct upt_target *target, struct upt_buf *url,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf encoded = {0};
	const char *name = target->image.name, *slash = strrchr(name, '/');
	const char *file = slash != NULL ? slash + 1 : name;

	UPT_TRY(upt_buf_append(&path, name, (size_t)(file - name), err));
	if (upt_trusted_set_root(c->set)->root.consistent_snapshot) {
		const struct upt_digest *digest = &target->image.digests[0];

		for (size_t i = 0; i < digest->len; i++)
			UPT_TRY(upt_buf_printf(&path, err, "%02x", digest->bytes[i]));
		UPT_TRY(upt_buf_append(&path, ".", 1, err));
	}
	UPT_TRY(upt_buf_printf(&path, err, "%s", file));
	UPT_TRY(upt_url_encode((const char *)path.data, true, &encoded, err));
	return web_join(c->options->target_base_url, (const char *)encoded.data, url, err);
}

/* The quoted name; where that would be a directory, its dots are quoted too. */
static enum upt_code
artifact_file(const char *name, struct upt_buf *out, struct upt_err *err)
{
	if (strcmp(name, ".") == 0)
		return upt_buf_printf(out, err, "%%2E");
	if (strcmp(name, "..") == 0)
		return upt_buf_printf(out, err, "%%2E%%2E");
	return tuf_quote(name, out, err);
}

/* *cached: the directory has it already. */
static enum upt_code
look_for(int dirfd, const char *file, const struct upt_target *target, bool *cached,
	struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd =
		openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	*cached = false;
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? UPT_OK
							 : upt_fail_errno(err, errno, "%s", file);
	return artifact_compare(fd, target, cached, err);
}

static enum upt_code
fill(const struct client *c, int fd, const struct upt_target *target, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	UPT_TRY(artifact_url(c, target, &url, err));
	UPT_TRY(artifact_download(c->http, (const char *)url.data, target, fd, err));
	if (fsync(fd) != 0)
		return upt_fail_errno(err, errno, "artifact %s", target->image.name);
	return UPT_OK;
}

/* Under a name that no quoted artifact has until it is verified: nobody shall find unverified bytes
 * where they look for the artifact. */
static enum upt_code
fetch_artifact(const struct client *c, int dirfd, const char *file, const struct upt_target *target,
	struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	char tmp[32];
	enum upt_code code;

	snprintf(tmp, sizeof(tmp), "#%ld", (long)getpid());
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot create %s", tmp);
	code = fill(c, fd, target, err);
	if (code == UPT_OK && renameat(dirfd, tmp, dirfd, file) != 0)
		code = upt_fail_errno(err, errno, "cannot rename %s to %s", tmp, file);
	if (code != UPT_OK) {
		unlinkat(dirfd, tmp, 0);
		return code;
	}
	return upt_dir_sync(dirfd, ".", err);
}

static enum upt_code
get_artifact(struct client *c, int dirfd, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	struct upt_search search = {.feed = &c->feed, .now = c->now, .hardware_id = ""};
	struct upt_target target;
	bool cached;

	UPT_TRY(upt_imagerepo_find(c->set, &search, name, &arena, &target, err));
	UPT_TRY(artifact_file(name, &file, err));
	UPT_TRY(look_for(dirfd, (const char *)file.data, &target, &cached, err));
	return cached ? UPT_OK : fetch_artifact(c, dirfd, (const char *)file.data, &target, err);
}

/* ---- commands ---- */

enum upt_code
tuf_init(const struct tuf_options *options, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf root = {0};
	struct tuf_store store = {.dirfd = -1};
	struct upt_feed feed = tuf_store_feed(&store);
	enum upt_code code;

	UPT_TRY(upt_file_read(AT_FDCWD, options->trusted_root, ROOT_MAX_BYTES, &root, err));
	UPT_TRY(open_directory(options->metadata_dir, &store.dirfd, err));
	code = feed.save(feed.ctx, "root", 0, upt_buf_span(&root), err);
	upt_close_fd(&store.dirfd);
	return code;
}

enum upt_code
tuf_refresh(const struct tuf_options *options, int64_t now, struct upt_err *err)
{
	upt_cleanup(client_clear) struct client c = {.store = {.dirfd = -1}};

	UPT_TRY(client_start(&c, options, now, err));
	return refresh(&c, err);
}

enum upt_code
tuf_download(const struct tuf_options *options, int64_t now, const struct upt_log *log,
	struct upt_err *err)
{
	upt_cleanup(client_clear) struct client c = {.store = {.dirfd = -1}};
	upt_cleanup(upt_close_fd) int dirfd = -1;
	enum upt_code code = UPT_OK;

	UPT_TRY(client_start(&c, options, now, err));
	UPT_TRY(open_directory(options->target_dir, &dirfd, err));
	UPT_TRY(refresh(&c, err));
	for (size_t i = 0; i < options->n_target_names; i++) {
		struct upt_err failure = {0};

		if (get_artifact(&c, dirfd, options->target_names[i], &failure) == UPT_OK)
			continue;
		if (code != UPT_OK)
			upt_log_err(log, UPT_LOG_ERROR, err, "download");
		code = failure.code;
		*err = failure;
	}
	return code;
}
