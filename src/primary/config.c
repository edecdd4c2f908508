#include "primary/config_internal.h"

#include <string.h>
#include "base/clock.h"
#include "metadata/image.h"
#include "transport/url.h"

#define LOOPBACK "http://127.0.0.1"

static enum upt_code
text(struct upt_config *c, const char *section, const char *arg, const char *key, const char *fallback,
	const char **out, struct upt_err *err)
{
	return upt_ini_string(&c->ini, section, arg, key, fallback, out, err);
}

/* A setting whose absence means NULL. */
static void
optional(struct upt_config *c, const char *section, const char *arg, const char *key, const char **out)
{
	*out = upt_ini_optional(&c->ini, section, arg, key);
}

static enum upt_code
number(struct upt_config *c, const char *section, const char *arg, const char *key, uint64_t fallback,
	uint64_t min, uint64_t max, uint64_t *out, struct upt_err *err)
{
	return upt_ini_u64(&c->ini, section, arg, key, fallback, min, max, out, err);
}

static enum upt_code
byte_limit(struct upt_config *c, const char *section, const char *arg, const char *key, size_t *limit,
	struct upt_err *err)
{
	uint64_t value;

	UPT_TRY(number(c, section, arg, key, *limit, 1024, 1u << 30, &value, err));
	*limit = (size_t)value;
	return UPT_OK;
}

/* Loopback only by its very address: the parser of what is fetched says which host a URL names. */
static bool
is_loopback(const char *url)
{
	char origin[UPT_URL_SHOWN_SIZE];
	size_t len = strlen(LOOPBACK);

	upt_url_show_origin(url, origin);
	return strncmp(origin, LOOPBACK, len) == 0 && strchr(":/", origin[len]) != NULL;
}

static enum upt_code
check_url(const struct upt_ini_entry *entry, const char *url, struct upt_err *err)
{
	struct upt_err why = {0};
	const char *host = strstr(url, "://");
	enum upt_code code = upt_url_check(url, &why);

	if (code == UPT_E_NO_MEMORY)
		return upt_fail(err, code, "%s", why.message);
	/* Three slashes: libcurl would take the path's first name for the host. */
	if (code != UPT_OK || host == NULL || host[3] == '/')
		return upt_ini_fail(err, entry, "'%s' is no URL", url);
	if (!upt_url_is_https(url) && !is_loopback(url))
		return upt_ini_fail(err, entry, "'%s' is no https:// URL", url);
	if (url[strlen(url) - 1] == '/')
		return upt_ini_fail(err, entry, "'%s' ends with a slash", url);
	return UPT_OK;
}

/* What Image repositories have beside the rest. */
static enum upt_code
parse_image_repo(struct upt_config *c, const char *section, const char *arg, struct upt_repo_config *repo,
	struct upt_err *err)
{
	uint64_t value;

	UPT_TRY(byte_limit(c, section, arg, "max_delegated_bytes", &repo->limits.delegated_max_bytes, err));
	UPT_TRY(number(c, section, arg, "max_delegations", repo->limits.max_delegations, 0, 1024, &value,
		err));
	repo->limits.max_delegations = (unsigned)value;
	optional(c, section, arg, "targets_url", &repo->targets_url);
	if (repo->targets_url == NULL)
		return UPT_OK;
	return check_url(upt_ini_find(&c->ini, section, arg, "targets_url"), repo->targets_url, err);
}

enum upt_code
upt_config_parse_repo(struct upt_config *c, const char *section, const char *arg, bool is_director,
	struct upt_repo_config *repo, struct upt_err *err)
{
	struct upt_limits *limits = &repo->limits;

	repo->name = arg[0] != '\0' ? arg : section;
	repo->is_director = is_director;
	*limits = is_director ? UPT_LIMITS_DIRECTOR : UPT_LIMITS_IMAGE;
	UPT_TRY(text(c, section, arg, "url", NULL, &repo->url, err));
	UPT_TRY(check_url(upt_ini_find(&c->ini, section, arg, "url"), repo->url, err));
	UPT_TRY(text(c, section, arg, "root", NULL, &repo->root_path, err));
	UPT_TRY(byte_limit(c, section, arg, "max_root_bytes", &limits->root_max_bytes, err));
	UPT_TRY(byte_limit(c, section, arg, "max_timestamp_bytes", &limits->timestamp_max_bytes, err));
	UPT_TRY(byte_limit(c, section, arg, "max_snapshot_bytes", &limits->snapshot_max_bytes, err));
	UPT_TRY(byte_limit(c, section, arg, "max_targets_bytes", &limits->targets_max_bytes, err));
	return is_director ? UPT_OK : parse_image_repo(c, section, arg, repo, err);
}

enum upt_code
upt_config_parse_choice(struct upt_config *c, const char *section, const char *arg, const char *key,
	const char *const *names, size_t n_names, const char *fallback, size_t *out, struct upt_err *err)
{
	char all[128] = "";
	const char *value;

	UPT_TRY(text(c, section, arg, key, fallback, &value, err));
	for (size_t i = 0; i < n_names; i++) {
		if (strcmp(names[i], value) == 0) {
			*out = i;
			return UPT_OK;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? ", " : "", names[i]);
	}
	return upt_ini_fail(err, upt_ini_find(&c->ini, section, arg, key), "'%s' is none of %s", value, all);
}

static enum upt_code
parse_tls(struct upt_config *c, struct upt_err *err)
{
	uint64_t value;

	optional(c, "tls", "", "ca", &c->tls.ca_path);
	optional(c, "tls", "", "cert", &c->tls.cert_path);
	optional(c, "tls", "", "key", &c->tls.key_path);
	if ((c->tls.cert_path == NULL) != (c->tls.key_path == NULL))
		return upt_fail(err, UPT_E_CONFIG, "[tls] needs both cert and key, or neither");
	optional(c, "network", "", "proxy", &c->tls.proxy);
	UPT_TRY(number(c, "network", "", "connect_timeout_s", 15, 1, 600, &value, err));
	c->tls.connect_timeout_ms = (unsigned)value * 1000;
	UPT_TRY(number(c, "network", "", "min_speed_bytes", 128, 1, 1u << 30, &value, err));
	c->tls.min_speed_bytes = (unsigned)value;
	UPT_TRY(number(c, "network", "", "min_speed_window_s", 30, 1, 3600, &value, err));
	c->tls.min_speed_window_s = (unsigned)value;
	return UPT_OK;
}

static enum upt_code
parse_file_installer(struct upt_config *c, const char *section, const char *arg, struct upt_ecu_config *ecu,
	struct upt_err *err)
{
	UPT_TRY(text(c, section, arg, "path", NULL, &ecu->path, err));
	optional(c, section, arg, "backup_path", &ecu->backup_path);
	return UPT_OK;
}

static enum upt_code
parse_ostree_installer(struct upt_config *c, const char *section, const char *arg,
	struct upt_ecu_config *ecu, struct upt_err *err)
{
	UPT_TRY(text(c, section, arg, "sysroot", "/", &ecu->sysroot, err));
	UPT_TRY(text(c, section, arg, "os", NULL, &ecu->os, err));
	optional(c, section, arg, "remote", &ecu->remote);
	optional(c, section, arg, "cmdline", &ecu->cmdline_path);
	optional(c, section, arg, "boot_id", &ecu->boot_id_path);
	return number(c, section, arg, "reserve_mib", 32, 1, 1u << 20, &ecu->reserve_mib, err);
}

static enum upt_code
parse_installer(struct upt_config *c, const char *section, const char *arg, struct upt_ecu_config *ecu,
	struct upt_err *err)
{
	static const char *const kinds[] = {"file", "ostree", "container", "compose"};
	size_t kind;

	UPT_TRY(text(c, section, arg, "key", NULL, &ecu->key_path, err));
	UPT_TRY(text(c, section, arg, "factory_image", "factory", &ecu->factory_image, err));
	UPT_TRY(upt_config_parse_choice(c, section, arg, "installer", kinds, 4, NULL, &kind, err));
	ecu->kind = (enum upt_installer_kind)(kind + 1);
	if (ecu->kind == UPT_INSTALLER_FILE)
		return parse_file_installer(c, section, arg, ecu, err);
	if (ecu->kind == UPT_INSTALLER_OSTREE)
		return parse_ostree_installer(c, section, arg, ecu, err);
	if (ecu->kind == UPT_INSTALLER_COMPOSE)
		return upt_config_compose(&c->ini, section, arg, &ecu->container, err);
	return upt_config_container(&c->ini, section, arg, &ecu->container, err);
}

/* Signed documents carry ids: bytes that are no text there would be found only at the first cycle. */
static bool
is_text(const char *id, size_t max)
{
	char clean[256];

	if (max >= sizeof(clean) || strlen(id) > max)
		return false;
	memcpy(clean, id, strlen(id) + 1);
	upt_sanitize(clean);
	return strcmp(clean, id) == 0;
}

/* entry: where the id comes from, or NULL for a section's argument. */
static enum upt_code
check_id(const struct upt_ini_entry *entry, const char *what, const char *id, size_t max, struct upt_err *err)
{
	struct upt_err why = {0};

	if (id[0] == '\0' || strlen(id) > max)
		upt_fail(&why, UPT_E_CONFIG, "'%.40s' has %zu characters (1 to %zu)", id, strlen(id), max);
	else if (!is_text(id, max))
		upt_fail(&why, UPT_E_CONFIG, "'%.40s' is not plain UTF-8 text", id);
	if (why.code == UPT_OK)
		return UPT_OK;
	return entry != NULL ? upt_ini_fail(err, entry, "%s", why.message)
			     : upt_fail(err, UPT_E_CONFIG, "%s %s", what, why.message);
}

/* A required id of a section. */
static enum upt_code
parse_id(struct upt_config *c, const char *section, const char *arg, const char *key, size_t max,
	const char **out, struct upt_err *err)
{
	UPT_TRY(text(c, section, arg, key, NULL, out, err));
	return check_id(upt_ini_find(&c->ini, section, arg, key), key, *out, max, err);
}

static enum upt_code
parse_secondary(struct upt_config *c, const char *serial, struct upt_ecu_config *ecu, struct upt_err *err)
{
	static const char *const links[] = {"ip", "virtual"};
	size_t link;

	ecu->serial = serial;
	UPT_TRY(check_id(NULL, "serial of [secondary]", serial, UPT_ECU_SERIAL_MAX, err));
	UPT_TRY(parse_id(c, "secondary", serial, "hardware_id", UPT_HARDWARE_ID_MAX, &ecu->hardware_id, err));
	UPT_TRY(upt_config_parse_choice(c, "secondary", serial, "link", links, 2, NULL, &link, err));
	ecu->is_ip = link == 0;
	if (!ecu->is_ip)
		return parse_installer(c, "secondary", serial, ecu, err);
	UPT_TRY(text(c, "secondary", serial, "address", NULL, &ecu->address, err));
	return number(c, "secondary", serial, "port", 9030, 1, 65535, &ecu->port, err);
}

static enum upt_code
parse_ecus(struct upt_config *c, struct upt_err *err)
{
	const char *serial = NULL;
	size_t n = 1;

	while ((serial = upt_ini_next_argument(&c->ini, "secondary", serial)) != NULL)
		n++;
	if (n > UPT_MAX_VEHICLE_ECUS)
		return upt_fail(err, UPT_E_CONFIG, "%zu ECUs, more than the %d supported", n,
			UPT_MAX_VEHICLE_ECUS);
	c->ecus = upt_arena_alloc(&c->ini.arena, n, sizeof(*c->ecus));
	if (c->ecus == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu ECUs", n);
	UPT_TRY(parse_id(c, "primary", "", "serial", UPT_ECU_SERIAL_MAX, &c->ecus[0].serial, err));
	UPT_TRY(parse_id(c, "primary", "", "hardware_id", UPT_HARDWARE_ID_MAX, &c->ecus[0].hardware_id, err));
	UPT_TRY(parse_installer(c, "primary", "", &c->ecus[0], err));
	c->n_ecus = 1;
	while ((serial = upt_ini_next_argument(&c->ini, "secondary", serial)) != NULL) {
		for (size_t i = 0; i < c->n_ecus; i++) {
			if (strcmp(c->ecus[i].serial, serial) == 0)
				return upt_fail(err, UPT_E_CONFIG, "two ECUs have the serial %s", serial);
		}
		UPT_TRY(parse_secondary(c, serial, &c->ecus[c->n_ecus], err));
		c->n_ecus++;
	}
	return UPT_OK;
}

static enum upt_code
parse_uptane(struct upt_config *c, struct upt_err *err)
{
	static const char *const profiles[] = {"standard", "ota"};
	const char *build_time;
	size_t profile;

	UPT_TRY(parse_id(c, "uptane", "", "vehicle_id", 128, &c->vehicle_id, err));
	UPT_TRY(text(c, "uptane", "", "state_dir", "/var/lib/uptaned", &c->state_dir, err));
	UPT_TRY(upt_config_parse_choice(c, "uptane", "", "profile", profiles, 2, "standard", &profile, err));
	c->profile = (enum upt_profile)profile;
	UPT_TRY(number(c, "uptane", "", "poll_interval_s", 3600, 1, 30 * 86400, &c->poll_interval_s, err));
	UPT_TRY(text(c, "uptane", "", "build_time", "2024-01-01T00:00:00Z", &build_time, err));
	if (!upt_time_parse(upt_span_str(build_time), &c->build_time))
		return upt_ini_fail(err, upt_ini_find(&c->ini, "uptane", "", "build_time"),
			"'%s' is no time YYYY-MM-DDTHH:MM:SSZ", build_time);
	return UPT_OK;
}

static enum upt_code
parse_all(struct upt_config *c, struct upt_err *err)
{
	UPT_TRY(parse_uptane(c, err));
	UPT_TRY(upt_config_parse_repo(c, "director", "", true, &c->director, err));
	UPT_TRY(upt_config_parse_repo(c, "image_repository", "", false, &c->image, err));
	UPT_TRY(upt_config_parse_mappings(c, err));
	UPT_TRY(parse_tls(c, err));
	UPT_TRY(parse_ecus(c, err));
	UPT_TRY(upt_config_parse_trial(c, err));
	UPT_TRY(upt_config_parse_gates(c, err));
	/* A misspelt key would silently leave a default in force: refuse to start instead. */
	return upt_ini_check_all_used(&c->ini, err);
}

enum upt_code
upt_config_load(const char *dir, struct upt_config *config, struct upt_err *err)
{
	enum upt_code code;

	*config = (struct upt_config){0};
	code = upt_ini_read_dir(&config->ini, dir, "uptaned", err);
	if (code == UPT_OK)
		code = parse_all(config, err);
	if (code != UPT_OK)
		upt_config_clear(config);
	return code;
}

void
upt_config_clear(struct upt_config *config)
{
	upt_ini_clear(&config->ini);
	*config = (struct upt_config){0};
}
