/*
 * What the OCI installer's own files share: container.c (operations), container_health.c (has a
 * started version proven itself?), container_config.c (settings). Thread-safety: that of the
 * installer.
 */
#ifndef UPT_INSTALLER_CONTAINER_INTERNAL_H
#define UPT_INSTALLER_CONTAINER_INTERNAL_H

#include "installer/container_spec.h"

#define UPT_CONTAINER_MAX_LOCAL_ENV 64
#define UPT_CONTAINER_URL_SIZE 512

struct upt_container {
	struct upt_installer base;
	const struct upt_engine_http *http;
	struct upt_arena arena;
	const char *name, *network, *health_url, *endpoint_path, *state_path;
	uint16_t port_a, port_b;
	unsigned health_timeout_s, stop_timeout_s;
	bool tls_verify;
	size_t n_env;
	struct upt_podman_pair env[UPT_CONTAINER_MAX_LOCAL_ENV];
};

/* A version that is to take over, and the one that runs. */
struct upt_container_takeover {
	const char *name; /* of the new container */
	const char *digest;
	const char *health_url; /* with %p replaced; "" for none */
	bool own_page; /* the address names the version's own port */
	uint16_t port;
	const struct upt_podman_container *old; /* NULL: none */
	bool stop_first;
};

/* ---- container_health.c ---- */

/*
 * Sets the page to ask, in url, which new borrows: the device's own setting, else what the release
 * says (NULL: nothing), with every %p replaced by the port. UPT_E_CONFIG when it does not fit.
 */
UPT_NODISCARD enum upt_code
upt_container_set_health_url(const struct upt_container *self, struct upt_container_takeover *new,
	const char *of_release, char url[static UPT_CONTAINER_URL_SIZE], struct upt_err *err);
/* Waits until the started version is healthy. UPT_E_INSTALL: it ended, or is not in time. */
UPT_NODISCARD enum upt_code upt_container_wait_healthy(
	struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err);
/* Adds the container's last words to a failure and makes it UPT_E_INSTALL, which it returns. */
enum upt_code
upt_container_explain(struct upt_container *self, const char *name, struct upt_err *err);

/* ---- container_config.c ---- */

/* Checks and copies the settings. UPT_E_CONFIG, UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_container_configure(struct upt_container *self,
	const struct upt_container_installer_config *config, struct upt_err *err);

#endif
