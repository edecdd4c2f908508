/*
 * A folder of programs that the device's owner puts there to be asked: health checks, gates.
 * Whoever can write such a program, or the folder, can run programs as root: what others may write
 * is not run, and never counts as an answer. Thread-safety: reentrant.
 */
#ifndef UPT_INSTALLER_PROGRAMS_H
#define UPT_INSTALLER_PROGRAMS_H

#include "base/log.h"
#include "base/span.h"

#define UPT_PROGRAMS_MAX 64
#define UPT_PROGRAM_OUTPUT_MAX_BYTES 2048

struct upt_programs {
	const char *dir;
	const char *noun; /* what they are, for messages: "checks" */
	const struct upt_log *log; /* for executables whose name does not count; NULL: silently */
	/* Each; another code than UPT_OK ends the round. path and name are of this call. */
	enum upt_code (*each)(void *ctx, const char *path, const char *name, struct upt_err *err);
	void *ctx;
};

/*
 * One round, in the order of the names; those of letters, digits, - and _ count, so that an
 * editor's backup and a package manager's leftovers do not. UPT_OK also without the folder.
 * UPT_E_INSTALL for a file or folder that is neither root's nor ours, that others may write, or
 * that is a link, and for more than UPT_PROGRAMS_MAX; each()'s code; others by errno.
 */
UPT_NODISCARD enum upt_code
upt_programs_ask(const struct upt_programs *programs, struct upt_err *err);

/* What a program said, a line at a time, behind "WHAT NAME: "; said is cut up by it. */
void upt_program_log_output(const struct upt_log *log, enum upt_log_level level, const char *what,
	const char *name, struct upt_buf *said);

#endif
