#include "storage/images_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/file.h"

/* ---- shared with the writer ---- */

enum upt_code
upt_image_file_name(
	const struct upt_image *image, char out[static UPT_IMAGE_NAME_SIZE], struct upt_err *err)
{
	out[0] = '\0';
	if (image->n_digests == 0 || image->n_digests > UPT_MAX_DIGESTS)
		return upt_fail(err, UPT_E_UNSUPPORTED, "image %s lists %zu digests", image->name,
			image->n_digests);
	for (size_t i = 0; i < image->n_digests; i++) {
		const struct upt_digest *digest = &image->digests[i];
		if (digest->alg == UPT_HASH_NONE || digest->len != upt_hash_bytes(digest->alg))
			return upt_fail(err, UPT_E_UNSUPPORTED,
				"image %s: digest %zu is of no known kind", image->name, i);
	}
	upt_hex_encode(upt_span(image->digests[0].bytes, image->digests[0].len), out);
	return UPT_OK;
}

void
upt_image_hashes_clear(struct upt_image_hashes *hashes)
{
	for (size_t i = 0; i < hashes->n; i++)
		upt_hash_free(&hashes->hash[i]);
	hashes->n = 0;
}

enum upt_code
upt_image_hashes_init(
	struct upt_image_hashes *hashes, const struct upt_image *image, struct upt_err *err)
{
	*hashes = (struct upt_image_hashes){0};
	for (size_t i = 0; i < image->n_digests; i++) {
		enum upt_code code = upt_hash_new(image->digests[i].alg, &hashes->hash[i], err);
		if (code != UPT_OK) {
			upt_image_hashes_clear(hashes);
			return code;
		}
		hashes->n++;
	}
	return UPT_OK;
}

enum upt_code
upt_image_hashes_update(struct upt_image_hashes *hashes, struct upt_span bytes, struct upt_err *err)
{
	for (size_t i = 0; i < hashes->n; i++)
		UPT_TRY(upt_hash_update(hashes->hash[i], bytes, err));
	return UPT_OK;
}

enum upt_code
upt_image_hashes_file(struct upt_image_hashes *hashes, int fd, uint64_t len, uint8_t *block,
	const char *what, struct upt_err *err)
{
	uint64_t at = 0;

	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (at < len) {
		size_t want = len - at < UPT_IMAGE_BLOCK_BYTES ? (size_t)(len - at)
							       : UPT_IMAGE_BLOCK_BYTES;
		ssize_t n = pread(fd, block, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(
				err, errno, "cannot read %s at byte %ju", what, (uintmax_t)at);
		if (n == 0)
			return upt_fail(err, UPT_E_IO, "%s ends at byte %ju of %ju", what,
				(uintmax_t)at, (uintmax_t)len);
		UPT_TRY(upt_image_hashes_update(hashes, upt_span(block, (size_t)n), err));
		at += (uint64_t)n;
	}
	return UPT_OK;
}

enum upt_code
upt_image_hashes_check(
	struct upt_image_hashes *hashes, const struct upt_image *image, struct upt_err *err)
{
	for (size_t i = 0; i < hashes->n; i++) {
		const struct upt_digest *listed = &image->digests[i];
		char want[UPT_IMAGE_NAME_SIZE], have[UPT_IMAGE_NAME_SIZE];
		struct upt_digest found;

		UPT_TRY(upt_hash_final(hashes->hash[i], &found, err));
		if (upt_digest_equal(&found, listed))
			continue;
		upt_hex_encode(upt_span(listed->bytes, listed->len), want);
		upt_hex_encode(upt_span(found.bytes, found.len), have);
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"image %.128s has %s %s, the metadata lists %s", image->name,
			upt_hash_name(listed->alg), have, want);
	}
	return UPT_OK;
}

/* ---- the store ---- */

void
upt_images_close(struct upt_images **images)
{
	struct upt_images *s = *images;

	*images = NULL;
	if (s == NULL)
		return;
	upt_close_fd(&s->dir_fd);
	upt_close_fd(&s->partial_fd);
	free(s->path);
	free(s);
}

static enum upt_code
open_directories(struct upt_images *images, struct upt_err *err)
{
	const char *dir = images->path;

	images->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (images->dir_fd < 0)
		return upt_fail_errno(err, errno, "cannot open directory %s", dir);
	if (mkdirat(images->dir_fd, UPT_IMAGES_PARTIAL, 0700) == 0)
		UPT_TRY(upt_dir_sync(images->dir_fd, ".", err));
	else if (errno != EEXIST)
		return upt_fail_errno(err, errno, "cannot make %s/" UPT_IMAGES_PARTIAL, dir);
	images->partial_fd = openat(images->dir_fd, UPT_IMAGES_PARTIAL,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (images->partial_fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s/" UPT_IMAGES_PARTIAL, dir);
	return UPT_OK;
}

enum upt_code
upt_images_open(const char *dir, struct upt_images **out, struct upt_err *err)
{
	upt_cleanup(upt_images_close) struct upt_images *images = calloc(1, sizeof(*images));

	*out = NULL;
	if (images == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an image store");
	images->dir_fd = -1;
	images->partial_fd = -1;
	images->path = strdup(dir);
	if (images->path == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an image store");
	UPT_TRY(upt_dir_make(dir, 0700, err));
	UPT_TRY(open_directories(images, err));
	*out = images;
	images = NULL;
	return UPT_OK;
}

bool
upt_images_have(struct upt_images *images, const struct upt_image *image)
{
	char name[UPT_IMAGE_NAME_SIZE];
	struct stat st;

	if (upt_image_file_name(image, name, NULL) != UPT_OK)
		return false;
	return fstatat(images->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uintmax_t)st.st_size == image->length_bytes;
}

/* Length and every listed hash of a stored file. */
static enum upt_code
verify(int fd, const struct upt_image *image, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_image_hashes_clear) struct upt_image_hashes hashes = {0};
	upt_cleanup(upt_free_ptr) uint8_t *block = NULL;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot stat stored image %s", name);
	if (!S_ISREG(st.st_mode))
		return upt_fail(err, UPT_E_IO, "stored image %s is no regular file", name);
	if ((uintmax_t)st.st_size != image->length_bytes)
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"stored image %.128s has %jd bytes, the metadata lists %ju", image->name,
			(intmax_t)st.st_size, (uintmax_t)image->length_bytes);
	block = malloc(UPT_IMAGE_BLOCK_BYTES);
	if (block == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to verify an image");
	UPT_TRY(upt_image_hashes_init(&hashes, image, err));
	UPT_TRY(upt_image_hashes_file(&hashes, fd, image->length_bytes, block, name, err));
	return upt_image_hashes_check(&hashes, image, err);
}

enum upt_code
upt_images_open_verified(
	struct upt_images *images, const struct upt_image *image, int *fd, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int file = -1;
	char name[UPT_IMAGE_NAME_SIZE];
	enum upt_code code;

	*fd = -1;
	UPT_TRY(upt_image_file_name(image, name, err));
	file = openat(images->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file < 0)
		return upt_fail_errno(err, errno, "cannot open image %s/%s", images->path, name);
	code = verify(file, image, name, err);
	/* A damaged or unreadable copy in this place would stop every later attempt: the next
	 * cycle has to fetch the image again. */
	if ((code == UPT_E_IMAGE_HASH || code == UPT_E_IO) &&
		unlinkat(images->dir_fd, name, 0) == 0)
		fsync(images->dir_fd);
	if (code != UPT_OK)
		return code;
	*fd = file;
	file = -1;
	return UPT_OK;
}

/* ---- pruning ---- */

/* Names we make: hex of a digest. Anything else in the directory is not ours to remove. */
static bool
is_image_name(const char *name)
{
	size_t len = strlen(name);

	return len == strspn(name, "0123456789abcdef") &&
	       (len == 2 * upt_hash_bytes(UPT_HASH_SHA256) ||
		       len == 2 * upt_hash_bytes(UPT_HASH_SHA512));
}

static bool
is_kept(const char *name, const struct upt_image *keep, size_t n_keep)
{
	char kept[UPT_IMAGE_NAME_SIZE];

	for (size_t i = 0; i < n_keep; i++) {
		if (upt_image_file_name(&keep[i], kept, NULL) == UPT_OK && strcmp(kept, name) == 0)
			return true;
	}
	return false;
}

static void
close_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static enum upt_code
prune_directory(int dir_fd, const struct upt_image *keep, size_t n_keep, struct upt_err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	upt_cleanup(close_dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	bool removed = false;

	if (dir == NULL) {
		int errnum = errno;
		upt_close_fd(&fd);
		return upt_fail_errno(err, errnum, "cannot list images");
	}
	for (;;) {
		const struct dirent *item;

		errno = 0;
		item = readdir(dir);
		if (item == NULL && errno != 0)
			return upt_fail_errno(err, errno, "cannot list images");
		if (item == NULL)
			break;
		if (!is_image_name(item->d_name) || is_kept(item->d_name, keep, n_keep))
			continue;
		if (unlinkat(dir_fd, item->d_name, 0) != 0 && errno != ENOENT)
			return upt_fail_errno(err, errno, "cannot remove image %s", item->d_name);
		removed = true;
	}
	return removed ? upt_dir_sync(dir_fd, ".", err) : UPT_OK;
}

enum upt_code
upt_images_prune(
	struct upt_images *images, const struct upt_image *keep, size_t n_keep, struct upt_err *err)
{
	UPT_TRY(prune_directory(images->partial_fd, keep, n_keep, err));
	return prune_directory(images->dir_fd, keep, n_keep, err);
}
