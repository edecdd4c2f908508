/*
 * Whether a system that was just booted is well: the service manager has reached its target, and
 * every check that the device's owner has put into a folder passes. Thread-safety: reentrant.
 */
#ifndef UPT_INSTALLER_HEALTH_H
#define UPT_INSTALLER_HEALTH_H

#include "base/log.h"

/* How well systemd must say the system is. */
enum upt_health_system {
	UPT_HEALTH_TARGET = 0, /* it has started, though units may have failed: "degraded" */
	UPT_HEALTH_RUNNING, /* and no unit has failed */
	UPT_HEALTH_OFF, /* it is not asked */
};

struct upt_health {
	enum upt_health_system system;
	const char
		*systemd_dir; /* [/run/systemd/system]: there when systemd has booted the system */
	const char *systemctl; /* [/usr/bin/systemctl] */
	/*
	 * Executables, run as installer/programs.h says, without arguments. Not there: no checks.
	 * One that is not run because others may write it counts as failed.
	 */
	const char *dir;
	unsigned check_timeout_ms; /* of one check; then it is killed with all it started */
	unsigned timeout_ms; /* all must have passed, in one round, within so long */
	unsigned pause_ms; /* between two rounds */
	/* One more, of the caller's; NULL: none. May be asked many times. */
	enum upt_code (*also)(void *ctx, struct upt_err *err);
	void *ctx;
	const volatile bool *cancel; /* may be NULL */
};

/*
 * Waits until all is well. UPT_E_INSTALL with the last reason when time is up; UPT_E_CANCELLED;
 * UPT_E_NO_MEMORY.
 */
UPT_NODISCARD enum upt_code
upt_health_wait(const struct upt_health *health, const struct upt_log *log, struct upt_err *err);

#endif
