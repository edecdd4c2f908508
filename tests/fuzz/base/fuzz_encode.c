/*
 * Text to bytes and back. The first byte chooses: 'h' hex, 'b' base64, 'd' a digest's hex, 'p' the
 * percent-encoding of a name, 's' what a message may show. A decoder takes what its encoder writes
 * and nothing else; the encoders are held against the plainest ones there are.
 */
#include <ctype.h>

#include "base/encode.h"
#include "crypto/crypto.h"
#include "fuzz.h"

#define MAX_BYTES ((size_t)4096)

static void
check_hex(struct upt_span text)
{
	uint8_t out[MAX_BYTES];
	char again[2 * MAX_BYTES + 1];
	bool is_hex = text.len % 2 == 0;

	for (size_t i = 0; i < text.len; i++)
		is_hex = is_hex && isxdigit(text.data[i]);
	FUZZ_ASSERT(upt_hex_decode(text, out, text.len / 2) == is_hex);
	FUZZ_ASSERT(!upt_hex_decode(text, out, text.len / 2 + 1));
	if (!is_hex)
		return;
	upt_hex_encode(upt_span(out, text.len / 2), again);
	FUZZ_ASSERT(strlen(again) == text.len);
	for (size_t i = 0; i < text.len; i++)
		FUZZ_ASSERT(again[i] == tolower(text.data[i]));
}

static void
check_base64(struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf again = {0};
	uint8_t out[MAX_BYTES];
	size_t len = 99, short_len;

	if (!upt_base64_decode(text, out, sizeof(out), &len)) {
		FUZZ_ASSERT(len == 0);
		return;
	}
	FUZZ_ASSERT(upt_base64_encode(upt_span(out, len), &again, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&again), text));
	if (len > 0)
		FUZZ_ASSERT(!upt_base64_decode(text, out, len - 1, &short_len) && short_len == 0);
}

/* Any bytes have a text, and it is theirs. */
static void
check_base64_of(struct upt_span bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	uint8_t out[MAX_BYTES];
	size_t len;

	FUZZ_ASSERT(upt_base64_encode(bytes, &text, NULL) == UPT_OK);
	FUZZ_ASSERT(text.len == (bytes.len + 2) / 3 * 4);
	FUZZ_ASSERT(upt_base64_decode(upt_buf_span(&text), out, sizeof(out), &len));
	FUZZ_ASSERT(upt_span_equal(upt_span(out, len), bytes));
}

static void
check_digest(struct upt_span text)
{
	static const enum upt_hash_alg algs[] = {UPT_HASH_NONE, UPT_HASH_SHA256, UPT_HASH_SHA512};
	char again[2 * UPT_HASH_MAX_BYTES + 1];

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct upt_digest digest;
		bool ok = upt_digest_parse(algs[i], text, &digest);

		FUZZ_ASSERT(!ok || (algs[i] != UPT_HASH_NONE && digest.alg == algs[i] &&
					   2 * digest.len == text.len));
		if (!ok)
			continue;
		upt_hex_encode(upt_span(digest.bytes, digest.len), again);
		for (size_t k = 0; k < text.len; k++)
			FUZZ_ASSERT(again[k] == tolower(text.data[k]));
	}
	FUZZ_ASSERT(upt_hash_from_name(text) == UPT_HASH_NONE ||
		    upt_span_equal(text, upt_span_str(upt_hash_name(upt_hash_from_name(text)))));
}

/* One path component that is no ".." and no hidden file, and from which the name comes back. */
static void
check_percent(struct upt_span bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	upt_cleanup(upt_free_ptr) char *name = fuzz_string(bytes);
	const char *p = name;

	FUZZ_ASSERT(upt_percent_encode(name, false, &out, NULL) == UPT_OK);
	if (out.len == 0) {
		FUZZ_ASSERT(name[0] == '\0');
		return;
	}
	FUZZ_ASSERT(out.data[0] != '.');
	for (size_t i = 0; i < out.len; i++, p++) {
		unsigned value = out.data[i];

		FUZZ_ASSERT(isalnum(out.data[i]) || strchr("-_~.%", out.data[i]) != NULL);
		if (out.data[i] == '%') {
			FUZZ_ASSERT(i + 2 < out.len);
			FUZZ_ASSERT(sscanf((const char *)out.data + i + 1, "%2X", &value) == 1);
			i += 2;
		}
		FUZZ_ASSERT(*p != '\0' && (unsigned char)*p == value);
	}
	FUZZ_ASSERT(*p == '\0');
}

/* What is shown has the length of what was there, no control characters, and shows alike again. */
static void
check_sanitize(struct upt_span bytes)
{
	upt_cleanup(upt_free_ptr) char *text = fuzz_string(bytes);
	upt_cleanup(upt_free_ptr) char *again = NULL;
	size_t len = strlen(text);

	upt_sanitize(text);
	FUZZ_ASSERT(strlen(text) == len);
	for (size_t i = 0; i < len; i++)
		FUZZ_ASSERT((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
	FUZZ_ASSERT(strstr(text, "\xc2\x9b") == NULL && strstr(text, "\xe2\x80\xae") == NULL);
	again = strdup(text);
	FUZZ_ASSERT(again != NULL);
	upt_sanitize(again);
	FUZZ_ASSERT(strcmp(text, again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest;

	if (size == 0 || size > MAX_BYTES)
		return 0;
	rest = upt_span(data + 1, size - 1);
	switch (data[0]) {
	case 'h':
		check_hex(rest);
		break;
	case 'b':
		check_base64(rest);
		check_base64_of(rest);
		break;
	case 'd':
		check_digest(rest);
		break;
	case 'p':
		check_percent(rest);
		break;
	case 's':
		check_sanitize(rest);
		break;
	default:
		break;
	}
	return 0;
}
