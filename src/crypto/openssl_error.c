#include "crypto/openssl.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>

enum upt_code
upt_openssl_fail(struct upt_err *err, enum upt_code code, const char *fmt, ...)
{
	const char *reason = NULL;
	unsigned long e;
	char context[UPT_ERR_MESSAGE_MAX];
	va_list ap;

	while ((e = ERR_get_error()) != 0) {
		if (reason == NULL)
			reason = ERR_reason_error_string(e);
		/* "No memory" must not read as "bad signature": the caller tries again later. */
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			code = UPT_E_NO_MEMORY;
	}
	va_start(ap, fmt);
	if (vsnprintf(context, sizeof(context), fmt, ap) < 0)
		context[0] = '\0';
	va_end(ap);
	if (code == UPT_E_NO_MEMORY)
		reason = "no memory";
	return upt_fail(err, code, "%s%s%s", context, reason != NULL ? ": " : "",
		reason != NULL ? reason : "");
}

enum upt_code
upt_random(void *out, size_t len, struct upt_err *err)
{
	ERR_clear_error();
	/* One call takes an int; nobody needs more than this at once. */
	if (len > 65536)
		return upt_fail(err, UPT_E_INTERNAL, "%zu random bytes asked for at once", len);
	if (RAND_bytes(out, (int)len) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot get %zu random bytes", len);
	return UPT_OK;
}
