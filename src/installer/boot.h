/*
 * Boot loaders: what makes a device boot the old system again when the new one does not come up at
 * all. One file each behind this ops table; what a loader cannot do is known, and said, when the
 * service starts. All of them count: armed with N tries before the reboot, a loader boots the new
 * system at most N times, and the previous one after that, unless it is told that a boot was good.
 * Thread-safety: a loader belongs to one thread.
 */
#ifndef UPT_INSTALLER_BOOT_H
#define UPT_INSTALLER_BOOT_H

#include "base/log.h"
#include "base/span.h"

enum upt_boot_kind {
	UPT_BOOT_AUTO = 0, /* finds out; UPT_BOOT_NONE when nothing is found */
	UPT_BOOT_UBOOT,
	UPT_BOOT_GRUB,
	UPT_BOOT_SYSTEMD,
	UPT_BOOT_NONE,
};

/* NULL takes the default in brackets. */
struct upt_boot_config {
	enum upt_boot_kind kind;
	const char *fw_printenv; /* [/usr/bin/fw_printenv] */
	const char *fw_setenv; /* [/usr/bin/fw_setenv] */
	const char *fw_env_config; /* [/etc/fw_env.config] */
	const char *uenv; /* [/boot/loader/uEnv.txt], as libostree writes it */
	const char *grubenv; /* [/boot/grub2/grubenv, else /boot/grub/grubenv] */
	const char *grub_cfg; /* [grub.cfg beside grubenv] */
	const char *entries; /* [/boot/loader/entries] of systemd-boot */
	const char *efivars; /* [/sys/firmware/efi/efivars] */
};

/* What a loader on this machine can do. */
enum upt_boot_ability {
	UPT_BOOT_COUNTS = 1, /* goes back by itself when nobody marks a boot good */
	UPT_BOOT_TELLS = 2, /* says how many tries are left and whether it went back */
	/* armed before the new system is the default: no power cut lets that one boot uncounted */
	UPT_BOOT_GAPLESS = 4,
};

struct upt_boot_facts {
	unsigned abilities; /* enum upt_boot_ability */
	char text[256]; /* what it cannot do, and why; "" when it can all */
};

struct upt_boot_state {
	bool armed; /* it counts: the next boots are on trial */
	bool fell_back; /* the tries were used up: what runs is the previous system */
	bool tells_tries;
	unsigned tries_left; /* while tells_tries */
};

struct upt_boot;

struct upt_boot_ops {
	const char *name; /* as the configuration spells it */
	/* True: armed for a boot entry, which must be there; false: before the entry comes. */
	bool arms_entry;
	enum upt_code (*probe)(
		struct upt_boot *self, struct upt_boot_facts *out, struct upt_err *err);
	/* The next system has tries boots (1 to 9) to prove itself. Idempotent, durable. */
	enum upt_code (*arm)(struct upt_boot *self, unsigned tries, struct upt_err *err);
	/* What booted is good: it is not counted any longer. Idempotent, durable. */
	enum upt_code (*mark_good)(struct upt_boot *self, struct upt_err *err);
	enum upt_code (*look)(
		struct upt_boot *self, struct upt_boot_state *out, struct upt_err *err);
	void (*free)(struct upt_boot *self);
};

/* First member of every loader. */
struct upt_boot {
	const struct upt_boot_ops *ops;
	const struct upt_log *log; /* borrowed, may be NULL */
};

/* config is borrowed for the loader's life. UPT_E_NO_MEMORY. */
UPT_NODISCARD enum upt_code upt_boot_new(const struct upt_boot_config *config,
	const struct upt_log *log, struct upt_boot **out, struct upt_err *err);

static inline void
upt_boot_free(struct upt_boot **boot)
{
	if (*boot != NULL)
		(*boot)->ops->free(*boot);
	*boot = NULL;
}

/* Says in the log which loader is used and what it cannot do. */
void upt_boot_describe(struct upt_boot *boot);

#endif
