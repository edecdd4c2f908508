/*
 * Getting images: from the mirrors, then from the registry that the release names; noted before, so
 * that they can be removed when nobody needs them.
 */
#include "installer/container_images.h"
#include "installer/container_internal.h"

enum upt_code
upt_container_find_image(struct upt_container *self, const struct upt_container_references *refs,
	const char *digest, const char **found, struct upt_err *err)
{
	bool has = false;

	*found = NULL;
	for (size_t i = 0; i < refs->n && !has; i++) {
		UPT_TRY(upt_oci_has_image(&self->oci, refs->items[i], digest, &has, err));
		*found = has ? refs->items[i] : NULL;
	}
	return UPT_OK;
}

static enum upt_code
pull_one(struct upt_container *self, const char *reference, const char *digest,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	upt_cleanup(upt_buf_wipe) struct upt_buf auth = {0};
	bool has;

	UPT_TRY(upt_container_auth_find(self->auth_path, reference, &auth, err));
	UPT_TRY(upt_container_images_note(self->images_path, reference, err));
	UPT_TRY(upt_oci_pull(&self->oci,
		&(struct upt_oci_pull){.reference = reference,
			.auth = auth.len > 0 ? (const char *)auth.data : NULL,
			.tls_verify = self->tls_verify,
			.stall_s = self->stall_s,
			.min_speed_bytes = self->min_speed_bytes,
			.progress = progress},
		err));
	UPT_TRY(upt_oci_has_image(&self->oci, reference, digest, &has, err));
	if (!has)
		return upt_fail(err, UPT_E_IMAGE_HASH,
			"the engine pulled %s and then has no image of that digest", reference);
	return UPT_OK;
}

/* Another registry does not help against these. */
static bool
is_local(enum upt_code code)
{
	return code == UPT_E_CANCELLED || code == UPT_E_NO_SPACE || code == UPT_E_NO_MEMORY ||
	       code == UPT_E_CONFIG || code == UPT_E_PERMISSION || code == UPT_E_IO;
}

enum upt_code
upt_container_pull(struct upt_container *self, const struct upt_container_references *refs,
	const char *digest, const struct upt_install_progress *progress, struct upt_err *err)
{
	enum upt_code code = UPT_E_NOT_FOUND;

	for (size_t i = 0; i < refs->n && code != UPT_OK && !is_local(code); i++) {
		struct upt_err why = {0};
		code = pull_one(self, refs->items[i], digest, progress, &why);
		if (code != UPT_OK && i + 1 < refs->n)
			upt_log_err(self->base.log, UPT_LOG_WARNING, &why, "%s: mirror %.*s",
				self->name, (int)strcspn(refs->items[i], "@"), refs->items[i]);
		if (code != UPT_OK && err != NULL)
			*err = why;
	}
	return code;
}

void
upt_container_prune_images(struct upt_container *self, const char *const *keep, size_t n_keep)
{
	struct upt_err err = {0};

	if (upt_container_images_prune(self->images_path, &self->oci, keep, n_keep, &err) != UPT_OK)
		upt_log_err(self->base.log, UPT_LOG_WARNING, &err, "%s: image stays", self->name);
}
