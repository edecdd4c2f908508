/*
 * Maintenance windows: times of the week, by the clock on the wall of where the device is, in which
 * something may be done. The zone is the process's (TZ, /etc/localtime); the time travels as an
 * argument. Thread-safety: reentrant, as far as nothing changes TZ meanwhile.
 */
#ifndef UPT_PRIMARY_WINDOW_H
#define UPT_PRIMARY_WINDOW_H

#include "base/err.h"

/* A poll comes up to two minutes late: what is shorter than this it might miss for ever. */
#define UPT_WINDOW_MIN_MINUTES 10u

struct upt_window {
	unsigned days; /* on which it opens; bit 0: Sunday */
	unsigned from_min, to_min; /* of the day; to_min below from_min: of the next day */
};

/*
 * "[DAYS ]HH:MM-HH:MM": DAYS are Sun Mon Tue Wed Thu Fri Sat, or ranges of them as Fri-Mon, with
 * commas between; without them every day. 24:00 is an end. UPT_E_CONFIG with what is wrong; *out is
 * {0} then.
 */
UPT_NODISCARD enum upt_code
upt_window_parse(const char *text, struct upt_window *out, struct upt_err *err);

/*
 * The first moment from now on at which one of them is open, to the minute: now itself when it is.
 * False when there is none within 15 days, or the time is none. A window is what the wall clock
 * shows: when that skips an hour, a window within it does not open on that day; when it repeats
 * one, a window within it opens twice.
 */
bool
upt_windows_next(const struct upt_window *windows, size_t n_windows, int64_t now, int64_t *opens);

#endif
