/*
 * Runs a program and stops it at one of the system calls by which it changes something:
 *
 *   fault_at LOG KINDS count CMD...           counts them, in all its processes and threads
 * together fault_at LOG KINDS kill AT CMD...         SIGKILL to all of them right before that call
 *   fault_at LOG KINDS kill-after AT CMD...   ... a moment after it was let go: it is under way
 *   fault_at LOG KINDS fail AT ERRNO CMD...   it fails with that number
 *   fault_at LOG KINDS run AT SHELL CMD...    before it that happens to the world: a full disk, a
 * dead server
 *
 * KINDS, with commas between: write (to a file), send (to a socket), request (a send of a POST, PUT
 * or DELETE that is readable), sync, rename, link, unlink, truncate, mkdir, ioctl, exec. AT is the
 * how-manieth of these it is, or a part of its line in LOG, "N KIND WHAT", for the first one. CMD
 * is an absolute path. What changes nothing is not counted: a folder made that is there, a file
 * removed that is not. Exit code: CMD's, 137 when it was killed, 125 when this cannot work here.
 * The kernel asks us (seccomp's user notification) before each such call, whoever makes it:
 * libraries, threads and children are seen alike, and the program itself is as it ships, as it
 * would not be with a preloaded library.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT 125
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
#define N_KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

enum kind {
	KIND_WRITE,
	KIND_SEND,
	KIND_REQUEST,
	KIND_SYNC,
	KIND_RENAME,
	KIND_LINK,
	KIND_UNLINK,
	KIND_TRUNCATE,
	KIND_MKDIR,
	KIND_IOCTL,
	KIND_EXEC,
};

static const char *const kind_names[] = {"write", "send", "request", "sync", "rename", "link",
	"unlink", "truncate", "mkdir", "ioctl", "exec"};

/* path: the argument that is a path, or -1: the first is a descriptor. */
static const struct call {
	long nr;
	enum kind kind;
	int path;
} calls[] = {
	{SYS_write, KIND_WRITE, -1}, {SYS_pwrite64, KIND_WRITE, -1}, {SYS_writev, KIND_WRITE, -1},
	{SYS_pwritev, KIND_WRITE, -1}, {SYS_pwritev2, KIND_WRITE, -1},
	{SYS_fallocate, KIND_WRITE, -1}, {SYS_sendfile, KIND_WRITE, -1},
	{SYS_sendto, KIND_SEND, -1}, {SYS_sendmsg, KIND_SEND, -1}, {SYS_fsync, KIND_SYNC, -1},
	{SYS_fdatasync, KIND_SYNC, -1}, {SYS_syncfs, KIND_SYNC, -1},
	{SYS_ftruncate, KIND_TRUNCATE, -1}, {SYS_renameat, KIND_RENAME, 3},
	{SYS_renameat2, KIND_RENAME, 3}, {SYS_linkat, KIND_LINK, 3}, {SYS_symlinkat, KIND_LINK, 2},
	{SYS_unlinkat, KIND_UNLINK, 1}, {SYS_mkdirat, KIND_MKDIR, 1}, {SYS_ioctl, KIND_IOCTL, -1},
	{SYS_execve, KIND_EXEC, 0},
#ifdef SYS_rename /* older architectures have these, too */
	{SYS_rename, KIND_RENAME, 1}, {SYS_link, KIND_LINK, 1}, {SYS_symlink, KIND_LINK, 1},
	{SYS_unlink, KIND_UNLINK, 0}, {SYS_rmdir, KIND_UNLINK, 0}, {SYS_mkdir, KIND_MKDIR, 0},
#endif
	{SYS_copy_file_range, KIND_WRITE, -2}, /* the third argument */
};

enum mode { MODE_COUNT, MODE_KILL, MODE_KILL_AFTER, MODE_FAIL, MODE_RUN };

struct run {
	FILE *log;
	unsigned kinds;
	enum mode mode;
	const char *at;
	const char *how; /* ERRNO, SHELL */
	char **argv;
	int *shared_fd; /* the child's number for the listener */
	pid_t pid;
	int listener;
	long n;
	bool done;
	bool started; /* the first execve, which is ours, is over */
	int status;
};

/* ---- the child ---- */

static int
install_filter(void)
{
	struct sock_filter code[3 + N_CALLS] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr))};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	for (size_t i = 0; i < N_CALLS; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned)calls[i].nr, (unsigned char)(N_CALLS - i), 0);
	code[1 + N_CALLS] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[2 + N_CALLS] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void
be_the_program(const struct run *run)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = install_filter();
	__atomic_store_n(run->shared_fd, fd >= 0 ? fd : -errno, __ATOMIC_SEQ_CST);
	if (fd >= 0)
		execv(run->argv[0], run->argv);
	_exit(CANNOT);
}

/* ---- what a call is about ---- */

static const struct call *
find_call(int nr)
{
	for (size_t i = 0; i < N_CALLS; i++) {
		if (calls[i].nr == nr)
			return &calls[i];
	}
	return NULL;
}

static void
read_text(pid_t pid, uint64_t address, char out[static 256])
{
	struct iovec to = {.iov_base = out, .iov_len = 255};
	struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = 255};
	ssize_t n;

	/* A page at a time: the text may end before an unmapped one. */
	from.iov_len = 4096 - address % 4096 < 255 ? 4096 - address % 4096 : 255;
	n = process_vm_readv(pid, &to, 1, &from, 1, 0);
	out[n > 0 ? n : 0] = '\0';
}

static void
read_link(pid_t pid, int fd, char out[static 256], mode_t *type)
{
	char path[64];
	struct stat st;
	ssize_t n;

	*type = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st) == 0)
		*type = st.st_mode & S_IFMT;
	n = readlink(path, out, 255);
	out[n > 0 ? n : 0] = '\0';
}

/* Those that only ask. */
static bool
changes_nothing(uint64_t request)
{
	return request != FS_IOC_SETFLAGS && request != FICLONE && request != FIFREEZE &&
	       request != FITHAW;
}

/* at: the path's place, behind a descriptor of its folder where nr is one of the ...at calls. */
static bool
exists(const struct seccomp_notif *ask, int at, bool has_dirfd, const char *path)
{
	char full[400];
	int dirfd = has_dirfd ? (int)ask->data.args[at - 1] : AT_FDCWD;
	struct stat st;

	if (path[0] == '/')
		return lstat(path, &st) == 0;
	if (dirfd == AT_FDCWD)
		snprintf(full, sizeof(full), "/proc/%u/cwd/%s", ask->pid, path);
	else
		snprintf(full, sizeof(full), "/proc/%u/fd/%d/%s", ask->pid, dirfd, path);
	return lstat(full, &st) == 0;
}

static bool
describe_path(const struct seccomp_notif *ask, const struct call *call, char what[static 256])
{
	read_text((pid_t)ask->pid, ask->data.args[call->path], what);
	if (call->kind == KIND_MKDIR)
		return !exists(ask, call->path, call->path > 0, what);
	if (call->kind == KIND_UNLINK)
		return exists(ask, call->path, call->path > 0, what);
	return true;
}

/* An engine is asked for nothing new by a GET; what is encrypted cannot be told. */
static enum kind
kind_of_send(const struct seccomp_notif *ask, const struct call *call, char what[static 256])
{
	char text[256] = "";

	if (call->nr == SYS_write || call->nr == SYS_sendto)
		read_text((pid_t)ask->pid, ask->data.args[1], text);
	if (strncmp(text, "POST ", 5) != 0 && strncmp(text, "PUT ", 4) != 0 &&
		strncmp(text, "DELETE ", 7) != 0)
		return KIND_SEND;
	text[strcspn(text, "\r\n")] = '\0';
	memcpy(what, text, sizeof(text));
	return KIND_REQUEST;
}

/* What it is about in what; false when it changes nothing. */
static bool
describe(const struct seccomp_notif *ask, const struct call *call, enum kind *kind,
	char what[static 256])
{
	const __u64 *args = ask->data.args;
	mode_t type;

	*kind = call->kind;
	if (call->path >= 0)
		return describe_path(ask, call, what);
	read_link((pid_t)ask->pid, (int)args[call->path == -2 ? 2 : 0], what, &type);
	if (call->kind == KIND_IOCTL)
		return !changes_nothing(args[1]);
	if (call->kind != KIND_WRITE && call->kind != KIND_SEND)
		return true;
	if (type == S_IFSOCK)
		*kind = kind_of_send(ask, call, what);
	return type == S_IFREG || type == S_IFSOCK;
}

/* ---- what is done about it ---- */

/* It is the call that is looked for, once. */
static bool
is_it(struct run *run, const char *line)
{
	char *end;
	long n = strtol(run->at, &end, 10);
	bool yes = *end == '\0' ? run->n == n : strstr(line, run->at) != NULL;

	if (run->mode == MODE_COUNT || run->done || !yes)
		return false;
	run->done = true;
	return true;
}

static void
run_shell(const char *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(CANNOT);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Kills what has this process as its parent. */
static void
kill_children(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char path[300];
		int pid, parent;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
			(f = fopen(path, "re")) == NULL)
			continue;
		/* A name with a bracket in it reads as no match. */
		if (fscanf(f, "%d (%*[^)]) %*c %d", &pid, &parent) == 2 && parent == getpid())
			kill(pid, SIGKILL);
		fclose(f);
	}
	if (dir != NULL)
		closedir(dir);
}

static void
kill_all(const struct run *run)
{
	kill(run->pid, SIGKILL);
	/* Its orphans become ours. */
	while (waitpid(-1, NULL, 0) > 0)
		kill_children();
}

static bool
answer(struct run *run, const struct seccomp_notif *ask, int error)
{
	struct seccomp_notif_resp reply = {.id = ask->id, .error = -error};

	if (error == 0)
		reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* ENOENT: the caller died meanwhile. */
	return ioctl(run->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) == 0 || errno == ENOENT;
}

/* False when that was the end. */
static bool
strike(struct run *run, const struct seccomp_notif *ask)
{
	if (run->mode == MODE_FAIL)
		return answer(run, ask, (int)strtol(run->how, NULL, 10));
	if (run->mode == MODE_RUN) {
		run_shell(run->how);
		return answer(run, ask, 0);
	}
	if (run->mode == MODE_KILL_AFTER && answer(run, ask, 0))
		usleep(2000); /* not a wait for something: only so that the call is on its way */
	kill_all(run);
	run->status = SIGKILL;
	return false;
}

/* True while the program goes on. */
static bool
serve_one(struct run *run)
{
	struct seccomp_notif ask = {0};
	const struct call *call;
	char what[256] = "", line[300];
	enum kind kind;

	if (ioctl(run->listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) != 0)
		return errno == EINTR || errno == ENOENT;
	call = find_call(ask.data.nr);
	if (call == NULL || !run->started || !describe(&ask, call, &kind, what) ||
		(run->kinds & 1u << kind) == 0) {
		run->started = true;
		return answer(run, &ask, 0);
	}
	run->n++;
	snprintf(line, sizeof(line), "%ld %s %s", run->n, kind_names[kind], what);
	fprintf(run->log, "%s\n", line);
	return is_it(run, line) ? strike(run, &ask) : answer(run, &ask, 0);
}

static int
follow(struct run *run)
{
	struct pollfd wait = {.fd = run->listener, .events = POLLIN};

	for (;;) {
		int n = poll(&wait, 1, 1000);
		if (n > 0 && (wait.revents & POLLIN) != 0) {
			if (!serve_one(run))
				break;
		} else if (n > 0) {
			/* Nobody is left who could ask. */
			while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
				;
			break;
		}
	}
	return WIFSIGNALED(run->status) ? 128 + WTERMSIG(run->status) : WEXITSTATUS(run->status);
}

static int
start(struct run *run)
{
	int fd = 0, pidfd;

	run->shared_fd =
		mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->shared_fd == MAP_FAILED)
		return CANNOT;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	run->pid = fork();
	if (run->pid == 0)
		be_the_program(run);
	while (run->pid > 0 && (fd = __atomic_load_n(run->shared_fd, __ATOMIC_SEQ_CST)) == 0)
		usleep(100);
	if (run->pid < 0 || fd < 0)
		return CANNOT;
	pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	run->listener = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (run->listener < 0) {
		kill_all(run);
		return CANNOT;
	}
	close(pidfd);
	return follow(run);
}

/* ---- the command line ---- */

static bool
read_kinds(struct run *run, const char *words)
{
	while (*words != '\0') {
		size_t len = strcspn(words, ","), i = 0;

		while (i < N_KINDS &&
			(strlen(kind_names[i]) != len || strncmp(words, kind_names[i], len) != 0))
			i++;
		if (i == N_KINDS)
			return false;
		run->kinds |= 1u << i;
		words += len + (words[len] == ',');
	}
	return run->kinds != 0;
}

static bool
read_mode(struct run *run, const char *word, int *n_words)
{
	static const char *const names[] = {"count", "kill", "kill-after", "fail", "run"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]) != 0)
			continue;
		run->mode = (enum mode)i;
		*n_words = i == MODE_COUNT ? 0 : i < MODE_FAIL ? 1 : 2;
		return true;
	}
	return false;
}

int
main(int argc, char **argv)
{
	struct run run = {0};
	int n_words, code;

	if (argc < 5 || !read_kinds(&run, argv[2]) || !read_mode(&run, argv[3], &n_words) ||
		argc < 5 + n_words) {
		fprintf(stderr, "usage: fault_at LOG KINDS count|kill AT|kill-after AT|"
				"fail AT ERRNO|run AT SHELL CMD...\n");
		return 2;
	}
	run.at = argv[4];
	run.how = argv[5];
	run.argv = argv + 4 + n_words;
	run.log = fopen(argv[1], "we");
	if (run.log == NULL)
		return CANNOT;
	code = start(&run);
	fclose(run.log);
	return code;
}
