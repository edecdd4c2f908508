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
#define RECORD                                                                                     \
	"kind install\nboot-id 01234567-89ab-cdef-0123-456789abcdef\nrunning " A ".0\ncommit " A   \
	"\n"

static void
assert_kind(struct upt_span text, enum upt_ostree_kind want)
{
	char path[] = "/tmp/upt-ostree-record-XXXXXX";
	upt_cleanup(upt_close_fd) int fd = mkstemp(path);
	const struct upt_ostree self = {.state_path = path};
	struct upt_ostree_record record;

	assert_true(fd >= 0);
	assert_int_equal(upt_file_write_all(fd, text, NULL), UPT_OK);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_what_we_wrote),
		cmocka_unit_test(bytes_behind_a_nul_make_it_no_record),
	};

	return cmocka_run_group_tests_name("ostree record", tests, NULL, NULL);
}
