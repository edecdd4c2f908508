/*
 * The inside of struct upt_http, shared by the files of this folder.
 */
#ifndef UPT_TRANSPORT_CLIENT_H
#define UPT_TRANSPORT_CLIENT_H

#include <curl/curl.h>

#include "transport/http.h"

struct upt_http {
	char *ca_path, *cert_path, *key_path, *unix_socket, *proxy, *user_agent;
	unsigned connect_timeout_ms, min_speed_bytes, min_speed_window_s, request_timeout_ms,
		retry_delay_ms;
	const volatile bool *cancel;
	CURL *own; /* shows our client certificate to whoever asks */
	CURL *other; /* has none; for other origins, made when first needed */
	struct upt_http_stats stats;
};

static inline bool
upt_http_is_cancelled(const struct upt_http *http)
{
	return http->cancel != NULL && *http->cancel;
}

#endif
