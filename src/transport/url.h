/*
 * URLs on libcurl's own parser, so that what is checked is what is fetched. Thread-safety: no
 * state.
 */
#ifndef UPT_TRANSPORT_URL_H
#define UPT_TRANSPORT_URL_H

#include "base/span.h"

/* Signed object-storage URLs reach 2 KiB. */
#define UPT_URL_MAX_BYTES ((size_t)8192)
#define UPT_URL_SHOWN_SIZE 224

/* UPT_E_MALFORMED, or UPT_E_UNSUPPORTED for a scheme other than http and https. */
UPT_NODISCARD enum upt_code upt_url_check(const char *url, struct upt_err *err);
bool upt_url_is_https(const char *url);
/* Same scheme, host and port. False when either is malformed. */
bool upt_url_same_origin(const char *a, const char *b);
/* For messages: scheme, host, port and path; never user, password, query or fragment, where tokens
 * and signatures live. Printable ASCII only. */
void upt_url_show(const char *url, char out[static UPT_URL_SHOWN_SIZE]);
/* Same, without the path. */
void upt_url_show_origin(const char *url, char out[static UPT_URL_SHOWN_SIZE]);
/* At most out_size - 1 bytes of foreign text as printable ASCII ('?' for the rest). */
void upt_text_show(struct upt_span text, char *out, size_t out_size);

#endif
