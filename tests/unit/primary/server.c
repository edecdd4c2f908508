#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY_MAX 65536

struct request {
	char method[8], target[1024];
	size_t length;
	char body[BODY_MAX];
};

/* Reads up to and with the empty line; false when the client is gone. */
static bool
read_head(int fd, char *head, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(fd, head + n, 1) == 1) {
		head[++n] = '\0';
		if (n >= 4 && strcmp(head + n - 4, "\r\n\r\n") == 0)
			return true;
	}
	return false;
}

static bool
read_request(int fd, struct request *r)
{
	char head[8192] = "";
	const char *length;

	if (!read_head(fd, head, sizeof(head)) ||
		sscanf(head, "%7s %1023s", r->method, r->target) != 2)
		return false;
	length = strcasestr(head, "\r\ncontent-length:");
	r->length = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
	if (r->length > sizeof(r->body))
		return false;
	for (size_t n = 0; n < r->length;) {
		ssize_t got = read(fd, r->body + n, r->length - n);
		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static int
status_of(const char *dir, const char *target)
{
	char path[PATH_MAX], text[16] = "";
	int fd;

	if (snprintf(path, sizeof(path), "%s/srv%s.status", dir, target) >= (int)sizeof(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return (int)strtol(text, NULL, 10);
}

static void
append(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static void
keep_body(const char *dir, const struct request *r)
{
	char path[PATH_MAX];
	int fd = -1;

	for (int n = 1; fd < 0 && n < 100000; n++) {
		(void)snprintf(path, sizeof(path), "%s/got.%d", dir, n);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd < 0 || write(fd, r->body, r->length) != (ssize_t)r->length)
		abort();
	close(fd);
}

static bool
answer(int fd, int status, const char *body, size_t len)
{
	char head[128];
	int n = snprintf(
		head, sizeof(head), "HTTP/1.1 %d Test\r\nContent-Length: %zu\r\n\r\n", status, len);
	const struct iovec parts[] = {{head, (size_t)n}, {(void *)(uintptr_t)body, len}};

	/* At once: two small writes wait for each other's acknowledgement. */
	return writev(fd, parts, 2) == n + (ssize_t)len;
}

static bool
answer_file(int fd, const char *dir, const char *target)
{
	static char body[1 << 20];
	char path[PATH_MAX];
	ssize_t n;
	int file;

	if (snprintf(path, sizeof(path), "%s/srv%s", dir, target) >= (int)sizeof(path))
		return false;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return answer(fd, 404, "", 0);
	n = read(file, body, sizeof(body));
	close(file);
	return n >= 0 && answer(fd, 200, body, (size_t)n);
}

static void
serve(int fd, const char *dir)
{
	static struct request r;
	char line[1100];

	while (read_request(fd, &r)) {
		int status = status_of(dir, r.target);
		bool gets = strcmp(r.method, "GET") == 0;

		(void)snprintf(line, sizeof(line), "%s %s\n", r.method, r.target);
		append(dir, "requests", line);
		if (status == 0 && !gets)
			keep_body(dir, &r);
		if (status != 0 ? !answer(fd, status, "no", 2)
			: gets  ? !answer_file(fd, dir, r.target)
				: !answer(fd, 200, "", 0))
			return;
	}
}

static void
accept_all(int listen_fd, const char *dir)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);
		if (fd < 0 && errno != EINTR)
			return;
		if (fd >= 0 && fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(fd, dir);
			_exit(0);
		}
		if (fd >= 0)
			close(fd);
	}
}

pid_t
server_start(const char *dir, unsigned *port)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) != 0 ||
		listen(fd, 64) != 0 || getsockname(fd, (struct sockaddr *)&name, &len) != 0)
		abort();
	*port = ntohs(name.sin_port);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		accept_all(fd, dir);
		_exit(1);
	}
	close(fd);
	return pid;
}

void
server_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
