/*
 * Free space and endless data: a remote over HTTP on loopback whose server counts what is asked for
 * and can send an object without end. Started by ostree_cost_world.sh in a /tmp of known size.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/file.h"
#include "ostree_world.h"

#define MIB ((uint64_t)1 << 20)
#define BIG (16 * MIB) /* of a file that no compression makes smaller */

struct world {
	struct ostree_world os;
	struct upt_ostree_installer_config config;
	char url[64], requests[PATH_MAX], endless[PATH_MAX + 128];
	pid_t server;
};

#define CHECK_OS_CODE(call, expected) CHECK_CALL(call, expected, w->os.err)
#define CHECK_OS_OK(call) CHECK_OS_CODE(call, UPT_OK)

/* ---- the server ---- */

static void
say(int fd, const void *bytes, size_t n)
{
	if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		_exit(0);
}

/* At 20 MiB a second: the client looks twice a second. */
static void
send_for_ever(int fd)
{
	static const char zeros[512 * 1024];

	for (;;) {
		say(fd, zeros, sizeof(zeros));
		(void)poll(NULL, 0, 25);
	}
}

static void
note(const struct world *w, const char *path)
{
	upt_cleanup(upt_close_fd) int fd =
		open(w->requests, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char line[512];
	int n = snprintf(line, sizeof(line), "%s\n", path);

	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_exit(1);
}

static void
answer(const struct world *w, int fd)
{
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	char request[4096], path[256], file[PATH_MAX + 256], head[128];
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);

	request[n > 0 ? n : 0] = '\0';
	if (sscanf(request, "GET %255s ", path) != 1)
		return;
	note(w, path);
	snprintf(file, sizeof(file), "%s%s", w->os.remote, path);
	if (strcmp(file, w->endless) == 0) {
		say(fd, "HTTP/1.0 200 OK\r\n\r\n", 19);
		send_for_ever(fd);
	}
	if (upt_file_read(AT_FDCWD, file, 64 * MIB, &body, NULL) != UPT_OK) {
		say(fd, "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", 45);
		return;
	}
	say(fd, head,
		(size_t)snprintf(head, sizeof(head),
			"HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", body.len));
	if (body.len > 0)
		say(fd, body.data, body.len);
}

static void
serve(const struct world *w, int listener)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			answer(w, fd);
			_exit(0);
		}
		close(fd);
	}
}

static void
start_server(struct world *w)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
	w->server = fork();
	assert_true(w->server >= 0);
	if (w->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(w, fd);
	}
	close(fd);
}

static void
stop_server(struct world *w)
{
	kill(w->server, SIGKILL);
	waitpid(w->server, NULL, 0);
}

/* Any file's content that was asked for. */
static bool
asked_for_content(struct world *w)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	CHECK_OS_OK(upt_file_read(AT_FDCWD, w->requests, MIB, &text, &w->os.err));
	return strstr((const char *)text.data, ".filez") != NULL;
}

/* ---- the world ---- */

static void
fill_file(const char *path, unsigned seed)
{
	uint8_t *bytes = malloc(BIG);
	uint64_t x = seed;

	assert_non_null(bytes);
	for (size_t i = 0; i < BIG; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (uint8_t)(x >> 56);
	}
	file_write(path, upt_span(bytes, BIG));
	free(bytes);
}

/* Version i becomes one with a big file, whose commit lists its sizes when told to. */
static void
big_version(struct world *w, unsigned i, bool sizes)
{
	char tree[PATH_MAX + 32], repo[PATH_MAX + 8];
	const char *big;

	snprintf(tree, sizeof(tree), "--tree=dir=%s/tree", w->os.dir);
	snprintf(repo, sizeof(repo), "--repo=%s", w->os.remote);
	big = path_in(w->os.dir, "tree/usr/bin/big");
	fill_file(big, i);
	run_output(w->os.log, w->os.commit[i], sizeof(w->os.commit[i]),
		(const char *const[]){"ostree", repo, "commit", "--branch=os/big", tree,
			"--owner-uid=0", "--owner-gid=0", "--no-xattrs",
			sizes ? "--generate-sizes" : "--timestamp=@1700000000", NULL});
	assert_int_equal(unlink(big), 0);
}

static int
set_up(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	ostree_world_make(&w.os);
	snprintf(w.requests, sizeof(w.requests), "%s", path_in(w.os.dir, "requests"));
	w.config = ostree_world_config(&w.os);
	w.config.reserve_bytes = MIB;
	*state = &w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	if (w->server > 0)
		stop_server(w);
	ostree_world_remove(&w->os);
	return 0;
}

static uint64_t
free_bytes(struct world *w)
{
	struct statvfs fs;

	assert_int_equal(statvfs(w->os.dir, &fs), 0);
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

static enum upt_code
prepare(struct world *w, unsigned version, const struct upt_install_progress *progress)
{
	struct upt_image image = image_of_hex("gateway-os", w->os.commit[version]);
	struct upt_install_job job = {
		.image = &image, .format = "OSTREE", .uri = w->url, .image_fd = -1};

	upt_installer_free(&w->os.installer);
	CHECK_OS_OK(upt_ostree_installer_new(&w->config, NULL, &w->os.installer, &w->os.err));
	return w->os.installer->ops->prepare(w->os.installer, &job, progress, &w->os.err);
}

static void
a_commit_that_does_not_fit_is_refused_before_its_content_is_fetched(void **state)
{
	struct world *w = *state;

	big_version(w, 2, true);
	start_server(w);
	w->config.reserve_bytes = free_bytes(w) - BIG / 2;
	CHECK_OS_CODE(prepare(w, 2, NULL), UPT_E_NO_SPACE);
	assert_non_null(strstr(w->os.err.message, "bytes free"));
	assert_false(asked_for_content(w));
	w->config.reserve_bytes = free_bytes(w) - 2 * BIG - 4 * MIB;
	CHECK_OS_OK(prepare(w, 2, NULL));
	assert_true(asked_for_content(w));
}

static void
less_than_the_reserve_is_refused_before_anything_is_fetched(void **state)
{
	struct world *w = *state;

	start_server(w);
	w->config.reserve_bytes = 2 * free_bytes(w);
	CHECK_OS_CODE(prepare(w, 2, NULL), UPT_E_NO_SPACE);
	assert_false(file_exists(w->requests));
	w->config.reserve_bytes = MIB;
	CHECK_OS_OK(prepare(w, 2, NULL));
}

/* What an earlier cycle fetched and nobody installed makes room. */
static void
what_no_deployment_needs_makes_room(void **state)
{
	struct world *w = *state;
	char repo[PATH_MAX + 32], path[PATH_MAX + 128];

	big_version(w, 2, true);
	big_version(w, 3, true);
	start_server(w);
	CHECK_OS_OK(prepare(w, 2, NULL));
	snprintf(repo, sizeof(repo), "%s/ostree/repo/objects", w->os.sysroot);
	snprintf(path, sizeof(path), "%s/%.2s/%s.commit", repo, w->os.commit[2],
		w->os.commit[2] + 2);
	assert_true(file_exists(path));
	/* enough for it only when the other one goes */
	w->config.reserve_bytes = free_bytes(w) - BIG - BIG / 2;
	CHECK_OS_OK(prepare(w, 3, NULL));
	assert_false(file_exists(path));
	/* and what is there is enough when there is no more room at all */
	w->config.reserve_bytes = free_bytes(w) - MIB;
	CHECK_OS_OK(prepare(w, 3, NULL));
}

static void
object_of(struct world *w, unsigned version, const char *file)
{
	char repo[PATH_MAX + 8], line[512], *sum;

	snprintf(repo, sizeof(repo), "--repo=%s", w->os.remote);
	run_output(w->os.log, line, sizeof(line),
		(const char *const[]){
			"ostree", repo, "ls", "-C", w->os.commit[version], file, NULL});
	sum = strstr(line, file);
	assert_non_null(sum);
	sum -= 65;
	snprintf(w->endless, sizeof(w->endless), "%s/objects/%.2s/%.62s.filez", w->os.remote, sum,
		sum + 2);
}

static void
an_endless_object_is_refused_by_the_commits_sizes(void **state)
{
	struct world *w = *state;
	uint64_t before;

	big_version(w, 2, true);
	object_of(w, 2, "/usr/bin/big");
	start_server(w);
	before = free_bytes(w);
	CHECK_OS_CODE(prepare(w, 2, NULL), UPT_E_TOO_LARGE);
	assert_true(free_bytes(w) + 2 * MIB > before);
	stop_server(w);
	w->endless[0] = '\0';
	start_server(w);
	CHECK_OS_OK(prepare(w, 2, NULL));
}

/* Nobody said how long it is to be: the reserve stays free all the same. */
static void
an_endless_object_never_takes_the_reserve(void **state)
{
	struct world *w = *state;
	uint64_t before;

	big_version(w, 2, false);
	object_of(w, 2, "/usr/bin/big");
	start_server(w);
	before = free_bytes(w);
	w->config.reserve_bytes = before - 2 * BIG - 8 * MIB;
	CHECK_OS_CODE(prepare(w, 2, NULL), UPT_E_NO_SPACE);
	/* by us, and not by the disk when it was full */
	assert_non_null(strstr(w->os.err.message, "are kept"));
	assert_true(free_bytes(w) + 2 * MIB > before);
	stop_server(w);
	w->endless[0] = '\0';
	start_server(w);
	CHECK_OS_OK(prepare(w, 2, NULL));
}

static void
an_endless_commit_is_refused(void **state)
{
	struct world *w = *state;

	snprintf(w->endless, sizeof(w->endless), "%s/objects/%.2s/%s.commit", w->os.remote,
		w->os.commit[2], w->os.commit[2] + 2);
	start_server(w);
	CHECK_OS_CODE(prepare(w, 2, NULL), UPT_E_TOO_LARGE);
	stop_server(w);
	w->endless[0] = '\0';
	start_server(w);
	CHECK_OS_OK(prepare(w, 2, NULL));
}

struct seen {
	uint64_t total_bytes;
	volatile bool cancel;
};

static void
watch(void *ctx, const char *what, uint64_t done, uint64_t total, const char *unit)
{
	struct seen *seen = ctx;

	(void)what;
	assert_true(total == 0 || done <= total);
	if (strcmp(unit, "bytes") != 0)
		return;
	seen->total_bytes = total;
	seen->cancel = true;
}

static void
progress_tells_bytes_of_bytes(void **state)
{
	struct world *w = *state;
	struct seen seen = {0};
	struct upt_install_progress progress = {watch, &seen, &seen.cancel};

	big_version(w, 2, true);
	object_of(w, 2, "/usr/bin/big"); /* it comes for so long that there is a report */
	start_server(w);
	CHECK_OS_CODE(prepare(w, 2, &progress), UPT_E_CANCELLED);
	assert_in_range(seen.total_bytes, BIG, BIG + MIB);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_commit_that_does_not_fit_is_refused_before_its_content_is_fetched),
		CASE(less_than_the_reserve_is_refused_before_anything_is_fetched),
		CASE(what_no_deployment_needs_makes_room),
		CASE(an_endless_object_is_refused_by_the_commits_sizes),
		CASE(an_endless_object_never_takes_the_reserve),
		CASE(an_endless_commit_is_refused),
		CASE(progress_tells_bytes_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
