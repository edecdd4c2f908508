/* What the test server does for each path. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "server.h"

#define CRLF "\r\n"

static bool
answer(struct conn *conn, const char *status, const char *body)
{
	return conn_print(conn, "HTTP/1.1 %s" CRLF "Content-Length: %zu" CRLF CRLF "%s", status,
		strlen(body), body);
}

static bool
ok(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "200 OK", "hello");
}

static bool
empty(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "200 OK", "");
}

static bool
created(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "201 Created", "made");
}

static bool
no_content(struct conn *conn, const struct request *request)
{
	(void)request;
	return conn_print(conn, "HTTP/1.1 204 No Content" CRLF CRLF);
}

static bool
status_404(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "404 Not Found", "nothing here");
}

static bool
status_410(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "410 Gone", "");
}

static bool
no_root(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "424 Failed Dependency",
		"{\"code\":\"root_role_not_found\",\"description\":\"none\"}");
}

static bool
other_424(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "424 Failed Dependency", "{\"code\":\"missing_entity\"}");
}

static bool
broken_424(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "424 Failed Dependency", "root_role_not_found");
}

static bool
status_400(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "400 Bad Request", "{\"code\":\"bad\",\"text\":\"a\nb\x1b[2Jc\xff\"}");
}

/* An error page far above any limit of the document it stands in for. */
static bool
long_404(struct conn *conn, const struct request *request)
{
	char line[1025];

	(void)request;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	if (!conn_print(conn, "HTTP/1.1 404 Not Found" CRLF "Content-Length: %d" CRLF CRLF,
		    1024 * 1024))
		return false;
	for (int i = 0; i < 1024; i++) {
		if (!conn_write(conn, line, 1024))
			return false;
	}
	return true;
}

static bool
status_500(struct conn *conn, const struct request *request)
{
	(void)request;
	return answer(conn, "500 Internal Server Error", "broken");
}

/* Ends when the client has the answer and closes. */
static bool
last_500(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn,
		"HTTP/1.1 500 Broken" CRLF "Connection: close" CRLF "Content-Length: 0" CRLF CRLF);
	conn_pause(conn, 10000);
	return false;
}

static bool
flaky(struct conn *conn, const struct request *request)
{
	return request->n == 1 ? status_500(conn, request) : ok(conn, request);
}

static bool
flaky_503(struct conn *conn, const struct request *request)
{
	return request->n == 1 ? answer(conn, "503 Busy", "later") : ok(conn, request);
}

static bool
long_wait(struct conn *conn, const struct request *request)
{
	(void)request;
	return conn_print(conn,
		"HTTP/1.1 503 Busy" CRLF "Retry-After: 3600" CRLF "Content-Length: 0" CRLF CRLF);
}

static bool
truncated(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Content-Length: 100" CRLF CRLF "only this");
	return false;
}

static bool
truncated_once(struct conn *conn, const struct request *request)
{
	return request->n == 1 ? truncated(conn, request) : ok(conn, request);
}

static bool
bad_trailer(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Transfer-Encoding: chunked" CRLF CRLF "5" CRLF
			 "hello" CRLF "0" CRLF "no colon" CRLF CRLF);
	return false;
}

static bool
cut_chunk(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Transfer-Encoding: chunked" CRLF CRLF "5" CRLF
			 "hello" CRLF);
	return false;
}

static bool
endless(struct conn *conn, const struct request *request)
{
	char chunk[1024 + 8];

	(void)request;
	memset(chunk, 'e', sizeof(chunk));
	memcpy(chunk, "400" CRLF, 5);
	memcpy(chunk + 5 + 1024, CRLF, 2);
	if (!conn_print(conn, "HTTP/1.1 200 OK" CRLF "Transfer-Encoding: chunked" CRLF CRLF))
		return false;
	while (conn_write(conn, chunk, 5 + 1024 + 2))
		;
	return false;
}

/* Announces a lot and then waits to see whether the client stays. */
static bool
huge(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Content-Length: 1099511627776" CRLF CRLF);
	while (conn_pause(conn, 1000))
		;
	return false;
}

static bool
overflow(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF
			 "Content-Length: 99999999999999999999999999" CRLF CRLF "hello");
	return false;
}

static bool
trickle(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Content-Length: 100000" CRLF CRLF);
	while (conn_pause(conn, 100) && conn_write(conn, ".", 1))
		;
	return false;
}

/* The average of a second or two looks fine each time. */
static bool
bursts(struct conn *conn, const struct request *request)
{
	char burst[1500];

	(void)request;
	memset(burst, 'b', sizeof(burst));
	conn_print(conn, "HTTP/1.1 200 OK" CRLF "Content-Length: 100000" CRLF CRLF);
	while (conn_write(conn, burst, sizeof(burst)) && conn_pause(conn, 1700))
		;
	return false;
}

static bool
header_trickle(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 200 OK" CRLF);
	while (conn_pause(conn, 100) && conn_print(conn, "X: y" CRLF))
		;
	return false;
}

static bool
stall(struct conn *conn, const struct request *request)
{
	(void)request;
	while (conn_pause(conn, 1000))
		;
	return false;
}

/* Takes the request and never answers. */
static bool
mute(struct conn *conn, const struct request *request)
{
	(void)request;
	while (conn_pause(conn, 1000))
		;
	return false;
}

static bool
stall_once(struct conn *conn, const struct request *request)
{
	return request->n == 1 ? stall(conn, request) : ok(conn, request);
}

static bool
hang_up(struct conn *conn, const struct request *request)
{
	(void)conn, (void)request;
	return false;
}

static bool
no_http(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "SSH-2.0-OpenSSH_9.2" CRLF);
	return false;
}

static bool
header_flood(struct conn *conn, const struct request *request)
{
	(void)request;
	if (!conn_print(conn, "HTTP/1.1 200 OK" CRLF))
		return false;
	while (conn_print(conn, "X-Flood: 0123456789012345678901234567890123456789" CRLF))
		;
	return false;
}

static bool
continue_flood(struct conn *conn, const struct request *request)
{
	(void)request;
	while (conn_print(conn, "HTTP/1.1 102 Processing" CRLF CRLF))
		;
	return false;
}

static bool
only_continue(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.1 102 Processing" CRLF CRLF);
	return false;
}

static bool
header_line(struct conn *conn, const struct request *request)
{
	(void)request;
	if (!conn_print(conn, "HTTP/1.1 200 OK" CRLF "X-Long: "))
		return false;
	while (conn_print(conn, "0123456789012345678901234567890123456789"))
		;
	return false;
}

static bool
early_hints(struct conn *conn, const struct request *request)
{
	return conn_print(conn, "HTTP/1.1 103 Early Hints" CRLF "Content-Length: 9999999" CRLF
				"Link: </x>" CRLF CRLF) &&
	       ok(conn, request);
}

/* A mebibyte of zeroes in 1051 bytes: these, zeroes, and those. */
static const uint8_t gzip_head[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
	0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x08, 0x5f, 0xa0};
static const uint8_t gzip_tail[] = {0x3e, 0x03, 0x1c, 0xea, 0x38, 0xa7, 0x00, 0x00, 0x10, 0x00};

static bool
write_gzip(struct conn *conn, const char *coding)
{
	uint8_t bomb[GZIP_BOMB_SIZE] = {0};

	memcpy(bomb, gzip_head, sizeof(gzip_head));
	memcpy(bomb + sizeof(bomb) - sizeof(gzip_tail), gzip_tail, sizeof(gzip_tail));
	return conn_print(conn,
		       "HTTP/1.1 200 OK" CRLF "%s: gzip" CRLF "Connection: close" CRLF CRLF,
		       coding) &&
	       conn_write(conn, bomb, sizeof(bomb));
}

static bool
gzip(struct conn *conn, const struct request *request)
{
	(void)request;
	write_gzip(conn, "Content-Encoding");
	return false;
}

static bool
gzip_transfer(struct conn *conn, const struct request *request)
{
	(void)request;
	write_gzip(conn, "Transfer-Encoding");
	return false;
}

static bool
redirect(struct conn *conn, const char *status, const char *target)
{
	return conn_print(conn,
		"HTTP/1.1 %s" CRLF "Location: %s" CRLF "Content-Length: 5" CRLF CRLF "moved",
		status, target);
}

/* /hop/N: N more redirects to this server, then to the target of the test. */
static bool
hop(struct conn *conn, const struct request *request)
{
	unsigned n = (unsigned)strtoul(request->target + strlen("/hop/"), NULL, 10);
	char next[32];

	snprintf(next, sizeof(next), "/hop/%u", n - 1);
	return redirect(conn, "302 Found", n > 0 ? next : server_target(conn));
}

/* The gateway's habit: the same address with a slash. */
static bool
add_slash(struct conn *conn, const struct request *request)
{
	char target[300];

	snprintf(target, sizeof(target), "%s/", request->target);
	return redirect(conn, "301 Moved Permanently", target);
}

static bool
moved_301(struct conn *conn, const struct request *request)
{
	(void)request;
	return redirect(conn, "301 Moved Permanently", server_target(conn));
}

static bool
moved_303(struct conn *conn, const struct request *request)
{
	(void)request;
	return redirect(conn, "303 See Other", server_target(conn));
}

static uint64_t
range_start(const struct request *request)
{
	return strncmp(request->range, "bytes=", 6) == 0 ? strtoull(request->range + 6, NULL, 10)
							 : 0;
}

/* size bytes of the file from first, where byte i is file_byte(i). */
static bool
write_file(struct conn *conn, uint64_t first, uint64_t size)
{
	uint8_t block[4096];

	while (size > 0) {
		size_t n = size < sizeof(block) ? (size_t)size : sizeof(block);
		for (size_t i = 0; i < n; i++)
			block[i] = file_byte(first + i);
		if (!conn_write(conn, block, n))
			return false;
		first += n;
		size -= n;
	}
	return true;
}

static bool
whole_file(struct conn *conn, uint64_t send)
{
	return conn_print(conn, "HTTP/1.1 200 OK" CRLF "Content-Length: %d" CRLF CRLF, FILE_SIZE) &&
	       write_file(conn, 0, send) && send == FILE_SIZE;
}

static bool
rest_of_file(struct conn *conn, uint64_t first, uint64_t send)
{
	return conn_print(conn,
		       "HTTP/1.1 206 Partial Content" CRLF "Content-Length: %" PRIu64 CRLF
		       "Content-Range: bytes %" PRIu64 "-%d/%d" CRLF CRLF,
		       FILE_SIZE - first, first, FILE_SIZE - 1, FILE_SIZE) &&
	       write_file(conn, first, send) && send == FILE_SIZE - first;
}

static bool
file(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	if (first >= FILE_SIZE)
		return conn_print(conn,
			"HTTP/1.1 416 Range Not Satisfiable" CRLF "Content-Range: bytes */%d" CRLF
			"Content-Length: 0" CRLF CRLF,
			FILE_SIZE);
	return first > 0 ? rest_of_file(conn, first, FILE_SIZE - first)
			 : whole_file(conn, FILE_SIZE);
}

static bool
file_no_range(struct conn *conn, const struct request *request)
{
	(void)request;
	return whole_file(conn, FILE_SIZE);
}

/* Breaks off after a quarter of what is left, twice. */
static bool
file_breaks(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	if (request->n > 2)
		return file(conn, request);
	return first > 0 ? rest_of_file(conn, first, (FILE_SIZE - first) / 4)
			 : whole_file(conn, FILE_SIZE / 4);
}

/* Breaks off after every 1.5 MiB; resumes well. */
static bool
file_keeps_breaking(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request), left = FILE_SIZE - first;
	uint64_t send = left < 1536 * 1024 ? left : 1536 * 1024;

	return first > 0 ? rest_of_file(conn, first, send) : whole_file(conn, send);
}

/* Breaks off once, then knows no ranges. */
static bool
file_breaks_no_range(struct conn *conn, const struct request *request)
{
	return whole_file(conn, request->n == 1 ? FILE_SIZE / 4 : FILE_SIZE);
}

static bool
lying_first(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	conn_print(conn,
		"HTTP/1.1 206 Partial Content" CRLF "Content-Length: %" PRIu64 CRLF
		"Content-Range: bytes 0-%" PRIu64 "/%d" CRLF CRLF,
		FILE_SIZE - first, FILE_SIZE - first - 1, FILE_SIZE);
	return write_file(conn, 0, FILE_SIZE - first);
}

static bool
lying_total(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	conn_print(conn,
		"HTTP/1.1 206 Partial Content" CRLF "Content-Length: %" PRIu64 CRLF
		"Content-Range: bytes %" PRIu64 "-%d/%d" CRLF CRLF,
		FILE_SIZE - first, first, FILE_SIZE - 1, FILE_SIZE + 1);
	return write_file(conn, first, FILE_SIZE - first);
}

static bool
no_content_range(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	conn_print(conn, "HTTP/1.1 206 Partial Content" CRLF "Content-Length: %" PRIu64 CRLF CRLF,
		FILE_SIZE - first);
	return write_file(conn, first, FILE_SIZE - first);
}

/* Honest about the range and then sends for ever. */
static bool
range_endless(struct conn *conn, const struct request *request)
{
	uint64_t first = range_start(request);

	conn_print(conn,
		"HTTP/1.1 206 Partial Content" CRLF "Connection: close" CRLF
		"Content-Range: bytes %" PRIu64 "-%d/%d" CRLF CRLF,
		first, FILE_SIZE - 1, FILE_SIZE);
	while (write_file(conn, first, 65536))
		first += 65536;
	return false;
}

static bool
unasked_206(struct conn *conn, const struct request *request)
{
	(void)request;
	return rest_of_file(conn, 0, FILE_SIZE);
}

/* Ends by closing: only the listed length tells that bytes are missing. */
static bool
short_file(struct conn *conn, const struct request *request)
{
	(void)request;
	conn_print(conn, "HTTP/1.0 200 OK" CRLF CRLF);
	write_file(conn, 0, 1000);
	return false;
}

static bool
json_lines(struct conn *conn, const struct request *request)
{
	(void)request;
	if (!conn_print(conn, "HTTP/1.1 200 OK" CRLF "Transfer-Encoding: chunked" CRLF CRLF))
		return false;
	for (int i = 1; i <= 3; i++) {
		if (!conn_print(conn, "8" CRLF "{\"n\":%d}\n" CRLF, i) || !conn_pause(conn, 20))
			return false;
	}
	return conn_print(conn, "0" CRLF CRLF);
}

struct route {
	const char *path; /* a final "*" is any rest */
	bool (*behave)(struct conn *conn, const struct request *request);
};

static const struct route routes[] = {
	{"/ok", ok},
	{"/ok/a%20b", ok},
	{"/other", ok},
	{"/empty", empty},
	{"/created", created},
	{"/no-content", no_content},
	{"/404", status_404},
	{"/410", status_410},
	{"/no-root", no_root},
	{"/other-424", other_424},
	{"/broken-424", broken_424},
	{"/400", status_400},
	{"/long-404", long_404},
	{"/500", status_500},
	{"/last-500", last_500},
	{"/flaky", flaky},
	{"/flaky-503", flaky_503},
	{"/long-wait", long_wait},
	{"/truncated", truncated},
	{"/truncated-once", truncated_once},
	{"/cut-chunk", cut_chunk},
	{"/bad-trailer", bad_trailer},
	{"/endless", endless},
	{"/huge", huge},
	{"/overflow", overflow},
	{"/trickle", trickle},
	{"/bursts", bursts},
	{"/header-trickle", header_trickle},
	{"/stall", stall},
	{"/mute", mute},
	{"/stall-once", stall_once},
	{"/hang-up", hang_up},
	{"/no-http", no_http},
	{"/header-flood", header_flood},
	{"/continue-flood", continue_flood},
	{"/only-continue", only_continue},
	{"/header-line", header_line},
	{"/early-hints", early_hints},
	{"/gzip", gzip},
	{"/gzip-transfer", gzip_transfer},
	{"/hop/*", hop},
	{"/events", add_slash},
	{"/events/", no_content},
	{"/twice", add_slash},
	{"/twice/", add_slash},
	{"/moved-301", moved_301},
	{"/moved-303", moved_303},
	{"/file", file},
	{"/file-no-range", file_no_range},
	{"/file-breaks", file_breaks},
	{"/file-keeps-breaking", file_keeps_breaking},
	{"/file-breaks-no-range", file_breaks_no_range},
	{"/lying-first", lying_first},
	{"/lying-total", lying_total},
	{"/no-content-range", no_content_range},
	{"/range-endless", range_endless},
	{"/unasked-206", unasked_206},
	{"/short-file", short_file},
	{"/json-lines", json_lines},
};

bool
behave(struct conn *conn, const struct request *request)
{
	size_t target_len = strcspn(request->target, "?");

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		size_t len = strlen(routes[i].path);
		if (routes[i].path[len - 1] == '*'
				? strncmp(request->target, routes[i].path, len - 1) == 0
				: len == target_len &&
					  strncmp(request->target, routes[i].path, len) == 0)
			return routes[i].behave(conn, request);
	}
	return answer(conn, "599 No Such Test", request->target);
}
