/* Custom members that an operator brings are read as strictly as the client will read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "repo/target_input.h"

static enum upt_code
customs(const char *text, cJSON **out)
{
	const struct add_options options = {.custom = text};

	*out = NULL;
	return target_input_customs(&options, 1, out, NULL);
}

static void
strict_json_is_taken(void **state)
{
	cJSON *custom;

	(void)state;
	assert_int_equal(customs(" {\"a\":\"b\",\"n\":9007199254740991}", &custom), UPT_OK);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(custom, "a")), "b");
	cJSON_Delete(custom);
}

/* cJSON alone would sign another text than the operator wrote. */
static void
what_cjson_would_change_is_refused(void **state)
{
	static const char *const bad[] = {"{\"a\":\"b\\u0000c\"}", "{\"a\":\"\\uzzzz\"}",
		"{\"a\":1e3}", "{\"a\":01}", "{\"a\":1,\"a\":2}", "{\"a\":9007199254740993}",
		"{\"a\":-0}", "{\"a\":\"\xc0\xaf\"}"};
	cJSON *custom;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(customs(bad[i], &custom), UPT_E_MALFORMED);
		assert_null(custom);
	}
	assert_int_equal(customs("{} x", &custom), UPT_E_USAGE);
	assert_null(custom);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_json_is_taken),
		cmocka_unit_test(what_cjson_would_change_is_refused),
	};

	return cmocka_run_group_tests_name("repo target input", tests, NULL, NULL);
}
