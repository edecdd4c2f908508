#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum upt_code
upt_file_read_open(int fd, size_t size, const char *shown, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	UPT_TRY(upt_buf_reserve(&buf, size, err));
	while (buf.len < size) {
		ssize_t n = read(fd, buf.data + buf.len, size - buf.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read %s", shown);
		if (n == 0)
			return upt_fail(err, UPT_E_IO, "%s shrank to %zu of %zu bytes", shown,
				buf.len, size);
		buf.len += (size_t)n;
	}
	buf.data[buf.len] = 0;
	upt_buf_move(out, &buf);
	return UPT_OK;
}

enum upt_code
upt_file_read(
	int dirfd, const char *path, size_t max_bytes, struct upt_buf *out, struct upt_err *err)
{
	/* O_NONBLOCK: a FIFO in a file's place must not hang the client. */
	upt_cleanup(upt_close_fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return upt_fail(err, UPT_E_IO, "%s is not a regular file", path);
	if ((uintmax_t)st.st_size > max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s has %jd bytes, more than the %zu allowed",
			path, (intmax_t)st.st_size, max_bytes);
	return upt_file_read_open(fd, (size_t)st.st_size, path, out, err);
}

enum upt_code
upt_file_write_all(int fd, struct upt_span bytes, struct upt_err *err)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot write %zu bytes", bytes.len);
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	return UPT_OK;
}

enum upt_code
upt_dir_sync(int dirfd, const char *path, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open directory %s", path);
	if (fsync(fd) != 0)
		return upt_fail_errno(err, errno, "cannot sync directory %s", path);
	return UPT_OK;
}

static enum upt_code
write_temporary(int dirfd, const char *tmp, mode_t mode, struct upt_span bytes, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;

	/* A leftover of a power cut is ours; O_EXCL after the unlink refuses anything planted
	 * since. */
	if (unlinkat(dirfd, tmp, 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove stale %s", tmp);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot create %s", tmp);
	if (fchmod(fd, mode) != 0)
		return upt_fail_errno(err, errno, "cannot set the mode of %s", tmp);
	UPT_TRY(upt_file_write_all(fd, bytes, err));
	if (fsync(fd) != 0)
		return upt_fail_errno(err, errno, "cannot sync %s", tmp);
	return UPT_OK;
}

enum upt_code
upt_file_replace(
	int dirfd, const char *path, mode_t mode, struct upt_span bytes, struct upt_err *err)
{
	char tmp[PATH_MAX], dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	enum upt_code code;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return upt_fail(err, UPT_E_IO, "path too long: %.64s...", path);
	code = write_temporary(dirfd, tmp, mode, bytes, err);
	if (code == UPT_OK && renameat(dirfd, tmp, dirfd, path) != 0)
		code = upt_fail_errno(err, errno, "cannot rename %s to %s", tmp, path);
	if (code != UPT_OK) {
		unlinkat(dirfd, tmp, 0);
		return upt_wrap(err, code, "replacing %s", path);
	}
	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return upt_dir_sync(dirfd, dir, err);
}

/* One directory, whose entry in its parent is made durable: what is synced inside it later would
 * otherwise be lost together with it. */
static enum upt_code
make_one(char *path, mode_t mode, struct upt_err *err)
{
	char *slash = strrchr(path, '/');
	enum upt_code code;
	struct stat st;

	if (mkdir(path, mode) != 0) {
		int errnum = errno;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return UPT_OK;
		if (errnum == EEXIST)
			return upt_fail(err, UPT_E_IO, "%s is there, but no directory", path);
		return upt_fail_errno(err, errnum, "cannot make directory %s", path);
	}
	if (slash == NULL)
		return upt_dir_sync(AT_FDCWD, ".", err);
	*slash = '\0';
	code = upt_dir_sync(AT_FDCWD, slash == path ? "/" : path, err);
	*slash = '/';
	return code;
}

enum upt_code
upt_dir_make(const char *path, mode_t mode, struct upt_err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return upt_fail(err, UPT_E_IO, "bad directory path of %zu characters", len);
	while (len > 1 && path[len - 1] == '/')
		len--;
	memcpy(part, path, len);
	part[len] = '\0';
	for (char *p = part + 1; *p != '\0'; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		UPT_TRY(make_one(part, 0755, err));
		*p = '/';
	}
	return make_one(part, mode, err);
}
