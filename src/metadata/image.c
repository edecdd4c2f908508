#include "metadata/image.h"

#include <string.h>

const struct upt_digest *
upt_image_digest(const struct upt_image *image, enum upt_hash_alg alg)
{
	for (size_t i = 0; i < image->n_digests; i++) {
		if (image->digests[i].alg == alg)
			return &image->digests[i];
	}
	return NULL;
}

bool
upt_image_same_content(const struct upt_image *a, const struct upt_image *b)
{
	bool common = false;

	for (size_t i = 0; i < a->n_digests; i++) {
		const struct upt_digest *other = upt_image_digest(b, a->digests[i].alg);
		if (other == NULL)
			continue;
		if (!upt_digest_equal(&a->digests[i], other))
			return false;
		common = true;
	}
	return common;
}

bool
upt_image_same(const struct upt_image *a, const struct upt_image *b)
{
	return strcmp(a->name, b->name) == 0 && a->length_bytes == b->length_bytes &&
	       upt_image_same_content(a, b);
}
