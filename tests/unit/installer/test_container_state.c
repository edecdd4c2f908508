/* The record of which container version is current: exactly what we wrote, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "installer/container_state.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RECORD "current " A "\nprevious -\n"

static void
assert_known(struct upt_span text, bool want)
{
	char path[] = "/tmp/upt-container-state-XXXXXX";
	upt_cleanup(upt_close_fd) int fd = mkstemp(path);
	struct upt_container_state state;
	bool known = !want;

	assert_true(fd >= 0);
	assert_int_equal(upt_file_write_all(fd, text, NULL), UPT_OK);
	assert_int_equal(upt_container_state_load(path, &state, &known, NULL), UPT_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(known, want);
	assert_string_equal(state.current.digest, want ? A : "");
	assert_string_equal(state.previous.digest, "");
	assert_string_equal(state.refused.digest, "");
}

static void
a_record_is_what_we_wrote(void **state)
{
	(void)state;
	assert_known(upt_span_str(RECORD), true);
	assert_known(upt_span_str(""), false);
	assert_known(upt_span_str("current " A "\nprev"), false);
	assert_known(upt_span_str(RECORD "x"), false);
	/* We write that line only for a version. */
	assert_known(upt_span_str(RECORD "refused -\n"), false);
	assert_known(upt_span_str("current -\nprevious " A "\n"), false);
}

static void
bytes_behind_a_nul_make_it_no_record(void **state)
{
	(void)state;
	assert_known(upt_span(RECORD "\0", sizeof(RECORD)), false);
	assert_known(upt_span(RECORD "\0more", sizeof(RECORD) + 4), false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_what_we_wrote),
		cmocka_unit_test(bytes_behind_a_nul_make_it_no_record),
	};

	return cmocka_run_group_tests_name("container state", tests, NULL, NULL);
}
