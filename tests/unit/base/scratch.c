#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/file.h"

static char *
make_in(const char *parent)
{
	char *dir;

	assert_true(asprintf(&dir, "%s/upt-test-XXXXXX", parent) > 0);
	assert_non_null(mkdtemp(dir));
	return dir;
}

char *
scratch_make(void)
{
	return make_in("/tmp");
}

char *
scratch_make_in_memory(void)
{
	return make_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void
scratch_remove(char **dir)
{
	if (*dir != NULL)
		nftw(*dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(*dir);
	*dir = NULL;
}

const char *
scratch_path(char out[static 4096], const char *dir, const char *name)
{
	assert_true(snprintf(out, 4096, "%s/%s", dir, name) < 4096);
	return out;
}

void
scratch_write(const char *dir, const char *name, const void *bytes, size_t len)
{
	char path[4096];
	int fd =
		open(scratch_path(path, dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(upt_file_write_all(fd, upt_span(bytes, len), NULL), UPT_OK);
	close(fd);
}

void
scratch_read(const char *dir, const char *name, struct upt_buf *out)
{
	char path[4096];

	assert_int_equal(
		upt_file_read(AT_FDCWD, scratch_path(path, dir, name), (size_t)1 << 30, out, NULL),
		UPT_OK);
}

bool
scratch_exists(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;

	return lstat(scratch_path(path, dir, name), &st) == 0;
}

void
scratch_in_child(int (*body)(const void *ctx), const void *ctx, const char *why_skipped)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A failed assertion ends the child here, instead of running the other tests in it.
		 */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		_exit(body(ctx));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SCRATCH_SKIP) {
		print_message("SKIPPED: %s\n", why_skipped);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Without root: a user namespace in which we are root. */
static bool
become_root_of_a_namespace(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %u 1\n", (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", (unsigned)getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/uid_map", uids) && write_text("/proc/self/gid_map", gids);
}

bool
scratch_mount(const char *dir, const char *size)
{
	char options[64];

	if (unshare(CLONE_NEWNS) != 0 && !become_root_of_a_namespace())
		return false;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return false;
	snprintf(options, sizeof(options), "size=%s,mode=0700", size);
	return mount("scratch", dir, "tmpfs", 0, options) == 0;
}

void
scratch_remount_read_only(const char *dir)
{
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
}
