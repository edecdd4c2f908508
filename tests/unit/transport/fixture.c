#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki.h"

void
assert_code(enum upt_code got, enum upt_code want, const struct upt_err *err)
{
	if (got != want)
		fail_msg("got %s, want %s: %s", upt_code_name(got), upt_code_name(want),
			err->message);
	if (got != UPT_OK)
		assert_int_equal(err->code, want);
}

void
assert_out(const struct fixture *f, const char *text)
{
	if (!upt_span_equal(upt_buf_span(&f->out), upt_span_str(text)))
		fail_msg("out is \"%.100s\", want \"%s\"", (const char *)f->out.data, text);
}

void
assert_says(const struct fixture *f, const char *text)
{
	if (strstr(f->err.message, text) == NULL)
		fail_msg("message \"%s\" lacks \"%s\"", f->err.message, text);
}

const char *
fixture_path(struct fixture *f, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

void
fixture_new_client(struct fixture *f)
{
	upt_http_free(&f->http);
	assert_code(upt_http_new(&f->config, &f->http, &f->err), UPT_OK, &f->err);
}

enum upt_code
fixture_get(struct fixture *f, const char *path, size_t max_bytes)
{
	return upt_http_get(f->http, server_url(f->server, path), max_bytes, &f->out, &f->err);
}

static struct fixture *
make(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/upt-transport-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config = (struct upt_http_config){
		.min_speed_bytes = 1000,
		.min_speed_window_s = 1,
		.connect_timeout_ms = 5000,
		.request_timeout_ms = 10000,
		.retry_delay_ms = 1,
		.cancel = &f->cancel,
	};
	assert_int_equal(upt_buf_printf(&f->out, &f->err, "before"), UPT_OK);
	return f;
}

int
fixture_setup(void **state)
{
	struct fixture *f = make();

	f->server = server_start(&(struct server_options){0});
	fixture_new_client(f);
	*state = f;
	return 0;
}

int
fixture_setup_tls(void **state)
{
	struct fixture *f = make();

	pki_make(f->dir);
	*state = f;
	return 0;
}

int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	upt_http_free(&f->http);
	server_stop(&f->server);
	upt_buf_clear(&f->out);
	pki_remove(f->dir);
	rmdir(f->dir);
	free(f);
	return 0;
}
