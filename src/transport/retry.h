/*
 * When a request is sent again: twice, for a server's own errors (5xx) and for a broken network,
 * with a growing, jittered pause. Never for what a second try cannot change (4xx, TLS identity, a
 * limit), nor when the server asks for more patience than this: the next poll is soon enough.
 */
#ifndef UPT_TRANSPORT_RETRY_H
#define UPT_TRANSPORT_RETRY_H

#include "transport/exchange.h"

#define UPT_HTTP_N_RETRIES 2u
#define UPT_HTTP_RETRY_AFTER_MAX_S 10u

struct upt_retry {
	unsigned n; /* retries so far */
	uint64_t started_ms; /* of the first try */
};

void upt_retry_start(struct upt_retry *retry);
/* True when x, that ended with code, shall run again: the pause is over. False with *code changed
 * to UPT_E_CANCELLED when that ended the pause; a final failure says after how many tries. */
bool upt_retry_wait(struct upt_retry *retry, const struct upt_exchange *x, enum upt_code *code,
	struct upt_err *err);

#endif
