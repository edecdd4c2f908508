/* Names that people type, and what they may have meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "repo/names.h"

static const char *const words[] = {"publish", "target add"};

static void
a_typo_has_a_nearest_word(void **state)
{
	(void)state;
	assert_string_equal(repo_nearest("publsh", words, 2), "publish");
	assert_string_equal(repo_nearest("target ad", words, 2), "target add");
	assert_null(repo_nearest("rotate", words, 2));
}

static void
a_long_name_is_no_typo_of_anything(void **state)
{
	char name[513];

	(void)state;
	for (size_t len = 32; len < sizeof(name); len++) {
		memset(name, 'p', len);
		name[len] = '\0';
		assert_null(repo_nearest(name, words, 2));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_typo_has_a_nearest_word),
		cmocka_unit_test(a_long_name_is_no_typo_of_anything),
	};

	return cmocka_run_group_tests_name("repo names", tests, NULL, NULL);
}
