/*
 * systemd-boot: the counter is in the name of a boot entry, NAME+LEFT-DONE.conf. Each boot takes 1
 * from LEFT and adds it to DONE; an entry with LEFT 0 sorts behind all others. Marked good, it
 * loses its counter. An entry can only be armed once libostree has written it: a power cut between
 * the two lets the new system boot uncounted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "installer/boot_internal.h"

#define LOADER_GUID "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define EFI_VARIABLE_MAX 2048
#define MAX_ENTRIES 64
#define ENTRY_MAX_BYTES ((size_t)64 * 1024)

struct sd_boot {
	struct upt_boot base;
	const char *entries, *efivars;
};

/* ---- names ---- */

static bool
parse_counter(const char *text, size_t len, struct upt_boot_entry *out)
{
	const char *dash = memchr(text, '-', len);
	size_t left_len = dash != NULL ? (size_t)(dash - text) : len;

	out->done = 0;
	return upt_boot_number(text, left_len, &out->left) &&
	       (dash == NULL || upt_boot_number(dash + 1, len - left_len - 1, &out->done));
}

bool
upt_boot_entry_parse(const char *file, struct upt_boot_entry *out)
{
	size_t len = strnlen(file, UPT_BOOT_NAME_MAX + 1);
	struct upt_boot_entry entry = {0};
	const char *plus;

	*out = (struct upt_boot_entry){0};
	if (len > UPT_BOOT_NAME_MAX || len <= 5 || memcmp(file + len - 5, ".conf", 5) != 0)
		return false;
	len -= 5;
	plus = memrchr(file, '+', len);
	if (plus != NULL) {
		if (!parse_counter(plus + 1, len - (size_t)(plus + 1 - file), &entry))
			return false;
		entry.counts = true;
		len = (size_t)(plus - file);
	}
	if (len == 0 || file[0] == '.' || memchr(file, '/', len) != NULL)
		return false;
	memcpy(entry.name, file, len);
	*out = entry;
	return true;
}

bool
upt_boot_count_path_parse(struct upt_span bytes, char out[static UPT_BOOT_NAME_MAX + 1])
{
	char name[UPT_BOOT_NAME_MAX + 1];
	size_t n = 0;

	out[0] = '\0';
	if (bytes.len < 6 || bytes.len % 2 != 0)
		return false;
	for (size_t i = 4; i < bytes.len; i += 2) {
		uint8_t low = bytes.data[i], high = bytes.data[i + 1];

		if (low == 0 && high == 0 && i + 2 == bytes.len)
			break;
		/* Entries of libostree are plain ASCII. */
		if (high != 0 || low < 0x20 || low > 0x7e)
			return false;
		if (low == '\\' || low == '/') {
			n = 0;
			continue;
		}
		if (n == UPT_BOOT_NAME_MAX)
			return false;
		name[n++] = (char)low;
	}
	if (n == 0)
		return false;
	memcpy(out, name, n);
	out[n] = '\0';
	return true;
}

static void
file_of(const struct upt_boot_entry *entry, char *out, size_t size)
{
	if (!entry->counts)
		snprintf(out, size, "%s.conf", entry->name);
	else if (entry->done == 0)
		snprintf(out, size, "%s+%u.conf", entry->name, entry->left);
	else
		snprintf(out, size, "%s+%u-%u.conf", entry->name, entry->left, entry->done);
}

/* ---- files ---- */

/* The entry that the loader counted for this boot; "" when it was none. */
static void
booted_entry(const struct sd_boot *self, char out[static UPT_BOOT_NAME_MAX + 1])
{
	char path[PATH_MAX];
	uint8_t bytes[EFI_VARIABLE_MAX];
	upt_cleanup(upt_close_fd) int fd = -1;
	ssize_t n;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/LoaderBootCountPath-" LOADER_GUID, self->efivars);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	/* efivarfs gives a variable as it is at one read. */
	n = read(fd, bytes, sizeof(bytes));
	if (n > 0 && !upt_boot_count_path_parse(upt_span(bytes, (size_t)n), out))
		upt_log(self->base.log, UPT_LOG_WARNING, "%s holds no path of an entry", path);
}

struct entries {
	size_t n;
	struct upt_boot_entry all[MAX_ENTRIES];
};

/* libostree's entries: others are not ours to count. */
static void
add_entry(struct entries *list, const char *file)
{
	struct upt_boot_entry entry;

	if (strncmp(file, "ostree-", 7) == 0 && list->n < MAX_ENTRIES &&
		upt_boot_entry_parse(file, &entry))
		list->all[list->n++] = entry;
}

static enum upt_code
list_entries(const struct sd_boot *self, struct entries *out, struct upt_err *err)
{
	DIR *dir = opendir(self->entries);
	const struct dirent *found;

	out->n = 0;
	if (dir == NULL)
		return upt_fail_errno(err, errno, "cannot open %s", self->entries);
	while ((found = readdir(dir)) != NULL)
		add_entry(out, found->d_name);
	closedir(dir);
	return UPT_OK;
}

static enum upt_code
rename_entry(const struct sd_boot *self, const struct upt_boot_entry *from,
	const struct upt_boot_entry *to, struct upt_err *err)
{
	char old_file[PATH_MAX], new_file[PATH_MAX];
	upt_cleanup(upt_close_fd) int dir = open(self->entries, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	file_of(from, old_file, sizeof(old_file));
	file_of(to, new_file, sizeof(new_file));
	if (strcmp(old_file, new_file) == 0)
		return UPT_OK;
	if (dir < 0 || renameat(dir, old_file, dir, new_file) != 0 || fsync(dir) != 0)
		return upt_fail_errno(
			err, errno, "cannot rename %s/%s to %s", self->entries, old_file, new_file);
	return UPT_OK;
}

/* The "version" line of an entry; libostree gives the default the highest. */
static enum upt_code
read_version(const struct sd_boot *self, const struct upt_boot_entry *entry, unsigned *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char file[UPT_BOOT_NAME_MAX + 32], path[PATH_MAX];
	const char *line;
	size_t len;

	*out = 0;
	file_of(entry, file, sizeof(file));
	if (snprintf(path, sizeof(path), "%s/%s", self->entries, file) >= (int)sizeof(path))
		return upt_fail(err, UPT_E_CONFIG, "%s is too long", self->entries);
	UPT_TRY(upt_file_read(AT_FDCWD, path, ENTRY_MAX_BYTES, &text, err));
	line = text.len > 0 ? (const char *)text.data : "";
	for (; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		len = strcspn(line, "\n");
		if (strncmp(line, "version ", 8) == 0 && upt_boot_number(line + 8, len - 8, out))
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_MALFORMED, "%s has no version", path);
}

/* ---- operations ---- */

static enum upt_code
systemd_probe(struct upt_boot *base, struct upt_boot_facts *out, struct upt_err *err)
{
	const struct sd_boot *self = (const struct sd_boot *)base;
	struct entries entries;

	*out = (struct upt_boot_facts){0};
	UPT_TRY(list_entries(self, &entries, err));
	out->abilities = UPT_BOOT_COUNTS | UPT_BOOT_TELLS;
	snprintf(out->text, sizeof(out->text),
		"a power cut in the middle of an installation can boot the new system uncounted");
	return UPT_OK;
}

static enum upt_code
systemd_arm(struct upt_boot *base, unsigned tries, struct upt_err *err)
{
	const struct sd_boot *self = (const struct sd_boot *)base;
	const struct upt_boot_entry *newest = NULL;
	struct upt_boot_entry armed;
	struct entries entries;
	unsigned version, highest = 0;

	UPT_TRY(list_entries(self, &entries, err));
	for (size_t i = 0; i < entries.n; i++) {
		UPT_TRY(read_version(self, &entries.all[i], &version, err));
		if (newest == NULL || version > highest) {
			newest = &entries.all[i];
			highest = version;
		}
	}
	if (newest == NULL)
		return upt_fail(err, UPT_E_INSTALL, "%s has no entry of libostree", self->entries);
	armed = *newest;
	armed.counts = true;
	armed.left = tries;
	armed.done = 0;
	return rename_entry(self, newest, &armed, err);
}

static enum upt_code
systemd_mark_good(struct upt_boot *base, struct upt_err *err)
{
	const struct sd_boot *self = (const struct sd_boot *)base;
	char booted[UPT_BOOT_NAME_MAX + 1], file[UPT_BOOT_NAME_MAX + 32];
	struct upt_boot_entry good;
	struct entries entries;

	booted_entry(self, booted);
	UPT_TRY(list_entries(self, &entries, err));
	for (size_t i = 0; i < entries.n; i++) {
		file_of(&entries.all[i], file, sizeof(file));
		if (strcmp(file, booted) != 0)
			continue;
		good = entries.all[i];
		good.counts = false;
		UPT_TRY(rename_entry(self, &entries.all[i], &good, err));
	}
	return UPT_OK;
}

static enum upt_code
systemd_look(struct upt_boot *base, struct upt_boot_state *out, struct upt_err *err)
{
	const struct sd_boot *self = (const struct sd_boot *)base;
	char booted[UPT_BOOT_NAME_MAX + 1], file[UPT_BOOT_NAME_MAX + 32];
	struct entries entries;

	*out = (struct upt_boot_state){0};
	booted_entry(self, booted);
	UPT_TRY(list_entries(self, &entries, err));
	for (size_t i = 0; i < entries.n; i++) {
		const struct upt_boot_entry *e = &entries.all[i];

		if (!e->counts)
			continue;
		file_of(e, file, sizeof(file));
		out->armed = true;
		out->tells_tries = true;
		out->tries_left = e->left;
		/* The last try is still one: it booted, and is what the variable names. */
		out->fell_back = e->left == 0 && strcmp(file, booted) != 0;
	}
	return UPT_OK;
}

static void
systemd_free(struct upt_boot *base)
{
	free(base);
}

static const struct upt_boot_ops systemd_ops = {.name = "systemd-boot",
	.arms_entry = true,
	.probe = systemd_probe,
	.arm = systemd_arm,
	.mark_good = systemd_mark_good,
	.look = systemd_look,
	.free = systemd_free};

static struct sd_boot
settings(const struct upt_boot_config *c)
{
	return (struct sd_boot){
		.base.ops = &systemd_ops,
		.entries = c->entries != NULL ? c->entries : "/boot/loader/entries",
		.efivars = c->efivars != NULL ? c->efivars : "/sys/firmware/efi/efivars",
	};
}

/* LoaderInfo is set by it alone; its text begins with its name. */
bool
upt_boot_systemd_found(const struct upt_boot_config *config)
{
	static const char name[] = "systemd-boot";
	struct sd_boot self = settings(config);
	char path[PATH_MAX];
	uint8_t bytes[128];
	upt_cleanup(upt_close_fd) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/LoaderInfo-" LOADER_GUID, self.efivars);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : 0;
	if (n < (ssize_t)(4 + 2 * strlen(name)))
		return false;
	for (size_t i = 0; i < strlen(name); i++) {
		if (bytes[4 + 2 * i] != (uint8_t)name[i] || bytes[5 + 2 * i] != 0)
			return false;
	}
	return true;
}

enum upt_code
upt_boot_systemd_new(
	const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err)
{
	struct sd_boot *self = calloc(1, sizeof(*self));

	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a boot loader");
	*self = settings(config);
	*out = &self->base;
	return UPT_OK;
}
