#include "installer/podman.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <cjson/cJSON.h>

#define API "/v4.0.0/libpod"
#define REPLY_MAX_BYTES ((size_t)1 << 20)
#define PULL_MAX_BYTES ((size_t)8 << 20) /* of progress lines, not of layers */
#define LINE_MAX_BYTES ((size_t)64 * 1024)
#define LOG_MAX_BYTES ((size_t)256 * 1024)
#define JSON "application/json"

static void
json_free(cJSON **json)
{
	cJSON_Delete(*json);
}

/* Appends text percent-encoded, so that no name can end a path or add a parameter. */
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

/* before + encoded name + after, e.g. "/containers/" NAME "/start". */
static enum upt_code
make_path(struct upt_buf *path, const char *before, const char *name, const char *after,
	struct upt_err *err)
{
	UPT_TRY(upt_buf_printf(path, err, "%s%s", API, before));
	UPT_TRY(append_encoded(path, name, err));
	return upt_buf_append(path, after, strlen(after), err);
}

/* A request without a body; reply may be NULL when nobody reads it. */
static enum upt_code
call(const struct upt_engine_http *http, const char *method, const struct upt_buf *path,
	struct upt_buf *reply, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf ignored = {0};
	long status = 0;
	enum upt_code code = http->request(http->ctx, method, (const char *)path->data, NULL,
		upt_span(NULL, 0), REPLY_MAX_BYTES, reply == NULL ? &ignored : reply, &status, err);

	/* "Not modified": it runs, or is stopped, already. */
	return code == UPT_E_SERVER && status == 304 ? UPT_OK : code;
}

static enum upt_code
call_on(const struct upt_engine_http *http, const char *method, const char *before,
	const char *name, const char *after, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};

	UPT_TRY(make_path(&path, before, name, after, err));
	return call(http, method, &path, NULL, err);
}

static enum upt_code
parse_reply(const struct upt_buf *reply, const char *what, cJSON **out, struct upt_err *err)
{
	*out = reply->len == 0 ? NULL
			       : cJSON_ParseWithLength((const char *)reply->data, reply->len);
	if (*out == NULL)
		return upt_fail(err, UPT_E_SERVER, "the engine's %s is no JSON", what);
	return UPT_OK;
}

/* The text of a string member; NULL when it is absent or no string. */
static const char *
get_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
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
is_digest_hex(const char *text)
{
	return text != NULL && strlen(text) == UPT_PODMAN_DIGEST_HEX &&
	       strspn(text, "0123456789abcdef") == UPT_PODMAN_DIGEST_HEX;
}

/* ---- pull ---- */

struct pull {
	const struct upt_install_progress *progress;
	struct upt_buf line;
	uint64_t n_layers;
	uint64_t reported_ms;
	bool pulled;
	enum upt_code failure; /* what an "error" line means */
	struct upt_err error;
};

static uint64_t
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
pull_report(struct pull *pull)
{
	uint64_t now = monotonic_ms();

	if (pull->progress == NULL || pull->progress->report == NULL)
		return;
	if (pull->reported_ms != 0 && now - pull->reported_ms < 300)
		return;
	pull->reported_ms = now;
	pull->progress->report(pull->progress->ctx, "pull", pull->n_layers, 0, "layers");
}

/* One line of the stream. The engine answers a failed pull with 200 and says so in a line only. */
static enum upt_code
pull_line(struct pull *pull, struct upt_err *err)
{
	upt_cleanup(json_free) cJSON *json = NULL;
	const char *text;

	if (pull->line.len == 0)
		return UPT_OK;
	UPT_TRY(parse_reply(&pull->line, "pull progress", &json, err));
	text = get_text(json, "error");
	if (cJSON_HasObjectItem(json, "error")) {
		bool full = text != NULL && strstr(text, "no space left on device") != NULL;
		pull->failure = upt_fail(&pull->error, full ? UPT_E_NO_SPACE : UPT_E_SERVER,
			"the engine cannot pull: %s", text == NULL ? "no reason given" : text);
	}
	text = get_text(json, "id");
	if (text != NULL && text[0] != '\0')
		pull->pulled = true;
	text = get_text(json, "stream");
	if (text != NULL && strncmp(text, "Copying blob", 12) == 0)
		pull->n_layers++;
	pull_report(pull);
	return UPT_OK;
}

static enum upt_code
pull_sink(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct pull *pull = ctx;

	if (pull->progress != NULL && pull->progress->cancel != NULL && *pull->progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "the pull was cancelled");
	while (chunk.len > 0) {
		const uint8_t *newline = memchr(chunk.data, '\n', chunk.len);
		size_t n = newline == NULL ? chunk.len : (size_t)(newline - chunk.data);
		if (pull->line.len + n > LINE_MAX_BYTES)
			return upt_fail(err, UPT_E_TOO_LARGE,
				"the engine sent a line of more than %zu bytes", LINE_MAX_BYTES);
		UPT_TRY(upt_buf_append(&pull->line, chunk.data, n, err));
		if (newline == NULL)
			return UPT_OK;
		UPT_TRY(pull_line(pull, err));
		pull->line.len = 0;
		chunk = upt_span(newline + 1, chunk.len - n - 1);
	}
	return UPT_OK;
}

static void
pull_clear(struct pull *pull)
{
	upt_buf_clear(&pull->line);
}

enum upt_code
upt_podman_pull(const struct upt_engine_http *http, const char *reference, bool tls_verify,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(pull_clear) struct pull pull = {.progress = progress};
	long status = 0;

	UPT_TRY(make_path(&path, "/images/pull?reference=", reference,
		tls_verify ? "&tlsVerify=true" : "&tlsVerify=false", err));
	UPT_TRY(http->stream(http->ctx, (const char *)path.data, PULL_MAX_BYTES, pull_sink, &pull,
		&status, err));
	UPT_TRY(pull_line(&pull, err));
	if (pull.failure != UPT_OK)
		return upt_fail(err, pull.failure, "%s", pull.error.message);
	if (!pull.pulled)
		return upt_fail(err, UPT_E_SERVER, "the engine ended the pull without an image");
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
upt_podman_has_image(const struct upt_engine_http *http, const char *what, const char *digest,
	bool *has, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(json_free) cJSON *json = NULL;
	enum upt_code code;

	*has = false;
	UPT_TRY(make_path(&path, "/images/", what, "/json", err));
	code = call(http, "GET", &path, &reply, err);
	if (code == UPT_E_ABSENT)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	UPT_TRY(parse_reply(&reply, "image", &json, err));
	*has = lists_digest(cJSON_GetObjectItemCaseSensitive(json, "RepoDigests"), digest);
	return UPT_OK;
}

enum upt_code
upt_podman_remove_image(
	const struct upt_engine_http *http, const char *reference, struct upt_err *err)
{
	enum upt_code code = call_on(http, "DELETE", "/images/", reference, "", err);

	return code == UPT_E_ABSENT ? UPT_OK : code;
}

/* ---- containers ---- */

/* Reads one entry of the list; false when it is not one that this program made. */
static bool
read_container(const cJSON *json, const char *app, struct upt_podman_container *out)
{
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "Labels");
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "Names");
	const char *digest = get_text(labels, "uptane.digest");
	const char *label = get_text(labels, "uptane.app");
	const char *port = get_text(labels, "uptane.port");
	const char *state = get_text(json, "State");
	char expected[UPT_PODMAN_NAME_MAX + 1];

	*out = (struct upt_podman_container){0};
	if (label == NULL || strcmp(label, app) != 0 || !is_digest_hex(digest))
		return false;
	snprintf(expected, sizeof(expected), "%s-%.12s", app, digest);
	if (!copy_text(cJSON_GetStringValue(cJSON_GetArrayItem(names, 0)), out->name,
		    sizeof(out->name)) ||
		strcmp(out->name, expected) != 0)
		return false;
	if (!copy_text(get_text(json, "Id"), out->id, sizeof(out->id)))
		return false;
	memcpy(out->digest, digest, sizeof(out->digest));
	if (port != NULL && strlen(port) <= 5 && strtoul(port, NULL, 10) <= UINT16_MAX)
		out->port = (uint16_t)strtoul(port, NULL, 10);
	if (!copy_text(get_text(labels, "uptane.health"), out->health_url, sizeof(out->health_url)))
		out->health_url[0] = '\0';
	if (!copy_text(get_text(json, "Image"), out->image, sizeof(out->image)))
		out->image[0] = '\0';
	out->running = state != NULL && strcmp(state, "running") == 0;
	out->stopped =
		state != NULL && (strcmp(state, "exited") == 0 || strcmp(state, "created") == 0);
	return true;
}

enum upt_code
upt_podman_list(const struct upt_engine_http *http, const char *app, struct upt_podman_list *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(json_free) cJSON *json = NULL;
	char filter[UPT_PODMAN_NAME_MAX + 64];
	const cJSON *item;

	*out = (struct upt_podman_list){0};
	snprintf(filter, sizeof(filter), "{\"label\":[\"uptane.app=%s\"]}", app);
	UPT_TRY(make_path(&path, "/containers/json?all=true&filters=", filter, "", err));
	UPT_TRY(call(http, "GET", &path, &reply, err));
	UPT_TRY(parse_reply(&reply, "list of containers", &json, err));
	if (!cJSON_IsArray(json) && !cJSON_IsNull(json))
		return upt_fail(err, UPT_E_SERVER, "the engine's list of containers is no array");
	cJSON_ArrayForEach(item, json)
	{
		struct upt_podman_container found;
		if (!read_container(item, app, &found))
			continue;
		if (out->n == UPT_PODMAN_MAX_CONTAINERS)
			return upt_fail(err, UPT_E_SERVER, "more than %d containers of %s",
				UPT_PODMAN_MAX_CONTAINERS, app);
		out->items[out->n++] = found;
	}
	return UPT_OK;
}

/*
 * Adds all members of a container to create; false without memory. All four labels are always set:
 * one that we leave out would be the image's own, whoever wrote that.
 */
static bool
fill_spec(cJSON *json, const struct upt_podman_spec *spec)
{
	cJSON *labels = cJSON_AddObjectToObject(json, "labels");
	cJSON *env = cJSON_AddObjectToObject(json, "env");
	char port[8];

	snprintf(port, sizeof(port), "%u", spec->port);
	if (!cJSON_AddStringToObject(json, "name", spec->name) ||
		!cJSON_AddStringToObject(json, "image", spec->reference) ||
		!cJSON_AddStringToObject(labels, "uptane.app", spec->app) ||
		!cJSON_AddStringToObject(labels, "uptane.digest", spec->digest) ||
		!cJSON_AddStringToObject(labels, "uptane.port", port) ||
		!cJSON_AddStringToObject(labels, "uptane.health",
			spec->health_url == NULL ? "" : spec->health_url) ||
		!cJSON_AddStringToObject(json, "restart_policy", "unless-stopped") ||
		!cJSON_AddTrueToObject(json, "no_new_privileges"))
		return false;
	for (size_t i = 0; i < spec->n_env; i++) {
		cJSON_DeleteItemFromObjectCaseSensitive(env, spec->env[i].key);
		if (!cJSON_AddStringToObject(env, spec->env[i].key, spec->env[i].value))
			return false;
	}
	return true;
}

/* On a bridge the port is published on loopback only; the engine ignores this on the host's
 * network. */
static bool
fill_network(cJSON *json, const struct upt_podman_spec *spec)
{
	cJSON *netns, *mappings, *mapping;

	if (spec->network != NULL) {
		netns = cJSON_AddObjectToObject(json, "netns");
		if (!cJSON_AddStringToObject(netns, "nsmode", spec->network))
			return false;
	}
	if (spec->port == 0)
		return true;
	mappings = cJSON_AddArrayToObject(json, "portmappings");
	mapping = cJSON_CreateObject();
	if (!cJSON_AddItemToArray(mappings, mapping)) {
		cJSON_Delete(mapping);
		return false;
	}
	return cJSON_AddStringToObject(mapping, "host_ip", "127.0.0.1") &&
	       cJSON_AddNumberToObject(mapping, "host_port", spec->port) &&
	       cJSON_AddNumberToObject(mapping, "container_port", spec->port);
}

static bool
fill_command(cJSON *json, const struct upt_podman_spec *spec)
{
	cJSON *command;

	if (spec->n_command == 0)
		return true;
	command = cJSON_AddArrayToObject(json, "command");
	for (size_t i = 0; i < spec->n_command; i++) {
		cJSON *item = cJSON_CreateString(spec->command[i]);
		if (!cJSON_AddItemToArray(command, item)) {
			cJSON_Delete(item);
			return false;
		}
	}
	return true;
}

static void
text_free(char **text)
{
	cJSON_free(*text);
}

enum upt_code
upt_podman_create(
	const struct upt_engine_http *http, const struct upt_podman_spec *spec, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(json_free) cJSON *json = cJSON_CreateObject();
	upt_cleanup(text_free) char *text = NULL;
	long status = 0;

	if (fill_spec(json, spec) && fill_network(json, spec) && fill_command(json, spec))
		text = cJSON_PrintUnformatted(json);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to describe %s", spec->name);
	return http->request(http->ctx, "POST", API "/containers/create", JSON, upt_span_str(text),
		REPLY_MAX_BYTES, &reply, &status, err);
}

enum upt_code
upt_podman_start(const struct upt_engine_http *http, const char *name, struct upt_err *err)
{
	return call_on(http, "POST", "/containers/", name, "/start", err);
}

enum upt_code
upt_podman_stop(const struct upt_engine_http *http, const char *name, unsigned timeout_s,
	struct upt_err *err)
{
	char after[48];
	enum upt_code code;

	snprintf(after, sizeof(after), "/stop?timeout=%u", timeout_s);
	code = call_on(http, "POST", "/containers/", name, after, err);
	return code == UPT_E_ABSENT ? UPT_OK : code;
}

enum upt_code
upt_podman_remove(const struct upt_engine_http *http, const char *name, struct upt_err *err)
{
	enum upt_code code =
		call_on(http, "DELETE", "/containers/", name, "?force=true&v=true", err);

	return code == UPT_E_ABSENT ? UPT_OK : code;
}

enum upt_code
upt_podman_inspect(const struct upt_engine_http *http, const char *name,
	struct upt_podman_state *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(json_free) cJSON *json = NULL;
	const cJSON *state, *exit_code, *n_restarts;
	const char *status, *digest;

	*out = (struct upt_podman_state){0};
	UPT_TRY(make_path(&path, "/containers/", name, "/json", err));
	UPT_TRY(call(http, "GET", &path, &reply, err));
	UPT_TRY(parse_reply(&reply, "container", &json, err));
	state = cJSON_GetObjectItemCaseSensitive(json, "State");
	exit_code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
	n_restarts = cJSON_GetObjectItemCaseSensitive(json, "RestartCount");
	status = get_text(state, "Status");
	if (status == NULL || !cJSON_IsNumber(exit_code) || !cJSON_IsNumber(n_restarts) ||
		!(n_restarts->valuedouble >= 0) ||
		!copy_text(get_text(json, "Image"), out->image_id, sizeof(out->image_id))) {
		*out = (struct upt_podman_state){0};
		return upt_fail(err, UPT_E_SERVER, "the engine does not say how %s is", name);
	}
	out->running = strcmp(status, "running") == 0;
	out->gone = strcmp(status, "exited") == 0 || strcmp(status, "created") == 0 ||
		    strcmp(status, "stopped") == 0 || strcmp(status, "dead") == 0;
	out->exit_code = exit_code->valueint;
	out->n_restarts = (uint64_t)n_restarts->valueint;
	digest = get_text(json, "ImageDigest");
	if (digest != NULL && strncmp(digest, "sha256:", 7) == 0 && is_digest_hex(digest + 7))
		memcpy(out->image_digest, digest + 7, sizeof(out->image_digest));
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
upt_podman_last_words(const struct upt_engine_http *http, const char *name,
	char out[static UPT_PODMAN_LOG_MAX + 1])
{
	upt_cleanup(upt_buf_clear) struct upt_buf path = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	long status = 0;
	size_t len, start, n = 0;

	out[0] = '\0';
	if (make_path(&path, "/containers/", name, "/logs?stdout=true&stderr=true&tail=8", NULL) !=
			UPT_OK ||
		http->request(http->ctx, "GET", (const char *)path.data, NULL, upt_span(NULL, 0),
			LOG_MAX_BYTES, &reply, &status, NULL) != UPT_OK ||
		reply.len == 0)
		return;
	len = strip_frames(reply.data, reply.len);
	while (len > 0 && (reply.data[len - 1] == '\n' || reply.data[len - 1] == '\r'))
		len--;
	start = len > UPT_PODMAN_LOG_MAX ? len - UPT_PODMAN_LOG_MAX : 0;
	/* ASCII only: an application must not drive the terminal that shows its last words. */
	for (size_t i = start; i < len; i++) {
		uint8_t c = reply.data[i];
		out[n++] = c == '\n' ? '|' : c < 0x20 || c > 0x7e ? '?' : (char)c;
	}
	out[n] = '\0';
}
