/* The record across a reboot: exactly what we wrote, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "installer/ostree_internal.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"
#define RECORD "kind install\nboot-id " BOOT_ID "\nrunning " A ".0\ncommit " A "\n"

/* A file of these bytes, whose name is in path. */
static void
make_file(char *path, struct upt_span text)
{
	upt_cleanup(upt_close_fd) int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(upt_file_write_all(fd, text, NULL), UPT_OK);
}

static void
assert_kind(struct upt_span text, enum upt_ostree_kind want)
{
	char path[] = "/tmp/upt-ostree-record-XXXXXX";
	const struct upt_ostree self = {.state_path = path};
	struct upt_ostree_record record;

	make_file(path, text);
	assert_int_equal(upt_ostree_record_load(&self, &record, NULL), UPT_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(record.kind, want);
	assert_string_equal(record.commit, want == UPT_OSTREE_NOTHING ? "" : A);
}

static void
a_record_is_what_we_wrote(void **state)
{
	(void)state;
	assert_kind(upt_span_str(RECORD), UPT_OSTREE_INSTALL);
	assert_kind(upt_span_str(""), UPT_OSTREE_NOTHING);
	assert_kind(upt_span_str(RECORD "x"), UPT_OSTREE_NOTHING);
}

static void
bytes_behind_a_nul_make_it_no_record(void **state)
{
	(void)state;
	assert_kind(upt_span(RECORD "\0", sizeof(RECORD)), UPT_OSTREE_NOTHING);
	assert_kind(upt_span(RECORD "\0more", sizeof(RECORD) + 4), UPT_OSTREE_NOTHING);
}

static void
assert_kernel_files(struct upt_span boot_id, enum upt_code want_id, struct upt_span cmdline,
	enum upt_code want_link)
{
	char id_path[] = "/tmp/upt-boot-id-XXXXXX", cmdline_path[] = "/tmp/upt-cmdline-XXXXXX";
	const struct upt_ostree self = {.boot_id_path = id_path, .cmdline_path = cmdline_path};
	char id[UPT_OSTREE_BOOT_ID_CHARS + 1], link[64];

	make_file(id_path, boot_id);
	make_file(cmdline_path, cmdline);
	assert_int_equal(upt_ostree_boot_id(&self, id, NULL), want_id);
	assert_string_equal(id, want_id == UPT_OK ? BOOT_ID : "");
	assert_int_equal(upt_ostree_booted_link(&self, link, sizeof(link), NULL), want_link);
	assert_string_equal(link, want_link == UPT_OK ? "/a" : "");
	assert_int_equal(unlink(id_path), 0);
	assert_int_equal(unlink(cmdline_path), 0);
}

static void
a_kernel_file_with_a_nul_is_none(void **state)
{
	static const char id[] = BOOT_ID "\n\0x", cmdline[] = "ostree=/a\0 ostree=/b\n";

	(void)state;
	assert_kernel_files(
		upt_span_str(BOOT_ID "\n"), UPT_OK, upt_span_str("rw ostree=/a\n"), UPT_OK);
	assert_kernel_files(upt_span(id, sizeof(id) - 1), UPT_E_IO,
		upt_span(cmdline, sizeof(cmdline) - 1), UPT_E_INSTALL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_what_we_wrote),
		cmocka_unit_test(bytes_behind_a_nul_make_it_no_record),
		cmocka_unit_test(a_kernel_file_with_a_nul_is_none),
	};

	return cmocka_run_group_tests_name("ostree record", tests, NULL, NULL);
}
