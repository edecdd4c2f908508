#include "scratch.h"

#include <errno.h>

static void
fail_records_code_and_message(void **state)
{
	struct upt_err err = {0};

	(void)state;
	assert_int_equal(
		upt_fail(&err, UPT_E_ROLLBACK, "root v%d after v%d", 7, 9), UPT_E_ROLLBACK);
	assert_int_equal(err.code, UPT_E_ROLLBACK);
	assert_string_equal(err.message, "root v7 after v9");
	assert_int_equal(upt_fail(NULL, UPT_E_IO, "nobody listens"), UPT_E_IO);
	assert_int_equal(upt_fail_errno(NULL, ENOSPC, "nobody listens"), UPT_E_NO_SPACE);
	assert_int_equal(upt_wrap(NULL, UPT_E_IO, "nobody listens"), UPT_E_IO);
}

static void
long_message_is_cut_and_says_so(void **state)
{
	char longest[2 * UPT_ERR_MESSAGE_MAX];
	struct upt_err err = {0};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	upt_fail(&err, UPT_E_IO, "%s", longest);
	assert_int_equal(strlen(err.message), UPT_ERR_MESSAGE_MAX - 1);
	assert_string_equal(err.message + UPT_ERR_MESSAGE_MAX - 5, "x...");
	longest[UPT_ERR_MESSAGE_MAX - 1] = '\0'; /* the accepted twin: it just fits */
	upt_fail(&err, UPT_E_IO, "%s", longest);
	assert_string_equal(err.message, longest);
}

static void
reason_survives_a_long_name(void **state)
{
	char longest[2 * UPT_ERR_MESSAGE_MAX];
	struct upt_err err = {0};
	size_t n;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(upt_fail_errno(&err, ENOSPC, "cannot write %s", longest), UPT_E_NO_SPACE);
	n = strlen(err.message);
	assert_true(n < sizeof(err.message));
	assert_string_equal(err.message + n - strlen("x...: No space left on device"),
		"x...: No space left on device");
}

static void
errno_chooses_the_code(void **state)
{
	static const struct {
		int errnum;
		enum upt_code code;
	} rows[] = {{ENOSPC, UPT_E_NO_SPACE}, {EDQUOT, UPT_E_NO_SPACE}, {EACCES, UPT_E_PERMISSION},
		{EROFS, UPT_E_PERMISSION}, {ENOENT, UPT_E_NOT_FOUND}, {ENOTDIR, UPT_E_NOT_FOUND},
		{ENOMEM, UPT_E_NO_MEMORY}, {EIO, UPT_E_IO}, {ELOOP, UPT_E_IO}};
	struct upt_err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(upt_fail_errno(&err, rows[i].errnum, "x"), rows[i].code);
}

static void
wrap_puts_context_in_front(void **state)
{
	struct upt_err err = {0};

	(void)state;
	upt_fail(&err, UPT_E_IO, "cause");
	assert_int_equal(upt_wrap(&err, UPT_E_DATABASE, "saving %s", "x"), UPT_E_DATABASE);
	assert_int_equal(err.code, UPT_E_DATABASE);
	assert_string_equal(err.message, "saving x: cause");
}

static void
arguments_may_lie_in_the_message(void **state)
{
	struct upt_err err = {0};

	(void)state;
	upt_fail(&err, UPT_E_IO, "cause");
	upt_fail(&err, UPT_E_SERVER, "server: %s, %s", err.message, err.message);
	assert_string_equal(err.message, "server: cause, cause");
	upt_wrap(&err, UPT_E_SERVER, "%s", err.message);
	assert_string_equal(err.message, "server: cause, cause: server: cause, cause");
}

static void
expect_clean(const char *hostile, const char *expected)
{
	char text[128];

	assert_true(strlen(hostile) < sizeof(text));
	memcpy(text, hostile, strlen(hostile) + 1);
	upt_sanitize(text);
	assert_string_equal(text, expected);
}

static void
hostile_characters_are_replaced(void **state)
{
	struct upt_err err = {0};

	(void)state;
	upt_fail(&err, UPT_E_SERVER, "%s", "a\nERROR forged\r\x1b[2J\x7f\tb");
	assert_string_equal(err.message, "a?ERROR forged??[2J??b");
	expect_clean("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x97",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x97");
	expect_clean("c1 \xc2\x9b[2J", "c1 ??[2J");
	expect_clean("no-break \xc2\xa0", "no-break \xc2\xa0"); /* the neighbour of C1 */
	expect_clean("\xe2\x80\xaegpj.exe", "???gpj.exe");
	expect_clean("\xe2\x81\xa6x\xe2\x81\xa9", "???x???");
	expect_clean("line\xe2\x80\xa8sep", "line???sep");
}

static void
what_is_no_utf8_is_replaced(void **state)
{
	(void)state;
	expect_clean("raw \x9b", "raw ?");
	expect_clean("cut \xe2\x82", "cut ??");
	expect_clean("cut \xf0\x9f\x9a", "cut ???");
	expect_clean("overlong \xc0\xaf", "overlong ??");
	expect_clean("overlong \xe0\x80\xaf", "overlong ???");
	expect_clean("surrogate \xed\xa0\x80", "surrogate ???");
	expect_clean("beyond \xf4\x90\x80\x80", "beyond ????");
	expect_clean("last \xf4\x8f\xbf\xbf", "last \xf4\x8f\xbf\xbf");
	expect_clean("ff \xff\xfe", "ff ??");
}

static void
every_code_has_its_row(void **state)
{
	(void)state;
	for (int i = 0; i < UPT_N_CODES; i++) {
		enum upt_code code = (enum upt_code)i;
		assert_non_null(upt_code_name(code));
		assert_int_equal(upt_code_from_name(upt_code_name(code)), code);
		assert_true(strlen(upt_code_text(code)) > 0);
		assert_int_equal(upt_code_exit(code) == 0, code == UPT_OK);
		/* An attack and an exit code of a refusal go together. */
		assert_int_equal(upt_code_attack(code) != UPT_ATTACK_NONE,
			upt_code_exit(code) >= 20 && upt_code_exit(code) <= 25);
	}
	assert_int_equal(upt_code_from_name("no-such-name"), UPT_N_CODES);
	assert_string_equal(upt_code_name(UPT_N_CODES), "unknown");
	assert_int_equal(upt_code_exit(UPT_N_CODES), 10);
	assert_string_equal(upt_attack_name(upt_code_attack(UPT_E_EXPIRED)), "freeze");
	assert_string_equal(upt_attack_name(UPT_ATTACK_NONE), "");
	assert_string_equal(upt_repo_name(UPT_REPO_IMAGE), "image");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_records_code_and_message),
		cmocka_unit_test(long_message_is_cut_and_says_so),
		cmocka_unit_test(reason_survives_a_long_name),
		cmocka_unit_test(errno_chooses_the_code),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(arguments_may_lie_in_the_message),
		cmocka_unit_test(hostile_characters_are_replaced),
		cmocka_unit_test(what_is_no_utf8_is_replaced),
		cmocka_unit_test(every_code_has_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
