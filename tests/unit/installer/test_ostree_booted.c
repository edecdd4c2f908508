/*
 * The OSTREE installer where / is a deployment: libostree itself tells what booted, and a read-only
 * /sysroot must not stop an update. Started by ostree_booted_world.sh in such a system, once:
 * nothing here reboots.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "support.h"

struct world {
	struct upt_installer *installer;
	struct upt_err err;
};

static struct upt_image
version(const char *name)
{
	const char *hex = getenv(name);

	if (hex == NULL)
		fail_msg("%s is not set: run this by ostree_booted_world.sh", name);
	return image_of_hex("gateway-os", hex);
}

static void
assert_runs(struct world *w, const char *name)
{
	struct upt_image found, expected = version(name);

	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 1);
	assert_true(upt_digest_equal(&found.digests[0], &expected.digests[0]));
}

/* Another process of the system: it waits for a byte and says then whether /sysroot is read-only
 * for it. */
static pid_t
start_bystander(int *fd)
{
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[1]);
		if (read(fds[0], &byte, 1) != 1)
			_exit(2);
		_exit(open("/sysroot/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EROFS
				? 0
				: 1);
	}
	close(fds[0]);
	*fd = fds[1];
	return pid;
}

static void
assert_still_read_only(pid_t bystander, int fd)
{
	int status = -1;

	assert_int_equal(write(fd, "?", 1), 1);
	assert_int_equal(waitpid(bystander, &status, 0), bystander);
	assert_int_equal(status, 0);
	close(fd);
}

static void
an_update_and_its_undoing_in_a_booted_system(void **state)
{
	struct upt_ostree_installer_config config = {
		.sysroot = "/",
		.os = "gateway",
		.remote = "updates",
		.cmdline_path = "/tmp/cmdline",
		.boot_id_path = "/tmp/boot_id",
		.state_path = "/tmp/state",
	};
	struct world world = {0}, *w = &world;
	struct upt_image two = version("OSTREE_V2");
	struct upt_install_job job = {.image = &two, .format = "OSTREE", .image_fd = -1};
	bool needs_reboot = false, done = true;

	pid_t bystander;
	int fd = -1;

	(void)state;
	bystander = start_bystander(&fd);
	/* the world is what it claims to be */
	assert_int_equal(open("/sysroot/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), -1);
	assert_int_equal(errno, EROFS);
	CHECK_OK(upt_ostree_installer_new(&config, NULL, &w->installer, &w->err));
	assert_runs(w, "OSTREE_V1");
	CHECK_OK(w->installer->ops->prepare(w->installer, &job, NULL, &w->err));
	CHECK_OK(w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err));
	assert_true(needs_reboot);
	assert_runs(w, "OSTREE_V1");
	CHECK_OK(w->installer->ops->finalize(w->installer, &two, &done, &w->err));
	assert_false(done);
	assert_still_read_only(bystander, fd);
	/* libostree's word, not the record's: without it the truth is the same */
	assert_int_equal(unlink("/tmp/state"), 0);
	assert_runs(w, "OSTREE_V1");
	CHECK_OK(w->installer->ops->rollback(w->installer, &needs_reboot, &w->err));
	assert_false(needs_reboot);
	assert_runs(w, "OSTREE_V1");
	CHECK_CODE(
		w->installer->ops->rollback(w->installer, &needs_reboot, &w->err), UPT_E_NOT_FOUND);
	/* the other system's stateroot is not the one that runs */
	upt_installer_free(&w->installer);
	config.os = "rescue";
	CHECK_OK(upt_ostree_installer_new(&config, NULL, &w->installer, &w->err));
	CHECK_CODE(w->installer->ops->current(w->installer, &two, &w->err), UPT_E_CONFIG);
	upt_installer_free(&w->installer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_and_its_undoing_in_a_booted_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
