/* A real agent and peers that do not keep to the protocol. */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "secondary/conn.h"

/* A peer of the agent, one connection. */
struct peer {
	struct upt_conn conn;
	struct upt_buf out, in;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	world_clear(*state);
	free(*state);
	return 0;
}

static void
flush(struct peer *p)
{
	assert_ok(upt_conn_send(&p->conn, upt_buf_span(&p->out), why));
	p->out.len = 0;
}

static void
raw(struct peer *p, const void *bytes, size_t len)
{
	assert_ok(upt_buf_append(&p->out, bytes, len, why));
	flush(p);
}

static enum upt_wire_type
next(struct peer *p)
{
	enum upt_wire_type type;

	assert_ok(upt_conn_receive(&p->conn, ~0u, 0, &type, &p->in, why));
	return type;
}

static struct peer
peer_open(struct world *w)
{
	struct peer p = {.conn = {.fd = world_connect(w), .timeout_ms = 20000, .stop_fd = -1}};

	return p;
}

static void
hello(struct peer *p)
{
	assert_ok(upt_wire_put_hello(&p->out, &(struct upt_wire_hello){1, 1}, why));
	flush(p);
	assert_int_equal(next(p), UPT_WIRE_INFO);
}

static void
empty(struct peer *p, enum upt_wire_type type)
{
	assert_ok(upt_wire_put_empty(&p->out, type, why));
	flush(p);
}

static void
bytes(struct peer *p, enum upt_wire_type type, const void *data, size_t len)
{
	assert_ok(upt_wire_put_bytes(&p->out, type, upt_span(data, len), why));
	flush(p);
}

static void
peer_close(struct peer *p)
{
	close(p->conn.fd);
	upt_buf_clear(&p->out);
	upt_buf_clear(&p->in);
}

/* The agent has closed: nothing comes any more, and by a reset or an end. */
static void
assert_dropped(struct peer *p)
{
	struct pollfd fd = {.fd = p->conn.fd, .events = POLLIN};
	uint8_t byte;

	assert_int_equal(poll(&fd, 1, 20000), 1);
	assert_true(recv(p->conn.fd, &byte, 1, 0) <= 0);
}

static void
assert_verdict(struct peer *p, enum upt_code code)
{
	struct upt_wire_verdict verdict;

	assert_int_equal(next(p), UPT_WIRE_VERDICT);
	assert_ok(upt_wire_parse_verdict(upt_buf_span(&p->in), &verdict, why));
	assert_string_equal(verdict.code_name, upt_code_name(code));
}

static void
begin_image(struct peer *p, const struct world *w)
{
	struct upt_wire_image_begin begin = {.length_bytes = w->content.len};

	snprintf(begin.name, sizeof(begin.name), WORLD_TARGET);
	assert_ok(upt_wire_put_image_begin(&p->out, &begin, why));
	flush(p);
	assert_int_equal(next(p), UPT_WIRE_ACCEPT);
}

/* The next NEED, parsed. */
static struct upt_wire_need
next_need(struct peer *p)
{
	struct upt_wire_need need;

	assert_int_equal(next(p), UPT_WIRE_NEED);
	assert_ok(upt_wire_parse_need(upt_buf_span(&p->in), &need, why));
	return need;
}

static void
put_file(struct peer *p, enum upt_wire_status status, uint32_t length)
{
	assert_ok(upt_wire_put_file(&p->out, &(struct upt_wire_file){status, length}, why));
	flush(p);
}

/* Answers as an honest Primary. */
static void
answer(struct peer *p, struct world *w, const struct upt_wire_need *need)
{
	const struct world_repo *r = need->repo == UPT_REPO_DIRECTOR ? &w->director : &w->image;
	const struct upt_buf *file = world_file(r, need->file_name);

	put_file(p, file != NULL ? UPT_WIRE_FILE_OK : UPT_WIRE_FILE_ABSENT,
		file != NULL ? (uint32_t)file->len : 0);
	for (size_t at = 0; file != NULL && at < file->len; at += UPT_WIRE_CHUNK_BYTES) {
		size_t left = file->len - at;
		bytes(p, UPT_WIRE_FILE_DATA, file->data + at,
			left < UPT_WIRE_CHUNK_BYTES ? left : UPT_WIRE_CHUNK_BYTES);
	}
}

static void
assert_untouched(struct world *w)
{
	assert_true(world_installed_is(w, upt_span_str("old firmware")));
}

/* After whatever happened, all is well. */
static void
assert_recovers(struct world *w)
{
	assert_untouched(w);
	world_update(w);
	world_stop(w);
}

/* ---- frames that do not belong ---- */

static void
disconnect_at_any_byte_is_survived(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf all = {0};
	struct upt_wire_image_begin begin = {.length_bytes = w->content.len};

	snprintf(begin.name, sizeof(begin.name), WORLD_TARGET);
	assert_ok(upt_wire_put_hello(&all, &(struct upt_wire_hello){1, 1}, why));
	assert_ok(upt_wire_put_empty(&all, UPT_WIRE_REPORT, why));
	assert_ok(upt_wire_put_empty(&all, UPT_WIRE_TAKEN, why));
	assert_ok(upt_wire_put_image_begin(&all, &begin, why));
	assert_ok(
		upt_wire_put_bytes(&all, UPT_WIRE_IMAGE_DATA, upt_span(w->content.data, 100), why));
	world_start(w);
	assert_ok(world_verify(w, why));
	for (size_t n = 0; n <= all.len; n++) {
		struct peer p = peer_open(w);

		raw(&p, all.data, n);
		/* A half-close, or a whole one that resets what the agent still says. */
		if (n % 2 == 0) {
			shutdown(p.conn.fd, SHUT_WR);
			upt_conn_linger(&p.conn, UINT64_MAX);
		}
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
frames_out_of_order_end_the_connection(void **state)
{
	/* After HELLO, but for the first. */
	static const enum upt_wire_type wrong[] = {UPT_WIRE_REPORT, UPT_WIRE_HELLO, UPT_WIRE_INFO,
		UPT_WIRE_ENVELOPE, UPT_WIRE_TAKEN, UPT_WIRE_NEED, UPT_WIRE_FILE, UPT_WIRE_FILE_DATA,
		UPT_WIRE_VERDICT, UPT_WIRE_ACCEPT, UPT_WIRE_IMAGE_DATA, UPT_WIRE_IMAGE_END,
		(enum upt_wire_type)99};
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t header[UPT_WIRE_HEADER_BYTES];
		struct peer p = peer_open(w);

		if (i > 0)
			hello(&p);
		upt_wire_header(wrong[i], 0, header);
		raw(&p, header, sizeof(header));
		assert_dropped(&p);
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
oversize_frames_end_the_connection(void **state)
{
	static const enum upt_wire_type types[] = {
		UPT_WIRE_REPORT, UPT_WIRE_VERIFY, UPT_WIRE_IMAGE_BEGIN, UPT_WIRE_INSTALL};
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint8_t header[UPT_WIRE_HEADER_BYTES];
		struct peer p = peer_open(w);

		hello(&p);
		upt_wire_header(types[i], upt_wire_max_bytes(types[i]) + 1, header);
		raw(&p, header, sizeof(header));
		assert_dropped(&p);
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
unknown_version_is_told(void **state)
{
	struct world *w = *state;
	struct peer p;

	world_start(w);
	p = peer_open(w);
	assert_ok(upt_wire_put_hello(&p.out, &(struct upt_wire_hello){2, 9}, why));
	flush(&p);
	assert_verdict(&p, UPT_E_UNSUPPORTED);
	assert_dropped(&p);
	peer_close(&p);
	p = peer_open(w);
	assert_ok(upt_wire_put_hello(&p.out, &(struct upt_wire_hello){0, 9}, why));
	flush(&p);
	assert_int_equal(next(&p), UPT_WIRE_INFO);
	peer_close(&p);
	assert_recovers(w);
}

static void
endless_requests_end_the_connection(void **state)
{
	struct world *w = *state;
	struct peer p;
	int n = 0;

	world_start(w);
	p = peer_open(w);
	hello(&p);
	for (; n < 1000; n++) {
		enum upt_wire_type type;
		upt_cleanup(upt_buf_clear) struct upt_buf frame = {0};

		assert_ok(upt_wire_put_empty(&frame, UPT_WIRE_REPORT, why));
		if (upt_conn_send(&p.conn, upt_buf_span(&frame), NULL) != UPT_OK ||
			upt_conn_receive(&p.conn, UPT_WIRE_BIT(UPT_WIRE_ENVELOPE), 0, &type, &p.in,
				NULL) != UPT_OK)
			break;
		frame.len = 0;
		assert_ok(upt_wire_put_empty(&frame, UPT_WIRE_TAKEN, why));
		if (upt_conn_send(&p.conn, upt_buf_span(&frame), NULL) != UPT_OK)
			break;
	}
	assert_in_range(n, 1, 100);
	peer_close(&p);
	assert_recovers(w);
}

/* ---- slow and half-open peers ---- */

static void
silent_and_slow_peers_are_dropped(void **state)
{
	struct world *w = *state;
	struct peer silent, slow;

	w->timeout_ms = 100;
	world_start(w);
	silent = peer_open(w);
	slow = peer_open(w);
	raw(&slow, "\0\0", 2);
	/* Both are served in turn, and for no longer than the timeout each. */
	assert_dropped(&silent);
	assert_dropped(&slow);
	peer_close(&silent);
	peer_close(&slow);
	w->timeout_ms = 20000;
	assert_recovers(w);
}

static void
crawling_image_is_slow_retrieval(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	struct peer p;

	world_start(w);
	assert_ok(world_verify(w, why));
	world_stop(w);
	w->timeout_ms = 100;
	world_start(w);
	p = peer_open(w);
	hello(&p);
	begin_image(&p, w);
	raw(&p, "\0\1\0\0\15x", 6);
	assert_dropped(&p);
	peer_close(&p);
	w->timeout_ms = 20000;
	world_report(w, &report);
	assert_string_equal(report.attacks_detected, "slow-retrieval:too-slow");
	assert_recovers(w);
}

/* SIGTERM while a peer holds the connection. */
static void
stops_within_a_conversation(void **state)
{
	struct world *w = *state;
	struct peer p;

	world_start(w);
	p = peer_open(w);
	hello(&p);
	world_stop(w);
	assert_dropped(&p);
	peer_close(&p);
	world_start(w);
	assert_recovers(w);
}

/* ---- metadata ---- */

static void
primary_that_leaves_after_any_answer_is_survived(void **state)
{
	struct world *w = *state;
	bool done = false;

	world_start(w);
	for (unsigned n = 0; !done; n++) {
		struct peer p = peer_open(w);

		assert_true(n < 20);
		hello(&p);
		empty(&p, UPT_WIRE_VERIFY);
		for (unsigned i = 0; i < n && !done; i++) {
			struct upt_wire_need need;

			done = next(&p) == UPT_WIRE_VERDICT;
			if (done)
				break;
			assert_ok(upt_wire_parse_need(upt_buf_span(&p.in), &need, why));
			answer(&p, w, &need);
		}
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
endless_file_is_refused(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	struct upt_wire_need need;
	struct peer p;

	world_start(w);
	p = peer_open(w);
	hello(&p);
	empty(&p, UPT_WIRE_VERIFY);
	need = next_need(&p);
	assert_string_equal(need.file_name, "2.root.json");
	put_file(&p, UPT_WIRE_FILE_OK, need.max_bytes + 1);
	assert_verdict(&p, UPT_E_TOO_LARGE);
	peer_close(&p);
	world_report(w, &report);
	assert_string_equal(report.attacks_detected, "endless-data:too-large:director");
	assert_recovers(w);
}

static void
file_in_wrong_pieces_ends_the_connection(void **state)
{
	static const size_t wrong[] = {0, 1, 99, 101};
	struct world *w = *state;
	uint8_t data[128] = {0};

	world_start(w);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct peer p = peer_open(w);

		hello(&p);
		empty(&p, UPT_WIRE_VERIFY);
		next_need(&p);
		put_file(&p, UPT_WIRE_FILE_OK, 100);
		bytes(&p, UPT_WIRE_FILE_DATA, data, wrong[i]);
		assert_dropped(&p);
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
answer_that_is_no_file_ends_the_connection(void **state)
{
	struct world *w = *state;
	struct peer p;

	world_start(w);
	p = peer_open(w);
	hello(&p);
	empty(&p, UPT_WIRE_VERIFY);
	next_need(&p);
	empty(&p, UPT_WIRE_REPORT);
	assert_dropped(&p);
	peer_close(&p);
	assert_recovers(w);
}

/* ---- images ---- */

/* Sends the first n bytes of the content as it should be. */
static void
send_content(struct peer *p, const struct world *w, size_t n)
{
	for (size_t at = 0; at < n; at += UPT_WIRE_CHUNK_BYTES) {
		size_t left = w->content.len - at;
		bytes(p, UPT_WIRE_IMAGE_DATA, w->content.data + at,
			left < UPT_WIRE_CHUNK_BYTES ? left : UPT_WIRE_CHUNK_BYTES);
	}
}

static void
image_longer_than_listed_is_refused_while_it_streams(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	static uint8_t chunk[UPT_WIRE_CHUNK_BYTES];

	world_start(w);
	assert_ok(world_verify(w, why));
	for (int more = 0; more < 2; more++) {
		struct peer p = peer_open(w);

		hello(&p);
		begin_image(&p, w);
		if (more == 0) {
			/* 200000 bytes are three full frames and a part: a fourth full one is too
			 * much. */
			send_content(&p, w, 3 * UPT_WIRE_CHUNK_BYTES);
			bytes(&p, UPT_WIRE_IMAGE_DATA, chunk, sizeof(chunk));
		} else {
			/* What is here already needs no more bytes at all. */
			send_content(&p, w, w->content.len);
			bytes(&p, UPT_WIRE_IMAGE_DATA, chunk, 1);
		}
		/* The sender goes on for a while before it looks: that is read, has no effect, and
		 * does not cost it the verdict. */
		for (int n = 0; n < 128; n++)
			bytes(&p, UPT_WIRE_IMAGE_DATA, chunk, sizeof(chunk));
		assert_verdict(&p, UPT_E_TOO_LARGE);
		shutdown(p.conn.fd, SHUT_WR);
		assert_dropped(&p);
		peer_close(&p);
		world_report(w, &report);
		assert_string_equal(report.attacks_detected, "endless-data:too-large");
		if (more == 0) {
			/* Start the second round without the partial. */
			w->content.data[199999] ^= 1;
			assert_code(world_send(w, &(struct upt_err){0}), UPT_E_IMAGE_HASH);
			w->content.data[199999] ^= 1;
			world_report(w, &report);
		}
	}
	assert_recovers(w);
}

static void
image_in_wrong_pieces_ends_the_connection(void **state)
{
	static const size_t wrong[] = {0, 1, UPT_WIRE_CHUNK_BYTES - 1};
	struct world *w = *state;

	world_start(w);
	assert_ok(world_verify(w, why));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct peer p = peer_open(w);

		hello(&p);
		begin_image(&p, w);
		bytes(&p, UPT_WIRE_IMAGE_DATA, w->content.data, wrong[i]);
		assert_dropped(&p);
		peer_close(&p);
	}
	assert_recovers(w);
}

static void
image_that_ends_early_is_refused(void **state)
{
	struct world *w = *state;
	struct peer p;

	world_start(w);
	assert_ok(world_verify(w, why));
	p = peer_open(w);
	hello(&p);
	begin_image(&p, w);
	send_content(&p, w, UPT_WIRE_CHUNK_BYTES);
	empty(&p, UPT_WIRE_IMAGE_END);
	assert_verdict(&p, UPT_E_IMAGE_HASH);
	peer_close(&p);
	assert_recovers(w);
}

static void
poisoned_partial_is_not_resumed_for_ever(void **state)
{
	struct world *w = *state;
	static uint8_t chunk[UPT_WIRE_CHUNK_BYTES];
	struct upt_err err = {0};
	struct peer p;

	world_start(w);
	assert_ok(world_verify(w, why));
	p = peer_open(w);
	hello(&p);
	begin_image(&p, w);
	bytes(&p, UPT_WIRE_IMAGE_DATA, chunk, sizeof(chunk));
	empty(&p, UPT_WIRE_TAKEN);
	assert_dropped(&p);
	peer_close(&p);
	assert_code(world_send(w, &err), UPT_E_IMAGE_HASH);
	assert_recovers(w);
}

/* ---- reports ---- */

static void
attack_stays_when_the_report_is_not_taken(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	struct upt_err err = {0};
	struct peer p;

	world_start(w);
	w->director.forged = UPT_ROLE_TARGETS;
	world_publish(w);
	assert_code(world_verify(w, &err), UPT_E_THRESHOLD);
	w->director.forged = -1;
	world_publish(w);
	p = peer_open(w);
	hello(&p);
	empty(&p, UPT_WIRE_REPORT);
	assert_int_equal(next(&p), UPT_WIRE_ENVELOPE);
	peer_close(&p);
	world_report(w, &report);
	assert_string_equal(
		report.attacks_detected, "arbitrary-software:signature-threshold:director");
	assert_recovers(w);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(disconnect_at_any_byte_is_survived),
		CASE(frames_out_of_order_end_the_connection),
		CASE(oversize_frames_end_the_connection),
		CASE(unknown_version_is_told),
		CASE(endless_requests_end_the_connection),
		CASE(silent_and_slow_peers_are_dropped),
		CASE(crawling_image_is_slow_retrieval),
		CASE(stops_within_a_conversation),
		CASE(primary_that_leaves_after_any_answer_is_survived),
		CASE(endless_file_is_refused),
		CASE(file_in_wrong_pieces_ends_the_connection),
		CASE(answer_that_is_no_file_ends_the_connection),
		CASE(image_longer_than_listed_is_refused_while_it_streams),
		CASE(image_in_wrong_pieces_ends_the_connection),
		CASE(image_that_ends_early_is_refused),
		CASE(poisoned_partial_is_not_resumed_for_ever),
		CASE(attack_stays_when_the_report_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
