/*
 * Which version of a containerised application shall run, remembered durably: the engine cannot
 * tell after a crash which of two containers was proven healthy. Thread-safety: none needed.
 */
#ifndef UPT_INSTALLER_CONTAINER_STATE_H
#define UPT_INSTALLER_CONTAINER_STATE_H

#include "installer/oci.h"

/* A version whose digest is "" is none. */
struct upt_container_state {
	struct upt_oci_version current;
	struct upt_oci_version previous; /* always of another digest than current */
	struct upt_oci_version refused; /* another description of what runs, which failed */
};

/* *known is false, and *out empty, when there is no file or it holds something else. UPT_E_IO, ...
 */
UPT_NODISCARD enum upt_code upt_container_state_load(
	const char *path, struct upt_container_state *out, bool *known, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_container_state_save(
	const char *path, const struct upt_container_state *state, struct upt_err *err);
/* A commit that failed may have reached the disk all the same: what was true before is put back. */
UPT_NODISCARD enum upt_code upt_container_state_restore(
	const char *path, const struct upt_container_state *state, bool known, struct upt_err *err);

#endif
