/*
 * Mirrors and credentials of registries (container_registry.c). Thread-safety: none needed.
 */
#ifndef UPT_INSTALLER_CONTAINER_REGISTRY_H
#define UPT_INSTALLER_CONTAINER_REGISTRY_H

#include "installer/container_spec.h"

#define UPT_CONTAINER_MAX_MIRRORS 8

/* The names under which an image may be had, in the order in which to ask. */
struct upt_container_references {
	size_t n;
	char items[UPT_CONTAINER_MAX_MIRRORS + 1][UPT_CONTAINER_REFERENCE_SIZE];
};

/* mirrors: HOST[:PORT][/PREFIX] with spaces between, or NULL. UPT_E_CONFIG names a wrong one. */
UPT_NODISCARD enum upt_code upt_container_mirrors_check(const char *mirrors, struct upt_err *err);
/* The mirrors' names of reference, then reference. UPT_E_CONFIG: one is too long. */
UPT_NODISCARD enum upt_code upt_container_references(const char *mirrors, const char *reference,
	struct upt_container_references *out, struct upt_err *err);
/*
 * The X-Registry-Auth of reference's host from a file {"auths": {HOST: {"auth": base64 of
 * USER:PASSWORD}}}; out is empty when it has none, or path is NULL. out is a secret: the caller
 * wipes it. UPT_E_PERMISSION: others may read the file; UPT_E_NOT_FOUND; UPT_E_CONFIG.
 */
UPT_NODISCARD enum upt_code upt_container_auth_find(
	const char *path, const char *reference, struct upt_buf *out, struct upt_err *err);

#endif
