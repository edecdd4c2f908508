/*
 * Byte spans (borrowed) and byte buffers (owned). A span never owns and is not NUL-terminated.
 */
#ifndef UPT_BASE_SPAN_H
#define UPT_BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"

struct upt_span {
	const uint8_t *data;
	size_t len;
};

static inline struct upt_span
upt_span(const void *data, size_t len)
{
	return (struct upt_span){.data = data, .len = len};
}

static inline struct upt_span
upt_span_str(const char *s)
{
	return upt_span(s, strlen(s));
}

static inline bool
upt_span_equal(struct upt_span a, struct upt_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Owned, growing bytes. {0} is empty. data[len] is always a NUL once anything was reserved. */
struct upt_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

static inline struct upt_span
upt_buf_span(const struct upt_buf *buf)
{
	return upt_span(buf->data, buf->len);
}

/* Makes room for extra more bytes. UPT_E_NO_MEMORY; buf unchanged then. */
UPT_NODISCARD enum upt_code upt_buf_reserve(struct upt_buf *buf, size_t extra, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_buf_append(struct upt_buf *buf, const void *data, size_t len, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_buf_printf(struct upt_buf *buf, struct upt_err *err, const char *fmt, ...) UPT_PRINTF(3, 4);
/* Frees and empties; fits upt_cleanup(). */
void upt_buf_clear(struct upt_buf *buf);
/* The same, and wipes all of it first: for secrets, whose room is reserved before they are written,
 * as a buffer that grows leaves a copy behind. */
void upt_buf_wipe(struct upt_buf *buf);
/* Moves src's bytes to dst (dst's old ones are freed); src is empty afterwards. */
void upt_buf_move(struct upt_buf *dst, struct upt_buf *src);

#endif
