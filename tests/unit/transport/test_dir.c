/* upt_dir_fetch: a folder in the place of a server, and names that try to leave it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "transport/dir.h"

/* TOP/{secret.json, feed/{a.json, link.json, up, out -> .., fifo, delegations/{x.json, link.json}}}
 */
struct feed {
	char top[64];
	int fd;
	struct upt_buf out;
	struct upt_err err;
};

static void
make_file(const struct feed *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->top, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
make_link(const struct feed *f, const char *name, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->top, name);
	assert_int_equal(symlink(target, path), 0);
}

static void
make_dir(const struct feed *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->top, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int
setup(void **state)
{
	struct feed *f = calloc(1, sizeof(*f));
	char path[128];

	assert_non_null(f);
	snprintf(f->top, sizeof(f->top), "/tmp/upt-dir-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	make_dir(f, "feed");
	make_dir(f, "feed/delegations");
	make_dir(f, "feed/delegations/deep");
	make_file(f, "secret.json", "secret");
	make_file(f, "feed/a.json", "hello");
	make_file(f, "feed/empty", "");
	make_file(f, "feed/delegations/x.json", "delegated");
	make_file(f, "feed/delegations/deep/y.json", "deep");
	make_link(f, "feed/link.json", "a.json");
	make_link(f, "feed/secret.json", "../secret.json");
	make_link(f, "feed/out", "..");
	make_link(f, "feed/in", "delegations");
	make_link(f, "feed/delegations/link.json", "x.json");
	snprintf(path, sizeof(path), "%s/feed/fifo", f->top);
	assert_int_equal(mkfifo(path, 0644), 0);
	snprintf(path, sizeof(path), "%s/feed", f->top);
	f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(upt_buf_printf(&f->out, &f->err, "before"), UPT_OK);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {"feed/fifo", "feed/delegations/link.json", "feed/in",
		"feed/out", "feed/secret.json", "feed/link.json", "feed/delegations/deep/y.json",
		"feed/delegations/x.json", "feed/empty", "feed/a.json", "secret.json"};
	static const char *const dirs[] = {
		"feed/delegations/deep", "feed/delegations", "feed", "."};
	struct feed *f = *state;
	int top = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(top, names[i], 0);
	for (size_t i = 0; i < 3; i++)
		unlinkat(top, dirs[i], AT_REMOVEDIR);
	close(top);
	assert_int_equal(rmdir(f->top), 0);
	close(f->fd);
	upt_buf_clear(&f->out);
	free(f);
	return 0;
}

static void
assert_fetch(struct feed *f, const char *name, size_t max_bytes, enum upt_code want)
{
	enum upt_code got = upt_dir_fetch(f->fd, name, max_bytes, &f->out, &f->err);

	if (got != want)
		fail_msg("%s: got %s, want %s: %s", name, upt_code_name(got), upt_code_name(want),
			f->err.message);
	if (got != UPT_OK)
		assert_int_equal(f->err.code, want);
}

static void
assert_out(const struct feed *f, const char *text)
{
	assert_true(upt_span_equal(upt_buf_span(&f->out), upt_span_str(text)));
}

static void
files_of_the_folder_and_one_below_are_read(void **state)
{
	struct feed *f = *state;

	assert_fetch(f, "a.json", 5, UPT_OK);
	assert_out(f, "hello");
	assert_fetch(f, "delegations/x.json", 100, UPT_OK);
	assert_out(f, "delegated");
	assert_fetch(f, "empty", 0, UPT_OK);
	assert_int_equal(f->out.len, 0);
}

static void
missing_file_is_absent(void **state)
{
	struct feed *f = *state;

	assert_fetch(f, "2.root.json", 100, UPT_E_ABSENT);
	assert_fetch(f, "nowhere/x.json", 100, UPT_E_ABSENT);
	assert_fetch(f, "delegations/z.json", 100, UPT_E_ABSENT);
	assert_out(f, "before");
}

static void
file_above_the_limit_is_refused(void **state)
{
	struct feed *f = *state;

	assert_fetch(f, "a.json", 4, UPT_E_TOO_LARGE);
	assert_out(f, "before");
	assert_fetch(f, "a.json", 5, UPT_OK);
}

static void
name_cannot_leave_the_folder(void **state)
{
	static const char *const names[] = {"", ".", "..", "/", "/etc/hostname", "../secret.json",
		"delegations/../a.json", "delegations/..", "./a.json", "delegations//x.json",
		"a.json/", "/a.json", "delegations/deep/y.json", "delegations/./x.json"};
	struct feed *f = *state;
	char longer[600];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_fetch(f, names[i], 100, UPT_E_MALFORMED);
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_fetch(f, longer, 100, UPT_E_MALFORMED);
	longer[300] = '\0';
	assert_fetch(f, longer, 100, UPT_E_MALFORMED);
	assert_out(f, "before");
}

static void
link_is_not_followed(void **state)
{
	static const char *const names[] = {"link.json", "secret.json", "out/secret.json",
		"in/x.json", "delegations/link.json"};
	struct feed *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_fetch(f, names[i], 100, UPT_E_MALFORMED);
	assert_out(f, "before");
}

static void
only_regular_files_are_read(void **state)
{
	struct feed *f = *state;

	assert_fetch(f, "delegations", 1 << 20, UPT_E_MALFORMED);
	assert_fetch(f, "fifo", 100, UPT_E_MALFORMED);
	assert_fetch(f, "a.json/x", 100, UPT_E_MALFORMED);
	assert_out(f, "before");
}

/* From now on openat2 fails as on a kernel, or in a sandbox, without it. */
static void
forbid_openat2(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	(void)state;
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		skip();
	assert_int_equal(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0), -1);
	assert_int_equal(errno, ENOSYS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files_of_the_folder_and_one_below_are_read),
		CASE(missing_file_is_absent),
		CASE(file_above_the_limit_is_refused),
		CASE(name_cannot_leave_the_folder),
		CASE(link_is_not_followed),
		CASE(only_regular_files_are_read),
		cmocka_unit_test(forbid_openat2),
		CASE(files_of_the_folder_and_one_below_are_read),
		CASE(missing_file_is_absent),
		CASE(file_above_the_limit_is_refused),
		CASE(name_cannot_leave_the_folder),
		CASE(link_is_not_followed),
		CASE(only_regular_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
