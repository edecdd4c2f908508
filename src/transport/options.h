/*
 * How one request is made of libcurl's options: connection, TLS, request. All are set for each
 * request, on a handle that has forgotten those of the last. Thread-safety: as struct upt_http.
 */
#ifndef UPT_TRANSPORT_OPTIONS_H
#define UPT_TRANSPORT_OPTIONS_H

#include "transport/exchange.h"

/* Sets an option of x->easy unless an earlier one failed. */
#define UPT_CURL_SET(option, value)                                                                \
	do {                                                                                       \
		if (rc == CURLE_OK)                                                                \
			rc = curl_easy_setopt(x->easy, option, value);                             \
	} while (0)

/* x->easy is set; headers must live until the request is over. */
CURLcode upt_options_set(struct upt_exchange *x, struct curl_slist *headers);
/* Appends the fields that are not libcurl's own to *list, which the caller frees in any case. */
UPT_NODISCARD enum upt_code upt_options_make_headers(
	const struct upt_exchange *x, struct curl_slist **list, struct upt_err *err);

#endif
