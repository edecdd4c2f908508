#include <inttypes.h>

#include "transport/http.h"
#include "transport/retry.h"
#include "transport/url.h"

#define MAX_REDIRECTS 3
#define PROGRESS_INTERVAL_MS 250u
/* A try that brought this much earns the next one its full number of retries: a long download over
 * a bad radio link is not given up for its third break. Bounded, since position never goes back. */
#define RETRY_CREDIT_BYTES ((uint64_t)1024 * 1024)

struct download {
	const struct upt_http_download *want;
	char *hop_url; /* of the last redirect */
	uint64_t position; /* the next byte the sink needs */
	bool sink_called;
	uint64_t progress_at_ms; /* not before */
};

/* Decimal digits at *text, moved behind them; false without any or above 2^64 - 1. */
static bool
read_number(const char **text, uint64_t *out)
{
	const char *p = *text;

	*out = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(*out, 10, out) ||
			__builtin_add_overflow(*out, (uint64_t)(*p - '0'), out))
			return false;
	}
	if (p == *text)
		return false;
	*text = p;
	return true;
}

/* "bytes FIRST-LAST/TOTAL" or ".../" "*" (RFC 9110, 14.4); *total is UINT64_MAX when unknown. */
static bool
parse_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
	if (text == NULL || strncmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	if (!read_number(&text, first) || *text++ != '-' || !read_number(&text, last) ||
		*text++ != '/')
		return false;
	if (strcmp(text, "*") == 0) {
		*total = UINT64_MAX;
		return *first <= *last;
	}
	return read_number(&text, total) && *text == '\0' && *first <= *last && *last < *total;
}

/* Bytes of another place in the file would only be noticed by the hash, after the whole download.
 */
static enum upt_code
check_range(const struct upt_exchange *x, const struct download *d, struct upt_err *err)
{
	const char *text = upt_exchange_header(x, "Content-Range");
	uint64_t first, last, total;
	char shown[80];

	upt_text_show(upt_span_str(text != NULL ? text : "none"), shown, sizeof(shown));
	if (!parse_content_range(text, &first, &last, &total))
		return upt_fail(err, UPT_E_SERVER, "status 206 with Content-Range \"%s\"", shown);
	if (first != d->position)
		return upt_fail(err, UPT_E_SERVER,
			"asked for the bytes from %" PRIu64 ", got Content-Range \"%s\"",
			d->position, shown);
	if ((total != UINT64_MAX && total > d->want->total_bytes) || last >= d->want->total_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"Content-Range \"%s\" of a file of %" PRIu64 " bytes", shown,
			d->want->total_bytes);
	return UPT_OK;
}

/*
 * The whole file for a Range that was ignored. The caller's sink starts again if nothing was given
 * to it yet; later, or when it cannot be told, what it has is read past.
 */
static void
accept_whole(struct upt_exchange *x, struct download *d)
{
	if (d->position > 0 && !d->sink_called && d->want->restarted != NULL) {
		*d->want->restarted = 1;
		d->position = 0;
	}
	x->skip_bytes = d->position;
}

static enum upt_code
begin_file(struct upt_exchange *x, struct upt_err *err)
{
	struct download *d = x->ctx;

	if (x->answer.status == 206 && d->position > 0)
		UPT_TRY(check_range(x, d, err));
	else if (x->answer.status == 200)
		accept_whole(x, d);
	else
		return upt_fail(err, UPT_E_SERVER, "HTTP status %ld", x->answer.status);
	x->max_body_bytes = d->want->total_bytes - d->position;
	return UPT_OK;
}

static void
tell_progress(struct download *d, bool now)
{
	uint64_t now_ms = upt_http_now_ms();

	if (d->want->progress == NULL || (!now && now_ms < d->progress_at_ms))
		return;
	d->progress_at_ms = now_ms + PROGRESS_INTERVAL_MS;
	d->want->progress(d->want->ctx, d->position, d->want->total_bytes);
}

static enum upt_code
pass_on(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct download *d = ctx;

	d->sink_called = true;
	UPT_TRY(d->want->sink(d->want->ctx, chunk, err));
	d->position += chunk.len;
	tell_progress(d, false);
	return UPT_OK;
}

static bool
is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/*
 * Where the answer in x points. The client certificate names the vehicle and opens its gateway, so
 * another origin gets the handle without it (libcurl's own redirects would show it there).
 */
static enum upt_code
follow(struct upt_exchange *x, struct download *d, struct upt_err *err)
{
	char from[UPT_URL_SHOWN_SIZE], to[UPT_URL_SHOWN_SIZE];

	upt_url_show(x->url, from);
	if (x->answer.redirect_url == NULL)
		return upt_fail(err, UPT_E_SERVER, "GET %s: HTTP status %ld without a new place",
			from, x->answer.status);
	upt_url_show(x->answer.redirect_url, to);
	if (upt_url_is_https(d->want->url) && !upt_url_is_https(x->answer.redirect_url))
		return upt_fail(err, UPT_E_SERVER, "GET %s: refused redirect to %s", from, to);
	free(d->hop_url);
	d->hop_url = x->answer.redirect_url;
	x->answer.redirect_url = NULL;
	x->url = d->hop_url;
	x->anonymous = !upt_url_same_origin(d->want->url, d->hop_url);
	return UPT_OK;
}

/* One try: the request and its redirects. The last address stays in x for the message. */
static enum upt_code
fetch_following(struct upt_exchange *x, struct download *d, struct upt_err *err)
{
	x->url = d->want->url;
	x->anonymous = false;
	x->range_start = d->position;
	for (int n_redirects = 0;; n_redirects++) {
		UPT_TRY(upt_exchange_run(x, err));
		if (!is_redirect(x->answer.status) || x->http->unix_socket != NULL)
			return UPT_OK;
		if (n_redirects == MAX_REDIRECTS)
			return upt_exchange_fail_status(x, UPT_E_SERVER, err);
		UPT_TRY(follow(x, d, err));
	}
}

/* A whole reply that is not the whole file: a range cut short, or a connection whose end is the
 * only sign of the body's end. The next try asks for the rest. */
static enum upt_code
check_complete(const struct upt_exchange *x, const struct download *d, struct upt_err *err)
{
	char shown[UPT_URL_SHOWN_SIZE];

	if (x->answer.status >= 300 || d->position == d->want->total_bytes)
		return UPT_OK;
	upt_url_show(x->url, shown);
	return upt_fail(err, UPT_E_NETWORK, "GET %s: ended at byte %" PRIu64 " of %" PRIu64, shown,
		d->position, d->want->total_bytes);
}

static enum upt_code
check_file_status(const struct upt_exchange *x, const struct download *d, struct upt_err *err)
{
	char shown[UPT_URL_SHOWN_SIZE];

	switch (x->answer.status) {
	case 200:
	case 206:
		return UPT_OK;
	case 404:
	case 410:
		return upt_exchange_fail_status(x, UPT_E_ABSENT, err);
	case 416:
		upt_url_show(x->url, shown);
		return upt_fail(err, UPT_E_NETWORK,
			"GET %s: HTTP status 416: the server has nothing from byte %" PRIu64
			" on, the listed length is %" PRIu64,
			shown, d->position, d->want->total_bytes);
	default:
		return upt_exchange_fail_status(x, UPT_E_SERVER, err);
	}
}

/* Tries until the file is whole or there is no point. */
static enum upt_code
fetch_with_retries(struct upt_exchange *x, struct download *d, struct upt_err *err)
{
	uint64_t credited = d->position;
	struct upt_retry retry;
	enum upt_code code;

	upt_retry_start(&retry);
	do {
		code = fetch_following(x, d, err);
		if (code == UPT_OK)
			code = check_complete(x, d, err);
		if (d->position > credited && d->position - credited >= RETRY_CREDIT_BYTES) {
			credited = d->position;
			upt_retry_start(&retry);
		}
	} while (upt_retry_wait(&retry, x, &code, err));
	return code;
}

enum upt_code
upt_http_download(struct upt_http *http, const struct upt_http_download *want, struct upt_err *err)
{
	struct download d = {.want = want, .position = want->offset};
	struct upt_exchange x = {
		.http = http,
		.method = "GET",
		.silence_ms = http->request_timeout_ms,
		.any_speed = http->unix_socket != NULL,
		.max_error_bytes = UPT_HTTP_ERROR_TEXT_MAX_BYTES,
		.head = begin_file,
		.sink = pass_on,
		.ctx = &d,
	};
	enum upt_code code;

	if (want->offset > want->total_bytes)
		return upt_fail(err, UPT_E_INTERNAL, "a download from byte %" PRIu64 " of %" PRIu64,
			want->offset, want->total_bytes);
	if (want->offset > 0 && want->offset == want->total_bytes)
		return UPT_OK; /* only the hash is left to check */
	code = fetch_with_retries(&x, &d, err);
	if (code == UPT_OK)
		code = check_file_status(&x, &d, err);
	if (code == UPT_OK)
		tell_progress(&d, true);
	upt_exchange_clear(&x);
	free(d.hop_url);
	return code;
}
