/*
 * Podman's libpod REST API, as much of it as running one application takes. Every reply is bounded
 * and read as hostile: a wrong type or a missing field is UPT_E_SERVER, never a default. Needs
 * API 4.0 (Podman 4 and 5). Thread-safety: that of the ops table.
 */
#ifndef UPT_INSTALLER_PODMAN_H
#define UPT_INSTALLER_PODMAN_H

#include "installer/engine.h"
#include "installer/installer.h"

#define UPT_PODMAN_DIGEST_HEX 64
#define UPT_PODMAN_ID_MAX 64
#define UPT_PODMAN_NAME_MAX 128
#define UPT_PODMAN_MAX_CONTAINERS 32
#define UPT_PODMAN_TEXT_MAX 400
#define UPT_PODMAN_LOG_MAX 300

/* A container of an application, by what the engine's list says. */
struct upt_podman_container {
	char id[UPT_PODMAN_ID_MAX + 1];
	char name[UPT_PODMAN_NAME_MAX + 1];
	char digest[UPT_PODMAN_DIGEST_HEX + 1]; /* label uptane.digest, hex; always there */
	uint16_t port; /* label uptane.port; 0 when there is none */
	char health_url[UPT_PODMAN_TEXT_MAX + 1]; /* label uptane.health; "" when there is none */
	char image[UPT_PODMAN_TEXT_MAX + 1]; /* NAME@sha256:HEX it was made from; "" when unknown */
	bool running;
	bool stopped; /* surely not running; neither is a state in between */
};

struct upt_podman_list {
	size_t n;
	struct upt_podman_container items[UPT_PODMAN_MAX_CONTAINERS];
};

/* What a container really is, by inspection. */
struct upt_podman_state {
	bool running;
	bool gone; /* ended, or never started: it will not come up by itself */
	uint64_t n_restarts;
	int64_t exit_code;
	char image_id[UPT_PODMAN_ID_MAX + 1];
	char image_digest[UPT_PODMAN_DIGEST_HEX + 1]; /* of the manifest, hex; "" when unknown */
};

struct upt_podman_pair {
	const char *key, *value;
};

/* A container to create. All borrowed. */
struct upt_podman_spec {
	const char *app; /* label uptane.app */
	const char *name;
	const char *reference; /* NAME@sha256:HEX */
	const char *digest; /* HEX, label uptane.digest */
	const char *network; /* NULL: the engine's default */
	uint16_t port; /* 0: none; else mapped on loopback, label uptane.port */
	const char *health_url; /* label uptane.health; NULL: none */
	const char *const *command;
	size_t n_command; /* 0: the image's own */
	const struct upt_podman_pair *env;
	size_t n_env; /* a later pair overrides an earlier one of the same key */
};

/* Pulls reference. UPT_E_SERVER with the engine's words; UPT_E_CANCELLED; UPT_E_NO_SPACE. */
UPT_NODISCARD enum upt_code
upt_podman_pull(const struct upt_engine_http *http, const char *reference, bool tls_verify,
	const struct upt_install_progress *progress, struct upt_err *err);
/* *has: the engine holds an image of that digest (64 hex characters) under what, a reference or id.
 */
UPT_NODISCARD enum upt_code upt_podman_has_image(const struct upt_engine_http *http,
	const char *what, const char *digest, bool *has, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_podman_remove_image(
	const struct upt_engine_http *http, const char *reference, struct upt_err *err);

/*
 * The containers of application app that were made by upt_podman_create(): labelled with it and
 * named app-<first 12 of their digest>. An image can bring labels of its own, but no name: whoever
 * labels an image like ours cannot make us stop or remove a container of someone else.
 */
UPT_NODISCARD enum upt_code upt_podman_list(const struct upt_engine_http *http, const char *app,
	struct upt_podman_list *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_podman_create(const struct upt_engine_http *http,
	const struct upt_podman_spec *spec, struct upt_err *err);
/* Success also when it runs (is stopped, is gone) already. */
UPT_NODISCARD enum upt_code
upt_podman_start(const struct upt_engine_http *http, const char *name, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_podman_stop(const struct upt_engine_http *http, const char *name,
	unsigned timeout_s, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_podman_remove(const struct upt_engine_http *http, const char *name, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_podman_inspect(const struct upt_engine_http *http, const char *name,
	struct upt_podman_state *out, struct upt_err *err);
/* The end of what it wrote, on one line; "" when that cannot be told: it only explains a failure.
 */
void upt_podman_last_words(const struct upt_engine_http *http, const char *name,
	char out[static UPT_PODMAN_LOG_MAX + 1]);

#endif
