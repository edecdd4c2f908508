#include "support.h"

#include <stdio.h>

struct upt_image
image_of(const char *name, struct upt_span bytes)
{
	struct upt_image image = {.length_bytes = bytes.len, .n_digests = 2};

	assert_true(snprintf(image.name, sizeof(image.name), "%s", name) < (int)sizeof(image.name));
	assert_int_equal(upt_hash_span(UPT_HASH_SHA256, bytes, &image.digests[0], NULL), UPT_OK);
	assert_int_equal(upt_hash_span(UPT_HASH_SHA512, bytes, &image.digests[1], NULL), UPT_OK);
	return image;
}

void
assert_same_image(const struct upt_image *a, const struct upt_image *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->length_bytes, b->length_bytes);
	assert_int_equal(a->n_digests, b->n_digests);
	for (size_t i = 0; i < a->n_digests; i++)
		assert_true(upt_digest_equal(&a->digests[i], &b->digests[i]));
	assert_int_equal(a->has_release_counter, b->has_release_counter);
	assert_int_equal(a->release_counter, b->release_counter);
}

void
fill(struct upt_buf *buf, size_t len, unsigned seed)
{
	uint32_t x = seed * 2654435761u + 1;

	upt_buf_clear(buf);
	assert_int_equal(upt_buf_reserve(buf, len, NULL), UPT_OK);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		buf->data[i] = (uint8_t)(x >> 24);
	}
	buf->len = len;
	buf->data[len] = 0;
}
