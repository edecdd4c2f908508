/* upt_http_send and upt_http_stream: methods, bodies, redirects of the gateway, engine sockets. */
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

static enum upt_code
send_text(struct fixture *f, const char *method, const char *path, const char *body, size_t max,
	long *status)
{
	return upt_http_send(f->http, method, server_url(f->server, path), "application/json",
		upt_span_str(body), max, &f->out, status, &f->err);
}

static void
post_sends_body_and_type_and_keeps_the_reply(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	long status = -1;

	assert_code(send_text(f, "POST", "/created", "{\"a\":1}", 100, &status), UPT_OK, &f->err);
	assert_int_equal(status, 201);
	assert_out(f, "made");
	seen = server_seen(f->server);
	assert_string_equal(seen.method, "POST");
	assert_string_equal(seen.body, "{\"a\":1}");
	assert_string_equal(seen.content_type, "application/json");
}

static void
a_promise_of_a_reply_is_no_status(void **state)
{
	struct fixture *f = *state;
	long status = -1;

	assert_code(send_text(f, "POST", "/only-continue", "{}", 100, &status), UPT_E_NETWORK,
		&f->err);
	assert_int_equal(status, 0);
	assert_out(f, "before");
}

static void
put_and_delete_go_out_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	long status;

	assert_code(send_text(f, "PUT", "/ok", "x", 100, &status), UPT_OK, &f->err);
	assert_string_equal(server_seen(f->server).method, "PUT");
	assert_code(upt_http_send(f->http, "DELETE", server_url(f->server, "/no-content"), NULL,
			    upt_span(NULL, 0), 0, &f->out, &status, &f->err),
		UPT_OK, &f->err);
	seen = server_seen(f->server);
	assert_string_equal(seen.method, "DELETE");
	assert_string_equal(seen.content_type, "");
	assert_int_equal(status, 204);
	assert_int_equal(f->out.len, 0);
}

static void
forged_method_or_type_is_refused(void **state)
{
	struct fixture *f = *state;
	long status = -1;

	assert_code(send_text(f, "PUT / HTTP/1.1\r\nX: y", "/ok", "x", 100, &status),
		UPT_E_INTERNAL, &f->err);
	assert_int_equal(status, 0);
	assert_code(upt_http_send(f->http, "PUT", server_url(f->server, "/ok"), "a/b\r\nX: y",
			    upt_span(NULL, 0), 100, &f->out, &status, &f->err),
		UPT_E_INTERNAL, &f->err);
	assert_out(f, "before");
	assert_int_equal(server_seen(f->server).n_requests, 0);
}

static void
error_status_keeps_the_reply(void **state)
{
	struct fixture *f = *state;
	long status;

	assert_code(send_text(f, "PUT", "/other-424", "x", 100, &status), UPT_E_SERVER, &f->err);
	assert_int_equal(status, 424);
	assert_out(f, "{\"code\":\"missing_entity\"}");
	assert_says(f, "HTTP status 424: {\"code\":\"missing_entity\"}");
	assert_code(send_text(f, "PUT", "/404", "x", 7, &status), UPT_E_ABSENT, &f->err);
	assert_int_equal(status, 404);
	assert_out(f, "nothing");
}

static void
reply_above_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	long status;

	assert_code(send_text(f, "PUT", "/ok", "x", 4, &status), UPT_E_TOO_LARGE, &f->err);
	assert_int_equal(status, 200);
	assert_out(f, "before");
	assert_code(send_text(f, "PUT", "/ok", "x", 5, &status), UPT_OK, &f->err);
}

static void
same_origin_redirect_keeps_method_and_body(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	long status;

	assert_code(send_text(f, "POST", "/events", "[1]", 100, &status), UPT_OK, &f->err);
	assert_int_equal(status, 204);
	seen = server_seen(f->server);
	assert_string_equal(seen.method, "POST");
	assert_string_equal(seen.target, "/events/");
	assert_string_equal(seen.body, "[1]");
	assert_string_equal(seen.content_type, "application/json");
	assert_int_equal(seen.n_requests, 2);
}

static void
second_redirect_is_not_followed(void **state)
{
	struct fixture *f = *state;
	long status;

	assert_code(send_text(f, "POST", "/twice", "[1]", 100, &status), UPT_E_SERVER, &f->err);
	assert_int_equal(status, 301);
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
redirect_to_another_origin_is_refused(void **state)
{
	struct fixture *f = *state;
	struct server *other = server_start(&(struct server_options){0});
	long status;

	server_set_target(f->server, server_url(other, "/ok"));
	assert_code(send_text(f, "POST", "/moved-301", "[1]", 100, &status), UPT_E_SERVER, &f->err);
	assert_int_equal(status, 301);
	assert_int_equal(server_seen(f->server).n_requests, 1);
	assert_int_equal(server_seen(other).n_requests, 0);
	/* Its twin: the same redirect to the same origin. */
	server_set_target(f->server, server_url(f->server, "/ok"));
	assert_code(send_text(f, "POST", "/moved-301", "[1]", 100, &status), UPT_OK, &f->err);
	server_stop(&other);
}

static void
redirect_that_asks_for_a_get_is_refused(void **state)
{
	struct fixture *f = *state;
	long status;

	server_set_target(f->server, server_url(f->server, "/ok"));
	assert_code(send_text(f, "POST", "/moved-303", "[1]", 100, &status), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
}

static void
put_is_tried_again_after_a_server_error(void **state)
{
	struct fixture *f = *state;
	long status;

	assert_code(send_text(f, "PUT", "/flaky", "x", 100, &status), UPT_OK, &f->err);
	assert_int_equal(status, 200);
	assert_out(f, "hello");
	assert_string_equal(server_seen(f->server).body, "x");
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
post_that_may_have_acted_is_not_tried_again(void **state)
{
	struct fixture *f = *state;
	long status;

	assert_code(send_text(f, "POST", "/500", "x", 100, &status), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
	assert_code(send_text(f, "POST", "/hang-up", "x", 100, &status), UPT_E_NETWORK, &f->err);
	assert_int_equal(status, 0);
	assert_int_equal(server_seen(f->server).n_requests, 2);
	/* Nor by libcurl itself, which would on a connection that was used before. */
	assert_code(send_text(f, "POST", "/ok", "x", 100, &status), UPT_OK, &f->err);
	assert_code(send_text(f, "POST", "/hang-up", "x", 100, &status), UPT_E_NETWORK, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 4);
	/* 503 says that nothing was done. */
	assert_code(send_text(f, "POST", "/flaky-503", "x", 100, &status), UPT_OK, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 6);
}

struct collected {
	char text[256];
	unsigned n_chunks;
	enum upt_code refuse_with;
	const char *header;
	unsigned quiet_ms;
};

static enum upt_code
collect(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct collected *c = ctx;
	size_t len = strlen(c->text);

	c->n_chunks++;
	if (c->refuse_with != UPT_OK)
		return upt_fail(err, c->refuse_with, "the sink is full");
	assert_true(len + chunk.len < sizeof(c->text));
	memcpy(c->text + len, chunk.data, chunk.len);
	return UPT_OK;
}

static enum upt_code
stream(struct fixture *f, const char *path, size_t max, struct collected *c, long *status)
{
	return upt_http_stream(f->http,
		&(struct upt_http_stream){.method = "POST",
			.url = server_url(f->server, path),
			.header = c->header,
			.content_type = "application/json",
			.body = upt_span_str("{}"),
			.max_reply_bytes = max,
			.quiet_ms = c->quiet_ms,
			.sink = collect,
			.ctx = c},
		status, &f->err);
}

static void
stream_delivers_as_it_arrives(void **state)
{
	struct fixture *f = *state;
	struct collected c = {0};
	long status;

	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_OK, &f->err);
	assert_int_equal(status, 200);
	assert_string_equal(c.text, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
	assert_true(c.n_chunks > 1);
}

static void
stream_is_bounded_and_stoppable(void **state)
{
	struct fixture *f = *state;
	struct collected c = {0};
	long status;

	assert_code(stream(f, "/json-lines", 20, &c, &status), UPT_E_TOO_LARGE, &f->err);
	assert_string_equal(c.text, "{\"n\":1}\n{\"n\":2}\n{\"n\"");
	c = (struct collected){.refuse_with = UPT_E_NO_SPACE};
	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_E_NO_SPACE, &f->err);
	assert_says(f, "the sink is full");
	assert_int_equal(c.n_chunks, 1);
}

static void
stream_that_falls_silent_is_too_slow(void **state)
{
	struct fixture *f = *state;
	struct collected c = {.quiet_ms = 200};
	long status;

	assert_code(stream(f, "/stall", 1000, &c, &status), UPT_E_TOO_SLOW, &f->err);
	assert_says(f, "not a byte for");
	assert_code(stream(f, "/mute", 1000, &c, &status), UPT_E_TOO_SLOW, &f->err);
	c = (struct collected){.quiet_ms = 5000};
	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_OK, &f->err);
}

static void
stream_sends_one_more_line_and_tells_nobody(void **state)
{
	struct fixture *f = *state;
	struct collected c = {.header = "X-Registry-Auth: c2VjcmV0"};
	long status;

	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_OK, &f->err);
	assert_string_equal(server_seen(f->server).registry_auth, "c2VjcmV0");
	assert_code(stream(f, "/500", 1000, &c, &status), UPT_E_SERVER, &f->err);
	assert_null(strstr(f->err.message, "c2VjcmV0"));
	c.header = "X-Registry-Auth: a\r\nHost: b";
	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_E_INTERNAL, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

static void
stream_reports_a_status_without_the_sink(void **state)
{
	struct fixture *f = *state;
	struct collected c = {0};
	long status;

	assert_code(stream(f, "/404", 1000, &c, &status), UPT_E_ABSENT, &f->err);
	assert_code(stream(f, "/500", 1000, &c, &status), UPT_E_SERVER, &f->err);
	assert_says(f, "HTTP status 500: broken");
	assert_int_equal(status, 500);
	assert_int_equal(c.n_chunks, 0);
	assert_int_equal(server_seen(f->server).n_requests, 2);
}

/* A client and a server on a Unix socket in the place of the fixture's. */
static void
use_unix_socket(struct fixture *f)
{
	server_stop(&f->server);
	f->config.unix_socket = fixture_path(f, "engine.sock");
	f->server = server_start(&(struct server_options){.unix_path = f->config.unix_socket});
	fixture_new_client(f);
}

static void
engine_behind_a_unix_socket_answers(void **state)
{
	struct fixture *f = *state;
	struct collected c = {0};
	long status;

	use_unix_socket(f);
	assert_code(fixture_get(f, "/ok", 100), UPT_OK, &f->err);
	assert_out(f, "hello");
	assert_code(send_text(f, "POST", "/created", "{}", 100, &status), UPT_OK, &f->err);
	assert_code(stream(f, "/json-lines", 1000, &c, &status), UPT_OK, &f->err);
	assert_int_equal(upt_http_get_stats(f->http).n_connections, 1);
	unlink(f->config.unix_socket);
}

static void
engine_that_fails_is_not_asked_again(void **state)
{
	struct fixture *f = *state;

	use_unix_socket(f);
	assert_code(fixture_get(f, "/500", 100), UPT_E_SERVER, &f->err);
	assert_int_equal(server_seen(f->server).n_requests, 1);
	unlink(f->config.unix_socket);
	server_stop(&f->server);
	assert_code(upt_http_get(f->http, "http://localhost/ok", 100, &f->out, &f->err),
		UPT_E_NETWORK, &f->err);
	assert_out(f, "before");
}

static void
socket_path_that_does_not_fit_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[120];

	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	f->config.unix_socket = path;
	upt_http_free(&f->http);
	assert_code(upt_http_new(&f->config, &f->http, &f->err), UPT_E_CONFIG, &f->err);
	assert_null(f->http);
	path[107] = '\0';
	assert_code(upt_http_new(&f->config, &f->http, &f->err), UPT_OK, &f->err);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(post_sends_body_and_type_and_keeps_the_reply),
		CASE(a_promise_of_a_reply_is_no_status),
		CASE(put_and_delete_go_out_as_they_are),
		CASE(forged_method_or_type_is_refused),
		CASE(error_status_keeps_the_reply),
		CASE(reply_above_the_limit_is_refused),
		CASE(same_origin_redirect_keeps_method_and_body),
		CASE(second_redirect_is_not_followed),
		CASE(redirect_to_another_origin_is_refused),
		CASE(redirect_that_asks_for_a_get_is_refused),
		CASE(put_is_tried_again_after_a_server_error),
		CASE(post_that_may_have_acted_is_not_tried_again),
		CASE(stream_delivers_as_it_arrives),
		CASE(stream_is_bounded_and_stoppable),
		CASE(stream_that_falls_silent_is_too_slow),
		CASE(stream_sends_one_more_line_and_tells_nobody),
		CASE(stream_reports_a_status_without_the_sink),
		CASE(engine_behind_a_unix_socket_answers),
		CASE(engine_that_fails_is_not_asked_again),
		CASE(socket_path_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
