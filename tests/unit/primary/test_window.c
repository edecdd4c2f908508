/* Maintenance windows: what is one, and when the wall clock is in it, also on the days on which
 * that clock is changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/span.h"
#include "primary/window.h"

static int64_t
at(const char *time)
{
	int64_t t;

	assert_true(upt_time_parse(upt_span_str(time), &t));
	return t;
}

static struct upt_window
window(const char *text)
{
	struct upt_window w;
	struct upt_err err = {0};

	if (upt_window_parse(text, &w, &err) != UPT_OK)
		fail_msg("%s", err.message);
	return w;
}

/* From now on it opens at opens. */
static void
assert_opens(const char *text, const char *now, const char *opens)
{
	struct upt_window w = window(text);
	char found[UPT_TIME_TEXT_SIZE];
	int64_t t;

	assert_true(upt_windows_next(&w, 1, at(now), &t));
	upt_time_format(t, found);
	assert_string_equal(found, opens);
}

static void
windows_are_read(void **state)
{
	static const struct {
		const char *text;
		unsigned days, from_min, to_min;
	} good[] = {
		{"02:00-05:00", 0x7f, 120, 300},
		{"00:00-24:00", 0x7f, 0, 1440},
		{"22:30-04:15", 0x7f, 1350, 255},
		{"23:50-00:00", 0x7f, 1430, 0},
		{"02:00-02:10", 0x7f, 120, 130},
		{"Mon 02:00-05:00", 0x02, 120, 300},
		{"Mon-Fri 02:00-05:00", 0x3e, 120, 300},
		{"Fri-Mon 02:00-05:00", 0x63, 120, 300},
		{"Sat,Sun 02:00-05:00", 0x41, 120, 300},
		{"Sun,Mon-Tue,Tue 02:00-05:00", 0x07, 120, 300},
		{"Sun-Sat 02:00-05:00", 0x7f, 120, 300},
		{"Wed-Wed 02:00-05:00", 0x08, 120, 300},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct upt_window w = window(good[i].text);

		assert_int_equal(w.days, good[i].days);
		assert_int_equal(w.from_min, good[i].from_min);
		assert_int_equal(w.to_min, good[i].to_min);
	}
}

static void
what_is_no_window_is_refused(void **state)
{
	static const char *const wrong[] = {"", " ", "Mon", "Mon ", " 02:00-05:00", "02:00-05:00 ",
		"02:00", "02:00-", "02:00 - 05:00", "2:00-5:00", "02:00-05:0", "02:00-05:000",
		"02.00-05.00", "02:60-05:00", "24:00-05:00", "02:00-24:01", "02:00-25:00",
		"-2:00-05:00", "02:00-05:00,06:00-07:00", "mon 02:00-05:00", "MON 02:00-05:00",
		"Monday 02:00-05:00", "Mon- 02:00-05:00", "Mon, 02:00-05:00", ",Mon 02:00-05:00",
		"Mon-Fri-Sun 02:00-05:00", "Mon  02:00-05:00", "Mon\t02:00-05:00",
		"Mon 02:00-05:00 UTC", "02:00-02:00", "00:00-00:00", "02:00-02:09", "23:55-00:00"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct upt_window w = {1, 1, 1};
		struct upt_err err = {0};

		if (upt_window_parse(wrong[i], &w, &err) != UPT_E_CONFIG)
			fail_msg("'%s' is no window", wrong[i]);
		assert_true(err.message[0] != '\0');
		assert_int_equal(w.days + w.from_min + w.to_min, 0);
	}
}

/* 2027-01-15 is a Friday. */
static void
a_window_is_open_from_its_first_minute_to_its_last(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	assert_opens("02:00-05:00", "2027-01-15T01:59:59Z", "2027-01-15T02:00:00Z");
	assert_opens("02:00-05:00", "2027-01-15T02:00:00Z", "2027-01-15T02:00:00Z");
	assert_opens("02:00-05:00", "2027-01-15T04:59:59Z", "2027-01-15T04:59:59Z");
	assert_opens("02:00-05:00", "2027-01-15T05:00:00Z", "2027-01-16T02:00:00Z");
	assert_opens("Mon-Thu 02:00-05:00", "2027-01-15T02:30:00Z", "2027-01-18T02:00:00Z");
	assert_opens("00:00-24:00", "2027-01-15T23:59:59Z", "2027-01-15T23:59:59Z");
	assert_opens("Fri 00:00-24:00", "2027-01-16T00:00:00Z", "2027-01-22T00:00:00Z");
}

/* The day is that on which it opens. */
static void
a_window_goes_on_over_midnight(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	assert_opens("Fri 22:00-04:00", "2027-01-15T03:00:00Z", "2027-01-15T22:00:00Z");
	assert_opens("Fri 22:00-04:00", "2027-01-15T23:59:59Z", "2027-01-15T23:59:59Z");
	assert_opens("Fri 22:00-04:00", "2027-01-16T03:59:59Z", "2027-01-16T03:59:59Z");
	assert_opens("Fri 22:00-04:00", "2027-01-16T04:00:00Z", "2027-01-22T22:00:00Z");
	assert_opens("Sat 23:50-00:00", "2027-01-16T23:55:00Z", "2027-01-16T23:55:00Z");
	assert_opens("Sat 23:50-00:00", "2027-01-17T00:00:00Z", "2027-01-23T23:50:00Z");
	/* from the last day of the week to the first */
	assert_opens("Sat 22:00-04:00", "2027-01-17T03:00:00Z", "2027-01-17T03:00:00Z");
}

static void
the_first_of_several_counts(void **state)
{
	struct upt_window windows[] = {window("Sun 02:00-05:00"), window("Fri 23:00-01:00")};
	int64_t opens;

	(void)state;
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	assert_true(upt_windows_next(windows, 2, at("2027-01-15T08:00:00Z"), &opens));
	assert_int_equal(opens, at("2027-01-15T23:00:00Z"));
	assert_true(upt_windows_next(windows, 2, at("2027-01-16T01:00:00Z"), &opens));
	assert_int_equal(opens, at("2027-01-17T02:00:00Z"));
	assert_false(upt_windows_next(windows, 0, at("2027-01-15T08:00:00Z"), &opens));
	assert_int_equal(opens, 0);
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void
a_window_is_in_local_time(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", BERLIN, 1), 0);
	assert_opens("02:00-05:00", "2027-01-15T00:30:00Z", "2027-01-15T01:00:00Z");
	assert_opens("02:00-05:00", "2027-07-15T00:30:00Z", "2027-07-15T00:30:00Z");
	/* Friday night there is Saturday here */
	assert_int_equal(setenv("TZ", "NPT-5:45", 1), 0);
	assert_opens("Sat 00:00-01:00", "2027-01-15T18:00:00Z", "2027-01-15T18:15:00Z");
}

/* On the 28th of March the wall clock goes from 02:00 to 03:00, which is 01:00 in UTC. */
static void
a_window_in_the_missing_hour_does_not_open(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", BERLIN, 1), 0);
	assert_opens("02:00-03:00", "2027-03-27T01:30:00Z", "2027-03-27T01:30:00Z");
	assert_opens("02:00-03:00", "2027-03-28T00:59:59Z", "2027-03-29T00:00:00Z");
	/* one a week: the next but one */
	assert_opens("Sun 02:00-03:00", "2027-03-21T03:00:00Z", "2027-04-04T00:00:00Z");
	/* what goes beyond it opens behind it */
	assert_opens("02:30-04:00", "2027-03-28T00:59:59Z", "2027-03-28T01:00:00Z");
}

/* On the 31st of October it shows 02:00 to 03:00 twice, from 00:00 to 02:00 in UTC. */
static void
a_window_in_the_doubled_hour_opens_twice(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", BERLIN, 1), 0);
	assert_opens("02:00-02:30", "2027-10-30T23:59:59Z", "2027-10-31T00:00:00Z");
	assert_opens("02:00-02:30", "2027-10-31T00:30:00Z", "2027-10-31T01:00:00Z");
	assert_opens("02:00-02:30", "2027-10-31T01:30:00Z", "2027-11-01T01:00:00Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_read),
		cmocka_unit_test(what_is_no_window_is_refused),
		cmocka_unit_test(a_window_is_open_from_its_first_minute_to_its_last),
		cmocka_unit_test(a_window_goes_on_over_midnight),
		cmocka_unit_test(the_first_of_several_counts),
		cmocka_unit_test(a_window_is_in_local_time),
		cmocka_unit_test(a_window_in_the_missing_hour_does_not_open),
		cmocka_unit_test(a_window_in_the_doubled_hour_opens_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
