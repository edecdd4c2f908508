/*
 * U-Boot: variables of its environment, read and written with its own tools, which know where on
 * flash it is and keep two copies of it. With CONFIG_BOOTCOUNT_ENV it adds 1 to bootcount at each
 * boot while upgrade_available is 1, and runs altbootcmd once bootcount is above bootlimit; that
 * command boots what uEnv.txt, as libostree writes it, names kernel_image2 and bootargs2.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "installer/boot_internal.h"
#include "installer/run.h"

#define TOOL_TIMEOUT_MS 30000
#define UENV_MAX_BYTES ((size_t)64 * 1024)

struct uboot {
	struct upt_boot base;
	const char *printenv, *setenv, *config, *uenv;
};

static const char *
or_default(const char *path, const char *fallback)
{
	return path != NULL ? path : fallback;
}

static struct uboot
settings(const struct upt_boot_config *c)
{
	return (struct uboot){
		.printenv = or_default(c->fw_printenv, "/usr/bin/fw_printenv"),
		.setenv = or_default(c->fw_setenv, "/usr/bin/fw_setenv"),
		.config = or_default(c->fw_env_config, "/etc/fw_env.config"),
		.uenv = or_default(c->uenv, "/boot/loader/uEnv.txt"),
	};
}

enum upt_code
upt_uboot_env_find(struct upt_span text, const char *name, char out[static UPT_BOOT_VALUE_MAX + 1],
	bool *found, struct upt_err *err)
{
	const char *at = (const char *)text.data, *end = at + text.len;
	size_t name_len = strlen(name), len;
	char value[UPT_BOOT_VALUE_MAX + 1] = "";
	bool seen = false;

	out[0] = '\0';
	*found = false;
	for (const char *next; at < end; at = next) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		len = (size_t)((eol != NULL ? eol : end) - at);
		next = eol != NULL ? eol + 1 : end;
		if (len <= name_len || memcmp(at, name, name_len) != 0 || at[name_len] != '=')
			continue;
		if (seen)
			return upt_fail(err, UPT_E_MALFORMED, "%s is there twice", name);
		seen = true;
		len -= name_len + 1;
		if (len > UPT_BOOT_VALUE_MAX || memchr(at, '\0', name_len + 1 + len) != NULL)
			return upt_fail(err, UPT_E_MALFORMED, "%s has %zu bytes (at most %d)", name,
				len, UPT_BOOT_VALUE_MAX);
		memcpy(value, at + name_len + 1, len);
		value[len] = '\0';
	}
	memcpy(out, value, sizeof(value));
	*found = seen;
	return UPT_OK;
}

static enum upt_code
read_env(const struct uboot *self, struct upt_buf *out, struct upt_err *err)
{
	const char *const argv[] = {self->printenv, "-c", self->config, NULL};
	const struct upt_run run = {
		.argv = argv, .timeout_ms = TOOL_TIMEOUT_MS, .max_bytes = UPT_BOOT_TEXT_MAX};

	return upt_run(&run, out, err);
}

static enum upt_code
write_env(const struct uboot *self, const char *name, const char *value, struct upt_err *err)
{
	const char *const argv[] = {self->setenv, "-c", self->config, name, value, NULL};
	const struct upt_run run = {.argv = argv, .timeout_ms = TOOL_TIMEOUT_MS, .max_bytes = 256};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};
	enum upt_code code = upt_run(&run, &said, err);

	if (code == UPT_OK)
		return UPT_OK;
	return upt_wrap(err, code, "U-Boot's %s is not set (%s)", name,
		said.len > 0 ? (const char *)said.data : "it said nothing");
}

/* A counter of the environment; *found false: there is none. */
static enum upt_code
find_number(const struct upt_buf *env, const char *name, unsigned *out, bool *found,
	struct upt_err *err)
{
	char value[UPT_BOOT_VALUE_MAX + 1];

	*out = 0;
	UPT_TRY(upt_uboot_env_find(upt_buf_span(env), name, value, found, err));
	if (*found && !upt_boot_number(value, strlen(value), out))
		return upt_fail(err, UPT_E_MALFORMED, "U-Boot's %s is no number: %s", name, value);
	return UPT_OK;
}

static bool
has_variable(const struct upt_buf *text, const char *name)
{
	const char *at = text->len > 0 ? (const char *)text->data : "";
	size_t len = strlen(name);

	for (; at != NULL; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, len) == 0 && at[len] == '=' && at[len + 1] > ' ')
			return true;
	}
	return false;
}

static enum upt_code
uboot_probe(struct upt_boot *base, struct upt_boot_facts *out, struct upt_err *err)
{
	const struct uboot *self = (const struct uboot *)base;
	upt_cleanup(upt_buf_clear) struct upt_buf env = {0}, uenv = {0};
	struct upt_err ignored = {0};

	*out = (struct upt_boot_facts){0};
	UPT_TRY(read_env(self, &env, err));
	if (!has_variable(&env, "altbootcmd")) {
		snprintf(out->text, sizeof(out->text),
			"its environment has no altbootcmd: it does not go back");
		return UPT_OK;
	}
	out->abilities = UPT_BOOT_COUNTS | UPT_BOOT_GAPLESS;
	if (has_variable(&env, "bootcount") && has_variable(&env, "bootlimit"))
		out->abilities |= UPT_BOOT_TELLS;
	/* The first deployment has no other to go back to. */
	if (upt_file_read(AT_FDCWD, self->uenv, UENV_MAX_BYTES, &uenv, &ignored) == UPT_OK &&
		!has_variable(&uenv, "kernel_image2"))
		snprintf(out->text, sizeof(out->text), "%s names no previous system yet",
			self->uenv);
	return UPT_OK;
}

/* upgrade_available is the last: until then nothing counts, and from then on the count is right. */
static enum upt_code
uboot_arm(struct upt_boot *base, unsigned tries, struct upt_err *err)
{
	const struct uboot *self = (const struct uboot *)base;
	char limit[16];

	snprintf(limit, sizeof(limit), "%u", tries);
	UPT_TRY(write_env(self, "bootcount", "0", err));
	UPT_TRY(write_env(self, "bootlimit", limit, err));
	return write_env(self, "upgrade_available", "1", err);
}

/* And the first here, so that a power cut leaves nothing that counts. */
static enum upt_code
uboot_mark_good(struct upt_boot *base, struct upt_err *err)
{
	const struct uboot *self = (const struct uboot *)base;

	UPT_TRY(write_env(self, "upgrade_available", "0", err));
	return write_env(self, "bootcount", "0", err);
}

static enum upt_code
uboot_look(struct upt_boot *base, struct upt_boot_state *out, struct upt_err *err)
{
	const struct uboot *self = (const struct uboot *)base;
	upt_cleanup(upt_buf_clear) struct upt_buf env = {0};
	unsigned armed, count, limit;
	bool found, has_count, has_limit;

	*out = (struct upt_boot_state){0};
	UPT_TRY(read_env(self, &env, err));
	UPT_TRY(find_number(&env, "upgrade_available", &armed, &found, err));
	UPT_TRY(find_number(&env, "bootcount", &count, &has_count, err));
	UPT_TRY(find_number(&env, "bootlimit", &limit, &has_limit, err));
	*out = (struct upt_boot_state){.armed = armed != 0, .tells_tries = has_count && has_limit};
	out->fell_back = out->armed && out->tells_tries && count > limit;
	out->tries_left = count < limit ? limit - count : 0;
	return UPT_OK;
}

static void
uboot_free(struct upt_boot *base)
{
	free(base);
}

static const struct upt_boot_ops uboot_ops = {.name = "uboot",
	.probe = uboot_probe,
	.arm = uboot_arm,
	.mark_good = uboot_mark_good,
	.look = uboot_look,
	.free = uboot_free};

bool
upt_boot_uboot_found(const struct upt_boot_config *config)
{
	struct uboot found = settings(config);

	return access(found.config, R_OK) == 0 && access(found.setenv, X_OK) == 0;
}

enum upt_code
upt_boot_uboot_new(const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err)
{
	struct uboot *self = calloc(1, sizeof(*self));

	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a boot loader");
	*self = settings(config);
	self->base.ops = &uboot_ops;
	*out = &self->base;
	return UPT_OK;
}
