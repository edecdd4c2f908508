/*
 * Hex and base64 (RFC 4648, section 4), strict: a decoder accepts what its encoder writes (hex in
 * either case) and nothing else, so that one value has one spelling.
 */
#ifndef UPT_BASE_ENCODE_H
#define UPT_BASE_ENCODE_H

#include "base/span.h"

/* Lower-case hex of data into out, 2 * data.len + 1 bytes with the NUL. */
void upt_hex_encode(struct upt_span data, char *out);
/* Decodes exactly out_len bytes; false when text is not 2 * out_len hex digits. */
bool upt_hex_decode(struct upt_span text, uint8_t *out, size_t out_len);
/*
 * Appends name as one URL path component that is a harmless file name too: everything but RFC 3986's
 * unreserved characters as %XX, and a leading dot unless plain_leading_dot. "../../x" stays one
 * component. UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code upt_percent_encode(
	const char *name, bool plain_leading_dot, struct upt_buf *out, struct upt_err *err);
/* Appends base64 with padding to out. */
UPT_NODISCARD enum upt_code upt_base64_encode(
	struct upt_span data, struct upt_buf *out, struct upt_err *err);
/*
 * Decodes at most max bytes into out and sets *out_len. False on a foreign character, wrong
 * padding, non-zero spare bits or too many bytes; *out_len is 0 then.
 */
bool upt_base64_decode(struct upt_span text, uint8_t *out, size_t max, size_t *out_len);

#endif
