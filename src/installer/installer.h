/*
 * Installers: what turns verified content into what runs. One file each behind this ops table. An
 * installer gets only matched, verified targets; the content engine checks its own hashes again.
 * Thread-safety: an installer belongs to one thread. Uptane Standard 2.1 "installing images".
 */
#ifndef UPT_INSTALLER_INSTALLER_H
#define UPT_INSTALLER_INSTALLER_H

#include "base/log.h"
#include "base/span.h"
#include "metadata/image.h"

/* A verified target as an installer needs it. All borrowed for the call. */
struct upt_install_job {
	const struct upt_image *image;
	const char *format;      /* "OSTREE", "OCI", "BINARY", ... from the signed custom field */
	const char *uri;         /* signed custom uri (Director's first, else the Image repository's) or NULL */
	struct upt_span custom;  /* the Image repository's signed custom object (checked JSON) or empty */
	int image_fd;            /* verified bytes for formats whose content is a file; -1 else */
};

struct upt_install_progress {
	/* unit "bytes", "objects" or "layers"; total 0 when unknown. At most a few calls a second. */
	void (*report)(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit);
	void *ctx;
	const volatile bool *cancel; /* becomes true: stop soon with UPT_E_CANCELLED; may be NULL */
};

struct upt_installer;

struct upt_installer_ops {
	const char *format;   /* targetFormat it serves */
	bool needs_image;     /* the image's bytes must be downloaded to the image store first */
	/* What runs now, by the engine's own word: fills image->digests (and n_digests) when it can tell;
	 * n_digests 0: cannot tell. Name and length are the caller's to match. */
	enum upt_code (*current)(struct upt_installer *self, struct upt_image *out, struct upt_err *err);
	/* Fetches all content; nothing visible changes; may be repeated after any crash. */
	enum upt_code (*prepare)(struct upt_installer *self, const struct upt_install_job *job,
		const struct upt_install_progress *progress, struct upt_err *err);
	/* Makes it what runs now, or what runs after a reboot (*needs_reboot). Idempotent. */
	enum upt_code (*install)(struct upt_installer *self, const struct upt_install_job *job,
		bool *needs_reboot, struct upt_err *err);
	/* After the reboot: UPT_OK when image came up (*done true), or the reboot has not happened yet
	 * (*done false); UPT_E_INSTALL when something else came up. */
	enum upt_code (*finalize)(struct upt_installer *self, const struct upt_image *image, bool *done,
		struct upt_err *err);
	/* Something else came up than was to: what runs now is what boots from now on. Idempotent.
	 * NULL: nothing to do. */
	enum upt_code (*stay)(struct upt_installer *self, struct upt_err *err);
	/* What runs is well, by its own check. UPT_E_INSTALL: it is not. NULL: it has none. */
	enum upt_code (*check)(struct upt_installer *self, struct upt_err *err);
	/* Back to what ran before. UPT_E_INSTALL when there is nothing to go back to; of one that
	 * reboots UPT_E_NOT_FOUND, which no other failure of it is: what runs then has to do. */
	enum upt_code (*rollback)(struct upt_installer *self, bool *needs_reboot, struct upt_err *err);
	/*
	 * The job's content runs, and not as the job describes it: it is to be installed all the same.
	 * Asked for a job that is installed already; engines are not asked. NULL: never.
	 */
	bool (*is_outdated)(struct upt_installer *self, const struct upt_install_job *job);
	/* At the start of the daemon: finishes or undoes what a crash cut short and starts what shall run
	 * and does not. NULL: nothing to do. */
	enum upt_code (*resume)(struct upt_installer *self, struct upt_err *err);
	void (*free)(struct upt_installer *self);
};

/* First member of every installer. */
struct upt_installer {
	const struct upt_installer_ops *ops;
	const struct upt_log *log; /* borrowed, may be NULL */
};

static inline void
upt_installer_free(struct upt_installer **installer)
{
	if (*installer != NULL)
		(*installer)->ops->free(*installer);
	*installer = NULL;
}

/* BINARY: one file, replaced durably. */
struct upt_file_installer_config {
	const char *path;      /* where the file goes */
	const char *backup_path; /* where the previous one is kept; NULL: path + ".previous" */
	unsigned mode;         /* 0: 0644 */
};
UPT_NODISCARD enum upt_code upt_file_installer_new(const struct upt_file_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err);

struct upt_boot;

/*
 * OSTREE: a commit deployed beside the running one, at once and durably: the boot loader's list names
 * either the old deployments or the new ones. What runs is what libostree finds booted; in a sysroot
 * other than / it is the deployment that cmdline_path names, or, once an installation has renamed all
 * of them, the one remembered for this boot id.
 */
struct upt_ostree_installer_config {
	const char *sysroot;      /* "/" on a device */
	const char *os;           /* stateroot */
	const char *remote;       /* configured remote in the sysroot's repository, for its TLS and signature
	                             settings; the job's uri replaces its address; NULL: the job's uri alone */
	const char *cmdline_path; /* [/proc/cmdline] whose ostree= names what booted */
	const char *boot_id_path; /* [/proc/sys/kernel/random/boot_id] */
	const char *state_path;   /* file where the boot id at install time is remembered; required */
	const char *ca_path, *cert_path, *key_path; /* for a remote made from the job's uri; PEM files */
	unsigned min_speed_bytes;    /* per second [128] over ... */
	unsigned min_speed_window_s; /* ... [30]: below it is UPT_E_TOO_SLOW */
	uint64_t reserve_bytes;      /* [32 MiB] that stay free on the file system, whatever is fetched */
	const char *proxy;           /* for a remote made from the job's uri; NULL: none */
	struct upt_boot *boot;       /* told before another deployment is to boot; borrowed for the
	                                installer's life; NULL: none */
	unsigned boot_tries;         /* [3] boots in which it must prove itself */
	const char *pull_program;    /* [uptane-ostree-pull beside this program, else in libexec/uptaned] */
};
/* UPT_E_CONFIG naming the setting; UPT_E_UNSUPPORTED for a key in hardware (pkcs11:) without remote,
 * and in a build without OSTree. */
UPT_NODISCARD enum upt_code upt_ostree_installer_new(const struct upt_ostree_installer_config *config,
	const struct upt_log *log, struct upt_installer **out, struct upt_err *err);

/* OCI: a container run by Podman or Docker. engine.h says what the caller wires in. */
struct upt_engine_http;
enum upt_engine_kind {
	UPT_ENGINE_AUTO = 0, /* whichever answers */
	UPT_ENGINE_PODMAN,
	UPT_ENGINE_DOCKER,
};
struct upt_container_installer_config {
	const struct upt_engine_http *http; /* borrowed for the installer's life */
	enum upt_engine_kind engine; /* that must answer */
	const char *name;         /* application name: containers are NAME-<digest prefix>, labelled with it */
	const char *network;      /* "host", "bridge", "none"; NULL: the engine's own default, a bridge */
	const char *const *env;   /* "KEY=VALUE" of local configuration, n_env of them (the signed custom cannot override) */
	size_t n_env;
	/*
	 * The host port that the application gets in its environment as PORT. Two versions cannot hold one
	 * port, so with both given the new version gets the one the running version does not use, and is
	 * healthy before the old one stops; with port_a alone the old one is stopped first and started again
	 * when the new one fails; with neither the versions run beside each other and PORT is not set.
	 */
	uint16_t port_a, port_b;
	const char *health_url;   /* must answer 2xx within health_timeout_s, %p is the port; NULL: the signed
	                             health, else only "is running" */
	unsigned health_timeout_s;/* [what the release says, else 30] */
	unsigned stop_timeout_s;  /* [10] before the engine kills what does not end by itself */
	const char *endpoint_path;/* the serving version's port as text, replaced after each switch; NULL: none */
	const char *state_path;   /* which digest is current and which previous; required */
	bool tls_verify;          /* of the registry */
	/* Where else images may be had, asked before the registry that the release names: HOST[:PORT][/PREFIX]
	 * with spaces between; and a file of credentials, {"auths": {HOST: {"auth": BASE64}}}. */
	const char *mirrors, *auth_path;
	unsigned stall_s;         /* [120] a pull without progress for so long is UPT_E_TOO_SLOW, as is one ... */
	unsigned min_speed_bytes; /* [128] ... with less than this a second in that time */
	/* What a signed release may ask for: container_spec.h, struct upt_container_limits. */
	const char *allow_binds, *allow_devices, *allow_ports;
	uint64_t max_memory_bytes, max_cpu_millis, max_pids;
};
/* UPT_E_CONFIG naming the setting that is missing or out of bounds. */
UPT_NODISCARD enum upt_code upt_container_installer_new(
	const struct upt_container_installer_config *config, const struct upt_log *log,
	struct upt_installer **out, struct upt_err *err);


/*
 * COMPOSE: several containers by a compose file, which is the target and pins each of its images.
 * The engine's own compose brings it up as a process of its own; what came of it the engine is
 * asked. Of the settings above hold: http, engine, name (of the project), network ("host" permits
 * that of the host), health_timeout_s, stop_timeout_s, state_path, tls_verify, auth_path, stall_s,
 * min_speed_bytes, allow_*, max_*; others are UPT_E_CONFIG.
 */
struct upt_compose_runner {
	/* Runs argv (its [0] is a path) to its end, and tells the end of what it said in out.
	 * UPT_E_INSTALL: it could not be run, took too long, or ended with another code than 0. */
	enum upt_code (*run)(void *ctx, const char *const *argv, char *out, size_t size,
		struct upt_err *err);
	void *ctx;
};
struct upt_compose_installer_config {
	struct upt_container_installer_config container;
	const char *socket_path;  /* the engine's, for compose; required */
	const char *program;      /* [/usr/bin/docker-compose] */
	unsigned timeout_s;       /* [300] of one run of it */
	const struct upt_compose_runner *runner; /* borrowed; NULL: a subprocess */
};
/* UPT_E_CONFIG as above; UPT_E_UNSUPPORTED in a build without it. */
UPT_NODISCARD enum upt_code upt_compose_installer_new(
	const struct upt_compose_installer_config *config, const struct upt_log *log,
	struct upt_installer **out, struct upt_err *err);

#endif
