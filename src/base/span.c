#include "base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum upt_code
upt_buf_reserve(struct upt_buf *buf, size_t extra, struct upt_err *err)
{
	size_t need, cap;
	uint8_t *data;

	if (__builtin_add_overflow(buf->len, extra, &need) ||
		__builtin_add_overflow(need, 1, &need))
		return upt_fail(err, UPT_E_NO_MEMORY, "%zu + %zu bytes overflow", buf->len, extra);
	if (need <= buf->cap)
		return UPT_OK;
	/* Double small buffers; grow large ones by a quarter, so that peak memory stays near use.
	 */
	cap = buf->cap < (1u << 20) ? buf->cap * 2 : buf->cap + buf->cap / 4;
	if (cap < need)
		cap = need;
	data = realloc(buf->data, cap);
	if (data == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu bytes", cap);
	buf->data = data;
	buf->cap = cap;
	buf->data[buf->len] = 0;
	return UPT_OK;
}

enum upt_code
upt_buf_append(struct upt_buf *buf, const void *data, size_t len, struct upt_err *err)
{
	UPT_TRY(upt_buf_reserve(buf, len, err));
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = 0;
	return UPT_OK;
}

enum upt_code
upt_buf_printf(struct upt_buf *buf, struct upt_err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return upt_fail(err, UPT_E_INTERNAL, "cannot format text");
	UPT_TRY(upt_buf_reserve(buf, (size_t)n, err));
	va_start(ap, fmt);
	vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return UPT_OK;
}

void
upt_buf_clear(struct upt_buf *buf)
{
	free(buf->data);
	*buf = (struct upt_buf){0};
}

void
upt_buf_wipe(struct upt_buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->cap);
	upt_buf_clear(buf);
}

void
upt_buf_move(struct upt_buf *dst, struct upt_buf *src)
{
	if (dst == src)
		return;
	free(dst->data);
	*dst = *src;
	*src = (struct upt_buf){0};
}
