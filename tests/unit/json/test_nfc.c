#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <uninorm.h>
#include <unistr.h>
#include "json/json.h"

#define NOT_NFC "byte 0: string not in Unicode Normalization Form C"
#define TOO_MANY "byte 0: too many combining marks in a row"

static void
assert_judged(const char *text, const char *message)
{
	struct upt_err err = {0};
	struct upt_json_doc doc;
	enum upt_code code = upt_json_check(upt_span_str(text), &doc, &err);

	print_message("%s\n", text);
	assert_int_equal(code, message == NULL ? UPT_OK : UPT_E_MALFORMED);
	assert_string_equal(err.message, message == NULL ? "" : message);
}

static void
composed_text_is_accepted_and_decomposed_refused(void **state)
{
	(void)state;
	assert_judged("\"\xc3\xa9\"", NULL); /* e acute */
	assert_judged("\"e\xcc\x81\"", NOT_NFC); /* e, combining acute */
	assert_judged("\"e\\u0301\"", NOT_NFC); /* the same, escaped */
	assert_judged("\"\\u0065\xcc\x81\"", NOT_NFC);
	assert_judged("\"x\xcc\x81\"", NULL); /* no composed x acute exists */
	assert_judged("\"\xed\x95\x9c\"", NULL); /* Hangul syllable */
	assert_judged("\"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\"", NOT_NFC); /* its letters */
	assert_judged("\"\xe2\x84\xab\"", NOT_NFC); /* Angstrom sign: a singleton */
	assert_judged("\"\xef\xac\x81\"", NULL); /* fi ligature: only NFKC changes it */
	assert_judged("\"\xe0\xa5\x98\"", NOT_NFC); /* Devanagari qa: excluded from composition */
}

static void
marks_have_to_stand_in_canonical_order(void **state)
{
	(void)state;
	assert_judged("\"x\xcc\x96\xcc\x81\"", NULL); /* below, then above */
	assert_judged("\"x\xcc\x81\xcc\x96\"", NOT_NFC);
}

static void
keys_are_judged_too(void **state)
{
	struct upt_err err = {0};
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(
		upt_json_check(upt_span_str("{\"e\xcc\x81\":1}"), &doc, &err), UPT_E_MALFORMED);
	assert_string_equal(err.message, "byte 1: string not in Unicode Normalization Form C");
}

/* A composition across what another string left behind would be a normaliser with memory. */
static void
each_string_stands_alone(void **state)
{
	(void)state;
	assert_judged("[\"\xe6\xbc\xa2"
		      "e\",\"\xcc\x81\",\"\xe6\xbc\xa2\"]",
		NULL);
}

static void
assert_marks(size_t n, const char *message)
{
	char text[3 * 1024] = "\"x";
	size_t len = 2;

	for (size_t i = 0; i < n; i++) {
		memcpy(text + len, "\xcc\x96", 2);
		len += 2;
	}
	memcpy(text + len, "\"", 2);
	assert_judged(text, message);
}

static void
marks_in_a_row_are_bounded(void **state)
{
	(void)state;
	assert_marks(30, NULL);
	assert_marks(31, TOO_MANY);
	assert_marks(1000, TOO_MANY);
}

/* Characters of all the kinds that normalisation treats differently. */
static const ucs4_t alphabet[] = {'a', 'e', 'x', '"', '\\', 0x1, 0x7f, 0xe9, 0xc5, 0x300, 0x301,
	0x308, 0x316, 0x323, 0x327, 0x338, 0x340, 0x344, 0x345, 0x34f, 0x387, 0x3b1, 0x1e69, 0x915,
	0x93c, 0x958, 0xf71, 0xf72, 0xf73, 0x1100, 0x1161, 0x11a8, 0xac00, 0xac01, 0x212b, 0x2126,
	0x2adc, 0x6f22, 0xf900, 0xfb01, 0xfb1d, 0x1d15e, 0x1f697, 0x2f800, 0x10ffff, 0x110bd,
	0x16121};

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* The string of c[0..n) as a text, each character raw or escaped. */
static void
put_text(struct upt_buf *text, const ucs4_t *c, size_t n, uint64_t *seed)
{
	assert_int_equal(upt_buf_append(text, "\"", 1, NULL), UPT_OK);
	for (size_t i = 0; i < n; i++) {
		uint8_t bytes[6];
		int len = u8_uctomb(bytes, c[i], sizeof(bytes));

		assert_true(len > 0);
		if (c[i] < 0x10000 &&
			(c[i] < 0x20 || c[i] == '"' || c[i] == '\\' || next_random(seed) % 4 == 0))
			assert_int_equal(
				upt_buf_printf(text, NULL, "\\u%04x", (unsigned)c[i]), UPT_OK);
		else
			assert_int_equal(upt_buf_append(text, bytes, (size_t)len, NULL), UPT_OK);
	}
	assert_int_equal(upt_buf_append(text, "\"", 1, NULL), UPT_OK);
}

static void
agrees_with_normalising_the_whole_string(void **state)
{
	uint64_t seed = 4711;
	size_t normal = 0;

	(void)state;
	for (int round = 0; round < 60000; round++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		size_t n = 1 + next_random(&seed) % 6, len = 0;
		struct upt_json_doc doc;
		enum upt_code code;
		ucs4_t c[6], *nfc;
		bool same;

		for (size_t i = 0; i < n; i++)
			c[i] = alphabet[next_random(&seed) %
					(sizeof(alphabet) / sizeof(alphabet[0]))];
		nfc = u32_normalize(UNINORM_NFC, c, n, NULL, &len);
		assert_non_null(nfc);
		same = len == n && memcmp(nfc, c, n * sizeof(c[0])) == 0;
		free(nfc);
		put_text(&text, c, n, &seed);
		code = upt_json_check(upt_buf_span(&text), &doc, NULL);
		if (code != (same ? UPT_OK : UPT_E_MALFORMED))
			fail_msg("%s: %s", (const char *)text.data, upt_code_name(code));
		normal += same;
	}
	assert_true(normal > 1000 && normal < 59000);
}

/* Every assigned character alone: what lies below UPT_JSON_NFC_FIRST is never looked at. */
static void
every_character_alone_is_judged_right(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (ucs4_t c = 1; c <= 0x10ffff; c += c < 0x3000 ? 1 : 7) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		struct upt_json_doc doc;
		size_t len = 0;
		ucs4_t *nfc;
		bool same;

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		nfc = u32_normalize(UNINORM_NFC, &c, 1, NULL, &len);
		assert_non_null(nfc);
		same = len == 1 && nfc[0] == c;
		free(nfc);
		put_text(&text, &c, 1, &seed);
		if ((upt_json_check(upt_buf_span(&text), &doc, NULL) == UPT_OK) != same)
			fail_msg("U+%04X", (unsigned)c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composed_text_is_accepted_and_decomposed_refused),
		cmocka_unit_test(marks_have_to_stand_in_canonical_order),
		cmocka_unit_test(keys_are_judged_too),
		cmocka_unit_test(each_string_stands_alone),
		cmocka_unit_test(marks_in_a_row_are_bounded),
		cmocka_unit_test(agrees_with_normalising_the_whole_string),
		cmocka_unit_test(every_character_alone_is_judged_right),
	};

	return cmocka_run_group_tests_name("json nfc", tests, NULL, NULL);
}
