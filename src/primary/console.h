/*
 * What a person sees of a running Primary: log lines on stderr, and the progress of what takes
 * long. On a terminal progress rewrites one line, which ends before anything else is written;
 * elsewhere it is one line a quarter. Thread-safety: one thread.
 */
#ifndef UPT_PRIMARY_CONSOLE_H
#define UPT_PRIMARY_CONSOLE_H

#include "base/log.h"

struct upt_console {
	struct upt_log log;
	FILE *lines; /* behind log: ends an open progress line first */
	bool terminal;
	char what[128]; /* what the current progress line is about */
	unsigned last_quarter;
	bool line_open; /* a terminal line without its newline */
};

/* name: the program's, for log lines. The console stays where it is until upt_console_clear(). */
void upt_console_init(struct upt_console *console, const char *name, enum upt_log_level level);
void upt_console_clear(struct upt_console *console);
/* Fits struct upt_primary_options.progress with the console as ctx. */
void upt_console_progress(
	void *console, const char *what, uint64_t done, uint64_t total, const char *unit);
/* Ends an open progress line; call before anything is written past the log. */
void upt_console_end_line(struct upt_console *console);

#endif
