#include "base/clock.h"

static bool
digits(const uint8_t *p, size_t n, int *out)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (p[i] - '0');
	}
	*out = v;
	return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (March-based years, 400-year eras). */
static int64_t
days_from_civil(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

static int
days_in_month(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m == 2 && leap ? 29 : days[m - 1];
}

bool
upt_time_parse(struct upt_span text, int64_t *out)
{
	const uint8_t *p = text.data;
	int y, mo, d, h, mi, s;

	*out = 0;
	if (text.len != 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
		p[16] != ':' || p[19] != 'Z')
		return false;
	if (!digits(p, 4, &y) || !digits(p + 5, 2, &mo) || !digits(p + 8, 2, &d) ||
		!digits(p + 11, 2, &h) || !digits(p + 14, 2, &mi) || !digits(p + 17, 2, &s))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > days_in_month(y, mo) || h > 23 || mi > 59 || s > 59)
		return false;
	*out = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
	return true;
}

/* The inverse of days_from_civil. */
static void
civil_from_days(int64_t days, int *y, int *m, int *d)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2 ? 1 : 0));
}

static void
put_digits(char *p, size_t n, int value)
{
	for (; n > 0; n--, value /= 10)
		p[n - 1] = (char)('0' + value % 10);
}

/* Not gmtime and strftime: time_t may have 32 bits, and %Y pads nothing below the year 1000. */
void
upt_time_format(int64_t t, char out[static UPT_TIME_TEXT_SIZE])
{
	const int64_t min = -62167219200, max = 253402300799;
	int64_t days, rest;
	int y, mo, d;

	t = t < min ? min : t > max ? max : t;
	days = (t >= 0 ? t : t - 86399) / 86400;
	rest = t - days * 86400;
	civil_from_days(days, &y, &mo, &d);
	memcpy(out, "0000-00-00T00:00:00Z", UPT_TIME_TEXT_SIZE);
	put_digits(out, 4, y);
	put_digits(out + 5, 2, mo);
	put_digits(out + 8, 2, d);
	put_digits(out + 11, 2, (int)(rest / 3600));
	put_digits(out + 14, 2, (int)(rest / 60 % 60));
	put_digits(out + 17, 2, (int)(rest % 60));
}
