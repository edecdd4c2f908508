#include "transport/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "transport/url.h"

/* libcurl refuses one header line above this. */
#define HEADER_LINE_MAX_BYTES ((size_t)CURL_MAX_HTTP_HEADER)
/* Connections idle for longer are not used again; a poll every few minutes is meant to reuse. */
#define IDLE_CONNECTION_MAX_S 900L
#define DEAD_PEER_MIN_MS 10000u

/* The first option that fails ends the preparation. */
#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (rc == CURLE_OK)                                                                \
			rc = curl_easy_setopt(x->easy, option, value);                             \
	} while (0)

uint64_t
upt_http_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
free_slist(struct curl_slist **list)
{
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
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->answer.status);
	if (x->answer.status < 200) /* 1xx: the real one follows */
		return len;
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
		upt_speed_skip(&x->speed, upt_http_now_ms());
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

/*
 * A cut cable must not be reported as a slow-retrieval attack: the kernel probes a silent peer and
 * breaks the connection of a dead one just before the window of the minimum speed ends. Failures
 * are ignored: a Unix socket has no such options, and the window still ends.
 */
static int
on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	const struct upt_exchange *x = ctx;
	unsigned timeout_ms = x->http->min_speed_window_s * 900u;

	(void)purpose;
	if (timeout_ms < DEAD_PEER_MIN_MS)
		timeout_ms = DEAD_PEER_MIN_MS;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

static CURLcode
set_callbacks(struct upt_exchange *x)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_ERRORBUFFER, x->curl_text);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_XFERINFOFUNCTION, on_tick);
	SET(CURLOPT_XFERINFODATA, x);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, x);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(CURLOPT_SOCKOPTDATA, x);
	return rc;
}

/*
 * Else a cancelled request, or one whose connect timeout is over, waits for the resolver's thread,
 * and with unreachable name servers that is tens of seconds. The thread ends by itself.
 */
#if LIBCURL_VERSION_NUM >= 0x075700
static CURLcode
set_quick_exit(CURL *easy)
{
	return curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}
#else
static CURLcode
set_quick_exit(CURL *easy)
{
	(void)easy;
	return CURLE_OK;
}
#endif

static CURLcode
set_connection(struct upt_exchange *x)
{
	const struct upt_http *http = x->http;
	unsigned idle_s = http->min_speed_window_s / 2, interval_s = http->min_speed_window_s / 10;
	CURLcode rc = set_quick_exit(x->easy);

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PROXY, http->proxy != NULL ? http->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)x->timeout_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, (long)(idle_s > 0 ? idle_s : 1));
	SET(CURLOPT_TCP_KEEPINTVL, (long)(interval_s > 0 ? interval_s : 1));
	SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_MAX_S);
	if (http->unix_socket != NULL)
		SET(CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
	return rc;
}

static CURLcode
set_tls(struct upt_exchange *x)
{
	const struct upt_http *http = x->http;
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	if (http->ca_path != NULL) {
		SET(CURLOPT_CAINFO, http->ca_path);
		/* Else libcurl's built-in folder is trusted too, and with it every public
		 * authority. */
		SET(CURLOPT_CAPATH, (char *)NULL);
	}
	if (!x->anonymous && http->cert_path != NULL) {
		SET(CURLOPT_SSLCERT, http->cert_path);
		SET(CURLOPT_SSLKEY, http->key_path);
	}
	return rc;
}

static CURLcode
set_request(struct upt_exchange *x)
{
	char range[32];
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, x->url);
	SET(CURLOPT_USERAGENT, x->http->user_agent);
	/* Nothing is decoded, so no small reply becomes a large one behind the limit. */
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	if (strcmp(x->method, "GET") == 0 && x->body.len == 0) {
		SET(CURLOPT_HTTPGET, 1L);
	} else {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, x->body.len > 0 ? (const char *)x->body.data : "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.len);
		SET(CURLOPT_CUSTOMREQUEST, x->method);
	}
	if (x->range_start > 0) {
		snprintf(range, sizeof(range), "%" PRIu64 "-", x->range_start);
		SET(CURLOPT_RANGE, range);
	}
	return rc;
}

/* curl_slist_append that frees and clears the list without memory. */
static bool
append_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

/* "Expect:" takes the 100-continue away, which some gateways answer late or never; without an
 * Accept-Encoding a cache may choose any coding. */
static enum upt_code
make_headers(const struct upt_exchange *x, struct curl_slist **list, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf line = {0};

	UPT_TRY(upt_buf_printf(&line, err, "Content-Type:%s%s", x->content_type != NULL ? " " : "",
		x->content_type != NULL ? x->content_type : ""));
	if (!append_line(list, "Accept-Encoding: identity") || !append_line(list, "Expect:") ||
		!append_line(list, (const char *)line.data))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a request");
	return UPT_OK;
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

struct curl_fault {
	CURLcode curl;
	enum upt_code code;
};

/* Everything else is UPT_E_NETWORK: "cannot tell". */
static const struct curl_fault curl_faults[] = {
	{CURLE_PEER_FAILED_VERIFICATION, UPT_E_TLS},
	{CURLE_SSL_CERTPROBLEM, UPT_E_TLS},
	{CURLE_SSL_CIPHER, UPT_E_TLS},
	{CURLE_SSL_CACERT_BADFILE, UPT_E_TLS},
	{CURLE_SSL_ISSUER_ERROR, UPT_E_TLS},
	{CURLE_SSL_CRL_BADFILE, UPT_E_TLS},
	{CURLE_SSL_INVALIDCERTSTATUS, UPT_E_TLS},
	{CURLE_SSL_PINNEDPUBKEYNOTMATCH, UPT_E_TLS},
	{CURLE_SSL_CLIENTCERT, UPT_E_TLS},
	{CURLE_SSL_ENGINE_NOTFOUND, UPT_E_TLS},
	{CURLE_SSL_ENGINE_SETFAILED, UPT_E_TLS},
	{CURLE_SSL_ENGINE_INITFAILED, UPT_E_TLS},
	{CURLE_USE_SSL_FAILED, UPT_E_TLS},
	{CURLE_OUT_OF_MEMORY, UPT_E_NO_MEMORY},
	{CURLE_URL_MALFORMAT, UPT_E_MALFORMED},
	{CURLE_FAILED_INIT, UPT_E_INTERNAL},
	{CURLE_NOT_BUILT_IN, UPT_E_INTERNAL},
	{CURLE_BAD_FUNCTION_ARGUMENT, UPT_E_INTERNAL},
	{CURLE_UNKNOWN_OPTION, UPT_E_INTERNAL},
};

/*
 * libcurl has one code for every handshake that failed, a peer that went away included, and with
 * TLS 1.3 the server's "certificate required" arrives when the handshake is long over. The text of
 * OpenSSL's error tells: an alert is the peer's verdict, a protocol error is TLS too, an end of
 * file is the network.
 */
static bool
is_tls_verdict(const struct upt_exchange *x, CURLcode rc)
{
	bool library = strstr(x->curl_text, "SSL routines") != NULL;

	if (rc != CURLE_SSL_CONNECT_ERROR && rc != CURLE_RECV_ERROR && rc != CURLE_SEND_ERROR)
		return false;
	if (strstr(x->curl_text, "unexpected eof") != NULL)
		return false;
	return library &&
	       (rc == CURLE_SSL_CONNECT_ERROR || strstr(x->curl_text, " alert ") != NULL);
}

static enum upt_code
classify(const struct upt_exchange *x, CURLcode rc)
{
	if (is_tls_verdict(x, rc))
		return UPT_E_TLS;
	/* libcurl says "out of memory" when a header line is too long for it. */
	if (rc == CURLE_OUT_OF_MEMORY && x->answer.request_sent && !x->head_done) {
		upt_cleanup(upt_free_ptr) void *probe = malloc(2 * HEADER_LINE_MAX_BYTES);
		if (probe != NULL)
			return UPT_E_TOO_LARGE;
	}
	if (rc == CURLE_OPERATION_TIMEDOUT && !x->any_speed && x->speed.slot_ms > 0 &&
		(x->header_bytes + x->answer.taken_bytes) * 1000 <
			x->http->min_speed_bytes * x->speed.elapsed_ms)
		return UPT_E_TOO_SLOW;
	for (size_t i = 0; i < sizeof(curl_faults) / sizeof(curl_faults[0]); i++) {
		if (curl_faults[i].curl == rc)
			return curl_faults[i].code;
	}
	return UPT_E_NETWORK;
}

static enum upt_code
fail_curl(struct upt_exchange *x, CURLcode rc)
{
	enum upt_code code = classify(x, rc);
	const char *text = x->curl_text[0] != '\0' ? x->curl_text : curl_easy_strerror(rc);
	char shown[CURL_ERROR_SIZE], origin[UPT_URL_SHOWN_SIZE];

	upt_text_show(upt_span_str(text), shown, sizeof(shown));
	if (code == UPT_E_TOO_LARGE)
		return upt_fail(&x->fault, code, "a header line of more than %zu bytes",
			HEADER_LINE_MAX_BYTES);
	if (code != UPT_E_TLS)
		return upt_fail(&x->fault, code, "%s", shown);
	upt_url_show_origin(x->url, origin);
	return upt_fail(&x->fault, code, "TLS with %s: %s", origin, shown);
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
			(void)fail_curl(x, rc);
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
	UPT_TRY(make_headers(x, &headers, err));
	UPT_TRY(choose_handle(x, err));
	if ((rc = set_callbacks(x)) == CURLE_OK && (rc = set_connection(x)) == CURLE_OK &&
		(rc = set_tls(x)) == CURLE_OK && (rc = set_request(x)) == CURLE_OK)
		rc = curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, headers);
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
