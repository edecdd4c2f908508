#include "storage/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#define LOCK_NAME "lock"

/* The holder's pid as it wrote it; "another process" when it cannot be told. */
static void
describe_holder(int fd, char *out, size_t size)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	size_t digits = n > 0 ? strspn(text, "0123456789") : 0;

	if (digits > 0)
		snprintf(out, size, "process %.*s", (int)digits, text);
	else
		snprintf(out, size, "another process");
}

static enum upt_code
write_pid(int fd, struct upt_err *err)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%jd\n", (intmax_t)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return upt_fail_errno(err, errno, "cannot write " LOCK_NAME);
	return UPT_OK;
}

enum upt_code
upt_store_lock(int dir_fd, const char *dir, int *lock_fd, struct upt_err *err)
{
	/* O_CLOEXEC: an installer that outlives us must not keep the state locked. */
	upt_cleanup(upt_close_fd) int fd = openat(
		dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	char holder[48];
	enum upt_code code;

	*lock_fd = -1;
	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s/" LOCK_NAME, dir);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return upt_fail_errno(err, errno, "cannot lock %s/" LOCK_NAME, dir);
		describe_holder(fd, holder, sizeof(holder));
		return upt_fail(err, UPT_E_BUSY, "the state in %s is held by %s", dir, holder);
	}
	code = write_pid(fd, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", dir);
	*lock_fd = fd;
	fd = -1;
	return UPT_OK;
}

void
upt_store_unlock(int *lock_fd)
{
	/* The file stays: were it removed, two processes could hold two files of one name. */
	if (*lock_fd >= 0 && ftruncate(*lock_fd, 0) == 0)
		flock(*lock_fd, LOCK_UN);
	upt_close_fd(lock_fd);
	*lock_fd = -1;
}
