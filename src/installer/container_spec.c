#include "installer/container_spec.h"

#include <stdio.h>

#include "base/encode.h"
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
read_command(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_ARRAY)
		return malformed(err, "command", "is no array");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (spec->n_command == UPT_CONTAINER_MAX_COMMAND)
			return malformed(err, "command", "has too many arguments");
		UPT_TRY(read_text(spec, &sub, "command", UPT_CONTAINER_TEXT_MAX,
			&spec->command[spec->n_command], err));
		spec->n_command++;
	}
	return UPT_OK;
}

static enum upt_code
read_env(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "env", "is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		struct upt_podman_pair *pair = &spec->env[spec->n_env];
		if (spec->n_env == UPT_CONTAINER_MAX_ENV)
			return malformed(err, "env", "has too many members");
		UPT_TRY(upt_json_decode_string(&spec->arena, sub.key, &pair->key, err));
		if (!upt_container_env_key_ok(pair->key))
			return malformed(err, "env", "has a key that is no variable's name");
		UPT_TRY(read_text(spec, &sub, "env", UPT_CONTAINER_TEXT_MAX, &pair->value, err));
		spec->n_env++;
	}
	return UPT_OK;
}

static enum upt_code
read_health(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return malformed(err, "health", "is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (!upt_json_key_is(&sub, "url"))
			return unknown_member(err, ".health", &sub);
		UPT_TRY(read_text(
			spec, &sub, "health.url", UPT_CONTAINER_URL_MAX, &spec->health_url, err));
		if (!upt_container_health_url_ok(spec->health_url))
			return malformed(err, "health.url", "is no local http address");
	}
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

static enum upt_code
read_container(struct upt_container_spec *spec, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter sub;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "custom.container is no object");
	sub = upt_json_enter(it);
	while (upt_json_next(&sub)) {
		if (upt_json_key_is(&sub, "name"))
			UPT_TRY(read_name(spec, &sub, err));
		else if (upt_json_key_is(&sub, "command"))
			UPT_TRY(read_command(spec, &sub, err));
		else if (upt_json_key_is(&sub, "env"))
			UPT_TRY(read_env(spec, &sub, err));
		else if (upt_json_key_is(&sub, "health"))
			UPT_TRY(read_health(spec, &sub, err));
		else
			return unknown_member(err, "", &sub);
	}
	return UPT_OK;
}

static enum upt_code
read_custom(struct upt_container_spec *spec, struct upt_span custom, struct upt_err *err)
{
	struct upt_json_iter it;

	if (custom.len == 0)
		return UPT_OK;
	if (upt_json_type_of(custom) != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "custom is no object");
	it = upt_json_iter(custom);
	while (upt_json_next(&it)) {
		/* custom holds what other steps read; only "container" is this reader's. */
		if (upt_json_key_is(&it, "container"))
			UPT_TRY(read_container(spec, &it, err));
	}
	return UPT_OK;
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
static bool
host_ok(const char *host, size_t len)
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

static bool
repository_ok(const char *uri)
{
	size_t host_len = strcspn(uri, "/");

	return strlen(uri) <= UPT_CONTAINER_REPOSITORY_MAX && uri[host_len] == '/' &&
	       host_ok(uri, host_len) && path_ok(uri + host_len + 1);
}

enum upt_code
upt_container_reference(const struct upt_install_job *job,
	char out[static UPT_CONTAINER_REFERENCE_SIZE],
	char digest[static UPT_PODMAN_DIGEST_HEX + 1], struct upt_err *err)
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
	if (!repository_ok(job->uri))
		return upt_fail(err, UPT_E_MALFORMED,
			"uri \"%.128s\" is not HOST:PORT/NAME without tag and digest", job->uri);
	upt_hex_encode(upt_span(sha256->bytes, sha256->len), digest);
	snprintf(out, UPT_CONTAINER_REFERENCE_SIZE, "%s@sha256:%s", job->uri, digest);
	return UPT_OK;
}
