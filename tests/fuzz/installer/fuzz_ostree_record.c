/*
 * What the OSTREE installer reads of the disk and of the kernel, all of it the same bytes: its
 * record across a reboot, the boot id, the kernel's command line. A record is exactly what we would
 * write for its values, or nothing; a command line names one deployment or none is told.
 */
#include "base/file.h"
#include "fuzz.h"
#include "installer/ostree_internal.h"

#include <fcntl.h>

static void
check_record(struct upt_ostree *self, struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf again = {0};
	struct upt_ostree_record record;

	FUZZ_ASSERT(upt_ostree_record_load(self, &record, NULL) == UPT_OK);
	if (record.kind == UPT_OSTREE_NOTHING) {
		FUZZ_ASSERT(record.commit[0] == '\0' && record.boot_id[0] == '\0');
		return;
	}
	self->state_path = (char *)(uintptr_t)fuzz_path("again");
	FUZZ_ASSERT(upt_ostree_record_save(self, &record, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_file_read(AT_FDCWD, self->state_path, 1024, &again, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_span_equal(upt_buf_span(&again), text));
}

static void
check_boot_id(const struct upt_ostree *self, struct upt_span text)
{
	char id[UPT_OSTREE_BOOT_ID_CHARS + 1];

	if (upt_ostree_boot_id(self, id, NULL) != UPT_OK) {
		FUZZ_ASSERT(id[0] == '\0');
		return;
	}
	FUZZ_ASSERT(text.len == UPT_OSTREE_BOOT_ID_CHARS + 1);
	FUZZ_ASSERT(memcmp(id, text.data, UPT_OSTREE_BOOT_ID_CHARS) == 0);
	FUZZ_ASSERT(strspn(id, "0123456789abcdef-") == UPT_OSTREE_BOOT_ID_CHARS);
}

/* The words of the line that begin as the option does. */
static size_t
count_options(const char *line, const char **first)
{
	size_t n = 0;

	for (const char *p = line; (p = strstr(p, "ostree=")) != NULL; p += 7) {
		if (p != line && p[-1] != ' ' && p[-1] != '\n')
			continue;
		if (n++ == 0)
			*first = p + 7;
	}
	return n;
}

static void
check_cmdline(const struct upt_ostree *self, struct upt_span text)
{
	upt_cleanup(upt_free_ptr) char *line = fuzz_string(text);
	const char *first = NULL;
	size_t n = count_options(line, &first);
	char link[256];

	if (upt_ostree_booted_link(self, link, sizeof(link), NULL) != UPT_OK) {
		FUZZ_ASSERT(link[0] == '\0');
		return;
	}
	FUZZ_ASSERT(n == 1 && link[0] != '\0' && strlen(line) == text.len);
	FUZZ_ASSERT(strncmp(first, link, strlen(link)) == 0);
	FUZZ_ASSERT(first[strlen(link)] == '\0' || strchr(" \n", first[strlen(link)]) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[256];
	struct upt_ostree self = {.cmdline_path = path, .boot_id_path = path, .state_path = path};
	struct upt_span text = upt_span(data, size);

	fuzz_write("file", text);
	snprintf(path, sizeof(path), "%s", fuzz_path("file"));
	check_boot_id(&self, text);
	check_cmdline(&self, text);
	check_record(&self, text);
	return 0;
}
