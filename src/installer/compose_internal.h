/*
 * What the COMPOSE installer's files share: compose.c (operations), compose_store.c (the files that
 * are kept), compose_check.c (what the engine really runs). Thread-safety: that of the installer.
 */
#ifndef UPT_INSTALLER_COMPOSE_INTERNAL_H
#define UPT_INSTALLER_COMPOSE_INTERNAL_H

#include "installer/compose_file.h"
#include "installer/compose_run.h"
#include "installer/container_internal.h"
#include "installer/container_state.h"

struct upt_compose {
	struct upt_container common; /* first: its base is the installer */
	const char *program, *dir; /* dir: the files, DIGEST.yml each */
	struct upt_compose_run run;
	struct upt_compose_runner runner;
};

/* ---- compose_store.c ---- */

/* The whole bytes of a job's file, held against its length and every listed hash. */
UPT_NODISCARD enum upt_code
upt_compose_read_job(const struct upt_install_job *job, struct upt_buf *out, struct upt_err *err);
/* "DIR/DIGEST.yml" */
UPT_NODISCARD enum upt_code upt_compose_path(const struct upt_compose *self, const char *digest,
	struct upt_buf *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_compose_save(const struct upt_compose *self, const char *digest,
	struct upt_span text, struct upt_err *err);
/* Reads a kept file and parses it; what the device permits may have changed since. UPT_E_NOT_FOUND;
 * UPT_E_IMAGE_HASH: it is not what was kept. */
UPT_NODISCARD enum upt_code upt_compose_load(const struct upt_compose *self, const char *digest,
	struct upt_buf *text, struct upt_compose_file *out, struct upt_err *err);
/* Removes the files of all versions but those of state; failures are logged. With first, the digest
 * of one of the others goes there before ("" for none) and nothing is removed. */
void upt_compose_sweep(const struct upt_compose *self, const struct upt_container_state *state,
	char first[UPT_OCI_DIGEST_HEX + 1]);

/* ---- compose_check.c ---- */

/* *right: every service of file runs, in the pinned image, and nothing else is in the project. */
UPT_NODISCARD enum upt_code upt_compose_is_running(struct upt_compose *self,
	const struct upt_compose_file *file, bool *right, struct upt_err *err);
/* That holds, and every health check passes now. UPT_E_INSTALL: it is not so. */
UPT_NODISCARD enum upt_code upt_compose_check(
	struct upt_compose *self, const struct upt_compose_file *file, struct upt_err *err);
/* Waits until that holds and every health check has passed. UPT_E_INSTALL: it ended, or is not so
 * in time. */
UPT_NODISCARD enum upt_code upt_compose_wait_healthy(
	struct upt_compose *self, const struct upt_compose_file *file, struct upt_err *err);

#endif
