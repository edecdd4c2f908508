/*
 * What a failure of libcurl means to the client: TLS identity, slow retrieval, too much, or merely
 * a network that broke. Thread-safety: as struct upt_http.
 */
#ifndef UPT_TRANSPORT_FAULT_H
#define UPT_TRANSPORT_FAULT_H

#include "transport/exchange.h"

/* Fills x->fault for rc, which is not CURLE_OK, and returns its code. Method and URL are still to
 * be put in front of the message; for UPT_E_TLS it names the server. */
enum upt_code upt_fault_from_curl(struct upt_exchange *x, CURLcode rc);

#endif
