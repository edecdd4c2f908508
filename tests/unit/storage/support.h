/*
 * Images with chosen names and digests, and a store in a directory of its own.
 */
#ifndef UPT_TESTS_STORAGE_SUPPORT_H
#define UPT_TESTS_STORAGE_SUPPORT_H

#include "scratch.h"
#include "storage/store.h"

/* sha256 and sha512 of bytes, as the metadata would list them. */
struct upt_image image_of(const char *name, struct upt_span bytes);
void assert_same_image(const struct upt_image *a, const struct upt_image *b);
/* len bytes that differ from place to place and from seed to seed. */
void fill(struct upt_buf *buf, size_t len, unsigned seed);

#endif
