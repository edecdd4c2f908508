/*
 * GRUB: variables in its environment block, counted by grub.cfg as Fedora's does: while
 * boot_success is 0, each boot takes 1 from boot_counter; at 0 it becomes -1 and the second entry,
 * the previous deployment, is booted. The block is written in place and as a whole: GRUB itself
 * writes into the file's blocks, the file may be behind a link or on FAT, and a full disk must not
 * empty it. What is in use fits into the first of the disk's sectors, the rest is filling.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "installer/boot_internal.h"

#define GRUB_CFG_MAX_BYTES ((size_t)4 * 1024 * 1024)

static const char signature[] = "# GRUB Environment Block\n";

struct grub {
	struct upt_boot base;
	const char *path, *cfg;
};

/* ---- the block ---- */

static bool
is_block(struct upt_span block)
{
	return block.len == UPT_GRUBENV_BYTES &&
	       memcmp(block.data, signature, strlen(signature)) == 0;
}

/* The end of the line at i, behind its newline; a backslash takes the next byte with it. */
static size_t
line_end(struct upt_span block, size_t i)
{
	while (i < block.len && block.data[i] != '\n')
		i += block.data[i] == '\\' ? 2 : 1;
	return i < block.len ? i + 1 : block.len;
}

static bool
is_line_of(struct upt_span block, size_t i, size_t end, const char *name)
{
	size_t len = strlen(name);

	return end - i > len + 1 && memcmp(block.data + i, name, len) == 0 &&
	       block.data[i + len] == '=' && block.data[end - 1] == '\n';
}

enum upt_code
upt_grubenv_find(struct upt_span block, const char *name, char out[static UPT_BOOT_VALUE_MAX + 1],
	bool *found, struct upt_err *err)
{
	out[0] = '\0';
	*found = false;
	if (!is_block(block))
		return upt_fail(err, UPT_E_MALFORMED, "no environment block of GRUB");
	for (size_t i = 0, end; i < block.len; i = end) {
		size_t start, len;

		end = line_end(block, i);
		if (!is_line_of(block, i, end, name))
			continue;
		start = i + strlen(name) + 1;
		len = end - 1 - start;
		/* The last one counts, as for GRUB. */
		snprintf(out, UPT_BOOT_VALUE_MAX + 1, "%.*s", (int)len,
			(const char *)block.data + start);
		*found = true;
	}
	return UPT_OK;
}

static bool
is_set(const struct upt_grubenv_value *values, size_t n, struct upt_span block, size_t i,
	size_t end)
{
	for (size_t k = 0; k < n; k++) {
		if (is_line_of(block, i, end, values[k].name))
			return true;
	}
	return false;
}

/* Filling reaches from here to the end; a comment is no filling. */
static bool
is_filling(struct upt_span block, size_t i)
{
	for (; i < block.len; i++) {
		if (block.data[i] != '#')
			return false;
	}
	return true;
}

enum upt_code
upt_grubenv_set(uint8_t block[static UPT_GRUBENV_BYTES], const struct upt_grubenv_value *values,
	size_t n, struct upt_err *err)
{
	struct upt_span old = upt_span(block, UPT_GRUBENV_BYTES);
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	if (!is_block(old))
		return upt_fail(err, UPT_E_MALFORMED, "no environment block of GRUB");
	for (size_t i = 0, end; i < old.len && !is_filling(old, i); i = end) {
		end = line_end(old, i);
		if (!is_set(values, n, old, i, end))
			UPT_TRY(upt_buf_append(&text, old.data + i, end - i, err));
	}
	/* A last line without an end would swallow what comes behind it. */
	if (text.data[text.len - 1] != '\n')
		return upt_fail(err, UPT_E_MALFORMED, "GRUB's environment block ends in a line");
	for (size_t k = 0; k < n; k++) {
		if (values[k].value != NULL)
			UPT_TRY(upt_buf_printf(
				&text, err, "%s=%s\n", values[k].name, values[k].value));
	}
	if (text.len > UPT_GRUBENV_BYTES)
		return upt_fail(err, UPT_E_NO_SPACE,
			"GRUB's environment block is full: %zu bytes, %d is all there is", text.len,
			UPT_GRUBENV_BYTES);
	memcpy(block, text.data, text.len);
	memset(block + text.len, '#', UPT_GRUBENV_BYTES - text.len);
	return UPT_OK;
}

/* ---- the file ---- */

static enum upt_code
read_block(const struct grub *self, struct upt_buf *out, struct upt_err *err)
{
	enum upt_code code = upt_file_read(AT_FDCWD, self->path, UPT_GRUBENV_BYTES, out, err);

	if (code != UPT_OK)
		return code;
	return is_block(upt_buf_span(out))
		       ? UPT_OK
		       : upt_fail(err, UPT_E_MALFORMED, "%s is no environment block of GRUB",
				 self->path);
}

static enum upt_code
write_block(const struct grub *self, const struct upt_buf *block, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = open(self->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return upt_fail_errno(err, errno, "cannot open %s", self->path);
	if (pwrite(fd, block->data, UPT_GRUBENV_BYTES, 0) != UPT_GRUBENV_BYTES || fsync(fd) != 0)
		return upt_fail_errno(err, errno, "cannot write %s", self->path);
	return UPT_OK;
}

static enum upt_code
set_values(const struct grub *self, const struct upt_grubenv_value *values, size_t n,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf block = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf before = {0};
	enum upt_code code;

	UPT_TRY(read_block(self, &block, err));
	UPT_TRY(upt_buf_append(&before, block.data, block.len, err));
	code = upt_grubenv_set(block.data, values, n, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", self->path);
	if (upt_span_equal(upt_buf_span(&before), upt_buf_span(&block)))
		return UPT_OK;
	return write_block(self, &block, err);
}

static enum upt_code
grub_probe(struct upt_boot *base, struct upt_boot_facts *out, struct upt_err *err)
{
	const struct grub *self = (const struct grub *)base;
	upt_cleanup(upt_buf_clear) struct upt_buf block = {0}, cfg = {0};
	char beside[PATH_MAX];
	const char *path = self->cfg;
	enum upt_code code;

	*out = (struct upt_boot_facts){0};
	UPT_TRY(read_block(self, &block, err));
	if (path == NULL) {
		snprintf(beside, sizeof(beside), "%.*s/grub.cfg",
			(int)(strrchr(self->path, '/') - self->path), self->path);
		path = beside;
	}
	code = upt_file_read(AT_FDCWD, path, GRUB_CFG_MAX_BYTES, &cfg, err);
	if (code == UPT_OK && memmem(cfg.data, cfg.len, "boot_counter", 12) != NULL) {
		out->abilities = UPT_BOOT_COUNTS | UPT_BOOT_TELLS | UPT_BOOT_GAPLESS;
		return UPT_OK;
	}
	snprintf(out->text, sizeof(out->text),
		"%.200s does not count boot_counter: it does not go back", path);
	return UPT_OK;
}

static enum upt_code
grub_arm(struct upt_boot *base, unsigned tries, struct upt_err *err)
{
	char counter[16];
	const struct upt_grubenv_value values[] = {
		{"boot_counter", counter}, {"boot_success", "0"}};

	snprintf(counter, sizeof(counter), "%u", tries);
	return set_values((const struct grub *)base, values, 2, err);
}

static enum upt_code
grub_mark_good(struct upt_boot *base, struct upt_err *err)
{
	static const struct upt_grubenv_value values[] = {
		{"boot_counter", NULL}, {"boot_success", "1"}};

	return set_values((const struct grub *)base, values, 2, err);
}

static enum upt_code
grub_look(struct upt_boot *base, struct upt_boot_state *out, struct upt_err *err)
{
	const struct grub *self = (const struct grub *)base;
	upt_cleanup(upt_buf_clear) struct upt_buf block = {0};
	char value[UPT_BOOT_VALUE_MAX + 1];
	struct upt_boot_state state = {.tells_tries = true};

	*out = (struct upt_boot_state){0};
	UPT_TRY(read_block(self, &block, err));
	UPT_TRY(upt_grubenv_find(upt_buf_span(&block), "boot_counter", value, &state.armed, err));
	state.fell_back = strcmp(value, "-1") == 0;
	if (state.armed && !state.fell_back &&
		!upt_boot_number(value, strlen(value), &state.tries_left))
		return upt_fail(err, UPT_E_MALFORMED, "%s: boot_counter is no number: %s",
			self->path, value);
	*out = state;
	return UPT_OK;
}

static void
grub_free(struct upt_boot *base)
{
	free(base);
}

static const struct upt_boot_ops grub_ops = {.name = "grub",
	.probe = grub_probe,
	.arm = grub_arm,
	.mark_good = grub_mark_good,
	.look = grub_look,
	.free = grub_free};

static const char *
path_of(const struct upt_boot_config *config)
{
	static const char fedora[] = "/boot/grub2/grubenv";

	if (config->grubenv != NULL)
		return config->grubenv;
	return access(fedora, F_OK) == 0 ? fedora : "/boot/grub/grubenv";
}

bool
upt_boot_grub_found(const struct upt_boot_config *config)
{
	return access(path_of(config), F_OK) == 0;
}

enum upt_code
upt_boot_grub_new(const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err)
{
	struct grub *self = calloc(1, sizeof(*self));

	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a boot loader");
	*self = (struct grub){
		.base.ops = &grub_ops, .path = path_of(config), .cfg = config->grub_cfg};
	*out = &self->base;
	return UPT_OK;
}
