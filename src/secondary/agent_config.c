/*
 * [secondary] of uptane-secondary.conf; see uptane-secondary(8).
 */
#include "secondary/agent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "metadata/image.h"
#include "secondary/protocol.h"

#define SECTION "secondary"
#define MAX_TIMEOUT_S 3600
#define DEFAULT_LISTEN "127.0.0.1:9030"

static enum upt_code
get(struct upt_ini *ini, const char *key, const char *fallback, const char **out,
	struct upt_err *err)
{
	return upt_ini_string(ini, SECTION, "", key, fallback, out, err);
}

/* As get(), but NULL when it is absent or empty. */
static enum upt_code
get_optional(struct upt_ini *ini, const char *key, const char **out, struct upt_err *err)
{
	UPT_TRY(get(ini, key, "", out, err));
	if ((*out)[0] == '\0')
		*out = NULL;
	return UPT_OK;
}

/* Fails at the line that sets key. */
static enum upt_code
wrong(struct upt_ini *ini, const char *key, const char *what, struct upt_err *err)
{
	const struct upt_ini_entry *entry = upt_ini_find(ini, SECTION, "", key);

	return entry != NULL ? upt_ini_fail(err, entry, "%s", what)
			     : upt_fail(err, UPT_E_CONFIG, "[" SECTION "] %s: %s", key, what);
}

/* A name that reports and metadata carry: printable ASCII of bounded length. */
static enum upt_code
get_name(struct upt_ini *ini, const char *key, size_t max, const char **out, struct upt_err *err)
{
	UPT_TRY(get(ini, key, NULL, out, err));
	if (strlen(*out) > max)
		return wrong(ini, key, "is too long", err);
	for (const char *p = *out; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return wrong(ini, key, "holds other than printable ASCII characters", err);
	}
	return UPT_OK;
}

static enum upt_code
get_profile(struct upt_ini *ini, bool *ota, struct upt_err *err)
{
	const char *text;

	UPT_TRY(get(ini, "profile", "standard", &text, err));
	*ota = strcmp(text, "ota") == 0;
	if (!*ota && strcmp(text, "standard") != 0)
		return wrong(ini, "profile", "is neither standard nor ota", err);
	return UPT_OK;
}

/* "127.0.0.1:9030" or "[::1]:9030". The text is cut at the end of the address. */
static bool
split_listen(char *text, const char **address, unsigned *port)
{
	char *colon = strrchr(text, ':');
	char *end;
	unsigned long value;

	if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
		return false;
	value = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || value > 65535)
		return false;
	*colon = '\0';
	*address = text;
	*port = (unsigned)value;
	if (text[0] != '[')
		return strchr(text, ':') == NULL;
	if (colon - text < 3 || colon[-1] != ']')
		return false;
	colon[-1] = '\0';
	*address = text + 1;
	return true;
}

static enum upt_code
get_listen(struct upt_ini *ini, struct upt_agent_config *out, struct upt_err *err)
{
	const char *text;
	char *copy;

	UPT_TRY(get(ini, "listen", DEFAULT_LISTEN, &text, err));
	copy = upt_arena_string(&ini->arena, upt_span_str(text));
	if (copy == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the configuration");
	if (!split_listen(copy, &out->address, &out->port))
		return wrong(ini, "listen", "is not ADDRESS:PORT or [ADDRESS]:PORT", err);
	return UPT_OK;
}

static enum upt_code
get_time(struct upt_ini *ini, const char *key, int64_t *out, struct upt_err *err)
{
	const char *text;

	*out = 0;
	UPT_TRY(get_optional(ini, key, &text, err));
	if (text != NULL && (!upt_time_parse(upt_span_str(text), out) || *out < 0))
		return wrong(ini, key, "is no time like 2026-01-31T12:00:00Z", err);
	return UPT_OK;
}

static enum upt_code
get_log_level(struct upt_ini *ini, enum upt_log_level *out, struct upt_err *err)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	const char *text;

	UPT_TRY(get(ini, "log_level", "info", &text, err));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum upt_log_level)i;
			return UPT_OK;
		}
	}
	return wrong(ini, "log_level", "is none of error, warning, info, debug", err);
}

static enum upt_code
read_identity(struct upt_ini *ini, struct upt_agent_config *c, struct upt_err *err)
{
	UPT_TRY(get_name(ini, "serial", UPT_ECU_SERIAL_MAX, &c->serial, err));
	UPT_TRY(get_name(ini, "hardware_id", UPT_HARDWARE_ID_MAX, &c->hardware_id, err));
	UPT_TRY(get_profile(ini, &c->profile_ota, err));
	UPT_TRY(get_optional(ini, "vehicle_id", &c->vehicle_id, err));
	/* Without it one vehicle's empty targets would freeze this one's ECU. */
	if (c->vehicle_id == NULL && !c->profile_ota)
		return upt_fail(err, UPT_E_CONFIG,
			"[" SECTION "] vehicle_id: required in profile standard, but not set");
	UPT_TRY(get_time(ini, "build_time", &c->build_time, err));
	return get_optional(ini, "factory_image", &c->factory_image, err);
}

static enum upt_code
read_files(
	struct upt_ini *ini, struct upt_agent_config *c, const char **key_path, struct upt_err *err)
{
	UPT_TRY(get(ini, "state_dir", "/var/lib/uptane-secondary", &c->state_dir, err));
	UPT_TRY(get(ini, "key", NULL, key_path, err));
	UPT_TRY(get_optional(ini, "director_root", &c->director_root, err));
	UPT_TRY(get_optional(ini, "image_root", &c->image_root, err));
	UPT_TRY(get(ini, "install_path", NULL, &c->install_path, err));
	if (c->factory_image != NULL && strlen(c->factory_image) > UPT_TARGET_NAME_MAX)
		return wrong(ini, "factory_image", "is too long", err);
	UPT_TRY(get_optional(ini, "inhibit_file", &c->inhibit_file, err));
	return get_optional(ini, "ready_file", &c->ready_file, err);
}

enum upt_code
upt_agent_config_read(struct upt_ini *ini, struct upt_agent_config *out, const char **key_path,
	enum upt_log_level *log_level, struct upt_err *err)
{
	struct upt_agent_config c = {0};
	uint64_t timeout_s;

	*out = c;
	UPT_TRY(read_identity(ini, &c, err));
	UPT_TRY(read_files(ini, &c, key_path, err));
	UPT_TRY(get_listen(ini, &c, err));
	UPT_TRY(get_optional(ini, "primary", &c.primary, err));
	UPT_TRY(upt_ini_u64(ini, SECTION, "", "timeout_s", 60, 1, MAX_TIMEOUT_S, &timeout_s, err));
	c.timeout_ms = (unsigned)timeout_s * 1000;
	UPT_TRY(get_log_level(ini, log_level, err));
	UPT_TRY(upt_ini_check_all_used(ini, err));
	*out = c;
	return UPT_OK;
}
