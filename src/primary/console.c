#include "primary/console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 80

/* JOURNAL_STREAM is inherited: stderr may be another file by now, where "<3>" would be noise
 * (sd-daemon(3)). */
static bool
is_journal(void)
{
	const char *value = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return value != NULL && sscanf(value, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* A whole log line at a time. */
static ssize_t
write_lines(void *ctx, const char *bytes, size_t len)
{
	upt_console_end_line(ctx);
	return fwrite(bytes, 1, len, stderr) == len ? (ssize_t)len : 0;
}

void
upt_console_init(struct upt_console *console, const char *name, enum upt_log_level level)
{
	static const cookie_io_functions_t functions = {.write = write_lines};

	*console = (struct upt_console){
		.log = {.stream = stderr, .name = name, .level = level, .journal = is_journal()},
		.terminal = isatty(STDERR_FILENO) == 1,
	};
	console->lines = fopencookie(console, "w", functions);
	if (console->lines != NULL)
		console->log.stream = console->lines;
}

void
upt_console_clear(struct upt_console *console)
{
	upt_console_end_line(console);
	if (console->lines != NULL)
		fclose(console->lines);
	console->lines = NULL;
	console->log.stream = NULL;
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
		snprintf(out, size, "%3u %%  %.*f of %.*f %s", (unsigned)(done * 100 / total),
			digits, (double)done / scale, digits, (double)total / scale, name);
}

/* A line that the terminal breaks in two cannot be rewritten. */
static int
room_for_what(size_t amount_len)
{
	struct winsize size;
	size_t columns = DEFAULT_COLUMNS;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	return columns > amount_len + 6 ? (int)(columns - amount_len - 6) : 0;
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
		upt_sanitize(console->what);
		console->last_quarter = 0;
	}
	format_amount(done, total, unit, amount, sizeof(amount));
	if (console->terminal) {
		fprintf(stderr, "\r\033[K  %.*s  %s", room_for_what(strlen(amount)), console->what,
			amount);
		fflush(stderr);
		console->line_open = true;
	} else if (quarter > console->last_quarter) {
		console->last_quarter = quarter;
		upt_log(&console->log, UPT_LOG_INFO, "%s  %s", console->what, amount);
	}
	if (total > 0 && done >= total) {
		upt_console_end_line(console);
		console->what[0] = '\0'; /* the same again is another one */
	}
}
