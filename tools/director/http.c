#include <arpa/inet.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "base/monotonic.h"
#include "http.h"
#include "identity.h"
#include "routes.h"

#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"
#define PATH_LOG_MAX 128
/* How often deadlines are looked at while there are connections. */
#define TICK_MS 500

struct connection {
	int fd; /* MHD's */
	int64_t deadline_ms;
	char peer[INET6_ADDRSTRLEN + 1];
	struct connection *previous, *next;
};

struct http_server {
	struct director *director;
	const struct upt_log *log;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	int64_t timeout_ms;
	struct connection *connections;
	size_t n_running;
	size_t body_bytes; /* held by all exchanges */
	char fault[256]; /* MHD's last message */
};

/* One request and its answer. */
struct exchange {
	struct http_server *server;
	struct connection *connection; /* NULL without a socket context: no memory */
	char vehicle[DIRECTOR_VEHICLE_ID_MAX + 1];
	char method[16], path[PATH_LOG_MAX + 1]; /* for the log */
	bool head;
	struct route route;
	struct reply reply; /* status set early: refused, the body is read and dropped */
	struct upt_buf body;
	size_t discarded, max_discarded;
	size_t sent_bytes;
	int64_t started_ms;
};

/* ---- connections ---- */

static void
name_peer(struct MHD_Connection *mhd, struct connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const void *address = NULL;
	int family = info != NULL ? info->client_addr->sa_family : AF_UNSPEC;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	if (family == AF_INET) {
		memcpy(&in4, info->client_addr, sizeof(in4));
		address = &in4.sin_addr;
	} else if (family == AF_INET6) {
		memcpy(&in6, info->client_addr, sizeof(in6));
		address = &in6.sin6_addr;
	}
	if (address == NULL ||
		inet_ntop(family, address, connection->peer, sizeof(connection->peer)) == NULL)
		(void)snprintf(connection->peer, sizeof(connection->peer), "?");
}

static void
add_connection(struct http_server *server, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = calloc(1, sizeof(*connection));

	*context = connection;
	if (connection == NULL)
		return;
	connection->fd = info != NULL ? info->connect_fd : -1;
	connection->deadline_ms = upt_monotonic_ms() + server->timeout_ms;
	name_peer(mhd, connection);
	connection->next = server->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	server->connections = connection;
}

static void
remove_connection(struct http_server *server, void **context)
{
	struct connection *connection = *context;

	*context = NULL;
	if (connection == NULL)
		return;
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	free(connection);
}

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		add_connection(cls, mhd, context);
	else
		remove_connection(cls, context);
}

/*
 * MHD's own timeout starts anew with every byte, so that a client could hold a connection for days:
 * this one does not. The socket is only shut down; MHD then sees the end and closes it.
 */
static void
cut_off_slow(struct http_server *server)
{
	int64_t now = upt_monotonic_ms();

	for (struct connection *c = server->connections; c != NULL; c = c->next) {
		if (now < c->deadline_ms)
			continue;
		upt_log(server->log, UPT_LOG_INFO, "%s: connection cut off after %lld s", c->peer,
			(long long)(server->timeout_ms / 1000));
		(void)shutdown(c->fd, SHUT_RDWR);
		c->deadline_ms = INT64_MAX;
	}
}

/* ---- requests ---- */

static void
free_body(struct exchange *exchange)
{
	exchange->server->body_bytes -= exchange->body.len;
	upt_buf_clear(&exchange->body);
}

/* Who calls, and whether the path and method exist; else the refusal. */
static enum upt_code
check_request(struct exchange *exchange, struct MHD_Connection *mhd, const char *path,
	const char *method, struct upt_err *err)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct upt_err why = {0};

	exchange->max_discarded = HTTP_DISCARD_STRANGER_BYTES;
	if (info == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "a connection without a TLS session");
	if (identity_check(info->tls_session, exchange->vehicle, &why) != UPT_OK)
		return reply_error(&exchange->reply, err, MHD_HTTP_FORBIDDEN, "client_certificate",
			"%s", why.message);
	exchange->max_discarded = HTTP_DISCARD_MAX_BYTES;
	if (!route_find(path, &exchange->route))
		return reply_error(&exchange->reply, err, MHD_HTTP_NOT_FOUND, "not_found",
			"there is nothing at this path");
	if (!route_allows(&exchange->route, method))
		return reply_error(&exchange->reply, err, MHD_HTTP_METHOD_NOT_ALLOWED,
			"method_not_allowed", "only %s is allowed here", exchange->route.allow);
	return UPT_OK;
}

static enum upt_code
refuse_size(struct exchange *exchange, struct upt_err *err)
{
	free_body(exchange);
	return reply_error(&exchange->reply, err, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
		"at most %zu bytes are accepted here", exchange->route.max_body_bytes);
}

/* The announced length of the body; 0 when there is none or it comes in chunks. */
static uint64_t
announced_bytes(struct MHD_Connection *mhd)
{
	const char *text =
		MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static enum upt_code
keep_body(struct exchange *exchange, const char *data, size_t len, struct upt_err *err)
{
	struct http_server *server = exchange->server;

	if (len > exchange->route.max_body_bytes - exchange->body.len)
		return refuse_size(exchange, err);
	if (len > HTTP_BODIES_MAX_BYTES - server->body_bytes) {
		free_body(exchange);
		return reply_error(&exchange->reply, err, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
			"too many large requests at one time");
	}
	UPT_TRY(upt_buf_append(&exchange->body, data, len, err));
	server->body_bytes += len;
	return UPT_OK;
}

/* A failure of ours: logged in full, told in one word. */
static enum upt_code
answer_failure(struct exchange *exchange, const struct upt_err *why, struct upt_err *err)
{
	upt_log_err(exchange->server->log, UPT_LOG_ERROR, why, "%s: %s %s", exchange->vehicle,
		exchange->method, exchange->path);
	if (why->code == UPT_E_BUSY)
		return reply_error(&exchange->reply, err, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
			"the database is busy");
	return reply_error(&exchange->reply, err, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal",
		"the Director failed; its log tells more");
}

static bool
add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
	unsigned status = exchange->reply.status;

	if (exchange->reply.body.len > 0 &&
		MHD_add_response_header(
			response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") != MHD_YES)
		return false;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED &&
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, exchange->route.allow) !=
			MHD_YES)
		return false;
	return status != MHD_HTTP_SERVICE_UNAVAILABLE ||
	       MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "5") == MHD_YES;
}

static enum MHD_Result
send_reply(struct exchange *exchange, struct MHD_Connection *mhd)
{
	struct reply *reply = &exchange->reply;
	size_t len = reply->body.len;

	/* Copied, not handed over: MHD does not say whether it frees on failure. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, len > 0 ? reply->body.data : NULL, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	enum MHD_Result result = MHD_NO;
	if (add_headers(response, exchange))
		result = MHD_queue_response(mhd, reply->status, response);
	MHD_destroy_response(response);
	exchange->sent_bytes = exchange->head ? 0 : len;
	return result;
}

static enum MHD_Result
begin_request(struct http_server *server, struct MHD_Connection *mhd, const char *path,
	const char *method, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	struct upt_err err = {0};

	*context = exchange;
	if (exchange == NULL || info == NULL || info->socket_context == NULL)
		return MHD_NO;
	exchange->server = server;
	exchange->connection = info->socket_context;
	exchange->started_ms = upt_monotonic_ms();
	exchange->connection->deadline_ms = exchange->started_ms + server->timeout_ms;
	exchange->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	(void)snprintf(exchange->method, sizeof(exchange->method), "%s", method);
	(void)snprintf(exchange->path, sizeof(exchange->path), "%s", path);
	server->n_running++;
	enum upt_code code = check_request(exchange, mhd, path, method, &err);
	uint64_t announced = announced_bytes(mhd);
	if (code == UPT_OK && exchange->reply.status == 0 &&
		announced > exchange->route.max_body_bytes)
		code = refuse_size(exchange, &err);
	if (code != UPT_OK)
		return MHD_NO;
	/* A refusal while the client is still sending may be lost with the connection: small bodies
	 * are read first. Who waits for "100 Continue" has sent none yet. */
	bool waits =
		MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL;
	if (exchange->reply.status != 0 && (waits || announced > exchange->max_discarded))
		return send_reply(exchange, mhd);
	return MHD_YES;
}

static enum MHD_Result
take_body(struct exchange *exchange, const char *data, size_t len)
{
	struct upt_err err = {0};

	if (exchange->reply.status == 0)
		return keep_body(exchange, data, len, &err) == UPT_OK ? MHD_YES : MHD_NO;
	exchange->discarded += len;
	return exchange->discarded <= exchange->max_discarded ? MHD_YES : MHD_NO;
}

static enum MHD_Result
end_request(struct exchange *exchange, struct MHD_Connection *mhd)
{
	struct upt_err why = {0}, err = {0};
	struct request request = {.vehicle = exchange->vehicle,
		.body = exchange->body.len > 0 ? upt_buf_span(&exchange->body) : upt_span("", 0),
		.now = (int64_t)time(NULL)};

	if (exchange->reply.status == 0 &&
		route_answer(exchange->server->director, &exchange->route, &request,
			&exchange->reply, &why) != UPT_OK &&
		answer_failure(exchange, &why, &err) != UPT_OK)
		return MHD_NO;
	free_body(exchange);
	/* Sending has its own time: a client that does not read is slow, too. */
	exchange->connection->deadline_ms = upt_monotonic_ms() + exchange->server->timeout_ms;
	return send_reply(exchange, mhd);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *path, const char *method,
	const char *version, const char *upload_data, size_t *upload_data_size, void **context)
{
	struct exchange *exchange = *context;

	(void)version;
	if (exchange == NULL)
		return begin_request(cls, mhd, path, method, context);
	if (*upload_data_size == 0)
		return end_request(exchange, mhd);
	size_t len = *upload_data_size;
	*upload_data_size = 0;
	return take_body(exchange, upload_data, len);
}

static void
log_request(const struct exchange *exchange, bool complete)
{
	const struct reply *reply = &exchange->reply;
	enum upt_log_level level = reply->status >= 400 && reply->status != MHD_HTTP_NOT_FOUND
					   ? UPT_LOG_WARNING
					   : UPT_LOG_INFO;

	upt_log(exchange->server->log, level, "%s %s %s %s %u %zu B %lld ms%s%s%s",
		exchange->connection->peer, exchange->vehicle[0] != '\0' ? exchange->vehicle : "-",
		exchange->method, exchange->path, reply->status, exchange->sent_bytes,
		(long long)(upt_monotonic_ms() - exchange->started_ms), reply->note[0] != '\0' ? " " : "",
		reply->note, complete ? "" : " (broken off)");
}

static void
on_completed(
	void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *context;
	struct http_server *server = cls;

	(void)mhd;
	*context = NULL;
	if (exchange == NULL)
		return;
	if (exchange->server != NULL) {
		log_request(exchange, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
		/* An idle connection is closed by MHD in half of this time, quietly. */
		exchange->connection->deadline_ms = upt_monotonic_ms() + 2 * server->timeout_ms;
		free_body(exchange);
		server->n_running--;
	}
	reply_clear(&exchange->reply);
	free(exchange);
}

static void UPT_PRINTF(2, 0) on_mhd_message(void *cls, const char *fmt, va_list args)
{
	struct http_server *server = cls;

	(void)vsnprintf(server->fault, sizeof(server->fault), fmt, args);
	server->fault[strcspn(server->fault, "\n")] = '\0';
	upt_log(server->log, UPT_LOG_DEBUG, "%s", server->fault);
}

/* ---- the server ---- */

static void
free_credentials(gnutls_certificate_credentials_t *credentials)
{
	if (*credentials != NULL)
		gnutls_certificate_free_credentials(*credentials);
}

static gnutls_datum_t
as_datum(struct upt_span pem)
{
	/* GnuTLS only reads, but its datum is not const. */
	return (gnutls_datum_t){
		.data = (unsigned char *)(uintptr_t)pem.data, .size = (unsigned)pem.len};
}

/* MHD would only say that it did not start. */
static enum upt_code
check_credentials(const struct http_config *config, struct upt_err *err)
{
	upt_cleanup(free_credentials) gnutls_certificate_credentials_t credentials = NULL;
	gnutls_datum_t cert = as_datum(config->cert), key = as_datum(config->key),
		       ca = as_datum(config->client_ca);

	if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	int rc = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		return upt_fail(err, UPT_E_CONFIG, "--cert and --key: %s", gnutls_strerror(rc));
	rc = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		return upt_fail(err, UPT_E_CONFIG, "--client-ca: %s", gnutls_strerror(rc));
	return rc >= 1 ? UPT_OK : upt_fail(err, UPT_E_CONFIG, "--client-ca holds no certificate");
}

static struct MHD_Daemon *
start_daemon(struct http_server *server, const struct http_config *config)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TLS | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_message, server,
		MHD_OPTION_LISTEN_SOCKET, config->listen_fd, MHD_OPTION_HTTPS_MEM_CERT,
		(const char *)config->cert.data, MHD_OPTION_HTTPS_MEM_KEY,
		(const char *)config->key.data, MHD_OPTION_HTTPS_MEM_TRUST,
		(const char *)config->client_ca.data, MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
		MHD_OPTION_CONNECTION_LIMIT, HTTP_MAX_CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, HTTP_MAX_PER_ADDRESS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_CONNECTION_MEMORY_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, config->timeout_s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_END);
}

void
http_free(struct http_server **server)
{
	struct http_server *s = *server;

	*server = NULL;
	if (s == NULL)
		return;
	if (s->daemon != NULL)
		MHD_stop_daemon(s->daemon);
	free(s);
}

enum upt_code
http_start(const struct http_config *config, struct http_server **out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int listen_fd = config->listen_fd;
	upt_cleanup(http_free) struct http_server *server = calloc(1, sizeof(*server));

	*out = NULL;
	if (server == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	UPT_TRY(check_credentials(config, err));
	server->director = config->director;
	server->log = config->log;
	server->timeout_ms = (int64_t)config->timeout_s * 1000;
	server->daemon = start_daemon(server, config);
	if (server->daemon == NULL)
		return upt_fail(
			err, UPT_E_CONFIG, "the HTTPS server did not start: %s", server->fault);
	listen_fd = -1; /* MHD's from now on */
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return upt_fail(err, UPT_E_INTERNAL, "libmicrohttpd has no epoll descriptor");
	server->epoll_fd = info->epoll_fd;
	*out = server;
	server = NULL;
	return UPT_OK;
}

int
http_poll_fd(const struct http_server *server)
{
	return server->epoll_fd;
}

int
http_poll_timeout_ms(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	int limit = server->connections != NULL ? TICK_MS : -1;

	if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES)
		return limit;
	if (limit >= 0 && timeout_ms > (MHD_UNSIGNED_LONG_LONG)limit)
		return limit;
	return timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
}

void
http_run(struct http_server *server)
{
	(void)MHD_run(server->daemon);
	cut_off_slow(server);
}

void
http_stop_listening(struct http_server *server)
{
	MHD_socket fd = MHD_quiesce_daemon(server->daemon);

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

size_t
http_n_running(const struct http_server *server)
{
	return server->n_running;
}
