#include "fake_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#define API "/v1.41"
#define LIBPOD "/v4.0.0/libpod"

struct reply {
	long status;
	size_t text_len; /* 0: to its NUL */
	char text[16384];
};

struct fake_container *
fake_find(struct fake_engine *fake, const char *name)
{
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		if (fake->containers[i].used && strcmp(fake->containers[i].name, name) == 0)
			return &fake->containers[i];
	}
	return NULL;
}

unsigned
fake_running(const struct fake_engine *fake)
{
	unsigned found = 0;

	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		if (!fake->containers[i].used || fake->containers[i].status != FAKE_RUNNING)
			continue;
		found = found == 0 ? fake->containers[i].version : 99;
	}
	return found;
}

unsigned
fake_count(const struct fake_engine *fake)
{
	unsigned n = 0;

	for (size_t i = 0; i < FAKE_CONTAINERS; i++)
		n += fake->containers[i].used;
	return n;
}

void
fake_power_cycle(struct fake_engine *fake)
{
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		if (fake->containers[i].status == FAKE_RUNNING)
			fake->containers[i].status = FAKE_EXITED;
	}
	fake->crashed = false;
	fake->crash_at = 0;
}

/* Percent-decodes text up to end into out. */
static void
decode(const char *text, const char *end, char *out, size_t size)
{
	size_t n = 0;

	while (text < end) {
		assert_true(n + 1 < size);
		if (*text == '%') {
			char hex[3] = {text[1], text[2], '\0'};
			out[n++] = (char)strtol(hex, NULL, 16);
			text += 3;
		} else {
			out[n++] = *text++;
		}
	}
	out[n] = '\0';
}

unsigned
fake_version_of(const struct fake_engine *fake, const char *reference)
{
	for (unsigned v = 1; v < FAKE_VERSIONS; v++) {
		char expected[512];
		snprintf(expected, sizeof(expected), FAKE_REPOSITORY "@sha256:%s", fake->digest[v]);
		if (strcmp(reference, expected) == 0)
			return v;
		snprintf(expected, sizeof(expected), FAKE_MIRRORED "@sha256:%s", fake->digest[v]);
		if (strcmp(reference, expected) == 0)
			return v;
		snprintf(expected, sizeof(expected), "sha256:id-%u", v);
		if (strcmp(reference, expected) == 0)
			return v;
	}
	return 0;
}

static void answer(struct reply *reply, long status, const char *fmt, ...) UPT_PRINTF(3, 4);

static void
answer(struct reply *reply, long status, const char *fmt, ...)
{
	va_list args;

	reply->status = status;
	va_start(args, fmt);
	assert_true(
		vsnprintf(reply->text, sizeof(reply->text), fmt, args) < (int)sizeof(reply->text));
	va_end(args);
}

static const char *
status_name(enum fake_status status)
{
	return status == FAKE_RUNNING ? "running" : status == FAKE_EXITED ? "exited" : "created";
}

static void
do_image(struct fake_engine *fake, const char *method, const char *name, struct reply *reply)
{
	unsigned v = fake_version_of(fake, name);
	bool by_id = strncmp(name, "sha256:", 7) == 0;
	bool by_mirror = strncmp(name, FAKE_MIRROR, strlen(FAKE_MIRROR)) == 0;

	if (v == 0 || !fake->present[v] || (!by_id && by_mirror != fake->from_mirror[v])) {
		answer(reply, 404, "{\"message\":\"image not known\"}");
		return;
	}
	if (strcmp(method, "DELETE") == 0) {
		for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
			if (fake->containers[i].used && fake->containers[i].version == v) {
				answer(reply, 409, "{\"message\":\"in use\"}");
				return;
			}
		}
		fake->present[v] = false;
		answer(reply, 200, "{}");
		return;
	}
	answer(reply, 200, "{\"Id\":\"sha256:id-%u\",\"RepoDigests\":[\"%s@sha256:%s\"]}", v,
		fake->from_mirror[v] ? FAKE_MIRRORED : FAKE_REPOSITORY, fake->digest[v]);
}

static void
do_list(struct fake_engine *fake, const char *query, struct reply *reply)
{
	char filter[256], expected[256];
	size_t n = 0;
	const char *filters = strstr(query, "filters=");

	assert_non_null(filters);
	decode(filters + 8, query + strlen(query), filter, sizeof(filter));
	n += (size_t)snprintf(reply->text, sizeof(reply->text), "[");
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		const struct fake_container *c = &fake->containers[i];
		if (c->service[0] != '\0')
			snprintf(expected, sizeof(expected),
				"{\"label\":[\"com.docker.compose.project=%s\"]}", c->project);
		else
			snprintf(expected, sizeof(expected), "{\"label\":[\"uptane.app=%s\"]}",
				c->app);
		if (!c->used || strcmp(filter, expected) != 0)
			continue;
		n += (size_t)snprintf(reply->text + n, sizeof(reply->text) - n,
			"%s{\"Id\":\"cid%zu\",\"Names\":[\"/%s\"],\"State\":\"%s\",\"Image\":"
			"\"" FAKE_REPOSITORY "@sha256:%s\",\"Labels\":{\"uptane.app\":\"%s\","
			"\"uptane.digest\":\"%s\",\"uptane.port\":\"%s\",\"uptane.health\":\"%s\","
			"\"uptane.spec\":\"%s\",\"uptane.alone\":\"%s\",\"uptane.timeout\":\"%s\","
			"\"com.docker.compose.service\":\"%s\"}}",
			n > 1 ? "," : "", i, c->name,
			fake->list_exited_as != NULL && c->status == FAKE_EXITED
				? fake->list_exited_as
				: status_name(c->status),
			fake->digest[c->version], c->app, c->digest, c->port_label, c->health_label,
			c->spec, c->alone_label, c->timeout_label, c->service);
	}
	snprintf(reply->text + n, sizeof(reply->text) - n, "]");
	reply->status = 200;
}

static const char *
text_of(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));

	assert_non_null(text);
	return text;
}

struct fake_container *
fake_new_container(struct fake_engine *fake)
{
	struct fake_container *c = NULL;

	for (size_t i = 0; i < FAKE_CONTAINERS && c == NULL; i++)
		c = fake->containers[i].used ? NULL : &fake->containers[i];
	assert_non_null(c);
	memset(c, 0, sizeof(*c));
	return c;
}

static void
do_create(struct fake_engine *fake, const char *name, struct upt_span body, struct reply *reply)
{
	cJSON *json = cJSON_ParseWithLength((const char *)body.data, body.len);
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "Labels");
	const cJSON *pair;
	struct fake_container *c;

	assert_non_null(json);
	snprintf(fake->last_create, sizeof(fake->last_create), "%.*s", (int)body.len,
		(const char *)body.data);
	c = fake_new_container(fake);
	decode(name, name + strlen(name), c->name, sizeof(c->name));
	snprintf(c->spec, sizeof(c->spec), "%s", text_of(labels, "uptane.spec"));
	snprintf(c->alone_label, sizeof(c->alone_label), "%s", text_of(labels, "uptane.alone"));
	snprintf(c->timeout_label, sizeof(c->timeout_label), "%s",
		text_of(labels, "uptane.timeout"));
	snprintf(c->app, sizeof(c->app), "%s", text_of(labels, "uptane.app"));
	snprintf(c->digest, sizeof(c->digest), "%s", text_of(labels, "uptane.digest"));
	snprintf(c->port_label, sizeof(c->port_label), "%s", text_of(labels, "uptane.port"));
	snprintf(c->health_label, sizeof(c->health_label), "%s", text_of(labels, "uptane.health"));
	c->version = fake_version_of(fake, text_of(json, "Image"));
	cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(json, "Env"))
	{
		if (strncmp(cJSON_GetStringValue(pair), "PORT=", 5) == 0)
			c->port = (unsigned)strtoul(cJSON_GetStringValue(pair) + 5, NULL, 10);
	}
	if (fake->full_at_create)
		answer(reply, 500, "{\"cause\":\"no space left on device\"}");
	else if (fake_find(fake, c->name) != NULL || c->version == 0 || !fake->present[c->version])
		answer(reply, 500, "{\"message\":\"name in use, or no such image\"}");
	else
		answer(reply, 201, "{\"Id\":\"x\"}");
	c->used = reply->status == 201;
	cJSON_Delete(json);
}

void
fake_start(struct fake_engine *fake, struct fake_container *c)
{
	c->n_restarts = 0;
	c->status = fake->dies[c->version] ? FAKE_EXITED : FAKE_RUNNING;
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		const struct fake_container *other = &fake->containers[i];
		/* the port is taken: it ends at once, as a server does */
		if (other != c && other->used && other->status == FAKE_RUNNING && c->port != 0 &&
			other->port == c->port)
			c->status = FAKE_EXITED;
	}
}

static void
do_start(struct fake_engine *fake, struct fake_container *c, struct reply *reply)
{
	answer(reply, 204, "%s", "");
	if (c->status == FAKE_RUNNING) {
		reply->status = 304;
		return;
	}
	if (fake->full_at_start) {
		answer(reply, 500, "{\"cause\":\"no space left on device\"}");
		return;
	}
	if (fake->start_fails[c->version]) {
		answer(reply, 500, "{\"message\":\"no such entrypoint\"}");
		return;
	}
	fake_start(fake, c);
}

static void
do_inspect(struct fake_engine *fake, struct fake_container *c, struct reply *reply)
{
	if (fake->flaps[c->version])
		c->n_restarts++;
	answer(reply, 200,
		"{\"Image\":\"sha256:id-%u\",\"RestartCount\":%u,"
		"\"State\":{\"Status\":\"%s\",\"ExitCode\":%d,\"Health\":{\"Status\":\"%s\"}}}",
		c->version, c->n_restarts, status_name(c->status), c->status == FAKE_EXITED ? 3 : 0,
		fake->is_docker && fake->engine_check_passes ? "healthy" : "starting");
}

static void
do_container(struct fake_engine *fake, const char *method, const char *rest, struct reply *reply)
{
	size_t len = strcspn(rest, "/?");
	char name[128];
	struct fake_container *c;

	decode(rest, rest + len, name, sizeof(name));
	c = fake_find(fake, name);
	rest += len;
	if (c == NULL) {
		answer(reply, 404, "{\"message\":\"no such container\"}");
	} else if (strcmp(method, "DELETE") == 0) {
		c->used = false;
		answer(reply, 200, "[]");
	} else if (strcmp(rest, "/start") == 0) {
		do_start(fake, c, reply);
	} else if (strncmp(rest, "/stop?t=", 8) == 0) {
		answer(reply, c->status == FAKE_RUNNING || !fake->is_docker ? 204 : 304, "%s", "");
		if (c->status == FAKE_RUNNING)
			c->status = FAKE_EXITED;
	} else if (strcmp(rest, "/json") == 0) {
		do_inspect(fake, c, reply);
	} else if (strcmp(rest, "/healthcheck") == 0) {
		answer(reply, 200, "{\"Status\":\"%s\"}",
			fake->engine_check_passes ? "healthy" : "unhealthy");
	} else if (strncmp(rest, "/logs?", 6) == 0) {
		answer(reply, 200, "%s", "");
		reply->text_len = fake->log.len;
		if (fake->log.len > 0)
			memcpy(reply->text, fake->log.data, fake->log.len);
	} else {
		fail_msg("unexpected %s %s", method, rest);
	}
}

static void
do_version(struct fake_engine *fake, struct reply *reply)
{
	if (fake->version != NULL)
		answer(reply, 200, "%s", fake->version);
	else
		answer(reply, 200,
			"{\"Components\":[{\"Name\":\"%s\",\"Version\":\"1\"}],"
			"\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\"}",
			fake->is_docker ? "Engine" : "Podman Engine");
}

static struct fake_volume *
find_volume(struct fake_engine *fake, const char *name)
{
	for (size_t i = 0; i < FAKE_VOLUMES; i++) {
		if (strcmp(fake->volumes[i].name, name) == 0)
			return &fake->volumes[i];
	}
	return NULL;
}

static void
do_create_volume(struct fake_engine *fake, struct upt_span body, struct reply *reply)
{
	cJSON *json = cJSON_ParseWithLength((const char *)body.data, body.len);
	struct fake_volume *volume = find_volume(fake, "");

	assert_non_null(volume);
	assert_null(find_volume(fake, text_of(json, "Name")));
	snprintf(volume->name, sizeof(volume->name), "%s", text_of(json, "Name"));
	snprintf(volume->app, sizeof(volume->app), "%s",
		text_of(cJSON_GetObjectItemCaseSensitive(json, "Labels"), "uptane.app"));
	answer(reply, 201, "{}");
	cJSON_Delete(json);
}

static void
do_volume(struct fake_engine *fake, const char *name, struct reply *reply)
{
	const struct fake_volume *volume = find_volume(fake, name);

	if (volume == NULL)
		answer(reply, 404, "{\"message\":\"no such volume\"}");
	else
		answer(reply, 200, "{\"Name\":\"%s\",\"Labels\":{\"uptane.app\":\"%s\"}}", name,
			volume->app);
}

static void
dispatch(struct fake_engine *fake, const char *method, const char *path, struct upt_span body,
	struct reply *reply)
{
	char name[512];

	if (strcmp(path, "/version") == 0) {
		do_version(fake, reply);
		return;
	}
	if (strncmp(path, LIBPOD, strlen(LIBPOD)) == 0) {
		assert_false(fake->is_docker);
		assert_non_null(strstr(path, "/healthcheck"));
		path += strlen(LIBPOD);
	} else {
		assert_memory_equal(path, API, strlen(API));
		path += strlen(API);
	}
	if (fake->garbage != NULL && strcmp(method, "GET") == 0) {
		answer(reply, 200, "%s", fake->garbage);
		fake->garbage = NULL;
	} else if (strncmp(path, "/images/", 8) == 0) {
		size_t len = strcspn(path + 8, "/?");
		decode(path + 8, path + 8 + len, name, sizeof(name));
		do_image(fake, method, name, reply);
	} else if (strncmp(path, "/containers/json?all=true&", 26) == 0) {
		do_list(fake, path, reply);
	} else if (strncmp(path, "/containers/create?name=", 24) == 0) {
		do_create(fake, path + 24, body, reply);
	} else if (strcmp(path, "/volumes/create") == 0) {
		do_create_volume(fake, body, reply);
	} else if (strncmp(path, "/volumes/", 9) == 0) {
		do_volume(fake, path + 9, reply);
	} else if (strncmp(path, "/containers/", 12) == 0) {
		do_container(fake, method, path + 12, reply);
	} else {
		fail_msg("unexpected %s %s", method, path);
	}
}

bool
fake_power_fails_before(struct fake_engine *fake)
{
	fake->n_calls++;
	if (fake->crash_at != 0 && fake->n_calls == fake->crash_at && !fake->crash_after)
		fake->crashed = true;
	return fake->crashed;
}

bool
fake_power_fails_after(struct fake_engine *fake)
{
	if (fake->crash_at != 0 && fake->n_calls == fake->crash_at)
		fake->crashed = true;
	return fake->crashed;
}

static enum upt_code
request(void *ctx, const char *method, const char *path, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	struct fake_engine *fake = ctx;
	struct reply reply = {0};

	*status = 0;
	assert_int_equal(content_type == NULL, body.len == 0);
	if (fake_power_fails_before(fake))
		return upt_fail(err, UPT_E_NETWORK, "no answer");
	dispatch(fake, method, path, body, &reply);
	if (fake_power_fails_after(fake))
		return upt_fail(err, UPT_E_NETWORK, "no answer");
	*status = reply.status;
	if (reply.text_len == 0)
		reply.text_len = strlen(reply.text);
	assert_true(reply.text_len <= max_reply_bytes);
	out->len = 0;
	assert_int_equal(upt_buf_append(out, reply.text, reply.text_len, NULL), UPT_OK);
	if (reply.status == 404)
		return upt_fail(err, UPT_E_ABSENT, "404: %s", reply.text);
	if (reply.status >= 300)
		return upt_fail(err, UPT_E_SERVER, "%ld: %s", reply.status, reply.text);
	return UPT_OK;
}

#define LAYER(status, detail, id)                                                                  \
	"{\"status\":\"" status "\",\"progressDetail\":{" detail "},\"id\":\"" id "\"}\n"

static enum upt_code
stream(void *ctx, const struct upt_engine_stream *stream, long *status, struct upt_err *err)
{
	struct fake_engine *fake = ctx;
	const char *reference = strrchr(stream->path, '=') + 1;
	const char *script = fake->pull_script;
	bool mirror;
	unsigned v;

	*status = 0;
	if (fake_power_fails_before(fake))
		return upt_fail(err, UPT_E_NETWORK, "no answer");
	*status = 200;
	fake->n_pulls++;
	decode(reference, reference + strcspn(reference, "&"), fake->last_pull,
		sizeof(fake->last_pull));
	snprintf(fake->last_pull_path, sizeof(fake->last_pull_path), "%s", stream->path);
	snprintf(fake->last_header, sizeof(fake->last_header), "%s",
		stream->header == NULL ? "" : stream->header);
	fake->last_quiet_ms = stream->quiet_ms;
	v = fake_version_of(fake, fake->last_pull);
	mirror = strncmp(fake->last_pull, FAKE_MIRROR, strlen(FAKE_MIRROR)) == 0;
	if (mirror && fake->mirror_is_down)
		v = 0;
	if (script == NULL)
		script =
			v != 0 && fake->in_registry[v]
				? LAYER("Pulling fs layer", "", "aaaaaaaaaaaa") LAYER("Downloading",
					  "\"current\":50,\"total\":100", "aaaaaaaaaaaa")
					  LAYER("Download complete", "", "aaaaaaaaaaaa")
						  LAYER("Already exists", "", "bbbbbbbbbbbb")
				: "{\"status\":\"Trying\"}\n{\"error\":\"manifest unknown\"}";
	if (v != 0 && fake->in_registry[v] && !fake->pull_lies) {
		fake->present[v] = true;
		fake->from_mirror[v] = mirror;
	}
	if (fake_power_fails_after(fake))
		return upt_fail(err, UPT_E_NETWORK, "broken off");
	assert_true(strlen(script) <= stream->max_reply_bytes);
	/* in pieces that respect no line */
	for (size_t at = 0, len = strlen(script); at < len; at += 7) {
		fake->now_ms += fake->piece_ms;
		UPT_TRY(stream->sink(
			stream->sink_ctx, upt_span(script + at, len - at < 7 ? len - at : 7), err));
	}
	return UPT_OK;
}

static enum upt_code
probe(void *ctx, const char *url, unsigned timeout_ms, struct upt_err *err)
{
	struct fake_engine *fake = ctx;
	const char *colon = strrchr(url, ':');
	unsigned port = (unsigned)strtoul(colon + 1, NULL, 10);

	assert_true(timeout_ms > 0);
	fake->n_probes++;
	if (fake->crashed)
		return upt_fail(err, UPT_E_NETWORK, "no answer");
	for (size_t i = 0; i < FAKE_CONTAINERS; i++) {
		const struct fake_container *c = &fake->containers[i];
		if (!c->used || c->status != FAKE_RUNNING || c->port != port)
			continue;
		if (fake->sick[c->version])
			return upt_fail(err, UPT_E_SERVER, "500: sick");
		if (fake->healthy_after[c->version] > 0) {
			fake->healthy_after[c->version]--;
			return upt_fail(err, UPT_E_NETWORK, "not yet");
		}
		return UPT_OK;
	}
	return upt_fail(err, UPT_E_NETWORK, "nobody listens on %u", port);
}

static void
count_pause(void *ctx, unsigned ms)
{
	struct fake_engine *fake = ctx;

	assert_true(ms > 0);
	fake->n_pauses++;
	fake->now_ms += ms;
}

static uint64_t
tell_time(void *ctx)
{
	const struct fake_engine *fake = ctx;

	return fake->now_ms;
}

void
fake_engine_init(struct fake_engine *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->ops = (struct upt_engine_http){.ctx = fake,
		.request = request,
		.stream = stream,
		.probe = probe,
		.now_ms = tell_time,
		.pause = count_pause};
	fake->engine_check_passes = true;
	for (unsigned v = 1; v < FAKE_VERSIONS; v++) {
		memset(fake->digest[v], "0abc"[v], 64);
		fake->in_registry[v] = true;
	}
}
