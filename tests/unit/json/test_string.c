#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "json/chars.h"
#include "json/json.h"
#include "json/lex.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)

static void
a_string_without_escape_is_borrowed(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_span raw = TEXT("plain \xc3\xa9"), out;

	(void)state;
	assert_int_equal(upt_json_decode(&arena, raw, &out, NULL), UPT_OK);
	assert_ptr_equal(out.data, raw.data);
	assert_int_equal(out.len, raw.len);
	assert_null(arena.blocks);
}

static void
escapes_are_decoded_into_the_arena(void **state)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_span out;
	const char *s;

	(void)state;
	assert_int_equal(
		upt_json_decode(&arena,
			TEXT("\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00E9\\u20ac\\ud83d\\ude97z"),
			&out, NULL),
		UPT_OK);
	assert_true(upt_span_equal(out, TEXT("\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x97"
					     "z")));
	assert_int_equal(upt_json_decode_string(&arena, TEXT("a\\u0062c"), &s, NULL), UPT_OK);
	assert_string_equal(s, "abc");
	assert_int_equal(upt_json_decode_string(&arena, TEXT("plain"), &s, NULL), UPT_OK);
	assert_string_equal(s, "plain");
	assert_int_equal(upt_json_decode_string(&arena, (struct upt_span){0}, &s, NULL), UPT_OK);
	assert_string_equal(s, "");
}

static void
unchecked_escapes_stay_within_the_copy(void **state)
{
	static const char *const raws[] = {
		"\\", "x\\", "\\u", "\\u123", "\\ud800", "\\ud800\\u", "\\q", "\\u0000"};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
		struct upt_span raw = upt_span_str(raws[i]), out;

		assert_int_equal(upt_json_decode(&arena, raw, &out, NULL), UPT_OK);
		assert_true(upt_span_equal(out, raw));
	}
}

static void
keys_equal_by_decoded_value(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("{\"sign\\u0065d\":\"a\\/b\"}"));

	(void)state;
	assert_true(upt_json_next(&it));
	assert_true(upt_json_key_is(&it, "signed"));
	assert_false(upt_json_key_is(&it, "signe"));
	assert_false(upt_json_key_is(&it, "signedd"));
	assert_false(upt_json_key_is(&it, "sign\\u0065d"));
	assert_false(upt_json_key_is(&it, ""));
	assert_true(upt_json_string_is(&it, "a/b"));
	assert_false(upt_json_string_is(&it, "a\\/b"));
}

/* A character of four bytes against a string that ends earlier, and its memory with it. */
static void
a_key_is_not_compared_behind_the_other_string(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("{\"\\ud83d\\ude97\":0}"));
	char *empty = calloc(1, 1);

	(void)state;
	assert_non_null(empty);
	assert_true(upt_json_next(&it));
	assert_false(upt_json_key_is(&it, empty));
	assert_true(upt_json_key_is(&it, "\xf0\x9f\x9a\x97"));
	free(empty);
}

/* -1, 0 or 1 both ways round. */
static void
assert_order(struct upt_span a, struct upt_span b, int expected)
{
	assert_int_equal(upt_json_compare(a, b), expected);
	assert_int_equal(upt_json_compare(b, a), -expected);
}

static void
strings_order_by_decoded_bytes(void **state)
{
	(void)state;
	assert_order(TEXT(""), (struct upt_span){0}, 0);
	assert_order(TEXT(""), TEXT("a"), -1);
	assert_order(TEXT("a"), TEXT("b"), -1);
	assert_order(TEXT("a"), TEXT("aa"), -1);
	assert_order(TEXT("abcdefghijklmnop"), TEXT("abcdefghijklmnop"), 0);
	assert_order(TEXT("abcdefghijklmnop"), TEXT("abcdefghijklmno"), 1);
	assert_order(TEXT("abcdefghijklmnop"), TEXT("abcdefghijkLmnop"), 1);
	assert_order(TEXT("abcdefgh\\u0069"), TEXT("abcdefghi"), 0);
	assert_order(TEXT("abc\\u0064efgh"), TEXT("abcdefgi"), -1);
	assert_order(TEXT("\\n"), TEXT("!"), -1);
	assert_order(TEXT("\\\\"), TEXT("]"), -1);
	assert_order(TEXT("a\\\""), TEXT("a"), 1);
	assert_order(TEXT("\\u00e9"), TEXT("\xc3\xa9"), 0);
	assert_order(TEXT("\\ud83d\\ude97"), TEXT("\xf0\x9f\x9a\x97"), 0);
	assert_order(TEXT("\\uff5e"), TEXT("\\ud83d\\ude97"), -1);
	assert_order(TEXT("\\u007f"), TEXT("\xc2\x80"), -1);
}

/* Each code point, as each form spells it, reads as itself. */
static void
every_character_reads_as_it_was_spelt(void **state)
{
	(void)state;
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		for (int form = 0; form < UPT_JSON_N_FORMS; form++) {
			uint8_t spelling[UPT_JSON_MAX_SPELLING];
			size_t len = upt_json_spell(c, (enum upt_json_form)form, spelling);
			const uint8_t *pos = spelling;
			const char *reason;
			uint32_t read = 0;

			reason = spelling[0] == '\\'
					 ? upt_json_read_escape(&pos, spelling + len, &read)
					 : upt_json_read_utf8(&pos, spelling + len, &read);
			if (reason != NULL || read != c || pos != spelling + len)
				fail_msg("U+%04X in form %d", (unsigned)c, form);
		}
	}
}

/* The eight-byte steps against their definition, each byte in each place. */
static void
word_steps_find_the_first_special_byte(void **state)
{
	uint8_t text[24];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < sizeof(text) - 1; at++) {
			const uint8_t *end = text + sizeof(text);
			bool plain = upt_json_is_plain((uint8_t)byte);

			memset(text, 'x', sizeof(text));
			text[at] = (uint8_t)byte;
			text[sizeof(text) - 1] = '"';
			assert_ptr_equal(
				upt_json_plain_end(text, end), plain ? end - 1 : text + at);
			if (byte == '\\') /* hides the next byte, here perhaps the quote */
				assert_ptr_equal(upt_json_string_end(text, end),
					at + 2 == sizeof(text) ? NULL : end - 1);
			else
				assert_ptr_equal(upt_json_string_end(text, end),
					byte == '"' ? text + at : end - 1);
		}
	}
}

/* A byte whose neighbours are special too: a borrow between lanes must not hide the first. */
static void
word_steps_survive_special_neighbours(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d,
		0x7e, 0x7f, 0x80, 0xa2, 0xdc, 0xff};
	uint64_t seed = 99;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint8_t text[16];
		size_t plain = 0, quote = 0;

		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1;
			text[i] = bytes[seed >> 60];
		}
		while (plain < sizeof(text) && upt_json_is_plain(text[plain]))
			plain++;
		while (quote < sizeof(text) && text[quote] != '"')
			quote += text[quote] == '\\' ? 2 : 1;
		assert_ptr_equal(upt_json_plain_end(text, text + sizeof(text)), text + plain);
		assert_ptr_equal(upt_json_string_end(text, text + sizeof(text)),
			quote < sizeof(text) ? text + quote : NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_without_escape_is_borrowed),
		cmocka_unit_test(escapes_are_decoded_into_the_arena),
		cmocka_unit_test(unchecked_escapes_stay_within_the_copy),
		cmocka_unit_test(keys_equal_by_decoded_value),
		cmocka_unit_test(a_key_is_not_compared_behind_the_other_string),
		cmocka_unit_test(strings_order_by_decoded_bytes),
		cmocka_unit_test(every_character_reads_as_it_was_spelt),
		cmocka_unit_test(word_steps_find_the_first_special_byte),
		cmocka_unit_test(word_steps_survive_special_neighbours),
	};

	return cmocka_run_group_tests_name("json string", tests, NULL, NULL);
}
