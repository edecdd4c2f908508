/*
 * The description of a container in the engine's words, and the volumes it needs. Every label of
 * ours is always set: one that we left out would be the image's own, whoever wrote that.
 */
#include "installer/oci_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define HEALTH_INTERVAL_NS 2e9
#define HEALTH_TIMEOUT_NS 10e9
#define HEALTH_RETRIES 3

/* Appends to an array; false without memory. */
static bool
append(cJSON *array, cJSON *item)
{
	if (cJSON_AddItemToArray(array, item))
		return true;
	cJSON_Delete(item);
	return false;
}

static bool
add_strings(cJSON *json, const char *name, const char *const *items, size_t n)
{
	cJSON *array;

	if (n == 0)
		return true;
	array = cJSON_AddArrayToObject(json, name);
	for (size_t i = 0; i < n; i++) {
		if (!append(array, cJSON_CreateString(items[i])))
			return false;
	}
	return true;
}

/* A limit that is not set is not mentioned. */
static bool
add_limit(cJSON *json, const char *name, uint64_t value)
{
	return value == 0 || cJSON_AddNumberToObject(json, name, (double)value) != NULL;
}

static bool
add_labels(cJSON *json, const struct upt_oci_spec *spec)
{
	cJSON *labels = cJSON_AddObjectToObject(json, "Labels");
	char port[8], timeout[16];

	snprintf(port, sizeof(port), "%u", spec->port);
	snprintf(timeout, sizeof(timeout), "%u", spec->timeout_s);
	return cJSON_AddStringToObject(labels, "uptane.app", spec->app) &&
	       cJSON_AddStringToObject(labels, "uptane.digest", spec->version->digest) &&
	       cJSON_AddStringToObject(labels, "uptane.spec", spec->version->spec) &&
	       cJSON_AddStringToObject(labels, "uptane.port", port) &&
	       cJSON_AddStringToObject(labels, "uptane.alone", spec->alone ? "1" : "") &&
	       cJSON_AddStringToObject(labels, "uptane.health", spec->health) &&
	       cJSON_AddStringToObject(labels, "uptane.timeout", timeout);
}

static bool
is_overridden(const struct upt_oci_run *run, size_t i)
{
	for (size_t k = i + 1; k < run->n_env; k++) {
		if (strcmp(run->env[k].key, run->env[i].key) == 0)
			return true;
	}
	return false;
}

static bool
add_env(cJSON *json, const struct upt_oci_run *run)
{
	cJSON *env = cJSON_AddArrayToObject(json, "Env");

	for (size_t i = 0; i < run->n_env; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf pair = {0};
		if (is_overridden(run, i))
			continue;
		if (upt_buf_printf(&pair, NULL, "%s=%s", run->env[i].key, run->env[i].value) !=
				UPT_OK ||
			!append(env, cJSON_CreateString((const char *)pair.data)))
			return false;
	}
	return env != NULL;
}

/* One port of the host to one of the container, in both of the places where the API wants it. */
static bool
add_port(cJSON *exposed, cJSON *bindings, const struct upt_oci_port *port)
{
	char key[16], host[8];
	cJSON *list, *binding = cJSON_CreateObject();

	snprintf(key, sizeof(key), "%u/%s", port->container, port->udp ? "udp" : "tcp");
	snprintf(host, sizeof(host), "%u", port->host);
	list = cJSON_GetObjectItemCaseSensitive(bindings, key);
	if (list == NULL) {
		list = cJSON_AddArrayToObject(bindings, key);
		if (!cJSON_AddObjectToObject(exposed, key)) {
			cJSON_Delete(binding);
			return false;
		}
	}
	return append(list, binding) && cJSON_AddStringToObject(binding, "HostIp", port->address) &&
	       cJSON_AddStringToObject(binding, "HostPort", host);
}

/* The port of a version is published on loopback only; the engine ignores ports on the host's
 * network. */
static bool
add_ports(cJSON *json, cJSON *host, const struct upt_oci_spec *spec)
{
	const struct upt_oci_port own = {
		.address = "127.0.0.1", .host = spec->port, .container = spec->port};
	cJSON *exposed = cJSON_AddObjectToObject(json, "ExposedPorts");
	cJSON *bindings = cJSON_AddObjectToObject(host, "PortBindings");

	if (spec->port != 0 && !add_port(exposed, bindings, &own))
		return false;
	for (size_t i = 0; i < spec->run->n_ports; i++) {
		if (!add_port(exposed, bindings, &spec->run->ports[i]))
			return false;
	}
	return exposed != NULL && bindings != NULL;
}

static void
volume_name(const char *app, const char *volume, char out[static UPT_OCI_NAME_MAX + 1])
{
	snprintf(out, UPT_OCI_NAME_MAX + 1, "%s-%s", app, volume);
}

static bool
add_mounts(cJSON *host, const struct upt_oci_spec *spec)
{
	cJSON *mounts = cJSON_AddArrayToObject(host, "Mounts");
	char name[UPT_OCI_NAME_MAX + 1];

	for (size_t i = 0; i < spec->run->n_mounts; i++) {
		const struct upt_oci_mount *m = &spec->run->mounts[i];
		cJSON *mount = cJSON_CreateObject();

		if (m->volume != NULL)
			volume_name(spec->app, m->volume, name);
		if (!append(mounts, mount) ||
			!cJSON_AddStringToObject(
				mount, "Type", m->volume != NULL ? "volume" : "bind") ||
			!cJSON_AddStringToObject(
				mount, "Source", m->volume != NULL ? name : m->bind) ||
			!cJSON_AddStringToObject(mount, "Target", m->target) ||
			!cJSON_AddBoolToObject(mount, "ReadOnly", m->read_only))
			return false;
	}
	return mounts != NULL;
}

static bool
add_devices(cJSON *host, const struct upt_oci_run *run)
{
	cJSON *devices = cJSON_AddArrayToObject(host, "Devices");

	for (size_t i = 0; i < run->n_devices; i++) {
		cJSON *device = cJSON_CreateObject();
		if (!append(devices, device) ||
			!cJSON_AddStringToObject(device, "PathOnHost", run->devices[i]) ||
			!cJSON_AddStringToObject(device, "PathInContainer", run->devices[i]) ||
			!cJSON_AddStringToObject(device, "CgroupPermissions", "rw"))
			return false;
	}
	return devices != NULL;
}

static bool
add_host(cJSON *json, const struct upt_oci_spec *spec)
{
	static const char *const no_new[] = {"no-new-privileges"};
	const struct upt_oci_run *run = spec->run;
	cJSON *host = cJSON_AddObjectToObject(json, "HostConfig");
	cJSON *restart = cJSON_AddObjectToObject(host, "RestartPolicy");

	return cJSON_AddStringToObject(
		       restart, "Name", run->restart == NULL ? "unless-stopped" : run->restart) &&
	       add_strings(host, "SecurityOpt", no_new, 1) &&
	       add_strings(host, "CapDrop", run->drop, run->n_drop) &&
	       (spec->network == NULL ||
		       cJSON_AddStringToObject(host, "NetworkMode", spec->network)) &&
	       (!run->read_only || cJSON_AddTrueToObject(host, "ReadonlyRootfs")) &&
	       add_limit(host, "Memory", run->memory_bytes) &&
	       add_limit(host, "NanoCpus", run->cpu_millis * 1000000) &&
	       add_limit(host, "PidsLimit", run->pids) && add_ports(json, host, spec) &&
	       add_mounts(host, spec) && add_devices(host, run);
}

static bool
add_check(cJSON *json, const struct upt_oci_run *run)
{
	const char *test[UPT_OCI_MAX_COMMAND + 1] = {"CMD"};
	cJSON *check;

	if (run->n_check == 0)
		return true;
	for (size_t i = 0; i < run->n_check; i++)
		test[i + 1] = run->check[i];
	check = cJSON_AddObjectToObject(json, "Healthcheck");
	return add_strings(check, "Test", test, run->n_check + 1) &&
	       cJSON_AddNumberToObject(check, "Interval", HEALTH_INTERVAL_NS) &&
	       cJSON_AddNumberToObject(check, "Timeout", HEALTH_TIMEOUT_NS) &&
	       cJSON_AddNumberToObject(check, "Retries", HEALTH_RETRIES);
}

static cJSON *
describe(const struct upt_oci_spec *spec)
{
	const struct upt_oci_run *run = spec->run;
	cJSON *json = cJSON_CreateObject();

	if (cJSON_AddStringToObject(json, "Image", spec->reference) && add_labels(json, spec) &&
		add_env(json, run) && add_strings(json, "Cmd", run->command, run->n_command) &&
		(run->user == NULL || cJSON_AddStringToObject(json, "User", run->user)) &&
		add_check(json, run) && add_host(json, spec))
		return json;
	cJSON_Delete(json);
	return NULL;
}

/* ---- volumes ---- */

static enum upt_code
check_owner(const cJSON *volume, const char *app, const char *name, struct upt_err *err)
{
	const char *owner =
		upt_oci_text(cJSON_GetObjectItemCaseSensitive(volume, "Labels"), "uptane.app");

	if (owner != NULL && strcmp(owner, app) == 0)
		return UPT_OK;
	return upt_fail(
		err, UPT_E_INSTALL, "volume %s is there and is not of application %s", name, app);
}

/* A volume outlives every version. One of that name which somebody else made is his. */
static enum upt_code
ensure_volume(const struct upt_oci *oci, const char *app, const char *volume, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf create = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	char name[UPT_OCI_NAME_MAX + 1];
	enum upt_code code;

	volume_name(app, volume, name);
	UPT_TRY(upt_oci_make_path(&path, oci->prefix, "/volumes/", name, "", err));
	code = upt_oci_call(oci, "GET", &path, &reply, err);
	if (code == UPT_OK) {
		UPT_TRY(upt_oci_parse(&reply, "volume", &json, err));
		return check_owner(json, app, name, err);
	}
	if (code != UPT_E_ABSENT)
		return code;
	json = cJSON_CreateObject();
	if (!cJSON_AddStringToObject(json, "Name", name) ||
		!cJSON_AddStringToObject(
			cJSON_AddObjectToObject(json, "Labels"), "uptane.app", app))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to describe %s", name);
	UPT_TRY(upt_oci_make_path(&create, oci->prefix, "/volumes/create", "", "", err));
	return upt_oci_post(oci, &create, json, err);
}

enum upt_code
upt_oci_create(const struct upt_oci *oci, const struct upt_oci_spec *spec, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = describe(spec);
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	if (json == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to describe %s", spec->name);
	for (size_t i = 0; i < spec->run->n_mounts; i++) {
		if (spec->run->mounts[i].volume != NULL)
			UPT_TRY(ensure_volume(oci, spec->app, spec->run->mounts[i].volume, err));
	}
	UPT_TRY(upt_oci_make_path(
		&path, oci->prefix, "/containers/create?name=", spec->name, "", err));
	return upt_oci_post(oci, &path, json, err);
}
