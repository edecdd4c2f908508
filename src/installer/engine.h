/*
 * What the container installer needs of HTTP: an ops table that the program wires to its transport,
 * so that this layer knows no socket and a test can script every answer. All calls block.
 * Thread-safety: that of the installer that uses it.
 */
#ifndef UPT_INSTALLER_ENGINE_H
#define UPT_INSTALLER_ENGINE_H

#include "base/span.h"

/* Receives reply bytes in order; any code but UPT_OK stops the transfer and is its result. */
typedef enum upt_code upt_engine_sink(void *ctx, struct upt_span chunk, struct upt_err *err);

/* A POST without a body whose reply is taken as it comes. All borrowed. */
struct upt_engine_stream {
	const char *path;
	const char *header; /* one more line of the request, a secret, or NULL */
	size_t max_reply_bytes;
	unsigned quiet_ms; /* longest silence: UPT_E_TOO_SLOW */
	upt_engine_sink *sink;
	void *sink_ctx;
};

struct upt_engine_http {
	void *ctx;
	/*
	 * One exchange with the engine's API; path begins with '/' and is percent-encoded. method
	 * "GET", "POST" or "DELETE"; content_type NULL when body is empty. *out is replaced by the
	 * reply, at most max_reply_bytes (UPT_E_TOO_LARGE). UPT_OK: a status below 300;
	 * UPT_E_ABSENT: 404; UPT_E_SERVER: other statuses, with the engine's words in the message;
	 * UPT_E_NETWORK: no answer. *status is the HTTP status (304 is looked at), 0 when there was
	 * none.
	 */
	enum upt_code (*request)(void *ctx, const char *method, const char *path,
		const char *content_type, struct upt_span body, size_t max_reply_bytes,
		struct upt_buf *out, long *status, struct upt_err *err);
	/* No limit in time but that of silence. Same codes, and the sink's. */
	enum upt_code (*stream)(void *ctx, const struct upt_engine_stream *stream, long *status,
		struct upt_err *err);
	/* GET of an application's own health page, one try: UPT_OK for 2xx within timeout_ms only.
	 */
	enum upt_code (*probe)(
		void *ctx, const char *url, unsigned timeout_ms, struct upt_err *err);
	/* Monotonic; NULL: the system's. Tests turn it themselves. */
	uint64_t (*now_ms)(void *ctx);
	/* Waits between two looks at a starting container; NULL: in earnest. Tests count instead. */
	void (*pause)(void *ctx, unsigned ms);
};

uint64_t upt_engine_now_ms(const struct upt_engine_http *http);
void upt_engine_pause(const struct upt_engine_http *http, unsigned ms);

#endif
