/* upt_http_get against servers that answer, lie, stall, trickle and never end. */
#include "fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

static void
get_replaces_out_with_the_body(void **state)
{
	struct fixture *f = *state;
	struct seen seen;

	assert_code(fixture_get(f, "/ok", 5), UPT_OK, &f->err);
	assert_out(f, "hello");
	seen = server_seen(f->server);
	assert_string_equal(seen.method, "GET");
	assert_string_equal(seen.accept_encoding, "identity");
	assert_string_equal(seen.content_type, "");
	assert_string_equal(seen.range, "");
	assert_memory_equal(seen.user_agent, "uptaned/", 8);
}

static void
get_takes_an_empty_document(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/empty", 0), UPT_OK, &f->err);
	assert_int_equal(f->out.len, 0);
}

static void
three_requests_share_one_connection(void **state)
{
	struct fixture *f = *state;
	struct upt_http_stats stats;

	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	assert_code(fixture_get(f, "/404", 100), UPT_E_ABSENT, &f->err);
	assert_code(fixture_get(f, "/other", 100), UPT_OK, &f->err);
	stats = upt_http_get_stats(f->http);
	assert_int_equal(stats.n_requests, 3);
	assert_int_equal(stats.n_connections, 1);
	assert_int_equal(stats.received_bytes, server_seen(f->server).sent_bytes);
	assert_int_equal(server_seen(f->server).n_connections, 1);
}

static void
absent_is_404_410_and_the_gateways_424(void **state)
{
	static const char *const absent[] = {"/404", "/410", "/no-root"};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		assert_code(fixture_get(f, absent[i], 100), UPT_E_ABSENT, &f->err);
		assert_out(f, "before");
	}
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
other_424_is_no_absence(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/other-424", 100), UPT_E_SERVER, &f->err);
	assert_says(f, "424");
	assert_code(fixture_get(f, "/broken-424", 100), UPT_E_SERVER, &f->err);
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
absence_outweighs_a_page_above_the_limit(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/long-404", 16), UPT_E_ABSENT, &f->err);
	assert_in_range(upt_http_get_stats(f->http).received_bytes, 4096, 128 * 1024);
	assert_code(fixture_get(f, "/ok", 16), UPT_OK, &f->err);
}

static void
message_names_the_url_without_its_secrets(void **state)
{
	struct fixture *f = *state;
	const char *url = server_url(f->server, "/400?token=hush#part");
	char with_user[600];

	snprintf(with_user, sizeof(with_user), "http://me:hush@%s", url + strlen("http://"));
	assert_code(upt_http_get(f->http, with_user, 100, &f->out, &f->err), UPT_E_SERVER, &f->err);
	assert_says(f, "GET http://127.0.0.1:");
	assert_says(f, "/400: HTTP status 400: {\"code\":\"bad\",\"text\":\"a?b?[2Jc?\"}");
	assert_null(strstr(f->err.message, "hush"));
	assert_null(strstr(f->err.message, "me:"));
	assert_code(fixture_get(f, "/ok?token=hush", 4), UPT_E_TOO_LARGE, &f->err);
	assert_says(f, "/ok: the server announces 5 bytes");
	assert_null(strstr(f->err.message, "hush"));
}

static void
server_error_is_tried_again(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/flaky", 100), UPT_OK, &f->err);
	assert_out(f, "hello");
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
server_error_is_believed_the_third_time(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/500", 100), UPT_E_SERVER, &f->err);
	assert_says(f, "500");
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
client_error_is_not_tried_again(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/400", 100), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
long_retry_after_is_respected(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/long-wait", 100), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
redirect_is_not_followed(void **state)
{
	struct fixture *f = *state;

	server_set_target(f->server, server_url(f->server, "/ok?hush"));
	assert_code(fixture_get(f, "/moved-301", 100), UPT_E_SERVER, &f->err);
	assert_says(f, "301 to http://127.0.0.1:");
	assert_null(strstr(f->err.message, "hush"));
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
other_success_is_no_document(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/no-content", 100), UPT_E_SERVER, &f->err);
	assert_code(fixture_get(f, "/created", 100), UPT_E_SERVER, &f->err);
	assert_code(fixture_get(f, "/unasked-206", FILE_SIZE), UPT_E_SERVER, &f->err);
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
truncated_body_is_a_network_failure(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/truncated", 100), UPT_E_NETWORK, &f->err);
	assert_says(f, "after 3 tries");
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 3);
	assert_code(fixture_get(f, "/cut-chunk", 100), UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
}

static void
second_try_forgets_the_firsts_bytes(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/truncated-once", 100), UPT_OK, &f->err);
	assert_out(f, "hello");
}

static void
endless_body_stops_at_the_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t received;

	assert_code(fixture_get(f, "/endless", 100000), UPT_E_TOO_LARGE, &f->err);
	assert_says(f, "100000");
	assert_out(f, "before");
	received = upt_http_get_stats(f->http).received_bytes;
	assert_in_range(received, 100000, 100000 + 65536 + 200);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
body_of_exactly_the_limit_is_taken_one_more_byte_is_not(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/ok", 4), UPT_E_TOO_LARGE, &f->err);
	assert_says(f, "announces 5 bytes, 4 allowed");
	assert_out(f, "before");
	assert_code(fixture_get(f, "/ok", 5), UPT_OK, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
announced_length_is_refused_before_the_body(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/huge", 100000), UPT_E_TOO_LARGE, &f->err);
	assert_says(f, "announces 1099511627776 bytes");
	assert_in_range(upt_http_get_stats(f->http).received_bytes, 1, 200);
	assert_code(fixture_get(f, "/overflow", 100000), UPT_E_TOO_LARGE, &f->err);
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
informational_length_does_not_count(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/early-hints", 5), UPT_OK, &f->err);
	assert_out(f, "hello");
}

static void
header_flood_is_bounded(void **state)
{
	static const char *const floods[] = {"/header-flood", "/continue-flood", "/header-line"};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		uint64_t before = upt_http_get_stats(f->http).received_bytes;
		assert_code(fixture_get(f, floods[i], 100), UPT_E_TOO_LARGE, &f->err);
		assert_says(f, "header");
		assert_in_range(
			upt_http_get_stats(f->http).received_bytes - before, 0, 64 * 1024 + 1024);
		assert_out(f, "before");
	}
	assert_int_equal(server_seen(f->server).n_requests, 3);
}

static void
trickle_is_slow_retrieval(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/trickle", 100000), UPT_E_TOO_SLOW, &f->err);
	assert_says(f, "1000 bytes a second for 1 s");
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
header_trickle_is_slow_retrieval(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/header-trickle", 100000), UPT_E_TOO_SLOW, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
burst_now_and_then_is_slow_retrieval(void **state)
{
	struct fixture *f = *state;

	f->config.min_speed_window_s = 1;
	fixture_new_client(f);
	assert_code(fixture_get(f, "/bursts", 100000), UPT_E_TOO_SLOW, &f->err);
}

static void
timeout_of_a_trickle_is_slow_retrieval_too(void **state)
{
	struct fixture *f = *state;

	f->config.min_speed_window_s = 60;
	f->config.request_timeout_ms = 700;
	fixture_new_client(f);
	assert_code(fixture_get(f, "/trickle", 100000), UPT_E_TOO_SLOW, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
silence_is_a_network_failure(void **state)
{
	struct fixture *f = *state;

	f->config.request_timeout_ms = 300;
	fixture_new_client(f);
	assert_code(fixture_get(f, "/stall", 100), UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
	/* The whole time is over: no second try. */
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
broken_connection_is_a_network_failure(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/hang-up", 100), UPT_E_NETWORK, &f->err);
	assert_code(fixture_get(f, "/no-http", 100), UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
}

static void
refused_connection_is_a_network_failure(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	/* Bound and not listening: nobody else gets the port. */
	upt_cleanup(upt_close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);
	char url[64];

	assert_int_equal(bind(fd, (const struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", ntohs(in.sin_port));
	assert_code(upt_http_get(f->http, url, 100, &f->out, &f->err), UPT_E_NETWORK, &f->err);
	assert_says(f, "after 3 tries: GET http://127.0.0.1:");
	assert_out(f, "before");
	assert_int_equal(upt_http_get_stats(f->http).n_connections, 0);
}

static void
unknown_host_is_a_network_failure(void **state)
{
	struct fixture *f = *state;
	/* A label above 63 characters: the resolver refuses it without asking anybody. */
	static const char url[] =
		"http://"
		"a234567890123456789012345678901234567890123456789012345678901234567890"
		".invalid/x";

	assert_code(upt_http_get(f->http, url, 100, &f->out, &f->err), UPT_E_NETWORK, &f->err);
	assert_says(f, "resolve");
}

static void
content_coding_is_not_decoded(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/gzip", GZIP_BOMB_SIZE), UPT_OK, &f->err);
	assert_int_equal(f->out.len, GZIP_BOMB_SIZE);
	assert_int_equal(f->out.data[0], 0x1f);
}

static void
transfer_coding_cannot_pass_the_limit(void **state)
{
	struct fixture *f = *state;
	enum upt_code code = fixture_get(f, "/gzip-transfer", 100000);

	if (code != UPT_OK)
		assert_out(f, "before");
	assert_true(f->out.len <= 100000);
	assert_in_range(upt_http_get_stats(f->http).received_bytes, 0, 100000 + 65536);
}

static void
wrong_urls_are_refused_without_a_request(void **state)
{
	static const struct {
		const char *url;
		enum upt_code code;
	} cases[] = {
		{"ftp://127.0.0.1/x", UPT_E_UNSUPPORTED},
		{"file:///etc/passwd", UPT_E_UNSUPPORTED},
		{"127.0.0.1/x", UPT_E_MALFORMED},
		{"/x", UPT_E_MALFORMED},
		{"", UPT_E_MALFORMED},
		{"http://127.0.0.1:99999/", UPT_E_MALFORMED},
		{"http://127.0.0.1/a b", UPT_E_MALFORMED},
		{"http://127.0.0.1/a\r\nX: y", UPT_E_MALFORMED},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_code(upt_http_get(f->http, cases[i].url, 100, &f->out, &f->err),
			cases[i].code, &f->err);
		assert_out(f, "before");
	}
	assert_int_equal(upt_http_get_stats(f->http).n_requests, 0);
}

static void
proxy_of_the_environment_is_ignored(void **state)
{
	struct fixture *f = *state;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	f->config.proxy = "http://127.0.0.1:1";
	setenv("NO_PROXY", "*", 1);
	fixture_new_client(f);
	assert_code(fixture_get(f, "/ok", 100), UPT_E_NETWORK, &f->err);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	unsetenv("NO_PROXY");
}

/* Sets the flag once the server has the request. */
static void *
cancel_during_request(void *arg)
{
	struct fixture *f = arg;

	while (server_seen(f->server).n_requests == 0)
		sched_yield();
	f->cancel = true;
	return NULL;
}

static void
cancel_ends_a_request(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	pthread_create(&thread, NULL, cancel_during_request, f);
	assert_code(fixture_get(f, "/stall", 100), UPT_E_CANCELLED, &f->err);
	pthread_join(thread, NULL);
	assert_out(f, "before");
	assert_code(fixture_get(f, "/ok", 100), UPT_E_CANCELLED, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
	f->cancel = false;
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
}

/* Sets the flag once the client has its answer. */
static void *
cancel_after_answer(void *arg)
{
	struct fixture *f = arg;

	while (server_seen(f->server).n_ended == 0)
		sched_yield();
	f->cancel = true;
	return NULL;
}

static void
cancel_ends_a_pause(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	f->config.retry_delay_ms = 60000;
	fixture_new_client(f);
	pthread_create(&thread, NULL, cancel_after_answer, f);
	assert_code(fixture_get(f, "/last-500", 100), UPT_E_CANCELLED, &f->err);
	pthread_join(thread, NULL);
	assert_says(f, "between two tries");
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static void
a_broken_trailer_is_a_network_failure(void **state)
{
	struct fixture *f = *state;

	assert_code(fixture_get(f, "/bad-trailer", 100), UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(get_replaces_out_with_the_body),
		CASE(get_takes_an_empty_document),
		CASE(three_requests_share_one_connection),
		CASE(absent_is_404_410_and_the_gateways_424),
		CASE(other_424_is_no_absence),
		CASE(absence_outweighs_a_page_above_the_limit),
		CASE(message_names_the_url_without_its_secrets),
		CASE(server_error_is_tried_again),
		CASE(server_error_is_believed_the_third_time),
		CASE(client_error_is_not_tried_again),
		CASE(long_retry_after_is_respected),
		CASE(redirect_is_not_followed),
		CASE(other_success_is_no_document),
		CASE(truncated_body_is_a_network_failure),
		CASE(a_broken_trailer_is_a_network_failure),
		CASE(second_try_forgets_the_firsts_bytes),
		CASE(endless_body_stops_at_the_limit),
		CASE(body_of_exactly_the_limit_is_taken_one_more_byte_is_not),
		CASE(announced_length_is_refused_before_the_body),
		CASE(informational_length_does_not_count),
		CASE(header_flood_is_bounded),
		CASE(trickle_is_slow_retrieval),
		CASE(header_trickle_is_slow_retrieval),
		CASE(burst_now_and_then_is_slow_retrieval),
		CASE(timeout_of_a_trickle_is_slow_retrieval_too),
		CASE(silence_is_a_network_failure),
		CASE(broken_connection_is_a_network_failure),
		CASE(refused_connection_is_a_network_failure),
		CASE(unknown_host_is_a_network_failure),
		CASE(content_coding_is_not_decoded),
		CASE(transfer_coding_cannot_pass_the_limit),
		CASE(wrong_urls_are_refused_without_a_request),
		CASE(proxy_of_the_environment_is_ignored),
		CASE(cancel_ends_a_request),
		CASE(cancel_ends_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
