/*
 * Running a program of this machine: an argument vector and never a shell, a clean environment, a
 * process group of its own that dies with it, an end to its time, and a bound on what it says.
 * Thread-safety: reentrant.
 */
#ifndef UPT_INSTALLER_RUN_H
#define UPT_INSTALLER_RUN_H

#include <sys/types.h>
#include "base/span.h"

/*
 * Starts argv[0], a path, in a process group of its own, with nothing of our environment and no
 * file of ours but out_fd, which becomes its standard output, and with both its standard error,
 * too. *pid is to be waited for. Errors by errno.
 */
UPT_NODISCARD enum upt_code
upt_run_spawn(const char *const *argv, int out_fd, bool both, pid_t *pid, struct upt_err *err);

#define UPT_RUN_LINE_MAX 511
#define UPT_RUN_MAX_ENV 8

struct upt_run {
	const char *const *argv; /* NULL at the end; borrowed */
	unsigned timeout_ms; /* then it is killed with all that it started */
	size_t max_bytes; /* of its output that are kept; the rest is read and dropped */
	const volatile bool *cancel; /* becomes true: killed, too; may be NULL */
	/* "NAME=VALUE" beside what every program gets, UPT_RUN_MAX_ENV at most; NULL: nothing */
	const char *const *env;
	const char *dir; /* that it works in; NULL: ours */
	/* Gets what it says while it runs, a line at a time, fit for a log; may be NULL. Empty
	 * lines are left out and long ones cut at UPT_RUN_LINE_MAX. */
	void (*line)(void *ctx, const char *line);
	void *ctx;
};

/*
 * Runs it to its end. out (replaced, also on failure): what it said, on both its outputs. UPT_OK
 * when it exits with 0; UPT_E_INSTALL when it exits with another status, dies or takes too long,
 * each in words; UPT_E_CANCELLED; UPT_E_NOT_FOUND and others by errno when it cannot be started.
 */
UPT_NODISCARD enum upt_code
upt_run(const struct upt_run *run, struct upt_buf *out, struct upt_err *err);

/* The same for one whose status is its answer: UPT_OK with *status (-1 otherwise) whatever it exits
 * with. */
UPT_NODISCARD enum upt_code
upt_run_status(const struct upt_run *run, struct upt_buf *out, int *status, struct upt_err *err);

#endif
