#include "installer/health.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "installer/run.h"

#define OUTPUT_MAX_BYTES 2048
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
		.max_bytes = OUTPUT_MAX_BYTES,
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

static bool
is_safe(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* An editor's backup and a package manager's leftovers are no checks. */
static int
is_check(const struct dirent *entry)
{
	size_t len = strspn(entry->d_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					   "0123456789_-");

	return len > 0 && entry->d_name[len] == '\0';
}

/* What a check said, a line at a time, for whoever reads the log. */
static void
log_output(
	const struct upt_log *log, enum upt_log_level level, const char *name, struct upt_buf *said)
{
	char *line = said->len > 0 ? (char *)said->data : NULL;

	for (char *next; line != NULL && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\n')
			*next++ = '\0';
		upt_log(log, level, "health check %s: %s", name, line);
	}
}

static enum upt_code
run_check(const struct upt_health *health, const struct upt_log *log, int dir, const char *name,
	struct upt_err *err)
{
	char path[PATH_MAX];
	const char *const argv[] = {path, NULL};
	const struct upt_run run = {.argv = argv,
		.timeout_ms = health->check_timeout_ms,
		.max_bytes = OUTPUT_MAX_BYTES,
		.cancel = health->cancel};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	struct stat st;
	enum upt_code code;

	if (snprintf(path, sizeof(path), "%s/%s", health->dir, name) >= (int)sizeof(path))
		return upt_fail(err, UPT_E_CONFIG, "%s is too long", health->dir);
	/* No links: what they lead to may be in a folder that anybody can write. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode) || !is_safe(&st))
		return upt_fail(err, UPT_E_INSTALL,
			"%s is not run: it is no file that its owner, root, alone can write", path);
	code = upt_run(&run, &said, err);
	log_output(log, code == UPT_OK ? UPT_LOG_DEBUG : UPT_LOG_WARNING, name, &said);
	return code;
}

static enum upt_code
run_all(const struct upt_health *health, const struct upt_log *log, int dir,
	struct dirent *const *names, int n, struct upt_err *err)
{
	if (n > UPT_HEALTH_MAX_CHECKS)
		return upt_fail(err, UPT_E_INSTALL, "%s has %d checks, %d are run", health->dir, n,
			UPT_HEALTH_MAX_CHECKS);
	for (int i = 0; i < n; i++)
		UPT_TRY(run_check(health, log, dir, names[i]->d_name, err));
	return UPT_OK;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum upt_code
check_dir(const struct upt_health *health, const struct upt_log *log, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int dir = open(health->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	struct stat st;
	enum upt_code code;
	int n;

	if (dir < 0 && errno == ENOENT)
		return UPT_OK;
	if (dir < 0 || fstat(dir, &st) != 0)
		return upt_fail_errno(err, errno, "cannot open %s", health->dir);
	if (!is_safe(&st))
		return upt_fail(err, UPT_E_INSTALL,
			"the checks in %s are not run: others than its owner, root, can write it",
			health->dir);
	n = scandirat(dir, ".", &names, is_check, by_name);
	if (n < 0)
		return upt_fail_errno(err, errno, "cannot list %s", health->dir);
	code = run_all(health, log, dir, names, n, err);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return code;
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
