/*
 * What must be remembered across a reboot, and the two kernel files that tell which boot this is.
 */
#include "installer/ostree_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"

#define RECORD_MAX_BYTES 512
#define KERNEL_FILE_MAX_BYTES ((size_t)16 * 1024)

static const char *const kind_names[] = {"nothing", "install", "rollback"};

/* Takes "KEY VALUE\n" from the front of text; VALUE is not empty and shorter than size. Stops at
 * the NUL behind the bytes, or at one that is among them. */
static bool
take_line(const char **text, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key), len;
	const char *value;

	if (strncmp(*text, key, key_len) != 0 || (*text)[key_len] != ' ')
		return false;
	value = *text + key_len + 1;
	len = strcspn(value, "\n");
	if (value[len] != '\n' || len == 0 || len >= size)
		return false;
	memcpy(out, value, len);
	out[len] = '\0';
	*text = value + len + 1;
	return true;
}

static bool
parse_record(struct upt_span bytes, struct upt_ostree_record *out)
{
	const char *text = (const char *)bytes.data;
	char kind[16];

	if (!take_line(&text, "kind", kind, sizeof(kind)) ||
		!take_line(&text, "boot-id", out->boot_id, sizeof(out->boot_id)) ||
		!take_line(&text, "running", out->running, sizeof(out->running)) ||
		!take_line(&text, "commit", out->commit, sizeof(out->commit)) ||
		text != (const char *)bytes.data + bytes.len)
		return false;
	if (strcmp(kind, kind_names[UPT_OSTREE_INSTALL]) == 0)
		out->kind = UPT_OSTREE_INSTALL;
	else if (strcmp(kind, kind_names[UPT_OSTREE_ROLLBACK]) == 0)
		out->kind = UPT_OSTREE_ROLLBACK;
	return out->kind != UPT_OSTREE_NOTHING;
}

enum upt_code
upt_ostree_record_load(
	const struct upt_ostree *self, struct upt_ostree_record *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_ostree_record record = {0};
	enum upt_code code;

	*out = (struct upt_ostree_record){0};
	code = upt_file_read(AT_FDCWD, self->state_path, RECORD_MAX_BYTES, &buf, err);
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_OK && code != UPT_E_TOO_LARGE)
		return code;
	if (code != UPT_OK || !parse_record(upt_buf_span(&buf), &record)) {
		upt_log(self->base.log, UPT_LOG_WARNING, "%s holds no record and is ignored",
			self->state_path);
		return UPT_OK;
	}
	*out = record;
	return UPT_OK;
}

enum upt_code
upt_ostree_record_save(
	const struct upt_ostree *self, const struct upt_ostree_record *record, struct upt_err *err)
{
	char text[RECORD_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "kind %s\nboot-id %s\nrunning %s\ncommit %s\n",
		kind_names[record->kind], record->boot_id, record->running, record->commit);

	return upt_file_replace(AT_FDCWD, self->state_path, 0644, upt_span(text, (size_t)n), err);
}

enum upt_code
upt_ostree_record_remove(const struct upt_ostree *self, struct upt_err *err)
{
	/* Not synced: a record that a power cut brings back names a boot that is over. */
	if (unlink(self->state_path) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove %s", self->state_path);
	return UPT_OK;
}

/* Reads a file of the kernel, which has no size before it is read. */
static enum upt_code
read_kernel_file(const char *path, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s", path);
	for (;;) {
		ssize_t n;
		UPT_TRY(upt_buf_reserve(out, 4096, err));
		n = read(fd, out->data + out->len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read %s", path);
		out->len += (size_t)n;
		out->data[out->len] = 0;
		if (n == 0)
			return UPT_OK;
		if (out->len > KERNEL_FILE_MAX_BYTES)
			return upt_fail(err, UPT_E_TOO_LARGE, "%s has more than %zu bytes", path,
				KERNEL_FILE_MAX_BYTES);
	}
}

enum upt_code
upt_ostree_boot_id(const struct upt_ostree *self, char out[static UPT_OSTREE_BOOT_ID_CHARS + 1],
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	const char *text;

	out[0] = '\0';
	UPT_TRY(read_kernel_file(self->boot_id_path, &buf, err));
	text = (const char *)buf.data;
	if (buf.len != UPT_OSTREE_BOOT_ID_CHARS + 1 ||
		strspn(text, "0123456789abcdef-") != UPT_OSTREE_BOOT_ID_CHARS ||
		text[UPT_OSTREE_BOOT_ID_CHARS] != '\n')
		return upt_fail(err, UPT_E_IO, "%s holds no boot id", self->boot_id_path);
	memcpy(out, text, UPT_OSTREE_BOOT_ID_CHARS);
	out[UPT_OSTREE_BOOT_ID_CHARS] = '\0';
	return UPT_OK;
}

enum upt_code
upt_ostree_booted_link(const struct upt_ostree *self, char *out, size_t size, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	const char *found = NULL;
	size_t found_len = 0;

	out[0] = '\0';
	UPT_TRY(read_kernel_file(self->cmdline_path, &buf, err));
	/* Behind a NUL there could be a second one. */
	if (strlen((const char *)buf.data) != buf.len)
		return upt_fail(err, UPT_E_INSTALL, "%s holds a NUL byte", self->cmdline_path);
	for (const char *word = (const char *)buf.data; *word != '\0';) {
		size_t len = strcspn(word, " \n");
		if (strncmp(word, "ostree=", 7) == 0) {
			if (found != NULL)
				return upt_fail(err, UPT_E_INSTALL, "%s names two deployments",
					self->cmdline_path);
			found = word + 7;
			found_len = len - 7;
		}
		word += len;
		word += strspn(word, " \n");
	}
	if (found == NULL || found_len == 0 || found_len >= size)
		return upt_fail(err, UPT_E_INSTALL, "%s names no deployment", self->cmdline_path);
	memcpy(out, found, found_len);
	out[found_len] = '\0';
	return UPT_OK;
}
