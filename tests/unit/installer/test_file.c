/* The BINARY installer: durable replacement, hashes of what really runs, backup and rollback. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "support.h"

#define V1 BYTES("firmware one")
#define V2 BYTES("firmware two, longer")
#define V3 BYTES("firmware three")

struct world {
	char dir[PATH_MAX];
	char path[PATH_MAX], backup[PATH_MAX], staging[PATH_MAX];
	struct upt_installer *installer;
	struct upt_err err;
};

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	dir_make(w.dir);
	snprintf(w.path, sizeof(w.path), "%s", path_in(w.dir, "app"));
	snprintf(w.backup, sizeof(w.backup), "%s", path_in(w.dir, "app.previous"));
	snprintf(w.staging, sizeof(w.staging), "%s", path_in(w.dir, "app.new"));
	assert_int_equal(upt_file_installer_new(&(struct upt_file_installer_config){.path = w.path},
				 NULL, &w.installer, &w.err),
		UPT_OK);
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	upt_installer_free(&w->installer);
	dir_remove(w->dir);
	return 0;
}

/* A descriptor whose file holds bytes. */
static int
fd_of(struct world *w, struct upt_span bytes)
{
	const char *path = path_in(w->dir, "image");
	int fd;

	file_write(path, bytes);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* Installs bytes as an image of what listed says. */
static enum upt_code
install(struct world *w, struct upt_span bytes, const struct upt_image *listed)
{
	upt_cleanup(upt_close_fd) int fd = fd_of(w, bytes);
	struct upt_install_job job = {.image = listed, .format = "BINARY", .image_fd = fd};
	bool needs_reboot = true;
	enum upt_code code = w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err);

	assert_false(needs_reboot);
	return code;
}

static void
install_ok(struct world *w, struct upt_span bytes)
{
	struct upt_image image = image_of("app.bin", bytes);

	assert_int_equal(install(w, bytes, &image), UPT_OK);
}

static enum upt_code
prepare(struct world *w, struct upt_span bytes, const struct upt_image *listed)
{
	upt_cleanup(upt_close_fd) int fd = fd_of(w, bytes);
	struct upt_install_job job = {.image = listed, .format = "BINARY", .image_fd = fd};

	return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
}

static enum upt_code
rollback(struct world *w)
{
	bool needs_reboot = true;
	enum upt_code code = w->installer->ops->rollback(w->installer, &needs_reboot, &w->err);

	assert_false(needs_reboot);
	return code;
}

static void
install_replaces_the_file_and_keeps_the_old_one(void **state)
{
	struct world *w = *state;
	struct stat st;

	install_ok(w, V1);
	assert_true(file_holds(w->path, V1));
	assert_false(file_exists(w->backup));
	install_ok(w, V2);
	assert_true(file_holds(w->path, V2));
	assert_true(file_holds(w->backup, V1));
	assert_false(file_exists(w->staging));
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void
install_repeated_keeps_the_backup(void **state)
{
	struct world *w = *state;

	install_ok(w, V1);
	install_ok(w, V2);
	install_ok(w, V2);
	assert_true(file_holds(w->backup, V1));
}

static void
install_refuses_other_bytes_and_leaves_the_old_file(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", BYTES("firmware two, LONGER"));

	install_ok(w, V1);
	assert_int_equal(install(w, V2, &listed), UPT_E_IMAGE_HASH);
	assert_true(file_holds(w->path, V1));
	assert_false(file_exists(w->backup));
	assert_false(file_exists(w->staging));
}

static void
install_checks_every_listed_hash(void **state)
{
	struct world *w = *state;

	install_ok(w, V1);
	for (size_t wrong = 0; wrong < 2; wrong++) {
		struct upt_image listed = image_of("app.bin", V2);
		listed.digests[wrong].bytes[31] ^= 1;
		assert_int_equal(install(w, V2, &listed), UPT_E_IMAGE_HASH);
		assert_true(file_holds(w->path, V1));
	}
	install_ok(w, V2);
}

static void
install_refuses_another_length(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V2);

	install_ok(w, V1);
	listed.length_bytes--;
	assert_int_equal(install(w, V2, &listed), UPT_E_IMAGE_HASH);
	listed.length_bytes += 2;
	assert_int_equal(install(w, V2, &listed), UPT_E_IMAGE_HASH);
	assert_true(file_holds(w->path, V1));
}

static void
install_refuses_an_image_without_a_hash(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V2);

	install_ok(w, V1);
	listed.n_digests = 0;
	assert_int_equal(install(w, V2, &listed), UPT_E_MALFORMED);
	assert_true(file_holds(w->path, V1));
}

static void
install_survives_what_a_power_cut_left(void **state)
{
	struct world *w = *state;

	install_ok(w, V1);
	/* cut while the new file was written, and while the backup was made */
	file_write(w->staging, BYTES("half of a"));
	assert_int_equal(link(w->path, w->backup), 0);
	assert_int_equal(link(w->path, path_in(w->dir, "app.previous.new")), 0);
	install_ok(w, V2);
	assert_true(file_holds(w->path, V2));
	assert_true(file_holds(w->backup, V1));
	assert_false(file_exists(w->staging));
	assert_false(file_exists(path_in(w->dir, "app.previous.new")));
}

static void
install_follows_no_link_planted_at_the_temporary(void **state)
{
	struct world *w = *state;
	const char *victim = path_in(w->dir, "victim");

	file_write(victim, BYTES("untouched"));
	assert_int_equal(symlink(victim, w->staging), 0);
	install_ok(w, V1);
	assert_true(file_holds(victim, BYTES("untouched")));
	assert_true(file_holds(w->path, V1));
}

static void
install_refuses_a_symbolic_link_in_the_files_place(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V1);

	file_write(path_in(w->dir, "elsewhere"), V3);
	assert_int_equal(symlink("elsewhere", w->path), 0);
	assert_int_equal(install(w, V1, &listed), UPT_E_CONFIG);
	assert_true(file_holds(path_in(w->dir, "elsewhere"), V3));
	assert_int_equal(unlink(w->path), 0);
	assert_int_equal(install(w, V1, &listed), UPT_OK);
}

static void
install_reads_the_descriptor_from_its_start(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V2);
	upt_cleanup(upt_close_fd) int fd = fd_of(w, V2);
	struct upt_install_job job = {.image = &listed, .format = "BINARY", .image_fd = fd};
	bool needs_reboot;

	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	assert_int_equal(
		w->installer->ops->install(w->installer, &job, &needs_reboot, &w->err), UPT_OK);
	assert_true(file_holds(w->path, V2));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
}

static void
prepare_changes_nothing_and_refuses_what_is_not_there(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V2);
	struct upt_install_job job = {.image = &listed, .format = "BINARY", .image_fd = -1};

	install_ok(w, V1);
	assert_int_equal(prepare(w, V2, &listed), UPT_OK);
	assert_true(file_holds(w->path, V1));
	assert_int_equal(w->installer->ops->prepare(w->installer, &job, NULL, &w->err), UPT_E_IO);
	assert_int_equal(prepare(w, V1, &listed), UPT_E_IMAGE_HASH);
}

static void
prepare_obeys_a_cancellation(void **state)
{
	struct world *w = *state;
	struct upt_image listed = image_of("app.bin", V2);
	upt_cleanup(upt_close_fd) int fd = fd_of(w, V2);
	struct upt_install_job job = {.image = &listed, .format = "BINARY", .image_fd = fd};
	volatile bool cancel = true;
	struct upt_install_progress progress = {.cancel = &cancel};

	assert_int_equal(w->installer->ops->prepare(w->installer, &job, &progress, &w->err),
		UPT_E_CANCELLED);
	cancel = false;
	assert_int_equal(
		w->installer->ops->prepare(w->installer, &job, &progress, &w->err), UPT_OK);
}

static void
current_tells_what_the_file_is(void **state)
{
	struct world *w = *state;
	struct upt_image found, expected = image_of("", V2);

	memset(&found, 0xff, sizeof(found));
	assert_int_equal(w->installer->ops->current(w->installer, &found, &w->err), UPT_OK);
	assert_int_equal(found.n_digests, 0);
	file_write(w->path, V2);
	assert_int_equal(w->installer->ops->current(w->installer, &found, &w->err), UPT_OK);
	assert_int_equal(found.n_digests, 2);
	assert_true(upt_image_same(&found, &expected));
	/* Nobody's word but the file's: changed behind our back it is something else. */
	file_write(w->path, BYTES("firmware two, LONGER"));
	assert_int_equal(w->installer->ops->current(w->installer, &found, &w->err), UPT_OK);
	assert_false(upt_image_same(&found, &expected));
}

static void
finalize_believes_the_file_only(void **state)
{
	struct world *w = *state;
	struct upt_image one = image_of("app.bin", V1), two = image_of("app.bin", V2);
	bool done = true;

	install_ok(w, V1);
	assert_int_equal(
		w->installer->ops->finalize(w->installer, &two, &done, &w->err), UPT_E_INSTALL);
	assert_false(done);
	assert_int_equal(w->installer->ops->finalize(w->installer, &one, &done, &w->err), UPT_OK);
	assert_true(done);
}

static void
rollback_swaps_and_swaps_back(void **state)
{
	struct world *w = *state;

	install_ok(w, V1);
	install_ok(w, V2);
	assert_int_equal(rollback(w), UPT_OK);
	assert_true(file_holds(w->path, V1));
	assert_true(file_holds(w->backup, V2));
	assert_int_equal(rollback(w), UPT_OK);
	assert_true(file_holds(w->path, V2));
	assert_true(file_holds(w->backup, V1));
}

static void
rollback_needs_another_version(void **state)
{
	struct world *w = *state;

	assert_int_equal(rollback(w), UPT_E_INSTALL);
	install_ok(w, V1);
	assert_int_equal(rollback(w), UPT_E_INSTALL);
	/* a cut right after the backup was made: two names of one version */
	assert_int_equal(link(w->path, w->backup), 0);
	assert_int_equal(rollback(w), UPT_E_INSTALL);
	assert_true(file_holds(w->path, V1));
	install_ok(w, V2);
	assert_int_equal(rollback(w), UPT_OK);
}

static void
a_missing_directory_is_named(void **state)
{
	struct world *w = *state;
	upt_cleanup(upt_installer_free) struct upt_installer *other = NULL;
	struct upt_image listed = image_of("app.bin", V1);
	upt_cleanup(upt_close_fd) int fd = fd_of(w, V1);
	struct upt_install_job job = {.image = &listed, .format = "BINARY", .image_fd = fd};
	const char *path = path_in(w->dir, "missing/app");
	bool needs_reboot;

	assert_int_equal(upt_file_installer_new(&(struct upt_file_installer_config){.path = path},
				 NULL, &other, &w->err),
		UPT_OK);
	assert_int_equal(other->ops->install(other, &job, &needs_reboot, &w->err), UPT_E_NOT_FOUND);
	assert_non_null(strstr(w->err.message, path));
}

static void
new_refuses_a_senseless_configuration(void **state)
{
	struct world *w = *state;
	struct upt_installer *other = w->installer;
	struct upt_file_installer_config config = {.path = NULL};

	assert_int_equal(upt_file_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
	assert_null(other);
	config.path = "/tmp/";
	assert_int_equal(upt_file_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
	config.path = config.backup_path = w->path;
	assert_int_equal(upt_file_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
	config.backup_path = NULL;
	config.mode = 04755;
	assert_int_equal(upt_file_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
}

/* Runs body in a child with mounts of its own, so that no mount can outlive the test. */
static void
in_own_mounts(struct world *w, void (*body)(struct world *w))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(99);
		body(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#define BIG_BYTES ((size_t)600 * 1024)

static void
on_a_full_disk(struct world *w)
{
	char mount_point[PATH_MAX], path[PATH_MAX], staging[PATH_MAX];
	upt_cleanup(upt_installer_free) struct upt_installer *small = NULL;
	upt_cleanup(upt_free_ptr) uint8_t *bytes = calloc(1, BIG_BYTES);
	struct upt_span big = upt_span(bytes, BIG_BYTES);
	struct upt_image listed = image_of("app.bin", big);
	upt_cleanup(upt_close_fd) int fd = fd_of(w, big);
	struct upt_install_job job = {.image = &listed, .format = "BINARY", .image_fd = fd};
	struct upt_file_installer_config config = {.path = path};
	bool needs_reboot;

	snprintf(mount_point, sizeof(mount_point), "%s", path_in(w->dir, "mnt"));
	snprintf(path, sizeof(path), "%s", path_in(w->dir, "mnt/app"));
	snprintf(staging, sizeof(staging), "%s", path_in(w->dir, "mnt/app.new"));
	CHILD_CHECK(mkdir(mount_point, 0755) == 0);
	CHILD_CHECK(mount("tmpfs", mount_point, "tmpfs", 0, "size=1m") == 0);
	CHILD_CHECK(upt_file_installer_new(&config, NULL, &small, &w->err) == UPT_OK);
	CHILD_CHECK(small->ops->prepare(small, &job, NULL, &w->err) == UPT_OK);
	CHILD_CHECK(small->ops->install(small, &job, &needs_reboot, &w->err) == UPT_OK);
	/* the second one does not fit beside the first */
	bytes[0] = 1;
	listed = image_of("app.bin", big);
	close(fd);
	fd = fd_of(w, big);
	job.image_fd = fd;
	CHILD_CHECK(small->ops->prepare(small, &job, NULL, &w->err) == UPT_E_NO_SPACE);
	CHILD_CHECK(small->ops->install(small, &job, &needs_reboot, &w->err) == UPT_E_NO_SPACE);
	bytes[0] = 0;
	CHILD_CHECK(file_holds(path, big));
	CHILD_CHECK(!file_exists(staging));
	CHILD_CHECK(umount(mount_point) == 0);
}

static void
a_full_disk_leaves_the_old_file(void **state)
{
	in_own_mounts(*state, on_a_full_disk);
}

static void
across_file_systems(struct world *w)
{
	char mount_point[PATH_MAX], backup[PATH_MAX];
	upt_cleanup(upt_installer_free) struct upt_installer *other = NULL;
	struct upt_file_installer_config config = {.path = w->path, .backup_path = backup};

	snprintf(mount_point, sizeof(mount_point), "%s", path_in(w->dir, "mnt"));
	snprintf(backup, sizeof(backup), "%s", path_in(w->dir, "mnt/app.old"));
	CHILD_CHECK(mkdir(mount_point, 0755) == 0);
	CHILD_CHECK(mount("tmpfs", mount_point, "tmpfs", 0, "size=1m") == 0);
	CHILD_CHECK(upt_file_installer_new(&config, NULL, &other, &w->err) == UPT_OK);
	upt_installer_free(&w->installer);
	w->installer = other;
	other = NULL;
	install_ok(w, V1);
	install_ok(w, V2);
	CHILD_CHECK(file_holds(w->path, V2));
	CHILD_CHECK(file_holds(backup, V1));
	CHILD_CHECK(rollback(w) == UPT_OK);
	CHILD_CHECK(file_holds(w->path, V1));
	CHILD_CHECK(file_holds(backup, V2));
	CHILD_CHECK(rollback(w) == UPT_OK);
	CHILD_CHECK(file_holds(w->path, V2));
	CHILD_CHECK(!file_exists(path_in(w->dir, "mnt/app.old.new")));
	CHILD_CHECK(!file_exists(w->staging));
	upt_installer_free(&w->installer);
	CHILD_CHECK(umount(mount_point) == 0);
}

static void
a_backup_on_another_file_system_works(void **state)
{
	in_own_mounts(*state, across_file_systems);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(install_replaces_the_file_and_keeps_the_old_one),
		CASE(install_repeated_keeps_the_backup),
		CASE(install_refuses_other_bytes_and_leaves_the_old_file),
		CASE(install_checks_every_listed_hash),
		CASE(install_refuses_another_length),
		CASE(install_refuses_an_image_without_a_hash),
		CASE(install_survives_what_a_power_cut_left),
		CASE(install_follows_no_link_planted_at_the_temporary),
		CASE(install_refuses_a_symbolic_link_in_the_files_place),
		CASE(install_reads_the_descriptor_from_its_start),
		CASE(prepare_changes_nothing_and_refuses_what_is_not_there),
		CASE(prepare_obeys_a_cancellation),
		CASE(current_tells_what_the_file_is),
		CASE(finalize_believes_the_file_only),
		CASE(rollback_swaps_and_swaps_back),
		CASE(rollback_needs_another_version),
		CASE(a_missing_directory_is_named),
		CASE(new_refuses_a_senseless_configuration),
		CASE(a_full_disk_leaves_the_old_file),
		CASE(a_backup_on_another_file_system_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
