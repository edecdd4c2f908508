/* upt_http_download: resuming, servers that lie about it, redirects, limits. */
#include "fixture.h"

#include <inttypes.h>
#include <stdio.h>

/* What a careful caller does: knows where it is and starts again when told. */
struct taker {
	uint64_t position, restarted;
	uint64_t n_progress, last_progress;
	uint64_t refuse_at; /* 0: never */
	bool wrong;
};

static enum upt_code
take(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct taker *t = ctx;

	if (t->restarted == 1) {
		t->position = 0;
		t->restarted = 2;
	}
	for (size_t i = 0; i < chunk.len; i++)
		t->wrong |= chunk.data[i] != file_byte(t->position + i);
	t->position += chunk.len;
	if (t->refuse_at > 0 && t->position >= t->refuse_at)
		return upt_fail(err, UPT_E_NO_SPACE, "the disk is full");
	return UPT_OK;
}

static void
note_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct taker *t = ctx;

	t->n_progress++;
	t->last_progress = done;
	assert_int_equal(total, FILE_SIZE);
}

static enum upt_code
download(struct fixture *f, const char *url, uint64_t offset, struct taker *t)
{
	struct upt_http_download want = {
		.url = url,
		.offset = offset,
		.total_bytes = FILE_SIZE,
		.sink = take,
		.progress = note_progress,
		.ctx = t,
		.restarted = &t->restarted,
	};

	t->position = offset;
	return upt_http_download(f->http, &want, &f->err);
}

static void
assert_whole(const struct taker *t)
{
	assert_int_equal(t->position, FILE_SIZE);
	assert_false(t->wrong);
}

static void
file_comes_whole_with_some_progress(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/file"), 0, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_int_equal(t.restarted, 0);
	assert_int_equal(t.last_progress, FILE_SIZE);
	assert_in_range(t.n_progress, 1, 50);
	assert_string_equal(server_seen(f->server).range, "");
}

static void
download_resumes_where_it_is_told(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/file"), 5000001, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_int_equal(t.restarted, 0);
	assert_string_equal(server_seen(f->server).range, "bytes=5000001-");
	assert_in_range(upt_http_get_stats(f->http).received_bytes, FILE_SIZE - 5000001,
		FILE_SIZE - 5000001 + 500);
}

static void
ignored_range_starts_again(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(
		download(f, server_url(f->server, "/file-no-range"), 5000001, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_int_equal(t.restarted, 2);
}

static void
broken_download_continues_by_itself(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/file-breaks"), 0, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_int_equal(t.restarted, 0);
	assert_int_equal(server_seen(f->server).n_requests, 3);
	assert_in_range(upt_http_get_stats(f->http).received_bytes, FILE_SIZE, FILE_SIZE + 1000);
}

static void
progress_earns_further_tries(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(
		download(f, server_url(f->server, "/file-keeps-breaking"), 0, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_int_equal(server_seen(f->server).n_requests, 6);
}

static void
sink_gets_no_byte_twice_when_ranges_stop_working(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/file-breaks-no-range"), 0, &t), UPT_OK,
		&f->err);
	assert_whole(&t);
	assert_int_equal(t.restarted, 0);
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
missing_end_is_a_network_failure_and_the_start_stays(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(
		download(f, server_url(f->server, "/short-file"), 0, &t), UPT_E_NETWORK, &f->err);
	assert_int_equal(t.position, 1000);
	assert_false(t.wrong);
	assert_says(f, "ended at byte 1000 of 8388731");
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
lying_content_range_is_refused(void **state)
{
	static const struct {
		const char *path;
		enum upt_code code;
	} cases[] = {
		{"/lying-first", UPT_E_SERVER},
		{"/no-content-range", UPT_E_SERVER},
		{"/lying-total", UPT_E_TOO_LARGE},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct taker t = {0};
		assert_code(download(f, server_url(f->server, cases[i].path), 5000001, &t),
			cases[i].code, &f->err);
		assert_int_equal(t.position, 5000001);
		assert_int_equal(t.restarted, 0);
		assert_says(f, "Content-Range");
	}
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
unasked_range_is_refused(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(
		download(f, server_url(f->server, "/unasked-206"), 0, &t), UPT_E_SERVER, &f->err);
	assert_int_equal(t.position, 0);
}

static void
range_out_of_the_file_is_a_network_failure(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};
	struct upt_http_download want = {
		.url = server_url(f->server, "/file"),
		.offset = FILE_SIZE + 10,
		.total_bytes = FILE_SIZE + 20,
		.sink = take,
		.ctx = &t,
		.restarted = &t.restarted,
	};

	assert_code(upt_http_download(f->http, &want, &f->err), UPT_E_NETWORK, &f->err);
	assert_says(f, "416");
	assert_says(f, "8388741");
	assert_int_equal(t.position, 0);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
complete_offset_needs_no_request(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/file"), FILE_SIZE, &t), UPT_OK, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 0);
	assert_code(download(f, server_url(f->server, "/file"), FILE_SIZE + 1, &t), UPT_E_INTERNAL,
		&f->err);
}

static void
longer_file_is_refused_or_stopped_at_the_listed_byte(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};
	struct upt_http_download want = {
		.url = server_url(f->server, "/file"),
		.total_bytes = FILE_SIZE - 1,
		.sink = take,
		.ctx = &t,
	};

	/* Announced: not a byte. */
	assert_code(upt_http_download(f->http, &want, &f->err), UPT_E_TOO_LARGE, &f->err);
	assert_int_equal(t.position, 0);
	/* Not announced: the listed bytes and no more. */
	want.url = server_url(f->server, "/endless");
	t.wrong = false;
	want.total_bytes = 12345;
	assert_code(upt_http_download(f->http, &want, &f->err), UPT_E_TOO_LARGE, &f->err);
	assert_int_equal(t.position, 12345);
	/* The same behind an honest Content-Range. */
	t = (struct taker){0};
	assert_code(download(f, server_url(f->server, "/range-endless"), 5000001, &t),
		UPT_E_TOO_LARGE, &f->err);
	assert_whole(&t);
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
sinks_refusal_is_the_result(void **state)
{
	struct fixture *f = *state;
	struct taker t = {.refuse_at = 100000};

	assert_code(download(f, server_url(f->server, "/file"), 0, &t), UPT_E_NO_SPACE, &f->err);
	assert_says(f, "the disk is full");
	assert_in_range(t.position, 100000, 100000 + 65536);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
absence_and_errors_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/404"), 0, &t), UPT_E_ABSENT, &f->err);
	assert_code(download(f, server_url(f->server, "/400"), 0, &t), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 2);
	assert_code(download(f, server_url(f->server, "/500"), 0, &t), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 5);
	assert_int_equal(t.position, 0);
}

static void
trickle_and_silence_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	assert_code(download(f, server_url(f->server, "/trickle"), 0, &t), UPT_E_TOO_SLOW, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
	f->config.request_timeout_ms = 300;
	fixture_new_client(f);
	assert_code(download(f, server_url(f->server, "/stall"), 0, &t), UPT_E_NETWORK, &f->err);
	assert_says(f, "no reply within 300 ms");
}

static void
long_download_outlives_the_request_timeout(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	f->config.request_timeout_ms = 500;
	f->config.min_speed_window_s = 1;
	f->config.min_speed_bytes = 1;
	fixture_new_client(f);
	/* 1500 bytes, a pause of 1.7 s: only the speed ends it. */
	assert_code(download(f, server_url(f->server, "/bursts"), 0, &t), UPT_E_TOO_SLOW, &f->err);
}

static void
three_redirects_are_followed_a_fourth_is_not(void **state)
{
	struct fixture *f = *state;
	struct taker t = {0};

	server_set_target(f->server, server_url(f->server, "/file"));
	assert_code(download(f, server_url(f->server, "/hop/2"), 5000001, &t), UPT_OK, &f->err);
	assert_whole(&t);
	assert_string_equal(server_seen(f->server).range, "bytes=5000001-");
	assert_int_equal(upt_http_get_stats(f->http).n_connections, 1);
	assert_code(download(f, server_url(f->server, "/hop/3"), 0, &t), UPT_E_SERVER, &f->err);
	assert_int_equal(t.position, 0);
	assert_int_equal(server_seen(f->server).n_requests, 8);
}

static void
redirect_to_another_scheme_is_refused(void **state)
{
	static const char *const targets[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "//"};
	struct fixture *f = *state;
	struct taker t = {0};

	for (size_t i = 0; i < 3; i++) {
		server_set_target(f->server, targets[i]);
		assert_int_not_equal(download(f, server_url(f->server, "/hop/0"), 0, &t), UPT_OK);
		assert_int_equal(t.position, 0);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(file_comes_whole_with_some_progress),
		CASE(download_resumes_where_it_is_told),
		CASE(ignored_range_starts_again),
		CASE(broken_download_continues_by_itself),
		CASE(progress_earns_further_tries),
		CASE(sink_gets_no_byte_twice_when_ranges_stop_working),
		CASE(missing_end_is_a_network_failure_and_the_start_stays),
		CASE(lying_content_range_is_refused),
		CASE(unasked_range_is_refused),
		CASE(range_out_of_the_file_is_a_network_failure),
		CASE(complete_offset_needs_no_request),
		CASE(longer_file_is_refused_or_stopped_at_the_listed_byte),
		CASE(sinks_refusal_is_the_result),
		CASE(absence_and_errors_are_told_apart),
		CASE(trickle_and_silence_are_told_apart),
		CASE(long_download_outlives_the_request_timeout),
		CASE(three_redirects_are_followed_a_fourth_is_not),
		CASE(redirect_to_another_scheme_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
