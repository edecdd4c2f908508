/*
 * What stands before an update: a maintenance window ('w' in front) and what a gate says ('a'). A
 * window that is taken is spelt in one way but for its days, opens within a week, and at that very
 * moment the clock on the wall shows it. Words of a gate drive no terminal.
 */
#include <stdlib.h>
#include <time.h>

#include "fuzz.h"
#include "primary/internal.h"

#define WEEK_S (7 * 86400)

static bool
shows(const struct upt_window *w, int64_t t)
{
	time_t at = (time_t)t;
	unsigned minute, day;
	struct tm tm;

	FUZZ_ASSERT(gmtime_r(&at, &tm) != NULL);
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	day = (unsigned)tm.tm_wday;
	/* on the day before, and past midnight */
	if (w->to_min <= w->from_min && minute < w->to_min)
		return (w->days & 1u << (day + 6) % 7) != 0;
	return (w->days & 1u << day) != 0 && minute >= w->from_min &&
	       (w->to_min <= w->from_min || minute < w->to_min);
}

static void
fuzz_window(const char *text)
{
	const int64_t now = 1800000000 + (int64_t)strlen(text) * 7919;
	const char *space = strchr(text, ' ');
	struct upt_window w = {1, 1, 1};
	struct upt_err err = {0};
	int64_t opens;
	char times[32];

	if (upt_window_parse(text, &w, &err) != UPT_OK) {
		FUZZ_ASSERT(err.code == UPT_E_CONFIG && err.message[0] != '\0');
		FUZZ_ASSERT(w.days == 0 && w.from_min == 0 && w.to_min == 0);
		return;
	}
	FUZZ_ASSERT(w.days > 0 && w.days <= 0x7f);
	snprintf(times, sizeof(times), "%02u:%02u-%02u:%02u", w.from_min / 60, w.from_min % 60,
		w.to_min / 60, w.to_min % 60);
	FUZZ_ASSERT(strcmp(times, space != NULL ? space + 1 : text) == 0);
	FUZZ_ASSERT(space != NULL || w.days == 0x7f);
	FUZZ_ASSERT(upt_windows_next(&w, 1, now, &opens));
	FUZZ_ASSERT(opens >= now && opens < now + WEEK_S);
	FUZZ_ASSERT(shows(&w, opens));
	/* and not a minute before, unless that is now */
	FUZZ_ASSERT(opens == now || !shows(&w, opens - 1));
}

static void
fuzz_answer(struct upt_span said)
{
	char words[UPT_REASON_SIZE], again[UPT_REASON_SIZE];
	uint64_t retry_s;

	upt_gate_read_answer(said, &retry_s, words);
	FUZZ_ASSERT(retry_s <= UPT_GATE_RETRY_MAX_S);
	FUZZ_ASSERT(strlen(words) < sizeof(words));
	memcpy(again, words, sizeof(again));
	upt_sanitize(again);
	FUZZ_ASSERT(strcmp(again, words) == 0);
	if (retry_s > 0)
		FUZZ_ASSERT(memmem(said.data, said.len, "retry-after ", 12) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0 || size > 4096)
		return 0;
	if (data[0] == 'a')
		fuzz_answer(upt_span(data + 1, size - 1));
	if (data[0] != 'w')
		return 0;
	FUZZ_ASSERT(setenv("TZ", "UTC0", 1) == 0);
	text = fuzz_string(upt_span(data + 1, size - 1));
	fuzz_window(text);
	free(text);
	return 0;
}
