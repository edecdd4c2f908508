#include "base/log.h"

#include <stdarg.h>

#define LINE_MAX_BYTES 1536

static void
write_line(const struct upt_log *log, enum upt_log_level level, char *line)
{
	static const char *const prefix[] = {"<3>", "<4>", "<6>", "<7>"};
	static const char *const label[] = {"error: ", "warning: ", "", "debug: "};

	upt_sanitize(line);
	fprintf(log->stream, "%s%s: %s%s\n", log->journal ? prefix[level] : "", log->name,
		label[level], line);
	fflush(log->stream);
}

static bool
wanted(const struct upt_log *log, enum upt_log_level level)
{
	return log != NULL && log->stream != NULL && level <= log->level;
}

void
upt_log(const struct upt_log *log, enum upt_log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;

	if (!wanted(log, level))
		return;
	va_start(ap, fmt);
	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		line[0] = '\0';
	va_end(ap);
	write_line(log, level, line);
}

void
upt_log_err(const struct upt_log *log, enum upt_log_level level, const struct upt_err *err,
	const char *fmt, ...)
{
	const char *attack = upt_attack_name(upt_code_attack(err->code));
	char what[LINE_MAX_BYTES / 2];
	char line[LINE_MAX_BYTES];
	va_list ap;

	if (!wanted(log, level))
		return;
	va_start(ap, fmt);
	if (vsnprintf(what, sizeof(what), fmt, ap) < 0)
		what[0] = '\0';
	va_end(ap);
	snprintf(line, sizeof(line), "%s: %s [%s%s%s]", what, err->message,
		upt_code_name(err->code), attack[0] != '\0' ? ", attack: " : "", attack);
	write_line(log, level, line);
}
