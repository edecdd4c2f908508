/*
 * Configuration of the Primary: DIR/uptaned.conf and its drop-ins DIR/uptaned.conf.d/<name>.conf, in
 * systemd's INI dialect. Every wrong value is named with file, line and key; docs/man/uptaned.conf.5
 * lists them all. Strings are borrowed from the ini that the configuration owns.
 */
#ifndef UPT_PRIMARY_CONFIG_H
#define UPT_PRIMARY_CONFIG_H

#include "base/ini.h"
#include "installer/boot.h"
#include "installer/health.h"
#include "installer/installer.h"
#include "metadata/limits.h"
#include "primary/window.h"
#include "transport/http.h"

enum upt_profile {
	UPT_PROFILE_STANDARD = 0,
	UPT_PROFILE_OTA,
};

/* Of the vehicle: as many as one signed document may name, and as one manifest has reports of. */
#define UPT_MAX_VEHICLE_ECUS UPT_MAX_TARGET_ECUS

struct upt_repo_config {
	const char *name;        /* "director", "image_repository", or NAME of [repository NAME] */
	bool is_director;
	const char *url;         /* without the final slash */
	const char *root_path;   /* pinned first root */
	const char *targets_url; /* where an Image repository's images are, or NULL */
	struct upt_limits limits;
};

/* The two that every vehicle has are the first in every list of repositories. */
#define UPT_DIRECTOR_INDEX 0
#define UPT_IMAGE_INDEX 1
#define UPT_MAX_OTHER_REPOS 8
#define UPT_MAX_REPOS (2 + UPT_MAX_OTHER_REPOS)
#define UPT_MAX_MAPPINGS 32
#define UPT_MAX_MAPPING_PATHS 256

/* Which repositories must agree on targets of these names (repo_mapping_meta; TAP 4). */
struct upt_mapping_config {
	const char *name;        /* NULL: the one that stands for a configuration without any */
	size_t n_paths;          /* 0: every name */
	const char **paths;
	size_t n_repos;
	size_t repos[UPT_MAX_REPOS]; /* Directors first, then image_repository, then as listed */
	size_t threshold;        /* 2 to n_repos */
	bool terminating;
};

enum upt_installer_kind {
	UPT_INSTALLER_NONE = 0, /* an ip Secondary installs by itself */
	UPT_INSTALLER_FILE,
	UPT_INSTALLER_OSTREE,
	UPT_INSTALLER_CONTAINER,
	UPT_INSTALLER_COMPOSE,
};

/* An application in a container: installer/installer.h says what each is. */
struct upt_container_config {
	const char *app_name, *network, *health_url, *endpoint_path;
	const char *socket_path; /* NULL: the one of the engine, or of whichever is there */
	enum upt_engine_kind engine;
	uint64_t port_a, port_b, health_timeout_s;
	bool registry_tls_verify;
	const char *mirrors, *auth_path;
	uint64_t pull_stall_s;
	const char *allow_binds, *allow_devices, *allow_ports;
	uint64_t max_memory_bytes, max_cpu_millis, max_pids;
	size_t n_env;
	const char **env;
	const char *compose_program; /* compose only; NULL: the default */
	uint64_t compose_timeout_s;
};

/* One ECU of the vehicle; the Primary is always the first. */
struct upt_ecu_config {
	const char *serial;
	const char *hardware_id;
	const char *key_path;        /* Primary and virtual: ECU identity key, made when missing */
	const char *factory_image;   /* name of what runs before the first update */
	bool is_ip;                  /* another machine, over TCP */
	const char *address;
	uint64_t port;
	enum upt_installer_kind kind;
	const char *path, *backup_path;                         /* file */
	const char *sysroot, *os, *remote, *cmdline_path, *boot_id_path; /* ostree */
	uint64_t reserve_mib;
	struct upt_container_config container;
};

/* How a new system comes up, proves itself, and is left again (config_boot.c). */
struct upt_trial_config {
	struct upt_boot_config loader;
	uint64_t tries;              /* boots in which it must prove itself */
	struct upt_health health;    /* without the Primary's own check */
	const char *const *reboot_argv; /* NULL at its end; NULL: somebody else reboots */
};

/* The steps of an update that wait for their conditions. */
enum upt_gate {
	UPT_GATE_DOWNLOAD = 0,
	UPT_GATE_INSTALL,
	UPT_GATE_REBOOT,
	UPT_N_GATES,
};

#define UPT_GATE_RETRY_MAX_S 86400

/* What they wait for (config_gates.c). */
struct upt_gates_config {
	const char *dir;             /* of programs; NULL: none */
	unsigned timeout_ms;         /* of one program */
	uint64_t retry_s;            /* asked again, where nothing says when */
	const char *inhibit_path;    /* NULL: none */
	size_t n_windows;            /* 0: always open */
	const struct upt_window *windows;
	bool window_applies_to[UPT_N_GATES];
};

struct upt_config {
	struct upt_ini ini;
	const char *vehicle_id;
	const char *state_dir;
	enum upt_profile profile;
	uint64_t poll_interval_s;
	int64_t build_time;          /* floor of trusted time: no clock may claim to be before it */
	struct upt_repo_config director, image;
	size_t n_others;
	struct upt_repo_config *others;      /* [repository NAME] */
	size_t n_mappings;                   /* at least one */
	struct upt_mapping_config *mappings; /* the first that matches a name is asked first */
	struct upt_http_config tls;
	struct upt_trial_config trial;
	struct upt_gates_config gates;
	size_t n_ecus;
	struct upt_ecu_config *ecus;
};

/* dir holds uptaned.conf. UPT_E_CONFIG; UPT_E_NOT_FOUND without the file. config is {0} on failure. */
UPT_NODISCARD enum upt_code upt_config_load(const char *dir, struct upt_config *config,
	struct upt_err *err);

/* config_container.c: the keys of an ECU whose installer is "container", or "compose". */
UPT_NODISCARD enum upt_code upt_config_container(struct upt_ini *ini, const char *section,
	const char *arg, struct upt_container_config *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_config_compose(struct upt_ini *ini, const char *section,
	const char *arg, struct upt_container_config *out, struct upt_err *err);
void upt_config_clear(struct upt_config *config);

/* The repository of that index: UPT_DIRECTOR_INDEX, UPT_IMAGE_INDEX, or an additional one. */
const struct upt_repo_config *upt_config_repo(const struct upt_config *config, size_t index);
/* Whether a mapping is for targets of that name. */
bool upt_mapping_matches(const struct upt_config *config, const struct upt_mapping_config *mapping,
	const char *target);
/* config_boot.c: the settings of struct upt_trial_config, once the ECUs are known. */
UPT_NODISCARD enum upt_code upt_config_parse_trial(struct upt_config *config, struct upt_err *err);
/* "download", "install", "reboot". */
const char *upt_gate_name(enum upt_gate gate);

#endif
