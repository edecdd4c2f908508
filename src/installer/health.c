#include "installer/health.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "installer/programs.h"
#include "installer/run.h"

#define SYSTEMCTL_TIMEOUT_MS 10000

static bool
is_cancelled(const struct upt_health *health)
{
	return health->cancel != NULL && *health->cancel;
}

/* ---- systemd ---- */

static bool
is_well(enum upt_health_system wanted, const char *word)
{
	return strcmp(word, "running") == 0 ||
	       (wanted == UPT_HEALTH_TARGET && strcmp(word, "degraded") == 0);
}

static const char *
or_default(const char *path, const char *fallback)
{
	return path != NULL ? path : fallback;
}

static bool
asks_systemd(const struct upt_health *health)
{
	return health->system != UPT_HEALTH_OFF &&
	       access(or_default(health->systemd_dir, "/run/systemd/system"), F_OK) == 0;
}

/* Its word is taken from what it says: it exits with 1 for all but "running". */
static enum upt_code
check_system(const struct upt_health *health, struct upt_err *err)
{
	const char *const argv[] = {
		or_default(health->systemctl, "/usr/bin/systemctl"), "is-system-running", NULL};
	const struct upt_run run = {.argv = argv,
		.timeout_ms = SYSTEMCTL_TIMEOUT_MS,
		.max_bytes = UPT_PROGRAM_OUTPUT_MAX_BYTES,
		.cancel = health->cancel};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	enum upt_code code;
	char *word;

	if (!asks_systemd(health))
		return UPT_OK;
	code = upt_run(&run, &said, err);
	if (said.len == 0)
		return code != UPT_OK ? code
				      : upt_fail(err, UPT_E_INSTALL, "%s says nothing", argv[0]);
	word = (char *)said.data;
	word[strcspn(word, "\n")] = '\0';
	return is_well(health->system, word)
		       ? UPT_OK
		       : upt_fail(
				 err, UPT_E_INSTALL, "systemd says that the system is %.32s", word);
}

/* ---- the folder of checks ---- */

/* Of a round. */
struct checks {
	const struct upt_health *health;
	const struct upt_log *log;
};

static enum upt_code
run_check(void *ctx, const char *path, const char *name, struct upt_err *err)
{
	const struct checks *checks = ctx;
	const char *const argv[] = {path, NULL};
	const struct upt_run run = {.argv = argv,
		.timeout_ms = checks->health->check_timeout_ms,
		.max_bytes = UPT_PROGRAM_OUTPUT_MAX_BYTES,
		.cancel = checks->health->cancel};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	enum upt_code code = upt_run(&run, &said, err);

	upt_program_log_output(checks->log, code == UPT_OK ? UPT_LOG_DEBUG : UPT_LOG_WARNING,
		"health check", name, &said);
	return code;
}

static enum upt_code
check_dir(const struct upt_health *health, const struct upt_log *log, struct upt_err *err)
{
	struct checks checks = {.health = health, .log = log};
	/* A round may come every second: nothing is said of names that do not count. */
	const struct upt_programs programs = {
		.dir = health->dir, .noun = "checks", .each = run_check, .ctx = &checks};

	return upt_programs_ask(&programs, err);
}

/* ---- all of it ---- */

static enum upt_code
look(const struct upt_health *health, const struct upt_log *log, struct upt_err *err)
{
	UPT_TRY(check_system(health, err));
	if (health->dir != NULL)
		UPT_TRY(check_dir(health, log, err));
	return health->also != NULL ? health->also(health->ctx, err) : UPT_OK;
}

enum upt_code
upt_health_wait(const struct upt_health *health, const struct upt_log *log, struct upt_err *err)
{
	int64_t end = upt_monotonic_ms() + health->timeout_ms;
	char reason[UPT_ERR_MESSAGE_MAX] = "";
	enum upt_code code;

	if (health->system != UPT_HEALTH_OFF && !asks_systemd(health))
		upt_log(log, UPT_LOG_INFO,
			"systemd has not booted this system: its state is not asked for");
	for (;;) {
		struct upt_err why = {0};

		if (is_cancelled(health))
			return upt_fail(err, UPT_E_CANCELLED, "the health check was interrupted");
		code = look(health, log, &why);
		if (code == UPT_OK)
			return UPT_OK;
		if (code == UPT_E_CANCELLED || code == UPT_E_NO_MEMORY)
			return upt_fail(err, code, "%s", why.message);
		/* Said once, however often it is asked. */
		if (strcmp(reason, why.message) != 0)
			upt_log(log, UPT_LOG_INFO, "not well yet: %s", why.message);
		memcpy(reason, why.message, sizeof(reason));
		if (upt_monotonic_ms() >= end)
			return upt_fail(err, UPT_E_INSTALL, "not well after %u s: %s",
				health->timeout_ms / 1000, reason);
		(void)poll(NULL, 0, (int)health->pause_ms);
	}
}
