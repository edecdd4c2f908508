#include "transport/options.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

/* Connections idle for longer are not used again; a poll every few minutes is meant to reuse. */
#define IDLE_CONNECTION_MAX_S 900L
#define DEAD_PEER_MIN_MS 10000u

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

	UPT_CURL_SET(CURLOPT_NOSIGNAL, 1L);
	UPT_CURL_SET(CURLOPT_PROTOCOLS_STR, "http,https");
	UPT_CURL_SET(CURLOPT_FOLLOWLOCATION, 0L);
	UPT_CURL_SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	UPT_CURL_SET(CURLOPT_PROXY, http->proxy != NULL ? http->proxy : "");
	UPT_CURL_SET(CURLOPT_NOPROXY, "");
	UPT_CURL_SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	UPT_CURL_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
	UPT_CURL_SET(CURLOPT_TIMEOUT_MS, (long)x->timeout_ms);
	UPT_CURL_SET(CURLOPT_TCP_KEEPALIVE, 1L);
	UPT_CURL_SET(CURLOPT_TCP_KEEPIDLE, (long)(idle_s > 0 ? idle_s : 1));
	UPT_CURL_SET(CURLOPT_TCP_KEEPINTVL, (long)(interval_s > 0 ? interval_s : 1));
	UPT_CURL_SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_MAX_S);
	UPT_CURL_SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	UPT_CURL_SET(CURLOPT_SOCKOPTDATA, x);
	if (http->unix_socket != NULL)
		UPT_CURL_SET(CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
	return rc;
}

static CURLcode
set_tls(struct upt_exchange *x)
{
	const struct upt_http *http = x->http;
	CURLcode rc = CURLE_OK;

	UPT_CURL_SET(CURLOPT_SSL_VERIFYPEER, 1L);
	UPT_CURL_SET(CURLOPT_SSL_VERIFYHOST, 2L);
	UPT_CURL_SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	UPT_CURL_SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	if (http->ca_path != NULL) {
		UPT_CURL_SET(CURLOPT_CAINFO, http->ca_path);
		/* Else libcurl's built-in folder is trusted too, and with it every public
		 * authority. */
		UPT_CURL_SET(CURLOPT_CAPATH, (char *)NULL);
	}
	if (!x->anonymous && http->cert_path != NULL) {
		UPT_CURL_SET(CURLOPT_SSLCERT, http->cert_path);
		UPT_CURL_SET(CURLOPT_SSLKEY, http->key_path);
	}
	return rc;
}

static CURLcode
set_request(struct upt_exchange *x)
{
	char range[32];
	CURLcode rc = CURLE_OK;

	UPT_CURL_SET(CURLOPT_URL, x->url);
	UPT_CURL_SET(CURLOPT_USERAGENT, x->http->user_agent);
	/* Nothing is decoded, so no small reply becomes a large one behind the limit. */
	UPT_CURL_SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	if (strcmp(x->method, "GET") == 0 && x->body.len == 0) {
		UPT_CURL_SET(CURLOPT_HTTPGET, 1L);
	} else {
		UPT_CURL_SET(CURLOPT_POST, 1L);
		UPT_CURL_SET(CURLOPT_POSTFIELDS, x->body.len > 0 ? (const char *)x->body.data : "");
		UPT_CURL_SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.len);
		UPT_CURL_SET(CURLOPT_CUSTOMREQUEST, x->method);
	}
	if (x->range_start > 0) {
		snprintf(range, sizeof(range), "%" PRIu64 "-", x->range_start);
		UPT_CURL_SET(CURLOPT_RANGE, range);
	}
	return rc;
}

/* False without memory; the list is unchanged then. */
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
enum upt_code
upt_options_make_headers(
	const struct upt_exchange *x, struct curl_slist **list, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf line = {0};

	UPT_TRY(upt_buf_printf(&line, err, "Content-Type:%s%s", x->content_type != NULL ? " " : "",
		x->content_type != NULL ? x->content_type : ""));
	if (!append_line(list, "Accept-Encoding: identity") || !append_line(list, "Expect:") ||
		!append_line(list, (const char *)line.data) ||
		(x->header != NULL && !append_line(list, x->header)))
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a request");
	return UPT_OK;
}

CURLcode
upt_options_set(struct upt_exchange *x, struct curl_slist *headers)
{
	CURLcode rc = set_connection(x);

	if (rc == CURLE_OK)
		rc = set_tls(x);
	if (rc == CURLE_OK)
		rc = set_request(x);
	UPT_CURL_SET(CURLOPT_HTTPHEADER, headers);
	return rc;
}
