#include "installer/oci_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define REPLY_MAX_BYTES ((size_t)1 << 20)
#define LOG_MAX_BYTES ((size_t)256 * 1024)
#define JSON "application/json"
#define API_MINOR_MIN 40u
#define API_MINOR_KNOWN 41u /* what this was written for */

bool
upt_oci_version_equal(const struct upt_oci_version *a, const struct upt_oci_version *b)
{
	return strcmp(a->digest, b->digest) == 0 && strcmp(a->spec, b->spec) == 0;
}

static enum upt_code
append_encoded(struct upt_buf *path, const char *text, struct upt_err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	for (const char *c = text; *c != '\0'; c++) {
		if (strchr(plain, *c) != NULL)
			UPT_TRY(upt_buf_append(path, c, 1, err));
		else
			UPT_TRY(upt_buf_printf(path, err, "%%%02X", (unsigned char)*c));
	}
	return UPT_OK;
}

enum upt_code
upt_oci_make_path(struct upt_buf *path, const char *api, const char *before, const char *name,
	const char *after, struct upt_err *err)
{
	UPT_TRY(upt_buf_printf(path, err, "%s%s", api, before));
	UPT_TRY(append_encoded(path, name, err));
	return upt_buf_append(path, after, strlen(after), err);
}

/* A full disk answers as an error of the engine, in its words. */
static enum upt_code
name_failure(enum upt_code code, struct upt_err *err)
{
	if (code == UPT_E_SERVER && err != NULL &&
		strstr(err->message, "no space left on device") != NULL)
		return upt_fail(err, UPT_E_NO_SPACE, "%s", err->message);
	return code;
}

enum upt_code
upt_oci_call(const struct upt_oci *oci, const char *method, const struct upt_buf *path,
	struct upt_buf *reply, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf ignored = {0};
	long status = 0;
	enum upt_code code = oci->http->request(oci->http->ctx, method, (const char *)path->data,
		NULL, upt_span(NULL, 0), REPLY_MAX_BYTES, reply == NULL ? &ignored : reply, &status,
		err);

	/* "Not modified": it runs, or is stopped, already. */
	return code == UPT_E_SERVER && status == 304 ? UPT_OK : name_failure(code, err);
}

static enum upt_code
call_on(const struct upt_oci *oci, const char *method, const char *before, const char *name,
	const char *after, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	UPT_TRY(upt_oci_make_path(&path, oci->prefix, before, name, after, err));
	return upt_oci_call(oci, method, &path, NULL, err);
}

static void
text_free(char **text)
{
	cJSON_free(*text);
}

enum upt_code
upt_oci_post(const struct upt_oci *oci, const struct upt_buf *path, const cJSON *json,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(text_free) char *text = cJSON_PrintUnformatted(json);
	long status = 0;

	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a request to the engine");
	return name_failure(
		oci->http->request(oci->http->ctx, "POST", (const char *)path->data, JSON,
			upt_span_str(text), REPLY_MAX_BYTES, &reply, &status, err),
		err);
}

enum upt_code
upt_oci_parse(const struct upt_buf *reply, const char *what, cJSON **out, struct upt_err *err)
{
	*out = reply->len == 0 ? NULL
			       : cJSON_ParseWithLength((const char *)reply->data, reply->len);
	if (*out == NULL)
		return upt_fail(err, UPT_E_SERVER, "the engine's %s is no JSON", what);
	return UPT_OK;
}

const char *
upt_oci_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* GET of one object; UPT_E_ABSENT when the engine has none. */
static enum upt_code
get_json(const struct upt_oci *oci, const char *before, const char *name, const char *after,
	const char *what, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};

	UPT_TRY(upt_oci_make_path(&path, oci->prefix, before, name, after, err));
	UPT_TRY(upt_oci_call(oci, "GET", &path, &reply, err));
	return upt_oci_parse(&reply, what, out, err);
}

/* Copies a string that must fit; false else. */
static bool
copy_text(const char *text, char *out, size_t size)
{
	size_t len = text == NULL ? size : strlen(text);

	if (len >= size)
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static bool
is_hex(const char *text, size_t len)
{
	return text != NULL && strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* ---- who answers ---- */

/* "1.N" with N in *minor. */
static bool
read_api_version(const char *text, unsigned *minor)
{
	size_t n;

	*minor = 0;
	if (text == NULL || strncmp(text, "1.", 2) != 0)
		return false;
	n = strspn(text + 2, "0123456789");
	if (n == 0 || n > 3 || text[2 + n] != '\0')
		return false;
	*minor = (unsigned)strtoul(text + 2, NULL, 10);
	return true;
}

/* Only Podman has a component of its name; Docker's first one is "Engine". */
static bool
lists_podman(const cJSON *version)
{
	const cJSON *component;

	cJSON_ArrayForEach(component, cJSON_GetObjectItemCaseSensitive(version, "Components"))
	{
		const char *name = upt_oci_text(component, "Name");
		if (name != NULL && strcmp(name, "Podman Engine") == 0)
			return true;
	}
	return false;
}

enum upt_code
upt_oci_connect(struct upt_oci *oci, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	unsigned newest, oldest;

	if (oci->prefix[0] != '\0')
		return UPT_OK;
	UPT_TRY(get_json(oci, "/version", "", "", "version", &json, err));
	if (!read_api_version(upt_oci_text(json, "ApiVersion"), &newest) ||
		!read_api_version(upt_oci_text(json, "MinAPIVersion"), &oldest))
		return upt_fail(err, UPT_E_SERVER, "the engine does not say which API it has");
	if (newest < API_MINOR_MIN)
		return upt_fail(err, UPT_E_UNSUPPORTED, "the engine's API is 1.%u, older than 1.%u",
			newest, API_MINOR_MIN);
	oci->is_podman = lists_podman(json);
	if ((oci->kind == UPT_ENGINE_PODMAN && !oci->is_podman) ||
		(oci->kind == UPT_ENGINE_DOCKER && oci->is_podman))
		return upt_fail(err, UPT_E_CONFIG, "%s answers on the engine's socket, not %s",
			oci->is_podman ? "Podman" : "Docker", oci->is_podman ? "Docker" : "Podman");
	if (newest > API_MINOR_KNOWN)
		newest = oldest > API_MINOR_KNOWN ? oldest : API_MINOR_KNOWN;
	snprintf(oci->prefix, sizeof(oci->prefix), "/v1.%u", newest);
	return UPT_OK;
}

/* ---- images ---- */

/* True when the list of NAME@sha256:HEX holds one with that digest. */
static bool
lists_digest(const cJSON *repo_digests, const char *digest)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, repo_digests)
	{
		const char *text = cJSON_GetStringValue(item);
		const char *at = text == NULL ? NULL : strstr(text, "@sha256:");
		if (at != NULL && strcmp(at + strlen("@sha256:"), digest) == 0)
			return true;
	}
	return false;
}

enum upt_code
upt_oci_has_image(const struct upt_oci *oci, const char *what, const char *digest, bool *has,
	struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	enum upt_code code;

	*has = false;
	code = get_json(oci, "/images/", what, "/json", "image", &json, err);
	if (code == UPT_E_ABSENT)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	*has = lists_digest(cJSON_GetObjectItemCaseSensitive(json, "RepoDigests"), digest);
	return UPT_OK;
}

enum upt_code
upt_oci_remove_image(const struct upt_oci *oci, const char *reference, struct upt_err *err)
{
	enum upt_code code = call_on(oci, "DELETE", "/images/", reference, "", err);

	return code == UPT_E_ABSENT ? UPT_OK : code;
}

/* ---- containers ---- */

void
upt_oci_container_name(const char *app, const struct upt_oci_version *version,
	char out[static UPT_OCI_NAME_MAX + 1])
{
	snprintf(out, UPT_OCI_NAME_MAX + 1, "%s-%.12s%s%.8s", app, version->digest,
		version->spec[0] == '\0' ? "" : "-", version->spec);
}

/* The labels of a version; false when they are not such as we write. */
static bool
read_version(const cJSON *labels, struct upt_oci_version *out)
{
	const char *digest = upt_oci_text(labels, "uptane.digest");
	const char *spec = upt_oci_text(labels, "uptane.spec");

	if (!is_hex(digest, UPT_OCI_DIGEST_HEX))
		return false;
	memcpy(out->digest, digest, sizeof(out->digest));
	if (spec == NULL || spec[0] == '\0') /* made before descriptions had a digest */
		return true;
	if (!is_hex(spec, UPT_OCI_SPEC_HEX))
		return false;
	memcpy(out->spec, spec, sizeof(out->spec));
	return true;
}

/* A label that is a number up to max; 0 when it is none. */
static unsigned
read_number(const cJSON *labels, const char *name, unsigned long max)
{
	const char *text = upt_oci_text(labels, name);

	if (text == NULL || strlen(text) > 5 || text[strspn(text, "0123456789")] != '\0' ||
		strtoul(text, NULL, 10) > max)
		return 0;
	return (unsigned)strtoul(text, NULL, 10);
}

/* Reads one entry of the list; false when it is not one that this program made. */
static bool
read_container(const cJSON *json, const char *app, struct upt_oci_container *out)
{
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "Labels");
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "Names");
	const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));
	const char *label = upt_oci_text(labels, "uptane.app");
	const char *alone = upt_oci_text(labels, "uptane.alone");
	const char *state = upt_oci_text(json, "State");

	*out = (struct upt_oci_container){0};
	if (label == NULL || strcmp(label, app) != 0 || !read_version(labels, &out->version))
		return false;
	upt_oci_container_name(app, &out->version, out->name);
	if (name == NULL || name[0] != '/' || strcmp(name + 1, out->name) != 0)
		return false;
	if (!copy_text(upt_oci_text(json, "Id"), out->id, sizeof(out->id)))
		return false;
	out->port = (uint16_t)read_number(labels, "uptane.port", UINT16_MAX);
	out->timeout_s = read_number(labels, "uptane.timeout", 3600);
	out->alone = alone != NULL && strcmp(alone, "1") == 0;
	if (!copy_text(upt_oci_text(labels, "uptane.health"), out->health, sizeof(out->health)))
		out->health[0] = '\0';
	if (!copy_text(upt_oci_text(json, "Image"), out->image, sizeof(out->image)))
		out->image[0] = '\0';
	out->running = state != NULL && strcmp(state, "running") == 0;
	out->stopped =
		state != NULL && (strcmp(state, "exited") == 0 || strcmp(state, "created") == 0);
	return true;
}

/* The containers with a label; all of them, whether they run or not. */
static enum upt_code
get_list(struct upt_oci *oci, const char *filter, cJSON **out, struct upt_err *err)
{
	enum upt_code code = get_json(oci, "/containers/json?all=true&filters=", filter, "",
		"list of containers", out, err);

	if (code == UPT_OK && !cJSON_IsArray(*out) && !cJSON_IsNull(*out))
		code = upt_fail(err, UPT_E_SERVER, "the engine's list of containers is no array");
	if (code != UPT_OK)
		oci->prefix[0] = '\0';
	return code;
}

enum upt_code
upt_oci_list(struct upt_oci *oci, const char *app, struct upt_oci_list *out, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	char filter[UPT_OCI_NAME_MAX + 64];
	const cJSON *item;

	*out = (struct upt_oci_list){0};
	snprintf(filter, sizeof(filter), "{\"label\":[\"uptane.app=%s\"]}", app);
	UPT_TRY(get_list(oci, filter, &json, err));
	cJSON_ArrayForEach(item, json)
	{
		struct upt_oci_container found;
		if (!read_container(item, app, &found))
			continue;
		if (out->n == UPT_OCI_MAX_CONTAINERS)
			return upt_fail(err, UPT_E_SERVER, "more than %d containers of %s",
				UPT_OCI_MAX_CONTAINERS, app);
		out->items[out->n++] = found;
	}
	return UPT_OK;
}

enum upt_code
upt_oci_list_project(struct upt_oci *oci, const char *project, struct upt_oci_member *out,
	size_t max, size_t *n, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	char filter[UPT_OCI_NAME_MAX + 64];
	const cJSON *item;

	*n = 0;
	snprintf(
		filter, sizeof(filter), "{\"label\":[\"com.docker.compose.project=%s\"]}", project);
	UPT_TRY(get_list(oci, filter, &json, err));
	cJSON_ArrayForEach(item, json)
	{
		const cJSON *labels = cJSON_GetObjectItemCaseSensitive(item, "Labels");
		const cJSON *names = cJSON_GetObjectItemCaseSensitive(item, "Names");
		const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));
		const char *oneoff = upt_oci_text(labels, "com.docker.compose.oneoff");

		if (oneoff != NULL && strcasecmp(oneoff, "true") == 0)
			continue;
		if (*n == max || name == NULL || name[0] != '/' ||
			!copy_text(name + 1, out[*n].name, sizeof(out->name)) ||
			!copy_text(upt_oci_text(labels, "com.docker.compose.service"),
				out[*n].service, sizeof(out->service)))
			return upt_fail(err, UPT_E_SERVER,
				"project %s has more than %zu containers, or one without a name",
				project, max);
		++*n;
	}
	return UPT_OK;
}

enum upt_code
upt_oci_start(const struct upt_oci *oci, const char *name, struct upt_err *err)
{
	return call_on(oci, "POST", "/containers/", name, "/start", err);
}

enum upt_code
upt_oci_stop(const struct upt_oci *oci, const char *name, unsigned timeout_s, struct upt_err *err)
{
	char after[48];
	enum upt_code code;

	snprintf(after, sizeof(after), "/stop?t=%u", timeout_s);
	code = call_on(oci, "POST", "/containers/", name, after, err);
	return code == UPT_E_ABSENT ? UPT_OK : code;
}

enum upt_code
upt_oci_remove(const struct upt_oci *oci, const char *name, struct upt_err *err)
{
	enum upt_code code =
		call_on(oci, "DELETE", "/containers/", name, "?force=true&v=true", err);

	return code == UPT_E_ABSENT ? UPT_OK : code;
}

enum upt_code
upt_oci_inspect(
	const struct upt_oci *oci, const char *name, struct upt_oci_state *out, struct upt_err *err)
{
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	const cJSON *state, *exit_code, *n_restarts;
	const char *status, *health;

	*out = (struct upt_oci_state){0};
	UPT_TRY(get_json(oci, "/containers/", name, "/json", "container", &json, err));
	state = cJSON_GetObjectItemCaseSensitive(json, "State");
	exit_code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
	n_restarts = cJSON_GetObjectItemCaseSensitive(json, "RestartCount");
	status = upt_oci_text(state, "Status");
	if (status == NULL || !cJSON_IsNumber(exit_code) || !cJSON_IsNumber(n_restarts) ||
		!(n_restarts->valuedouble >= 0) ||
		!copy_text(upt_oci_text(json, "Image"), out->image_id, sizeof(out->image_id))) {
		*out = (struct upt_oci_state){0};
		return upt_fail(err, UPT_E_SERVER, "the engine does not say how %s is", name);
	}
	out->running = strcmp(status, "running") == 0;
	out->gone = strcmp(status, "exited") == 0 || strcmp(status, "created") == 0 ||
		    strcmp(status, "stopped") == 0 || strcmp(status, "dead") == 0;
	health = upt_oci_text(cJSON_GetObjectItemCaseSensitive(state, "Health"), "Status");
	out->healthy = health != NULL && strcmp(health, "healthy") == 0;
	out->exit_code = exit_code->valueint;
	out->n_restarts = (uint64_t)n_restarts->valueint;
	return UPT_OK;
}

enum upt_code
upt_oci_check_health(
	const struct upt_oci *oci, const char *name, bool *healthy, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(upt_oci_json_free) cJSON *json = NULL;
	struct upt_oci_state state;
	const char *status;

	*healthy = false;
	if (!oci->is_podman) {
		UPT_TRY(upt_oci_inspect(oci, name, &state, err));
		*healthy = state.healthy;
		return UPT_OK;
	}
	UPT_TRY(upt_oci_make_path(
		&path, UPT_OCI_LIBPOD, "/containers/", name, "/healthcheck", err));
	UPT_TRY(upt_oci_call(oci, "GET", &path, &reply, err));
	UPT_TRY(upt_oci_parse(&reply, "health", &json, err));
	status = upt_oci_text(json, "Status");
	*healthy = status != NULL && strcmp(status, "healthy") == 0;
	return UPT_OK;
}

/* ---- log ---- */

/*
 * Takes the 8-byte headers (stream, three zeros, big-endian length) out of a log, in place; the log
 * of a container with a terminal has none and stays as it is.
 */
static size_t
strip_frames(uint8_t *data, size_t len)
{
	size_t in = 0, out = 0;

	while (len - in >= 8 && data[in] <= 2 && data[in + 1] == 0) {
		size_t n = (size_t)data[in + 4] << 24 | (size_t)data[in + 5] << 16 |
			   (size_t)data[in + 6] << 8 | data[in + 7];
		in += 8;
		if (n > len - in)
			n = len - in;
		memmove(data + out, data + in, n);
		in += n;
		out += n;
	}
	return in == 0 ? len : out;
}

void
upt_oci_last_words(
	const struct upt_oci *oci, const char *name, char out[static UPT_OCI_LOG_MAX + 1])
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	long status = 0;
	size_t len, start, n = 0;

	out[0] = '\0';
	if (upt_oci_make_path(&path, oci->prefix, "/containers/", name,
		    "/logs?stdout=true&stderr=true&tail=8", NULL) != UPT_OK ||
		oci->http->request(oci->http->ctx, "GET", (const char *)path.data, NULL,
			upt_span(NULL, 0), LOG_MAX_BYTES, &reply, &status, NULL) != UPT_OK ||
		reply.len == 0)
		return;
	len = strip_frames(reply.data, reply.len);
	while (len > 0 && (reply.data[len - 1] == '\n' || reply.data[len - 1] == '\r'))
		len--;
	start = len > UPT_OCI_LOG_MAX ? len - UPT_OCI_LOG_MAX : 0;
	/* ASCII only: an application must not drive the terminal that shows its last words. */
	for (size_t i = start; i < len; i++) {
		uint8_t c = reply.data[i];
		out[n++] = c == '\n' ? '|' : c < 0x20 || c > 0x7e ? '?' : (char)c;
	}
	out[n] = '\0';
}
