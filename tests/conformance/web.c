#include "web.h"

enum upt_code
web_join(const char *base, const char *file, struct upt_buf *out, struct upt_err *err)
{
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	UPT_TRY(upt_buf_append(out, base, len, err));
	return upt_buf_printf(out, err, "/%s", file);
}

static bool
means_absent(const struct web *web, long status)
{
	if (status == 404 || status == 410)
		return true;
	for (const long *s = web->absent; *s != 0; s++) {
		if (status == *s)
			return true;
	}
	return false;
}

enum upt_code
web_get(const struct web *web, const char *base, const char *file, size_t max_bytes,
	struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	enum upt_code code;
	long status;

	UPT_TRY(web_join(base, file, &url, err));
	code = upt_http_send(web->http, "GET", (const char *)url.data, NULL, (struct upt_span){0},
		max_bytes, &reply, &status, err);
	if (code == UPT_OK && status != 200)
		return upt_fail(err, UPT_E_SERVER, "GET %s: HTTP status %ld where 200 belongs",
			(const char *)url.data, status);
	if (code != UPT_OK && means_absent(web, status))
		return upt_wrap(err, UPT_E_ABSENT, "absent");
	UPT_TRY(code);
	upt_buf_move(out, &reply);
	return UPT_OK;
}
