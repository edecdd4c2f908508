/* The program itself, as a service manager starts it: UPT_SECONDARY_PROGRAM is its path. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	world_clear(*state);
	free(*state);
	return 0;
}

static const char *
path_in(const struct world *w, const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", w->dir, name);
	return path;
}

/* The configuration of this world, with one line more or another value in the place of "key". */
static void
write_config(const struct world *w, const char *skip, const char *extra)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	const struct {
		const char *key, *value;
	} rows[] = {{"serial", WORLD_SERIAL}, {"hardware_id", WORLD_HARDWARE},
		{"vehicle_id", WORLD_VEHICLE}, {"state_dir", w->state_dir}, {"key", w->key_path},
		{"listen", "127.0.0.1:0"}, {"ready_file", path_in(w, "ready")},
		{"director_root", w->director_root}, {"image_root", w->image_root},
		{"install_path", w->install_path}};

	assert_ok(upt_buf_printf(&text, why, "[secondary]\n"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (skip == NULL || strcmp(skip, rows[i].key) != 0)
			assert_ok(
				upt_buf_printf(&text, why, "%s=%s\n", rows[i].key, rows[i].value));
	}
	assert_ok(upt_buf_printf(&text, why, "%s\n", extra));
	assert_ok(upt_file_replace(
		AT_FDCWD, path_in(w, "uptane-secondary.conf"), 0600, upt_buf_span(&text), why));
}

/* Starts the program; its stdout and stderr go to files out and err of the world's folder. */
static pid_t
spawn(const struct world *w, const char *const *args)
{
	const char *argv[8] = {UPT_SECONDARY_PROGRAM};
	pid_t pid;

	for (size_t i = 0; args[i] != NULL; i++)
		argv[i + 1] = args[i];
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int out = open(path_in(w, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		int err = open(path_in(w, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
		dup2(out, 1);
		dup2(err, 2);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static int
wait_exit(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
run(const struct world *w, const char *const *args)
{
	return wait_exit(spawn(w, args));
}

static bool
file_has(const struct world *w, const char *name, const char *text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

	assert_ok(upt_file_read(AT_FDCWD, path_in(w, name), 1 << 20, &bytes, why));
	return bytes.len > 0 && strstr((const char *)bytes.data, text) != NULL;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The program has a real clock: everything is published anew for that time. */
static void
set_time(struct world *w, int64_t now)
{
	const bool none[UPT_N_ROLES] = {false};

	w->now = now;
	for (int i = 0; i < UPT_N_ROLES; i++)
		w->director.expires[i] = w->image.expires[i] = now + 86400;
	world_rotate(w, &w->director, none);
	world_rotate(w, &w->image, none);
}

/* Starts it as a service and takes the port from its ready file. */
static pid_t
start_service(struct world *w)
{
	const struct timespec nap = {.tv_nsec = 2 * 1000 * 1000};
	pid_t pid;

	unlink(path_in(w, "ready"));
	pid = spawn(w, ARGS("--config", w->dir));
	for (;;) {
		upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

		if (upt_file_read(AT_FDCWD, path_in(w, "ready"), 64, &text, NULL) == UPT_OK) {
			w->port = (unsigned)strtoul((const char *)text.data, NULL, 10);
			return pid;
		}
		/* The file is the event; its writer must be alive to make it. */
		if (waitpid(pid, NULL, WNOHANG) != 0) {
			assert_ok(upt_file_read(AT_FDCWD, path_in(w, "err"), 1 << 20, &text, why));
			fail_msg("it ended: %s", (const char *)text.data);
		}
		nanosleep(&nap, NULL);
	}
}

static void
stop_service(pid_t pid, int signal)
{
	assert_int_equal(kill(pid, signal), 0);
	assert_int_equal(wait_exit(pid), 0);
}

static void
service_updates_and_stops_cleanly(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	struct stat st;
	pid_t pid;

	set_time(w, (int64_t)time(NULL));
	write_config(w, NULL, "factory_image=factory.bin");
	pid = start_service(w);
	world_report(w, &report);
	assert_string_equal(report.installed.name, "factory.bin");
	assert_int_equal(report.installed.length_bytes, 12);
	world_update(w);
	world_report(w, &report);
	assert_true(upt_image_same(&report.installed, &w->image_says));
	stop_service(pid, SIGTERM);
	assert_true(file_has(w, "err", "stopped"));
	assert_int_equal(stat(w->state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* And again, from its state, without the pinned files. */
	unlink(w->director_root);
	unlink(w->image_root);
	pid = start_service(w);
	world_update(w);
	stop_service(pid, SIGINT);
}

static void
clock_behind_the_floor_is_not_believed(void **state)
{
	struct world *w = *state;
	struct upt_ecu_report report;
	pid_t pid;

	/* Metadata that is fresh in 2100, where the build time says we are. */
	set_time(w, 4102444800);
	write_config(w, NULL, "build_time=2100-01-01T00:00:00Z");
	pid = start_service(w);
	world_report(w, &report);
	assert_int_equal(report.time, 4102444800);
	world_update(w);
	stop_service(pid, SIGTERM);
	assert_true(file_has(w, "err", "it is not believed"));
	/* The floor stays when the configuration forgets it. */
	write_config(w, NULL, "");
	pid = start_service(w);
	world_report(w, &report);
	assert_int_equal(report.time, 4102444800);
	stop_service(pid, SIGTERM);
}

static void
only_the_primary_is_served(void **state)
{
	struct world *w = *state;
	struct upt_ecu_info info;
	struct upt_err err = {0};
	struct upt_link *link;
	pid_t pid;

	write_config(w, NULL, "primary=127.0.0.2");
	pid = start_service(w);
	link = world_link(w);
	assert_code(link->ops->info(link, &info, &err), UPT_E_NETWORK);
	upt_link_free(&link);
	stop_service(pid, SIGTERM);
	write_config(w, NULL, "primary=127.0.0.1");
	pid = start_service(w);
	link = world_link(w);
	assert_ok(link->ops->info(link, &info, why));
	upt_link_free(&link);
	stop_service(pid, SIGTERM);
}

static void
second_agent_exits_busy(void **state)
{
	struct world *w = *state;
	pid_t pid;

	write_config(w, NULL, "");
	pid = start_service(w);
	assert_int_equal(run(w, ARGS("--config", w->dir)), 8);
	stop_service(pid, SIGTERM);
}

static void
key_is_generated_on_request_only(void **state)
{
	struct world *w = *state;
	struct stat st;

	write_config(w, NULL, "");
	assert_int_equal(unlink(w->key_path), 0);
	assert_int_equal(run(w, ARGS("--config", w->dir, "--info")), 3);
	assert_int_equal(stat(w->key_path, &st), -1);
	assert_int_equal(run(w, ARGS("--config", w->dir, "--generate-key", "--info")), 0);
	assert_int_equal(stat(w->key_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(file_has(w, "out", "serial: " WORLD_SERIAL "\n"));
	assert_true(file_has(w, "out", "keytype: ed25519\n"));
	/* An existing key stays. */
	{
		upt_cleanup(upt_buf_clear) struct upt_buf before = {0}, after = {0};

		assert_ok(upt_file_read(AT_FDCWD, w->key_path, 1 << 16, &before, why));
		assert_int_equal(run(w, ARGS("--config", w->dir, "--generate-key", "--info")), 0);
		assert_ok(upt_file_read(AT_FDCWD, w->key_path, 1 << 16, &after, why));
		assert_true(upt_span_equal(upt_buf_span(&before), upt_buf_span(&after)));
	}
	assert_int_equal(chmod(w->key_path, 0644), 0);
	assert_int_equal(run(w, ARGS("--config", w->dir, "--info")), 3);
}

static void
wrong_configuration_is_named(void **state)
{
	static const struct {
		const char *skip, *extra, *message;
	} rows[] = {
		{"serial", "", "serial"},
		{"hardware_id", "", "hardware_id"},
		{"vehicle_id", "", "vehicle_id"},
		{"key", "", "key"},
		{"install_path", "", "install_path"},
		{"serial", "serial=\xc3\xa9", "serial"},
		{"listen", "listen=127.0.0.1", "listen"},
		{"listen", "listen=::1:9", "listen"},
		{"listen", "listen=[::1]9", "listen"},
		{"listen", "listen=127.0.0.1:65536", "listen"},
		{"listen", "listen=127.0.0.1:", "listen"},
		{NULL, "profile=loose", "profile"},
		{NULL, "timeout_s=0", "timeout_s"},
		{NULL, "build_time=yesterday", "build_time"},
		{NULL, "log_level=loud", "log_level"},
		{NULL, "unknown_key=1", "unknown_key"},
		{NULL, "[secondry]\nx=1", "secondry"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_config(w, rows[i].skip, rows[i].extra);
		assert_int_equal(run(w, ARGS("--config", w->dir, "--info")), 3);
		assert_true(file_has(w, "err", rows[i].message));
	}
	write_config(w, "vehicle_id", "profile=ota");
	assert_int_equal(run(w, ARGS("--config", w->dir, "--info")), 0);
	write_config(w, "listen", "listen=[::1]:9");
	assert_int_equal(run(w, ARGS("--config", w->dir, "--info")), 0);
}

static void
wrong_pinned_root_stops_the_start(void **state)
{
	struct world *w = *state;

	write_config(w, NULL, "");
	assert_ok(upt_file_replace(AT_FDCWD, w->image_root, 0644, upt_span_str("{}"), why));
	assert_int_equal(run(w, ARGS("--config", w->dir)), upt_code_exit(UPT_E_MALFORMED));
	assert_true(file_has(w, "err", w->image_root));
	/* The Director's root in the place of the Image repository's is one too, but signed by
	 * others: only the operator can tell. No root at all: */
	unlink(w->image_root);
	assert_int_equal(run(w, ARGS("--config", w->dir)), upt_code_exit(UPT_E_NOT_FOUND));
	write_config(w, "image_root", "");
	assert_int_equal(run(w, ARGS("--config", w->dir)), 3);
}

static void
command_line_is_checked(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w, ARGS("--help")), 0);
	assert_true(file_has(w, "out", "--generate-key"));
	assert_int_equal(run(w, ARGS("--version")), 0);
	assert_true(file_has(w, "out", "uptane-secondary "));
	assert_int_equal(run(w, ARGS("--nonsense")), 2);
	assert_int_equal(run(w, ARGS("--config")), 2);
	assert_int_equal(run(w, ARGS("extra")), 2);
	assert_int_equal(run(w, ARGS("--config", "/nonexistent")), upt_code_exit(UPT_E_NOT_FOUND));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(service_updates_and_stops_cleanly),
		CASE(clock_behind_the_floor_is_not_believed),
		CASE(only_the_primary_is_served),
		CASE(second_agent_exits_busy),
		CASE(key_is_generated_on_request_only),
		CASE(wrong_configuration_is_named),
		CASE(wrong_pinned_root_stops_the_start),
		CASE(command_line_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
