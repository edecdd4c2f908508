#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/file.h"
#include "json/json.h"

/* Bytes with their own length, so that a text may hold NUL. */
#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)

/* Checks a copy that ends where its memory ends: a sanitizer sees one byte too many. */
static enum upt_code
check_exact(struct upt_span text, struct upt_json_doc *doc, struct upt_err *err)
{
	uint8_t *copy = malloc(text.len > 0 ? text.len : 1);
	enum upt_code code;

	assert_non_null(copy);
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	code = upt_json_check(upt_span(copy, text.len), doc, err);
	free(copy);
	return code;
}

static void
assert_accepted(struct upt_span text)
{
	struct upt_err err = {0};
	struct upt_json_doc doc;
	enum upt_code code = check_exact(text, &doc, &err);

	if (code != UPT_OK)
		print_message("%.*s: %s\n", (int)text.len, (const char *)text.data, err.message);
	assert_int_equal(code, UPT_OK);
}

/* Refused with exactly this message, and nothing left in the document. */
static void
assert_refused(struct upt_span text, const char *message)
{
	static const struct upt_json_doc nothing;
	struct upt_err err = {0};
	struct upt_json_doc doc;

	memset(&doc, 0xa5, sizeof(doc));
	assert_int_equal(check_exact(text, &doc, &err), UPT_E_MALFORMED);
	assert_string_equal(err.message, message);
	assert_int_equal(err.code, UPT_E_MALFORMED);
	assert_null(doc.whole.text.data);
	assert_int_equal(doc.whole.in_place, nothing.whole.in_place);
	assert_int_equal(doc.n_top, 0);
	assert_null(doc.top[0].key.data);
}

static void
accepts_each_kind_of_value(void **state)
{
	(void)state;
	assert_accepted(TEXT("null"));
	assert_accepted(TEXT("true"));
	assert_accepted(TEXT("false"));
	assert_accepted(TEXT("0"));
	assert_accepted(TEXT("\"\""));
	assert_accepted(TEXT("[]"));
	assert_accepted(TEXT("{}"));
	assert_accepted(TEXT(" \t\r\n{ \"a\" : [ 1 , { } , [ ] ] }\n"));
}

static void
refuses_text_that_is_no_single_value(void **state)
{
	(void)state;
	assert_refused(TEXT(""), "byte 0: text ends where a value must stand");
	assert_refused(TEXT("  "), "byte 2: text ends where a value must stand");
	assert_refused(TEXT("\xef\xbb\xbf{}"), "byte 0: byte order mark");
	assert_refused(TEXT("{}{}"), "byte 2: bytes behind the value");
	assert_refused(TEXT("{}\0"), "byte 2: bytes behind the value");
	assert_refused(TEXT("\0"), "byte 0: a value must stand here");
	assert_refused(TEXT("NaN"), "byte 0: a value must stand here");
	assert_refused(TEXT("nul"), "byte 0: unknown word");
	assert_refused(TEXT("nullx"), "byte 4: bytes behind the value");
	assert_refused(TEXT("[tru"), "byte 1: unknown word");
}

static void
refuses_null_span_as_empty_text(void **state)
{
	struct upt_err err = {0};
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(upt_json_check((struct upt_span){0}, &doc, &err), UPT_E_MALFORMED);
	assert_string_equal(err.message, "byte 0: text ends where a value must stand");
	assert_int_equal(upt_json_check((struct upt_span){0}, &doc, NULL), UPT_E_MALFORMED);
}

static void
refuses_broken_structure(void **state)
{
	(void)state;
	assert_refused(TEXT("{\"a\":1"), "byte 6: a comma or the object's end must stand here");
	assert_refused(TEXT("{\"a\":1]"), "byte 6: a comma or the object's end must stand here");
	assert_refused(TEXT("{\"a\":1,}"), "byte 7: a key must stand here");
	assert_refused(TEXT("{,}"), "byte 1: a key must stand here");
	assert_refused(TEXT("{1:2}"), "byte 1: a key must stand here");
	assert_refused(TEXT("{\"a\" 1}"), "byte 5: a colon must stand here");
	assert_refused(TEXT("{\"a\":}"), "byte 5: a value must stand here");
	assert_refused(TEXT("[1 2]"), "byte 3: a comma or the array's end must stand here");
	assert_refused(TEXT("[1}"), "byte 2: a comma or the array's end must stand here");
	assert_refused(TEXT("[1,]"), "byte 3: a value must stand here");
	assert_refused(TEXT("[1,"), "byte 3: text ends where a value must stand");
	assert_refused(TEXT("[\f1]"), "byte 1: a value must stand here");
	assert_refused(TEXT("[1/**/]"), "byte 2: a comma or the array's end must stand here");
}

static void
accepts_integers_up_to_2_53_minus_1(void **state)
{
	(void)state;
	assert_accepted(TEXT("9007199254740991"));
	assert_refused(TEXT("9007199254740992"), "byte 0: integer above 9007199254740991");
	/* 2^64 + 1 would be 1 to a reader that wraps. */
	assert_refused(TEXT("18446744073709551617"), "byte 0: integer above 9007199254740991");
	assert_refused(
		TEXT("[10000000000000000000000000000]"), "byte 1: integer above 9007199254740991");
}

static void
refuses_numbers_that_are_no_plain_integers(void **state)
{
	(void)state;
	assert_accepted(TEXT("[10]"));
	assert_refused(TEXT("[-1]"), "byte 1: negative number");
	assert_refused(TEXT("[-0]"), "byte 1: negative number");
	assert_refused(TEXT("[01]"), "byte 1: integer with a leading zero");
	assert_refused(TEXT("[00]"), "byte 1: integer with a leading zero");
	assert_refused(TEXT("[1.0]"), "byte 1: number with a fraction");
	assert_refused(TEXT("[0.5]"), "byte 1: number with a fraction");
	assert_refused(TEXT("[1e1]"), "byte 1: number with an exponent");
	assert_refused(TEXT("[1E1]"), "byte 1: number with an exponent");
	assert_refused(TEXT("[+1]"), "byte 1: a value must stand here");
	assert_refused(TEXT("[.5]"), "byte 1: a value must stand here");
	assert_refused(TEXT("[1a]"), "byte 2: a comma or the array's end must stand here");
}

static void
refuses_what_no_string_may_hold(void **state)
{
	(void)state;
	assert_accepted(TEXT("\"\x7f \\u0001\""));
	assert_refused(TEXT("\"a\0\""), "byte 2: raw control character in a string");
	assert_refused(TEXT("\"a\x1f\""), "byte 2: raw control character in a string");
	assert_refused(TEXT("\"12345678901\n\""), "byte 12: raw control character in a string");
	assert_refused(TEXT("\"a\\u0000\""), "byte 2: escaped NUL");
	assert_refused(TEXT("[\"abc"), "byte 1: string without end");
	assert_refused(TEXT("\"abcdefgh\\\""), "byte 0: string without end");
	assert_refused(TEXT("\"\\"), "byte 1: cut escape");
	assert_refused(TEXT("\"\\x\""), "byte 1: unknown escape");
	assert_refused(TEXT("\"\\\0\""), "byte 1: unknown escape");
	assert_refused(TEXT("\"\\N\""), "byte 1: unknown escape");
	assert_refused(TEXT("\"\\u12\""), "byte 1: \\u without four hex digits");
	assert_refused(TEXT("\"\\u123"), "byte 1: \\u without four hex digits");
	assert_refused(TEXT("\"\\u12g4\""), "byte 1: \\u without four hex digits");
}

static void
refuses_lone_surrogates(void **state)
{
	(void)state;
	assert_accepted(TEXT("\"\\ud800\\udc00\\uDBFF\\uDFFF\""));
	assert_refused(TEXT("\"\\ud800\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\udc00\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\udfff\\ud800\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\ud800\\ud800\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\ud800\\ue000\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\ud800\\n1234\""), "byte 1: lone surrogate");
	assert_refused(TEXT("\"\\ud800\\u"), "byte 1: lone surrogate");
}

static void
refuses_bytes_that_are_no_utf8(void **state)
{
	(void)state;
	assert_accepted(TEXT("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
			     "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""));
	assert_refused(TEXT("\"\x80\""), "byte 1: byte that starts no UTF-8 character");
	assert_refused(TEXT("\"\xc0\x80\""), "byte 1: byte that starts no UTF-8 character");
	assert_refused(TEXT("\"\xc1\xbf\""), "byte 1: byte that starts no UTF-8 character");
	assert_refused(TEXT("\"\xf5\x80\x80\x80\""), "byte 1: byte that starts no UTF-8 character");
	assert_refused(TEXT("\"\xff\""), "byte 1: byte that starts no UTF-8 character");
	assert_refused(TEXT("\"\xe0\x9f\xbf\""), "byte 1: overlong UTF-8 character");
	assert_refused(TEXT("\"\xf0\x8f\xbf\xbf\""), "byte 1: overlong UTF-8 character");
	assert_refused(TEXT("\"\xed\xa0\x80\""), "byte 1: surrogate in UTF-8");
	assert_refused(TEXT("\"\xed\xbf\xbf\""), "byte 1: surrogate in UTF-8");
	assert_refused(TEXT("\"\xf4\x90\x80\x80\""), "byte 1: character above U+10FFFF");
	assert_refused(TEXT("\"\xe6\xbc\""), "byte 1: cut UTF-8 character");
	assert_refused(TEXT("\"\xe6\xbc"), "byte 1: cut UTF-8 character");
	assert_refused(TEXT("\"\xe6\""), "byte 1: cut UTF-8 character");
	assert_refused(TEXT("\"\xf0\x9f\x9a\xc0\""), "byte 1: cut UTF-8 character");
}

static void
refuses_duplicate_keys_by_their_decoded_value(void **state)
{
	(void)state;
	assert_accepted(TEXT("{\"a\":1,\"A\":2}"));
	assert_refused(TEXT("{\"a\":1,\"a\":2}"), "byte 7: key occurs twice in its object");
	assert_refused(TEXT("{\"a\":1,\"\\u0061\":2}"), "byte 7: key occurs twice in its object");
	assert_refused(TEXT("{\"\\/\":1,\"/\":2}"), "byte 8: key occurs twice in its object");
	assert_refused(
		TEXT("{\"\xc3\xa9\":1,\"\\u00E9\":2}"), "byte 8: key occurs twice in its object");
	assert_refused(TEXT("{\"\":1,\"\":2}"), "byte 6: key occurs twice in its object");
	/* Only their value's object counts. */
	assert_accepted(TEXT("{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]},\"b\":{\"a\":1}}"));
}

static void
refuses_duplicate_keys_that_are_apart(void **state)
{
	(void)state;
	assert_accepted(TEXT("{\"b\":1,\"a\":2,\"c\":3}"));
	assert_refused(
		TEXT("{\"b\":1,\"a\":2,\"b\":3}"), "byte 13: key occurs twice in its object");
	assert_refused(TEXT("{ \"c\" : 1 , \"b\":{\"z\":0,\"y\":[]}, \"a\":2,\"\\u0063\":3 }"),
		"byte 38: key occurs twice in its object");
	assert_refused(TEXT("[{\"d\":0,\"c\":0,\"b\":0,\"a\":0,\"aa\":0,\"b\":0}]"),
		"byte 33: key occurs twice in its object");
}

/* n opening brackets and, when closed, as many closing ones. */
static struct upt_span
nested(size_t n, bool closed)
{
	static uint8_t text[256];

	assert_true(2 * n <= sizeof(text));
	memset(text, '[', n);
	memset(text + n, ']', n);
	return upt_span(text, closed ? 2 * n : n);
}

static void
refuses_depth_33(void **state)
{
	(void)state;
	assert_accepted(nested(UPT_JSON_MAX_DEPTH, true));
	assert_refused(nested(UPT_JSON_MAX_DEPTH + 1, true), "byte 32: nested deeper than 32");
	assert_refused(nested(128, false), "byte 32: nested deeper than 32");
}

static void
top_level_members_are_found_by_decoded_name(void **state)
{
	struct upt_span text = TEXT(" {\"signatures\" : [ ] ,\"sign\\u0065d\":{\"b\":1} } ");
	const struct upt_json_facts *facts;
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(upt_json_check(text, &doc, NULL), UPT_OK);
	assert_int_equal(doc.type, UPT_JSON_OBJECT);
	assert_int_equal(doc.n_top, 2);
	assert_ptr_equal(doc.whole.text.data, text.data + 1);
	assert_int_equal(doc.whole.text.len, text.len - 2);
	facts = upt_json_top(&doc, "signed");
	assert_non_null(facts);
	assert_true(upt_span_equal(facts->text, TEXT("{\"b\":1}")));
	facts = upt_json_top(&doc, "signatures");
	assert_non_null(facts);
	assert_true(upt_span_equal(facts->text, TEXT("[ ]")));
	assert_null(upt_json_top(&doc, "sign"));
	assert_null(upt_json_top(&doc, "signedd"));
	assert_null(upt_json_top(&doc, "b"));
}

static void
other_top_level_values_have_no_members(void **state)
{
	struct upt_json_doc doc;

	(void)state;
	assert_int_equal(upt_json_check(TEXT("[{\"a\":1}]"), &doc, NULL), UPT_OK);
	assert_int_equal(doc.type, UPT_JSON_ARRAY);
	assert_int_equal(doc.n_top, 0);
	assert_null(upt_json_top(&doc, "a"));
	assert_int_equal(upt_json_check(TEXT("7"), &doc, NULL), UPT_OK);
	assert_int_equal(doc.type, UPT_JSON_INTEGER);
}

static void
refuses_member_17_at_the_top(void **state)
{
	struct upt_span text =
		TEXT("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,"
		     "\"i\":0,\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0,"
		     "\"q\":{\"a\":0,\"b\":0}}");
	uint8_t copy[256];

	(void)state;
	assert_refused(text, "byte 97: more than 16 members at the top");
	/* The same members one level deeper are no top-level ones. */
	assert_true(text.len + 2 < sizeof(copy));
	copy[0] = '[';
	memcpy(copy + 1, text.data, text.len);
	copy[1 + text.len] = ']';
	assert_accepted(upt_span(copy, text.len + 2));
}

/* Every file of the fuzz corpus says by its name what becomes of it. */
static void
corpus_is_judged_as_its_names_say(void **state)
{
	DIR *dir = opendir("tests/fuzz/corpus/json");
	struct dirent *entry;
	size_t accepted = 0, refused = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
		bool accept = strncmp(entry->d_name, "accept-", 7) == 0;
		struct upt_err err = {0};
		struct upt_json_doc doc;
		enum upt_code code;

		if (!accept && strncmp(entry->d_name, "refuse-", 7) != 0)
			continue;
		assert_int_equal(
			upt_file_read(dirfd(dir), entry->d_name, 1 << 20, &text, &err), UPT_OK);
		code = check_exact(upt_buf_span(&text), &doc, &err);
		if (code != (accept ? UPT_OK : UPT_E_MALFORMED))
			fail_msg("%s: %s %s", entry->d_name, upt_code_name(code), err.message);
		accepted += accept;
		refused += !accept;
	}
	closedir(dir);
	assert_true(accepted >= 30);
	assert_true(refused >= 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_each_kind_of_value),
		cmocka_unit_test(refuses_text_that_is_no_single_value),
		cmocka_unit_test(refuses_null_span_as_empty_text),
		cmocka_unit_test(refuses_broken_structure),
		cmocka_unit_test(accepts_integers_up_to_2_53_minus_1),
		cmocka_unit_test(refuses_numbers_that_are_no_plain_integers),
		cmocka_unit_test(refuses_what_no_string_may_hold),
		cmocka_unit_test(refuses_lone_surrogates),
		cmocka_unit_test(refuses_bytes_that_are_no_utf8),
		cmocka_unit_test(refuses_duplicate_keys_by_their_decoded_value),
		cmocka_unit_test(refuses_duplicate_keys_that_are_apart),
		cmocka_unit_test(refuses_depth_33),
		cmocka_unit_test(top_level_members_are_found_by_decoded_name),
		cmocka_unit_test(other_top_level_values_have_no_members),
		cmocka_unit_test(refuses_member_17_at_the_top),
		cmocka_unit_test(corpus_is_judged_as_its_names_say),
	};

	return cmocka_run_group_tests_name("json check", tests, NULL, NULL);
}
