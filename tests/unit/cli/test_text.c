/* Tables and paragraphs for terminals of any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/text.h"

static const char *const cells[] = {
	"ECU", "RUNS", "gw", "os-2026.11.ostree", "gr\xc3\xbcn", "os-2026.12.ostree"};

static void
assert_table(unsigned columns, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	upt_text_table(to, cells, 3, 2, columns);
	fclose(to);
	assert_string_equal(text, expected);
	free(text);
}

static void
a_table_that_fits_has_columns(void **state)
{
	(void)state;
	/* 4 and 2 and 17 characters */
	assert_table(23, "ECU   RUNS\n"
			 "gw    os-2026.11.ostree\n"
			 "gr\xc3\xbcn  os-2026.12.ostree\n");
}

static void
one_that_does_not_fit_loses_nothing(void **state)
{
	(void)state;
	assert_table(22, "ECU   gw\n"
			 "RUNS  os-2026.11.ostree\n"
			 "\n"
			 "ECU   gr\xc3\xbcn\n"
			 "RUNS  os-2026.12.ostree\n");
}

static void
what_drives_a_terminal_is_replaced_in_both(void **state)
{
	const char *const evil[] = {"ECU", "RUNS", "a\x1b[2J", "x\ny"};
	static const unsigned columns[] = {80, 5};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&text, &len);

		assert_non_null(to);
		upt_text_table(to, evil, 2, 2, columns[i]);
		fclose(to);
		assert_string_equal(
			text, i == 0 ? "ECU    RUNS\na?[2J  x?y\n" : "ECU   a?[2J\nRUNS  x?y\n");
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_that_fits_has_columns),
		cmocka_unit_test(one_that_does_not_fit_loses_nothing),
		cmocka_unit_test(what_drives_a_terminal_is_replaced_in_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
