#include "installer/container_internal.h"
#include "installer/container_registry.h"

static enum upt_code
copy_string(struct upt_container *self, const char *text, const char **out, struct upt_err *err)
{
	*out = NULL;
	if (text == NULL)
		return UPT_OK;
	*out = upt_arena_string(&self->arena, upt_span_str(text));
	if (*out == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the container installer");
	return UPT_OK;
}

static enum upt_code
copy_env(struct upt_container *self, const struct upt_container_installer_config *config,
	struct upt_err *err)
{
	if (config->n_env > UPT_CONTAINER_MAX_LOCAL_ENV)
		return upt_fail(err, UPT_E_CONFIG, "%s: more than %d environment variables",
			config->name, UPT_CONTAINER_MAX_LOCAL_ENV);
	for (size_t i = 0; i < config->n_env; i++) {
		const char *equals = strchr(config->env[i], '=');
		size_t len = equals == NULL ? 0 : (size_t)(equals - config->env[i]);
		char *key = upt_arena_string(&self->arena, upt_span(config->env[i], len));
		if (key == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the environment");
		/* The value may be a secret and is not named. */
		if (!upt_container_env_key_ok(key))
			return upt_fail(err, UPT_E_CONFIG,
				"%s: environment entry %zu is not KEY=VALUE", config->name, i + 1);
		self->env[i].key = key;
		UPT_TRY(copy_string(self, equals + 1, &self->env[i].value, err));
		self->n_env++;
	}
	return UPT_OK;
}

static enum upt_code
copy_limits(struct upt_container *self, const struct upt_container_installer_config *config,
	struct upt_err *err)
{
	struct upt_container_limits *limits = &self->limits;

	*limits = (struct upt_container_limits){.memory_bytes = config->max_memory_bytes,
		.cpu_millis = config->max_cpu_millis,
		.pids = config->max_pids};
	UPT_TRY(copy_string(self, config->allow_binds, &limits->binds, err));
	UPT_TRY(copy_string(self, config->allow_devices, &limits->devices, err));
	UPT_TRY(copy_string(self, config->allow_ports, &limits->ports, err));
	return upt_container_limits_check(limits, err);
}

static bool
network_ok(const char *network)
{
	return network == NULL || strcmp(network, "host") == 0 || strcmp(network, "bridge") == 0 ||
	       strcmp(network, "none") == 0;
}

static enum upt_code
check_config(const struct upt_container_installer_config *config, struct upt_err *err)
{
	bool has_port;

	if (config->name == NULL || !upt_container_name_ok(config->name))
		return upt_fail(err, UPT_E_CONFIG,
			"the container installer needs a name of "
			"lower-case letters, digits and -");
	if (config->http == NULL || config->state_path == NULL)
		return upt_fail(err, UPT_E_CONFIG, "%s: no engine or no state file", config->name);
	if (!network_ok(config->network))
		return upt_fail(err, UPT_E_CONFIG, "%s: network %s is not host, bridge or none",
			config->name, config->network);
	if (config->port_b != 0 && (config->port_a == 0 || config->port_a == config->port_b))
		return upt_fail(
			err, UPT_E_CONFIG, "%s: two ports are two different ones", config->name);
	if (config->health_timeout_s > 3600 || config->stop_timeout_s > 90)
		return upt_fail(
			err, UPT_E_CONFIG, "%s: a time limit is out of bounds", config->name);
	if (config->stall_s > 3600)
		return upt_fail(err, UPT_E_CONFIG, "%s: stall_s is out of bounds", config->name);
	if (config->health_url == NULL)
		return UPT_OK;
	if (strncmp(config->health_url, "http://", 7) != 0 &&
		strncmp(config->health_url, "https://", 8) != 0)
		return upt_fail(err, UPT_E_CONFIG, "%s: the health address is no http address",
			config->name);
	has_port = strstr(config->health_url, "%p") != NULL;
	/* Else the old version would answer for the new one. */
	if (config->port_b != 0 && !has_port)
		return upt_fail(err, UPT_E_CONFIG,
			"%s: with two ports the health address needs %%p", config->name);
	if (config->port_a == 0 && has_port)
		return upt_fail(err, UPT_E_CONFIG, "%s: %%p in the health address needs a port",
			config->name);
	return UPT_OK;
}

enum upt_code
upt_container_configure(struct upt_container *self,
	const struct upt_container_installer_config *config, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf images = {0};

	UPT_TRY(check_config(config, err));
	self->oci = (struct upt_oci){.http = config->http, .kind = config->engine};
	self->port_a = config->port_a;
	self->port_b = config->port_b;
	self->health_timeout_s = config->health_timeout_s;
	self->stop_timeout_s = config->stop_timeout_s == 0 ? 10 : config->stop_timeout_s;
	self->tls_verify = config->tls_verify;
	self->stall_s = config->stall_s == 0 ? 120 : config->stall_s;
	self->min_speed_bytes = config->min_speed_bytes == 0 ? 128 : config->min_speed_bytes;
	UPT_TRY(copy_limits(self, config, err));
	UPT_TRY(upt_container_mirrors_check(config->mirrors, err));
	UPT_TRY(copy_string(self, config->mirrors, &self->mirrors, err));
	UPT_TRY(copy_string(self, config->auth_path, &self->auth_path, err));
	UPT_TRY(upt_buf_printf(&images, err, "%s.images", config->state_path));
	UPT_TRY(copy_string(self, (const char *)images.data, &self->images_path, err));
	UPT_TRY(copy_string(self, config->name, &self->name, err));
	UPT_TRY(copy_string(self, config->network, &self->network, err));
	UPT_TRY(copy_string(self, config->health_url, &self->health_url, err));
	UPT_TRY(copy_string(self, config->endpoint_path, &self->endpoint_path, err));
	UPT_TRY(copy_string(self, config->state_path, &self->state_path, err));
	return copy_env(self, config, err);
}
