/*
 * Frames of protocol.h over one connected, non-blocking socket. Every wait has a deadline and can
 * be cut short, so that a silent, slow or half-dead peer costs a bounded time. Both sides use it.
 * Thread-safety: a connection belongs to one thread.
 */
#ifndef UPT_SECONDARY_CONN_H
#define UPT_SECONDARY_CONN_H

#include "base/monotonic.h"
#include "secondary/protocol.h"

struct upt_conn {
	int fd; /* borrowed */
	unsigned timeout_ms; /* for one whole frame, from the start of the wait */
	int64_t end_ms; /* upt_monotonic_ms() at which the conversation is over; 0: never */
	const volatile bool *cancel; /* looked at several times a second; may be NULL */
	int stop_fd; /* readable: stop (a signalfd); -1: none */
};

/* Sets O_NONBLOCK, TCP_NODELAY and SO_KEEPALIVE; the last two quietly fail on other sockets. */
UPT_NODISCARD enum upt_code upt_conn_prepare(int fd, struct upt_err *err);

/* UPT_E_NETWORK when the peer is gone or takes nothing in time, UPT_E_CANCELLED. */
UPT_NODISCARD enum upt_code
upt_conn_send(const struct upt_conn *conn, struct upt_span bytes, struct upt_err *err);
#define UPT_WIRE_BIT(type) (1u << (type))

/*
 * The next frame, one of the allowed types (UPT_WIRE_BIT, or-ed). payload is replaced. extra_ms is
 * added to the timeout where the peer has long work to do first. With UPT_WIRE_BIT(UPT_WIRE_NONE)
 * a close between frames is UPT_OK and that type. UPT_E_NETWORK when the peer is gone or silent;
 * UPT_E_TOO_SLOW when it began a frame and did not end it in time; UPT_E_MALFORMED for another
 * type, before its payload is read; UPT_E_TOO_LARGE, UPT_E_CANCELLED, UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_conn_receive(const struct upt_conn *conn, unsigned allowed,
	uint64_t extra_ms, enum upt_wire_type *type, struct upt_buf *payload, struct upt_err *err);

/* True when something can be received now. */
bool upt_conn_readable(const struct upt_conn *conn);
/*
 * Ends our side and reads what the peer still sends, for at most the timeout and max_bytes. Without
 * it, closing with unread data resets the connection and the peer loses the verdict just sent.
 */
void upt_conn_linger(const struct upt_conn *conn, uint64_t max_bytes);

#endif
