#include "transport/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

#include "transport/http.h"

static void
free_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void
free_part(char **part)
{
	curl_free(*part);
}

/* NULL when it is no absolute URL (or without memory). */
static CURLU *
parse(const char *url)
{
	CURLU *u = curl_url();

	if (u != NULL &&
		curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
		curl_url_cleanup(u);
		u = NULL;
	}
	return u;
}

/* NULL when the URL has no such part. */
static char *
get_part(CURLU *u, CURLUPart what)
{
	char *part = NULL;

	if (curl_url_get(u, what, &part, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return NULL;
	return part;
}

static bool
same_part(CURLU *a, CURLU *b, CURLUPart what)
{
	upt_cleanup(free_part) char *pa = get_part(a, what);
	upt_cleanup(free_part) char *pb = get_part(b, what);

	return pa != NULL && pb != NULL && strcasecmp(pa, pb) == 0;
}

enum upt_code
upt_url_check(const char *url, struct upt_err *err)
{
	upt_cleanup(free_curlu) CURLU *u = NULL;
	upt_cleanup(free_part) char *scheme = NULL;
	upt_cleanup(free_part) char *host = NULL;
	char shown[UPT_URL_SHOWN_SIZE];

	if (strnlen(url, UPT_URL_MAX_BYTES + 1) > UPT_URL_MAX_BYTES)
		return upt_fail(
			err, UPT_E_MALFORMED, "a URL of more than %zu bytes", UPT_URL_MAX_BYTES);
	u = parse(url);
	if (u == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "malformed URL");
	scheme = get_part(u, CURLUPART_SCHEME);
	host = get_part(u, CURLUPART_HOST);
	upt_url_show(url, shown);
	if (scheme == NULL || (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
		return upt_fail(err, UPT_E_UNSUPPORTED, "%s is neither https nor http", shown);
	if (host == NULL || host[0] == '\0')
		return upt_fail(err, UPT_E_MALFORMED, "%s names no host", shown);
	return UPT_OK;
}

bool
upt_url_is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

bool
upt_url_same_origin(const char *a, const char *b)
{
	upt_cleanup(free_curlu) CURLU *ua = parse(a);
	upt_cleanup(free_curlu) CURLU *ub = parse(b);

	return ua != NULL && ub != NULL && same_part(ua, ub, CURLUPART_SCHEME) &&
	       same_part(ua, ub, CURLUPART_HOST) && same_part(ua, ub, CURLUPART_PORT);
}

void
upt_text_show(struct upt_span text, char *out, size_t out_size)
{
	size_t n = text.len < out_size - 1 ? text.len : out_size - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : '?';
	out[n] = '\0';
}

static void
show(const char *url, bool with_path, char out[static UPT_URL_SHOWN_SIZE])
{
	upt_cleanup(free_curlu) CURLU *u = parse(url);
	upt_cleanup(free_part) char *text = NULL;

	if (u == NULL || curl_url_set(u, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
		(!with_path && curl_url_set(u, CURLUPART_PATH, NULL, 0) != CURLUE_OK) ||
		curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK) {
		snprintf(out, UPT_URL_SHOWN_SIZE, "(malformed URL)");
		return;
	}
	upt_text_show(upt_span_str(text), out, UPT_URL_SHOWN_SIZE);
}

void
upt_url_show(const char *url, char out[static UPT_URL_SHOWN_SIZE])
{
	show(url, true, out);
}

void
upt_url_show_origin(const char *url, char out[static UPT_URL_SHOWN_SIZE])
{
	show(url, false, out);
}

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* "." and ".." survive encoding (a server takes %2E for a dot), so a name that has them as a
 * segment would leave the folder it is meant for. */
static bool
has_dot_segment(const char *path)
{
	while (true) {
		size_t n = strcspn(path, "/");
		if ((n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		if (path[n] == '\0')
			return false;
		path += n + 1;
	}
}

enum upt_code
upt_url_encode(const char *path, bool keep_slash, struct upt_buf *out, struct upt_err *err)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(path);

	if (len > UPT_URL_MAX_BYTES)
		return upt_fail(err, UPT_E_MALFORMED, "a path of %zu bytes, %zu allowed", len,
			UPT_URL_MAX_BYTES);
	if (has_dot_segment(path))
		return upt_fail(err, UPT_E_MALFORMED, "the path has a \".\" or \"..\" segment");
	UPT_TRY(upt_buf_reserve(out, 3 * len, err));
	for (const char *p = path; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (is_unreserved(*p) || (keep_slash && *p == '/')) {
			out->data[out->len++] = c;
			continue;
		}
		out->data[out->len++] = '%';
		out->data[out->len++] = (uint8_t)digits[c >> 4];
		out->data[out->len++] = (uint8_t)digits[c & 15];
	}
	out->data[out->len] = 0;
	return UPT_OK;
}
