#include "transport/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/monotonic.h"
#include "transport/fault.h"
#include "transport/options.h"
#include "transport/url.h"

uint64_t
upt_http_now_ms(void)
{
	return (uint64_t)upt_monotonic_ms();
}

/* A line may be a secret (struct upt_http_stream). */
static void
free_slist(struct curl_slist **list)
{
	for (struct curl_slist *line = *list; line != NULL; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(*list);
}

/*
 * With CURLOPT_NOSIGNAL libcurl leaves SIGPIPE to us: a peer that closes while we write must not be
 * able to kill the process, whatever its handler is. Only this thread's mask is touched.
 */
struct sigpipe_guard {
	sigset_t old;
	bool was_pending;
};

static void
sigpipe_block(struct sigpipe_guard *guard)
{
	sigset_t pipe_set, pending;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe_set, &guard->old);
}

static void
sigpipe_restore(const struct sigpipe_guard *guard)
{
	const struct timespec now = {0};
	sigset_t pipe_set;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	if (!guard->was_pending) {
		while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
			;
	}
	pthread_sigmask(SIG_SETMASK, &guard->old, NULL);
}

const char *
upt_exchange_header(const struct upt_exchange *x, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* The first byte of the reply starts the minimum speed; all of them count. */
static void
count_received(struct upt_exchange *x, uint64_t n)
{
	uint64_t now = upt_http_now_ms();

	x->http->stats.received_bytes += n;
	x->quiet_since_ms = now;
	if (x->speed.slot_ms == 0)
		upt_speed_start(
			&x->speed, now, x->http->min_speed_bytes, x->http->min_speed_window_s);
	upt_speed_add(&x->speed, now, n);
}

static bool
is_success(const struct upt_exchange *x)
{
	return x->answer.status >= 200 && x->answer.status < 300;
}

/* An absent or malformed length is none (the count of body bytes decides); a huge one is huge. */
static void
read_content_length(struct upt_exchange *x)
{
	const char *text = upt_exchange_header(x, "Content-Length");
	uint64_t length = 0;

	if (text == NULL || text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return;
	for (; *text != '\0'; text++) {
		if (__builtin_mul_overflow(length, 10, &length) ||
			__builtin_add_overflow(length, (uint64_t)(*text - '0'), &length)) {
			length = UINT64_MAX;
			break;
		}
	}
	x->answer.content_length = length;
	x->answer.has_content_length = true;
}

/* The reply's head is complete. CURLOPT_MAXFILESIZE would also refuse the long error page of a 404,
 * which must stay a 404, so the announced length is checked here. */
static enum upt_code
check_head(struct upt_exchange *x)
{
	uint64_t max;

	read_content_length(x);
	if (!is_success(x))
		return UPT_OK;
	if (x->head != NULL)
		UPT_TRY(x->head(x, &x->fault));
	if (__builtin_add_overflow(x->max_body_bytes, x->skip_bytes, &max))
		max = UINT64_MAX;
	if (x->answer.has_content_length && x->answer.content_length > max)
		return upt_fail(&x->fault, UPT_E_TOO_LARGE,
			"the server announces %" PRIu64 " bytes, %" PRIu64 " allowed",
			x->answer.content_length, max);
	return UPT_OK;
}

static size_t
on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct upt_exchange *x = ctx;
	size_t len = size * n;
	long status = 0;

	count_received(x, len);
	x->header_bytes += len;
	if (x->header_bytes > UPT_HTTP_HEADERS_MAX_BYTES) {
		upt_fail(&x->fault, UPT_E_TOO_LARGE,
			"the reply's header has more than %" PRIu64 " bytes",
			UPT_HTTP_HEADERS_MAX_BYTES);
		return 0;
	}
	if (x->head_done || len > 2 || (line[0] != '\r' && line[0] != '\n'))
		return len;
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200) /* 1xx: the real one follows, or none */
		return len;
	x->answer.status = status;
	x->head_done = true;
	return check_head(x) == UPT_OK ? len : 0;
}

/* Enough is read for the message; a longer page is not worth its bytes, so the connection is cut.
 */
static size_t
keep_error_text(struct upt_exchange *x, const char *data, size_t len)
{
	size_t room = x->max_error_bytes - x->answer.error_text.len;
	size_t keep = len < room ? len : room;

	if (upt_buf_append(&x->answer.error_text, data, keep, &x->fault) != UPT_OK)
		return 0;
	x->error_bytes += len;
	return x->error_bytes - x->answer.error_text.len > UPT_HTTP_ERROR_BODY_MAX_BYTES ? 0 : len;
}

static size_t
deliver(struct upt_exchange *x, const char *data, size_t len)
{
	uint64_t room = x->max_body_bytes - x->answer.taken_bytes;
	size_t skip = x->skip_bytes < len ? (size_t)x->skip_bytes : len;
	size_t left = len - skip;
	size_t give = left < room ? left : (size_t)room;
	enum upt_code code;

	x->skip_bytes -= skip;
	if (give > 0) {
		code = x->sink(x->ctx, upt_span(data + skip, give), &x->fault);
		x->quiet_since_ms = upt_http_now_ms();
		upt_speed_skip(&x->speed, x->quiet_since_ms);
		if (code != UPT_OK) {
			x->fault.code = code;
			return 0;
		}
		x->answer.taken_bytes += give;
	}
	if (left > give) {
		upt_fail(&x->fault, UPT_E_TOO_LARGE,
			"the reply has more than the %" PRIu64 " bytes allowed", x->max_body_bytes);
		return 0;
	}
	return len;
}

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct upt_exchange *x = ctx;
	size_t len = size * n;

	count_received(x, len);
	return is_success(x) ? deliver(x, data, len) : keep_error_text(x, data, len);
}

bool
upt_exchange_is_idempotent(const struct upt_exchange *x)
{
	return strcmp(x->method, "POST") != 0 && strcmp(x->method, "PATCH") != 0;
}

/*
 * The connection stands and the request goes out: only now the server's silence counts. A second
 * call is libcurl's own retry on a fresh connection, when one used before ended without a reply;
 * the server may have acted already.
 */
static int
on_request(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
	struct upt_exchange *x = ctx;

	(void)peer, (void)local, (void)peer_port, (void)local_port;
	if (x->answer.request_sent && !upt_exchange_is_idempotent(x)) {
		upt_fail(&x->fault, UPT_E_NETWORK, "the connection ended without a reply");
		return CURL_PREREQFUNC_ABORT;
	}
	x->answer.request_sent = true;
	x->quiet_since_ms = upt_http_now_ms();
	return CURL_PREREQFUNC_OK;
}

/* Silence before the first byte may be a broken network; a trickle after it is slow retrieval. */
static enum upt_code
check_pace(struct upt_exchange *x, uint64_t uploaded)
{
	uint64_t now = upt_http_now_ms();

	if (x->quiet_ms > 0 && now - x->quiet_since_ms > x->quiet_ms)
		return upt_fail(&x->fault, UPT_E_TOO_SLOW,
			"not a byte for %u s, %" PRIu64 " body bytes before that",
			x->quiet_ms / 1000, x->answer.taken_bytes);
	if (x->speed.slot_ms > 0) {
		if (!x->any_speed && upt_speed_is_slow(&x->speed, now))
			return upt_fail(&x->fault, UPT_E_TOO_SLOW,
				"less than %u bytes a second for %u s, %" PRIu64
				" body bytes so far",
				x->http->min_speed_bytes, x->http->min_speed_window_s,
				x->answer.taken_bytes);
		return UPT_OK;
	}
	if (uploaded != x->uploaded_bytes) {
		x->uploaded_bytes = uploaded;
		x->quiet_since_ms = now;
	}
	if (x->silence_ms > 0 && now - x->quiet_since_ms > x->silence_ms)
		return upt_fail(&x->fault, UPT_E_NETWORK, "no reply within %u ms", x->silence_ms);
	return UPT_OK;
}

/* libcurl calls this at least once a second. */
static int
on_tick(void *ctx, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total, curl_off_t ul_now)
{
	struct upt_exchange *x = ctx;

	(void)dl_total, (void)dl_now, (void)ul_total;
	if (upt_http_is_cancelled(x->http)) {
		upt_fail(&x->fault, UPT_E_CANCELLED, "cancelled");
		return 1;
	}
	if (!x->answer.request_sent)
		return 0;
	return check_pace(x, (uint64_t)ul_now) == UPT_OK ? 0 : 1;
}

static CURLcode
set_callbacks(struct upt_exchange *x)
{
	CURLcode rc = CURLE_OK;

	UPT_CURL_SET(CURLOPT_ERRORBUFFER, x->curl_text);
	UPT_CURL_SET(CURLOPT_HEADERFUNCTION, on_header);
	UPT_CURL_SET(CURLOPT_HEADERDATA, x);
	UPT_CURL_SET(CURLOPT_WRITEFUNCTION, on_body);
	UPT_CURL_SET(CURLOPT_WRITEDATA, x);
	UPT_CURL_SET(CURLOPT_XFERINFOFUNCTION, on_tick);
	UPT_CURL_SET(CURLOPT_XFERINFODATA, x);
	UPT_CURL_SET(CURLOPT_NOPROGRESS, 0L);
	UPT_CURL_SET(CURLOPT_PREREQFUNCTION, on_request);
	UPT_CURL_SET(CURLOPT_PREREQDATA, x);
	return rc;
}

static enum upt_code
choose_handle(struct upt_exchange *x, struct upt_err *err)
{
	CURL **easy = x->anonymous ? &x->http->other : &x->http->own;

	if (*easy == NULL)
		*easy = curl_easy_init();
	if (*easy == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a connection");
	x->easy = *easy;
	return UPT_OK;
}

static enum upt_code
conclude(struct upt_exchange *x, CURLcode rc, struct upt_err *err)
{
	char shown[UPT_URL_SHOWN_SIZE];

	if (x->fault.code == UPT_OK) {
		/* The head of an error decides, however its page ends; a success needs its end. */
		if (x->head_done && (rc == CURLE_OK || !is_success(x)))
			return UPT_OK;
		if (rc == CURLE_OK)
			upt_fail(&x->fault, UPT_E_NETWORK, "no reply");
		else
			(void)upt_fault_from_curl(x, rc);
	}
	if (err != NULL)
		*err = x->fault;
	upt_url_show(x->url, shown);
	return upt_wrap(err, x->fault.code, "%s %s", x->method, shown);
}

static void
keep_answer(struct upt_exchange *x)
{
	char *redirect_url = NULL;
	curl_off_t retry_after = 0;
	long n_connections = 0;

	curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &n_connections);
	if (n_connections > 0)
		x->http->stats.n_connections += (uint64_t)n_connections;
	curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &retry_after);
	x->answer.retry_after_s = retry_after > 0 ? (uint64_t)retry_after : 0;
	curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &redirect_url);
	if (redirect_url != NULL)
		x->answer.redirect_url = strdup(redirect_url);
	if (redirect_url != NULL && x->answer.redirect_url == NULL)
		upt_fail(&x->fault, UPT_E_NO_MEMORY, "no memory for a URL");
}

void
upt_exchange_clear(struct upt_exchange *x)
{
	upt_buf_clear(&x->answer.error_text);
	free(x->answer.redirect_url);
	x->answer = (struct upt_answer){0};
}

static void
start_over(struct upt_exchange *x)
{
	upt_exchange_clear(x);
	memset(&x->speed, 0, sizeof(x->speed));
	x->skip_bytes = x->header_bytes = x->error_bytes = x->uploaded_bytes = 0;
	x->quiet_since_ms = 0;
	x->head_done = false;
	memset(&x->fault, 0, sizeof(x->fault));
	x->curl_text[0] = '\0';
}

/*
 * When we stopped reading, an HTTP/2 server may still send what its window allows, tens of MiB,
 * into a connection that libcurl keeps: it is closed. Otherwise connections, TLS sessions and
 * addresses stay, and every option goes, as most point into x or a stack frame.
 */
static void
leave_handle(struct upt_exchange *x, CURLcode rc)
{
	CURL **easy = x->anonymous ? &x->http->other : &x->http->own;

	if (rc == CURLE_WRITE_ERROR || rc == CURLE_ABORTED_BY_CALLBACK) {
		curl_easy_cleanup(x->easy);
		*easy = NULL;
	} else {
		curl_easy_reset(x->easy);
	}
	x->easy = NULL;
}

static CURLcode
perform(struct upt_exchange *x)
{
	struct sigpipe_guard guard;
	CURLcode rc;

	x->http->stats.n_requests++;
	sigpipe_block(&guard);
	rc = curl_easy_perform(x->easy);
	keep_answer(x);
	leave_handle(x, rc);
	sigpipe_restore(&guard);
	return rc;
}

enum upt_code
upt_exchange_run(struct upt_exchange *x, struct upt_err *err)
{
	upt_cleanup(free_slist) struct curl_slist *headers = NULL;
	CURLcode rc;

	start_over(x);
	if (upt_http_is_cancelled(x->http))
		return upt_fail(err, UPT_E_CANCELLED, "cancelled");
	UPT_TRY(upt_url_check(x->url, err));
	UPT_TRY(upt_options_make_headers(x, &headers, err));
	UPT_TRY(choose_handle(x, err));
	rc = set_callbacks(x);
	if (rc == CURLE_OK)
		rc = upt_options_set(x, headers);
	if (rc != CURLE_OK) {
		leave_handle(x, rc);
		return upt_fail(err, rc == CURLE_OUT_OF_MEMORY ? UPT_E_NO_MEMORY : UPT_E_INTERNAL,
			"cannot prepare a request: %s", curl_easy_strerror(rc));
	}
	return conclude(x, perform(x), err);
}

enum upt_code
upt_exchange_fail_status(const struct upt_exchange *x, enum upt_code code, struct upt_err *err)
{
	char shown[UPT_URL_SHOWN_SIZE], to[UPT_URL_SHOWN_SIZE], text[128];

	upt_url_show(x->url, shown);
	if (x->answer.redirect_url != NULL) {
		upt_url_show(x->answer.redirect_url, to);
		return upt_fail(err, code, "%s %s: HTTP status %ld to %.150s is not followed",
			x->method, shown, x->answer.status, to);
	}
	upt_text_show(upt_buf_span(&x->answer.error_text), text, sizeof(text));
	return upt_fail(err, code, "%s %s: HTTP status %ld%s%s", x->method, shown, x->answer.status,
		text[0] != '\0' ? ": " : "", text);
}
