#include "transport/http.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sys/un.h>

#include "transport/pem.h"
#include "transport/retry.h"
#include "transport/url.h"

#define DEFAULT_CONNECT_TIMEOUT_MS 15000u
#define DEFAULT_MIN_SPEED_BYTES 128u
#define DEFAULT_MIN_SPEED_WINDOW_S 30u
#define DEFAULT_REQUEST_TIMEOUT_MS 120000u
#define DEFAULT_RETRY_DELAY_MS 250u
#define USER_AGENT "uptaned/" UPT_VERSION

static enum upt_code
check_config(const struct upt_http_config *config, struct upt_err *err)
{
	const struct sockaddr_un *un = NULL;

	if ((config->cert_path == NULL) != (config->key_path == NULL))
		return upt_fail(err, UPT_E_CONFIG,
			"a client certificate needs its key and a key its certificate");
	if (config->ca_path != NULL)
		UPT_TRY(upt_pem_check_certificates(config->ca_path, err));
	if (config->cert_path != NULL)
		UPT_TRY(upt_pem_check_identity(config->cert_path, config->key_path, err));
	if (config->unix_socket != NULL && strlen(config->unix_socket) >= sizeof(un->sun_path))
		return upt_fail(err, UPT_E_CONFIG,
			"the socket path %.60s... has %zu bytes, %zu fit", config->unix_socket,
			strlen(config->unix_socket), sizeof(un->sun_path) - 1);
	return UPT_OK;
}

/* True unless memory ended. */
static bool
copy_string(char **out, const char *s)
{
	*out = s != NULL ? strdup(s) : NULL;
	return s == NULL || *out != NULL;
}

static unsigned
or_default(unsigned value, unsigned fallback)
{
	return value > 0 ? value : fallback;
}

static enum upt_code
copy_config(struct upt_http *http, const struct upt_http_config *config, struct upt_err *err)
{
	http->connect_timeout_ms =
		or_default(config->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS);
	http->min_speed_bytes = or_default(config->min_speed_bytes, DEFAULT_MIN_SPEED_BYTES);
	http->min_speed_window_s =
		or_default(config->min_speed_window_s, DEFAULT_MIN_SPEED_WINDOW_S);
	http->request_timeout_ms =
		or_default(config->request_timeout_ms, DEFAULT_REQUEST_TIMEOUT_MS);
	http->retry_delay_ms = or_default(config->retry_delay_ms, DEFAULT_RETRY_DELAY_MS);
	http->cancel = config->cancel;
	if (!copy_string(&http->ca_path, config->ca_path) ||
		!copy_string(&http->cert_path, config->cert_path) ||
		!copy_string(&http->key_path, config->key_path) ||
		!copy_string(&http->unix_socket, config->unix_socket) ||
		!copy_string(&http->proxy, config->proxy) ||
		!copy_string(&http->user_agent,
			config->user_agent != NULL ? config->user_agent : USER_AGENT))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an HTTP client");
	return UPT_OK;
}

enum upt_code
upt_http_new(const struct upt_http_config *config, struct upt_http **out, struct upt_err *err)
{
	upt_cleanup(upt_http_free) struct upt_http *http = NULL;
	CURLcode rc;

	*out = NULL;
	UPT_TRY(check_config(config, err));
	/*
	 * Thread-safe since libcurl 7.84, and only counted when done before. There is no matching
	 * cleanup: that would pull the library from under a libostree or another user in this
	 * process, and what it holds is small and constant.
	 */
	rc = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (rc != CURLE_OK)
		return upt_fail(err, UPT_E_INTERNAL, "libcurl: %s", curl_easy_strerror(rc));
	http = calloc(1, sizeof(*http));
	if (http == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an HTTP client");
	UPT_TRY(copy_config(http, config, err));
	*out = http;
	http = NULL;
	return UPT_OK;
}

void
upt_http_free(struct upt_http **http)
{
	struct upt_http *h = *http;

	*http = NULL;
	if (h == NULL)
		return;
	curl_easy_cleanup(h->own);
	curl_easy_cleanup(h->other);
	free(h->ca_path);
	free(h->cert_path);
	free(h->key_path);
	free(h->unix_socket);
	free(h->proxy);
	free(h->user_agent);
	free(h);
}

struct upt_http_stats
upt_http_get_stats(const struct upt_http *http)
{
	return http->stats;
}

static enum upt_code
append_body(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	return upt_buf_append(ctx, chunk.data, chunk.len, err);
}

/* One request with its retries. */
static enum upt_code
run_with_retries(struct upt_exchange *x, struct upt_err *err)
{
	struct upt_retry retry;
	enum upt_code code;

	upt_retry_start(&retry);
	do {
		code = upt_exchange_run(x, err);
	} while (upt_retry_wait(&retry, x, &code, err));
	return code;
}

/* Before the body of each try: forget an earlier try's, and grow once for an announced length,
 * which is not above the limit when it is used. */
static enum upt_code
begin_body(struct upt_exchange *x, struct upt_err *err)
{
	struct upt_buf *buf = x->ctx;

	buf->len = 0;
	if (x->answer.has_content_length && x->answer.content_length <= x->max_body_bytes)
		return upt_buf_reserve(buf, (size_t)x->answer.content_length, err);
	return UPT_OK;
}

/* The OTA gateway's way to say "no such root" (WIRE): 424 {"code":"root_role_not_found"}. */
static bool
says_no_root(const struct upt_exchange *x)
{
	const struct upt_buf *text = &x->answer.error_text;
	const cJSON *code;
	cJSON *reply;
	bool found;

	if (x->answer.status != 424 || text->len == 0)
		return false;
	reply = cJSON_ParseWithLength((const char *)text->data, text->len);
	code = cJSON_GetObjectItemCaseSensitive(reply, "code");
	found = cJSON_IsString(code) && strcmp(code->valuestring, "root_role_not_found") == 0;
	cJSON_Delete(reply);
	return found;
}

static enum upt_code
check_document_status(const struct upt_exchange *x, struct upt_err *err)
{
	if (x->answer.status == 200)
		return UPT_OK;
	if (x->answer.status == 404 || x->answer.status == 410 || says_no_root(x))
		return upt_exchange_fail_status(x, UPT_E_ABSENT, err);
	return upt_exchange_fail_status(x, UPT_E_SERVER, err);
}

enum upt_code
upt_http_get(struct upt_http *http, const char *url, size_t max_bytes, struct upt_buf *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	upt_cleanup(upt_exchange_clear) struct upt_exchange x = {
		.http = http,
		.method = "GET",
		.url = url,
		.timeout_ms = http->request_timeout_ms,
		.any_speed = http->unix_socket != NULL,
		.max_body_bytes = max_bytes,
		.max_error_bytes = UPT_HTTP_ERROR_TEXT_MAX_BYTES,
		.head = begin_body,
		.sink = append_body,
		.ctx = &body,
	};

	UPT_TRY(run_with_retries(&x, err));
	UPT_TRY(check_document_status(&x, err));
	upt_buf_move(out, &body);
	return UPT_OK;
}

static enum upt_code
check_reply_status(const struct upt_exchange *x, struct upt_err *err)
{
	if (x->answer.status >= 200 && x->answer.status < 300)
		return UPT_OK;
	return upt_exchange_fail_status(
		x, x->answer.status == 404 ? UPT_E_ABSENT : UPT_E_SERVER, err);
}

/* The gateway adds a slash to some addresses by a 301 (WIRE). 303 asks for a GET: not this request.
 */
static bool
keeps_method(long status)
{
	return status == 301 || status == 302 || status == 307 || status == 308;
}

/* Both go into the request as they are: a line break would forge a field of its header. */
static enum upt_code
check_request(const char *method, const char *content_type, struct upt_err *err)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET"};

	if (content_type != NULL && strpbrk(content_type, "\r\n") != NULL)
		return upt_fail(err, UPT_E_INTERNAL, "a content type with a line break");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(method, methods[i]) == 0)
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_INTERNAL, "HTTP method %s", method);
}

/* The same request once more where the server says it lives now, if that is still the same server.
 */
static enum upt_code
send_following_once(struct upt_exchange *x, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *target = NULL;
	const char *url = x->url;
	enum upt_code code = run_with_retries(x, err);

	if (code != UPT_OK || !keeps_method(x->answer.status) || x->answer.redirect_url == NULL ||
		!upt_url_same_origin(url, x->answer.redirect_url))
		return code;
	target = x->answer.redirect_url;
	x->answer.redirect_url = NULL;
	x->url = target;
	code = run_with_retries(x, err);
	x->url = url;
	return code;
}

enum upt_code
upt_http_send(struct upt_http *http, const char *method, const char *url, const char *content_type,
	struct upt_span body, size_t max_reply_bytes, struct upt_buf *out, long *status,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	upt_cleanup(upt_exchange_clear) struct upt_exchange x = {
		.http = http,
		.method = method,
		.url = url,
		.content_type = content_type,
		.body = body,
		.timeout_ms = http->request_timeout_ms,
		.any_speed = http->unix_socket != NULL,
		.max_body_bytes = max_reply_bytes,
		.max_error_bytes = max_reply_bytes > UPT_HTTP_ERROR_TEXT_MAX_BYTES
					   ? max_reply_bytes
					   : UPT_HTTP_ERROR_TEXT_MAX_BYTES,
		.head = begin_body,
		.sink = append_body,
		.ctx = &reply,
	};
	enum upt_code code;

	*status = 0;
	UPT_TRY(check_request(method, content_type, err));
	code = send_following_once(&x, err);
	*status = x.answer.status;
	UPT_TRY(code);
	code = check_reply_status(&x, err);
	if (x.answer.error_text.len > max_reply_bytes) {
		x.answer.error_text.len = max_reply_bytes;
		x.answer.error_text.data[max_reply_bytes] = 0;
	}
	upt_buf_move(out, code == UPT_OK ? &reply : &x.answer.error_text);
	return code;
}

enum upt_code
upt_http_stream(struct upt_http *http, const struct upt_http_stream *stream, long *status,
	struct upt_err *err)
{
	upt_cleanup(upt_exchange_clear) struct upt_exchange x = {
		.http = http,
		.method = stream->method,
		.url = stream->url,
		.header = stream->header,
		.content_type = stream->content_type,
		.body = stream->body,
		.any_speed = true,
		.quiet_ms = stream->quiet_ms,
		.max_body_bytes = stream->max_reply_bytes,
		.max_error_bytes = UPT_HTTP_ERROR_TEXT_MAX_BYTES,
		.sink = stream->sink,
		.ctx = stream->ctx,
	};
	enum upt_code code;

	*status = 0;
	UPT_TRY(check_request(stream->method, stream->content_type, err));
	if (stream->header != NULL && strpbrk(stream->header, "\r\n") != NULL)
		return upt_fail(err, UPT_E_INTERNAL, "a header field with a line break");
	code = upt_exchange_run(&x, err);
	*status = x.answer.status;
	UPT_TRY(code);
	return check_reply_status(&x, err);
}
