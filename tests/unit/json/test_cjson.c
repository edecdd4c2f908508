/* The strict reader beside cJSON: one value where both read, and why cJSON is not the verifier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "laws.h"
#include "model.h"

#define TEXT(literal) upt_span(literal, sizeof(literal) - 1)

/* True when both accept; the values must be the same then. */
static bool
both_read_the_same(struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf ours = {0}, theirs = {0};
	cJSON *tree = model_parse(text);
	struct upt_json_doc doc;

	if (upt_json_check(text, &doc, NULL) != UPT_OK) {
		cJSON_Delete(tree);
		return false;
	}
	assert_non_null(tree);
	assert_int_equal(upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &ours, NULL), UPT_OK);
	model_canonical(tree, UPT_JSON_UTF8, &theirs);
	cJSON_Delete(tree);
	assert_string_equal((const char *)ours.data, (const char *)theirs.data);
	return true;
}

static void
both_read_metadata_alike(void **state)
{
	static const char *const texts[] = {
		"{\"signed\":{\"_type\":\"Root\",\"version\":1,\"keys\":{\"b\":{},\"a\":[1,2,3]},"
		"\"consistent_snapshot\":false},\"signatures\":[]}",
		" { \"hashes\" : { \"sha512\" : \"ff\" , \"sha256\" : \"00\" } , \"length\" : 0 } ",
		"[\"\\\"\\\\\\/"
		"\\b\\f\\n\\r\\t\\u0041\\u007f\",9007199254740991,null,true,false,{},[]]",
		"{\"z\":1,\"y\":{\"x\":{\"w\":[[[{\"v\":\"u\"}]]]}},\"a\\\"b\":2,\"a\":3,\"\":4}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(both_read_the_same(upt_span_str(texts[i])));
}

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* Random runs of tokens: mostly refused, and by the laws never read differently. */
static void
random_tokens_are_never_read_differently(void **state)
{
	static const char *const tokens[] = {"{", "}", "[", "]", ",", ":", "\"a\"",
		"\"b\":", "\"c\"", "1", "0", "20", "true", "null", " ", "\n", "{\"a\":1}", "[1,2]",
		"\"\\n\"", "\"\\u0041\"", "-1", "1.5", "1e2", "01", "\"x\\", "\"\t\"",
		"\"\\u0000\""};
	uint64_t seed = 31337;
	size_t both = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

		for (uint32_t n = 1 + next_random(&seed) % 9; n > 0; n--) {
			const char *token =
				tokens[next_random(&seed) % (sizeof(tokens) / sizeof(tokens[0]))];

			assert_int_equal(upt_buf_append(&text, token, strlen(token), NULL), UPT_OK);
		}
		both += both_read_the_same(upt_buf_span(&text));
	}
	assert_true(both > 1000);
}

/* What cJSON lets pass and a verifier must not: two readers would see two documents. */
static void
the_strict_reader_refuses_what_cjson_lets_pass(void **state)
{
	const struct upt_span texts[] = {
		TEXT("{\"version\":1,\"version\":2}"),
		TEXT("9007199254740993"),
		TEXT("1.0"),
		TEXT("-0"),
		TEXT("\"a\tb\""),
		TEXT("\"\xc0\xaf\""),
		TEXT("\"e\xcc\x81\""),
		TEXT("[01]"),
	};
	size_t passed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cJSON *tree = model_parse(texts[i]);
		struct upt_json_doc doc;

		passed += tree != NULL;
		cJSON_Delete(tree);
		assert_int_equal(upt_json_check(texts[i], &doc, NULL), UPT_E_MALFORMED);
		assert_null(json_broken_law(texts[i]));
	}
	assert_true(passed >= 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_read_metadata_alike),
		cmocka_unit_test(random_tokens_are_never_read_differently),
		cmocka_unit_test(the_strict_reader_refuses_what_cjson_lets_pass),
	};

	return cmocka_run_group_tests_name("json cjson", tests, NULL, NULL);
}
