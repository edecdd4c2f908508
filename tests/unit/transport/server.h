/*
 * A small HTTP/1.1 server that misbehaves on request: threads in the test's own process, on
 * 127.0.0.1 or a Unix socket, plain or TLS. What it does for a path is in behaviour.c.
 */
#ifndef TEST_TRANSPORT_SERVER_H
#define TEST_TRANSPORT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct conn;

struct server_options {
	const char *unix_path; /* NULL: TCP */
	const char *cert, *key; /* NULL: no TLS */
	const char *client_ca; /* asks for a client certificate of it */
	bool client_required;
	int tls_version; /* only this; 0: any */
};

/* What the server saw; the strings are of the last request. */
struct seen {
	unsigned n_connections, n_requests;
	unsigned n_ended; /* connections that the client closed, or we */
	unsigned n_client_certificates; /* requests that came with one */
	uint64_t sent_bytes; /* accepted by the socket */
	char method[16], target[256], range[64], content_type[64], accept_encoding[64],
		user_agent[64], registry_auth[64], body[256];
};

struct request {
	char method[16], target[256], range[64];
	char head[8192];
	unsigned n; /* this target's count of requests, from 1 */
};

struct server *server_start(const struct server_options *options);
void server_stop(struct server **server);
struct seen server_seen(struct server *server);
/* "http://127.0.0.1:PORT" and path; valid until the next 8 calls. */
const char *server_url(struct server *server, const char *path);
/* Where /redirect-* of this server points. */
void server_set_target(struct server *server, const char *url);
const char *server_target(struct conn *conn);

/* For behaviours: false when the peer or the test ended. */
bool conn_write(struct conn *conn, const void *data, size_t len);
bool conn_print(struct conn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A pause that ends early, with false, when the peer or the test ends. */
bool conn_pause(struct conn *conn, int ms);
/* Answers one request; false closes the connection. */
bool behave(struct conn *conn, const struct request *request);

#endif
