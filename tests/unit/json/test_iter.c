#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "json/json.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)

static bool
value_is(struct upt_json_iter *it, const char *text)
{
	return upt_span_equal(upt_json_value(it), upt_span_str(text));
}

static void
walks_members_in_their_order(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("{ \"b\" : 1 ,\"a\":[2, 3],\"c\":\"x\" }"));

	(void)state;
	assert_int_equal(it.container, UPT_JSON_OBJECT);
	assert_true(upt_json_next(&it));
	assert_true(upt_json_key_is(&it, "b"));
	assert_int_equal(it.type, UPT_JSON_INTEGER);
	assert_true(value_is(&it, "1"));
	assert_true(upt_json_next(&it));
	assert_true(upt_json_key_is(&it, "a"));
	assert_false(upt_json_key_is(&it, "b"));
	assert_int_equal(it.type, UPT_JSON_ARRAY);
	assert_true(value_is(&it, "[2, 3]"));
	assert_true(upt_json_next(&it));
	assert_true(upt_json_string_is(&it, "x"));
	assert_true(value_is(&it, "\"x\""));
	assert_false(upt_json_next(&it));
	assert_false(upt_json_next(&it));
}

static void
walks_elements_of_every_type(void **state)
{
	static const enum upt_json_type types[] = {UPT_JSON_NULL, UPT_JSON_TRUE, UPT_JSON_FALSE,
		UPT_JSON_INTEGER, UPT_JSON_STRING, UPT_JSON_ARRAY, UPT_JSON_OBJECT};
	struct upt_json_iter it =
		upt_json_iter(TEXT("[null,true , false,0,\"]\\\"]\",[[],{}],{\"a\":{}}]"));

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_true(upt_json_next(&it));
		assert_int_equal(it.type, types[i]);
		assert_int_equal(it.key.len, 0);
		assert_false(upt_json_key_is(&it, ""));
	}
	assert_false(upt_json_next(&it));
}

static void
empty_containers_and_scalars_yield_nothing(void **state)
{
	static const char *const texts[] = {"{}", "[]", "{ }", "[\n]", "1", "\"[1]\"", "null", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct upt_json_iter it = upt_json_iter(upt_span_str(texts[i]));

		assert_false(upt_json_next(&it));
		assert_false(upt_json_next(&it));
		assert_null(it.value);
		assert_int_equal(upt_json_value(&it).len, 0);
	}
	assert_int_equal(upt_json_type_of((struct upt_span){0}), UPT_JSON_NULL);
}

static void
a_finished_iterator_yields_no_value(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("{\"a\":\"b\"}"));
	struct upt_json_iter sub;
	struct upt_span raw;
	uint64_t number;

	(void)state;
	assert_true(upt_json_next(&it));
	assert_false(upt_json_next(&it));
	assert_false(upt_json_key_is(&it, "a"));
	assert_false(upt_json_key_is(&it, ""));
	assert_false(upt_json_string_is(&it, "b"));
	assert_false(upt_json_raw_string(&it, &raw));
	assert_false(upt_json_u64(&it, &number));
	sub = upt_json_enter(&it);
	assert_false(upt_json_next(&sub));
}

static void
a_walked_value_hands_its_end_to_the_parent(void **state)
{
	struct upt_span text = TEXT("[[1,[2]] ,7]");
	struct upt_json_iter it = upt_json_iter(text), sub;

	(void)state;
	assert_true(upt_json_next(&it));
	sub = upt_json_enter(&it);
	assert_true(upt_json_next(&sub));
	assert_true(upt_json_next(&sub));
	assert_null(it.after);
	assert_false(upt_json_next(&sub));
	assert_ptr_equal(it.after, text.data + 8);
	assert_true(upt_json_next(&it));
	assert_true(value_is(&it, "7"));
}

static void
an_abandoned_value_is_skipped_by_the_parent(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("[{\"a\":[1],\"b\":\"}\"},7]")), sub;

	(void)state;
	assert_true(upt_json_next(&it));
	sub = upt_json_enter(&it);
	assert_true(upt_json_next(&sub));
	assert_null(it.after);
	assert_true(upt_json_next(&it));
	assert_true(value_is(&it, "7"));
	assert_false(upt_json_next(&it));
}

/* Walking on with a sub-iterator whose parent has moved on must not throw the parent back. */
static void
a_stale_sub_iterator_leaves_the_parent_alone(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("[[1],[2],[3]]")), stale;

	(void)state;
	assert_true(upt_json_next(&it));
	stale = upt_json_enter(&it);
	assert_true(upt_json_next(&it));
	while (upt_json_next(&stale))
		;
	assert_true(upt_json_next(&it));
	assert_true(value_is(&it, "[3]"));
	stale = upt_json_enter(&it);
	assert_false(upt_json_next(&it));
	while (upt_json_next(&stale))
		;
	assert_null(it.after);
	assert_int_equal(upt_json_value(&it).len, 0);
	assert_false(upt_json_next(&it));
	assert_null(it.value);
}

static void
value_can_be_asked_for_before_and_after_a_walk(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("[[1,2],3]")), sub;

	(void)state;
	assert_true(upt_json_next(&it));
	assert_true(value_is(&it, "[1,2]"));
	sub = upt_json_enter(&it);
	while (upt_json_next(&sub))
		;
	assert_true(value_is(&it, "[1,2]"));
	assert_true(upt_json_next(&it));
	assert_true(value_is(&it, "3"));
}

static void
integers_are_read_and_nothing_else(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("[0,9007199254740991,\"1\",true,[1]]"));
	uint64_t number = 5;

	(void)state;
	assert_true(upt_json_next(&it) && upt_json_u64(&it, &number));
	assert_int_equal(number, 0);
	assert_true(upt_json_next(&it) && upt_json_u64(&it, &number));
	assert_int_equal(number, UPT_JSON_MAX_INTEGER);
	while (upt_json_next(&it)) {
		number = 5;
		assert_false(upt_json_u64(&it, &number));
		assert_int_equal(number, 0);
	}
}

static void
raw_strings_are_what_stands_between_the_quotes(void **state)
{
	struct upt_json_iter it = upt_json_iter(TEXT("[\"\",\"a\\\"b\\\\\",7]"));
	struct upt_span raw;

	(void)state;
	assert_true(upt_json_next(&it) && upt_json_raw_string(&it, &raw));
	assert_int_equal(raw.len, 0);
	assert_true(upt_json_next(&it) && upt_json_raw_string(&it, &raw));
	assert_true(upt_span_equal(raw, TEXT("a\\\"b\\\\")));
	assert_true(upt_json_string_is(&it, "a\"b\\"));
	assert_false(upt_json_string_is(&it, "a\\\"b\\\\"));
	assert_true(upt_json_next(&it));
	assert_false(upt_json_raw_string(&it, &raw));
	assert_null(raw.data);
	assert_false(upt_json_string_is(&it, "7"));
}

/* Every beginning of a text, in memory that ends there: nothing is read behind it. */
static void
stays_inside_bytes_that_were_cut(void **state)
{
	struct upt_span text = TEXT(
		"{ \"signed\" : {\"a\\\"\":[1,\"x\\\\\",{}], \"b\":true} , \"c\":\"\\u00e9\"}");

	(void)state;
	for (size_t len = 0; len < text.len; len++) {
		uint8_t *cut = malloc(len > 0 ? len : 1);
		struct upt_json_iter it, sub;
		struct upt_span value;

		assert_non_null(cut);
		memcpy(cut, text.data, len);
		it = upt_json_iter(upt_span(cut, len));
		while (upt_json_next(&it)) {
			sub = upt_json_enter(&it);
			while (upt_json_next(&sub)) {
				value = upt_json_value(&sub);
				assert_true(value.len <= len);
			}
			value = upt_json_value(&it);
			assert_true(value.len <= len);
		}
		free(cut);
	}
}

static void
stops_at_bytes_that_are_no_json(void **state)
{
	static const char *const texts[] = {"[,1]", "[-1]", "[x]", "{1:1}", "{\"a\"1}", "{\"a\":}",
		"{\"a\":,}", "{\"a", "[\"a", "[\"a\\"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct upt_json_iter it = upt_json_iter(upt_span_str(texts[i]));
		size_t n = 0;

		while (upt_json_next(&it))
			n++;
		assert_true(n <= 1);
		assert_null(it.value);
		assert_false(upt_json_next(&it));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_members_in_their_order),
		cmocka_unit_test(walks_elements_of_every_type),
		cmocka_unit_test(empty_containers_and_scalars_yield_nothing),
		cmocka_unit_test(a_finished_iterator_yields_no_value),
		cmocka_unit_test(a_walked_value_hands_its_end_to_the_parent),
		cmocka_unit_test(an_abandoned_value_is_skipped_by_the_parent),
		cmocka_unit_test(a_stale_sub_iterator_leaves_the_parent_alone),
		cmocka_unit_test(value_can_be_asked_for_before_and_after_a_walk),
		cmocka_unit_test(integers_are_read_and_nothing_else),
		cmocka_unit_test(raw_strings_are_what_stands_between_the_quotes),
		cmocka_unit_test(stays_inside_bytes_that_were_cut),
		cmocka_unit_test(stops_at_bytes_that_are_no_json),
	};

	return cmocka_run_group_tests_name("json iter", tests, NULL, NULL);
}
