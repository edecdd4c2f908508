#include "engine_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static enum upt_code
request(void *ctx, const char *method, const char *path, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	struct engine_http *engine = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	*status = 0;
	UPT_TRY(upt_buf_printf(&url, err, "http://d%s", path));
	return upt_http_send(engine->engine, method, (const char *)url.data, content_type, body,
		max_reply_bytes, out, status, err);
}

static enum upt_code
stream(void *ctx, const struct upt_engine_stream *stream, long *status, struct upt_err *err)
{
	struct engine_http *engine = ctx;
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};

	*status = 0;
	UPT_TRY(upt_buf_printf(&url, err, "http://d%s", stream->path));
	return upt_http_stream(engine->engine,
		&(struct upt_http_stream){.method = "POST",
			.url = (const char *)url.data,
			.header = stream->header,
			.max_reply_bytes = stream->max_reply_bytes,
			.quiet_ms = stream->quiet_ms,
			.sink = stream->sink,
			.ctx = stream->sink_ctx},
		status, err);
}

static enum upt_code
probe(void *ctx, const char *url, unsigned timeout_ms, struct upt_err *err)
{
	struct upt_http_config config = {
		.connect_timeout_ms = timeout_ms, .request_timeout_ms = timeout_ms};
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf page = {0};

	(void)ctx;
	UPT_TRY(upt_http_new(&config, &http, err));
	return upt_http_get(http, url, 65536, &page, err);
}

void
engine_http_init(struct engine_http *engine, const char *socket_path)
{
	struct upt_http_config config = {.unix_socket = socket_path};

	assert_int_equal(upt_http_new(&config, &engine->engine, NULL), UPT_OK);
	engine->ops = (struct upt_engine_http){
		.ctx = engine, .request = request, .stream = stream, .probe = probe};
}

void
engine_http_clear(struct engine_http *engine)
{
	upt_http_free(&engine->engine);
}
