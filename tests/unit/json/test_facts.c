#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "json/json.h"
#include "laws.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)
#define OLPC (1u << UPT_JSON_OLPC)
#define UTF8 (1u << UPT_JSON_UTF8)
#define ASCII (1u << UPT_JSON_ASCII)
#define ALL (OLPC | UTF8 | ASCII)

struct fact_case {
	struct upt_span text;
	unsigned in_place;
	bool forms_differ;
};

#define CASE(literal, bits, differ)                                                                \
	{                                                                                          \
		TEXT(literal), (bits), (differ)                                                    \
	}
#define N_CASES(cases) (sizeof(cases) / sizeof((cases)[0]))

static void
assert_facts(const struct fact_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct upt_json_doc doc;

		print_message("%.*s\n", (int)cases[i].text.len, (const char *)cases[i].text.data);
		assert_int_equal(upt_json_check(cases[i].text, &doc, NULL), UPT_OK);
		assert_int_equal(doc.whole.in_place, cases[i].in_place);
		assert_int_equal(doc.whole.forms_differ, cases[i].forms_differ);
		assert_null(json_broken_law(cases[i].text));
	}
}

static void
plain_values_are_in_place_in_every_form(void **state)
{
	const struct fact_case cases[] = {
		CASE("0", ALL, false),
		CASE("null", ALL, false),
		CASE("\"\"", ALL, false),
		CASE("\"plain ~text\"", ALL, false),
		CASE("\"\\\"\\\\\"", ALL, false),
		CASE("[true,{\"a\":[],\"b\":{}}]", ALL, false),
	};

	(void)state;
	assert_facts(cases, N_CASES(cases));
}

static void
white_space_inside_is_in_no_form(void **state)
{
	const struct fact_case cases[] = {
		CASE(" [1] ", ALL, false), /* around, not inside */
		CASE("[ 1]", 0, false),
		CASE("[1 ]", 0, false),
		CASE("[1,\n2]", 0, false),
		CASE("[1\t,2]", 0, false),
		CASE("[ ]", 0, false),
		CASE("{ }", 0, false),
		CASE("{\"a\" :1}", 0, false),
		CASE("{\"a\": 1}", 0, false),
		CASE("{\"a\":1 }", 0, false),
		CASE("{\"a\":1, \"b\":2}", 0, false),
		CASE("{\"a\":{\"b\":[[ ]]}}", 0, false),
	};

	(void)state;
	assert_facts(cases, N_CASES(cases));
}

static void
unsorted_keys_are_in_no_form(void **state)
{
	const struct fact_case cases[] = {
		CASE("{\"a\":1,\"b\":2}", ALL, false),
		CASE("{\"b\":1,\"a\":2}", 0, false),
		CASE("{\"a\":1,\"aa\":2}", ALL, false),
		CASE("{\"aa\":1,\"a\":2}", 0, false),
		CASE("[{\"x\":{\"B\":1,\"a\":2}}]", ALL, false),
		CASE("[{\"x\":{\"a\":1,\"B\":2}}]", 0, false),
		/* Decoded bytes order: U+FF5E is below U+1F697, though not in UTF-16. */
		CASE("{\"\xef\xbd\x9e\":1,\"\xf0\x9f\x9a\x97\":2}", OLPC | UTF8, true),
		CASE("{\"\\uff5e\":1,\"\\ud83d\\ude97\":2}", ASCII, true),
		CASE("{\"\xf0\x9f\x9a\x97\":2,\"\xef\xbd\x9e\":1}", 0, true),
		/* A raw backslash sorts behind "Z", the quote it spells before "A". */
		CASE("{\"\\\"\":1,\"A\":2}", ALL, false),
		CASE("{\"A\":1,\"\\\"\":2}", 0, false),
	};

	(void)state;
	assert_facts(cases, N_CASES(cases));
}

static void
each_spelling_is_in_place_in_its_own_form(void **state)
{
	const struct fact_case cases[] = {
		CASE("\"\\b\\f\\n\\r\\t\"", UTF8 | ASCII, true),
		CASE("\"\\u000b\\u001f\"", UTF8 | ASCII, true),
		CASE("\"\\u000B\"", 0, true),
		CASE("\"\\u000a\"", 0, true),
		CASE("\"\\/\"", 0, false),
		CASE("\"\\u0041\"", 0, false),
		CASE("\"\\u0022\"", 0, false),
		CASE("\"\\u005c\"", 0, false),
		CASE("\"\x7f\"", OLPC | UTF8, true),
		CASE("\"\\u007f\"", ASCII, true),
		CASE("\"\\u007F\"", 0, true),
		CASE("\"\xc3\xa9\"", OLPC | UTF8, true),
		CASE("\"\\u00e9\"", ASCII, true),
		CASE("\"\\u00E9\"", 0, true),
		CASE("\"\xf0\x9f\x9a\x97\"", OLPC | UTF8, true),
		CASE("\"\\ud83d\\ude97\"", ASCII, true),
		CASE("\"\\ud83D\\ude97\"", 0, true),
		CASE("\"\\ud83d\\udE97\"", 0, true),
		CASE("\"\xc3\xa9\\n\"", UTF8, true),
		CASE("\"\xc3\xa9\\u00e9\"", 0, true),
		CASE("\"\x7f\\u00e9\"", 0, true),
		CASE("\"\\n\\u00e9\"", ASCII, true),
		CASE("{\"\\n\":[]}", UTF8 | ASCII, true),
		CASE("[\"\\n\",[{\"a\":\"\xc3\xa9\"}]]", UTF8, true),
	};

	(void)state;
	assert_facts(cases, N_CASES(cases));
}

static void
members_have_facts_of_their_own(void **state)
{
	struct upt_span text =
		TEXT("{ \"signed\": {\"a\":\"\\n\"}, \"signatures\": [ {} ],\"x\":1 }");
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(upt_json_check(text, &doc, NULL), UPT_OK);
	assert_int_equal(doc.whole.in_place, 0);
	assert_true(doc.whole.forms_differ);
	assert_int_equal(upt_json_top(&doc, "signed")->in_place, UTF8 | ASCII);
	assert_true(upt_json_top(&doc, "signed")->forms_differ);
	assert_int_equal(upt_json_top(&doc, "signatures")->in_place, 0);
	assert_false(upt_json_top(&doc, "signatures")->forms_differ);
	assert_int_equal(upt_json_top(&doc, "x")->in_place, ALL);
	assert_null(json_broken_law(text));
}

/* A member's key is no part of its value: an odd key leaves the value's facts alone. */
static void
an_odd_key_leaves_its_value_in_place(void **state)
{
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(upt_json_check(TEXT("{\"\\u0061\":[1]}"), &doc, NULL), UPT_OK);
	assert_int_equal(doc.whole.in_place, 0);
	assert_int_equal(upt_json_top(&doc, "a")->in_place, ALL);
}

/* Pseudo-random numbers, the same in each run. */
static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static const char *const pieces[] = {"a", "b", "\\\"", "\\\\", "\\/", "\\n", "\\u000a", "\\u001f",
	"\\u001F", "\x7f", "\\u007f", "\xc3\xa9", "\\u00e9", "\\u00E9", "\xf0\x9f\x9a\x97",
	"\\ud83d\\ude97", "\xe6\xbc\xa2", "\\u6f22", "e\xcc\x81", " ", "plain text of some length"};

static void
put(struct upt_buf *out, const char *s)
{
	assert_int_equal(upt_buf_append(out, s, strlen(s), NULL), UPT_OK);
}

static void
put_space(struct upt_buf *out, uint64_t *seed)
{
	if (next_random(seed) % 32 == 0)
		put(out, "\n");
}

static void
put_random_string(struct upt_buf *out, uint64_t *seed)
{
	put(out, "\"");
	for (uint32_t n = next_random(seed) % 4; n > 0; n--)
		put(out, pieces[next_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
	put(out, "\"");
}

static void
put_random_value(struct upt_buf *out, uint64_t *seed, unsigned depth)
{
	static const char *const scalars[] = {
		"0", "17", "true", "false", "null", "9007199254740991"};
	uint32_t kind = next_random(seed) % (depth < 4 ? 4 : 2);
	uint32_t n = next_random(seed) % 4;

	if (kind == 0)
		put(out, scalars[next_random(seed) % 6]);
	if (kind == 1)
		put_random_string(out, seed);
	if (kind < 2)
		return;
	put(out, kind == 2 ? "[" : "{");
	for (uint32_t i = 0; i < n; i++) {
		put(out, i > 0 ? "," : "");
		put_space(out, seed);
		if (kind == 3) {
			put_random_string(out, seed);
			put(out, ":");
		}
		put_random_value(out, seed, depth + 1);
	}
	put_space(out, seed);
	put(out, kind == 2 ? "]" : "}");
}

static void
random_texts_keep_every_law(void **state)
{
	uint64_t seed = 20240901;
	size_t accepted = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		struct upt_json_doc doc;
		const char *broken;

		put_random_value(&text, &seed, 0);
		broken = json_broken_law(upt_buf_span(&text));
		if (broken != NULL)
			fail_msg("%s: %s", broken, (const char *)text.data);
		accepted += upt_json_check(upt_buf_span(&text), &doc, NULL) == UPT_OK;
	}
	assert_true(accepted > 10000);
	assert_true(accepted < 20000);
}

/* One byte of a valid text becomes another: refused or accepted, the laws hold. */
static void
texts_with_one_wrong_byte_keep_every_law(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		const char *broken;
		uint8_t *exact;

		put_random_value(&text, &seed, 0);
		text.data[next_random(&seed) % text.len] = (uint8_t)next_random(&seed);
		exact = malloc(text.len);
		assert_non_null(exact);
		memcpy(exact, text.data, text.len);
		broken = json_broken_law(upt_span(exact, text.len));
		free(exact);
		if (broken != NULL)
			fail_msg("%s: %s", broken, (const char *)text.data);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_are_in_place_in_every_form),
		cmocka_unit_test(white_space_inside_is_in_no_form),
		cmocka_unit_test(unsorted_keys_are_in_no_form),
		cmocka_unit_test(each_spelling_is_in_place_in_its_own_form),
		cmocka_unit_test(members_have_facts_of_their_own),
		cmocka_unit_test(an_odd_key_leaves_its_value_in_place),
		cmocka_unit_test(random_texts_keep_every_law),
		cmocka_unit_test(texts_with_one_wrong_byte_keep_every_law),
	};

	return cmocka_run_group_tests_name("json facts", tests, NULL, NULL);
}
