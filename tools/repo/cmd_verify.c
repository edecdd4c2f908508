#include "repo/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include "base/encode.h"
#include "base/file.h"
#include "metadata/refresh.h"
#include "repo/images.h"

/* clang-format off */
static const char help[] =
	"      --type image|director  whose rules apply (default: what repo.json says, else image)\n"
	"      --root FILE            trusted first root (default: PUBLIC/1.root.json)\n\n"
	"Reads PUBLIC (default: DIR/public) with the verifier that runs on vehicles, from the first root\n"
	"to every delegated role, and hashes every image that lies there. The exit code names what a\n"
	"vehicle would object to. SOURCE_DATE_EPOCH sets the time at which it is verified.\n";
/* clang-format on */

#define ROOT_MAX_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 8

struct verification {
	struct cli *cli;
	const char *dir;
	int dirfd; /* of the published folder */
	int64_t now;
	struct upt_buf root;
	struct upt_trusted_set *set;
	struct upt_feed feed;
	size_t n_targets, n_images, n_absent;
};

static void
verification_clear(struct verification *v)
{
	upt_close_fd(&v->dirfd);
	upt_buf_clear(&v->root);
	upt_trusted_set_free(&v->set);
}

/* ---- the feed: a folder, and nothing stored ---- */
static enum upt_code
fetch(void *ctx, const char *file_name, size_t max_bytes, struct upt_buf *out, struct upt_err *err)
{
	const struct verification *v = ctx;
	enum upt_code code = upt_file_read(v->dirfd, file_name, max_bytes, out, err);

	if (code != UPT_E_NOT_FOUND)
		return code;
	return upt_fail(err, UPT_E_ABSENT, "%s has no %s", v->dir, file_name);
}

static enum upt_code
load(void *ctx, const char *role_name, struct upt_buf *out, struct upt_err *err)
{
	const struct verification *v = ctx;

	if (strcmp(role_name, "root") != 0)
		return upt_fail(err, UPT_E_NOT_FOUND, "nothing stored of %s", role_name);
	out->len = 0;
	return upt_buf_append(out, v->root.data, v->root.len, err);
}

static enum upt_code
save(void *ctx, const char *role_name, uint64_t version, struct upt_span bytes, struct upt_err *err)
{
	const struct verification *v = ctx;

	(void)bytes;
	(void)err;
	cli_say(v->cli, "verified %s version %" PRIu64, role_name, version);
	return UPT_OK;
}

static enum upt_code
save_root(void *ctx, uint64_t version, struct upt_span bytes, bool drop_others, struct upt_err *err)
{
	(void)drop_others;
	return save(ctx, "root", version, bytes, err);
}

static enum upt_code
forget(void *ctx, const char *role_name, struct upt_err *err)
{
	(void)ctx;
	(void)role_name;
	(void)err;
	return UPT_OK;
}

/* ---- images ---- */
static enum upt_code
hash_file(int fd, const struct upt_digest *expected, const char *path, uint64_t length,
	struct upt_err *err)
{
	upt_cleanup(upt_hash_free) struct upt_hash *hash = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf chunk = {0};
	struct upt_digest digest;
	uint64_t total = 0;
	ssize_t n;

	UPT_TRY(upt_hash_new(expected->alg, &hash, err));
	UPT_TRY(upt_buf_reserve(&chunk, (size_t)1 << 18, err));
	while ((n = read(fd, chunk.data, (size_t)1 << 18)) > 0) {
		UPT_TRY(upt_hash_update(hash, upt_span(chunk.data, (size_t)n), err));
		total += (uint64_t)n;
	}
	if (n < 0)
		return upt_fail_errno(err, errno, "cannot read %s", path);
	UPT_TRY(upt_hash_final(hash, &digest, err));
	if (total != length || !upt_digest_equal(&digest, expected))
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"%s (%" PRIu64 " bytes) is not the image that the metadata lists", path,
			total);
	return UPT_OK;
}

static enum upt_code
verify_image(struct verification *v, const struct upt_target *target, struct upt_err *err)
{
	char hex[2 * UPT_HASH_MAX_BYTES + 1], path[PATH_MAX];
	bool expected = target->image.length_bytes > 0 && target->uri == NULL &&
			(target->format[0] == '\0' || strcmp(target->format, "BINARY") == 0);
	bool found = false;

	v->n_targets++;
	UPT_TRY(repo_check_target_name(target->image.name, err));
	for (size_t i = 0; i < target->image.n_digests; i++) {
		const struct upt_digest *digest = &target->image.digests[i];
		upt_cleanup(upt_close_fd) int fd = -1;
		upt_hex_encode(upt_span(digest->bytes, digest->len), hex);
		if (!repo_image_path(target->image.name, hex, path, sizeof(path)))
			continue;
		fd = openat(v->dirfd, path + strlen("public/"), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && errno != ENOENT)
			return upt_fail_errno(err, errno, "cannot open %s", path);
		if (fd < 0)
			continue;
		found = true;
		UPT_TRY(hash_file(fd, digest, path, target->image.length_bytes, err));
	}
	v->n_images += found;
	v->n_absent += expected && !found;
	return UPT_OK;
}

static enum upt_code
verify_targets(struct verification *v, const struct upt_metadata *doc, struct upt_err *err)
{
	for (size_t i = 0; i < doc->targets.n_targets; i++) {
		upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
		struct upt_target target;
		UPT_TRY(upt_targets_get(&doc->targets, i, &arena, &target, err));
		UPT_TRY(verify_image(v, &target, err));
	}
	return UPT_OK;
}

static enum upt_code verify_tree(struct verification *v, const struct upt_metadata *doc,
	unsigned depth, struct upt_err *err);

static enum upt_code
verify_delegation(struct verification *v, const struct upt_metadata *doc,
	const struct upt_delegation *d, unsigned depth, struct upt_err *err)
{
	for (size_t i = 0; i < d->n_roles; i++) {
		const struct upt_metadata *role;
		UPT_TRY(upt_refresh_delegated(
			v->set, &v->feed, doc, &d->roles[i], v->now, &role, err));
		UPT_TRY(verify_tree(v, role, depth + 1, err));
	}
	if (d->n_roles > 1)
		cli_say(v->cli, "%s lets %zu roles list targets on which %" PRIu64 " agree",
			d->name, d->n_roles, d->min_roles);
	return UPT_OK;
}

static enum upt_code
verify_tree(
	struct verification *v, const struct upt_metadata *doc, unsigned depth, struct upt_err *err)
{
	UPT_TRY(verify_targets(v, doc, err));
	if (depth == MAX_DEPTH && doc->targets.n_delegations > 0)
		return upt_fail(
			err, UPT_E_DELEGATION, "role %s delegates %d deep", doc->name, MAX_DEPTH);
	for (size_t i = 0; i < doc->targets.n_delegations; i++)
		UPT_TRY(verify_delegation(v, doc, &doc->targets.delegations[i], depth, err));
	return UPT_OK;
}

/* ---- the command ---- */
struct verify_options {
	const char *kind, *root, *dir;
};

static enum upt_code
read_options(struct cli *cli, int argc, char **argv, struct verify_options *o, struct upt_err *err)
{
	static const struct option options[] = {{"type", required_argument, NULL, 't'},
		{"root", required_argument, NULL, 'r'}, {0}};
	int option;

	while (true) {
		UPT_TRY(cli_option(cli, argc, argv, options, &option, err));
		if (option == -1)
			break;
		if (option == 't')
			o->kind = optarg;
		else
			o->root = optarg;
	}
	UPT_TRY(cli_arguments(argc, argv, 0, 1, "PUBLIC", err));
	o->dir = optind < argc ? argv[optind] : NULL;
	if (o->kind != NULL && strcmp(o->kind, "image") != 0 && strcmp(o->kind, "director") != 0)
		return upt_fail(
			err, UPT_E_USAGE, "--type %s is neither image nor director", o->kind);
	return UPT_OK;
}

/* The published folder, and what kind of repository it is. */
static enum upt_code
open_public(
	struct verification *v, const struct verify_options *o, bool *director, struct upt_err *err)
{
	upt_cleanup(repo_close) struct repo repo = {.dirfd = -1};
	int fd;

	*director = o->kind != NULL && strcmp(o->kind, "director") == 0;
	if (o->dir == NULL) {
		UPT_TRY(repo_open(v->cli->dir, &repo, err));
		if (o->kind == NULL)
			*director = repo.director;
	}
	v->dir = o->dir != NULL ? o->dir : "public";
	fd = openat(
		o->dir != NULL ? AT_FDCWD : repo.dirfd, v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return upt_fail_errno(
			err, errno, "cannot open %s (nothing published yet?)", v->dir);
	v->dirfd = fd;
	UPT_TRY(repo_clock(&v->now, err));
	if (o->root != NULL)
		return upt_file_read(AT_FDCWD, o->root, ROOT_MAX_BYTES, &v->root, err);
	return upt_file_read(v->dirfd, "1.root.json", ROOT_MAX_BYTES, &v->root, err);
}

static enum upt_code
run(struct cli *cli, int argc, char **argv, struct upt_err *err)
{
	upt_cleanup(verification_clear) struct verification v = {.cli = cli, .dirfd = -1};
	struct verify_options o = {0};
	struct upt_trust_policy policy;
	bool director, changed;

	UPT_TRY(read_options(cli, argc, argv, &o, err));
	UPT_TRY(open_public(&v, &o, &director, err));
	policy = upt_trust_policy_uptane(director ? UPT_REPO_DIRECTOR : UPT_REPO_IMAGE, false);
	v.feed = (struct upt_feed){.ctx = &v,
		.fetch = fetch,
		.load = load,
		.save = save,
		.save_root = save_root,
		.forget = forget};
	UPT_TRY(upt_trusted_set_new(&policy, &v.set, err));
	UPT_TRY(upt_refresh(v.set, &v.feed, v.now, &changed, err));
	UPT_TRY(verify_tree(&v, upt_trusted_set_targets(v.set), 0, err));
	if (v.n_absent > 0)
		cli_warn(cli, "%zu targets have neither an image here nor a uri", v.n_absent);
	cli_say(cli, "good: %zu targets, %zu images hashed", v.n_targets, v.n_images);
	return UPT_OK;
}

const struct command cmd_verify = {
	.name = "verify",
	.args = "[PUBLIC] [OPTION]...",
	.summary = "Check what is published as a vehicle does",
	.help = help,
	.run = run,
};
