/*
 * One run of the engine's compose: an argument array and never a shell, an environment of our own,
 * a process group that ends with its time. Thread-safety: none needed.
 */
#ifndef UPT_INSTALLER_COMPOSE_RUN_H
#define UPT_INSTALLER_COMPOSE_RUN_H

#include "installer/installer.h"

struct upt_compose_run {
	const char *socket_path; /* of the engine */
	const char *home; /* a directory without settings of anybody */
	unsigned timeout_s;
	const struct upt_log *log; /* gets what it says, line by line */
};

/* As struct upt_compose_runner; ctx is a struct upt_compose_run. */
UPT_NODISCARD enum upt_code
upt_compose_run(void *ctx, const char *const *argv, char *out, size_t size, struct upt_err *err);

#endif
