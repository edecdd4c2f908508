#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/encode.h"
#include "base/file.h"

void
dir_make(char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "/tmp/upt-installer-XXXXXX");
	assert_non_null(mkdtemp(out));
}

static int
clear_immutable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_D) {
		upt_cleanup(upt_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		int flags = 0;
		if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
			(flags & FS_IMMUTABLE_FL) != 0) {
			flags &= ~FS_IMMUTABLE_FL;
			ioctl(fd, FS_IOC_SETFLAGS, &flags);
		}
	}
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
dir_remove(const char *dir)
{
	nftw(dir, clear_immutable, 32, FTW_PHYS | FTW_MOUNT);
	assert_int_equal(nftw(dir, remove_one, 32, FTW_PHYS | FTW_MOUNT | FTW_DEPTH), 0);
}

const char *
path_in(const char *dir, const char *name)
{
	static char paths[16][PATH_MAX];
	static size_t next;
	char *out = paths[next++ % 16];

	assert_in_range(snprintf(out, PATH_MAX, "%s/%s", dir, name), 1, PATH_MAX - 1);
	return out;
}

void
file_write(const char *path, struct upt_span bytes)
{
	upt_cleanup(upt_close_fd) int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(upt_file_write_all(fd, bytes, NULL), UPT_OK);
}

void
file_write_text(const char *path, const char *text)
{
	file_write(path, upt_span_str(text));
}

bool
file_holds(const char *path, struct upt_span bytes)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	return upt_file_read(AT_FDCWD, path, (size_t)64 << 20, &buf, NULL) == UPT_OK &&
	       upt_span_equal(upt_buf_span(&buf), bytes);
}

bool
file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

struct upt_image
image_of(const char *name, struct upt_span bytes)
{
	struct upt_image image = {.length_bytes = bytes.len, .n_digests = 2};

	snprintf(image.name, sizeof(image.name), "%s", name);
	assert_int_equal(upt_hash_span(UPT_HASH_SHA256, bytes, &image.digests[0], NULL), UPT_OK);
	assert_int_equal(upt_hash_span(UPT_HASH_SHA512, bytes, &image.digests[1], NULL), UPT_OK);
	return image;
}

struct upt_image
image_of_hex(const char *name, const char *hex)
{
	struct upt_image image = {.n_digests = 1};

	snprintf(image.name, sizeof(image.name), "%s", name);
	assert_true(upt_digest_parse(UPT_HASH_SHA256, upt_span_str(hex), &image.digests[0]));
	return image;
}

static void
run_with(const char *log, int out_fd, const char *const *argv)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(out_fd >= 0 ? out_fd : fd, 1);
		dup2(fd, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		print_error("%s %s failed (status %d), see %s\n", argv[0], argv[1], status, log);
	assert_int_equal(status, 0);
}

void
run(const char *log, const char *const *argv)
{
	run_with(log, -1, argv);
}

void
run_output(const char *log, char *out, size_t size, const char *const *argv)
{
	upt_cleanup(upt_close_fd) int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ssize_t n;

	assert_true(fd >= 0);
	run_with(log, fd, argv);
	n = pread(fd, out, size - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}
