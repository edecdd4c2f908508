#include "scratch.h"

#include <time.h>
#include "base/clock.h"

static void
expect_time(const char *text, int64_t want)
{
	char back[UPT_TIME_TEXT_SIZE];
	int64_t t = -1;

	assert_true(upt_time_parse(upt_span_str(text), &t));
	assert_int_equal(t, want);
	upt_time_format(t, back);
	assert_string_equal(back, text);
}

static void
known_times_are_read_and_written(void **state)
{
	(void)state;
	expect_time("1970-01-01T00:00:00Z", 0);
	expect_time("1969-12-31T23:59:59Z", -1);
	expect_time("2000-02-29T12:34:56Z", 951827696);
	expect_time("2004-02-29T00:00:00Z", 1078012800);
	expect_time("2038-01-19T03:14:07Z", INT32_MAX);
	expect_time("2038-01-19T03:14:08Z", (int64_t)INT32_MAX + 1);
	expect_time("2100-03-01T00:00:00Z", 4107542400);
	expect_time("9999-12-31T23:59:59Z", 253402300799);
	expect_time("0000-01-01T00:00:00Z", -62167219200);
	expect_time("0500-06-15T01:02:03Z", -46374418677);
	expect_time("0999-12-31T23:59:59Z", -30610224001);
}

static void
every_day_agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t t = -62135596800 + 86399; t < 253402300799; t += 86400 * 13 + 3607) {
		time_t tt = (time_t)t;
		char text[UPT_TIME_TEXT_SIZE];
		int64_t back = 0;
		struct tm tm;

		upt_time_format(t, text);
		assert_true(upt_time_parse(upt_span_str(text), &back));
		assert_int_equal(back, t);
		assert_non_null(gmtime_r(&tt, &tm));
		assert_int_equal(strtol(text, NULL, 10), tm.tm_year + 1900);
		assert_int_equal(strtol(text + 5, NULL, 10), tm.tm_mon + 1);
		assert_int_equal(strtol(text + 8, NULL, 10), tm.tm_mday);
		assert_int_equal(strtol(text + 11, NULL, 10), tm.tm_hour);
	}
}

static void
other_spellings_are_refused(void **state)
{
	static const char *const bad[] = {"", "2024", "2024-01-01", "2024-01-01T00:00:00",
		"2024-01-01T00:00:00z", "2024-01-01t00:00:00Z", "2024-01-01 00:00:00Z",
		"2024-01-01T00:00:00ZZ", "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.0Z",
		"2024-1-01T00:00:00ZZ", "2024-01-01T0:00:00ZZ", " 024-01-01T00:00:00Z",
		"+024-01-01T00:00:00Z", "-024-01-01T00:00:00Z", "2024/01/01T00:00:00Z",
		"2024-01-01T00-00-00Z", "20240101T000000Z", "2024-01-0xT00:00:00Z",
		"\t024-01-01T00:00:00Z"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t t = 99;
		assert_false(upt_time_parse(upt_span_str(bad[i]), &t));
		assert_int_equal(t, 0);
	}
	for (size_t at = 0; at < 20; at++) { /* a NUL or an 8-bit byte anywhere */
		char text[] = "2024-01-01T00:00:00Z";
		int64_t t = 99;
		assert_true(upt_time_parse(upt_span(text, 20), &t));
		text[at] = '\0';
		assert_false(upt_time_parse(upt_span(text, 20), &t));
		text[at] = (char)0xb2;
		assert_false(upt_time_parse(upt_span(text, 20), &t));
	}
}

static void
dates_that_do_not_exist_are_refused(void **state)
{
	static const char *const bad[] = {"2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z", "2024-02-30T00:00:00Z", "2024-00-01T00:00:00Z",
		"2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-32T00:00:00Z",
		"2024-04-31T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
		"2016-12-31T23:59:60Z"};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = 99;
		assert_false(upt_time_parse(upt_span_str(bad[i]), &t));
		assert_int_equal(t, 0);
	}
	assert_true(upt_time_parse(upt_span_str("2024-02-29T00:00:00Z"), &t));
	assert_true(upt_time_parse(upt_span_str("2024-04-30T23:59:59Z"), &t));
}

static void
times_beyond_four_digit_years_are_clamped(void **state)
{
	char text[UPT_TIME_TEXT_SIZE];

	(void)state;
	upt_time_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	upt_time_format(253402300800, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	upt_time_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_times_are_read_and_written),
		cmocka_unit_test(every_day_agrees_with_the_c_library),
		cmocka_unit_test(other_spellings_are_refused),
		cmocka_unit_test(dates_that_do_not_exist_are_refused),
		cmocka_unit_test(times_beyond_four_digit_years_are_clamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
