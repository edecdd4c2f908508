#include "loopback.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "unit/transport/must.h"

#define HEAD_MAX_BYTES 8192

struct loopback {
	int listen_fd, stop_fd;
	char url[64];
	pthread_t thread;
	pthread_mutex_t lock;
	loopback_answer *answer;
	void *ctx;
};

/* Waits until fd can be read, or false at the end of the test. */
static bool
wait_readable(const struct loopback *server, int fd)
{
	struct pollfd fds[2] = {
		{.fd = fd, .events = POLLIN}, {.fd = server->stop_fd, .events = POLLIN}};

	return poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

static void
send_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		/* The client may have had enough. */
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

/* Reads to the end of the request's header. No request of these clients has a body. */
static bool
read_head(const struct loopback *server, int fd, char head[static HEAD_MAX_BYTES])
{
	size_t len = 0;

	head[0] = '\0';
	while (strstr(head, "\r\n\r\n") == NULL) {
		ssize_t n;

		if (len + 1 == HEAD_MAX_BYTES || !wait_readable(server, fd))
			return false;
		n = recv(fd, head + len, HEAD_MAX_BYTES - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
	}
	return true;
}

static void
serve(struct loopback *server, int fd)
{
	char head[HEAD_MAX_BYTES], method[16], target[2048], reply_head[128];
	struct loopback_reply reply;
	int n;

	if (!read_head(server, fd, head) || sscanf(head, "%15s %2047s", method, target) != 2)
		return;
	pthread_mutex_lock(&server->lock);
	reply = server->answer(server->ctx, method, target);
	n = snprintf(reply_head, sizeof(reply_head),
		"HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", reply.status,
		reply.body.len);
	must(n > 0 && (size_t)n < sizeof(reply_head));
	/* A 204 has no body and must not state one's length. */
	if (reply.status == 204)
		n = snprintf(reply_head, sizeof(reply_head),
			"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n");
	send_all(fd, reply_head, (size_t)n);
	send_all(fd, reply.body.data, reply.body.len);
	pthread_mutex_unlock(&server->lock);
	shutdown(fd, SHUT_WR);
	/* Until the client has read it all: a close with unread bytes would be a reset. */
	while (wait_readable(server, fd) && recv(fd, head, sizeof(head), 0) > 0)
		;
}

static void *
run(void *arg)
{
	struct loopback *server = arg;

	while (wait_readable(server, server->listen_fd)) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		serve(server, fd);
		close(fd);
	}
	return NULL;
}

struct loopback *
loopback_start(loopback_answer *answer, void *ctx)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct loopback *server = calloc(1, sizeof(*server));
	socklen_t len = sizeof(in);
	sigset_t all, old;

	must(server != NULL);
	server->answer = answer;
	server->ctx = ctx;
	pthread_mutex_init(&server->lock, NULL);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->stop_fd >= 0 && server->listen_fd >= 0);
	must(bind(server->listen_fd, (const struct sockaddr *)&in, sizeof(in)) == 0);
	must(getsockname(server->listen_fd, (struct sockaddr *)&in, &len) == 0);
	must(listen(server->listen_fd, 16) == 0);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", ntohs(in.sin_port));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	must(pthread_create(&server->thread, NULL, run, server) == 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return server;
}

void
loopback_stop(struct loopback **server)
{
	struct loopback *s = *server;

	*server = NULL;
	if (s == NULL)
		return;
	must(write(s->stop_fd, &(uint64_t){1}, sizeof(uint64_t)) == (ssize_t)sizeof(uint64_t));
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	close(s->stop_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *
loopback_url(const struct loopback *server)
{
	return server->url;
}

void
loopback_lock(struct loopback *server)
{
	pthread_mutex_lock(&server->lock);
}

void
loopback_unlock(struct loopback *server)
{
	pthread_mutex_unlock(&server->lock);
}
