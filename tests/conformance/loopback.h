/*
 * A small HTTP/1.1 server on 127.0.0.1 for tests: one thread in the test's process answers one
 * request after the other and closes each connection. Thread-safety: the answer function is called
 * under the lock that loopback_lock() takes.
 */
#ifndef TESTS_CONFORMANCE_LOOPBACK_H
#define TESTS_CONFORMANCE_LOOPBACK_H

#include "base/span.h"

struct loopback;

struct loopback_reply {
	int status;
	struct upt_span body; /* stays valid until the next request */
};

/* target: as the client wrote it, query and all. */
typedef struct loopback_reply loopback_answer(void *ctx, const char *method, const char *target);

struct loopback *loopback_start(loopback_answer *answer, void *ctx);
void loopback_stop(struct loopback **server);
/* "http://127.0.0.1:PORT" */
const char *loopback_url(const struct loopback *server);
/* Around what the test changes of the answer function's context, and what it reads. */
void loopback_lock(struct loopback *server);
void loopback_unlock(struct loopback *server);

#endif
