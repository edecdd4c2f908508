#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include "base/file.h"
#include "cli.h"
#include "http.h"

#define PEM_MAX_BYTES ((size_t)256 * 1024)
#define DEFAULT_TIMEOUT "30"
#define BACKLOG 128
/* Requests that run when a signal comes may end; this is how long at most. */
#define DRAIN_MS 10000

struct options {
	const char *dir, *listen, *cert, *key, *client_ca, *ready_file, *timeout;
	bool verbose;
};

struct tls_files {
	struct upt_buf cert, key, client_ca;
};

static void
tls_files_clear(struct tls_files *files)
{
	if (files->key.data != NULL)
		explicit_bzero(files->key.data, files->key.cap);
	upt_buf_clear(&files->cert);
	upt_buf_clear(&files->key);
	upt_buf_clear(&files->client_ca);
}

static void
free_addresses(struct addrinfo **addresses)
{
	if (*addresses != NULL)
		freeaddrinfo(*addresses);
}

static enum upt_code
read_options(int argc, char **argv, struct options *o, uint64_t *timeout_s, struct upt_err *err)
{
	const struct cli_option options[] = {
		{.name = "--dir", .value = &o->dir},
		{.name = "--listen", .value = &o->listen},
		{.name = "--cert", .value = &o->cert},
		{.name = "--key", .value = &o->key},
		{.name = "--client-ca", .value = &o->client_ca},
		{.name = "--ready-file", .value = &o->ready_file},
		{.name = "--timeout", .value = &o->timeout},
		{.name = "--verbose", .flag = &o->verbose},
	};

	UPT_TRY(cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, err));
	UPT_TRY(cli_require("--dir", o->dir, err));
	UPT_TRY(cli_require("--listen", o->listen, err));
	UPT_TRY(cli_require("--cert", o->cert, err));
	UPT_TRY(cli_require("--key", o->key, err));
	UPT_TRY(cli_require("--client-ca", o->client_ca, err));
	return cli_u64("--timeout", o->timeout != NULL ? o->timeout : DEFAULT_TIMEOUT, 1, 3600,
		timeout_s, err);
}

static enum upt_code
read_tls_files(const struct options *o, struct tls_files *out, struct upt_err *err)
{
	UPT_TRY(upt_file_read(AT_FDCWD, o->cert, PEM_MAX_BYTES, &out->cert, err));
	UPT_TRY(upt_file_read(AT_FDCWD, o->key, PEM_MAX_BYTES, &out->key, err));
	UPT_TRY(upt_file_read(AT_FDCWD, o->client_ca, PEM_MAX_BYTES, &out->client_ca, err));
	if (out->cert.len == 0 || out->key.len == 0 || out->client_ca.len == 0)
		return upt_fail(err, UPT_E_CONFIG, "--cert, --key or --client-ca is an empty file");
	return UPT_OK;
}

/* Splits ADDRESS:PORT or [ADDRESS]:PORT; numeric, so that no name server decides where we listen.
 */
static enum upt_code
resolve(const char *text, struct addrinfo **out, struct upt_err *err)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;
	char host[64];

	if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(host))
		return upt_fail(err, UPT_E_USAGE, "--listen: '%s' is no ADDRESS:PORT", text);
	UPT_TRY(cli_u64("--listen", colon + 1, 0, 65535, &port, err));
	size_t len = (size_t)(colon - text);
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	(void)snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? len - 2 : len),
		bracketed ? text + 1 : text);
	int rc = getaddrinfo(host, colon + 1, &hints, out);
	if (rc != 0)
		return upt_fail(err, UPT_E_USAGE, "--listen: %s: %s", text, gai_strerror(rc));
	return UPT_OK;
}

static enum upt_code
open_socket(const char *text, const struct addrinfo *address, int *out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	int one = 1;

	*out = -1;
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return upt_fail_errno(err, errno, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		return upt_fail_errno(err, errno, "--listen %s", text);
	*out = fd;
	fd = -1;
	return UPT_OK;
}

/* The port that the kernel chose. */
static enum upt_code
get_port(int fd, unsigned *out, struct upt_err *err)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	char port[16];

	if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		return upt_fail_errno(err, errno, "getsockname");
	if (getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof(port),
		    NI_NUMERICSERV) != 0)
		return upt_fail(err, UPT_E_INTERNAL, "the port cannot be told");
	*out = (unsigned)strtoul(port, NULL, 10);
	return UPT_OK;
}

static enum upt_code
write_ready_file(const char *path, unsigned port, struct upt_err *err)
{
	char text[16];

	if (path == NULL)
		return UPT_OK;
	(void)snprintf(text, sizeof(text), "%u\n", port);
	return upt_file_replace(AT_FDCWD, path, 0644, upt_span_str(text), err);
}

/* SIGTERM and SIGINT as a descriptor; blocked before anything could be left half done. */
static enum upt_code
open_signals(int *out, struct upt_err *err)
{
	sigset_t set;

	*out = -1;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return upt_fail_errno(err, errno, "sigprocmask");
	*out = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *out >= 0 ? UPT_OK : upt_fail_errno(err, errno, "signalfd");
}

/* Waits for input or a signal, at most limit_ms (-1: as long as MHD allows); true for a signal. */
static enum upt_code
turn(struct http_server *server, int signal_fd, int limit_ms, bool *signalled, struct upt_err *err)
{
	struct pollfd fds[] = {{.fd = http_poll_fd(server), .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN}};
	int timeout_ms = http_poll_timeout_ms(server);
	struct signalfd_siginfo info;

	if (limit_ms >= 0 && (timeout_ms < 0 || timeout_ms > limit_ms))
		timeout_ms = limit_ms;
	if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
		return upt_fail_errno(err, errno, "poll");
	*signalled = read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
	http_run(server);
	return UPT_OK;
}

static enum upt_code
serve(struct http_server *server, int signal_fd, const struct upt_log *log, struct upt_err *err)
{
	bool signalled = false;

	while (!signalled)
		UPT_TRY(turn(server, signal_fd, -1, &signalled, err));
	http_stop_listening(server);
	if (http_n_running(server) > 0)
		upt_log(log, UPT_LOG_INFO, "%zu requests are still running",
			http_n_running(server));
	/* A second signal ends it at once. */
	signalled = false;
	for (int left_ms = DRAIN_MS; http_n_running(server) > 0 && left_ms > 0 && !signalled;
		left_ms -= 50)
		UPT_TRY(turn(server, signal_fd, 50, &signalled, err));
	upt_log(log, UPT_LOG_INFO, "ended");
	return UPT_OK;
}

static enum upt_code
run(int argc, char **argv, struct upt_err *err)
{
	struct options o = {0};
	uint64_t timeout_s = 0;
	unsigned port = 0;
	upt_cleanup(director_close) struct director d = {0};
	upt_cleanup(tls_files_clear) struct tls_files files = {0};
	upt_cleanup(upt_close_fd) int signal_fd = -1;
	upt_cleanup(free_addresses) struct addrinfo *address = NULL;
	upt_cleanup(http_free) struct http_server *server = NULL;
	int listen_fd = -1;

	UPT_TRY(read_options(argc, argv, &o, &timeout_s, err));
	UPT_TRY(resolve(o.listen, &address, err));
	const struct upt_log log = {.stream = stderr,
		.name = "uptane-director",
		.level = o.verbose ? UPT_LOG_DEBUG : UPT_LOG_INFO};
	UPT_TRY(open_signals(&signal_fd, err));
	UPT_TRY(director_open(&d, o.dir, err));
	UPT_TRY(director_load_keys(&d, err));
	UPT_TRY(read_tls_files(&o, &files, err));
	UPT_TRY(open_socket(o.listen, address, &listen_fd, err));
	enum upt_code code = get_port(listen_fd, &port, err);
	if (code != UPT_OK) {
		close(listen_fd);
		return code;
	}
	UPT_TRY(http_start(&(struct http_config){.director = &d,
				   .log = &log,
				   .listen_fd = listen_fd,
				   .cert = upt_buf_span(&files.cert),
				   .key = upt_buf_span(&files.key),
				   .client_ca = upt_buf_span(&files.client_ca),
				   .timeout_s = (unsigned)timeout_s},
		&server, err));
	UPT_TRY(write_ready_file(o.ready_file, port, err));
	upt_log(&log, UPT_LOG_INFO, "listening on port %u", port);
	return serve(server, signal_fd, &log, err);
}

const struct command command_serve = {
	.name = "serve",
	.usage = "Usage: uptane-director serve --dir DIR --listen ADDRESS:PORT --cert FILE\n"
		 "           --key FILE --client-ca FILE [OPTION...]\n"
		 "\n"
		 "Answers vehicles over HTTPS (TLS 1.2 or 1.3). A vehicle's id is the common name "
		 "of\n"
		 "its client certificate, which --client-ca must have signed. Ends on SIGTERM or\n"
		 "SIGINT when the running requests are answered.\n"
		 "\n"
		 "  --listen ADDRESS:PORT  numeric; port 0 lets the kernel choose\n"
		 "  --cert FILE            server certificate (chain), PEM\n"
		 "  --key FILE             its key, PEM\n"
		 "  --client-ca FILE       CA of the vehicles' certificates, PEM\n"
		 "  --ready-file FILE      gets the port number once requests are answered\n"
		 "  --timeout SECONDS      of a handshake, a request, an idle connection (30)\n"
		 "  --verbose              log TLS and HTTP faults, too\n",
	.run = run,
};
