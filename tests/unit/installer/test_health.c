/* Health: what systemd says, the folder of checks, and programs that do not behave. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"
#include "installer/health.h"
#include "installer/run.h"
#include "support.h"

struct world {
	char dir[PATH_MAX], checks[PATH_MAX], systemctl[PATH_MAX], systemd[PATH_MAX];
	struct upt_health health;
	volatile bool cancel;
	struct upt_err err;
};

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
	snprintf(w.checks, sizeof(w.checks), "%s", path_in(w.dir, "health.d"));
	snprintf(w.systemctl, sizeof(w.systemctl), "%s", path_in(w.dir, "systemctl"));
	snprintf(w.systemd, sizeof(w.systemd), "%s", path_in(w.dir, "systemd"));
	assert_int_equal(mkdir(w.checks, 0755), 0);
	w.health = (struct upt_health){.systemd_dir = w.systemd,
		.systemctl = w.systemctl,
		.dir = w.checks,
		.check_timeout_ms = 10000,
		.timeout_ms = 0, /* one round */
		.pause_ms = 1,
		.cancel = &w.cancel};
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	dir_remove(((struct world *)*state)->dir);
	return 0;
}

static void
program(const char *path, const char *commands)
{
	char text[3 * PATH_MAX];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", commands);
	file_write_text(path, text);
	assert_int_equal(chmod(path, 0755), 0);
}

static enum upt_code
check(struct world *w)
{
	return upt_health_wait(&w->health, NULL, &w->err);
}

static void
all_checks_must_pass_in_the_order_of_their_names(void **state)
{
	struct world *w = *state;
	char commands[2 * PATH_MAX + 64];

	CHECK_CODE(check(w), UPT_OK);
	snprintf(commands, sizeof(commands), "echo two >>%s/order", w->dir);
	program(path_in(w->checks, "20-two"), commands);
	snprintf(commands, sizeof(commands), "echo one >>%s/order", w->dir);
	program(path_in(w->checks, "10-one"), commands);
	program(path_in(w->checks, "10-one.dpkg-old"), "exit 1");
	program(path_in(w->checks, "10-one~"), "exit 1");
	CHECK_CODE(check(w), UPT_OK);
	assert_true(file_holds(path_in(w->dir, "order"), BYTES("one\ntwo\n")));
	program(path_in(w->checks, "15-no"), "exit 3");
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "15-no exited with 3"));
	/* what comes behind one that fails is not asked any more in that round */
	assert_true(file_holds(path_in(w->dir, "order"), BYTES("one\ntwo\none\n")));
	assert_int_equal(rename(w->checks, path_in(w->dir, "gone")), 0);
	CHECK_CODE(check(w), UPT_OK);
}

static void
a_check_may_need_several_rounds(void **state)
{
	struct world *w = *state;
	char commands[2 * PATH_MAX + 64];

	w->health.timeout_ms = 60000;
	snprintf(commands, sizeof(commands), "echo x >>%s/n; [ $(wc -l <%s/n) -ge 3 ]", w->dir,
		w->dir);
	program(path_in(w->checks, "slow"), commands);
	CHECK_CODE(check(w), UPT_OK);
	assert_true(file_holds(path_in(w->dir, "n"), BYTES("x\nx\nx\n")));
}

static void
a_check_that_others_can_write_is_not_run(void **state)
{
	struct world *w = *state;
	char commands[2 * PATH_MAX + 64];
	const char *path = path_in(w->checks, "check");

	snprintf(commands, sizeof(commands), "echo ran >>%s/ran", w->dir);
	program(path, commands);
	static const mode_t modes[] = {0757, 0775};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		CHECK_CODE(check(w), UPT_E_INSTALL);
		assert_non_null(strstr(w->err.message, "is not run"));
		assert_int_equal(chmod(path, 0755), 0);
		assert_int_equal(chmod(w->checks, modes[i]), 0);
		CHECK_CODE(check(w), UPT_E_INSTALL);
		assert_non_null(strstr(w->err.message, "are not run"));
		assert_int_equal(chmod(w->checks, 0755), 0);
	}
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		CHECK_CODE(check(w), UPT_E_INSTALL);
		assert_int_equal(chown(path, 0, 0), 0);
	}
	assert_int_equal(rename(path, path_in(w->dir, "elsewhere")), 0);
	assert_int_equal(symlink(path_in(w->dir, "elsewhere"), path), 0);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_false(file_exists(path_in(w->dir, "ran")));
	assert_int_equal(rename(path_in(w->dir, "elsewhere"), path), 0);
	CHECK_CODE(check(w), UPT_OK);
	assert_true(file_exists(path_in(w->dir, "ran")));
}

static void
a_check_that_cannot_be_run_fails(void **state)
{
	struct world *w = *state;

	file_write_text(path_in(w->checks, "check"), "x");
	CHECK_CODE(check(w), UPT_E_INSTALL);
	program(path_in(w->checks, "check"), "kill -SEGV $$");
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "signal 11"));
}

/* Nothing of our environment, no open file, nothing on standard input. */
static void
a_check_gets_nothing_of_ours(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_close_fd) int fd = open(w->dir, O_RDONLY | O_CLOEXEC);
	char commands[2 * PATH_MAX + 64];

	assert_true(fd >= 0);
	assert_int_equal(setenv("SECRET", "x", 1), 0);
	snprintf(commands, sizeof(commands),
		"[ -z \"$SECRET\" ] && [ \"$LC_ALL\" = C ] && [ -z \"$(cat)\" ] &&\n"
		"[ $# = 0 ] && ! ls -l /proc/$$/fd | grep -q '%s$'",
		w->dir);
	program(path_in(w->checks, "env"), commands);
	CHECK_CODE(check(w), UPT_OK);
	unsetenv("SECRET");
}

/* False while the process runs; a dead one that nobody has waited for does not. */
static bool
is_gone(const char *pid)
{
	char path[64], line[256] = "";
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%ld/stat", strtol(pid, NULL, 10));
	status = fopen(path, "re");
	if (status == NULL)
		return true;
	(void)!fgets(line, sizeof(line), status);
	fclose(status);
	return line[0] == '\0' || strstr(line, ") Z ") != NULL;
}

/* What it left in the background dies: the process whose number is in the file "pid". */
static void
assert_gone(struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	unsigned looks = 10000;

	assert_int_equal(upt_file_read(AT_FDCWD, path_in(w->dir, "pid"), 64, &text, NULL), UPT_OK);
	while (!is_gone((const char *)text.data) && --looks > 0)
		(void)poll(NULL, 0, 1);
	assert_true(looks > 0);
}

static void
a_check_that_hangs_is_killed_with_what_it_started(void **state)
{
	struct world *w = *state;
	char commands[PATH_MAX + 128];

	w->health.check_timeout_ms = 300;
	snprintf(commands, sizeof(commands),
		"trap '' TERM INT\nsleep 1000 & echo $! >%s/pid\necho working\nwait", w->dir);
	program(path_in(w->checks, "hang"), commands);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "did not end within 300 ms"));
	assert_gone(w);
	/* one that ends itself leaves nothing behind either, though it holds its output open */
	snprintf(commands, sizeof(commands), "sleep 1000 & echo $! >%s/pid\nexit 0", w->dir);
	w->health.check_timeout_ms = 10000;
	program(path_in(w->checks, "hang"), commands);
	CHECK_CODE(check(w), UPT_OK);
	assert_gone(w);
}

static void
endless_output_is_bounded(void **state)
{
	struct world *w = *state;
	const char *const argv[] = {path_in(w->checks, "loud"), NULL};
	const struct upt_run run = {.argv = argv, .timeout_ms = 10000, .max_bytes = 100};
	upt_cleanup(upt_buf_clear) struct upt_buf said = {0};

	program(argv[0], "i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890; "
			 "i=$((i+1)); done; echo error >&2; exit 4");
	CHECK_CODE(upt_run(&run, &said, &w->err), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "exited with 4"));
	assert_int_equal(said.len, 100);
}

static void
a_wish_to_stop_ends_a_check(void **state)
{
	struct world *w = *state;

	program(path_in(w->checks, "check"), "sleep 1000");
	w->health.timeout_ms = 60000;
	w->cancel = true;
	CHECK_CODE(check(w), UPT_E_CANCELLED);
	w->cancel = false;
	program(path_in(w->checks, "check"), "exit 0");
	CHECK_CODE(check(w), UPT_OK);
}

/* ---- systemd ---- */

static void
systemd_must_have_started_the_system(void **state)
{
	struct world *w = *state;

	program(w->systemctl, "[ \"$1\" = is-system-running ] || exit 9\necho starting\nexit 1");
	/* not booted by systemd: not asked */
	CHECK_CODE(check(w), UPT_OK);
	assert_int_equal(mkdir(w->systemd, 0755), 0);
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "starting"));
	program(w->systemctl, "echo degraded\nexit 1");
	CHECK_CODE(check(w), UPT_OK);
	w->health.system = UPT_HEALTH_RUNNING;
	CHECK_CODE(check(w), UPT_E_INSTALL);
	program(w->systemctl, "echo running");
	CHECK_CODE(check(w), UPT_OK);
	program(w->systemctl, "exit 0");
	CHECK_CODE(check(w), UPT_E_INSTALL);
	program(w->systemctl, "echo running >&2; echo maintenance");
	w->health.system = UPT_HEALTH_OFF;
	CHECK_CODE(check(w), UPT_OK);
}

static enum upt_code
also(void *ctx, struct upt_err *err)
{
	unsigned *n = ctx;

	return ++*n < 3 ? upt_fail(err, UPT_E_INSTALL, "the dashboard does not answer") : UPT_OK;
}

static void
the_callers_own_check_counts(void **state)
{
	struct world *w = *state;
	unsigned n = 0;

	w->health.also = also;
	w->health.ctx = &n;
	CHECK_CODE(check(w), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "dashboard"));
	w->health.timeout_ms = 60000;
	CHECK_CODE(check(w), UPT_OK);
	assert_int_equal(n, 3);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(all_checks_must_pass_in_the_order_of_their_names),
		CASE(a_check_may_need_several_rounds),
		CASE(a_check_that_others_can_write_is_not_run),
		CASE(a_check_that_cannot_be_run_fails),
		CASE(a_check_gets_nothing_of_ours),
		CASE(a_check_that_hangs_is_killed_with_what_it_started),
		CASE(endless_output_is_bounded),
		CASE(a_wish_to_stop_ends_a_check),
		CASE(systemd_must_have_started_the_system),
		CASE(the_callers_own_check_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
