/*
 * The listening socket, and one connection after the other.
 */
#include "secondary/agent_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/file.h"

/* The Primary calls one at a time; a flood waits in the peers' own kernels. */
#define BACKLOG 8
#define ACCEPT_RETRY_MS 1000

static void
free_addresses(struct addrinfo **list)
{
	if (*list != NULL)
		freeaddrinfo(*list);
}

static enum upt_code
resolve(const char *address, unsigned port, int flags, struct addrinfo **out, struct upt_err *err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	char service[16];
	int rc;

	*out = NULL;
	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(address, service, &hints, out);
	if (rc != 0)
		return upt_fail(err, UPT_E_CONFIG, "%s is no numeric address: %s", address,
			gai_strerror(rc));
	return UPT_OK;
}

static enum upt_code
read_port(struct upt_agent *agent, struct upt_err *err)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char service[16];

	if (getsockname(agent->listen_fd, (struct sockaddr *)&name, &len) != 0)
		return upt_fail_errno(err, errno, "cannot read the port");
	if (getnameinfo((struct sockaddr *)&name, len, NULL, 0, service, sizeof(service),
		    NI_NUMERICSERV) != 0)
		return upt_fail(err, UPT_E_IO, "cannot read the port");
	agent->port = (unsigned)strtoul(service, NULL, 10);
	return UPT_OK;
}

static enum upt_code
open_socket(struct upt_agent *agent, struct upt_err *err)
{
	upt_cleanup(free_addresses) struct addrinfo *list = NULL;
	const char *address = agent->config.address;
	int on = 1;

	UPT_TRY(resolve(address, agent->config.port, AI_NUMERICHOST | AI_PASSIVE, &list, err));
	agent->listen_fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (agent->listen_fd < 0)
		return upt_fail_errno(err, errno, "cannot open a socket");
	/* A restarted agent must not wait until old connections have timed out. */
	setsockopt(agent->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(agent->listen_fd, list->ai_addr, list->ai_addrlen) != 0 ||
		listen(agent->listen_fd, BACKLOG) != 0)
		return upt_fail_errno(
			err, errno, "cannot listen on %s port %u", address, agent->config.port);
	return read_port(agent, err);
}

enum upt_code
upt_agent_listen(struct upt_agent *agent, struct upt_err *err)
{
	char text[16];
	int len;

	UPT_TRY(open_socket(agent, err));
	upt_log(agent->log, UPT_LOG_INFO, "ECU %s (%s) listens on %s port %u", agent->config.serial,
		agent->config.hardware_id, agent->config.address, agent->port);
	if (agent->config.ready_file == NULL)
		return UPT_OK;
	len = snprintf(text, sizeof(text), "%u\n", agent->port);
	return upt_file_replace(
		AT_FDCWD, agent->config.ready_file, 0644, upt_span(text, (size_t)len), err);
}

unsigned
upt_agent_port(const struct upt_agent *agent)
{
	return agent->port;
}

/* A filter, no authentication: it keeps strangers from holding the one connection there is. */
static bool
is_primary(const struct upt_agent *agent, const struct sockaddr *name, socklen_t len)
{
	upt_cleanup(free_addresses) struct addrinfo *list = NULL;
	char peer[64], wanted[64];

	if (agent->config.primary == NULL)
		return true;
	if (resolve(agent->config.primary, 0, AI_NUMERICHOST, &list, NULL) != UPT_OK ||
		getnameinfo(name, len, peer, sizeof(peer), NULL, 0, NI_NUMERICHOST) != 0 ||
		getnameinfo(list->ai_addr, list->ai_addrlen, wanted, sizeof(wanted), NULL, 0,
			NI_NUMERICHOST) != 0)
		return false;
	/* An IPv4 peer of an IPv6 socket. */
	return strcmp(peer, wanted) == 0 ||
	       (strncmp(peer, "::ffff:", 7) == 0 && strcmp(peer + 7, wanted) == 0);
}

static void
serve_next(struct upt_agent *agent, int stop_fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	upt_cleanup(upt_close_fd) int fd = accept4(
		agent->listen_fd, (struct sockaddr *)&name, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

	if (fd >= 0 && is_primary(agent, (struct sockaddr *)&name, len)) {
		upt_agent_serve(agent, fd, stop_fd);
		return;
	}
	if (fd >= 0) {
		upt_log(agent->log, UPT_LOG_INFO, "a connection that is not the Primary's: closed");
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* Out of descriptors or memory: the connection stays queued, so do not spin on it. */
	upt_log(agent->log, UPT_LOG_WARNING, "cannot take a connection: %s", strerror(errno));
	poll(&stop, 1, ACCEPT_RETRY_MS);
}

enum upt_code
upt_agent_run(struct upt_agent *agent, int stop_fd, struct upt_err *err)
{
	struct pollfd fds[2] = {
		{.fd = agent->listen_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

	for (;;) {
		int n = poll(fds, 2, -1);
		if (n < 0 && errno != EINTR)
			return upt_fail_errno(err, errno, "cannot wait for connections");
		if (n > 0 && fds[1].revents != 0)
			return UPT_OK;
		if (n > 0 && fds[0].revents != 0)
			serve_next(agent, stop_fd);
	}
}
