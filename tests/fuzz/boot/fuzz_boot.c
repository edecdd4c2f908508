/*
 * What boot loaders leave behind: GRUB's environment block (first byte 'g'), U-Boot's environment
 * or uEnv.txt ('u'), the name of a boot entry ('e'), an EFI variable with a path ('p').
 */
#include "fuzz.h"

#include <string.h>

#include "installer/boot_internal.h"

static void
fuzz_grubenv(struct upt_span text)
{
	static const struct upt_grubenv_value values[] = {
		{"boot_counter", "3"}, {"boot_success", NULL}};
	char value[UPT_BOOT_VALUE_MAX + 1], other[UPT_BOOT_VALUE_MAX + 1];
	uint8_t block[UPT_GRUBENV_BYTES];
	bool found, had;

	if (upt_grubenv_find(text, "saved", other, &had, NULL) != UPT_OK)
		return;
	memcpy(block, text.data, sizeof(block));
	if (upt_grubenv_set(block, values, 2, NULL) != UPT_OK) {
		FUZZ_ASSERT(memcmp(block, text.data, sizeof(block)) == 0);
		return;
	}
	text = upt_span(block, sizeof(block));
	FUZZ_ASSERT(upt_grubenv_find(text, "boot_counter", value, &found, NULL) == UPT_OK);
	FUZZ_ASSERT(found && strcmp(value, "3") == 0);
	FUZZ_ASSERT(upt_grubenv_find(text, "boot_success", value, &found, NULL) == UPT_OK);
	FUZZ_ASSERT(!found);
	/* another variable is as it was */
	FUZZ_ASSERT(upt_grubenv_find(text, "saved", value, &found, NULL) == UPT_OK);
	FUZZ_ASSERT(found == had && strcmp(value, other) == 0);
}

static void
fuzz_env(struct upt_span text)
{
	char value[UPT_BOOT_VALUE_MAX + 1];
	bool found;

	if (upt_uboot_env_find(text, "bootcount", value, &found, NULL) != UPT_OK)
		FUZZ_ASSERT(!found && value[0] == '\0');
	FUZZ_ASSERT(strpbrk(value, "\n") == NULL);
}

static void
fuzz_entry(struct upt_span text)
{
	char file[512];
	struct upt_boot_entry entry;

	if (text.len >= sizeof(file))
		return;
	memcpy(file, text.data, text.len);
	file[text.len] = '\0';
	if (upt_boot_entry_parse(file, &entry))
		FUZZ_ASSERT(entry.name[0] != '\0' && strchr(entry.name, '/') == NULL);
}

static void
try_path(struct upt_span text)
{
	char name[UPT_BOOT_NAME_MAX + 1];

	if (upt_boot_count_path_parse(text, name))
		FUZZ_ASSERT(name[0] != '\0' && strpbrk(name, "/\\") == NULL);
	else
		FUZZ_ASSERT(name[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_span rest;

	if (size == 0)
		return 0;
	rest = upt_span(data + 1, size - 1);
	if (data[0] == 'g')
		fuzz_grubenv(rest);
	else if (data[0] == 'u')
		fuzz_env(rest);
	else if (data[0] == 'e')
		fuzz_entry(rest);
	else if (data[0] == 'p')
		try_path(rest);
	return 0;
}
