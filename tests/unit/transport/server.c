#include "server.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "must.h"

#define MAX_CONNECTIONS 64
#define N_URLS 8
#define MAX_TARGETS 32

struct conn {
	struct server *server;
	pthread_t thread;
	int fd;
	SSL *ssl;
	bool has_client_certificate;
};

struct target_count {
	char target[256];
	unsigned n;
};

struct server {
	int listen_fd, stop_fd;
	unsigned short port;
	SSL_CTX *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	struct seen seen;
	struct target_count counts[MAX_TARGETS];
	char redirect[512];
	char urls[N_URLS][512];
	unsigned next_url;
	struct conn *conns[MAX_CONNECTIONS];
	size_t n_conns;
};

/* Waits until fd is ready or the test ends. */
static bool
wait_ready(struct server *server, int fd, short events, int timeout_ms)
{
	struct pollfd fds[2] = {
		{.fd = fd, .events = events}, {.fd = server->stop_fd, .events = POLLIN}};

	return poll(fds, 2, timeout_ms) > 0 && fds[1].revents == 0;
}

bool
conn_pause(struct conn *conn, int ms)
{
	struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLRDHUP},
		{.fd = conn->server->stop_fd, .events = POLLIN}};

	return poll(fds, 2, ms) == 0;
}

static void
count_sent(struct conn *conn, int64_t n)
{
	pthread_mutex_lock(&conn->server->lock);
	conn->server->seen.sent_bytes += (uint64_t)n;
	pthread_mutex_unlock(&conn->server->lock);
}

bool
conn_write(struct conn *conn, const void *data, size_t len)
{
	const uint8_t *p = data;

	/* Before the client can see them, or a test would look too early. */
	count_sent(conn, (int64_t)len);
	while (len > 0) {
		ssize_t n = 0;
		if (wait_ready(conn->server, conn->fd, POLLOUT, -1))
			n = conn->ssl != NULL ? SSL_write(conn->ssl, p, (int)len)
					      : send(conn->fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		p += n;
		len -= (size_t)n;
	}
	count_sent(conn, -(int64_t)len);
	return len == 0;
}

bool
conn_print(struct conn *conn, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	must(n >= 0 && (size_t)n < sizeof(text));
	return conn_write(conn, text, (size_t)n);
}

static ssize_t
conn_read(struct conn *conn, void *data, size_t len)
{
	if ((conn->ssl == NULL || SSL_pending(conn->ssl) == 0) &&
		!wait_ready(conn->server, conn->fd, POLLIN, -1))
		return -1;
	if (conn->ssl != NULL)
		return SSL_read(conn->ssl, data, (int)len);
	return recv(conn->fd, data, len, 0);
}

static void
copy_field(const char *head, const char *name, char *out, size_t size)
{
	const char *line = strcasestr(head, name);
	size_t n;

	out[0] = '\0';
	if (line == NULL)
		return;
	line += strlen(name);
	n = strcspn(line, "\r\n");
	snprintf(out, size, "%.*s", (int)n, line);
}

static void
note_request(struct conn *conn, struct request *request, const char *body)
{
	struct server *server = conn->server;
	struct seen *seen = &server->seen;
	size_t i = 0;

	pthread_mutex_lock(&server->lock);
	seen->n_requests++;
	seen->n_client_certificates += conn->has_client_certificate;
	snprintf(seen->method, sizeof(seen->method), "%s", request->method);
	snprintf(seen->target, sizeof(seen->target), "%s", request->target);
	snprintf(seen->range, sizeof(seen->range), "%s", request->range);
	snprintf(seen->body, sizeof(seen->body), "%s", body);
	copy_field(request->head, "\r\nContent-Type: ", seen->content_type,
		sizeof(seen->content_type));
	copy_field(request->head, "\r\nAccept-Encoding: ", seen->accept_encoding,
		sizeof(seen->accept_encoding));
	copy_field(request->head, "\r\nUser-Agent: ", seen->user_agent, sizeof(seen->user_agent));
	copy_field(request->head, "\r\nX-Registry-Auth: ", seen->registry_auth,
		sizeof(seen->registry_auth));
	while (i < MAX_TARGETS - 1 && server->counts[i].n > 0 &&
		strcmp(server->counts[i].target, request->target) != 0)
		i++;
	snprintf(server->counts[i].target, sizeof(server->counts[i].target), "%s", request->target);
	request->n = ++server->counts[i].n;
	pthread_mutex_unlock(&server->lock);
}

/* Head and body of one request (no pipelining). False at the end of the connection. */
static bool
read_request(struct conn *conn, struct request *request)
{
	char body[256] = "", length_text[32];
	size_t len = 0, body_len, have;
	char *end = NULL;

	memset(request, 0, sizeof(*request));
	while (end == NULL) {
		ssize_t n = conn_read(conn, request->head + len, sizeof(request->head) - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		request->head[len] = '\0';
		end = strstr(request->head, "\r\n\r\n");
	}
	copy_field(request->head, "\r\nContent-Length: ", length_text, sizeof(length_text));
	body_len = strtoul(length_text, NULL, 10);
	must(body_len < sizeof(body));
	have = len - (size_t)(end + 4 - request->head);
	memcpy(body, end + 4, have);
	while (have < body_len) {
		ssize_t n = conn_read(conn, body + have, body_len - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	end[2] = '\0';
	if (sscanf(request->head, "%15s %255s", request->method, request->target) != 2)
		return false;
	copy_field(request->head, "\r\nRange: ", request->range, sizeof(request->range));
	note_request(conn, request, body);
	return true;
}

/* A close with unread bytes is a reset, which would overtake the alert that was just sent. */
static void
close_gently(struct conn *conn)
{
	char drop[4096];

	shutdown(conn->fd, SHUT_WR);
	while (wait_ready(conn->server, conn->fd, POLLIN, 2000) &&
		recv(conn->fd, drop, sizeof(drop), 0) > 0)
		;
}

static bool
handshake(struct conn *conn)
{
	X509 *cert;

	if (conn->server->ctx == NULL)
		return true;
	conn->ssl = SSL_new(conn->server->ctx);
	SSL_set_fd(conn->ssl, conn->fd);
	if (SSL_accept(conn->ssl) != 1) {
		close_gently(conn);
		return false;
	}
	cert = SSL_get1_peer_certificate(conn->ssl);
	conn->has_client_certificate = cert != NULL;
	X509_free(cert);
	return true;
}

static void *
serve_connection(void *arg)
{
	struct conn *conn = arg;
	struct request request;

	if (handshake(conn)) {
		while (read_request(conn, &request) && behave(conn, &request))
			;
		if (conn->ssl != NULL)
			SSL_shutdown(conn->ssl);
	}
	shutdown(conn->fd, SHUT_WR);
	pthread_mutex_lock(&conn->server->lock);
	conn->server->seen.n_ended++;
	pthread_mutex_unlock(&conn->server->lock);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct server *server = arg;

	while (wait_ready(server, server->listen_fd, POLLIN, -1)) {
		struct conn *conn = calloc(1, sizeof(*conn));
		must(conn != NULL && server->n_conns < MAX_CONNECTIONS);
		conn->server = server;
		conn->fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		must(conn->fd >= 0);
		pthread_mutex_lock(&server->lock);
		server->seen.n_connections++;
		pthread_mutex_unlock(&server->lock);
		server->conns[server->n_conns++] = conn;
		pthread_create(&conn->thread, NULL, serve_connection, conn);
	}
	return NULL;
}

static void
listen_on(struct server *server, const char *unix_path)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(in);
	int rc;

	server->listen_fd =
		socket(unix_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (unix_path != NULL) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_path);
		rc = bind(server->listen_fd, (const struct sockaddr *)&un, sizeof(un));
	} else {
		rc = bind(server->listen_fd, (const struct sockaddr *)&in, sizeof(in));
		getsockname(server->listen_fd, (struct sockaddr *)&in, &len);
		server->port = ntohs(in.sin_port);
	}
	must(rc == 0);
	rc = listen(server->listen_fd, 16);
	must(rc == 0);
}

static SSL_CTX *
make_ctx(const struct server_options *options)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	must(ctx != NULL);
	must(SSL_CTX_use_certificate_chain_file(ctx, options->cert) == 1);
	must(SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM) == 1);
	if (options->tls_version != 0) {
		must(SSL_CTX_set_min_proto_version(ctx, options->tls_version) == 1);
		must(SSL_CTX_set_max_proto_version(ctx, options->tls_version) == 1);
	}
	/* Only then OpenSSL still speaks TLS 1.1. */
	SSL_CTX_set_security_level(ctx, 0);
	if (options->client_ca != NULL) {
		must(SSL_CTX_load_verify_locations(ctx, options->client_ca, NULL) == 1);
		SSL_CTX_set_verify(ctx,
			SSL_VERIFY_PEER |
				(options->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			NULL);
	}
	return ctx;
}

struct server *
server_start(const struct server_options *options)
{
	struct server *server = calloc(1, sizeof(*server));
	sigset_t all, old;

	must(server != NULL);
	pthread_mutex_init(&server->lock, NULL);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	listen_on(server, options->unix_path);
	if (options->cert != NULL)
		server->ctx = make_ctx(options);
	/* The server's threads take no signal, SIGPIPE included. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&server->thread, NULL, accept_all, server);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return server;
}

void
server_stop(struct server **server)
{
	struct server *s = *server;
	ssize_t n;

	*server = NULL;
	if (s == NULL)
		return;
	n = write(s->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
	must(n == (ssize_t)sizeof(uint64_t));
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->n_conns; i++) {
		shutdown(s->conns[i]->fd, SHUT_RDWR);
		pthread_join(s->conns[i]->thread, NULL);
		SSL_free(s->conns[i]->ssl);
		close(s->conns[i]->fd);
		free(s->conns[i]);
	}
	SSL_CTX_free(s->ctx);
	close(s->listen_fd);
	close(s->stop_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct seen
server_seen(struct server *server)
{
	struct seen seen;

	pthread_mutex_lock(&server->lock);
	seen = server->seen;
	pthread_mutex_unlock(&server->lock);
	return seen;
}

const char *
server_url(struct server *server, const char *path)
{
	char *url = server->urls[server->next_url++ % N_URLS];

	if (server->port == 0)
		snprintf(url, sizeof(server->urls[0]), "http://localhost%s", path);
	else
		snprintf(url, sizeof(server->urls[0]), "%s://127.0.0.1:%u%s",
			server->ctx != NULL ? "https" : "http", server->port, path);
	return url;
}

void
server_set_target(struct server *server, const char *url)
{
	pthread_mutex_lock(&server->lock);
	snprintf(server->redirect, sizeof(server->redirect), "%s", url);
	pthread_mutex_unlock(&server->lock);
}

const char *
server_target(struct conn *conn)
{
	return conn->server->redirect;
}
