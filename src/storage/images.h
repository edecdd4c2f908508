/*
 * Content-addressed image store: DIR/HEX-OF-FIRST-DIGEST for whole, verified images and
 * DIR/partial/HEX for downloads under way. A file leaves partial/ only by a rename after its length
 * and every listed hash were checked and it was fsynced, so a name in DIR is a promise. Used by the
 * Primary and by Linux Secondaries; no database. Uptane Standard 2.1 "download_images_primary".
 */
#ifndef UPT_STORAGE_IMAGES_H
#define UPT_STORAGE_IMAGES_H

#include "metadata/image.h"

struct upt_images;

UPT_NODISCARD enum upt_code
upt_images_open(const char *dir, struct upt_images **out, struct upt_err *err);
void upt_images_close(struct upt_images **images);

/* True when the whole verified image is there (name and length; content was checked before its
 * rename). */
bool upt_images_have(struct upt_images *images, const struct upt_image *image);
/* Opens a stored image for reading and re-verifies length and every hash: what was written to flash
 * a month ago is checked again before it is installed or forwarded. UPT_E_NOT_FOUND;
 * UPT_E_IMAGE_HASH, and UPT_E_IO when it cannot be read (either is removed, so that the next cycle
 * fetches it again). */
UPT_NODISCARD enum upt_code upt_images_open_verified(
	struct upt_images *images, const struct upt_image *image, int *fd, struct upt_err *err);

/* One download into partial/. Hashes run along; resuming first re-hashes what is there. */
struct upt_image_writer;
/* Keeps an earlier partial of the same digest (offset > 0) unless it is longer than the image. Free
 * space for the rest, with a reserve of the smaller of 16 MiB and 1 % of the file system, is
 * checked and allocated first: UPT_E_NO_SPACE with both numbers, before a byte is fetched.
 * UPT_E_BUSY while another writer has this image; UPT_E_UNSUPPORTED when it lists no digest;
 * UPT_E_IO when something else than a plain file was planted in its place. */
UPT_NODISCARD enum upt_code
upt_images_begin(struct upt_images *images, const struct upt_image *image,
	struct upt_image_writer **out, uint64_t *offset_bytes, struct upt_err *err);
/* Back to byte 0, for a server that does not resume; also after a failed write. */
UPT_NODISCARD enum upt_code
upt_image_writer_restart(struct upt_image_writer *w, struct upt_err *err);
/* UPT_E_TOO_LARGE at the first byte above the listed length (endless data), nothing of the chunk is
 * taken then. Starts writeback early, so that the final fsync is short. After a failed write
 * (UPT_E_NO_SPACE, UPT_E_IO) only restart and free are of use. */
UPT_NODISCARD enum upt_code
upt_image_writer_write(struct upt_image_writer *w, struct upt_span chunk, struct upt_err *err);
/* Checks length and every listed hash, fsyncs, renames, syncs the directory. UPT_E_IMAGE_HASH names
 * both hashes and deletes the partial, else a poisoned prefix would be resumed for ever. */
UPT_NODISCARD enum upt_code
upt_image_writer_finish(struct upt_image_writer *w, struct upt_err *err);
/* Frees; an unfinished partial is fsynced and stays for a later resume. */
void upt_image_writer_free(struct upt_image_writer **w);

/* Removes every stored and partial file whose digest is not in keep. */
UPT_NODISCARD enum upt_code upt_images_prune(struct upt_images *images,
	const struct upt_image *keep, size_t n_keep, struct upt_err *err);

#endif
