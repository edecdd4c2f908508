/*
 * What the files of the OCI and COMPOSE installers share: container.c and compose.c (operations),
 * container_health.c (has a started version proven itself?), container_pull.c (images),
 * container_config.c (settings). Thread-safety: that of the installer.
 */
#ifndef UPT_INSTALLER_CONTAINER_INTERNAL_H
#define UPT_INSTALLER_CONTAINER_INTERNAL_H

#include "installer/container_registry.h"
#include "installer/container_spec.h"

#define UPT_CONTAINER_MAX_LOCAL_ENV UPT_OCI_MAX_ENV
#define UPT_CONTAINER_URL_SIZE 512

struct upt_container {
	struct upt_installer base;
	struct upt_oci oci;
	struct upt_arena arena;
	const char *name, *network, *health_url, *endpoint_path, *state_path, *images_path,
		*mirrors, *auth_path;
	uint16_t port_a, port_b;
	unsigned health_timeout_s; /* 0: what the release says */
	unsigned stop_timeout_s, stall_s, min_speed_bytes;
	struct upt_container_limits limits;
	bool tls_verify;
	size_t n_env;
	struct upt_oci_pair env[UPT_CONTAINER_MAX_LOCAL_ENV];
};

/* A version that is to take over, and the one that runs. */
struct upt_container_takeover {
	const char *name; /* of the new container */
	struct upt_oci_version version;
	const char *health_url; /* with %p replaced; "" for none */
	bool own_page; /* the address names the version's own port */
	bool check_engine; /* the engine's health check is to pass */
	bool alone; /* as its label says */
	unsigned timeout_s; /* to become healthy */
	uint16_t port;
	const struct upt_oci_container *old; /* NULL: none */
	bool stop_first;
};

/* ---- container_health.c ---- */

#define UPT_CONTAINER_ENGINE_CHECK "engine" /* a health label that is no address */

/*
 * Sets what proves new healthy: the page to ask, in url, which new borrows, or the engine's check;
 * the device's own setting, else what the release says (a label; "": nothing), with every %p
 * replaced by the port. UPT_E_CONFIG when it does not fit.
 */
UPT_NODISCARD enum upt_code
upt_container_set_health(const struct upt_container *self, struct upt_container_takeover *new,
	const char *of_release, char url[static UPT_CONTAINER_URL_SIZE], struct upt_err *err);
/* Asks what proves version, which runs, once: *healthy, else why. True when there is nothing to
 * ask. err and its code: the engine could not tell. */
UPT_NODISCARD enum upt_code
upt_container_ask_health(struct upt_container *self, const struct upt_container_takeover *version,
	bool *healthy, struct upt_err *why, struct upt_err *err);
/* Waits until the started version is healthy. UPT_E_INSTALL: it ended, or is not in time. */
UPT_NODISCARD enum upt_code upt_container_wait_healthy(
	struct upt_container *self, const struct upt_container_takeover *new, struct upt_err *err);
/* Adds the container's last words to a failure and makes it UPT_E_INSTALL, which it returns; not what
 * is no fault of the version: no answer, no space, no memory, cancelled. */
enum upt_code
upt_container_explain(struct upt_container *self, const char *name, struct upt_err *err);

/* ---- container_pull.c ---- */

/* *found: the name under which the engine has the image; NULL when it has none. */
UPT_NODISCARD enum upt_code
upt_container_find_image(struct upt_container *self, const struct upt_container_references *refs,
	const char *digest, const char **found, struct upt_err *err);
/* Pulls from the first registry that has it. Codes of upt_oci_pull(), of the last one asked. */
UPT_NODISCARD enum upt_code
upt_container_pull(struct upt_container *self, const struct upt_container_references *refs,
	const char *digest, const struct upt_install_progress *progress, struct upt_err *err);
/* Frees the disk of the versions nobody goes back to; the engine keeps what a container uses. */
void upt_container_prune_images(struct upt_container *self, const char *const *keep, size_t n_keep);

/* ---- container_config.c ---- */

/* Checks and copies the settings. UPT_E_CONFIG, UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_container_configure(struct upt_container *self,
	const struct upt_container_installer_config *config, struct upt_err *err);

#endif
