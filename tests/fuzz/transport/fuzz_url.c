/*
 * URLs and paths from signed metadata, redirects and settings; two of them with a newline between.
 * What is accepted is http or https with a host; what messages show holds no secret part; a path's
 * encoding is one that decodes to the path and climbs out of no folder.
 */
#include <ctype.h>
#include <strings.h>

#include "fuzz.h"
#include "transport/http.h"
#include "transport/url.h"

#define MAX_BYTES ((size_t)16384)

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x21 || *text > 0x7e)
			return false;
	}
	return true;
}

static void
check_shown(const char *url, const char *shown, bool with_path)
{
	const char *path;

	FUZZ_ASSERT(strlen(shown) < UPT_URL_SHOWN_SIZE);
	for (const char *p = shown; *p != '\0'; p++)
		FUZZ_ASSERT(*p >= 0x20 && *p < 0x7f);
	/* What no check lets through is shown as libcurl spells it. */
	if (strncmp(shown, "http://", 7) != 0 && strncmp(shown, "https://", 8) != 0)
		return;
	/* '?' stands for foreign characters too: only a URL without them tells. */
	FUZZ_ASSERT(strchr(shown, '?') == NULL || !is_printable(url));
	path = strstr(shown, "://");
	FUZZ_ASSERT(path != NULL);
	path += 3;
	FUZZ_ASSERT(memchr(path, '@', strcspn(path, "/?")) == NULL);
	FUZZ_ASSERT(with_path || path[strcspn(path, "/")] == '\0' ||
		    path[strcspn(path, "/") + 1] == '\0');
}

static void
check_url(const char *url)
{
	char shown[UPT_URL_SHOWN_SIZE];
	struct upt_err err = {0};
	enum upt_code code = upt_url_check(url, &err);

	upt_url_show(url, shown);
	check_shown(url, shown, true);
	upt_url_show_origin(url, shown);
	check_shown(url, shown, false);
	if (code != UPT_OK) {
		FUZZ_ASSERT(code == UPT_E_MALFORMED || code == UPT_E_UNSUPPORTED);
		FUZZ_ASSERT(err.code == code && err.message[0] != '\0');
		return;
	}
	FUZZ_ASSERT(strlen(url) <= UPT_URL_MAX_BYTES);
	FUZZ_ASSERT(strncmp(shown, "http://", 7) == 0 || strncmp(shown, "https://", 8) == 0);
	FUZZ_ASSERT(upt_url_same_origin(url, url));
	/* What looks like TLS to the caller is TLS to the fetcher. */
	FUZZ_ASSERT(!upt_url_is_https(url) || strncmp(shown, "https://", 8) == 0);
}

static void
check_origins(const char *a, const char *b)
{
	char shown_a[UPT_URL_SHOWN_SIZE], shown_b[UPT_URL_SHOWN_SIZE];
	bool same = upt_url_same_origin(a, b);

	FUZZ_ASSERT(same == upt_url_same_origin(b, a));
	if (!same)
		return;
	upt_url_show_origin(a, shown_a);
	upt_url_show_origin(b, shown_b);
	/* A port may be left out in one of them. */
	FUZZ_ASSERT(strncasecmp(shown_a, shown_b, strcspn(shown_a, ":") + 3) == 0);
}

static bool
has_dot_segment(const char *path)
{
	size_t len = strlen(path);

	return strcmp(path, ".") == 0 || strcmp(path, "..") == 0 || strncmp(path, "./", 2) == 0 ||
	       strncmp(path, "../", 3) == 0 || strstr(path, "/./") != NULL ||
	       strstr(path, "/../") != NULL || (len >= 2 && strcmp(path + len - 2, "/.") == 0) ||
	       (len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

static void
check_encoding(const char *path, bool keep_slash)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	enum upt_code code;
	const char *p = path;

	code = upt_url_encode(path, keep_slash, &out, NULL);
	FUZZ_ASSERT(
		(code == UPT_OK) == (strlen(path) <= UPT_URL_MAX_BYTES && !has_dot_segment(path)));
	if (code != UPT_OK) {
		FUZZ_ASSERT(code == UPT_E_MALFORMED && out.len == 0);
		return;
	}
	for (size_t i = 0; i < out.len; i++, p++) {
		unsigned value = out.data[i];

		FUZZ_ASSERT(isalnum(out.data[i]) || strchr("-_~.%/", out.data[i]) != NULL);
		FUZZ_ASSERT(keep_slash || out.data[i] != '/');
		if (out.data[i] == '%') {
			FUZZ_ASSERT(sscanf((const char *)out.data + i + 1, "%2X", &value) == 1);
			i += 2;
		}
		FUZZ_ASSERT((unsigned char)*p == value);
	}
	FUZZ_ASSERT(*p == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest = upt_span(data, size), first = {0};
	upt_cleanup(upt_free_ptr) char *a = NULL;
	upt_cleanup(upt_free_ptr) char *b = NULL;

	if (size > MAX_BYTES)
		return 0;
	(void)fuzz_next_part(&rest, '\n', &first);
	a = fuzz_string(first);
	b = fuzz_string(rest);
	check_url(a);
	check_url(b);
	check_origins(a, b);
	check_encoding(a, true);
	check_encoding(a, false);
	return 0;
}
