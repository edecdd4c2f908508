#include "installer/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"

#define TICK_MS 50
#define PIPE_CHUNKS 64 /* of 1 KiB: all that a pipe holds */
#define DEATH_MS 2000 /* between the kill and its effect; a process can hang in the kernel */

static int
set_actions(posix_spawn_file_actions_t *actions, const char *dir, int out_fd, bool both)
{
	int rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, out_fd, 1);
	if (rc == 0 && both)
		rc = posix_spawn_file_actions_adddup2(actions, out_fd, 2);
	if (rc == 0 && dir != NULL)
		rc = posix_spawn_file_actions_addchdir_np(actions, dir);
	return rc;
}

/* Signals as a program expects them, whatever we ignore or hold back. */
static int
set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(attributes, 0);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attributes, &none);
	return rc != 0 ? rc : posix_spawnattr_setsigdefault(attributes, &all);
}

static void
set_env(const struct upt_run *run, const char *env[static UPT_RUN_MAX_ENV + 3])
{
	size_t n = 0;

	env[n++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	/* What programs say is read by programs here. */
	env[n++] = "LC_ALL=C";
	for (size_t i = 0; run->env != NULL && run->env[i] != NULL; i++) {
		assert(i < UPT_RUN_MAX_ENV);
		env[n++] = run->env[i];
	}
	env[n] = NULL;
}

static enum upt_code
spawn(const struct upt_run *run, int out_fd, bool both, pid_t *pid, struct upt_err *err)
{
	const char *const *argv = run->argv;
	const char *env[UPT_RUN_MAX_ENV + 3];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return upt_fail_errno(err, rc, "cannot start %s", argv[0]);
	set_env(run, env);
	rc = posix_spawnattr_init(&attributes);
	if (rc == 0) {
		rc = set_actions(&actions, run->dir, out_fd, both);
		if (rc == 0)
			rc = set_attributes(&attributes);
		if (rc == 0)
			rc = posix_spawn(pid, argv[0], &actions, &attributes,
				(char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc != 0 ? upt_fail_errno(err, rc, "cannot start %s", argv[0]) : UPT_OK;
}

enum upt_code
upt_run_spawn(const char *const *argv, int out_fd, bool both, pid_t *pid, struct upt_err *err)
{
	return spawn(&(struct upt_run){.argv = argv}, out_fd, both, pid, err);
}

/* A program under way. */
struct child {
	const struct upt_run *run;
	pid_t pid;
	int fd; /* its output; -1 once it is closed */
	struct upt_buf *out;
	enum upt_code dropped; /* why output could not be kept */
	char line[UPT_RUN_LINE_MAX + 1];
	size_t line_len;
};

static void
end_line(struct child *child)
{
	child->line[child->line_len] = '\0';
	upt_sanitize(child->line);
	if (child->line_len > 0)
		child->run->line(child->run->ctx, child->line);
	child->line_len = 0;
}

static void
split_lines(struct child *child, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' || text[i] == '\r')
			end_line(child);
		else if (child->line_len < UPT_RUN_LINE_MAX)
			child->line[child->line_len++] = text[i];
	}
}

static void
keep(struct child *child, const char *text, size_t len, struct upt_err *err)
{
	size_t room = child->run->max_bytes - child->out->len;

	if (child->run->line != NULL)
		split_lines(child, text, len);
	if (child->dropped == UPT_OK)
		child->dropped = upt_buf_append(child->out, text, len < room ? len : room, err);
}

/*
 * Takes what is there; fd becomes -1 at the end. No more than a pipe holds: one that writes without
 * end would else keep us here for ever, whatever its time.
 */
static void
take_output(struct child *child, struct upt_err *err)
{
	char chunk[1024];

	for (unsigned i = 0; i < PIPE_CHUNKS && child->fd >= 0; i++) {
		ssize_t n = read(child->fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			child->fd = -1;
		else
			keep(child, chunk, (size_t)n, err);
	}
}

static bool
has_ended(const struct child *child)
{
	siginfo_t info = {0};

	/* Not reaped yet: until then its number, which is its group's, belongs to nobody else. */
	return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == child->pid;
}

static bool
is_cancelled(const struct upt_run *run)
{
	return run->cancel != NULL && *run->cancel;
}

/* Waits for its end or for that of its time; false: it is still there. */
static bool
watch(struct child *child, unsigned timeout_ms, bool heeds_cancel, struct upt_err *err)
{
	int64_t end = upt_monotonic_ms() + timeout_ms;

	for (;;) {
		struct pollfd wait = {.fd = child->fd, .events = POLLIN};
		bool ended = has_ended(child);

		take_output(child, err);
		if (ended)
			return true;
		if (upt_monotonic_ms() >= end || (heeds_cancel && is_cancelled(child->run)))
			return false;
		(void)poll(&wait, 1, TICK_MS);
	}
}

static enum upt_code
judge(const struct child *child, int status, bool late, struct upt_err *err)
{
	const char *name = child->run->argv[0];

	if (late && is_cancelled(child->run))
		return upt_fail(err, UPT_E_CANCELLED, "%s was interrupted", name);
	if (late)
		return upt_fail(err, UPT_E_INSTALL, "%s did not end within %u ms", name,
			child->run->timeout_ms);
	if (child->dropped != UPT_OK)
		return child->dropped;
	if (WIFSIGNALED(status))
		return upt_fail(
			err, UPT_E_INSTALL, "%s was killed by signal %d", name, WTERMSIG(status));
	return UPT_OK;
}

enum upt_code
upt_run_status(const struct upt_run *run, struct upt_buf *out, int *status, struct upt_err *err)
{
	struct child child = {.run = run, .out = out};
	bool late, gone;
	enum upt_code code;
	int fds[2], wait_status = 0;

	*status = -1;
	upt_buf_clear(out);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return upt_fail_errno(err, errno, "cannot make a pipe");
	/* Its end of the pipe waits like any other. */
	(void)fcntl(fds[1], F_SETFL, 0);
	code = spawn(run, fds[1], true, &child.pid, err);
	close(fds[1]);
	if (code == UPT_OK) {
		child.fd = fds[0];
		late = !watch(&child, run->timeout_ms, true, err);
		/* Whatever it left running in its group ends with it. */
		kill(-child.pid, SIGKILL);
		gone = !late || watch(&child, DEATH_MS, false, err);
		(void)waitpid(child.pid, &wait_status, gone ? 0 : WNOHANG);
		if (run->line != NULL)
			end_line(&child);
		code = judge(&child, wait_status, late, err);
		if (code == UPT_OK)
			*status = WEXITSTATUS(wait_status);
	}
	close(fds[0]);
	return code;
}

enum upt_code
upt_run(const struct upt_run *run, struct upt_buf *out, struct upt_err *err)
{
	int status;

	UPT_TRY(upt_run_status(run, out, &status, err));
	return status == 0
		       ? UPT_OK
		       : upt_fail(err, UPT_E_INSTALL, "%s exited with %d", run->argv[0], status);
}
