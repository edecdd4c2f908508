/*
 * What a signed target says about running its container image: custom.container, read strictly, and
 * the reference that is pulled. An unknown member refuses the target: it may be a restriction that
 * a later release signs, and ignoring a restriction runs software with rights nobody granted.
 *
 *   "container": {"name": "dashboard", "command": ["--verbose"], "env": {"MODE": "demo"},
 *                 "health": {"url": "http://127.0.0.1:%p/"}}
 *
 * Every member may be absent, and so may "container". Thread-safety: all state is the caller's.
 */
#ifndef UPT_INSTALLER_CONTAINER_SPEC_H
#define UPT_INSTALLER_CONTAINER_SPEC_H

#include "base/arena.h"
#include "installer/podman.h"

#define UPT_CONTAINER_MAX_COMMAND 64
#define UPT_CONTAINER_MAX_ENV 64
#define UPT_CONTAINER_TEXT_MAX 4096 /* one argument or value */
#define UPT_CONTAINER_NAME_MAX 63 /* of an application */
#define UPT_CONTAINER_URL_MAX 255
#define UPT_CONTAINER_REPOSITORY_MAX 255

/* Strings live in the arena. */
struct upt_container_spec {
	struct upt_arena arena;
	const char *name; /* NULL when it is not said */
	size_t n_command;
	const char *command[UPT_CONTAINER_MAX_COMMAND];
	size_t n_env;
	struct upt_podman_pair env[UPT_CONTAINER_MAX_ENV];
	const char *health_url; /* NULL when it is not said */
};

/*
 * Reads custom (checked JSON, or empty) into *out, which is empty on failure. UPT_E_MALFORMED
 * naming the member that is unknown, of a wrong type or out of bounds; UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_container_spec_parse(
	struct upt_span custom, struct upt_container_spec *out, struct upt_err *err);
void upt_container_spec_clear(struct upt_container_spec *spec);

/* Lower-case letters, digits and inner "-", at most 63: it becomes part of names and labels. */
bool upt_container_name_ok(const char *name);
/* [A-Za-z_][A-Za-z0-9_]*, at most 128. */
bool upt_container_env_key_ok(const char *key);
/* http://127.0.0.1[:PORT or :%p]/..., http://localhost..., plain ASCII: a health page is local. */
bool upt_container_health_url_ok(const char *url);

#define UPT_CONTAINER_REFERENCE_SIZE (UPT_CONTAINER_REPOSITORY_MAX + sizeof("@sha256:") + 64)

/*
 * Writes REPOSITORY@sha256:HEX for a job: HEX from its verified image and nowhere else, REPOSITORY
 * from its signed uri, which must be HOST[:PORT]/PATH without tag, digest or scheme, and whose host
 * must be unmistakable (it has a dot or a port, or is localhost), so that no engine setting decides
 * which registry is meant. UPT_E_MALFORMED; UPT_E_UNSUPPORTED when a hash is listed that no engine
 * would check. out is "" then.
 */
UPT_NODISCARD enum upt_code upt_container_reference(const struct upt_install_job *job,
	char out[static UPT_CONTAINER_REFERENCE_SIZE],
	char digest[static UPT_PODMAN_DIGEST_HEX + 1], struct upt_err *err);

#endif
