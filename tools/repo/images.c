#include "repo/images.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "base/file.h"
#include "json/json.h"

#define INCOMING "images/.incoming"
#define CHUNK_BYTES ((size_t)1 << 18)
#define FILE_NAME_MAX_BYTES 255

struct copy {
	struct upt_hash *hashes[2];
	struct upt_buf chunk;
	uint64_t length;
};

static void
copy_clear(struct copy *copy)
{
	upt_hash_free(&copy->hashes[0]);
	upt_hash_free(&copy->hashes[1]);
	upt_buf_clear(&copy->chunk);
}

static enum upt_code
copy_bytes(int from, int to, struct copy *copy, const char *path, struct upt_err *err)
{
	UPT_TRY(upt_buf_reserve(&copy->chunk, CHUNK_BYTES, err));
	while (true) {
		ssize_t n = read(from, copy->chunk.data, CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			return UPT_OK;
		for (int i = 0; i < 2 && copy->hashes[i] != NULL; i++)
			UPT_TRY(upt_hash_update(
				copy->hashes[i], upt_span(copy->chunk.data, (size_t)n), err));
		if (to >= 0)
			UPT_TRY(upt_file_write_all(to, upt_span(copy->chunk.data, (size_t)n), err));
		copy->length += (uint64_t)n;
	}
}

/* The copy is durable and carries nobody's write permission before it gets its name. */
static enum upt_code
copy_to_temporary(const struct repo *repo, int from, const char *temporary, struct copy *copy,
	const char *path, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int to = -1;
	enum upt_code code;

	if (unlinkat(repo->dirfd, temporary, 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove stale %s", temporary);
	to = openat(
		repo->dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (to < 0)
		return upt_fail_errno(err, errno, "cannot create %s/%s", repo->dir, temporary);
	code = copy_bytes(from, to, copy, path, err);
	if (code == UPT_OK && (fchmod(to, 0444) != 0 || fsync(to) != 0))
		code = upt_fail_errno(err, errno, "cannot sync %s", temporary);
	if (code != UPT_OK) {
		unlinkat(repo->dirfd, temporary, 0);
		return upt_wrap(err, code, "copying %s", path);
	}
	return UPT_OK;
}

static enum upt_code
open_source(const char *path, int *out, struct upt_err *err)
{
	struct stat st;

	*out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*out < 0)
		return upt_fail_errno(err, errno, "cannot open %s", path);
	if (fstat(*out, &st) == 0 && S_ISREG(st.st_mode))
		return UPT_OK;
	close(*out);
	*out = -1;
	return upt_fail(err, UPT_E_IO, "%s is no regular file", path);
}

enum upt_code
repo_image_import(
	const struct repo *repo, const char *path, struct upt_image *image, struct upt_err *err)
{
	upt_cleanup(copy_clear) struct copy copy = {0};
	upt_cleanup(upt_close_fd) int from = -1;
	char hex[2 * UPT_HASH_MAX_BYTES + 1], stored[100];

	UPT_TRY(open_source(path, &from, err));
	for (size_t i = 0; i < repo->n_algs; i++)
		UPT_TRY(upt_hash_new(repo->algs[i], &copy.hashes[i], err));
	UPT_TRY(repo_make_parents(repo->dirfd, INCOMING, err));
	UPT_TRY(copy_to_temporary(repo, from, INCOMING, &copy, path, err));
	for (size_t i = 0; i < repo->n_algs; i++)
		UPT_TRY(upt_hash_final(copy.hashes[i], &image->digests[i], err));
	image->n_digests = repo->n_algs;
	image->length_bytes = copy.length;
	upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), hex);
	snprintf(stored, sizeof(stored), "images/%.64s", hex);
	if (renameat(repo->dirfd, INCOMING, repo->dirfd, stored) != 0)
		return upt_fail_errno(err, errno, "cannot keep %s", stored);
	return repo_sync_parent(repo->dirfd, stored, err);
}

bool
repo_image_path(const char *name, const char *hash, char *out, size_t size)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash == NULL ? name : slash + 1;
	int folder = slash == NULL ? 0 : (int)(slash - name + 1);
	int n = snprintf(out, size, "public/targets/%.*s%s.%s", folder, name, hash, base);

	return strlen(hash) + 1 + strlen(base) <= FILE_NAME_MAX_BYTES && n > 0 && (size_t)n < size;
}

enum upt_code
repo_image_adopt(const struct repo *repo, const char *dir, const char *name, const cJSON *entry,
	bool *here, struct upt_err *err)
{
	const char *hex =
		repo_json_text(cJSON_GetObjectItemCaseSensitive(entry, "hashes"), "sha256");
	char path[PATH_MAX], full[PATH_MAX];
	struct upt_digest expected;
	struct upt_image image;

	*here = false;
	UPT_TRY(repo_check_target_name(name, err));
	if (!upt_digest_parse(UPT_HASH_SHA256, upt_span_str(hex), &expected) ||
		!repo_image_path(name, hex, path, sizeof(path)) ||
		snprintf(full, sizeof(full), "%s/%s", dir, path + strlen("public/targets/")) >=
			(int)sizeof(full) ||
		access(full, F_OK) != 0)
		return UPT_OK;
	UPT_TRY(repo_image_import(repo, full, &image, err));
	if (!upt_digest_equal(&image.digests[0], &expected) ||
		image.length_bytes != repo_json_u64(entry, "length"))
		return upt_fail(
			err, UPT_E_IMAGE_HASH, "%s is not the image that %s lists", full, name);
	*here = true;
	return UPT_OK;
}

static bool
is_published(const struct repo *repo, const char *path, const struct stat *stored)
{
	struct stat st;

	return fstatat(repo->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == stored->st_size;
}

/* A link costs nothing; where public/ is another file system, a copy does. */
static enum upt_code
place(const struct repo *repo, const char *stored, const char *path, struct upt_err *err)
{
	upt_cleanup(copy_clear) struct copy copy = {0};
	upt_cleanup(upt_close_fd) int from = -1;
	static const char temporary[] = "public/targets/.incoming";

	UPT_TRY(repo_make_parents(repo->dirfd, path, err));
	if (unlinkat(repo->dirfd, path, 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot replace %s", path);
	if (linkat(repo->dirfd, stored, repo->dirfd, path, 0) == 0)
		return repo_sync_parent(repo->dirfd, path, err);
	if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
		return upt_fail_errno(err, errno, "cannot link %s", path);
	from = openat(repo->dirfd, stored, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return upt_fail_errno(err, errno, "cannot open %s", stored);
	UPT_TRY(copy_to_temporary(repo, from, temporary, &copy, stored, err));
	if (renameat(repo->dirfd, temporary, repo->dirfd, path) != 0)
		return upt_fail_errno(err, errno, "cannot place %s", path);
	return repo_sync_parent(repo->dirfd, path, err);
}

enum upt_code
repo_image_publish(const struct repo *repo, const char *name, const cJSON *entry, bool *here,
	struct upt_err *err)
{
	const cJSON *hashes = cJSON_GetObjectItemCaseSensitive(entry, "hashes"), *hash;
	char stored[100], path[PATH_MAX];
	struct stat st;

	snprintf(stored, sizeof(stored), "images/%.64s", repo_json_text(hashes, "sha256"));
	*here = false;
	UPT_TRY(repo_check_target_name(name, err));
	*here = fstatat(repo->dirfd, stored, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && (uint64_t)st.st_size == repo_json_u64(entry, "length");
	if (!*here)
		return UPT_OK;
	cJSON_ArrayForEach(hash, hashes)
	{
		struct upt_digest digest;
		/* Metadata of a supplier's making must not choose paths. */
		if (!cJSON_IsString(hash) ||
			!upt_digest_parse(upt_hash_from_name(upt_span_str(hash->string)),
				upt_span_str(hash->valuestring), &digest))
			continue;
		if (!repo_image_path(name, hash->valuestring, path, sizeof(path)))
			return upt_fail(err, UPT_E_USAGE,
				"target %s: its name with a hash in front exceeds %d bytes", name,
				FILE_NAME_MAX_BYTES);
		if (!is_published(repo, path, &st))
			UPT_TRY(place(repo, stored, path, err));
	}
	return UPT_OK;
}
