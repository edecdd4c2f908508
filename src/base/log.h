/*
 * Log lines for people and journals: "<level> text" on one stream. State travels in struct upt_log;
 * nothing global. Lines are sanitized as upt_fail does.
 */
#ifndef UPT_BASE_LOG_H
#define UPT_BASE_LOG_H

#include <stdio.h>
#include "base/err.h"

enum upt_log_level {
	UPT_LOG_ERROR = 0,
	UPT_LOG_WARNING,
	UPT_LOG_INFO,
	UPT_LOG_DEBUG,
};

struct upt_log {
	FILE *stream;            /* borrowed; NULL drops everything */
	const char *name;        /* program name in front of each line, borrowed */
	enum upt_log_level level; /* most verbose level that is written */
	bool journal;            /* sd-daemon(3) priority prefixes "<3>" for systemd */
};

/* log may be NULL. */
void upt_log(const struct upt_log *log, enum upt_log_level level, const char *fmt, ...)
	UPT_PRINTF(3, 4);
/* One line for a failure: what was tried, the code's name, its attack if any, and the message. */
void upt_log_err(const struct upt_log *log, enum upt_log_level level, const struct upt_err *err,
	const char *fmt, ...) UPT_PRINTF(4, 5);

#endif
