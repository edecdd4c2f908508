#include <string.h>
#include "primary/config.h"

#define MAX_ENV 64

static enum upt_code
parse_engine(struct upt_ini *ini, const char *section, const char *arg, enum upt_engine_kind *out,
	struct upt_err *err)
{
	static const char *const names[] = {"auto", "podman", "docker"};
	const char *value;

	UPT_TRY(upt_ini_string(ini, section, arg, "engine", "auto", &value, err));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*out = (enum upt_engine_kind)i;
		if (strcmp(value, names[i]) == 0)
			return UPT_OK;
	}
	*out = UPT_ENGINE_AUTO;
	return upt_ini_fail(err, upt_ini_find(ini, section, arg, "engine"),
		"'%s' is none of auto, podman, docker", value);
}

static bool
is_env(const struct upt_ini_entry *entry, const char *section, const char *arg)
{
	return strcmp(entry->section, section) == 0 && strcmp(entry->argument, arg) == 0 &&
	       strcmp(entry->key, "env") == 0;
}

/* The one key that may be repeated: each is KEY=VALUE, and an empty one forgets those before it. */
static enum upt_code
parse_env(struct upt_ini *ini, const char *section, const char *arg,
	struct upt_container_config *out, struct upt_err *err)
{
	out->env = upt_arena_alloc(&ini->arena, MAX_ENV, sizeof(*out->env));
	if (out->env == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an environment");
	for (struct upt_ini_entry *entry = ini->first; entry != NULL; entry = entry->next) {
		if (!is_env(entry, section, arg))
			continue;
		entry->used = true;
		if (entry->value[0] == '\0') {
			out->n_env = 0;
			continue;
		}
		/* The value may be a secret and is not named. */
		if (strchr(entry->value, '=') == NULL || entry->value[0] == '=')
			return upt_ini_fail(err, entry, "is not KEY=VALUE");
		if (out->n_env == MAX_ENV)
			return upt_ini_fail(err, entry, "more than %d of them", MAX_ENV);
		out->env[out->n_env++] = entry->value;
	}
	return UPT_OK;
}

static enum upt_code
parse_limits(struct upt_ini *ini, const char *section, const char *arg,
	struct upt_container_config *out, struct upt_err *err)
{
	out->allow_binds = upt_ini_optional(ini, section, arg, "allow_binds");
	out->allow_devices = upt_ini_optional(ini, section, arg, "allow_devices");
	out->allow_ports = upt_ini_optional(ini, section, arg, "allow_ports");
	UPT_TRY(upt_ini_u64(ini, section, arg, "max_memory_bytes", 0, 0, (uint64_t)1 << 50,
		&out->max_memory_bytes, err));
	UPT_TRY(upt_ini_u64(
		ini, section, arg, "max_cpu_millis", 0, 0, 1000000, &out->max_cpu_millis, err));
	return upt_ini_u64(ini, section, arg, "max_pids", 0, 0, 1 << 22, &out->max_pids, err);
}

/* What both kinds know. A key that the other one alone knows is unknown, and refused as such. */
static enum upt_code
parse_common(struct upt_ini *ini, const char *section, const char *arg,
	struct upt_container_config *out, struct upt_err *err)
{
	UPT_TRY(upt_ini_string(ini, section, arg, "name", NULL, &out->app_name, err));
	UPT_TRY(parse_engine(ini, section, arg, &out->engine, err));
	out->socket_path = upt_ini_optional(ini, section, arg, "socket");
	out->network = upt_ini_optional(ini, section, arg, "network");
	out->auth_path = upt_ini_optional(ini, section, arg, "registry_auth");
	UPT_TRY(upt_ini_u64(
		ini, section, arg, "health_timeout_s", 0, 0, 3600, &out->health_timeout_s, err));
	UPT_TRY(upt_ini_u64(
		ini, section, arg, "pull_stall_s", 120, 10, 3600, &out->pull_stall_s, err));
	UPT_TRY(parse_limits(ini, section, arg, out, err));
	return upt_ini_bool(
		ini, section, arg, "registry_tls_verify", true, &out->registry_tls_verify, err);
}

enum upt_code
upt_config_container(struct upt_ini *ini, const char *section, const char *arg,
	struct upt_container_config *out, struct upt_err *err)
{
	UPT_TRY(parse_common(ini, section, arg, out, err));
	out->health_url = upt_ini_optional(ini, section, arg, "health_url");
	out->endpoint_path = upt_ini_optional(ini, section, arg, "endpoint");
	out->mirrors = upt_ini_optional(ini, section, arg, "mirrors");
	UPT_TRY(upt_ini_u64(ini, section, arg, "port_a", 0, 0, 65535, &out->port_a, err));
	UPT_TRY(upt_ini_u64(ini, section, arg, "port_b", 0, 0, 65535, &out->port_b, err));
	return parse_env(ini, section, arg, out, err);
}

enum upt_code
upt_config_compose(struct upt_ini *ini, const char *section, const char *arg,
	struct upt_container_config *out, struct upt_err *err)
{
	UPT_TRY(parse_common(ini, section, arg, out, err));
	out->compose_program = upt_ini_optional(ini, section, arg, "compose_program");
	return upt_ini_u64(ini, section, arg, "compose_timeout_s", 300, 10, 3600,
		&out->compose_timeout_s, err);
}
