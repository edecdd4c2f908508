#include "base/encode.h"

void
upt_hex_encode(struct upt_span data, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < data.len; i++) {
		out[2 * i] = digits[data.data[i] >> 4];
		out[2 * i + 1] = digits[data.data[i] & 15];
	}
	out[2 * data.len] = '\0';
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
upt_hex_decode(struct upt_span text, uint8_t *out, size_t out_len)
{
	if (text.len % 2 != 0 || text.len / 2 != out_len)
		return false;
	for (size_t i = 0; i < out_len; i++) {
		int hi = hex_value(text.data[2 * i]);
		int lo = hex_value(text.data[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum upt_code
upt_base64_encode(struct upt_span data, struct upt_buf *out, struct upt_err *err)
{
	if (data.len > SIZE_MAX / 4 * 3 - 3)
		return upt_fail(err, UPT_E_NO_MEMORY, "base64 of %zu bytes overflows", data.len);
	UPT_TRY(upt_buf_reserve(out, data.len / 3 * 4 + 4, err));
	for (size_t i = 0; i < data.len; i += 3) {
		size_t n = data.len - i < 3 ? data.len - i : 3;
		uint32_t v = (uint32_t)data.data[i] << 16;
		v |= n > 1 ? (uint32_t)data.data[i + 1] << 8 : 0;
		v |= n > 2 ? data.data[i + 2] : 0;
		out->data[out->len++] = (uint8_t)base64_digits[v >> 18];
		out->data[out->len++] = (uint8_t)base64_digits[v >> 12 & 63];
		out->data[out->len++] = n > 1 ? (uint8_t)base64_digits[v >> 6 & 63] : '=';
		out->data[out->len++] = n > 2 ? (uint8_t)base64_digits[v & 63] : '=';
	}
	out->data[out->len] = 0;
	return UPT_OK;
}

static int
base64_value(uint8_t c)
{
	const char *p = c != 0 ? strchr(base64_digits, c) : NULL;
	return p != NULL ? (int)(p - base64_digits) : -1;
}

bool
upt_base64_decode(struct upt_span text, uint8_t *out, size_t max, size_t *out_len)
{
	size_t n = 0, pad = 0;

	*out_len = 0;
	if (text.len % 4 != 0)
		return false;
	if (text.len > 0 && text.data[text.len - 1] == '=')
		pad = text.data[text.len - 2] == '=' ? 2 : 1;
	if (text.len / 4 * 3 - pad > max)
		return false;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t digits = i + 4 == text.len ? 4 - pad : 4;
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < digits ? base64_value(text.data[i + k]) : 0;
			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		/* Spare bits must be zero, or two texts would spell one signature. */
		if ((digits == 2 && (v & 0xffff) != 0) || (digits == 3 && (v & 0xff) != 0))
			return false;
		for (size_t k = 0; k + 1 < digits; k++)
			out[n++] = (uint8_t)(v >> (16 - 8 * k));
	}
	*out_len = n;
	return true;
}

enum upt_code
upt_percent_encode(
	const char *name, bool plain_leading_dot, struct upt_buf *out, struct upt_err *err)
{
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' ||
			     (c == '.' && (plain_leading_dot || p != name));

		if (plain)
			UPT_TRY(upt_buf_append(out, p, 1, err));
		else
			UPT_TRY(upt_buf_printf(out, err, "%%%02X", c));
	}
	return UPT_OK;
}
