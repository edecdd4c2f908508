/*
 * What "target add" is told about targets: options and lists become images and custom objects.
 */
#ifndef REPO_TARGET_INPUT_H
#define REPO_TARGET_INPUT_H

#include "metadata/image.h"
#include "repo/cli.h"

/* Values of options, NULL where absent; pointers into argv. */
struct add_options {
	const char *name, *format, *counter, *uri, *custom, *sha256, *sha512, *length, *many, *role;
	struct cli_list hardware, ecus;
	const char *file;
	uint64_t release_counter;
};

struct image_list {
	struct upt_image *items;
	size_t n, cap;
};

void image_list_clear(struct image_list *list);
/* Appends an image with a name and the options' release counter; *out is good until the next one. */
UPT_NODISCARD enum upt_code target_input_new(struct image_list *list, const char *name,
	const struct add_options *o, struct upt_image **out, struct upt_err *err);
/* Hashes and length from the options. */
UPT_NODISCARD enum upt_code target_input_describe(struct upt_image *image, const struct add_options *o,
	struct upt_err *err);
/* Appends every line of the list that --many names. */
UPT_NODISCARD enum upt_code target_input_read_list(struct image_list *list, const struct add_options *o,
	struct upt_err *err);
/*
 * Fills customs with n equal objects of the caller's, or leaves them NULL when there is nothing to
 * say. On failure some may be set.
 */
UPT_NODISCARD enum upt_code target_input_customs(const struct add_options *o, size_t n, cJSON **customs,
	struct upt_err *err);

#endif
