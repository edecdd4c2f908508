/* The OSTREE installer on a real sysroot in a directory: pull, deploy, reboot, roll back, and lies.
 */
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"
#include "installer/boot.h"
#include "ostree_world.h"

static int
set_up(void **state)
{
	static struct ostree_world w;
	struct upt_ostree_installer_config config;

	ostree_world_make(&w);
	config = ostree_world_config(&w);
	assert_int_equal(upt_ostree_installer_new(&config, NULL, &w.installer, &w.err), UPT_OK);
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	ostree_world_remove(*state);
	return 0;
}

/* A daemon started anew: nothing is remembered but what is on disk. */
static void
renew(struct ostree_world *w, const struct upt_ostree_installer_config *config)
{
	upt_installer_free(&w->installer);
	assert_int_equal(upt_ostree_installer_new(config, NULL, &w->installer, &w->err), UPT_OK);
}

static void
reboot(struct ostree_world *w)
{
	struct upt_ostree_installer_config config = ostree_world_config(w);

	ostree_world_boot(w);
	renew(w, &config);
}

static enum upt_code
prepare_image(struct ostree_world *w, const struct upt_image *image, const char *uri)
{
	struct upt_install_job job = {
		.image = image, .format = "OSTREE", .uri = uri, .image_fd = -1};

	return w->installer->ops->prepare(w->installer, &job, NULL, &w->err);
}

static enum upt_code
prepare(struct ostree_world *w, unsigned version)
{
	struct upt_image image = image_of_hex("gateway-os", w->commit[version]);

	return prepare_image(w, &image, NULL);
}

static enum upt_code
install(struct ostree_world *w, unsigned version, bool *needs_reboot)
{
	struct upt_image image = image_of_hex("gateway-os", w->commit[version]);
	struct upt_install_job job = {.image = &image, .format = "OSTREE", .image_fd = -1};

	return w->installer->ops->install(w->installer, &job, needs_reboot, &w->err);
}

/* Prepares and installs a version that runs after a reboot. */
static void
update_to(struct ostree_world *w, unsigned version)
{
	bool needs_reboot = false;

	CHECK_OK(prepare(w, version));
	CHECK_OK(install(w, version, &needs_reboot));
	assert_true(needs_reboot);
}

static enum upt_code
finalize(struct ostree_world *w, unsigned version, bool *done)
{
	struct upt_image image = image_of_hex("gateway-os", w->commit[version]);

	return w->installer->ops->finalize(w->installer, &image, done, &w->err);
}

static void
assert_done(struct ostree_world *w, unsigned version, bool expected)
{
	bool done = !expected;

	CHECK_OK(finalize(w, version, &done));
	assert_int_equal(done, expected);
}

static enum upt_code
rollback(struct ostree_world *w, bool *needs_reboot)
{
	return w->installer->ops->rollback(w->installer, needs_reboot, &w->err);
}

static void
assert_runs(struct ostree_world *w, unsigned version)
{
	struct upt_image found, expected = image_of_hex("", w->commit[version]);

	CHECK_OK(w->installer->ops->current(w->installer, &found, &w->err));
	assert_int_equal(found.n_digests, 1);
	assert_true(upt_digest_equal(&found.digests[0], &expected.digests[0]));
}

/* The boot order by versions, as "2 1". */
static void
assert_boots(struct ostree_world *w, const char *expected)
{
	char entries[4 * 66], versions[16] = "";
	size_t n = 0;

	ostree_world_entries(w, entries, sizeof(entries));
	for (const char *commit = entries; strlen(commit) >= 64; commit += 64) {
		commit += *commit == ' ';
		for (unsigned v = 1; v <= 3; v++) {
			if (strncmp(commit, w->commit[v], 64) == 0)
				n += (size_t)snprintf(versions + n, sizeof(versions) - n, "%s%u",
					n == 0 ? "" : " ", v);
		}
	}
	assert_string_equal(versions, expected);
}

/* Path of a file in the one deployment of that version. */
static const char *
in_deployment(struct ostree_world *w, unsigned version, const char *file)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "ostree/deploy/gateway/deploy/%s.0/%s", w->commit[version],
		file);
	return path_in(w->sysroot, name);
}

static void
current_is_what_booted(void **state)
{
	struct ostree_world *w = *state;

	assert_runs(w, 1);
}

static void
an_update_runs_after_the_reboot(void **state)
{
	struct ostree_world *w = *state;
	bool done = true;

	CHECK_OK(prepare(w, 2));
	assert_boots(w, "1");
	assert_runs(w, 1);
	CHECK_CODE(finalize(w, 2, &done), UPT_E_INSTALL);
	assert_false(done);
	update_to(w, 2);
	assert_boots(w, "2 1");
	assert_runs(w, 1);
	assert_done(w, 2, false);
	reboot(w);
	assert_runs(w, 2);
	assert_done(w, 2, true);
	assert_false(file_exists(w->state));
	assert_done(w, 2, true);
}

static void
install_keeps_kernel_arguments_and_etc(void **state)
{
	struct ostree_world *w = *state;
	upt_cleanup(upt_buf_clear) struct upt_buf cmdline = {0};

	file_write_text(in_deployment(w, 1, "etc/hostname"), "changed here\n");
	update_to(w, 2);
	assert_true(file_holds(in_deployment(w, 2, "etc/hostname"), BYTES("changed here\n")));
	reboot(w);
	CHECK_OK(upt_file_read(AT_FDCWD, w->cmdline, 4096, &cmdline, &w->err));
	assert_non_null(strstr((const char *)cmdline.data, "root=LABEL=gateway"));
	assert_non_null(strstr((const char *)cmdline.data, "quiet"));
}

static void
install_is_idempotent(void **state)
{
	struct ostree_world *w = *state;
	struct upt_ostree_installer_config config = ostree_world_config(w);
	bool needs_reboot = true;

	CHECK_OK(install(w, 1, &needs_reboot));
	assert_false(needs_reboot);
	update_to(w, 2);
	renew(w, &config);
	update_to(w, 2);
	assert_boots(w, "2 1");
	assert_runs(w, 1);
	/* the deployment that was there, not a second one of the same commit */
	assert_true(file_exists(in_deployment(w, 2, "usr")));
	reboot(w);
	CHECK_OK(install(w, 2, &needs_reboot));
	assert_false(needs_reboot);
	assert_boots(w, "2 1");
}

static void
what_runs_survives_several_installations_without_a_reboot(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;

	update_to(w, 2);
	update_to(w, 3);
	assert_boots(w, "3 1");
	assert_runs(w, 1);
	assert_done(w, 3, false);
	/* and back to what runs: nothing is left to reboot for */
	CHECK_OK(install(w, 1, &needs_reboot));
	assert_false(needs_reboot);
	assert_boots(w, "1");
	assert_runs(w, 1);
	assert_done(w, 1, true);
	/* the command line means nothing any more in this boot: what runs must stay remembered */
	assert_runs(w, 1);
	reboot(w);
	assert_runs(w, 1);
	assert_done(w, 1, true);
	assert_false(file_exists(w->state));
	assert_runs(w, 1);
}

static void
what_runs_stays_remembered_when_its_links_are_gone(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;

	update_to(w, 2);
	reboot(w);
	assert_done(w, 2, true);
	update_to(w, 3);
	CHECK_OK(rollback(w, &needs_reboot));
	assert_false(needs_reboot);
	/* the links that this boot's command line names do not exist any more */
	assert_done(w, 2, true);
	assert_runs(w, 2);
	assert_done(w, 2, true);
	reboot(w);
	assert_runs(w, 2);
}

static void
install_needs_a_prepared_commit(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;

	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_NOT_FOUND);
	assert_false(needs_reboot);
	assert_boots(w, "1");
	update_to(w, 2);
}

static void
prepare_refuses_a_commit_that_the_remote_lacks(void **state)
{
	struct ostree_world *w = *state;

	memset(w->commit[3], 'a', 64);
	CHECK_CODE(prepare(w, 3), UPT_E_ABSENT);
	CHECK_OK(prepare(w, 2));
}

static void
prepare_refuses_a_target_without_sha256(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of("gateway-os", BYTES("x"));

	image.digests[0] = image.digests[1];
	image.n_digests = 1;
	CHECK_CODE(prepare_image(w, &image, NULL), UPT_E_MALFORMED);
}

static void
prepare_checks_every_listed_hash_and_the_length(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", w->commit[2]);
	upt_cleanup(upt_buf_clear) struct upt_buf commit = {0};
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "objects/%.2s/%s.commit", w->commit[2], w->commit[2] + 2);
	CHECK_OK(upt_file_read(AT_FDCWD, path_in(w->remote, name), 65536, &commit, &w->err));
	CHECK_OK(upt_hash_span(UPT_HASH_SHA512, upt_buf_span(&commit), &image.digests[1], &w->err));
	image.n_digests = 2;
	image.digests[1].bytes[63] ^= 1;
	CHECK_CODE(prepare_image(w, &image, NULL), UPT_E_IMAGE_HASH);
	image.digests[1].bytes[63] ^= 1;
	image.length_bytes = commit.len + 1;
	CHECK_CODE(prepare_image(w, &image, NULL), UPT_E_IMAGE_HASH);
	image.length_bytes = commit.len;
	CHECK_OK(prepare_image(w, &image, NULL));
}

static void
prepare_refuses_a_changed_object(void **state)
{
	struct ostree_world *w = *state;
	char path[PATH_MAX + 128], other[PATH_MAX];
	upt_cleanup(upt_buf_clear) struct upt_buf good = {0};

	/* another commit's bytes under this commit's name */
	snprintf(path, sizeof(path), "%s/objects/%.2s/%s.commit", w->remote, w->commit[2],
		w->commit[2] + 2);
	snprintf(other, sizeof(other), "objects/%.2s/%s.commit", w->commit[3], w->commit[3] + 2);
	CHECK_OK(upt_file_read(AT_FDCWD, path_in(w->remote, other), 65536, &good, &w->err));
	assert_int_equal(rename(path, path_in(w->dir, "kept")), 0);
	file_write(path, upt_buf_span(&good));
	CHECK_CODE(prepare(w, 2), UPT_E_IMAGE_HASH);
	assert_int_equal(rename(path_in(w->dir, "kept"), path), 0);
	CHECK_OK(prepare(w, 2));
}

/* The remote's object of a file in version 2. */
static void
object_of(struct ostree_world *w, const char *file, char *out, size_t size)
{
	char repo[PATH_MAX + 8], line[512], *sum;

	snprintf(repo, sizeof(repo), "--repo=%s", w->remote);
	run_output(w->log, line, sizeof(line),
		(const char *const[]){"ostree", repo, "ls", "-C", w->commit[2], file, NULL});
	sum = strstr(line, file);
	assert_non_null(sum);
	sum -= 65;
	snprintf(out, size, "%s/objects/%.2s/%.62s.filez", w->remote, sum, sum + 2);
}

static void
prepare_finishes_what_was_cut_short(void **state)
{
	struct ostree_world *w = *state;
	char path[PATH_MAX + 128];
	bool needs_reboot;

	/* a file that is new in version 2 is not there yet: the commit arrives in part */
	object_of(w, "/usr/lib/os-release", path, sizeof(path));
	assert_int_equal(rename(path, path_in(w->dir, "kept")), 0);
	CHECK_CODE(prepare(w, 2), UPT_E_ABSENT);
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_NOT_FOUND);
	assert_boots(w, "1");
	assert_int_equal(rename(path_in(w->dir, "kept"), path), 0);
	update_to(w, 2);
}

static void
a_commit_that_is_there_in_part_is_completed(void **state)
{
	struct ostree_world *w = *state;
	char repo[PATH_MAX + 32];
	bool needs_reboot = true;

	/* its object is in the repository and half of its files are not */
	snprintf(repo, sizeof(repo), "--repo=%s/ostree/repo", w->sysroot);
	run(w->log, (const char *const[]){"ostree", repo, "pull", "--subpath=/usr/etc", "updates",
			    w->commit[2], NULL});
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_NOT_FOUND);
	assert_false(needs_reboot);
	update_to(w, 2);
}

/* Removes from the device the object of a file or folder in version 2. */
static void
lose_object(struct ostree_world *w, const char *path, const char *type)
{
	char repo[PATH_MAX + 8], line[512], object[PATH_MAX];
	const char *sum = line;

	snprintf(repo, sizeof(repo), "--repo=%s", w->remote);
	run_output(w->log, line, sizeof(line),
		(const char *const[]){"ostree", repo, "ls", "-d", "-C", w->commit[2], path, NULL});
	while (*sum != '\0' && strspn(sum, "0123456789abcdef") < 64)
		sum++;
	snprintf(object, sizeof(object), "ostree/repo/objects/%.2s/%.62s.%s", sum, sum + 2, type);
	assert_int_equal(unlink(path_in(w->sysroot, object)), 0);
}

static void
a_commit_that_was_being_removed_is_completed(void **state)
{
	struct ostree_world *w = *state;

	CHECK_OK(prepare(w, 2));
	lose_object(w, "/usr/lib/os-release", "file");
	CHECK_OK(prepare(w, 2));
	lose_object(w, "/usr/lib", "dirtree");
	update_to(w, 2);
	reboot(w);
	assert_runs(w, 2);
}

static void
prepare_needs_no_remote_when_the_commit_is_there(void **state)
{
	struct ostree_world *w = *state;

	CHECK_OK(prepare(w, 2));
	assert_int_equal(rename(w->remote, path_in(w->dir, "unplugged")), 0);
	CHECK_OK(prepare(w, 2));
	assert_true(prepare(w, 3) != UPT_OK);
	assert_int_equal(rename(path_in(w->dir, "unplugged"), w->remote), 0);
	CHECK_OK(prepare(w, 3));
}

static void
prepare_refuses_addresses_that_are_not_http(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", w->commit[2]);
	struct upt_ostree_installer_config config = ostree_world_config(w);
	char url[PATH_MAX + 16];

	snprintf(url, sizeof(url), "file://%s", w->remote);
	CHECK_CODE(prepare_image(w, &image, url), UPT_E_MALFORMED);
	CHECK_CODE(prepare_image(w, &image, "http://a b/"), UPT_E_MALFORMED);
	config.remote = NULL;
	renew(w, &config);
	CHECK_CODE(prepare_image(w, &image, NULL), UPT_E_CONFIG);
	config.remote = "missing";
	renew(w, &config);
	CHECK_CODE(prepare_image(w, &image, NULL), UPT_E_CONFIG);
	config.remote = "updates";
	renew(w, &config);
	CHECK_OK(prepare_image(w, &image, NULL));
}

/* A server that takes connections and never answers; returns its socket. */
static int
silent_server(char *url, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(url, size, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	return fd;
}

static void
a_silent_server_is_too_slow(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", w->commit[2]);
	struct upt_ostree_installer_config config = ostree_world_config(w);
	char url[64];
	int fd = silent_server(url, sizeof(url));

	config.min_speed_window_s = 1;
	renew(w, &config);
	CHECK_CODE(prepare_image(w, &image, url), UPT_E_TOO_SLOW);
	CHECK_OK(prepare_image(w, &image, NULL));
	close(fd);
}

static void
a_server_that_is_not_there_is_a_network_failure(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", w->commit[2]);
	struct upt_ostree_installer_config config = ostree_world_config(w);
	char url[64], text[PATH_MAX];
	int fd = silent_server(url, sizeof(url));

	close(fd);
	CHECK_CODE(prepare_image(w, &image, url), UPT_E_NETWORK);
	config.remote = NULL;
	renew(w, &config);
	CHECK_CODE(prepare_image(w, &image, url), UPT_E_NETWORK);
	/* the remote made for it is gone again */
	run_output(w->log, text, sizeof(text),
		(const char *const[]){"ostree", "remote", "list", "--repo",
			path_in(w->sysroot, "ostree/repo"), NULL});
	assert_string_equal(text, "updates");
}

struct watcher {
	volatile bool cancel;
	unsigned n_reports;
};

static void
count_reports(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct watcher *watcher = ctx;

	assert_string_equal(what, "pull");
	assert_string_equal(unit, "objects");
	assert_true(total == 0 || done <= total);
	watcher->n_reports++;
	watcher->cancel = true;
}

static void
a_cancelled_pull_ends_soon(void **state)
{
	struct ostree_world *w = *state;
	struct upt_image image = image_of_hex("gateway-os", w->commit[2]);
	char url[64];
	int fd = silent_server(url, sizeof(url));
	struct upt_install_job job = {
		.image = &image, .format = "OSTREE", .uri = url, .image_fd = -1};
	struct watcher watcher = {.cancel = false};
	struct upt_install_progress progress = {count_reports, &watcher, &watcher.cancel};

	/* the first report of progress sets the flag while the server is silent */
	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, &progress, &w->err),
		UPT_E_CANCELLED);
	assert_true(watcher.n_reports >= 1);
	CHECK_CODE(w->installer->ops->prepare(w->installer, &job, &progress, &w->err),
		UPT_E_CANCELLED);
	CHECK_OK(prepare(w, 2));
	close(fd);
}

static void
rollback_goes_back_and_forth_over_reboots(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = false;

	update_to(w, 2);
	reboot(w);
	assert_done(w, 2, true);
	CHECK_OK(rollback(w, &needs_reboot));
	assert_true(needs_reboot);
	assert_boots(w, "1 2");
	assert_runs(w, 2);
	assert_done(w, 1, false);
	/* asked again before the reboot, it is done already */
	needs_reboot = false;
	CHECK_OK(rollback(w, &needs_reboot));
	assert_true(needs_reboot);
	assert_boots(w, "1 2");
	reboot(w);
	assert_runs(w, 1);
	assert_done(w, 1, true);
	CHECK_OK(rollback(w, &needs_reboot));
	assert_true(needs_reboot);
	assert_boots(w, "2 1");
	reboot(w);
	assert_runs(w, 2);
}

static void
rollback_of_what_never_ran_removes_it(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;

	update_to(w, 2);
	CHECK_OK(rollback(w, &needs_reboot));
	assert_false(needs_reboot);
	assert_boots(w, "1");
	assert_runs(w, 1);
	/* a second time it must not boot what was just given up */
	CHECK_CODE(rollback(w, &needs_reboot), UPT_E_NOT_FOUND);
	assert_boots(w, "1");
	reboot(w);
	assert_runs(w, 1);
}

static void
rollback_needs_a_previous_deployment(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;

	CHECK_CODE(rollback(w, &needs_reboot), UPT_E_NOT_FOUND);
	assert_false(needs_reboot);
}

/* Boots the second entry of the boot loader, as one that counts failed attempts does. */
static void
boot_fallback(struct ostree_world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf keep = {0};
	struct upt_ostree_installer_config config = ostree_world_config(w);
	char entry[PATH_MAX];
	glob_t found;

	ostree_world_boot(w);
	assert_int_equal(
		glob(path_in(w->sysroot, "boot/loader/entries/*.conf"), 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 2);
	for (size_t i = 0; i < 2; i++) {
		const char *options;
		CHECK_OK(upt_file_read(AT_FDCWD, found.gl_pathv[i], 65536, &keep, &w->err));
		if (strstr((const char *)keep.data, "version 1\n") == NULL)
			continue;
		options = strstr((const char *)keep.data, "options ");
		snprintf(entry, sizeof(entry), "%.*s\n", (int)strcspn(options + 8, "\n"),
			options + 8);
		file_write_text(w->cmdline, entry);
	}
	globfree(&found);
	renew(w, &config);
}

static void
finalize_says_which_other_commit_booted(void **state)
{
	struct ostree_world *w = *state;
	bool done = true, needs_reboot = true;

	update_to(w, 2);
	boot_fallback(w);
	assert_runs(w, 1);
	CHECK_CODE(finalize(w, 2, &done), UPT_E_INSTALL);
	assert_false(done);
	assert_non_null(strstr(w->err.message, w->commit[1]));
	/* going back means: what does not boot goes, what runs is the default */
	CHECK_OK(rollback(w, &needs_reboot));
	assert_false(needs_reboot);
	assert_boots(w, "1");
	assert_runs(w, 1);
	update_to(w, 3);
	reboot(w);
	assert_done(w, 3, true);
}

static void
the_command_line_cannot_lie(void **state)
{
	struct ostree_world *w = *state;
	static const char *const lies[] = {
		"quiet",
		"ostree=",
		"ostree=/ostree/boot.1/gateway/0000/0",
		"ostree=/../../../../../../../etc",
		"ostree=/ostree/deploy/gateway/deploy",
		"ostree=/ostree/repo",
		"ostree=/lie",
		"ostree=/ostree/boot.1/gateway/x/0 ostree=/ostree/boot.1/gateway/x/0",
	};
	struct upt_image found;
	upt_cleanup(upt_buf_clear) struct upt_buf truth = {0};

	CHECK_OK(upt_file_read(AT_FDCWD, w->cmdline, 4096, &truth, &w->err));
	/* a directory named like a deployment of version 2, and a link to it */
	assert_int_equal(mkdir(in_deployment(w, 2, ""), 0755), 0);
	assert_int_equal(symlink(in_deployment(w, 2, ""), path_in(w->sysroot, "lie")), 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		file_write_text(w->cmdline, lies[i]);
		memset(&found, 0xff, sizeof(found));
		CHECK_CODE(
			w->installer->ops->current(w->installer, &found, &w->err), UPT_E_INSTALL);
		assert_int_equal(found.n_digests, 0);
	}
	/* the truth, said twice: which of the two the boot took nobody can tell */
	file_write(w->cmdline, upt_buf_span(&truth));
	assert_runs(w, 1);
	truth.data[truth.len - 1] = ' ';
	CHECK_OK(upt_buf_append(&truth, " ostree=/lie", 12, &w->err));
	file_write(w->cmdline, upt_buf_span(&truth));
	CHECK_CODE(w->installer->ops->current(w->installer, &found, &w->err), UPT_E_INSTALL);
	assert_non_null(strstr(w->err.message, "two deployments"));
}

static void
a_record_without_its_change_is_no_pending_update(void **state)
{
	struct ostree_world *w = *state;
	char text[512];
	bool done = true;

	/* the power went after the record was written and before the deployment */
	CHECK_OK(prepare(w, 2));
	snprintf(text, sizeof(text),
		"kind install\nboot-id 0e8a2c1d-0000-4000-8000-%012u\nrunning %s.0\ncommit %s\n",
		w->n_boots, w->commit[1], w->commit[2]);
	file_write_text(w->state, text);
	assert_runs(w, 1);
	CHECK_CODE(finalize(w, 2, &done), UPT_E_INSTALL);
	assert_false(done);
	update_to(w, 2);
	assert_done(w, 2, false);
}

static void
a_broken_record_is_ignored(void **state)
{
	struct ostree_world *w = *state;

	file_write_text(w->state, "kind install\nboot-id");
	assert_runs(w, 1);
	update_to(w, 2);
	reboot(w);
	file_write_text(w->state, "");
	assert_runs(w, 2);
	assert_done(w, 2, true);
}

static void
a_boot_id_must_be_one(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot;

	CHECK_OK(prepare(w, 2));
	file_write_text(w->boot_id, "x\n");
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_IO);
	assert_boots(w, "1");
	assert_int_equal(unlink(w->boot_id), 0);
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_NOT_FOUND);
	assert_boots(w, "1");
}

static void
somebody_elses_lock_is_busy(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = true;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	CHECK_OK(prepare(w, 2));
	fd = open(path_in(w->sysroot, "ostree/lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_BUSY);
	assert_false(needs_reboot);
	assert_boots(w, "1");
	close(fd);
	update_to(w, 2);
}

static void
another_systems_deployments_stay(void **state)
{
	struct ostree_world *w = *state;
	char sysroot[PATH_MAX + 16];
	struct upt_ostree_installer_config config = ostree_world_config(w);
	struct upt_image found;

	snprintf(sysroot, sizeof(sysroot), "--sysroot=%s", w->sysroot);
	run(w->log, (const char *const[]){"ostree", "admin", "os-init", sysroot, "rescue", NULL});
	run(w->log, (const char *const[]){"ostree", "admin", "deploy", sysroot, "--os=rescue",
			    "--not-as-default", w->commit[1], NULL});
	reboot(w);
	update_to(w, 2);
	update_to(w, 3);
	assert_boots(w, "3 1 1");
	/* asked for the rescue system, what runs is not one of it */
	config.os = "rescue";
	renew(w, &config);
	assert_int_equal(unlink(w->state), 0);
	CHECK_CODE(w->installer->ops->current(w->installer, &found, &w->err), UPT_E_INSTALL);
}

static void
new_refuses_a_senseless_configuration(void **state)
{
	struct ostree_world *w = *state;
	struct upt_ostree_installer_config config = ostree_world_config(w);
	struct upt_installer *other = w->installer;

	config.state_path = NULL;
	CHECK_CODE(upt_ostree_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
	assert_null(other);
	config = ostree_world_config(w);
	config.cert_path = "/tmp/cert.pem";
	CHECK_CODE(upt_ostree_installer_new(&config, NULL, &other, &w->err), UPT_E_CONFIG);
	config.key_path = "pkcs11:token=x;object=y";
	config.remote = NULL;
	CHECK_CODE(upt_ostree_installer_new(&config, NULL, &other, &w->err), UPT_E_UNSUPPORTED);
	assert_null(other);
	/* with a remote of its own the key is not used */
	config.remote = "updates";
	CHECK_OK(upt_ostree_installer_new(&config, NULL, &other, &w->err));
	upt_installer_free(&other);
}

/* ---- the boot loader ---- */

/* One that notes what it is asked and what would boot at that moment. */
struct noted {
	struct upt_boot base;
	struct ostree_world *w;
	char text[512];
	enum upt_code code; /* its answer */
};

static void
note(struct noted *noted, const char *what)
{
	char entries[4 * 66];
	size_t used = strlen(noted->text);
	unsigned first = 0;

	ostree_world_entries(noted->w, entries, sizeof(entries));
	for (unsigned v = 1; v <= 3; v++) {
		if (strncmp(entries, noted->w->commit[v], 64) == 0)
			first = v;
	}
	snprintf(noted->text + used, sizeof(noted->text) - used, "%s at %u;", what, first);
}

static enum upt_code
noted_arm(struct upt_boot *self, unsigned tries, struct upt_err *err)
{
	struct noted *noted = (struct noted *)self;

	assert_int_equal(tries, 5);
	note(noted, "arm");
	return noted->code == UPT_OK ? UPT_OK : upt_fail(err, noted->code, "no");
}

static enum upt_code
noted_good(struct upt_boot *self, struct upt_err *err)
{
	(void)err;
	note((struct noted *)self, "good");
	return UPT_OK;
}

static const struct upt_boot_ops before_ops = {.arm = noted_arm, .mark_good = noted_good};
static const struct upt_boot_ops after_ops = {
	.arms_entry = true, .arm = noted_arm, .mark_good = noted_good};

static struct upt_ostree_installer_config
with_loader(struct ostree_world *w, struct noted *noted, const struct upt_boot_ops *ops)
{
	struct upt_ostree_installer_config config = ostree_world_config(w);

	*noted = (struct noted){.base.ops = ops, .w = w};
	config.boot = &noted->base;
	config.boot_tries = 5;
	renew(w, &config);
	return config;
}

static void
the_loader_is_armed_before_the_new_system_is_the_default(void **state)
{
	struct ostree_world *w = *state;
	struct noted noted;
	struct upt_ostree_installer_config config = with_loader(w, &noted, &before_ops);
	bool needs_reboot = false;

	update_to(w, 2);
	assert_string_equal(noted.text, "arm at 1;");
	noted.text[0] = '\0';
	ostree_world_boot(w);
	renew(w, &config);
	assert_done(w, 2, true);
	assert_string_equal(noted.text, "");
	CHECK_OK(rollback(w, &needs_reboot));
	assert_string_equal(noted.text, "arm at 2;");
	noted.text[0] = '\0';
	/* given up before the reboot: what runs is not counted */
	CHECK_OK(install(w, 2, &needs_reboot));
	assert_false(needs_reboot);
	assert_string_equal(noted.text, "good at 2;");
}

static void
a_loader_of_entries_is_armed_once_there_is_one(void **state)
{
	struct ostree_world *w = *state;
	struct noted noted;
	struct upt_ostree_installer_config config = with_loader(w, &noted, &after_ops);
	bool needs_reboot = false;

	update_to(w, 2);
	assert_string_equal(noted.text, "arm at 2;");
	ostree_world_boot(w);
	renew(w, &config);
	noted.text[0] = '\0';
	CHECK_OK(rollback(w, &needs_reboot));
	assert_string_equal(noted.text, "arm at 1;");
}

static void
a_loader_that_cannot_be_armed_keeps_the_old_system(void **state)
{
	struct ostree_world *w = *state;
	struct noted noted;
	bool needs_reboot = true;

	with_loader(w, &noted, &before_ops);
	noted.code = UPT_E_IO;
	CHECK_OK(prepare(w, 2));
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_IO);
	assert_false(needs_reboot);
	assert_boots(w, "1");
	/* what its tool says is no reason to refuse the commit for good */
	noted.code = UPT_E_INSTALL;
	CHECK_CODE(install(w, 2, &needs_reboot), UPT_E_IO);
	assert_boots(w, "1");
	noted.code = UPT_OK;
	update_to(w, 2);
}

static void
what_came_up_instead_stays(void **state)
{
	struct ostree_world *w = *state;
	struct noted noted;

	update_to(w, 2);
	boot_fallback(w);
	with_loader(w, &noted, &before_ops);
	CHECK_OK(w->installer->ops->stay(w->installer, &w->err));
	assert_boots(w, "1");
	assert_string_equal(noted.text, "good at 1;");
	assert_runs(w, 1);
	CHECK_OK(w->installer->ops->stay(w->installer, &w->err));
	assert_string_equal(noted.text, "good at 1;");
	reboot(w);
	assert_runs(w, 1);
}

/* ---- what stays on disk ---- */

static void
pinned_deployments_stay(void **state)
{
	struct ostree_world *w = *state;
	char sysroot[PATH_MAX + 16];

	snprintf(sysroot, sizeof(sysroot), "--sysroot=%s", w->sysroot);
	run(w->log, (const char *const[]){"ostree", "admin", "pin", sysroot, "0", NULL});
	update_to(w, 2);
	reboot(w);
	assert_done(w, 2, true);
	update_to(w, 3);
	assert_boots(w, "3 2 1");
	reboot(w);
	assert_done(w, 3, true);
	run(w->log, (const char *const[]){"ostree", "admin", "pin", sysroot, "--unpin", "2", NULL});
	update_to(w, 2);
	assert_boots(w, "2 3");
}

/* The Director assigns what ran before: it is deployed like any other release, and can be left
 * again. */
static void
an_older_release_is_installed_like_any_other(void **state)
{
	struct ostree_world *w = *state;
	bool needs_reboot = false;

	update_to(w, 2);
	reboot(w);
	assert_done(w, 2, true);
	update_to(w, 1);
	assert_boots(w, "1 2");
	reboot(w);
	assert_runs(w, 1);
	assert_done(w, 1, true);
	CHECK_OK(rollback(w, &needs_reboot));
	assert_true(needs_reboot);
	reboot(w);
	assert_runs(w, 2);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(current_is_what_booted),
		CASE(an_update_runs_after_the_reboot),
		CASE(install_keeps_kernel_arguments_and_etc),
		CASE(install_is_idempotent),
		CASE(what_runs_survives_several_installations_without_a_reboot),
		CASE(what_runs_stays_remembered_when_its_links_are_gone),
		CASE(install_needs_a_prepared_commit),
		CASE(prepare_refuses_a_commit_that_the_remote_lacks),
		CASE(prepare_refuses_a_target_without_sha256),
		CASE(prepare_checks_every_listed_hash_and_the_length),
		CASE(prepare_refuses_a_changed_object),
		CASE(prepare_finishes_what_was_cut_short),
		CASE(a_commit_that_is_there_in_part_is_completed),
		CASE(a_commit_that_was_being_removed_is_completed),
		CASE(prepare_needs_no_remote_when_the_commit_is_there),
		CASE(prepare_refuses_addresses_that_are_not_http),
		CASE(a_silent_server_is_too_slow),
		CASE(a_server_that_is_not_there_is_a_network_failure),
		CASE(a_cancelled_pull_ends_soon),
		CASE(rollback_goes_back_and_forth_over_reboots),
		CASE(rollback_of_what_never_ran_removes_it),
		CASE(rollback_needs_a_previous_deployment),
		CASE(finalize_says_which_other_commit_booted),
		CASE(the_command_line_cannot_lie),
		CASE(a_record_without_its_change_is_no_pending_update),
		CASE(a_broken_record_is_ignored),
		CASE(a_boot_id_must_be_one),
		CASE(somebody_elses_lock_is_busy),
		CASE(another_systems_deployments_stay),
		CASE(the_loader_is_armed_before_the_new_system_is_the_default),
		CASE(a_loader_of_entries_is_armed_once_there_is_one),
		CASE(a_loader_that_cannot_be_armed_keeps_the_old_system),
		CASE(what_came_up_instead_stays),
		CASE(pinned_deployments_stay),
		CASE(an_older_release_is_installed_like_any_other),
		CASE(new_refuses_a_senseless_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
