/*
 * The HTTPS server: libmicrohttpd on GnuTLS, one thread, driven by the caller's poll loop.
 * Everything a client can make us keep is bounded: connections, header and body bytes, and the time
 * from a request's first byte to its last (a client that sends a byte now and then is cut off as
 * well).
 */
#ifndef UPT_TOOLS_DIRECTOR_HTTP_H
#define UPT_TOOLS_DIRECTOR_HTTP_H

#include "base/log.h"
#include "director.h"

#define HTTP_MAX_CONNECTIONS 256
#define HTTP_MAX_PER_ADDRESS 128
#define HTTP_CONNECTION_MEMORY_BYTES ((size_t)32 * 1024) /* headers, per connection */
#define HTTP_BODIES_MAX_BYTES ((size_t)32 * 1024 * 1024) /* all request bodies held at one time */
#define HTTP_DISCARD_MAX_BYTES                                                                     \
	((size_t)8 * 1024 * 1024) /* read of a body that is refused anyway                         \
				   */
#define HTTP_DISCARD_STRANGER_BYTES ((size_t)64 * 1024) /* the same without a good certificate */

struct http_server;

struct http_config {
	struct director *director; /* borrowed while the server lives */
	const struct upt_log *log; /* the same */
	int listen_fd; /* taken over, also on failure */
	struct upt_span cert, key,
		client_ca; /* PEM, NUL-terminated, borrowed while the server lives */
	unsigned timeout_s; /* of a request, a handshake, an idle connection */
};

/* UPT_E_CONFIG when certificate, key or CA cannot be used. */
UPT_NODISCARD enum upt_code
http_start(const struct http_config *config, struct http_server **out, struct upt_err *err);
/* The descriptor to poll for input, and how long at most (-1: for ever) before http_run(). */
int http_poll_fd(const struct http_server *server);
int http_poll_timeout_ms(struct http_server *server);
void http_run(struct http_server *server);
/* No new connections from now on. */
void http_stop_listening(struct http_server *server);
/* Requests whose first line came and whose answer is not sent yet. */
size_t http_n_running(const struct http_server *server);
void http_free(struct http_server **server);

#endif
