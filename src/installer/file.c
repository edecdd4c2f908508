/*
 * BINARY: one file, replaced durably. At every moment, also after a power cut, the path holds the
 * whole old file or the whole new one. The bytes are hashed while they are copied, and the copy is
 * what goes into place: whoever can still write to image_fd gains nothing by changing it after the
 * check. Uptane Standard 2.1, "verify_image" (every listed hash, the length), "install_image".
 */
#include "installer/installer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <linux/fs.h>

#include "base/file.h"

#define COPY_BUFFER_BYTES ((size_t)128 * 1024)

struct file_installer {
	struct upt_installer base;
	char *path, *path_new; /* path_new: temporary beside path */
	char *backup, *backup_new; /* the previous version and its temporary */
	char *path_dir, *backup_dir;
	mode_t mode;
};

/* The hashes of one pass over a file: those an image lists, or both to tell what a file is. */
struct hashing {
	size_t n;
	struct upt_hash *hash[UPT_MAX_DIGESTS];
	uint64_t length_bytes;
};

static struct file_installer *
from_base(struct upt_installer *base)
{
	return (struct file_installer *)base;
}

static void
hashing_clear(struct hashing *hashing)
{
	for (size_t i = 0; i < hashing->n; i++)
		upt_hash_free(&hashing->hash[i]);
}

static enum upt_code
hashing_add(struct hashing *hashing, enum upt_hash_alg alg, struct upt_err *err)
{
	UPT_TRY(upt_hash_new(alg, &hashing->hash[hashing->n], err));
	hashing->n++;
	return UPT_OK;
}

/* Reads in_fd from its start to its end, at most max_bytes, through hashing, and to out_fd unless
 * -1. */
static enum upt_code
pass_over(int in_fd, int out_fd, uint64_t max_bytes, struct hashing *hashing, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) uint8_t *buffer = malloc(COPY_BUFFER_BYTES);

	if (buffer == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to copy a file");
	for (;;) {
		/* pread: the offset of a shared descriptor is neither trusted nor moved. */
		ssize_t n = pread(in_fd, buffer, COPY_BUFFER_BYTES, (off_t)hashing->length_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read the image");
		if (n == 0)
			return UPT_OK;
		hashing->length_bytes += (uint64_t)n;
		if (hashing->length_bytes > max_bytes)
			return upt_fail(err, UPT_E_IMAGE_HASH,
				"the image has more than its listed %ju bytes",
				(uintmax_t)max_bytes);
		for (size_t i = 0; i < hashing->n; i++)
			UPT_TRY(upt_hash_update(
				hashing->hash[i], upt_span(buffer, (size_t)n), err));
		if (out_fd >= 0)
			UPT_TRY(upt_file_write_all(out_fd, upt_span(buffer, (size_t)n), err));
	}
}

/* Copies in_fd to out_fd; refuses other bytes than image lists, though out_fd has them by then. */
static enum upt_code
copy_checked(int in_fd, int out_fd, const struct upt_image *image, struct upt_err *err)
{
	upt_cleanup(hashing_clear) struct hashing hashing = {0};

	for (size_t i = 0; i < image->n_digests; i++)
		UPT_TRY(hashing_add(&hashing, image->digests[i].alg, err));
	UPT_TRY(pass_over(in_fd, out_fd, image->length_bytes, &hashing, err));
	if (hashing.length_bytes != image->length_bytes)
		return upt_fail(err, UPT_E_IMAGE_HASH, "the image has %ju bytes, listed are %ju",
			(uintmax_t)hashing.length_bytes, (uintmax_t)image->length_bytes);
	for (size_t i = 0; i < hashing.n; i++) {
		struct upt_digest got;
		UPT_TRY(upt_hash_final(hashing.hash[i], &got, err));
		if (!upt_digest_equal(&got, &image->digests[i]))
			return upt_fail(err, UPT_E_IMAGE_HASH,
				"the image's %s is not the listed one", upt_hash_name(got.alg));
	}
	return UPT_OK;
}

/* What the open file is. */
static enum upt_code
measure(int fd, struct upt_image *out, struct upt_err *err)
{
	upt_cleanup(hashing_clear) struct hashing hashing = {0};
	struct upt_image found = {0};

	UPT_TRY(hashing_add(&hashing, UPT_HASH_SHA256, err));
	UPT_TRY(hashing_add(&hashing, UPT_HASH_SHA512, err));
	UPT_TRY(pass_over(fd, -1, UINT64_MAX, &hashing, err));
	for (size_t i = 0; i < hashing.n; i++)
		UPT_TRY(upt_hash_final(hashing.hash[i], &found.digests[i], err));
	found.n_digests = hashing.n;
	found.length_bytes = hashing.length_bytes;
	*out = found;
	return UPT_OK;
}

/*
 * Opens the installed file or the backup; *fd is -1 when there is none. A symbolic link is refused:
 * it would be replaced by the next update, and its target's owner would decide what is reported.
 */
static enum upt_code
open_version(const char *path, int *fd, struct upt_err *err)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 && errno == ENOENT)
		return UPT_OK;
	if (*fd < 0 && errno == ELOOP)
		return upt_fail(err, UPT_E_CONFIG, "%s is a symbolic link", path);
	if (*fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s", path);
	if (fstat(*fd, &st) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return upt_fail(err, UPT_E_CONFIG, "%s is not a regular file", path);
	return UPT_OK;
}

/* True when a and b list at least one digest of the same algorithm and all such ones agree. */
static bool
same_content(const struct upt_image *a, const struct upt_image *b)
{
	struct upt_image x = *a, y = *b;

	x.name[0] = y.name[0] = '\0';
	return upt_image_same(&x, &y);
}

static enum upt_code
is_installed(
	struct file_installer *self, const struct upt_image *image, bool *yes, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_image found = {0};

	*yes = false;
	UPT_TRY(open_version(self->path, &fd, err));
	if (fd < 0)
		return UPT_OK;
	UPT_TRY(measure(fd, &found, err));
	*yes = same_content(&found, image);
	return UPT_OK;
}

static enum upt_code
check_job(const struct upt_install_job *job, struct upt_err *err)
{
	struct stat st;

	if (job->image->n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s lists no hash", job->image->name);
	if (job->image_fd < 0 || fstat(job->image_fd, &st) != 0)
		return upt_fail(err, UPT_E_IO, "the bytes of %s are not there", job->image->name);
	if (!S_ISREG(st.st_mode))
		return upt_fail(
			err, UPT_E_IO, "the bytes of %s are in no regular file", job->image->name);
	if ((uint64_t)st.st_size != job->image->length_bytes)
		return upt_fail(err, UPT_E_IMAGE_HASH, "%s has %jd bytes, listed are %ju",
			job->image->name, (intmax_t)st.st_size,
			(uintmax_t)job->image->length_bytes);
	return UPT_OK;
}

static enum upt_code
check_space(const struct file_installer *self, uint64_t need_bytes, struct upt_err *err)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(self->path_dir, &fs) != 0)
		return upt_fail_errno(
			err, errno, "cannot stat the file system of %s", self->path_dir);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes < need_bytes)
		return upt_fail(err, UPT_E_NO_SPACE, "%s has %ju bytes free, %ju are needed",
			self->path_dir, (uintmax_t)free_bytes, (uintmax_t)need_bytes);
	return UPT_OK;
}

/* New empty file at a temporary's place; a leftover of a power cut is ours to remove. */
static enum upt_code
open_temporary(const char *path, mode_t mode, int *fd, struct upt_err *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove stale %s", path);
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return upt_fail_errno(err, errno, "cannot create %s", path);
	if (fchmod(*fd, mode) != 0)
		return upt_fail_errno(err, errno, "cannot set the mode of %s", path);
	return UPT_OK;
}

static enum upt_code
sync_file(int fd, const char *path, struct upt_err *err)
{
	if (fsync(fd) != 0)
		return upt_fail_errno(err, errno, "cannot sync %s", path);
	return UPT_OK;
}

static enum upt_code
rename_durably(const char *from, const char *to, const char *dir, struct upt_err *err)
{
	if (rename(from, to) != 0)
		return upt_fail_errno(err, errno, "cannot rename %s to %s", from, to);
	return upt_dir_sync(AT_FDCWD, dir, err);
}

/* Puts the checked bytes beside the old file. */
static enum upt_code
write_new(struct file_installer *self, const struct upt_install_job *job, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;

	UPT_TRY(open_temporary(self->path_new, self->mode, &fd, err));
	UPT_TRY(copy_checked(job->image_fd, fd, job->image, err));
	return sync_file(fd, self->path_new, err);
}

/* A second name for from's content where the file system can, else a copy of it. */
static enum upt_code
duplicate(const char *from, const char *to, struct upt_err *err)
{
	upt_cleanup(hashing_clear) struct hashing none = {0};
	upt_cleanup(upt_close_fd) int in = -1;
	upt_cleanup(upt_close_fd) int out = -1;
	struct stat st;

	if (unlink(to) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove stale %s", to);
	if (link(from, to) == 0)
		return UPT_OK;
	/* FAT has no links, and the backup may be on another file system. */
	if (errno != EXDEV && errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return upt_fail_errno(err, errno, "cannot link %s to %s", from, to);
	UPT_TRY(open_version(from, &in, err));
	if (in < 0 || fstat(in, &st) != 0)
		return upt_fail(err, UPT_E_IO, "%s is gone", from);
	UPT_TRY(open_temporary(to, st.st_mode & 07777, &out, err));
	UPT_TRY(pass_over(in, out, UINT64_MAX, &none, err));
	return sync_file(out, to, err);
}

/* Keeps the installed file, if there is one, as the backup. */
static enum upt_code
keep_previous(struct file_installer *self, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	enum upt_code code;

	UPT_TRY(open_version(self->path, &fd, err));
	if (fd < 0)
		return UPT_OK;
	code = duplicate(self->path, self->backup_new, err);
	if (code == UPT_OK)
		code = rename_durably(self->backup_new, self->backup, self->backup_dir, err);
	/* Also after success: renaming one name of a file over another of it leaves both (POSIX).
	 */
	unlink(self->backup_new);
	return code;
}

static enum upt_code
file_current(struct upt_installer *base, struct upt_image *out, struct upt_err *err)
{
	struct file_installer *self = from_base(base);
	upt_cleanup(upt_close_fd) int fd = -1;

	*out = (struct upt_image){0};
	UPT_TRY(open_version(self->path, &fd, err));
	if (fd < 0)
		return UPT_OK;
	return measure(fd, out, err);
}

static enum upt_code
file_prepare(struct upt_installer *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct file_installer *self = from_base(base);
	uint8_t first;

	if (progress != NULL && progress->cancel != NULL && *progress->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "preparing %s was cancelled", self->path);
	UPT_TRY(check_job(job, err));
	if (pread(job->image_fd, &first, 1, 0) < 0)
		return upt_fail_errno(err, errno, "cannot read the bytes of %s", job->image->name);
	unlink(self->path_new); /* what a power cut left must not count against the free space */
	return check_space(self, job->image->length_bytes, err);
}

static enum upt_code
file_install(struct upt_installer *base, const struct upt_install_job *job, bool *needs_reboot,
	struct upt_err *err)
{
	struct file_installer *self = from_base(base);
	enum upt_code code;
	bool already;

	*needs_reboot = false;
	UPT_TRY(check_job(job, err));
	/* After a cut between rename and report the file is in place: going on would overwrite the
	 * backup with the very version it shall protect from. */
	UPT_TRY(is_installed(self, job->image, &already, err));
	if (already)
		return upt_dir_sync(AT_FDCWD, self->path_dir, err);
	code = write_new(self, job, err);
	if (code == UPT_OK)
		code = keep_previous(self, err);
	if (code == UPT_OK)
		code = rename_durably(self->path_new, self->path, self->path_dir, err);
	if (code != UPT_OK) {
		unlink(self->path_new);
		return upt_wrap(err, code, "installing %s", self->path);
	}
	upt_log(base->log, UPT_LOG_INFO, "installed %s as %s", job->image->name, self->path);
	return UPT_OK;
}

static enum upt_code
file_finalize(
	struct upt_installer *base, const struct upt_image *image, bool *done, struct upt_err *err)
{
	struct file_installer *self = from_base(base);
	bool installed;

	*done = false;
	UPT_TRY(is_installed(self, image, &installed, err));
	if (!installed)
		return upt_fail(err, UPT_E_INSTALL, "%s does not hold %s", self->path, image->name);
	*done = true;
	return UPT_OK;
}

/* Swaps installed file and backup where the file system has no exchange, or they have two. */
static enum upt_code
exchange_by_copies(struct file_installer *self, struct upt_err *err)
{
	enum upt_code code = duplicate(self->backup, self->path_new, err);

	if (code == UPT_OK)
		code = duplicate(self->path, self->backup_new, err);
	if (code == UPT_OK)
		code = rename_durably(self->path_new, self->path, self->path_dir, err);
	if (code == UPT_OK)
		code = rename_durably(self->backup_new, self->backup, self->backup_dir, err);
	if (code != UPT_OK) {
		unlink(self->path_new);
		unlink(self->backup_new);
	}
	return code;
}

/* Both versions must exist and be two files: a cut right after the backup was made leaves one. */
static enum upt_code
check_two_versions(struct file_installer *self, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int now = -1;
	upt_cleanup(upt_close_fd) int old = -1;
	struct stat a, b;

	UPT_TRY(open_version(self->path, &now, err));
	UPT_TRY(open_version(self->backup, &old, err));
	if (now < 0 || old < 0)
		return upt_fail(err, UPT_E_INSTALL, "nothing to go back to: there is no %s",
			now < 0 ? self->path : self->backup);
	if (fstat(now, &a) != 0 || fstat(old, &b) != 0)
		return upt_fail_errno(err, errno, "cannot stat %s", self->path);
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return upt_fail(err, UPT_E_INSTALL,
			"nothing to go back to: %s and its backup are one version", self->path);
	return UPT_OK;
}

static enum upt_code
file_rollback(struct upt_installer *base, bool *needs_reboot, struct upt_err *err)
{
	struct file_installer *self = from_base(base);

	*needs_reboot = false;
	UPT_TRY(check_two_versions(self, err));
	/* glibc has renameat2 since 2.28 only; musl has none. */
	if (syscall(SYS_renameat2, AT_FDCWD, self->backup, AT_FDCWD, self->path, RENAME_EXCHANGE) !=
		0) {
		if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EPERM)
			return upt_fail_errno(
				err, errno, "cannot exchange %s and %s", self->path, self->backup);
		UPT_TRY(exchange_by_copies(self, err));
	} else {
		UPT_TRY(upt_dir_sync(AT_FDCWD, self->path_dir, err));
		UPT_TRY(upt_dir_sync(AT_FDCWD, self->backup_dir, err));
	}
	upt_log(base->log, UPT_LOG_INFO, "%s is the previous version again", self->path);
	return UPT_OK;
}

static void
file_free(struct upt_installer *base)
{
	struct file_installer *self = from_base(base);

	free(self->path);
	free(self->path_new);
	free(self->backup);
	free(self->backup_new);
	free(self->path_dir);
	free(self->backup_dir);
	free(self);
}

static const struct upt_installer_ops file_ops = {
	.format = "BINARY",
	.needs_image = true,
	.current = file_current,
	.prepare = file_prepare,
	.install = file_install,
	.finalize = file_finalize,
	.rollback = file_rollback,
	.free = file_free,
};

static char *
with_suffix(const char *path, const char *suffix)
{
	char *out = NULL;

	return asprintf(&out, "%s%s", path, suffix) < 0 ? NULL : out;
}

static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool
set_paths(struct file_installer *self, const struct upt_file_installer_config *config)
{
	self->path = strdup(config->path);
	self->path_new = with_suffix(config->path, ".new");
	self->path_dir = directory_of(config->path);
	self->backup = config->backup_path != NULL ? strdup(config->backup_path)
						   : with_suffix(config->path, ".previous");
	if (self->backup == NULL)
		return false;
	self->backup_new = with_suffix(self->backup, ".new");
	self->backup_dir = directory_of(self->backup);
	return self->path != NULL && self->path_new != NULL && self->path_dir != NULL &&
	       self->backup_new != NULL && self->backup_dir != NULL;
}

enum upt_code
upt_file_installer_new(const struct upt_file_installer_config *config, const struct upt_log *log,
	struct upt_installer **out, struct upt_err *err)
{
	struct file_installer *self;
	size_t len;

	*out = NULL;
	len = config->path == NULL ? 0 : strlen(config->path);
	if (len == 0 || len >= PATH_MAX - 16 || config->path[len - 1] == '/')
		return upt_fail(err, UPT_E_CONFIG, "the file installer needs a file's path");
	if (config->backup_path != NULL && strcmp(config->backup_path, config->path) == 0)
		return upt_fail(err, UPT_E_CONFIG, "%s cannot be its own backup", config->path);
	if (config->mode > 0777)
		return upt_fail(err, UPT_E_CONFIG, "mode %o of %s is out of bounds", config->mode,
			config->path);
	self = calloc(1, sizeof(*self));
	if (self == NULL || !set_paths(self, config)) {
		if (self != NULL)
			file_free(&self->base);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the file installer");
	}
	self->base.ops = &file_ops;
	self->base.log = log;
	self->mode = config->mode == 0 ? 0644 : (mode_t)config->mode;
	*out = &self->base;
	return UPT_OK;
}
