#include "installer/programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_safe(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
counts(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_-");

	return len > 0 && name[len] == '\0';
}

static int
is_not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum upt_code
ask_one(const struct upt_programs *programs, int dir, const char *name, struct upt_err *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", programs->dir, name) >= (int)sizeof(path))
		return upt_fail(err, UPT_E_CONFIG, "%s is too long", programs->dir);
	/* No links: what they lead to may be in a folder that anybody can write. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode) || !is_safe(&st))
		return upt_fail(err, UPT_E_INSTALL,
			"%s is not run: it is no file that its owner, root, alone can write", path);
	return programs->each(programs->ctx, path, name, err);
}

/* Somebody may take it for one that is asked. */
static void
warn_of_name(const struct upt_programs *programs, int dir, const char *name)
{
	struct stat st;

	if (programs->log != NULL && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(st.st_mode & S_IXUSR) != 0 && S_ISREG(st.st_mode))
		upt_log(programs->log, UPT_LOG_WARNING,
			"%s/%s is not run: names have letters, digits, - and _", programs->dir,
			name);
}

static enum upt_code
ask_all(const struct upt_programs *programs, int dir, struct dirent *const *entries, int n,
	struct upt_err *err)
{
	int n_counting = 0;

	for (int i = 0; i < n; i++)
		n_counting += counts(entries[i]->d_name);
	if (n_counting > UPT_PROGRAMS_MAX)
		return upt_fail(err, UPT_E_INSTALL, "%s has %d %s, %d are run", programs->dir,
			n_counting, programs->noun, UPT_PROGRAMS_MAX);
	for (int i = 0; i < n; i++) {
		if (counts(entries[i]->d_name))
			UPT_TRY(ask_one(programs, dir, entries[i]->d_name, err));
		else
			warn_of_name(programs, dir, entries[i]->d_name);
	}
	return UPT_OK;
}

enum upt_code
upt_programs_ask(const struct upt_programs *programs, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int dir = open(programs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	struct stat st;
	enum upt_code code;
	int n;

	if (dir < 0 && errno == ENOENT)
		return UPT_OK;
	if (dir < 0 || fstat(dir, &st) != 0)
		return upt_fail_errno(err, errno, "cannot open %s", programs->dir);
	if (!is_safe(&st))
		return upt_fail(err, UPT_E_INSTALL,
			"the %s in %s are not run: others than its owner, root, can write it",
			programs->noun, programs->dir);
	n = scandirat(dir, ".", &entries, is_not_hidden, by_name);
	if (n < 0)
		return upt_fail_errno(err, errno, "cannot list %s", programs->dir);
	code = ask_all(programs, dir, entries, n, err);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return code;
}

void
upt_program_log_output(const struct upt_log *log, enum upt_log_level level, const char *what,
	const char *name, struct upt_buf *said)
{
	char *line = said->len > 0 ? (char *)said->data : NULL;

	for (char *next; line != NULL && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\n')
			*next++ = '\0';
		upt_log(log, level, "%s %s: %s", what, name, line);
	}
}
