/*
 * A TCP connection to a Secondary, within a deadline.
 */
#include "secondary/link_ip.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define CANCEL_SLICE_MS 200

static enum upt_code
unreachable(int errnum, struct upt_err *err)
{
	return upt_fail(err, UPT_E_NETWORK, "cannot connect: %s",
		errnum == ETIMEDOUT ? "no answer in time" : strerror(errnum));
}

static enum upt_code
wait_connected(const struct upt_ip_link *self, int fd, struct upt_err *err)
{
	int64_t until_ms = upt_monotonic_ms() + self->conn.timeout_ms;
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0, n = 0;

	while (n <= 0) {
		int64_t left = until_ms - upt_monotonic_ms();
		if (self->conn.cancel != NULL && *self->conn.cancel)
			return upt_fail(err, UPT_E_CANCELLED, "interrupted");
		if (left <= 0)
			return unreachable(ETIMEDOUT, err);
		n = poll(&poll_fd, 1, (int)(left < CANCEL_SLICE_MS ? left : CANCEL_SLICE_MS));
		if (n < 0 && errno != EINTR)
			return unreachable(errno, err);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	return error == 0 ? UPT_OK : unreachable(error, err);
}

static enum upt_code
connect_address(
	const struct upt_ip_link *self, const struct addrinfo *ai, int *out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd =
		socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return unreachable(errno, err);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		if (errno != EINPROGRESS)
			return unreachable(errno, err);
		UPT_TRY(wait_connected(self, fd, err));
	}
	*out = fd;
	fd = -1;
	return UPT_OK;
}

/* Tries every address of a name; the last failure is told. */
enum upt_code
upt_ip_connect_tcp(void *ctx, int *fd, struct upt_err *err)
{
	const struct upt_ip_link *self = ctx;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	enum upt_code code = UPT_E_NETWORK;
	struct addrinfo *list;
	char service[16];
	int rc;

	snprintf(service, sizeof(service), "%u", self->port);
	rc = getaddrinfo(self->address, service, &hints, &list);
	if (rc != 0)
		return upt_fail(
			err, UPT_E_NETWORK, "cannot resolve the address: %s", gai_strerror(rc));
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		code = connect_address(self, ai, fd, err);
		if (code == UPT_OK || code == UPT_E_CANCELLED)
			break;
	}
	freeaddrinfo(list);
	return code;
}
