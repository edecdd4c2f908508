/*
 * A time's text against glibc: what is accepted is a date that timegm(3) knows, is spelt as it is
 * written again, and nothing else is accepted. Eight bytes behind a '#' are a time to be written.
 */
#include <time.h>

#include "base/clock.h"
#include "fuzz.h"

/* By glibc: a real date and time in exactly this spelling. */
static bool
is_time(struct upt_span text, int64_t *out)
{
	char again[64], copy[32] = "";
	struct tm tm = {0};
	const char *end;
	time_t t;

	if (text.len != 20 || memchr(text.data, 0, text.len) != NULL)
		return false;
	memcpy(copy, text.data, text.len);
	end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (end == NULL || *end != '\0' || tm.tm_sec > 59)
		return false;
	t = timegm(&tm);
	/* timegm() takes the 31st of June for the 1st of July; strptime() takes "+1" for a year. */
	if (gmtime_r(&t, &tm) == NULL)
		return false;
	snprintf(again, sizeof(again), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	*out = (int64_t)t;
	return strcmp(again, copy) == 0;
}

static void
check_text(struct upt_span text)
{
	char again[UPT_TIME_TEXT_SIZE];
	int64_t ours = 1, theirs = 0;
	bool ok = upt_time_parse(text, &ours);

	FUZZ_ASSERT(ok == is_time(text, &theirs));
	if (!ok) {
		FUZZ_ASSERT(ours == 0);
		return;
	}
	FUZZ_ASSERT(ours == theirs);
	upt_time_format(ours, again);
	FUZZ_ASSERT(upt_span_equal(upt_span_str(again), text));
}

static void
check_number(const uint8_t *bytes)
{
	char text[UPT_TIME_TEXT_SIZE], again[UPT_TIME_TEXT_SIZE];
	int64_t t, back;

	memcpy(&t, bytes, sizeof(t));
	upt_time_format(t, text);
	FUZZ_ASSERT(strlen(text) == UPT_TIME_TEXT_SIZE - 1);
	FUZZ_ASSERT(upt_time_parse(upt_span_str(text), &back));
	FUZZ_ASSERT(back == t || t < INT64_C(-62167219200) || t > INT64_C(253402300799));
	upt_time_format(back, again);
	FUZZ_ASSERT(strcmp(text, again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 9 && data[0] == '#')
		check_number(data + 1);
	check_text(upt_span(data, size));
	return 0;
}
