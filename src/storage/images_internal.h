/*
 * Shared by the image store's files: the two directories, names, and hashing of every listed
 * digest.
 */
#ifndef UPT_STORAGE_IMAGES_INTERNAL_H
#define UPT_STORAGE_IMAGES_INTERNAL_H

#include "storage/images.h"

#define UPT_IMAGES_PARTIAL "partial"
#define UPT_IMAGE_BLOCK_BYTES ((size_t)1024 * 1024)
#define UPT_IMAGE_NAME_SIZE (2 * UPT_HASH_MAX_BYTES + 1)

struct upt_images {
	char *path;
	int dir_fd;
	int partial_fd;
};

/* Runs all hashes an image lists over the same bytes. */
struct upt_image_hashes {
	size_t n;
	struct upt_hash *hash[UPT_MAX_DIGESTS];
};

UPT_NODISCARD enum upt_code upt_image_hashes_init(
	struct upt_image_hashes *hashes, const struct upt_image *image, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_image_hashes_update(
	struct upt_image_hashes *hashes, struct upt_span bytes, struct upt_err *err);
/* Hashes the first len bytes of the file fd, through block (UPT_IMAGE_BLOCK_BYTES). */
UPT_NODISCARD enum upt_code upt_image_hashes_file(struct upt_image_hashes *hashes, int fd,
	uint64_t len, uint8_t *block, const char *what, struct upt_err *err);
/* UPT_E_IMAGE_HASH names both digests. The hashes can only be cleared afterwards. */
UPT_NODISCARD enum upt_code upt_image_hashes_check(
	struct upt_image_hashes *hashes, const struct upt_image *image, struct upt_err *err);
void upt_image_hashes_clear(struct upt_image_hashes *hashes); /* fits upt_cleanup() */

/*
 * The file name of an image: lower-case hex of its first digest. Never the target's own name: the
 * server chooses that, and "../../etc/passwd" is one. UPT_E_UNSUPPORTED without a usable digest.
 */
UPT_NODISCARD enum upt_code upt_image_file_name(
	const struct upt_image *image, char out[static UPT_IMAGE_NAME_SIZE], struct upt_err *err);

#endif
