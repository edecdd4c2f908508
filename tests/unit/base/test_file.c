#include "scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/file.h"

static int
make_dir(void **state)
{
	*state = scratch_make();
	return 0;
}

static int
remove_dir(void **state)
{
	char *dir = *state;
	scratch_remove(&dir);
	return 0;
}

static void
expect_content(const char *dir, const char *name, const char *text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};

	scratch_read(dir, name, &buf);
	assert_string_equal((char *)buf.data, text);
}

static void
read_keeps_to_its_bound(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_err err = {0};
	const char *dir = *state;
	char path[4096];

	scratch_write(dir, "f", "0123456789", 10);
	scratch_path(path, dir, "f");
	assert_int_equal(upt_file_read(AT_FDCWD, path, 10, &buf, &err), UPT_OK);
	assert_int_equal(buf.len, 10);
	assert_int_equal(upt_file_read(AT_FDCWD, path, 9, &buf, &err), UPT_E_TOO_LARGE);
	assert_string_equal((char *)buf.data, "0123456789"); /* unchanged */
	scratch_write(dir, "f", "", 0);
	assert_int_equal(upt_file_read(AT_FDCWD, path, 0, &buf, &err), UPT_OK);
	assert_int_equal(buf.len, 0);
}

static void
read_names_what_is_wrong(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
	struct upt_err err = {0};
	const char *dir = *state;
	char path[4096];

	assert_int_equal(upt_file_read(AT_FDCWD, scratch_path(path, dir, "none"), 9, &buf, &err),
		UPT_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "none"));
	assert_int_equal(upt_file_read(AT_FDCWD, dir, 9, &buf, &err), UPT_E_IO);
	assert_int_equal(mkfifo(scratch_path(path, dir, "fifo"), 0600), 0);
	assert_int_equal(upt_file_read(AT_FDCWD, path, 9, &buf, &err), UPT_E_IO); /* and no hang */
	assert_null(buf.data);
}

static void
replace_sets_content_and_mode(void **state)
{
	struct upt_err err = {0};
	const char *dir = *state;
	mode_t old = umask(077);
	struct stat st;
	char path[4096];

	scratch_path(path, dir, "f");
	assert_int_equal(upt_file_replace(AT_FDCWD, path, 0644, upt_span_str("one"), &err), UPT_OK);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(upt_file_replace(AT_FDCWD, path, 0600, upt_span_str("two"), &err), UPT_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	expect_content(dir, "f", "two");
	assert_false(scratch_exists(dir, "f.new"));
}

static void
replace_works_below_a_directory_descriptor(void **state)
{
	const char *dir = *state;
	upt_cleanup(upt_close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[4096];

	assert_int_equal(upt_file_replace(fd, "f", 0600, upt_span_str("one"), NULL), UPT_OK);
	assert_int_equal(mkdir(scratch_path(path, dir, "sub"), 0700), 0);
	assert_int_equal(upt_file_replace(fd, "sub/f", 0600, upt_span(NULL, 0), NULL), UPT_OK);
	expect_content(dir, "f", "one");
	expect_content(dir, "sub/f", "");
}

static void
replace_does_not_follow_a_planted_link(void **state)
{
	const char *dir = *state;
	char path[4096], link[4096], victim[4096];

	scratch_write(dir, "victim", "precious", 8);
	assert_int_equal(
		symlink(scratch_path(victim, dir, "victim"), scratch_path(link, dir, "f.new")), 0);
	assert_int_equal(upt_file_replace(AT_FDCWD, scratch_path(path, dir, "f"), 0600,
				 upt_span_str("new"), NULL),
		UPT_OK);
	expect_content(dir, "victim", "precious");
	expect_content(dir, "f", "new");
}

static void
replace_into_a_missing_directory_is_named(void **state)
{
	struct upt_err err = {0};
	char path[4096];

	assert_int_equal(upt_file_replace(AT_FDCWD, scratch_path(path, *state, "no/f"), 0600,
				 upt_span_str("x"), &err),
		UPT_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "no/f"));
}

static int
fill_the_disk(const void *ctx)
{
	const char *dir = ctx;
	static uint8_t large[512 * 1024];
	struct upt_err err = {0};
	char path[4096];

	if (!scratch_mount(dir, "256k"))
		return SCRATCH_SKIP;
	scratch_path(path, dir, "f");
	assert_int_equal(upt_file_replace(AT_FDCWD, path, 0600, upt_span_str("old"), &err), UPT_OK);
	assert_int_equal(
		upt_file_replace(AT_FDCWD, path, 0600, upt_span(large, sizeof(large)), &err),
		UPT_E_NO_SPACE);
	assert_non_null(strstr(err.message, path));
	expect_content(dir, "f", "old");
	assert_false(scratch_exists(dir, "f.new")); /* its blocks are free again */
	assert_int_equal(
		upt_file_replace(AT_FDCWD, path, 0600, upt_span(large, 100000), &err), UPT_OK);
	return 0;
}

static void
old_file_is_whole_when_the_disk_is_full(void **state)
{
	scratch_in_child(fill_the_disk, *state, "this machine forbids mounting a tmpfs");
}

static void
dir_make_makes_parents(void **state)
{
	const char *dir = *state;
	mode_t old = umask(022);
	char path[4096], parent[4096];
	struct stat st;

	scratch_path(path, dir, "a//b/c/");
	assert_int_equal(upt_dir_make(path, 0700, NULL), UPT_OK);
	assert_int_equal(stat(scratch_path(parent, dir, "a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700); /* in spite of the final slash */
	assert_int_equal(upt_dir_make(path, 0700, NULL), UPT_OK);
	assert_int_equal(upt_dir_make("/", 0700, NULL), UPT_OK);
	umask(old);
}

static void
dir_make_refuses_a_file_in_its_place(void **state)
{
	struct upt_err err = {0};
	char path[4096];

	scratch_write(*state, "f", "x", 1);
	assert_int_equal(upt_dir_make(scratch_path(path, *state, "f"), 0700, &err), UPT_E_IO);
	assert_non_null(strstr(err.message, "no directory"));
	assert_int_equal(upt_dir_make(scratch_path(path, *state, "f/g"), 0700, &err), UPT_E_IO);
	assert_int_equal(upt_dir_make("", 0700, &err), UPT_E_IO);
	assert_int_equal(upt_dir_make(scratch_path(path, *state, "g"), 0700, &err), UPT_OK);
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		in_dir(read_keeps_to_its_bound),
		in_dir(read_names_what_is_wrong),
		in_dir(replace_sets_content_and_mode),
		in_dir(replace_works_below_a_directory_descriptor),
		in_dir(replace_does_not_follow_a_planted_link),
		in_dir(replace_into_a_missing_directory_is_named),
		in_dir(old_file_is_whole_when_the_disk_is_full),
		in_dir(dir_make_makes_parents),
		in_dir(dir_make_refuses_a_file_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
