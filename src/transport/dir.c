#include "transport/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "transport/url.h"

#define NAME_MAX_COMPONENTS 2
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* FILE or FOLDER/FILE, so that nothing outside the bundle is read for whoever wrote its metadata.
 */
static bool
is_plain_name(const char *name)
{
	size_t len = strnlen(name, UPT_DIR_NAME_MAX_BYTES + 1);
	int n_components = 0;

	if (len == 0 || len > UPT_DIR_NAME_MAX_BYTES)
		return false;
	while (true) {
		size_t n = strcspn(name, "/");
		if (n == 0 || (n == 1 && name[0] == '.') ||
			(n == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		if (++n_components > NAME_MAX_COMPONENTS)
			return false;
		if (name[n] == '\0')
			return true;
		name += n + 1;
	}
}

/* Where openat2 is missing or a sandbox forbids it: one component at a time, no link followed. */
static int
open_by_steps(int dirfd, const char *name)
{
	char folder[UPT_DIR_NAME_MAX_BYTES + 1];
	upt_cleanup(upt_close_fd) int fd = -1;
	const char *slash = strchr(name, '/');

	if (slash == NULL)
		return openat(dirfd, name, OPEN_FLAGS);
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
	fd = openat(dirfd, folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	return openat(fd, slash + 1, OPEN_FLAGS);
}

static int
open_beneath(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = OPEN_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == E2BIG))
		return open_by_steps(dirfd, name);
	return (int)fd;
}

static enum upt_code
fail_open(int errnum, const char *shown, struct upt_err *err)
{
	switch (errnum) {
	case ENOENT:
		return upt_fail(err, UPT_E_ABSENT, "the folder has no %s", shown);
	case ELOOP:
	case ENOTDIR:
	case EXDEV:
	case ENAMETOOLONG:
	case ENXIO:
		upt_fail_errno(err, errnum, "%s is no plain file of the folder", shown);
		if (err != NULL)
			err->code = UPT_E_MALFORMED;
		return UPT_E_MALFORMED;
	default:
		return upt_fail_errno(err, errnum, "cannot open %s", shown);
	}
}

enum upt_code
upt_dir_fetch(
	int dirfd, const char *name, size_t max_bytes, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	char shown[160];
	struct stat st;

	upt_text_show(upt_span_str(name), shown, sizeof(shown));
	if (!is_plain_name(name))
		return upt_fail(err, UPT_E_MALFORMED,
			"\"%s\" is not FILE or FOLDER/FILE below the folder", shown);
	fd = open_beneath(dirfd, name);
	if (fd < 0)
		return fail_open(errno, shown, err);
	if (fstat(fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", shown);
	if (!S_ISREG(st.st_mode))
		return upt_fail(err, UPT_E_MALFORMED, "%s is not a regular file", shown);
	if ((uintmax_t)st.st_size > max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s has %jd bytes, more than the %zu allowed",
			shown, (intmax_t)st.st_size, max_bytes);
	return upt_file_read_open(fd, (size_t)st.st_size, shown, out, err);
}
