#include "installer/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "primary/internal.h"

/*
 * Wires the container installer's view of HTTP to the transport: a unix socket and the engine's
 * API. Only a pull may be cancelled: a stop request that cut a switch of versions short would also
 * cut its undoing short, with the old version stopped and the new one not running.
 */
struct upt_engine {
	struct upt_engine_http ops;
	struct upt_http *http;
	struct upt_http *pull_http;
	char *socket_path;
};

#define ENGINE_BASE "http://engine"
#define PODMAN_SOCKET "/run/podman/podman.sock"
#define DOCKER_SOCKET "/run/docker.sock"
#define PROBE_MAX_BYTES ((size_t)1024 * 1024)

static enum upt_code
request(void *ctx, const char *method, const char *path, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	struct upt_engine *engine = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	enum upt_code code;

	*status = 0;
	UPT_TRY(upt_buf_printf(&url, err, "%s%s", ENGINE_BASE, path));
	if (strcmp(method, "GET") != 0)
		return upt_http_send(engine->http, method, (const char *)url.data, content_type,
			body, max_reply_bytes, out, status, err);
	code = upt_http_get(engine->http, (const char *)url.data, max_reply_bytes, out, err);
	*status = code == UPT_OK ? 200 : code == UPT_E_ABSENT ? 404 : 0;
	return code;
}

static enum upt_code
stream(void *ctx, const struct upt_engine_stream *stream, long *status, struct upt_err *err)
{
	struct upt_engine *engine = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	UPT_TRY(upt_buf_printf(&url, err, "%s%s", ENGINE_BASE, stream->path));
	return upt_http_stream(engine->pull_http,
		&(struct upt_http_stream){.method = "POST",
			.url = (const char *)url.data,
			.header = stream->header,
			.max_reply_bytes = stream->max_reply_bytes,
			.quiet_ms = stream->quiet_ms,
			.sink = stream->sink,
			.ctx = stream->sink_ctx},
		status, err);
}

/* A fresh connection each time: a health check that reuses one would miss a server that accepts no
 * more. */
static enum upt_code
probe(void *ctx, const char *url, unsigned timeout_ms, struct upt_err *err)
{
	struct upt_http_config config = {
		.connect_timeout_ms = timeout_ms, .request_timeout_ms = timeout_ms};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};

	(void)ctx;
	UPT_TRY(upt_http_new(&config, &http, err));
	return upt_http_get(http, url, PROBE_MAX_BYTES, &body, err);
}

/* Neither there: Podman may be started by its socket unit later. */
static const char *
choose_socket(enum upt_engine_kind kind)
{
	if (kind == UPT_ENGINE_DOCKER ||
		(kind == UPT_ENGINE_AUTO && access(PODMAN_SOCKET, F_OK) != 0 &&
			access(DOCKER_SOCKET, F_OK) == 0))
		return DOCKER_SOCKET;
	return PODMAN_SOCKET;
}

enum upt_code
upt_engine_new(enum upt_engine_kind kind, const char *socket_path, const volatile bool *cancel,
	struct upt_engine **out, struct upt_err *err)
{
	struct upt_http_config config = {
		.unix_socket = socket_path != NULL ? socket_path : choose_socket(kind)};
	upt_cleanup(upt_engine_free) struct upt_engine *engine = calloc(1, sizeof(*engine));

	*out = NULL;
	if (engine == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an engine");
	engine->socket_path = strdup(config.unix_socket);
	if (engine->socket_path == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an engine");
	UPT_TRY(upt_http_new(&config, &engine->http, err));
	config.cancel = cancel;
	UPT_TRY(upt_http_new(&config, &engine->pull_http, err));
	engine->ops = (struct upt_engine_http){
		.ctx = engine, .request = request, .stream = stream, .probe = probe};
	*out = engine;
	engine = NULL;
	return UPT_OK;
}

void
upt_engine_free(struct upt_engine **engine)
{
	if (*engine == NULL)
		return;
	upt_http_free(&(*engine)->http);
	upt_http_free(&(*engine)->pull_http);
	free((*engine)->socket_path);
	free(*engine);
	*engine = NULL;
}

const struct upt_engine_http *
upt_engine_ops(const struct upt_engine *engine)
{
	return &engine->ops;
}

const char *
upt_engine_socket(const struct upt_engine *engine)
{
	return engine->socket_path;
}
