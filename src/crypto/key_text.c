#include "crypto/key_text.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"

void
upt_secret_clear(struct upt_buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->cap);
	upt_buf_clear(buf);
}

static bool
starts_with(struct upt_span text, const char *prefix)
{
	size_t n = strlen(prefix);

	return text.len >= n && memcmp(text.data, prefix, n) == 0;
}

static struct upt_span
behind(struct upt_span text, size_t n)
{
	return upt_span(text.data + n, text.len - n);
}

/* The base64 characters up to the next '-', without line breaks; the rest stays in *text. */
static void
collect_base64(struct upt_span *text, struct upt_buf *digits)
{
	size_t i;

	for (i = 0; i < text->len && text->data[i] != '-'; i++) {
		if (text->data[i] != '\n' && text->data[i] != '\r')
			digits->data[digits->len++] = text->data[i];
	}
	*text = behind(*text, i);
}

static bool
is_white(struct upt_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (memchr(" \t\r\n", text.data[i], 4) == NULL)
			return false;
	}
	return true;
}

enum upt_code
upt_pem_decode(struct upt_span text, const char *label, struct upt_buf *der, struct upt_err *err)
{
	upt_cleanup(upt_secret_clear) struct upt_buf digits = {0};
	upt_cleanup(upt_secret_clear) struct upt_buf out = {0};
	char begin[64], end[64];

	upt_secret_clear(der);
	snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
	snprintf(end, sizeof(end), "-----END %s-----", label);
	if (!starts_with(text, begin))
		return upt_fail(err, UPT_E_MALFORMED, "text does not start with %s", begin);
	text = behind(text, strlen(begin));
	/* Room once, for good: a buffer that moved would leave a secret's copy behind. */
	UPT_TRY(upt_buf_reserve(&digits, text.len, err));
	UPT_TRY(upt_buf_reserve(&out, text.len, err));
	collect_base64(&text, &digits);
	if (!starts_with(text, end))
		return upt_fail(err, UPT_E_MALFORMED, "PEM text without %s", end);
	/* Bytes behind the block would be part of the signed text and of no key: refuse them. */
	if (!is_white(behind(text, strlen(end))))
		return upt_fail(err, UPT_E_MALFORMED, "more text behind %s", end);
	if (!upt_base64_decode(upt_buf_span(&digits), out.data, out.cap, &out.len) || out.len == 0)
		return upt_fail(err, UPT_E_MALFORMED, "PEM text with broken base64");
	upt_buf_move(der, &out);
	return UPT_OK;
}

enum upt_code
upt_spki_decode(struct upt_span text, struct upt_buf *der, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};

	upt_buf_clear(der);
	if (text.len > 0 && text.data[0] == '-')
		return upt_pem_decode(text, "PUBLIC KEY", der, err);
	UPT_TRY(upt_buf_reserve(&out, text.len / 2, err));
	if (text.len == 0 || !upt_hex_decode(text, out.data, text.len / 2))
		return upt_fail(err, UPT_E_MALFORMED,
			"public key of %zu characters is neither PEM nor hex", text.len);
	out.len = text.len / 2;
	upt_buf_move(der, &out);
	return UPT_OK;
}

/*
 * True for the y coordinates of the eight points whose order divides 8, and for those not below the
 * field's prime, which spell another point a second time. Under a key of small order (all zero
 * bytes is one: an easy slip) anybody can make signatures that verify.
 */
static bool
is_weak_ed25519(const uint8_t key[static UPT_ED25519_KEY_BYTES])
{
	static const uint8_t weak[][UPT_ED25519_KEY_BYTES] = {
		{0},
		{1},
		{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
			0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38,
			0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
		{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
			0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7,
			0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
		{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	};
	uint8_t y[UPT_ED25519_KEY_BYTES];
	size_t n_ones = 0;

	memcpy(y, key, sizeof(y));
	y[31] &= 0x7f; /* the sign of x */
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
		if (memcmp(y, weak[i], sizeof(y)) == 0)
			return true;
	}
	while (n_ones < 30 && y[1 + n_ones] == 0xff)
		n_ones++;
	return n_ones == 30 && y[31] == 0x7f && y[0] >= 0xed;
}

enum upt_code
upt_ed25519_decode(
	struct upt_span text, uint8_t out[static UPT_ED25519_KEY_BYTES], struct upt_err *err)
{
	if (!upt_hex_decode(text, out, UPT_ED25519_KEY_BYTES))
		return upt_fail(err, UPT_E_MALFORMED,
			"ed25519 key of %zu characters is not 64 hex digits", text.len);
	if (is_weak_ed25519(out))
		return upt_fail(err, UPT_E_MALFORMED,
			"ed25519 key is a point of small order or no canonical one");
	return UPT_OK;
}
