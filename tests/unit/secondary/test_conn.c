/* Frames over a socket pair whose other end is silent, slow, rude or gone. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "secondary/conn.h"

struct pair {
	int fds[2];
	struct upt_conn conn;
	struct upt_buf payload;
	enum upt_wire_type type;
};

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fds), 0);
	assert_ok(upt_conn_prepare(p->fds[0], why));
	p->conn = (struct upt_conn){.fd = p->fds[0], .timeout_ms = 50, .stop_fd = -1};
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	close(p->fds[0]);
	if (p->fds[1] >= 0)
		close(p->fds[1]);
	upt_buf_clear(&p->payload);
	free(p);
	return 0;
}

static void
peer_says(struct pair *p, const void *bytes, size_t len)
{
	assert_int_equal(send(p->fds[1], bytes, len, MSG_NOSIGNAL), len);
}

static void
peer_closes(struct pair *p)
{
	close(p->fds[1]);
	p->fds[1] = -1;
}

static enum upt_code
receive(struct pair *p, unsigned allowed)
{
	p->type = UPT_WIRE_HELLO;
	return upt_conn_receive(&p->conn, allowed, 0, &p->type, &p->payload, NULL);
}

#define ACCEPT UPT_WIRE_BIT(UPT_WIRE_ACCEPT)
#define END UPT_WIRE_BIT(UPT_WIRE_NONE)
static const char accept_frame[] = "\0\0\0\10\14"
				   "12345678";

static void
frame_arrives(void **state)
{
	struct pair *p = *state;

	peer_says(p, accept_frame, 13);
	assert_code(receive(p, ACCEPT), UPT_OK);
	assert_int_equal(p->type, UPT_WIRE_ACCEPT);
	assert_true(upt_span_equal(upt_buf_span(&p->payload), upt_span_str("12345678")));
	assert_false(upt_conn_readable(&p->conn));
}

static void
silence_is_a_lost_peer(void **state)
{
	struct pair *p = *state;
	int64_t before = upt_monotonic_ms();

	assert_code(receive(p, ACCEPT), UPT_E_NETWORK);
	assert_int_equal(p->type, UPT_WIRE_NONE);
	assert_true(upt_monotonic_ms() - before >= 50);
}

/* At every byte: a peer that begins and does not end is slow, one that closes is gone. */
static void
frame_cut_at_any_byte(void **state)
{
	for (size_t n = 1; n < 13; n++) {
		struct pair *p;

		setup(state);
		p = *state;
		p->conn.timeout_ms = 5;
		peer_says(p, accept_frame, n);
		assert_code(receive(p, ACCEPT | END), UPT_E_TOO_SLOW);
		teardown(state);
		setup(state);
		p = *state;
		peer_says(p, accept_frame, n);
		peer_closes(p);
		assert_code(receive(p, ACCEPT | END), UPT_E_NETWORK);
		teardown(state);
	}
	setup(state);
}

static void
close_between_frames_is_an_end_where_allowed(void **state)
{
	struct pair *p = *state;

	peer_closes(p);
	assert_code(receive(p, ACCEPT), UPT_E_NETWORK);
	assert_code(receive(p, ACCEPT | END), UPT_OK);
	assert_int_equal(p->type, UPT_WIRE_NONE);
}

static void
other_type_is_refused_before_its_payload(void **state)
{
	struct pair *p = *state;

	/* IMAGE_DATA of 64 KiB is announced; none of it needs to come. */
	peer_says(p, "\0\1\0\0\15", 5);
	assert_code(receive(p, ACCEPT), UPT_E_MALFORMED);
	assert_int_equal(p->payload.cap, 0);
}

static void
unknown_type_and_oversize_are_refused(void **state)
{
	struct pair *p = *state;

	peer_says(p, "\0\0\0\0\143", 5);
	assert_code(receive(p, ~0u), UPT_E_MALFORMED);
	peer_says(p, "\0\0\0\11\14", 5);
	assert_code(receive(p, ~0u), UPT_E_TOO_LARGE);
	assert_int_equal(p->payload.cap, 0);
}

static void
end_of_conversation_bounds_every_wait(void **state)
{
	struct pair *p = *state;
	int64_t before = upt_monotonic_ms();

	p->conn.timeout_ms = 60000;
	p->conn.end_ms = before + 20;
	assert_code(receive(p, ACCEPT), UPT_E_NETWORK);
	assert_true(upt_monotonic_ms() - before < 10000);
}

static void
extra_time_cannot_overflow(void **state)
{
	struct pair *p = *state;

	peer_says(p, accept_frame, 13);
	assert_code(upt_conn_receive(&p->conn, ACCEPT, UINT64_MAX, &p->type, &p->payload, NULL),
		UPT_OK);
	assert_int_equal(p->type, UPT_WIRE_ACCEPT);
}

static void
cancel_and_stop_interrupt(void **state)
{
	struct pair *p = *state;
	volatile bool cancel = true;
	int stop[2];

	p->conn.timeout_ms = 60000;
	p->conn.cancel = &cancel;
	assert_code(receive(p, ACCEPT), UPT_E_CANCELLED);
	cancel = false;
	assert_int_equal(pipe(stop), 0);
	p->conn.stop_fd = stop[0];
	close(stop[1]);
	assert_code(receive(p, ACCEPT), UPT_E_CANCELLED);
	close(stop[0]);
}

static void
peer_that_takes_nothing_is_given_up(void **state)
{
	struct pair *p = *state;
	size_t len = (size_t)16 << 20;
	uint8_t *bytes = calloc(1, len);

	assert_non_null(bytes);
	assert_code(upt_conn_send(&p->conn, upt_span(bytes, len), NULL), UPT_E_NETWORK);
	peer_closes(p);
	/* And no SIGPIPE. */
	assert_code(upt_conn_send(&p->conn, upt_span(bytes, len), NULL), UPT_E_NETWORK);
	free(bytes);
}

static void
linger_reads_to_the_end_and_no_further(void **state)
{
	struct pair *p = *state;
	uint8_t bytes[8192] = {0};

	peer_says(p, bytes, sizeof(bytes));
	upt_conn_linger(&p->conn, 4096);
	assert_true(upt_conn_readable(&p->conn));
	peer_closes(p);
	upt_conn_linger(&p->conn, 1 << 20);
	assert_int_equal(recv(p->fds[0], bytes, 1, MSG_DONTWAIT), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(frame_arrives),
		CASE(silence_is_a_lost_peer),
		cmocka_unit_test_teardown(frame_cut_at_any_byte, teardown),
		CASE(close_between_frames_is_an_end_where_allowed),
		CASE(other_type_is_refused_before_its_payload),
		CASE(unknown_type_and_oversize_are_refused),
		CASE(end_of_conversation_bounds_every_wait),
		CASE(extra_time_cannot_overflow),
		CASE(cancel_and_stop_interrupt),
		CASE(peer_that_takes_nothing_is_given_up),
		CASE(linger_reads_to_the_end_and_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
