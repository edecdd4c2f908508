#include "installer/compose_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define POLL_MS 100
#define LINE_MAX_BYTES 512
#define MAX_LINES 400 /* logged of one run */

struct run {
	const struct upt_compose_run *settings;
	pid_t pid;
	int fd;
	char line[LINE_MAX_BYTES];
	size_t len;
	unsigned n_lines;
	char *out; /* the last lines, with " | " between */
	size_t size;
};

static uint64_t
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Keeps the end: what a program says last explains why it ended. */
static void
keep_line(struct run *run)
{
	size_t have = strlen(run->out), drop = 0;
	size_t need = run->len + 3;

	if (need + 1 > run->size)
		return;
	if (have + need + 1 > run->size)
		drop = have + need + 1 - run->size;
	memmove(run->out, run->out + drop, have - drop + 1);
	have -= drop;
	snprintf(run->out + have, run->size - have, "%s%s", have > 0 ? " | " : "", run->line);
}

static void
take_line(struct run *run)
{
	run->line[run->len] = '\0';
	upt_sanitize(run->line);
	if (run->len > 0) {
		if (run->n_lines++ < MAX_LINES)
			upt_log(run->settings->log, UPT_LOG_INFO, "compose: %s", run->line);
		keep_line(run);
	}
	run->len = 0;
}

/* Reads what is there; false at the end. */
static bool
take_bytes(struct run *run)
{
	char chunk[512];
	ssize_t n = read(run->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t i = 0; i < n; i++) {
		if (chunk[i] == '\n' || chunk[i] == '\r')
			take_line(run);
		else if (run->len < LINE_MAX_BYTES - 1)
			run->line[run->len++] = chunk[i];
	}
	return n > 0;
}

/* A group of its own, so that nothing it started outlives it; no signal blocked or ignored by us.
 */
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

static int
set_actions(posix_spawn_file_actions_t *actions, const char *home, int out_fd)
{
	int rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, out_fd, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, out_fd, 2);
	/* Else a .env where the daemon was started would fill in variables. */
	return rc != 0 ? rc : posix_spawn_file_actions_addchdir_np(actions, home);
}

static enum upt_code
spawn(const struct upt_compose_run *s, const char *const *argv, int out_fd, pid_t *pid,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf host = {0}, home = {0}, docker = {0};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc;

	UPT_TRY(upt_buf_printf(&host, err, "DOCKER_HOST=unix://%s", s->socket_path));
	UPT_TRY(upt_buf_printf(&home, err, "HOME=%s", s->home));
	UPT_TRY(upt_buf_printf(&docker, err, "DOCKER_CONFIG=%s", s->home));
	const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
		(const char *)host.data, (const char *)home.data, (const char *)docker.data, NULL};

	if (posix_spawn_file_actions_init(&actions) != 0)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to start %s", argv[0]);
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to start %s", argv[0]);
	}
	rc = set_attributes(&attributes);
	if (rc == 0)
		rc = set_actions(&actions, s->home, out_fd);
	if (rc == 0)
		rc = posix_spawn(pid, argv[0], &actions, &attributes,
			(char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 ? UPT_OK : upt_fail_errno(err, rc, "cannot start %s", argv[0]);
}

/* Waits for the process itself; a child of it that holds the pipe is not waited for. */
static enum upt_code
follow(struct run *run, const char *program, struct upt_err *err)
{
	struct pollfd wait = {.fd = run->fd, .events = POLLIN};
	uint64_t end_ms = monotonic_ms() + (uint64_t)run->settings->timeout_s * 1000;
	bool open = true, late = false;
	int status = 0;
	pid_t ended = 0;

	while (ended == 0) {
		if (open && poll(&wait, 1, POLL_MS) > 0)
			open = take_bytes(run);
		else if (!open)
			poll(NULL, 0, POLL_MS);
		late = late || monotonic_ms() > end_ms;
		if (late)
			kill(-run->pid, SIGKILL);
		ended = waitpid(run->pid, &status, WNOHANG);
		if (ended < 0 && errno == EINTR)
			ended = 0;
	}
	while (open && poll(&wait, 1, 0) > 0)
		open = take_bytes(run);
	take_line(run);
	kill(-run->pid, SIGKILL);
	if (late)
		return upt_fail(err, UPT_E_INSTALL, "%s took more than %u s", program,
			run->settings->timeout_s);
	if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return upt_fail(err, UPT_E_INSTALL, "%s failed (status 0x%x): %.300s", program,
			(unsigned)status, run->out);
	return UPT_OK;
}

enum upt_code
upt_compose_run(void *ctx, const char *const *argv, char *out, size_t size, struct upt_err *err)
{
	const struct upt_compose_run *settings = ctx;
	struct run run = {.settings = settings, .out = out, .size = size};
	enum upt_code code;
	int fds[2];

	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) != 0)
		return upt_fail_errno(err, errno, "cannot make a pipe");
	code = spawn(settings, argv, fds[1], &run.pid, err);
	close(fds[1]);
	if (code == UPT_OK) {
		run.fd = fds[0];
		code = follow(&run, argv[0], err);
	}
	close(fds[0]);
	return code;
}
