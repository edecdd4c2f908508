#include "transport/fault.h"

#include "transport/url.h"

/* libcurl refuses one header line above this. */
#define HEADER_LINE_MAX_BYTES ((size_t)CURL_MAX_HTTP_HEADER)

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
		upt_cleanup(upt_buf_clear) struct upt_buf probe = {0};
		if (upt_buf_reserve(&probe, 2 * HEADER_LINE_MAX_BYTES, NULL) == UPT_OK)
			return UPT_E_TOO_LARGE;
	}
	if (rc == CURLE_OPERATION_TIMEDOUT && !x->any_speed && x->speed.slot_ms > 0 &&
		(x->header_bytes + x->answer.taken_bytes) * 1000 <
			x->http->min_speed_bytes * x->speed.elapsed_ms)
		return UPT_E_TOO_SLOW;
	/* Its word for a malformed trailer, too: a server's fault must not look like one of ours. */
	if (rc == CURLE_BAD_FUNCTION_ARGUMENT && x->answer.request_sent)
		return UPT_E_NETWORK;
	for (size_t i = 0; i < sizeof(curl_faults) / sizeof(curl_faults[0]); i++) {
		if (curl_faults[i].curl == rc)
			return curl_faults[i].code;
	}
	return UPT_E_NETWORK;
}

enum upt_code
upt_fault_from_curl(struct upt_exchange *x, CURLcode rc)
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
