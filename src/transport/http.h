/*
 * HTTP(S) client on libcurl: one handle per server identity, connections reused, every reply
 * bounded while it is received. Tells "the server says it is absent" from "cannot tell".
 * Thread-safety: a handle belongs to one thread. Uptane Standard 2.1 "in-vehicle" (slow retrieval,
 * endless data).
 */
#ifndef UPT_TRANSPORT_HTTP_H
#define UPT_TRANSPORT_HTTP_H

#include "base/log.h"
#include "base/span.h"

struct upt_http;

/* All strings borrowed for upt_http_new() only. 0 or NULL: the default in brackets. */
struct upt_http_config {
	const char *ca_path; /* PEM bundle that alone is trusted; NULL: the system's */
	const char *cert_path; /* client certificate (mutual TLS) or NULL: shown to any server that
				  is asked directly and wants one, so a client is for one origin */
	const char *key_path;
	const char *unix_socket; /* engine APIs: connect there instead; no minimum speed */
	const char *proxy; /* NULL: none (the environment is ignored) */
	const char *user_agent; /* [uptaned/VERSION] */
	unsigned connect_timeout_ms; /* [15000] */
	unsigned min_speed_bytes; /* per second [128] over ... */
	unsigned min_speed_window_s; /* ... [30]: below it is UPT_E_TOO_SLOW */
	unsigned request_timeout_ms; /* one try of get and send as a whole; until the first byte of
					the reply of a download [120000] */
	unsigned retry_delay_ms; /* before the first retry, then doubled, plus jitter [250] */
	const volatile bool *cancel; /* becomes true: UPT_E_CANCELLED soon; may be NULL */
};

struct upt_http_stats {
	uint64_t n_requests;
	uint64_t n_connections;
	uint64_t received_bytes; /* header and body bytes */
};

/* UPT_E_CONFIG names the file that is missing, is no PEM, or is the key of another certificate. */
UPT_NODISCARD enum upt_code
upt_http_new(const struct upt_http_config *config, struct upt_http **out, struct upt_err *err);
void upt_http_free(struct upt_http **http);
struct upt_http_stats upt_http_get_stats(const struct upt_http *http);

/*
 * GET url into out (replaced; unchanged on failure). Redirects are not followed. UPT_E_NETWORK and
 * statuses from 500 are tried twice more, with backoff and jitter, unless the server asks for a
 * longer pause (Retry-After), the request timeout is over, or the server is behind a Unix socket.
 * UPT_E_ABSENT: 404, 410, or 424 whose JSON body has code "root_role_not_found" (WIRE: the OTA
 * gateway's "no such root"); UPT_E_TOO_LARGE: a body or announced length above max_bytes, stopped
 * at the limit, or a header above 64 KiB; UPT_E_TOO_SLOW: below the minimum speed after the first
 * byte; UPT_E_TLS: handshake or certificate, by either side; UPT_E_SERVER: any other status but
 * 200; UPT_E_NETWORK: everything that broke off, was truncated, stayed silent or timed out;
 * UPT_E_CANCELLED; UPT_E_MALFORMED, UPT_E_UNSUPPORTED: the URL; UPT_E_NO_MEMORY, UPT_E_INTERNAL.
 */
UPT_NODISCARD enum upt_code upt_http_get(struct upt_http *http, const char *url, size_t max_bytes,
	struct upt_buf *out, struct upt_err *err);

/*
 * POST, PUT, PATCH, DELETE or GET with a body (may be empty; content_type NULL: no such field).
 * *status gets the HTTP status whenever there was one, else 0; a status of 300 or more is
 * UPT_E_SERVER (404: UPT_E_ABSENT) with the start of the reply's text in the message and the reply,
 * cut at max_reply_bytes, still in out; on other failures out is unchanged. A 301/302/307/308 to
 * the same scheme, host and port is followed once with method and body kept (WIRE). Retries and
 * other codes as for get, but a POST or PATCH that may have reached the server is sent again for
 * 503 only.
 */
UPT_NODISCARD enum upt_code upt_http_send(struct upt_http *http, const char *method,
	const char *url, const char *content_type, struct upt_span body, size_t max_reply_bytes,
	struct upt_buf *out, long *status, struct upt_err *err);

/* Receives body bytes in order; any code but UPT_OK aborts the transfer and is its result. */
typedef enum upt_code upt_http_sink(void *ctx, struct upt_span chunk, struct upt_err *err);
/* total_bytes is offset + what is expected; called at most a few times a second. */
typedef void upt_http_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

struct upt_http_download {
	const char *url;
	uint64_t offset; /* > 0: Range request; first byte wanted */
	uint64_t total_bytes; /* the listed length of the whole file: never a byte more is taken */
	upt_http_sink *sink;
	upt_http_progress *progress; /* may be NULL */
	void *ctx;
	uint64_t *restarted; /* set to 1 when the server ignored the Range: the sink must start
				again at 0 (set before its first call). NULL: the bytes before
				offset are fetched and dropped instead */
};

/*
 * Streams a file, without a limit on the whole time. Follows up to 3 redirects, from https to https
 * only (object storage, WIRE); the client certificate is never shown to another origin than that of
 * download->url, which the caller vouches for. Retries as for get, asking for the rest; each
 * further MiB earns new ones, and the sink never gets a byte twice (but see restarted).
 * UPT_E_NETWORK when it ends early or is not to be had from that offset (416): what the sink got
 * stays valid for a later Range; UPT_E_TOO_LARGE when the server has more than total_bytes: stopped
 * at the listed byte, or before the first if announced; UPT_E_SERVER also for a Content-Range that
 * is not what was asked for and for a refused redirect; the sink's own code; others as for get.
 */
UPT_NODISCARD enum upt_code upt_http_download(
	struct upt_http *http, const struct upt_http_download *download, struct upt_err *err);

/* Percent-encodes one path (slashes kept when keep_slash) for a URL; appended to out.
 * UPT_E_MALFORMED for a "." or ".." segment, which encoding cannot make harmless; out is unchanged
 * then. */
UPT_NODISCARD enum upt_code
upt_url_encode(const char *path, bool keep_slash, struct upt_buf *out, struct upt_err *err);
/* All borrowed for the call. */
struct upt_http_stream {
	const char *method;
	const char *url;
	const char *header; /* one more line "Name: value" of the request, or NULL; may be a secret:
			       it is in no message, and our copies are wiped */
	const char *content_type; /* NULL: none */
	struct upt_span body;
	size_t max_reply_bytes;
	unsigned quiet_ms; /* longest pause between two bytes of the reply and before the first;
			      0: any */
	upt_http_sink *sink;
	void *ctx;
};

/*
 * Streaming lines of JSON, e.g. engine pulls: one request, no retry, no redirect, whose reply body
 * goes to a sink as it arrives: unbounded in time and speed, but by max_reply_bytes, quiet_ms
 * (UPT_E_TOO_SLOW) and config.cancel. Statuses as for send, without the reply.
 */
UPT_NODISCARD enum upt_code upt_http_stream(struct upt_http *http,
	const struct upt_http_stream *stream, long *status, struct upt_err *err);

#endif
