#include "daemon/console.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
upt_console_init(struct upt_console *console, const char *name, enum upt_log_level level)
{
	*console = (struct upt_console){
		.log = {.stream = stderr,
			.name = name,
			.level = level,
			.journal = getenv("JOURNAL_STREAM") != NULL},
		.terminal = isatty(STDERR_FILENO) == 1,
	};
}

void
upt_console_end_line(struct upt_console *console)
{
	if (console->line_open)
		fputc('\n', stderr);
	console->line_open = false;
}

static void
format_amount(uint64_t done, uint64_t total, const char *unit, char *out, size_t size)
{
	bool bytes = strcmp(unit, "bytes") == 0;
	double scale = bytes ? 1024.0 * 1024.0 : 1.0;
	const char *name = bytes ? "MiB" : unit;
	int digits = bytes ? 1 : 0;

	if (total == 0)
		snprintf(out, size, "%.*f %s", digits, (double)done / scale, name);
	else
		snprintf(out, size, "%3u %%  %.*f of %.*f %s", (unsigned)(done * 100 / total), digits,
			(double)done / scale, digits, (double)total / scale, name);
}

void
upt_console_progress(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct upt_console *console = ctx;
	unsigned quarter = total > 0 ? (unsigned)(done * 4 / total) : 0;
	char amount[96];

	if (console->log.level < UPT_LOG_INFO)
		return;
	if (strncmp(console->what, what, sizeof(console->what) - 1) != 0) {
		upt_console_end_line(console);
		snprintf(console->what, sizeof(console->what), "%s", what);
		console->last_quarter = 0;
	}
	format_amount(done, total, unit, amount, sizeof(amount));
	if (console->terminal) {
		fprintf(stderr, "\r\033[K  %s  %s", console->what, amount);
		fflush(stderr);
		console->line_open = true;
		if (total > 0 && done >= total)
			upt_console_end_line(console);
	} else if (quarter > console->last_quarter) {
		console->last_quarter = quarter;
		upt_log(&console->log, UPT_LOG_INFO, "%s  %s", console->what, amount);
	}
}
