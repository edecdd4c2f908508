#include "secondary/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#define CANCEL_SLICE_MS 200

enum upt_code
upt_conn_prepare(int fd, struct upt_err *err)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return upt_fail_errno(err, errno, "cannot prepare a socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return UPT_OK;
}

/* ---- waiting ---- */

static int64_t
deadline(const struct upt_conn *conn, uint64_t extra_ms)
{
	int64_t at = upt_monotonic_ms() + conn->timeout_ms;

	if (__builtin_add_overflow(at, (int64_t)(extra_ms < INT64_MAX ? extra_ms : INT64_MAX), &at))
		at = INT64_MAX;
	return conn->end_ms != 0 && conn->end_ms < at ? conn->end_ms : at;
}

/* UPT_OK when the socket is ready; UPT_E_TOO_SLOW at the deadline (the caller words it). */
static enum upt_code
wait_for(const struct upt_conn *conn, short events, int64_t until_ms, struct upt_err *err)
{
	struct pollfd fds[2] = {
		{.fd = conn->fd, .events = events}, {.fd = conn->stop_fd, .events = POLLIN}};

	for (;;) {
		int64_t left = until_ms - upt_monotonic_ms();
		int64_t slice = conn->cancel != NULL ? CANCEL_SLICE_MS : 60 * 1000;
		int n;

		if (conn->cancel != NULL && *conn->cancel)
			return upt_fail(err, UPT_E_CANCELLED, "interrupted");
		if (left <= 0)
			return upt_fail(err, UPT_E_TOO_SLOW, "timed out");
		n = poll(fds, 2, (int)(left < slice ? left : slice));
		if (n < 0 && errno != EINTR)
			return upt_fail_errno(err, errno, "cannot wait for a socket");
		if (n > 0 && fds[1].revents != 0)
			return upt_fail(err, UPT_E_CANCELLED, "interrupted");
		if (n > 0)
			return UPT_OK;
	}
}

static enum upt_code
wait_to_send(const struct upt_conn *conn, int64_t until_ms, struct upt_err *err)
{
	enum upt_code code = wait_for(conn, POLLOUT, until_ms, err);

	return code == UPT_E_TOO_SLOW ? upt_fail(err, UPT_E_NETWORK, "it takes nothing in time")
				      : code;
}

static bool
try_again(int errnum)
{
	return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR;
}

/* Whatever the reason, the connection is lost and nothing else is: the next one may do. */
static enum upt_code
lost(int errnum, struct upt_err *err)
{
	return upt_fail(err, UPT_E_NETWORK, "the connection broke: %s", strerror(errnum));
}

/* ---- sending ---- */

enum upt_code
upt_conn_send(const struct upt_conn *conn, struct upt_span bytes, struct upt_err *err)
{
	int64_t until_ms = deadline(conn, 0);

	while (bytes.len > 0) {
		/* The process may not ignore SIGPIPE: a peer that closes must not end it. */
		ssize_t n = send(conn->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && !try_again(errno))
			return lost(errno, err);
		if (n < 0)
			UPT_TRY(wait_to_send(conn, until_ms, err));
		else
			bytes = upt_span(bytes.data + n, bytes.len - (size_t)n);
	}
	return UPT_OK;
}

/* ---- receiving ---- */

/* Reads up to len bytes; *got tells how many when the peer closed. */
static enum upt_code
receive_until(const struct upt_conn *conn, uint8_t *out, size_t len, int64_t until_ms, size_t *got,
	struct upt_err *err)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = recv(conn->fd, out + *got, len - *got, 0);
		if (n < 0 && !try_again(errno))
			return lost(errno, err);
		if (n == 0)
			return UPT_OK;
		if (n < 0)
			UPT_TRY(wait_for(conn, POLLIN, until_ms, err));
		else
			*got += (size_t)n;
	}
	return UPT_OK;
}

static enum upt_code
receive_payload(const struct upt_conn *conn, size_t len, int64_t until_ms, struct upt_buf *payload,
	struct upt_err *err)
{
	size_t got;

	payload->len = 0;
	UPT_TRY(upt_buf_reserve(payload, len, err));
	UPT_TRY(receive_until(conn, payload->data, len, until_ms, &got, err));
	if (got < len)
		return upt_fail(err, UPT_E_NETWORK, "it closed within a frame");
	payload->len = len;
	payload->data[len] = 0;
	return UPT_OK;
}

enum upt_code
upt_conn_receive(const struct upt_conn *conn, unsigned allowed, uint64_t extra_ms,
	enum upt_wire_type *type, struct upt_buf *payload, struct upt_err *err)
{
	int64_t until_ms = deadline(conn, extra_ms);
	uint8_t header[UPT_WIRE_HEADER_BYTES];
	enum upt_wire_type found;
	enum upt_code code;
	size_t got, len;

	*type = UPT_WIRE_NONE;
	code = receive_until(conn, header, sizeof(header), until_ms, &got, err);
	if (code == UPT_E_TOO_SLOW && got == 0)
		return upt_fail(err, UPT_E_NETWORK, "it says nothing in time");
	UPT_TRY(code);
	if (got == 0 && (allowed & UPT_WIRE_BIT(UPT_WIRE_NONE)) != 0)
		return UPT_OK;
	if (got < sizeof(header))
		return upt_fail(err, UPT_E_NETWORK, "it closed where a frame belongs");
	UPT_TRY(upt_wire_header_parse(header, &found, &len, err));
	if ((allowed & UPT_WIRE_BIT(found)) == 0)
		return upt_fail(err, UPT_E_MALFORMED, "it sends %s where that does not belong",
			upt_wire_type_name(found));
	UPT_TRY(receive_payload(conn, len, until_ms, payload, err));
	*type = found;
	return UPT_OK;
}

bool
upt_conn_readable(const struct upt_conn *conn)
{
	struct pollfd fd = {.fd = conn->fd, .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

void
upt_conn_linger(const struct upt_conn *conn, uint64_t max_bytes)
{
	int64_t until_ms = deadline(conn, 0);
	uint8_t dump[4096];
	uint64_t total = 0;
	size_t got = sizeof(dump);

	if (shutdown(conn->fd, SHUT_WR) != 0)
		return;
	while (total < max_bytes && got == sizeof(dump)) {
		if (receive_until(conn, dump, sizeof(dump), until_ms, &got, NULL) != UPT_OK)
			return;
		total += got;
	}
}
