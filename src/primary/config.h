/*
 * Configuration of the Primary: DIR/uptaned.conf and its drop-ins DIR/uptaned.conf.d/<name>.conf, in
 * systemd's INI dialect. Every wrong value is named with file, line and key; docs/man/uptaned.conf.5
 * lists them all. Strings are borrowed from the ini that the configuration owns.
 */
#ifndef UPT_PRIMARY_CONFIG_H
#define UPT_PRIMARY_CONFIG_H

#include "base/ini.h"
#include "metadata/limits.h"
#include "transport/http.h"

enum upt_profile {
	UPT_PROFILE_STANDARD = 0,
	UPT_PROFILE_OTA,
};

struct upt_repo_config {
	const char *url;         /* without the final slash */
	const char *root_path;   /* pinned first root */
	struct upt_limits limits;
};

enum upt_installer_kind {
	UPT_INSTALLER_NONE = 0, /* an ip Secondary installs by itself */
	UPT_INSTALLER_FILE,
	UPT_INSTALLER_OSTREE,
	UPT_INSTALLER_CONTAINER,
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
	const char *app_name, *socket_path, *network, *health_url, *endpoint_path; /* container */
	uint64_t port_a, port_b, health_timeout_s;
	bool registry_tls_verify;
};

struct upt_config {
	struct upt_ini ini;
	const char *vehicle_id;
	const char *state_dir;
	enum upt_profile profile;
	uint64_t poll_interval_s;
	int64_t build_time;          /* floor of trusted time: no clock may claim to be before it */
	struct upt_repo_config director, image;
	const char *targets_url;
	struct upt_http_config tls;
	size_t n_ecus;
	struct upt_ecu_config *ecus;
};

/* dir holds uptaned.conf. UPT_E_CONFIG; UPT_E_NOT_FOUND without the file. config is {0} on failure. */
UPT_NODISCARD enum upt_code upt_config_load(const char *dir, struct upt_config *config,
	struct upt_err *err);
void upt_config_clear(struct upt_config *config);

#endif
