/* What a killed command left is finished, inside the workspace and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/txn.h"

struct fixture {
	char dir[64];
	int dirfd; /* DIR/repo, the workspace */
};

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void
write_file(const struct fixture *f, const char *name, const char *text)
{
	assert_int_equal(upt_file_replace(f->dirfd, name, 0600, upt_span_str(text), NULL), UPT_OK);
}

static bool
exists(const struct fixture *f, const char *name)
{
	return faccessat(f->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char repo[96];

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/upt-txn-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(repo, sizeof(repo), "%s/repo", f->dir);
	assert_int_equal(mkdir(repo, 0700), 0);
	f->dirfd = open(repo, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dirfd >= 0);
	assert_int_equal(mkdirat(f->dirfd, ".commit", 0700), 0);
	write_file(f, ".commit/0", "new");
	write_file(f, "../outside", "old");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	close(f->dirfd);
	nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static enum upt_code
recover(const struct fixture *f, const char *path, bool removes, bool *finished)
{
	char text[256];

	snprintf(text, sizeof(text), "[{\"path\":\"%s\",\"remove\":%s}]", path,
		removes ? "true" : "false");
	write_file(f, ".commit/manifest", text);
	return txn_recover(f->dirfd, finished, NULL);
}

static void
a_path_inside_gets_its_file(void **state)
{
	struct fixture *f = *state;
	bool finished = false;

	assert_int_equal(recover(f, "folder/..file", false, &finished), UPT_OK);
	assert_true(finished);
	assert_true(exists(f, "folder/..file"));
	assert_false(exists(f, ".commit"));
}

static void
a_path_that_leaves_the_workspace_is_refused(void **state)
{
	static const char *const bad[] = {"../outside", "..", "a/../../outside", "./../outside",
		"/outside", "", "a//b", "a/", ".", "a/.", "\\u0000"};
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf outside = {0};
		bool finished = true;

		assert_int_equal(recover(f, bad[i / 2], i % 2 == 1, &finished), UPT_E_IO);
		assert_false(finished);
		assert_int_equal(upt_file_read(f->dirfd, "../outside", 16, &outside, NULL), UPT_OK);
		assert_string_equal((const char *)outside.data, "old");
		assert_true(exists(f, ".commit/0"));
		assert_false(exists(f, "a"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_inside_gets_its_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_path_that_leaves_the_workspace_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("repo txn", tests, NULL, NULL);
}
