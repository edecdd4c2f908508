/*
 * The REST API of container engines, as much of it as running one application takes: the Docker
 * Engine API 1.40 and later, which Docker speaks itself and Podman (4 and 5) serves beside its own.
 * One client for both: they differ in two requests, and upt_oci_connect() finds out who answers.
 * Every reply is bounded and read as hostile: a wrong type or a missing field is UPT_E_SERVER,
 * never a default. Thread-safety: that of the ops table.
 */
#ifndef UPT_INSTALLER_OCI_H
#define UPT_INSTALLER_OCI_H

#include "installer/engine.h"
#include "installer/installer.h"

#define UPT_OCI_DIGEST_HEX 64
#define UPT_OCI_SPEC_HEX 16
#define UPT_OCI_ID_MAX 80 /* "sha256:" and 64 digits */
#define UPT_OCI_NAME_MAX 128
#define UPT_OCI_MAX_CONTAINERS 32
#define UPT_OCI_TEXT_MAX 400
#define UPT_OCI_LOG_MAX 300
#define UPT_OCI_MAX_COMMAND 64
#define UPT_OCI_MAX_ENV 64
#define UPT_OCI_MAX_LISTED 16 /* mounts, ports, devices, capabilities: each */

struct upt_oci {
	const struct upt_engine_http *http;
	enum upt_engine_kind kind; /* what must answer */
	bool is_podman;
	char prefix[16]; /* "/v1.41"; "" before the first answer */
};

/* What runs: the image's digest, and the digest of the signed description of how to run it. */
struct upt_oci_version {
	char digest[UPT_OCI_DIGEST_HEX + 1]; /* hex */
	char spec[UPT_OCI_SPEC_HEX + 1]; /* its first hex digits; "" when unknown */
};

/* A container of an application, by what the engine's list says. */
struct upt_oci_container {
	char id[UPT_OCI_ID_MAX + 1];
	char name[UPT_OCI_NAME_MAX + 1];
	struct upt_oci_version version; /* labels uptane.digest (always there), uptane.spec */
	uint16_t port; /* label uptane.port; 0 when there is none */
	bool alone; /* label uptane.alone: no other version may run beside it */
	char health[UPT_OCI_TEXT_MAX + 1]; /* label uptane.health; "" when there is none */
	unsigned timeout_s; /* label uptane.timeout; 0 when there is none */
	char image[UPT_OCI_TEXT_MAX + 1]; /* NAME@sha256:HEX it was made from; "" when unknown */
	bool running;
	bool stopped; /* surely not running; neither is a state in between */
};

struct upt_oci_list {
	size_t n;
	struct upt_oci_container items[UPT_OCI_MAX_CONTAINERS];
};

/* What a container really is, by inspection. */
struct upt_oci_state {
	bool running;
	bool gone; /* ended, or never started: it will not come up by itself */
	bool healthy; /* the engine's own health check says so */
	uint64_t n_restarts;
	int64_t exit_code;
	char image_id[UPT_OCI_ID_MAX + 1];
};

struct upt_oci_pair {
	const char *key, *value;
};

struct upt_oci_mount {
	const char *volume; /* name of a volume of the application, or NULL: ... */
	const char *bind; /* ... a path of the host */
	const char *target;
	bool read_only;
};

struct upt_oci_port {
	const char *address; /* of the host, numeric */
	uint16_t host, container;
	bool udp;
};

/* How a container runs. All strings borrowed. */
struct upt_oci_run {
	size_t n_command; /* 0: the image's own */
	const char *command[UPT_OCI_MAX_COMMAND];
	size_t n_env; /* a later pair overrides an earlier one of the same key */
	struct upt_oci_pair env[2 * UPT_OCI_MAX_ENV + 1];
	size_t n_mounts;
	struct upt_oci_mount mounts[UPT_OCI_MAX_LISTED];
	size_t n_ports;
	struct upt_oci_port ports[UPT_OCI_MAX_LISTED];
	size_t n_devices;
	const char *devices[UPT_OCI_MAX_LISTED]; /* the same path outside and inside */
	size_t n_drop;
	const char *drop[UPT_OCI_MAX_LISTED]; /* capabilities that it does not get */
	const char *restart; /* NULL: "unless-stopped" */
	const char *user; /* NULL: the image's own */
	bool read_only;
	uint64_t memory_bytes, cpu_millis, pids; /* 0: no limit */
	size_t n_check; /* command of the engine's health check; 0: the image's own */
	const char *check[UPT_OCI_MAX_COMMAND];
};

/* A container to create. All borrowed. */
struct upt_oci_spec {
	const char *app; /* label uptane.app */
	const char *name;
	const char *reference; /* NAME@sha256:HEX */
	const struct upt_oci_version *version; /* labels uptane.digest, uptane.spec */
	const char *network; /* NULL: the engine's default */
	uint16_t port; /* 0: none; else mapped on loopback, label uptane.port */
	bool alone; /* label uptane.alone */
	const char *health; /* label uptane.health; "": none */
	unsigned timeout_s; /* label uptane.timeout */
	const struct upt_oci_run *run;
};

bool upt_oci_version_equal(const struct upt_oci_version *a, const struct upt_oci_version *b);

/*
 * Asks who answers, and in which version of the API, unless that is known: it takes Podman a
 * second. To be called before anything else; upt_oci_list() and upt_oci_list_project() forget the
 * answer when they fail, as the engine may have been replaced. UPT_E_CONFIG: another engine than
 * oci->kind; UPT_E_UNSUPPORTED: an API older than 1.40.
 */
UPT_NODISCARD enum upt_code upt_oci_connect(struct upt_oci *oci, struct upt_err *err);

struct upt_oci_pull {
	const char *reference;
	const char *auth; /* value of X-Registry-Auth, or NULL */
	bool tls_verify;
	unsigned stall_s; /* without a byte or a step forward for so long ... */
	unsigned min_speed_bytes; /* ... or with less than this a second: UPT_E_TOO_SLOW */
	const struct upt_install_progress *progress;
};
/*
 * Pulls an image. UPT_E_SERVER with the engine's words; UPT_E_CANCELLED; UPT_E_NO_SPACE;
 * UPT_E_TOO_SLOW; UPT_E_CONFIG without tls_verify on Docker, whose daemon.json decides that.
 */
UPT_NODISCARD enum upt_code
upt_oci_pull(const struct upt_oci *oci, const struct upt_oci_pull *pull, struct upt_err *err);
/* *has: the engine holds an image of that digest (64 hex characters) under what, a reference or id.
 */
UPT_NODISCARD enum upt_code upt_oci_has_image(const struct upt_oci *oci, const char *what,
	const char *digest, bool *has, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_oci_remove_image(const struct upt_oci *oci, const char *reference, struct upt_err *err);

/* Writes the name of a version's container: APP-<12 of the digest>[-<8 of the description>]. */
void upt_oci_container_name(const char *app, const struct upt_oci_version *version,
	char out[static UPT_OCI_NAME_MAX + 1]);
/*
 * The containers of application app that were made by upt_oci_create(): labelled with it and named
 * as upt_oci_container_name() says. An image can bring labels of its own, but no name: whoever
 * labels an image like ours cannot make us stop or remove a container of someone else.
 */
UPT_NODISCARD enum upt_code
upt_oci_list(struct upt_oci *oci, const char *app, struct upt_oci_list *out, struct upt_err *err);
/* A container of a compose project, by what the engine's list says. */
struct upt_oci_member {
	char name[UPT_OCI_NAME_MAX + 1];
	char service[UPT_OCI_NAME_MAX + 1];
};
/* All containers of a compose project that are not a one-off of a person. UPT_E_SERVER: more than
 * max, or one without a name or service. */
UPT_NODISCARD enum upt_code upt_oci_list_project(struct upt_oci *oci, const char *project,
	struct upt_oci_member *out, size_t max, size_t *n, struct upt_err *err);

/* Makes the container, and before it the volumes that are not there yet. UPT_E_INSTALL: a volume of
 * that name is not the application's. */
UPT_NODISCARD enum upt_code
upt_oci_create(const struct upt_oci *oci, const struct upt_oci_spec *spec, struct upt_err *err);
/* Success also when it runs (is stopped, is gone) already. Volumes that have a name stay. */
UPT_NODISCARD enum upt_code
upt_oci_start(const struct upt_oci *oci, const char *name, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_oci_stop(const struct upt_oci *oci, const char *name, unsigned timeout_s, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_oci_remove(const struct upt_oci *oci, const char *name, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_oci_inspect(const struct upt_oci *oci, const char *name,
	struct upt_oci_state *out, struct upt_err *err);
/*
 * Has the engine's health check of a running container passed? Docker runs it by itself; Podman
 * leaves that to timers of systemd, so it is told to run it now. UPT_E_SERVER: it has none.
 */
UPT_NODISCARD enum upt_code upt_oci_check_health(
	const struct upt_oci *oci, const char *name, bool *healthy, struct upt_err *err);
/* The end of what it wrote, on one line; "" when that cannot be told: it only explains a failure.
 */
void upt_oci_last_words(
	const struct upt_oci *oci, const char *name, char out[static UPT_OCI_LOG_MAX + 1]);

#endif
