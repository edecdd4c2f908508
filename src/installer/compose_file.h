/*
 * What a compose file may say here: a short list of keys, everything else is refused with its line.
 * Every image is pinned by digest; nothing is read from elsewhere (no includes, builds, files or
 * variables of the environment), so that the verified bytes are all there is. Thread-safety: all
 * state is the caller's.
 */
#ifndef UPT_INSTALLER_COMPOSE_FILE_H
#define UPT_INSTALLER_COMPOSE_FILE_H

#include "installer/container_spec.h"

#define UPT_COMPOSE_MAX_SERVICES 32

struct upt_compose_service {
	const char *name;
	const char *image; /* HOST/NAME@sha256:HEX */
	const char *digest; /* HEX, the end of image */
	bool has_check; /* a health check of its own */
	unsigned line;
	const char *network_mode; /* NULL: a network of the project */
	struct upt_oci_run *run; /* what it asks of the device: mounts, ports, devices, limits */
};

/* Strings live in the arena. */
struct upt_compose_file {
	struct upt_arena arena;
	size_t n_services;
	struct upt_compose_service services[UPT_COMPOSE_MAX_SERVICES];
};

/*
 * Reads text into *out, which is empty on failure, and holds it against what the device permits
 * (limits NULL: what it permitted once); network is its setting, "host" permits network_mode: host.
 * UPT_E_MALFORMED "line N: ..."; UPT_E_PERMISSION naming service and setting; UPT_E_TOO_LARGE;
 * UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_compose_file_parse(struct upt_span text, const struct upt_container_limits *limits,
	const char *network, struct upt_compose_file *out, struct upt_err *err);
void upt_compose_file_clear(struct upt_compose_file *file);

#endif
