#include "installer/boot.h"

#include "installer/boot_internal.h"

bool
upt_boot_number(const char *text, size_t len, unsigned *out)
{
	unsigned value = 0;

	if (len == 0 || len > 6)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*out = value;
	return true;
}

/* systemd-boot and GRUB leave traces that nothing else does; an environment may be there for
 * another loader's sake, so it is the last that is asked. */
static enum upt_boot_kind
detect(const struct upt_boot_config *config)
{
	if (upt_boot_systemd_found(config))
		return UPT_BOOT_SYSTEMD;
	if (upt_boot_grub_found(config))
		return UPT_BOOT_GRUB;
	return upt_boot_uboot_found(config) ? UPT_BOOT_UBOOT : UPT_BOOT_NONE;
}

enum upt_code
upt_boot_new(const struct upt_boot_config *config, const struct upt_log *log, struct upt_boot **out,
	struct upt_err *err)
{
	static enum upt_code (*const make[])(
		const struct upt_boot_config *, struct upt_boot **, struct upt_err *) = {
		[UPT_BOOT_UBOOT] = upt_boot_uboot_new,
		[UPT_BOOT_GRUB] = upt_boot_grub_new,
		[UPT_BOOT_SYSTEMD] = upt_boot_systemd_new,
		[UPT_BOOT_NONE] = upt_boot_none_new,
	};
	enum upt_boot_kind kind = config->kind == UPT_BOOT_AUTO ? detect(config) : config->kind;

	*out = NULL;
	UPT_TRY(make[kind](config, out, err));
	(*out)->log = log;
	return UPT_OK;
}

void
upt_boot_describe(struct upt_boot *boot)
{
	struct upt_boot_facts facts = {0};
	struct upt_err err = {0};

	if (boot->ops->probe(boot, &facts, &err) != UPT_OK) {
		upt_log_err(boot->log, UPT_LOG_WARNING, &err, "boot loader %s", boot->ops->name);
		return;
	}
	if (facts.text[0] != '\0')
		upt_log(boot->log, UPT_LOG_WARNING, "boot loader %s: %s", boot->ops->name,
			facts.text);
	else
		upt_log(boot->log, UPT_LOG_INFO,
			"boot loader %s: goes back when a new system does not come up",
			boot->ops->name);
}
