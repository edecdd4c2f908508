/*
 * What is installed on an ECU, or shall be: a target reduced to the facts that reports and storage
 * keep. Fixed size, no ownership. Uptane Standard 2.1, "version_report" (filename, length, hashes).
 */
#ifndef UPT_METADATA_IMAGE_H
#define UPT_METADATA_IMAGE_H

#include "crypto/crypto.h"

#define UPT_ECU_SERIAL_MAX 128
#define UPT_HARDWARE_ID_MAX 128
#define UPT_TARGET_NAME_MAX 512
#define UPT_MAX_DIGESTS 2

struct upt_image {
	char name[UPT_TARGET_NAME_MAX + 1]; /* target filename; "" is "nothing known" */
	uint64_t length_bytes;
	size_t n_digests;
	struct upt_digest
		digests[UPT_MAX_DIGESTS]; /* distinct algorithms, sha256 first if listed */
	bool has_release_counter;
	uint64_t release_counter;
};

/* The digest of that algorithm; NULL when it is not listed. */
const struct upt_digest *upt_image_digest(const struct upt_image *image, enum upt_hash_alg alg);
/* Same bytes, whatever they are called: every digest that both list agrees, and at least one is
 * listed by both. */
bool upt_image_same_content(const struct upt_image *a, const struct upt_image *b);
/* Same content, name and length. */
bool upt_image_same(const struct upt_image *a, const struct upt_image *b);

#endif
