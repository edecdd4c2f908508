/*
 * Artifacts: bytes that are exactly what a verified target lists, in length and in every hash
 * (2.17, 3.14, 3.15; TUF 5.7). Thread-safety: no state.
 */
#ifndef TESTS_CONFORMANCE_ARTIFACT_H
#define TESTS_CONFORMANCE_ARTIFACT_H

#include "metadata/roles.h"
#include "transport/http.h"

/*
 * Downloads url, never a byte more than listed, and writes it to fd (-1: nowhere). What was written
 * is the artifact only when UPT_OK is returned. UPT_E_IMAGE_HASH; UPT_E_UNSUPPORTED when a hash is
 * listed that nothing here can check; others as upt_http_download().
 */
UPT_NODISCARD enum upt_code artifact_download(struct upt_http *http, const char *url,
	const struct upt_target *target, int fd, struct upt_err *err);
/* *same: what fd holds, from its start on, is the artifact. UPT_E_UNSUPPORTED, UPT_E_IO. */
UPT_NODISCARD enum upt_code
artifact_compare(int fd, const struct upt_target *target, bool *same, struct upt_err *err);

#endif
