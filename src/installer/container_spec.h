/*
 * What a signed target says about running its container image: custom.container, read strictly, and
 * the reference that is pulled. An unknown member refuses the target: it may be a restriction that
 * a later release signs, and ignoring a restriction runs software with rights nobody granted.
 *
 *   "container": {
 *     "name": "dashboard", "command": ["--verbose"], "env": {"MODE": "demo"},
 *     "mounts": [{"volume": "data", "target": "/data"},
 *                {"bind": "/etc/ssl/certs", "target": "/etc/ssl/certs", "read_only": true}],
 *     "ports": [{"host": 8080, "container": 80, "protocol": "tcp", "address": "127.0.0.1"}],
 *     "devices": ["/dev/ttyS0"], "restart": "on-failure", "user": "1000:1000",
 *     "read_only": true, "drop_capabilities": ["ALL"],
 *     "limits": {"memory_bytes": 67108864, "cpu_millis": 500, "pids": 64},
 *     "health": {"url": "http://127.0.0.1:%p/", "timeout_s": 60}}
 *
 * health is one of "url", "command" (run in the container by the engine) and "engine": true (the
 * image's own check). Every member may be absent, and so may "container". What the device does not
 * permit is not granted (struct upt_container_limits). Thread-safety: all state is the caller's.
 */
#ifndef UPT_INSTALLER_CONTAINER_SPEC_H
#define UPT_INSTALLER_CONTAINER_SPEC_H

#include "base/arena.h"
#include "installer/oci.h"

#define UPT_CONTAINER_TEXT_MAX 4096 /* one argument or value */
#define UPT_CONTAINER_NAME_MAX 63 /* of an application or volume */
#define UPT_CONTAINER_PATH_MAX 255
#define UPT_CONTAINER_URL_MAX 255
#define UPT_CONTAINER_REPOSITORY_MAX 255
#define UPT_CONTAINER_MAX_TIMEOUT_S 3600

/* Strings live in the arena. */
struct upt_container_spec {
	struct upt_arena arena;
	const char *name; /* NULL when it is not said */
	struct upt_oci_run run;
	const char *health_url; /* NULL when it is not said */
	bool health_engine; /* the engine's check is to pass */
	unsigned health_timeout_s; /* 0: not said */
	char digest[UPT_OCI_SPEC_HEX + 1]; /* of the canonical text of "container" */
};

/*
 * Reads custom (checked JSON, or empty) into *out, which is empty on failure. UPT_E_MALFORMED
 * naming the member that is unknown, of a wrong type or out of bounds; UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_container_spec_parse(
	struct upt_span custom, struct upt_container_spec *out, struct upt_err *err);
void upt_container_spec_clear(struct upt_container_spec *spec);

/*
 * What this device permits, from its own configuration: lists of words with a space between them,
 * or NULL. A signed release asks, and never gets more.
 */
struct upt_container_limits {
	const char *binds; /* host paths, each exactly; PATH:ro read-only */
	const char *devices; /* paths, each exactly */
	const char *ports; /* PORT or PORT/udp that may be bound to other addresses than loopback */
	uint64_t memory_bytes, cpu_millis, pids; /* at most; 0: any */
};
/* UPT_E_CONFIG naming the word that is no path or port. */
UPT_NODISCARD enum upt_code
upt_container_limits_check(const struct upt_container_limits *limits, struct upt_err *err);
/* Refuses what is not permitted (UPT_E_PERMISSION, naming it and the setting), lowers limits. */
UPT_NODISCARD enum upt_code upt_container_limits_apply(
	const struct upt_container_limits *limits, struct upt_oci_run *run, struct upt_err *err);
/* Two versions cannot hold one port or device, and must not write one volume at a time. */
bool upt_container_run_alone(const struct upt_oci_run *run);

/* Lower-case letters, digits and inner "-", at most 63: it becomes part of names and labels. */
bool upt_container_name_ok(const char *name);
/* [A-Za-z_][A-Za-z0-9_]*, at most 128. */
bool upt_container_env_key_ok(const char *key);
/* http://127.0.0.1[:PORT or :%p]/..., http://localhost..., plain ASCII: a health page is local. */
bool upt_container_health_url_ok(const char *url);
/* Absolute, not "/", without ".", ".." or empty components, and of characters that no engine reads
 * as more than a path. */
bool upt_container_path_ok(const char *path);
/* HOST[:PORT], unmistakably a registry and no path, of len characters. */
bool upt_container_registry_ok(const char *host, size_t len);
/* HOST[:PORT]/PATH without tag and digest. */
bool upt_container_repository_ok(const char *uri);

#define UPT_CONTAINER_REFERENCE_SIZE (UPT_CONTAINER_REPOSITORY_MAX + sizeof("@sha256:") + 64)

/*
 * Writes REPOSITORY@sha256:HEX for a job: HEX from its verified image and nowhere else, REPOSITORY
 * from its signed uri, which must be HOST[:PORT]/PATH without tag, digest or scheme, and whose host
 * must be unmistakable (it has a dot or a port, or is localhost), so that no engine setting decides
 * which registry is meant. UPT_E_MALFORMED; UPT_E_UNSUPPORTED when a hash is listed that no engine
 * would check. out is "" then.
 */
UPT_NODISCARD enum upt_code upt_container_reference(const struct upt_install_job *job,
	char out[static UPT_CONTAINER_REFERENCE_SIZE], char digest[static UPT_OCI_DIGEST_HEX + 1],
	struct upt_err *err);

#endif
