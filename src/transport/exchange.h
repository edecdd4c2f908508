/*
 * One request and its reply on one of a client's handles, bounded in every direction: header bytes,
 * body bytes, time to the first byte, minimum speed, whole time, cancellation. No retries, no
 * redirects: those are decisions of the callers. Thread-safety: as struct upt_http.
 */
#ifndef UPT_TRANSPORT_EXCHANGE_H
#define UPT_TRANSPORT_EXCHANGE_H

#include "transport/client.h"
#include "transport/speed.h"

#define UPT_HTTP_HEADERS_MAX_BYTES ((uint64_t)64 * 1024)
/* Kept of the body of a reply that is no success. */
#define UPT_HTTP_ERROR_TEXT_MAX_BYTES ((size_t)4096)
/* Read after that, so that the connection can be used again. */
#define UPT_HTTP_ERROR_BODY_MAX_BYTES ((uint64_t)64 * 1024)

struct upt_exchange;
/* Called once for a 2xx status, before any body byte. May set skip_bytes and max_body_bytes; any
 * code but UPT_OK refuses the reply and is the result. */
typedef enum upt_code upt_exchange_head(struct upt_exchange *x, struct upt_err *err);

/* What the server answered; forgotten when the exchange runs again. */
struct upt_answer {
	long status; /* 0: none */
	bool request_sent; /* it may have had an effect */
	uint64_t content_length; /* valid when has_content_length */
	bool has_content_length;
	uint64_t taken_bytes; /* given to the sink */
	struct upt_buf error_text; /* start of the body of a reply that is no success */
	char *redirect_url; /* absolute, or NULL */
	uint64_t retry_after_s;
};

struct upt_exchange {
	/* what is asked; borrowed */
	struct upt_http *http;
	bool anonymous; /* use the handle that has no client certificate */
	const char *method;
	const char *url;
	const char *header; /* one more line of the request's header, or NULL */
	const char *content_type; /* NULL: no body */
	struct upt_span body;
	uint64_t range_start; /* > 0: ask for the bytes from here */
	unsigned timeout_ms; /* whole exchange; 0: none */
	unsigned silence_ms; /* until the first byte of the reply; 0: none */
	bool any_speed; /* no minimum speed */
	unsigned quiet_ms; /* longest pause before and between bytes of the reply; 0: any */
	uint64_t max_body_bytes;
	size_t max_error_bytes; /* bound of answer.error_text */
	upt_exchange_head *head; /* may be NULL */
	upt_http_sink *sink;
	void *ctx; /* for sink; head finds it here */
	uint64_t skip_bytes; /* set by head: not given to the sink, not counted */

	struct upt_answer answer;

	/* while it runs */
	CURL *easy;
	struct upt_speed speed;
	uint64_t header_bytes, error_bytes;
	uint64_t quiet_since_ms, uploaded_bytes;
	bool head_done;
	struct upt_err fault; /* the first one; what libcurl says of it afterwards adds nothing */
	char curl_text[CURL_ERROR_SIZE];
};

/*
 * UPT_OK: a whole reply, or the head of one that is no success (answer.status tells). Otherwise
 * the sink's or head's code, UPT_E_TOO_LARGE, UPT_E_TOO_SLOW, UPT_E_TLS, UPT_E_NETWORK,
 * UPT_E_CANCELLED, UPT_E_MALFORMED or UPT_E_UNSUPPORTED (the URL), UPT_E_NO_MEMORY, UPT_E_INTERNAL.
 * Messages begin with method and URL.
 */
UPT_NODISCARD enum upt_code upt_exchange_run(struct upt_exchange *x, struct upt_err *err);
/* For head: a field of the reply's header, or NULL; valid while head runs. */
const char *upt_exchange_header(const struct upt_exchange *x, const char *name);
void upt_exchange_clear(struct upt_exchange *x);
/* A request that does no harm when the server gets it twice. */
bool upt_exchange_is_idempotent(const struct upt_exchange *x);

/* upt_fail for a reply that is no success, with the start of its text in the message. */
enum upt_code
upt_exchange_fail_status(const struct upt_exchange *x, enum upt_code code, struct upt_err *err);

uint64_t upt_http_now_ms(void); /* monotonic; stands still while the machine sleeps */

#endif
