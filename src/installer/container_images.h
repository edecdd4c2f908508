/*
 * The record of the images that an installer pulled (container_images.c). Thread-safety: none
 * needed.
 */
#ifndef UPT_INSTALLER_CONTAINER_IMAGES_H
#define UPT_INSTALLER_CONTAINER_IMAGES_H

#include "installer/oci.h"

/* Durable before the pull begins. UPT_E_IO, UPT_E_NO_SPACE, UPT_E_TOO_LARGE: damaged. */
UPT_NODISCARD enum upt_code
upt_container_images_note(const char *path, const char *reference, struct upt_err *err);
/*
 * Removes every noted image whose digest (hex; "" is none) is not in keep, and forgets it. The
 * code of the last one that could not go; the others are gone all the same.
 */
UPT_NODISCARD enum upt_code upt_container_images_prune(const char *path, const struct upt_oci *oci,
	const char *const *keep, size_t n_keep, struct upt_err *err);

#endif
