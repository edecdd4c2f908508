/*
 * uptaned.conf, and behind a byte 0xff a drop-in. What is accepted can be run with: servers over
 * TLS or on this very machine, ids that a signed document can hold and that differ, numbers within
 * their bounds. A refusal names a reason and leaves nothing.
 */
#include <strings.h>

#include "base/file.h"
#include "fuzz.h"
#include "metadata/image.h"
#include "primary/config.h"
#include "transport/url.h"

#define SEPARATOR 0xff

static void
check_url(const char *url)
{
	char origin[UPT_URL_SHOWN_SIZE];

	FUZZ_ASSERT(upt_url_check(url, NULL) == UPT_OK);
	upt_url_show_origin(url, origin);
	FUZZ_ASSERT(strncmp(origin, "https://", 8) == 0 ||
		    strncmp(origin, "http://127.0.0.1/", 17) == 0 ||
		    strncmp(origin, "http://127.0.0.1:", 17) == 0);
	FUZZ_ASSERT(url[strlen(url) - 1] != '/');
}

static void
check_id(const char *id, size_t max)
{
	FUZZ_ASSERT(id[0] != '\0' && strlen(id) <= max);
	for (const char *p = id; *p != '\0'; p++)
		FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void
check_limits(const struct upt_limits *limits)
{
	FUZZ_ASSERT(limits->root_max_bytes >= 1024 && limits->root_max_bytes <= 1u << 30);
	FUZZ_ASSERT(limits->targets_max_bytes >= 1024 && limits->targets_max_bytes <= 1u << 30);
	FUZZ_ASSERT(limits->max_delegations <= 1024);
}

static void
check_container(const struct upt_ecu_config *ecu)
{
	const struct upt_container_config *c = &ecu->container;

	if (ecu->kind != UPT_INSTALLER_CONTAINER && ecu->kind != UPT_INSTALLER_COMPOSE)
		return;
	FUZZ_ASSERT(c->app_name[0] != '\0');
	FUZZ_ASSERT(c->port_a <= 65535 && c->port_b <= 65535 && c->max_pids <= 1 << 22);
	FUZZ_ASSERT(c->health_timeout_s <= 3600);
	FUZZ_ASSERT(c->pull_stall_s >= 10 && c->pull_stall_s <= 3600);
	for (size_t i = 0; i < c->n_env; i++)
		FUZZ_ASSERT(strchr(c->env[i], '=') > c->env[i]);
	if (ecu->kind == UPT_INSTALLER_COMPOSE)
		FUZZ_ASSERT(c->n_env == 0 && c->mirrors == NULL && c->compose_timeout_s >= 10);
	else
		FUZZ_ASSERT(c->compose_program == NULL);
}

/* What a reboot does by itself; a system in a folder does nothing to the machine unless told to. */
static void
check_trial(const struct upt_config *config)
{
	const struct upt_trial_config *trial = &config->trial;
	size_t n = 0;

	FUZZ_ASSERT(trial->tries >= 1 && trial->tries <= 9);
	FUZZ_ASSERT(trial->health.timeout_ms <= 86400000 && trial->health.pause_ms > 0);
	FUZZ_ASSERT(trial->health.check_timeout_ms >= 1000 &&
		    trial->health.check_timeout_ms <= 3600000);
	if (config->ecus[0].kind != UPT_INSTALLER_OSTREE)
		FUZZ_ASSERT(trial->loader.kind != UPT_BOOT_AUTO);
	if (trial->reboot_argv == NULL)
		return;
	FUZZ_ASSERT(trial->reboot_argv[0] != NULL && trial->reboot_argv[0][0] == '/');
	for (; trial->reboot_argv[n] != NULL; n++)
		FUZZ_ASSERT(trial->reboot_argv[n][strcspn(trial->reboot_argv[n], " \t")] == '\0');
	FUZZ_ASSERT(n <= 16);
}

static void
check_ecu(const struct upt_config *config, size_t i)
{
	const struct upt_ecu_config *ecu = &config->ecus[i];

	check_id(ecu->serial, UPT_ECU_SERIAL_MAX);
	check_id(ecu->hardware_id, UPT_HARDWARE_ID_MAX);
	for (size_t k = 0; k < i; k++)
		FUZZ_ASSERT(strcmp(config->ecus[k].serial, ecu->serial) != 0);
	FUZZ_ASSERT(ecu->is_ip == (ecu->kind == UPT_INSTALLER_NONE));
	FUZZ_ASSERT(!ecu->is_ip || (i > 0 && ecu->address[0] != '\0'));
	FUZZ_ASSERT(ecu->is_ip || (ecu->key_path[0] != '\0' && ecu->factory_image != NULL));
	FUZZ_ASSERT(ecu->port <= 65535);
	check_container(ecu);
	FUZZ_ASSERT(ecu->kind != UPT_INSTALLER_FILE || ecu->path[0] != '\0');
	FUZZ_ASSERT(ecu->kind != UPT_INSTALLER_OSTREE || ecu->os[0] != '\0');
}

static void
check_repo(const struct upt_repo_config *repo)
{
	FUZZ_ASSERT(repo->name[0] != '\0' && repo->root_path[0] != '\0');
	check_url(repo->url);
	if (repo->targets_url != NULL)
		check_url(repo->targets_url);
	check_limits(&repo->limits);
}

/* Whatever stands there: the vehicle's Director and an Image repository must agree. */
static void
check_mapping(const struct upt_config *config, const struct upt_mapping_config *m)
{
	FUZZ_ASSERT(m->n_repos >= 2 && m->n_repos <= 2 + config->n_others);
	FUZZ_ASSERT(m->threshold >= 2 && m->threshold <= m->n_repos);
	FUZZ_ASSERT(m->repos[0] == UPT_DIRECTOR_INDEX);
	FUZZ_ASSERT(!upt_config_repo(config, m->repos[m->n_repos - 1])->is_director);
	for (size_t i = 0; i < m->n_repos; i++) {
		FUZZ_ASSERT(m->repos[i] < 2 + config->n_others);
		for (size_t k = 0; k < i; k++)
			FUZZ_ASSERT(m->repos[k] != m->repos[i]);
	}
}

static void
check_gates(const struct upt_gates_config *gates)
{
	FUZZ_ASSERT(gates->dir == NULL || gates->dir[0] == '/');
	FUZZ_ASSERT(gates->inhibit_path == NULL || gates->inhibit_path[0] == '/');
	FUZZ_ASSERT(gates->timeout_ms >= 1000 && gates->timeout_ms <= 3600000);
	FUZZ_ASSERT(gates->retry_s >= 1 && gates->retry_s <= UPT_GATE_RETRY_MAX_S);
	FUZZ_ASSERT(gates->window_applies_to[UPT_GATE_DOWNLOAD] ||
		    gates->window_applies_to[UPT_GATE_INSTALL] ||
		    gates->window_applies_to[UPT_GATE_REBOOT]);
	for (size_t i = 0; i < gates->n_windows; i++)
		FUZZ_ASSERT(gates->windows[i].days != 0 && gates->windows[i].to_min <= 1440);
}

static void
check_config(const struct upt_config *config)
{
	FUZZ_ASSERT(config->n_others <= UPT_MAX_OTHER_REPOS);
	for (size_t i = 0; i < 2 + config->n_others; i++)
		check_repo(upt_config_repo(config, i));
	FUZZ_ASSERT(config->n_mappings >= 1 && config->n_mappings <= UPT_MAX_MAPPINGS);
	for (size_t i = 0; i < config->n_mappings; i++)
		check_mapping(config, &config->mappings[i]);
	check_id(config->vehicle_id, 128);
	FUZZ_ASSERT(config->state_dir[0] != '\0');
	FUZZ_ASSERT(config->poll_interval_s >= 1 && config->poll_interval_s <= 30 * 86400);
	FUZZ_ASSERT((config->tls.cert_path == NULL) == (config->tls.key_path == NULL));
	FUZZ_ASSERT(config->tls.min_speed_bytes > 0 && config->tls.min_speed_window_s > 0);
	check_gates(&config->gates);
	FUZZ_ASSERT(config->n_ecus >= 1 && config->n_ecus <= UPT_MAX_VEHICLE_ECUS);
	for (size_t i = 0; i < config->n_ecus; i++)
		check_ecu(config, i);
	check_trial(config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), first = {0};
	struct upt_config config, none;
	struct upt_err err = {0};
	enum upt_code code;

	memset(&none, 0, sizeof(none));
	(void)fuzz_next_part(&rest, SEPARATOR, &first);
	FUZZ_ASSERT(upt_dir_make(fuzz_path("uptaned.conf.d"), 0700, NULL) == UPT_OK);
	fuzz_write("uptaned.conf", first);
	fuzz_write("uptaned.conf.d/10-more.conf", rest);
	code = upt_config_load(fuzz_dir(), &config, &err);
	if (code != UPT_OK) {
		FUZZ_ASSERT(code == UPT_E_CONFIG && err.message[0] != '\0');
		FUZZ_ASSERT(memcmp(&config, &none, sizeof(none)) == 0);
		return 0;
	}
	check_config(&config);
	upt_config_clear(&config);
	return 0;
}
