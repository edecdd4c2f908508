#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/encode.h"
#include "base/file.h"
#include "primary/internal.h"

/* Serials are at the start of the lines of what was registered. */
static enum upt_code
was_registered(struct upt_primary *p, const char *serial, bool *yes, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const char *line, *end;
	size_t len = strlen(serial);

	*yes = false;
	UPT_TRY(upt_store_get_text(p->store, "registered_ecus", &text, err));
	line = text.len > 0 ? (const char *)text.data : "";
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
		*yes = *yes || (strncmp(line, serial, len) == 0 && line[len] == '\t');
	return UPT_OK;
}

/* An ECU's identity key is made on the ECU and never leaves it; provisioning may also bring one. */
static enum upt_code
load_or_make_key(struct upt_primary *p, const struct upt_ecu_config *config,
	struct upt_private_key **out, struct upt_err *err)
{
	const char *path = config->key_path;
	enum upt_code code = upt_private_key_load(path, out, err);
	bool registered;
	char id[65];

	if (code != UPT_E_NOT_FOUND)
		return code;
	/* Its disk may not be mounted yet: a second identity would lock the vehicle out of its
	 * Director. */
	UPT_TRY(was_registered(p, config->serial, &registered, err));
	if (registered)
		return upt_fail(err, UPT_E_KEY,
			"%s is gone, and ECU %s is registered with the key it held", path,
			config->serial);
	UPT_TRY(upt_private_key_generate("ed25519", 0, out, err));
	UPT_TRY(upt_private_key_save(*out, path, err));
	upt_private_key_id(*out, id);
	upt_log(p->log, UPT_LOG_INFO, "made ECU identity key %.16s... in %s", id, path);
	return UPT_OK;
}

static enum upt_code
state_path(struct upt_primary *p, const struct upt_ecu_config *config, char out[static PATH_MAX],
	struct upt_err *err)
{
	struct upt_digest digest;
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	/* Serials are free text: their hash is a safe file name. */
	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, upt_span_str(config->serial), &digest, err));
	upt_hex_encode(upt_span(digest.bytes, 8), hex);
	if (snprintf(out, PATH_MAX, "%s/ecu-%s.state", p->config->state_dir, hex) >= PATH_MAX)
		return upt_fail(err, UPT_E_CONFIG, "state_dir is too long");
	return UPT_OK;
}

static enum upt_code
new_container(struct upt_primary *p, struct upt_ecu *ecu, const char *state,
	struct upt_installer **out, struct upt_err *err)
{
	const struct upt_container_config *c = &ecu->config->container;
	struct upt_compose_installer_config config = {
		.container = {.engine = c->engine,
			.name = c->app_name,
			.network = c->network,
			.env = c->env,
			.n_env = c->n_env,
			.port_a = (uint16_t)c->port_a,
			.port_b = (uint16_t)c->port_b,
			.health_url = c->health_url,
			.health_timeout_s = (unsigned)c->health_timeout_s,
			.endpoint_path = c->endpoint_path,
			.state_path = state,
			.tls_verify = c->registry_tls_verify,
			.mirrors = c->mirrors,
			.auth_path = c->auth_path,
			.stall_s = (unsigned)c->pull_stall_s,
			.min_speed_bytes = p->config->tls.min_speed_bytes,
			.allow_binds = c->allow_binds,
			.allow_devices = c->allow_devices,
			.allow_ports = c->allow_ports,
			.max_memory_bytes = c->max_memory_bytes,
			.max_cpu_millis = c->max_cpu_millis,
			.max_pids = c->max_pids},
		.program = c->compose_program,
		.timeout_s = (unsigned)c->compose_timeout_s,
	};

	UPT_TRY(upt_engine_new(c->engine, c->socket_path, p->options.cancel, &ecu->engine, err));
	config.container.http = upt_engine_ops(ecu->engine);
	config.socket_path = upt_engine_socket(ecu->engine);
	if (ecu->config->kind == UPT_INSTALLER_COMPOSE)
		return upt_compose_installer_new(&config, p->log, out, err);
	return upt_container_installer_new(&config.container, p->log, out, err);
}

static enum upt_code
new_installer(
	struct upt_primary *p, struct upt_ecu *ecu, struct upt_installer **out, struct upt_err *err)
{
	const struct upt_ecu_config *c = ecu->config;
	char state[PATH_MAX];

	UPT_TRY(state_path(p, c, state, err));
	switch (c->kind) {
	case UPT_INSTALLER_FILE:
		return upt_file_installer_new(&(struct upt_file_installer_config){.path = c->path,
						      .backup_path = c->backup_path},
			p->log, out, err);
	case UPT_INSTALLER_OSTREE:
		return upt_ostree_installer_new(
			&(struct upt_ostree_installer_config){.sysroot = c->sysroot,
				.os = c->os,
				.remote = c->remote,
				.cmdline_path = c->cmdline_path,
				.boot_id_path = c->boot_id_path,
				.state_path = state,
				.reserve_bytes = c->reserve_mib << 20,
				.proxy = p->config->tls.proxy,
				.boot = p->boot,
				.boot_tries = (unsigned)p->config->trial.tries,
				.ca_path = p->config->tls.ca_path,
				.cert_path = p->config->tls.cert_path,
				.key_path = p->config->tls.key_path},
			p->log, out, err);
	case UPT_INSTALLER_CONTAINER:
	case UPT_INSTALLER_COMPOSE:
		return new_container(p, ecu, state, out, err);
	case UPT_INSTALLER_NONE:
		break;
	}
	return upt_fail(err, UPT_E_INTERNAL, "ECU %s has no installer", c->serial);
}

/* One counter serves all ECUs on this machine: each reports once in a manifest, and flash is
 * written once. */
static enum upt_code
next_counter(void *ctx, const char *serial, uint64_t *out, struct upt_err *err)
{
	const struct upt_primary *p = ctx;

	(void)serial;
	(void)err;
	*out = p->report_counter;
	return UPT_OK;
}

enum upt_code
upt_ecu_running(struct upt_ecu *ecu, struct upt_image *out, struct upt_err *err)
{
	if (!ecu->running_known) {
		ecu->running = (struct upt_image){0};
		UPT_TRY(ecu->installer->ops->current(ecu->installer, &ecu->running, err));
		ecu->running_known = true;
	}
	*out = ecu->running;
	return UPT_OK;
}

bool
upt_ecu_reboots(const struct upt_ecu *ecu)
{
	return ecu->installer != NULL && ecu->installer->ops->stay != NULL;
}

/* A report names a hash (2.10): of an ECU without software, that of no bytes, under no name. */
static enum upt_code
describe_nothing(struct upt_image *out, struct upt_err *err)
{
	*out = (struct upt_image){.n_digests = 1};
	return upt_hash_span(UPT_HASH_SHA256, upt_span(NULL, 0), &out->digests[0], err);
}

/* Between a reboot and its confirmation the engine runs what is PENDING; between a rollback and its
 * reboot, what is REFUSED: the report names it. */
static enum upt_code
name_running(struct upt_primary *p, struct upt_ecu *ecu, struct upt_image *out, struct upt_err *err)
{
	struct upt_image running;
	struct upt_slots s;

	UPT_TRY(upt_ecu_get_slots(p, ecu, &s, err));
	if (s.pending.name[0] == '\0')
		return UPT_OK;
	UPT_TRY(upt_ecu_running(ecu, &running, err));
	if (upt_image_same_content(&running, out))
		return UPT_OK;
	if (upt_image_same_content(&running, &s.pending))
		*out = s.pending;
	else if (upt_image_same_content(&running, &s.refused))
		*out = s.refused;
	return UPT_OK;
}

/* What the store says is installed; before the first update, what the engine finds under the
 * factory's name. */
static enum upt_code
installed(void *ctx, const char *serial, struct upt_image *out, struct upt_err *err)
{
	struct upt_primary *p = ctx;
	struct upt_ecu *ecu = NULL;

	UPT_TRY(upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, out, err));
	for (size_t i = 0; i < p->n_ecus; i++) {
		if (strcmp(p->ecus[i].config->serial, serial) == 0)
			ecu = &p->ecus[i];
	}
	if (ecu == NULL || ecu->installer == NULL)
		return UPT_OK;
	if (out->name[0] != '\0')
		return name_running(p, ecu, out, err);
	UPT_TRY(upt_ecu_running(ecu, out, err));
	if (out->n_digests == 0)
		return describe_nothing(out, err);
	snprintf(out->name, sizeof(out->name), "%s", ecu->config->factory_image);
	return UPT_OK;
}

static enum upt_code
set_report_key(struct upt_ecu *ecu, struct upt_private_key *key, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	UPT_TRY(upt_private_key_public_text(key, &text, err));
	return upt_public_key_parse(
		upt_span_str(upt_private_key_type(key)), upt_buf_span(&text), &ecu->key, err);
}

static enum upt_code
new_virtual(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	upt_cleanup(upt_private_key_free) struct upt_private_key *key = NULL;
	struct upt_private_key *given;
	struct upt_installer *installer = NULL;
	struct upt_virtual_link_config config = {.serial = ecu->config->serial,
		.hardware_id = ecu->config->hardware_id,
		.next_counter = next_counter,
		.installed = installed,
		.ctx = p};

	UPT_TRY(load_or_make_key(p, ecu->config, &key, err));
	UPT_TRY(set_report_key(ecu, key, err));
	UPT_TRY(new_installer(p, ecu, &installer, err));
	/* The link takes over both, also when it fails. */
	given = key;
	key = NULL;
	UPT_TRY(upt_virtual_link_new(&config, installer, given, p->log, &ecu->link, err));
	ecu->installer = installer;
	return UPT_OK;
}

static enum upt_code
new_ip(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	struct upt_ip_link_config config = {.address = ecu->config->address,
		.port = (unsigned)ecu->config->port,
		.cancel = p->options.cancel};

	return upt_ip_link_new(&config, p->log, &ecu->link, err);
}

enum upt_code
upt_ecus_new(struct upt_primary *p, struct upt_err *err)
{
	const struct upt_config *config = p->config;

	p->ecus = calloc(config->n_ecus, sizeof(*p->ecus));
	p->vehicle_ecus = calloc(config->n_ecus, sizeof(*p->vehicle_ecus));
	if (p->ecus == NULL || p->vehicle_ecus == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu ECUs", config->n_ecus);
	UPT_TRY(load_or_make_key(p, &config->ecus[0], &p->key, err));
	for (size_t i = 0; i < config->n_ecus; i++) {
		struct upt_ecu *ecu = &p->ecus[i];
		enum upt_code code;

		ecu->config = &config->ecus[i];
		p->n_ecus++;
		code = ecu->config->is_ip ? new_ip(p, ecu, err) : new_virtual(p, ecu, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "ECU %s", ecu->config->serial);
		p->vehicle_ecus[i] = (struct upt_vehicle_ecu){
			.serial = ecu->config->serial, .hardware_id = ecu->config->hardware_id};
	}
	p->vehicle = (struct upt_vehicle){.vehicle_id = config->vehicle_id,
		.require_vehicle_id = config->profile == UPT_PROFILE_STANDARD,
		.knows_all_ecus = true,
		.n_ecus = p->n_ecus,
		.ecus = p->vehicle_ecus};
	return UPT_OK;
}

void
upt_ecus_free(struct upt_primary *p)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		upt_link_free(&p->ecus[i].link);
		upt_engine_free(&p->ecus[i].engine);
		upt_public_key_free(&p->ecus[i].key);
		upt_buf_clear(&p->ecus[i].report);
	}
	free(p->ecus);
	free(p->vehicle_ecus);
	p->ecus = NULL;
	p->vehicle_ecus = NULL;
	p->n_ecus = 0;
}
