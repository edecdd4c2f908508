#include "primary/inhibitor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

bool
upt_inhibitor_find(const char *path, char reason[static UPT_REASON_SIZE])
{
	upt_cleanup(upt_close_fd) int fd = -1;
	struct stat st;
	ssize_t n = 0;

	reason[0] = '\0';
	/* The file alone counts, be it a link that leads nowhere. */
	if (lstat(path, &st) != 0)
		return errno != ENOENT && errno != ENOTDIR;
	/* A pipe that nobody writes must not hold us up. */
	if (S_ISREG(st.st_mode))
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, reason, UPT_REASON_SIZE - 1);
	reason[n > 0 ? n : 0] = '\0';
	reason[strcspn(reason, "\n")] = '\0';
	upt_sanitize(reason);
	return true;
}

enum upt_code
upt_inhibitor_set(const char *path, const char *reason, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0}, dir = {0};
	const char *slash = strrchr(path, '/');

	UPT_TRY(upt_buf_printf(&text, err, "%s\n", reason));
	UPT_TRY(upt_buf_append(&dir, path, slash != NULL ? (size_t)(slash - path) : 0, err));
	if (dir.len > 0)
		UPT_TRY(upt_dir_make((const char *)dir.data, 0755, err));
	return upt_file_replace(AT_FDCWD, path, 0644, upt_buf_span(&text), err);
}

enum upt_code
upt_inhibitor_remove(const char *path, bool *was_there, struct upt_err *err)
{
	*was_there = unlink(path) == 0;
	if (!*was_there && errno != ENOENT && errno != ENOTDIR)
		return upt_fail_errno(err, errno, "cannot remove %s", path);
	return UPT_OK;
}
