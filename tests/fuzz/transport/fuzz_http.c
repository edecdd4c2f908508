/*
 * A server's reply as hostile bytes, over a Unix socket, so that there is neither TLS nor a retry.
 * The first byte chooses what was asked: 'g' a document, 'd' an image from a byte on, 's' a PUT,
 * 'l' a stream of lines. What must hold: no more is taken than was allowed, only a whole reply of a
 * success is one, a failure leaves the output alone, and a message shows nothing that drives a
 * terminal.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "transport/http.h"

/* Below a socket's buffer: the server writes it all and goes. */
#define MAX_REPLY_BYTES ((size_t)96 * 1024)
#define MAX_BODY_BYTES ((size_t)8192)
#define OFFSET 100
#define TOTAL 4096

static struct upt_span reply;
static int listening = -1;

/* What the server's thread takes from the harness: the input is gone when a client has enough of it
 * and the server still writes. */
static struct {
	pthread_mutex_t lock;
	size_t len;
	uint8_t bytes[MAX_REPLY_BYTES];
} served = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
set_reply(struct upt_span bytes)
{
	reply = bytes;
	pthread_mutex_lock(&served.lock);
	if (bytes.len > 0)
		memcpy(served.bytes, bytes.data, bytes.len);
	served.len = bytes.len;
	pthread_mutex_unlock(&served.lock);
}

/* Reads until the request's end is there: bytes that nobody read would make the socket's end a
 * reset, which takes the reply with it. */
static void
read_request(int fd)
{
	char text[8192];
	size_t len = 0;

	while (len < sizeof(text) - 1) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (n <= 0)
			return;
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL)
			return;
	}
}

static void
write_reply(int fd)
{
	static uint8_t bytes[MAX_REPLY_BYTES]; /* of the one server */
	size_t len, sent = 0;

	pthread_mutex_lock(&served.lock);
	len = served.len;
	memcpy(bytes, served.bytes, len);
	pthread_mutex_unlock(&served.lock);
	while (sent < len) {
		ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		sent += (size_t)n;
	}
}

static void *
serve(void *ctx)
{
	(void)ctx;
	for (;;) {
		int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return NULL;
		read_request(fd);
		write_reply(fd);
		close(fd);
	}
}

/* One client for one input: nothing that a reply left behind may reach the next one. */
static struct upt_http *
start(void)
{
	const struct upt_http_config config = {.unix_socket = fuzz_path("http.sock"),
		.connect_timeout_ms = 2000,
		.request_timeout_ms = 2000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct upt_http *http;
	pthread_t thread;

	if (listening < 0) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", fuzz_path("http.sock"));
		listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		FUZZ_ASSERT(bind(listening, (struct sockaddr *)&address, sizeof(address)) == 0);
		FUZZ_ASSERT(listen(listening, 16) == 0);
		FUZZ_ASSERT(pthread_create(&thread, NULL, serve, NULL) == 0);
		pthread_detach(thread);
	}
	FUZZ_ASSERT(upt_http_new(&config, &http, NULL) == UPT_OK);
	return http;
}

static bool
reply_holds(const char *text)
{
	return memmem(reply.data, reply.len, text, strlen(text)) != NULL;
}

static void
check_failure(enum upt_code code, const struct upt_err *err)
{
	FUZZ_ASSERT(err->code == code && err->message[0] != '\0');
	for (const char *p = err->message; *p != '\0'; p++)
		FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
	/* Of the URL's query; unless the server says it itself. */
	FUZZ_ASSERT(strstr(err->message, "s3cret") == NULL || reply_holds("s3cret"));
	FUZZ_ASSERT(code != UPT_E_INTERNAL && code != UPT_E_NO_MEMORY && code != UPT_E_CANCELLED &&
		    code != UPT_E_TLS && code != UPT_E_CONFIG);
}

static void
get(struct upt_http *http)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err = {0};
	enum upt_code code;

	FUZZ_ASSERT(upt_buf_append(&out, "old", 3, NULL) == UPT_OK);
	code = upt_http_get(http, "http://host/a?s3cret", MAX_BODY_BYTES, &out, &err);
	if (code != UPT_OK) {
		check_failure(code, &err);
		FUZZ_ASSERT(upt_span_equal(upt_buf_span(&out), upt_span_str("old")));
		return;
	}
	FUZZ_ASSERT(out.len <= MAX_BODY_BYTES && out.len < reply.len);
}

struct sink {
	uint64_t taken, restarted;
};

static enum upt_code
take(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	struct sink *sink = ctx;

	(void)err;
	FUZZ_ASSERT(chunk.len > 0);
	sink->taken += chunk.len;
	FUZZ_ASSERT(sink->taken <= (sink->restarted ? TOTAL : TOTAL - OFFSET));
	return UPT_OK;
}

static void
download(struct upt_http *http)
{
	struct sink sink = {0};
	const struct upt_http_download want = {.url = "http://host/a?s3cret",
		.offset = OFFSET,
		.total_bytes = TOTAL,
		.sink = take,
		.ctx = &sink,
		.restarted = &sink.restarted};
	struct upt_err err = {0};
	enum upt_code code = upt_http_download(http, &want, &err);

	if (code != UPT_OK) {
		check_failure(code, &err);
		return;
	}
	FUZZ_ASSERT(sink.taken == (sink.restarted ? TOTAL : TOTAL - OFFSET));
	/* libcurl takes "HTTP/" without a number for a 200, as some servers had it. */
	FUZZ_ASSERT(sink.restarted || reply_holds("206"));
}

static void
put(struct upt_http *http)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};
	struct upt_err err = {0};
	enum upt_code code;
	long status = -1;

	code = upt_http_send(http, "PUT", "http://host/a?s3cret", "application/json",
		upt_span_str("{}"), MAX_BODY_BYTES, &out, &status, &err);
	FUZZ_ASSERT(status == 0 || (status >= 200 && status <= 999));
	FUZZ_ASSERT(out.len <= MAX_BODY_BYTES);
	if (code != UPT_OK)
		check_failure(code, &err);
	FUZZ_ASSERT((code == UPT_OK) <= (status >= 200 && status < 300));
}

static enum upt_code
take_line(void *ctx, struct upt_span chunk, struct upt_err *err)
{
	size_t *taken = ctx;

	(void)err;
	*taken += chunk.len;
	FUZZ_ASSERT(*taken <= MAX_BODY_BYTES);
	return UPT_OK;
}

static void
stream(struct upt_http *http)
{
	size_t taken = 0;
	const struct upt_http_stream request = {.method = "POST",
		.url = "http://host/a?s3cret",
		.body = upt_span_str(""),
		.max_reply_bytes = MAX_BODY_BYTES,
		.sink = take_line,
		.ctx = &taken};
	struct upt_err err = {0};
	enum upt_code code;
	long status = -1;

	code = upt_http_stream(http, &request, &status, &err);
	FUZZ_ASSERT(status == 0 || (status >= 200 && status <= 999));
	if (code != UPT_OK)
		check_failure(code, &err);
	FUZZ_ASSERT((code == UPT_OK) <= (status >= 200 && status < 300));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upt_http *http;

	if (size == 0 || size > MAX_REPLY_BYTES || strchr("gdsl", data[0]) == NULL || data[0] == 0)
		return 0;
	http = start();
	set_reply(upt_span(data + 1, size - 1));
	if (data[0] == 'g')
		get(http);
	else if (data[0] == 'd')
		download(http);
	else if (data[0] == 's')
		put(http);
	else
		stream(http);
	upt_http_free(&http);
	return 0;
}
