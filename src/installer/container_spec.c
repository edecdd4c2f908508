#include "installer/container_spec.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/encode.h"
#include "crypto/crypto.h"
#include "json/json.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool
only(const char *text, size_t len, const char *allowed)
{
	return len > 0 && strspn(text, allowed) >= len;
}

bool
upt_container_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len <= UPT_CONTAINER_NAME_MAX && only(name, len, LOWER DIGITS "-") &&
	       name[0] != '-' && name[len - 1] != '-';
}

bool
upt_container_env_key_ok(const char *key)
{
	size_t len = strlen(key);

	return len <= 128 && only(key, len, LOWER UPPER DIGITS "_") &&
	       strchr(DIGITS, key[0]) == NULL;
}

bool
upt_container_path_ok(const char *path)
{
	if (path[0] != '/' || strlen(path) > UPT_CONTAINER_PATH_MAX)
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");
		if (!only(path, len, LOWER UPPER DIGITS "._-+@=") || (len == 1 && path[0] == '.') ||
			(len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

/* Length of a leading ":1" to ":65535" or ":%p" in text; 0 when it begins with neither. */
static size_t
port_length(const char *text)
{
	size_t n;
	unsigned long port;

	if (strncmp(text, ":%p", 3) == 0)
		return 3;
	if (text[0] != ':')
		return 0;
	n = strspn(text + 1, DIGITS);
	if (n == 0 || n > 5 || text[1] == '0')
		return 0;
	port = strtoul(text + 1, NULL, 10);
	return port <= UINT16_MAX ? n + 1 : 0;
}

bool
upt_container_health_url_ok(const char *url)
{
	static const char *const hosts[] = {"http://127.0.0.1", "http://localhost"};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const char *rest = url + strlen(hosts[i]);
		if (strncmp(url, hosts[i], strlen(hosts[i])) != 0)
			continue;
		rest += port_length(rest);
		return rest[0] == '/' && strlen(url) <= UPT_CONTAINER_URL_MAX &&
		       only(rest, strlen(rest), LOWER UPPER DIGITS "/-._~?&=");
	}
	return false;
}

/* ---- custom.container ---- */

static enum upt_code
malformed(struct upt_err *err, const char *member, const char *reason)
{
	return upt_fail(err, UPT_E_MALFORMED, "custom.container.%s %s", member, reason);
}

static enum upt_code
unknown_member(struct upt_err *err, const char *object, const struct upt_json_iter *it)
{
	int len = it->key.len > 64 ? 64 : (int)it->key.len;

	return upt_fail(err, UPT_E_MALFORMED, "custom.container%s: this build knows no member %.*s",
		object, len, (const char *)it->key.data);
}

/* The current string value, at most max bytes; what names it in a message. */
static enum upt_code
read_text(struct upt_container_spec *spec, struct upt_json_iter *it, const char *what, size_t max,
	const char **out, struct upt_err *err)
{
	struct upt_span raw;
	const char *text;

	if (!upt_json_raw_string(it, &raw))
		return malformed(err, what, "is no string");
	/* An escape makes a raw text at most six times as long as what it says. */
	if (raw.len > 6 * max)
		return malformed(err, what, "is too long");
	UPT_TRY(upt_json_decode_string(&spec->arena, raw, &text, err));
	if (strlen(text) > max)
		return malformed(err, what, "is too long");
	*out = text;
	return UPT_OK;
}

static enum upt_code
read_texts(struct upt_container_spec *spec, struct upt_json_iter *it, const char *what,
	const char **out, size_t max, size_t *n, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_ARRAY)
		return malformed(err, what, "is no array");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (*n == max)
			return malformed(err, what, "has too many elements");
		UPT_TRY(read_text(spec, &sub, what, UPT_CONTAINER_TEXT_MAX, &out[*n], err));
		++*n;
	}
	return UPT_OK;
}

static enum upt_code
read_bool(struct upt_json_iter *it, const char *what, bool *out, struct upt_err *err)
{
	*out = it->type == UPT_JSON_TRUE;
	if (it->type != UPT_JSON_TRUE && it->type != UPT_JSON_FALSE)
		return malformed(err, what, "is neither true nor false");
	return UPT_OK;
}

static enum upt_code
read_number(struct upt_json_iter *it, const char *what, uint64_t max, uint64_t *out,
	struct upt_err *err)
{
	*out = 0;
	if (!upt_json_u64(it, out) || *out == 0 || *out > max) {
		*out = 0;
		return upt_fail(err, UPT_E_MALFORMED,
			"custom.container.%s is no number from 1 to %ju", what, (uintmax_t)max);
	}
	return UPT_OK;
}

static enum upt_code
read_path(struct upt_container_spec *spec, struct upt_json_iter *it, const char *what,
	const char **out, struct upt_err *err)
{
	UPT_TRY(read_text(spec, it, what, UPT_CONTAINER_PATH_MAX, out, err));
	return upt_container_path_ok(*out) ? UPT_OK
					   : malformed(err, what, "is no plain absolute path");
}

static enum upt_code
read_command(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	return read_texts(spec, it, "command", spec->run.command, UPT_OCI_MAX_COMMAND,
		&spec->run.n_command, err);
}

static enum upt_code
read_env(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "env", "is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		struct upt_oci_pair *pair = &spec->run.env[spec->run.n_env];
		if (spec->run.n_env == UPT_OCI_MAX_ENV)
			return malformed(err, "env", "has too many members");
		UPT_TRY(upt_json_decode_string(&spec->arena, sub.key, &pair->key, err));
		if (!upt_container_env_key_ok(pair->key))
			return malformed(err, "env", "has a key that is no variable's name");
		UPT_TRY(read_text(spec, &sub, "env", UPT_CONTAINER_TEXT_MAX, &pair->value, err));
		spec->run.n_env++;
	}
	return UPT_OK;
}

static enum upt_code
read_mount(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_oci_mount *mount,
	struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "mounts", "has an element that is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (upt_json_key_is(&sub, "volume"))
			UPT_TRY(read_text(spec, &sub, "mounts.volume", UPT_CONTAINER_NAME_MAX,
				&mount->volume, err));
		else if (upt_json_key_is(&sub, "bind"))
			UPT_TRY(read_path(spec, &sub, "mounts.bind", &mount->bind, err));
		else if (upt_json_key_is(&sub, "target"))
			UPT_TRY(read_path(spec, &sub, "mounts.target", &mount->target, err));
		else if (upt_json_key_is(&sub, "read_only"))
			UPT_TRY(read_bool(&sub, "mounts.read_only", &mount->read_only, err));
		else
			return unknown_member(err, ".mounts", &sub);
	}
	if ((mount->volume == NULL) == (mount->bind == NULL) || mount->target == NULL)
		return malformed(err, "mounts", "needs a target, and a volume or a bind");
	if (mount->volume != NULL && !upt_container_name_ok(mount->volume))
		return malformed(err, "mounts.volume", "is no volume's name");
	return UPT_OK;
}

static enum upt_code
read_mounts(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_ARRAY)
		return malformed(err, "mounts", "is no array");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (run->n_mounts == UPT_OCI_MAX_LISTED)
			return malformed(err, "mounts", "has too many elements");
		UPT_TRY(read_mount(spec, &sub, &run->mounts[run->n_mounts], err));
		for (size_t i = 0; i < run->n_mounts; i++) {
			if (strcmp(run->mounts[i].target, run->mounts[run->n_mounts].target) == 0)
				return malformed(err, "mounts.target", "comes twice");
		}
		run->n_mounts++;
	}
	return UPT_OK;
}

static enum upt_code
read_port(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_oci_port *port,
	struct upt_err *err)
{
	const char *protocol = "tcp";
	uint64_t host = 0, container = 0;
	struct upt_json_iter sub;
	uint8_t binary[16];

	port->address = "127.0.0.1";
	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "ports", "has an element that is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (upt_json_key_is(&sub, "host"))
			UPT_TRY(read_number(&sub, "ports.host", UINT16_MAX, &host, err));
		else if (upt_json_key_is(&sub, "container"))
			UPT_TRY(read_number(&sub, "ports.container", UINT16_MAX, &container, err));
		else if (upt_json_key_is(&sub, "protocol"))
			UPT_TRY(read_text(spec, &sub, "ports.protocol", 8, &protocol, err));
		else if (upt_json_key_is(&sub, "address"))
			UPT_TRY(read_text(spec, &sub, "ports.address", 64, &port->address, err));
		else
			return unknown_member(err, ".ports", &sub);
	}
	port->udp = strcmp(protocol, "udp") == 0;
	if (host == 0 || container == 0)
		return malformed(err, "ports", "needs host and container");
	if (!port->udp && strcmp(protocol, "tcp") != 0)
		return malformed(err, "ports.protocol", "is neither tcp nor udp");
	if (inet_pton(AF_INET, port->address, binary) != 1 &&
		inet_pton(AF_INET6, port->address, binary) != 1)
		return malformed(err, "ports.address", "is no numeric address");
	port->host = (uint16_t)host;
	port->container = (uint16_t)container;
	return UPT_OK;
}

static enum upt_code
read_ports(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_ARRAY)
		return malformed(err, "ports", "is no array");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (spec->run.n_ports == UPT_OCI_MAX_LISTED)
			return malformed(err, "ports", "has too many elements");
		UPT_TRY(read_port(spec, &sub, &spec->run.ports[spec->run.n_ports], err));
		spec->run.n_ports++;
	}
	return UPT_OK;
}

static enum upt_code
read_devices(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;

	UPT_TRY(read_texts(
		spec, it, "devices", run->devices, UPT_OCI_MAX_LISTED, &run->n_devices, err));
	for (size_t i = 0; i < run->n_devices; i++) {
		if (!upt_container_path_ok(run->devices[i]) ||
			strncmp(run->devices[i], "/dev/", 5) != 0)
			return malformed(err, "devices", "has an element that is no device");
	}
	return UPT_OK;
}

/* No "always": Docker starts such a container with itself, also one that was stopped for good. */
static enum upt_code
read_restart(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	static const char *const known[] = {"no", "on-failure", "unless-stopped"};

	UPT_TRY(read_text(spec, it, "restart", 32, &spec->run.restart, err));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(spec->run.restart, known[i]) == 0)
			return UPT_OK;
	}
	return malformed(err, "restart", "is none of no, on-failure, unless-stopped");
}

static enum upt_code
read_user(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	const char *user, *colon;
	size_t len;

	UPT_TRY(read_text(spec, it, "user", 64, &user, err));
	colon = strchr(user, ':');
	len = colon == NULL ? strlen(user) : (size_t)(colon - user);
	if (!only(user, len, LOWER DIGITS "_-") ||
		(colon != NULL && !only(colon + 1, strlen(colon + 1), LOWER DIGITS "_-")))
		return malformed(err, "user", "is no USER[:GROUP]");
	spec->run.user = user;
	return UPT_OK;
}

static enum upt_code
read_read_only(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	return read_bool(it, "read_only", &spec->run.read_only, err);
}

static enum upt_code
read_drop(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;

	UPT_TRY(read_texts(
		spec, it, "drop_capabilities", run->drop, UPT_OCI_MAX_LISTED, &run->n_drop, err));
	for (size_t i = 0; i < run->n_drop; i++) {
		size_t len = strlen(run->drop[i]);
		if (len > 32 || !only(run->drop[i], len, UPPER "_"))
			return malformed(err, "drop_capabilities", "names no capability");
	}
	return UPT_OK;
}

static enum upt_code
read_limits(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "limits", "is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (upt_json_key_is(&sub, "memory_bytes"))
			UPT_TRY(read_number(&sub, "limits.memory_bytes", (uint64_t)1 << 50,
				&run->memory_bytes, err));
		else if (upt_json_key_is(&sub, "cpu_millis"))
			UPT_TRY(read_number(
				&sub, "limits.cpu_millis", 1000000, &run->cpu_millis, err));
		else if (upt_json_key_is(&sub, "pids"))
			UPT_TRY(read_number(&sub, "limits.pids", 1 << 22, &run->pids, err));
		else
			return unknown_member(err, ".limits", &sub);
	}
	return UPT_OK;
}

static enum upt_code
read_health(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_oci_run *run = &spec->run;
	struct upt_json_iter sub;
	uint64_t timeout_s = 0;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "health", "is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (upt_json_key_is(&sub, "url"))
			UPT_TRY(read_text(spec, &sub, "health.url", UPT_CONTAINER_URL_MAX,
				&spec->health_url, err));
		else if (upt_json_key_is(&sub, "command"))
			UPT_TRY(read_texts(spec, &sub, "health.command", run->check,
				UPT_OCI_MAX_COMMAND, &run->n_check, err));
		else if (upt_json_key_is(&sub, "engine"))
			UPT_TRY(read_bool(&sub, "health.engine", &spec->health_engine, err));
		else if (upt_json_key_is(&sub, "timeout_s"))
			UPT_TRY(read_number(&sub, "health.timeout_s", UPT_CONTAINER_MAX_TIMEOUT_S,
				&timeout_s, err));
		else
			return unknown_member(err, ".health", &sub);
	}
	if (spec->health_url != NULL && !upt_container_health_url_ok(spec->health_url))
		return malformed(err, "health.url", "is no local http address");
	if ((spec->health_url != NULL) + (run->n_check > 0) + spec->health_engine > 1)
		return malformed(err, "health", "is more than one of url, command and engine");
	spec->health_engine = spec->health_engine || run->n_check > 0;
	spec->health_timeout_s = (unsigned)timeout_s;
	return UPT_OK;
}

static enum upt_code
read_name(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	UPT_TRY(read_text(spec, it, "name", UPT_CONTAINER_NAME_MAX, &spec->name, err));
	if (!upt_container_name_ok(spec->name))
		return malformed(err, "name", "is no application's name");
	return UPT_OK;
}

static const struct {
	const char *name;
	enum upt_code (*read)(
		struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err);
} members[] = {
	{"name", read_name},
	{"command", read_command},
	{"env", read_env},
	{"mounts", read_mounts},
	{"ports", read_ports},
	{"devices", read_devices},
	{"restart", read_restart},
	{"user", read_user},
	{"read_only", read_read_only},
	{"drop_capabilities", read_drop},
	{"limits", read_limits},
	{"health", read_health},
};

static enum upt_code
read_container(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	const size_t n_members = sizeof(members) / sizeof(members[0]);
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "custom.container is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		size_t i = 0;
		while (i < n_members && !upt_json_key_is(&sub, members[i].name))
			i++;
		if (i == n_members)
			return unknown_member(err, "", &sub);
		UPT_TRY(members[i].read(spec, &sub, err));
	}
	return UPT_OK;
}

/* Of the canonical text: spelt otherwise it is still the same description. */
static enum upt_code
set_digest(struct upt_container_spec *spec, struct upt_span container, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	struct upt_digest digest;

	if (container.len > 0)
		UPT_TRY(upt_json_canonical(container, UPT_JSON_UTF8, &text, err));
	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&text), &digest, err));
	upt_hex_encode(upt_span(digest.bytes, UPT_OCI_SPEC_HEX / 2), spec->digest);
	return UPT_OK;
}

static enum upt_code
read_custom(struct upt_container_spec *spec, struct upt_span custom, struct upt_err *err)
{
	struct upt_span container = {0};
	struct upt_json_iter it;

	if (custom.len > 0 && upt_json_type_of(custom) != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "custom is no object");
	it = upt_json_iter(custom);
	while (custom.len > 0 && upt_json_next(&it)) {
		/* custom holds what other steps read; only "container" is this reader's. */
		if (!upt_json_key_is(&it, "container"))
			continue;
		container = upt_json_value(&it);
		UPT_TRY(read_container(spec, &it, err));
	}
	return set_digest(spec, container, err);
}

void
upt_container_spec_clear(struct upt_container_spec *spec)
{
	upt_arena_clear(&spec->arena);
	*spec = (struct upt_container_spec){0};
}

enum upt_code
upt_container_spec_parse(
	struct upt_span custom, struct upt_container_spec *out, struct upt_err *err)
{
	enum upt_code code;

	*out = (struct upt_container_spec){0};
	code = read_custom(out, custom, err);
	if (code != UPT_OK)
		upt_container_spec_clear(out);
	return code;
}

/* ---- the reference ---- */

/* HOST or HOST:PORT of len characters that no registry search could take for a path. */
bool
upt_container_registry_ok(const char *host, size_t len)
{
	const char *colon = memchr(host, ':', len);
	size_t name_len = colon == NULL ? len : (size_t)(colon - host);

	if (colon != NULL && (colon[1] == '%' || port_length(colon) != len - name_len))
		return false;
	if (!only(host, name_len, LOWER UPPER DIGITS ".-") || host[0] == '-' || host[0] == '.')
		return false;
	return colon != NULL || memchr(host, '.', len) != NULL ||
	       (len == 9 && memcmp(host, "localhost", 9) == 0);
}

/* Components of lower-case letters and digits with inner ".", "_", "-", separated by slashes. */
static bool
path_ok(const char *path)
{
	while (true) {
		size_t len = strcspn(path, "/");
		if (!only(path, len, LOWER DIGITS "._-") || strchr("._-", path[0]) != NULL ||
			strchr("._-", path[len - 1]) != NULL)
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

bool
upt_container_repository_ok(const char *uri)
{
	size_t host_len = strcspn(uri, "/");

	return strlen(uri) <= UPT_CONTAINER_REPOSITORY_MAX && uri[host_len] == '/' &&
	       upt_container_registry_ok(uri, host_len) && path_ok(uri + host_len + 1);
}

enum upt_code
upt_container_reference(const struct upt_install_job *job,
	char out[static UPT_CONTAINER_REFERENCE_SIZE], char digest[static UPT_OCI_DIGEST_HEX + 1],
	struct upt_err *err)
{
	const struct upt_digest *sha256 = upt_image_digest(job->image, UPT_HASH_SHA256);

	out[0] = digest[0] = '\0';
	if (sha256 == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "%s lists no sha256, the manifest's digest",
			job->image->name);
	/* "Every listed hash": one that cannot be checked is not one that matched. */
	if (job->image->n_digests != 1)
		return upt_fail(err, UPT_E_UNSUPPORTED,
			"%s lists a hash beside sha256, which no engine checks", job->image->name);
	if (job->uri == NULL)
		return upt_fail(
			err, UPT_E_MALFORMED, "%s names no repository (uri)", job->image->name);
	if (!upt_container_repository_ok(job->uri))
		return upt_fail(err, UPT_E_MALFORMED,
			"uri \"%.128s\" is not HOST:PORT/NAME without tag and digest", job->uri);
	upt_hex_encode(upt_span(sha256->bytes, sha256->len), digest);
	snprintf(out, UPT_CONTAINER_REFERENCE_SIZE, "%s@sha256:%s", job->uri, digest);
	return UPT_OK;
}
