/*
 * Settings of what happens around a reboot: [primary] boot_loader, boot_tries and reboot_command,
 * [boot] and [health]. Where the system that is updated is not the one that runs, but one in a
 * folder, the defaults touch nothing of the machine: no boot loader, no reboot.
 */
#include <string.h>
#include "primary/config.h"

#define MAX_WORDS 16
#define PAUSE_MS 1000

static enum upt_code
choice(struct upt_config *c, const char *section, const char *key, const char *const *names,
	size_t n, size_t fallback, size_t *out, struct upt_err *err)
{
	const struct upt_ini_entry *entry = upt_ini_find(&c->ini, section, "", key);

	*out = fallback;
	if (entry == NULL)
		return UPT_OK;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(entry->value, names[i]) == 0) {
			*out = i;
			return UPT_OK;
		}
	}
	return upt_ini_fail(
		err, entry, "'%s' is none of its values, see uptaned.conf(5)", entry->value);
}

static bool
is_own_system(const struct upt_config *c)
{
	return c->ecus[0].kind == UPT_INSTALLER_OSTREE && strcmp(c->ecus[0].sysroot, "/") == 0;
}

static enum upt_code
parse_loader(struct upt_config *c, struct upt_err *err)
{
	static const char *const names[] = {"auto", "uboot", "grub", "systemd-boot", "none"};
	struct upt_boot_config *loader = &c->trial.loader;
	size_t kind;

	UPT_TRY(choice(c, "primary", "boot_loader", names, 5, UPT_BOOT_AUTO, &kind, err));
	loader->kind = (enum upt_boot_kind)kind;
	if (loader->kind == UPT_BOOT_AUTO && !is_own_system(c))
		loader->kind = UPT_BOOT_NONE;
	loader->fw_printenv = upt_ini_optional(&c->ini, "boot", "", "fw_printenv");
	loader->fw_setenv = upt_ini_optional(&c->ini, "boot", "", "fw_setenv");
	loader->fw_env_config = upt_ini_optional(&c->ini, "boot", "", "fw_env_config");
	loader->uenv = upt_ini_optional(&c->ini, "boot", "", "uenv");
	loader->grubenv = upt_ini_optional(&c->ini, "boot", "", "grubenv");
	loader->grub_cfg = upt_ini_optional(&c->ini, "boot", "", "grub_cfg");
	loader->entries = upt_ini_optional(&c->ini, "boot", "", "entries");
	return upt_ini_u64(&c->ini, "primary", "", "boot_tries", 3, 1, 9, &c->trial.tries, err);
}

static enum upt_code
parse_health(struct upt_config *c, struct upt_err *err)
{
	static const char *const systems[] = {"target", "running", "off"};
	struct upt_health *health = &c->trial.health;
	uint64_t timeout_s, check_timeout_s;
	size_t system;

	UPT_TRY(choice(c, "health", "system", systems, 3,
		is_own_system(c) ? UPT_HEALTH_TARGET : UPT_HEALTH_OFF, &system, err));
	UPT_TRY(upt_ini_u64(&c->ini, "health", "", "timeout_s", 300, 0, 86400, &timeout_s, err));
	UPT_TRY(upt_ini_u64(
		&c->ini, "health", "", "check_timeout_s", 60, 1, 3600, &check_timeout_s, err));
	UPT_TRY(upt_ini_string(
		&c->ini, "health", "", "dir", "/etc/uptaned/health.d", &health->dir, err));
	if (health->dir[0] == '\0')
		health->dir = NULL;
	health->system = (enum upt_health_system)system;
	health->timeout_ms = (unsigned)timeout_s * 1000;
	health->check_timeout_ms = (unsigned)check_timeout_s * 1000;
	health->pause_ms = PAUSE_MS;
	return UPT_OK;
}

/* Words between spaces; there is no shell that would know quotes. */
static enum upt_code
split(struct upt_config *c, const struct upt_ini_entry *entry, const char *const **out,
	struct upt_err *err)
{
	size_t size = strlen(entry->value) + 1, n = 0;
	char *text = upt_arena_alloc(&c->ini.arena, size, 1);
	const char **argv = upt_arena_alloc(&c->ini.arena, MAX_WORDS + 1, sizeof(*argv));

	if (text == NULL || argv == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a command");
	memcpy(text, entry->value, size);
	for (char *word = text + strspn(text, " \t"); *word != '\0';) {
		size_t len = strcspn(word, " \t");

		if (n == MAX_WORDS)
			return upt_ini_fail(err, entry, "more than %d words", MAX_WORDS);
		argv[n++] = word;
		word += len;
		if (*word != '\0')
			*word++ = '\0';
		word += strspn(word, " \t");
	}
	if (n > 0 && argv[0][0] != '/')
		return upt_ini_fail(err, entry, "'%s' is no absolute path", argv[0]);
	*out = n > 0 ? argv : NULL;
	return UPT_OK;
}

static enum upt_code
parse_reboot(struct upt_config *c, struct upt_err *err)
{
	static const char *const systemctl[] = {"/usr/bin/systemctl", "reboot", NULL};
	const struct upt_ini_entry *entry = upt_ini_find(&c->ini, "primary", "", "reboot_command");

	if (entry != NULL)
		return split(c, entry, &c->trial.reboot_argv, err);
	c->trial.reboot_argv = is_own_system(c) ? systemctl : NULL;
	return UPT_OK;
}

enum upt_code
upt_config_parse_trial(struct upt_config *config, struct upt_err *err)
{
	UPT_TRY(parse_loader(config, err));
	UPT_TRY(parse_health(config, err));
	return parse_reboot(config, err);
}
