#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "json/json.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)

/* The canonical text in one form of a text that has to be accepted. */
static void
assert_canonical(struct upt_span text, enum upt_json_form form, struct upt_span expected)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_json_doc doc;

	assert_int_equal(upt_json_check(text, &doc, NULL), UPT_OK);
	assert_int_equal(upt_json_canonical(doc.whole.text, form, &out, NULL), UPT_OK);
	if (!upt_span_equal(upt_buf_span(&out), expected))
		print_message("got %s\n", (const char *)out.data);
	assert_true(upt_span_equal(upt_buf_span(&out), expected));
}

static void
assert_canonical_everywhere(struct upt_span text, struct upt_span expected)
{
	for (int form = 0; form < UPT_JSON_N_FORMS; form++)
		assert_canonical(text, (enum upt_json_form)form, expected);
}

static void
drops_white_space_and_sorts_members(void **state)
{
	(void)state;
	assert_canonical_everywhere(
		TEXT(" { \"b\" : [ 1 , true , null ] , \"a\" : { \"d\" : \"\" , \"c\" : { } } }\n"),
		TEXT("{\"a\":{\"c\":{},\"d\":\"\"},\"b\":[1,true,null]}"));
	assert_canonical_everywhere(TEXT("[ ]"), TEXT("[]"));
	assert_canonical_everywhere(TEXT(" 9007199254740991 "), TEXT("9007199254740991"));
	assert_canonical_everywhere(TEXT(" \"x\" "), TEXT("\"x\""));
	assert_canonical_everywhere(TEXT("false"), TEXT("false"));
}

static void
sorts_by_decoded_bytes(void **state)
{
	(void)state;
	assert_canonical_everywhere(
		TEXT("{\"aa\":1,\"a\":2,\"\":3,\"B\":4,\"\\\"\":5,\"b\":6,\"a\\\\\":7}"),
		TEXT("{\"\":3,\"\\\"\":5,\"B\":4,\"a\":2,\"a\\\\\":7,\"aa\":1,\"b\":6}"));
	assert_canonical(TEXT("{\"\\ud83d\\ude97\":1,\"\\uff5e\":2,\"\\u0041\":3,\"\\n\":4}"),
		UPT_JSON_OLPC,
		TEXT("{\"\n\":4,\"A\":3,\"\xef\xbd\x9e\":2,\"\xf0\x9f\x9a\x97\":1}"));
}

static void
spells_characters_as_each_form_does(void **state)
{
	struct upt_span text =
		TEXT("\"\\u0022\\\\\\/\\n\\u0008\\u001F\\u007f\\u00E9\xf0\x9f\x9a\x97\\u0041\"");

	(void)state;
	assert_canonical(text, UPT_JSON_OLPC,
		TEXT("\"\\\"\\\\/\n\b\x1f\x7f\xc3\xa9\xf0\x9f\x9a\x97"
		     "A\""));
	assert_canonical(text, UPT_JSON_UTF8,
		TEXT("\"\\\"\\\\/\\n\\b\\u001f\x7f\xc3\xa9\xf0\x9f\x9a\x97"
		     "A\""));
	assert_canonical(text, UPT_JSON_ASCII,
		TEXT("\"\\\"\\\\/\\n\\b\\u001f\\u007f\\u00e9\\ud83d\\ude97"
		     "A\""));
}

/* Python's json.dumps(sort_keys=True, separators=(",", ":")), with ensure_ascii of both kinds. */
static void
agrees_with_the_common_tools(void **state)
{
	struct upt_span text = TEXT("{\"k\": \"a\\tb\\u0007\\u00fc\\u20ac\\ud834\\udd1e\"}");

	(void)state;
	assert_canonical(
		text, UPT_JSON_ASCII, TEXT("{\"k\":\"a\\tb\\u0007\\u00fc\\u20ac\\ud834\\udd1e\"}"));
	assert_canonical(text, UPT_JSON_UTF8,
		TEXT("{\"k\":\"a\\tb\\u0007\xc3\xbc\xe2\x82\xac\xf0\x9d\x84\x9e\"}"));
}

static void
appends_to_what_is_there(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};

	(void)state;
	assert_int_equal(upt_json_canonical(TEXT("[ 1 ]"), UPT_JSON_OLPC, &out, NULL), UPT_OK);
	assert_int_equal(
		upt_json_canonical(TEXT("{\"b\":0,\"a\":0}"), UPT_JSON_OLPC, &out, NULL), UPT_OK);
	assert_string_equal((const char *)out.data, "[1]{\"a\":0,\"b\":0}");
}

static void
a_failure_leaves_the_old_bytes(void **state)
{
	static const char *const unchecked[] = {"", "-", "[\"\x80\"]",
		"{\"b\":1,\"a\":\"\\u0000\"}", "\"\\ud800\"", "\"open",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"};
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};

	(void)state;
	assert_int_equal(upt_buf_append(&out, "old", 3, NULL), UPT_OK);
	for (size_t i = 0; i < sizeof(unchecked) / sizeof(unchecked[0]); i++) {
		struct upt_err err = {0};

		assert_int_equal(
			upt_json_canonical(upt_span_str(unchecked[i]), UPT_JSON_UTF8, &out, &err),
			UPT_E_MALFORMED);
		assert_string_equal(err.message, "no canonical form of an unchecked value");
		assert_int_equal(out.len, 3);
		assert_string_equal((const char *)out.data, "old");
	}
}

static void
goes_as_deep_as_the_check(void **state)
{
	char text[65];

	(void)state;
	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	text[64] = '\0';
	assert_canonical_everywhere(upt_span(text, 64), upt_span(text, 64));
}

/* Object in object, each with its keys the wrong way round: the stack of keys stays in order. */
static void
sorts_at_every_depth(void **state)
{
	char text[UPT_JSON_MAX_DEPTH * 32] = "", expected[UPT_JSON_MAX_DEPTH * 32] = "";
	size_t t = 0, e = 0;

	(void)state;
	for (int i = 0; i < UPT_JSON_MAX_DEPTH; i++) {
		t += (size_t)snprintf(text + t, sizeof(text) - t, "{\"c\":0,\"b\":");
		e += (size_t)snprintf(expected + e, sizeof(expected) - e, "{\"a\":1,\"b\":");
	}
	t += (size_t)snprintf(text + t, sizeof(text) - t, "null");
	e += (size_t)snprintf(expected + e, sizeof(expected) - e, "null");
	for (int i = 0; i < UPT_JSON_MAX_DEPTH; i++) {
		t += (size_t)snprintf(text + t, sizeof(text) - t, ",\"a\":1}");
		e += (size_t)snprintf(expected + e, sizeof(expected) - e, ",\"c\":0}");
	}
	assert_canonical_everywhere(upt_span(text, t), upt_span(expected, e));
}

static void
values_are_the_same_when_their_canonical_texts_are(void **state)
{
	bool same = false;

	(void)state;
	assert_int_equal(
		upt_json_same(TEXT("{\"a\":1, \"b\":[]}"), TEXT("{\"b\":[],\"a\":1}"), &same, NULL),
		UPT_OK);
	assert_true(same);
	assert_int_equal(upt_json_same(TEXT("[1,2]"), TEXT("[2,1]"), &same, NULL), UPT_OK);
	assert_false(same);
	assert_int_equal(upt_json_same(TEXT(""), TEXT(""), &same, NULL), UPT_OK);
	assert_true(same);
	assert_int_equal(upt_json_same(TEXT("{}"), TEXT(""), &same, NULL), UPT_OK);
	assert_false(same);
	assert_int_equal(upt_json_same(TEXT(""), TEXT("{}"), &same, NULL), UPT_OK);
	assert_false(same);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_white_space_and_sorts_members),
		cmocka_unit_test(sorts_by_decoded_bytes),
		cmocka_unit_test(spells_characters_as_each_form_does),
		cmocka_unit_test(agrees_with_the_common_tools),
		cmocka_unit_test(appends_to_what_is_there),
		cmocka_unit_test(a_failure_leaves_the_old_bytes),
		cmocka_unit_test(goes_as_deep_as_the_check),
		cmocka_unit_test(sorts_at_every_depth),
		cmocka_unit_test(values_are_the_same_when_their_canonical_texts_are),
	};

	return cmocka_run_group_tests_name("json canonical", tests, NULL, NULL);
}
