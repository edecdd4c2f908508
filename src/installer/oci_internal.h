/*
 * What the engine client's files share: oci.c (requests, images, containers), oci_create.c (the
 * description of a container), oci_pull.c (the stream of a pull). Thread-safety: none of its own.
 */
#ifndef UPT_INSTALLER_OCI_INTERNAL_H
#define UPT_INSTALLER_OCI_INTERNAL_H

#include <cjson/cJSON.h>

#include "installer/oci.h"

#define UPT_OCI_LIBPOD "/v4.0.0/libpod" /* Podman's own API, for what the common one lacks */

static inline void
upt_oci_json_free(cJSON **json)
{
	cJSON_Delete(*json);
}

/* before + percent-encoded name + after, e.g. "/v1.41" "/containers/" NAME "/start": no name can
 * end a path or add a parameter. */
UPT_NODISCARD enum upt_code upt_oci_make_path(struct upt_buf *path, const char *api,
	const char *before, const char *name, const char *after, struct upt_err *err);
/* A request without a body; reply may be NULL when nobody reads it. */
UPT_NODISCARD enum upt_code upt_oci_call(const struct upt_oci *oci, const char *method,
	const struct upt_buf *path, struct upt_buf *reply, struct upt_err *err);
/* POST of a JSON text (what names it), which is freed. UPT_E_NO_MEMORY when json is NULL. */
UPT_NODISCARD enum upt_code upt_oci_post(const struct upt_oci *oci, const struct upt_buf *path,
	const cJSON *json, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_oci_parse(const struct upt_buf *reply, const char *what, cJSON **out, struct upt_err *err);
/* The text of a string member; NULL when it is absent or no string. */
const char *upt_oci_text(const cJSON *object, const char *name);

#endif
