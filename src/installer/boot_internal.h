/*
 * The boot loaders' own files and their parsers: boot_uboot.c, boot_grub.c, boot_systemd.c,
 * boot_none.c. What they read may be anything: a file on a FAT partition that any system on the
 * device, or a person with its disk, has written. Thread-safety: parsers are pure.
 */
#ifndef UPT_INSTALLER_BOOT_INTERNAL_H
#define UPT_INSTALLER_BOOT_INTERNAL_H

#include "installer/boot.h"

#define UPT_GRUBENV_BYTES 1024 /* GRUB writes into the file's blocks: it never has another size */
#define UPT_BOOT_TEXT_MAX ((size_t)256 * 1024)
#define UPT_BOOT_VALUE_MAX 16
#define UPT_BOOT_NAME_MAX 255

UPT_NODISCARD enum upt_code upt_boot_uboot_new(
	const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_boot_grub_new(const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_boot_systemd_new(
	const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_boot_none_new(const struct upt_boot_config *config, struct upt_boot **out, struct upt_err *err);

/* Whether this loader has booted the machine, as far as files tell. */
bool upt_boot_uboot_found(const struct upt_boot_config *config);
bool upt_boot_grub_found(const struct upt_boot_config *config);
bool upt_boot_systemd_found(const struct upt_boot_config *config);

/* One or two digits more than any counter needs: at most six, no sign. */
bool upt_boot_number(const char *text, size_t len, unsigned *out);

/* ---- boot_uboot.c ---- */

/*
 * The value of name in lines "NAME=VALUE", as fw_printenv and uEnv.txt have them; out is "" and
 * *found false when it is not there. UPT_E_MALFORMED when it is there twice: one of them could be
 * the second line of another variable; or is longer than UPT_BOOT_VALUE_MAX.
 */
UPT_NODISCARD enum upt_code upt_uboot_env_find(struct upt_span text, const char *name,
	char out[static UPT_BOOT_VALUE_MAX + 1], bool *found, struct upt_err *err);

/* ---- boot_grub.c ---- */

struct upt_grubenv_value {
	const char *name;
	const char *value; /* NULL: the variable is removed */
};

/* out is "" and *found false when there is no such variable; a value too long for out is cut, and
 * none of ours is. UPT_E_MALFORMED when block is none of 1024 bytes with GRUB's first line. */
UPT_NODISCARD enum upt_code upt_grubenv_find(struct upt_span block, const char *name,
	char out[static UPT_BOOT_VALUE_MAX + 1], bool *found, struct upt_err *err);
/* Sets variables in block; all others stay as they are. UPT_E_NO_SPACE, block unchanged, when they
 * do not fit; UPT_E_MALFORMED. */
UPT_NODISCARD enum upt_code upt_grubenv_set(uint8_t block[static UPT_GRUBENV_BYTES],
	const struct upt_grubenv_value *values, size_t n, struct upt_err *err);

/* ---- boot_systemd.c ---- */

/* NAME.conf, NAME+LEFT.conf or NAME+LEFT-DONE.conf. */
struct upt_boot_entry {
	char name[UPT_BOOT_NAME_MAX + 1];
	bool counts;
	unsigned left, done;
};

/* False when file is no entry, or is one with a counter that systemd-boot would not read. */
bool upt_boot_entry_parse(const char *file, struct upt_boot_entry *out);
/* The file name of the entry that booted, from the EFI variable LoaderBootCountPath: four bytes of
 * attributes and UTF-16. False when it is something else. */
bool upt_boot_count_path_parse(struct upt_span bytes, char out[static UPT_BOOT_NAME_MAX + 1]);

#endif
