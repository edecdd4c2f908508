#include "primary/window.h"

#include <string.h>
#include <time.h>

#define DAY_MINUTES 1440u
#define ALL_DAYS 0x7fu
/* Two weeks and a day: a weekly window of which daylight saving time swallows one. */
#define MAX_MINUTES (15 * DAY_MINUTES)

/* ---- reading ---- */

/* Each reads at *at and goes on behind it. */
static bool
read_day(const char **at, unsigned *day)
{
	static const char names[] = "SunMonTueWedThuFriSat";

	for (*day = 0; *day < 7; ++*day) {
		if (strncmp(*at, names + 3 * (size_t)*day, 3) == 0) {
			*at += 3;
			return true;
		}
	}
	return false;
}

static bool
read_days(const char **at, unsigned *days)
{
	unsigned day, last;

	for (*days = 0;; ++*at) {
		if (!read_day(at, &day))
			return false;
		last = day;
		if (**at == '-') {
			++*at;
			if (!read_day(at, &last))
				return false;
		}
		for (; day != last; day = (day + 1) % 7)
			*days |= 1u << day;
		*days |= 1u << last;
		if (**at != ',')
			return true;
	}
}

static bool
read_two_digits(const char **at, unsigned *value)
{
	const char *p = *at;

	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*value = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	*at += 2;
	return true;
}

static bool
read_time(const char **at, unsigned *minutes)
{
	unsigned hour, minute;

	if (!read_two_digits(at, &hour) || *(*at)++ != ':' || !read_two_digits(at, &minute))
		return false;
	*minutes = hour * 60 + minute;
	return minute < 60 && *minutes <= DAY_MINUTES;
}

static bool
read_times(const char **at, unsigned *from_min, unsigned *to_min)
{
	return read_time(at, from_min) && *(*at)++ == '-' && read_time(at, to_min) &&
	       **at == '\0' && *from_min < DAY_MINUTES;
}

enum upt_code
upt_window_parse(const char *text, struct upt_window *out, struct upt_err *err)
{
	struct upt_window w = {.days = ALL_DAYS};
	const char *at = text;
	unsigned minutes;

	*out = (struct upt_window){0};
	if (strchr(text, ' ') != NULL && (!read_days(&at, &w.days) || *at++ != ' '))
		return upt_fail(err, UPT_E_CONFIG,
			"'%.60s' has no days like Mon-Fri or Sat,Sun in front", text);
	if (!read_times(&at, &w.from_min, &w.to_min))
		return upt_fail(err, UPT_E_CONFIG, "'%.60s' has no times like 02:00-05:00", text);
	minutes = (w.to_min + DAY_MINUTES - w.from_min) % DAY_MINUTES;
	/* 00:00-24:00 is a whole day, any other two like times are nobody's wish. */
	if (w.to_min - w.from_min == DAY_MINUTES)
		minutes = DAY_MINUTES;
	if (minutes < UPT_WINDOW_MIN_MINUTES)
		return upt_fail(err, UPT_E_CONFIG,
			"'%.60s' is open for %u minutes, at least %u are needed", text, minutes,
			UPT_WINDOW_MIN_MINUTES);
	*out = w;
	return UPT_OK;
}

/* ---- looking at the clock ---- */

static bool
is_open(const struct upt_window *w, unsigned day, unsigned minute)
{
	bool today = (w->days >> day & 1) != 0, yesterday = (w->days >> ((day + 6) % 7) & 1) != 0;

	if (w->from_min < w->to_min)
		return today && minute >= w->from_min && minute < w->to_min;
	return (today && minute >= w->from_min) || (yesterday && minute < w->to_min);
}

static bool
is_any_open(const struct upt_window *windows, size_t n_windows, const struct tm *local)
{
	for (size_t i = 0; i < n_windows; i++) {
		if (is_open(&windows[i], (unsigned)local->tm_wday,
			    (unsigned)(local->tm_hour * 60 + local->tm_min)))
			return true;
	}
	return false;
}

/* A look at each minute: no arithmetic with zones that could be wrong twice a year. */
bool
upt_windows_next(const struct upt_window *windows, size_t n_windows, int64_t now, int64_t *opens)
{
	struct tm local;
	time_t at = (time_t)now;

	*opens = 0;
	tzset(); /* the zone may be another one by now */
	for (unsigned i = 0; i < MAX_MINUTES; i++) {
		if (localtime_r(&at, &local) == NULL)
			return false;
		if (is_any_open(windows, n_windows, &local)) {
			*opens = (int64_t)at;
			return true;
		}
		at += local.tm_sec < 60 ? 60 - local.tm_sec : 1;
	}
	return false;
}
