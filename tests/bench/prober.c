/*
 * bench-prober ENDPOINT: asks the page on the loopback port that file ENDPOINT names, every 10 ms
 * and each time on a connection of its own, as a user of the application would that follows the
 * file and never asks twice. Ends on SIGTERM; prints ASKED MISSED LONGEST-MS FIRST LAST: how many
 * times it asked, how many of these had no whole answer, the longest time from the end of one
 * answer to the end of the next, and the versions in the first and in the last answer. Counts from
 * the first answer on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MICROS 10000
#define ANSWER_TIMEOUT_S 2

static volatile sig_atomic_t told_to_end;

static void
end(int number)
{
	(void)number;
	told_to_end = 1;
}

static int64_t
now_micros(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* 0 when the file is not there, or names none. */
static uint16_t
read_endpoint(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned port = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%5u", &port) != 1 || port > UINT16_MAX)
		port = 0;
	fclose(f);
	return (uint16_t)port;
}

static int
connect_to(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
		connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The version that a page names, by which its application says who it is; 0: no whole page. */
static int
version_of(const char *answer)
{
	const char *heading = strstr(answer, "<h1>gateway dashboard ");
	int version = 0;

	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200", 4) != 0)
		return 0;
	if (heading == NULL || strstr(heading, "</h1>") == NULL)
		return 0;
	return sscanf(heading, "<h1>gateway dashboard %9d", &version) == 1 ? version : 0;
}

/* What went wrong, for people: 0, so that it can be returned as "no answer". */
static int
miss(uint16_t port, const char *at)
{
	fprintf(stderr, "missed: port %u, %s: %s\n", port, at, strerror(errno));
	return 0;
}

static int
ask(const char *endpoint)
{
	static const char request[] = "GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
	char answer[4096];
	uint16_t port = read_endpoint(endpoint);
	size_t len = 0;
	ssize_t n = -1;
	int fd = connect_to(port), version;

	if (fd < 0)
		return miss(port, "connect");
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1) {
		while (len < sizeof(answer) - 1 &&
			(n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
			len += (size_t)n;
	}
	answer[len] = '\0';
	version = n == 0 ? version_of(answer) : 0;
	if (version == 0 && !told_to_end)
		miss(port, n == 0 ? "half an answer" : "answer");
	close(fd);
	return version;
}

static void
sleep_until(int64_t micros)
{
	struct timespec t = {.tv_sec = micros / 1000000, .tv_nsec = micros % 1000000 * 1000};

	while (!told_to_end && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = end};
	unsigned long n_asked = 0, n_missed = 0;
	int64_t longest = 0, last_answer = 0, next;
	int first = 0, last = 0;

	if (argc != 2) {
		fputs("usage: bench-prober ENDPOINT\n", stderr);
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	next = now_micros();
	while (!told_to_end) {
		int version = ask(argv[1]);
		int64_t now = now_micros();

		if (told_to_end) /* that cut the answer off */
			break;
		if (version != 0) {
			if (first == 0)
				first = version;
			else if (now - last_answer > longest)
				longest = now - last_answer;
			last = version;
			last_answer = now;
		}
		n_asked += first != 0;
		n_missed += first != 0 && version == 0;
		/* What a late answer made us miss is not asked for all at once. */
		next = next + INTERVAL_MICROS > now ? next + INTERVAL_MICROS : now;
		sleep_until(next);
	}
	printf("%lu %lu %.1f %d %d\n", n_asked, n_missed, (double)longest / 1000, first, last);
	return first != 0 ? 0 : 1;
}
