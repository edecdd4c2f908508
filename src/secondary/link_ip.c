/*
 * The Primary's side of protocol.h. A Secondary may have been taken over: every answer is bounded
 * in size, number and time, and nothing it says changes more than what the Primary reports of it.
 */
#include "secondary/link_ip.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define DEFAULT_TIMEOUT_MS (60 * 1000)
/* A whole VERIFY, in timeouts: 2200 slow answers must not hold the vehicle's update for days. */
#define VERIFY_TIMEOUTS 10
/* How fast a Secondary at least hashes, writes and takes an image; below it the Primary gives up.
 */
#define IMAGE_BYTES_PER_MS 256
#define STREAM_BYTES_PER_MS 16
#define PROGRESS_INTERVAL_MS 250

struct ip_link {
	struct upt_link base;
	char *address;
	unsigned port;
	struct upt_conn conn; /* settings; fd is of the call under way */
	upt_link_connect connect;
	void *connect_ctx;
	char serial[UPT_ECU_SERIAL_MAX + 1]; /* "" until the first INFO */
};

/* One call sequence: a connection, closed at its end. */
struct call {
	struct ip_link *link;
	struct upt_conn conn;
	struct upt_ecu_info info;
	struct upt_buf out, in;
};

static void
call_clear(struct call *call)
{
	upt_close_fd(&call->conn.fd);
	upt_buf_clear(&call->out);
	upt_buf_clear(&call->in);
}

/* ---- connecting ---- */

static enum upt_code
unreachable(int errnum, struct upt_err *err)
{
	return upt_fail(err, UPT_E_NETWORK, "cannot connect: %s",
		errnum == ETIMEDOUT ? "no answer in time" : strerror(errnum));
}

static enum upt_code
wait_connected(const struct ip_link *self, int fd, struct upt_err *err)
{
	int64_t until_ms = upt_conn_now_ms() + self->conn.timeout_ms;
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0, n = 0;

	while (n <= 0) {
		int64_t left = until_ms - upt_conn_now_ms();
		if (self->conn.cancel != NULL && *self->conn.cancel)
			return upt_fail(err, UPT_E_CANCELLED, "interrupted");
		if (left <= 0)
			return unreachable(ETIMEDOUT, err);
		n = poll(&poll_fd, 1, left < 200 ? (int)left : 200);
		if (n < 0 && errno != EINTR)
			return unreachable(errno, err);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	return error == 0 ? UPT_OK : unreachable(error, err);
}

static enum upt_code
connect_address(
	const struct ip_link *self, const struct addrinfo *ai, int *out, struct upt_err *err)
{
	upt_cleanup(upt_close_fd) int fd =
		socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return unreachable(errno, err);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		if (errno != EINPROGRESS)
			return unreachable(errno, err);
		UPT_TRY(wait_connected(self, fd, err));
	}
	*out = fd;
	fd = -1;
	return UPT_OK;
}

/* Tries every address of a name; the last failure is told. */
static enum upt_code
connect_tcp(void *ctx, int *fd, struct upt_err *err)
{
	const struct ip_link *self = ctx;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	enum upt_code code = UPT_E_NETWORK;
	struct addrinfo *list;
	char service[16];
	int rc;

	snprintf(service, sizeof(service), "%u", self->port);
	rc = getaddrinfo(self->address, service, &hints, &list);
	if (rc != 0)
		return upt_fail(
			err, UPT_E_NETWORK, "cannot resolve the address: %s", gai_strerror(rc));
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		code = connect_address(self, ai, fd, err);
		if (code == UPT_OK || code == UPT_E_CANCELLED)
			break;
	}
	freeaddrinfo(list);
	return code;
}

/* ---- frames ---- */

static enum upt_code
send_out(struct call *call, struct upt_err *err)
{
	enum upt_code code = upt_conn_send(&call->conn, upt_buf_span(&call->out), err);

	call->out.len = 0;
	return code;
}

static enum upt_code
receive(struct call *call, unsigned allowed, uint64_t extra_ms, enum upt_wire_type *type,
	struct upt_err *err)
{
	enum upt_code code = upt_conn_receive(&call->conn, allowed, extra_ms, type, &call->in, err);

	/* A Secondary that crawls is out of reach like one that is silent: it attacks no download.
	 */
	return code == UPT_E_TOO_SLOW ? upt_fail(err, UPT_E_NETWORK, "it answers too slowly")
				      : code;
}

/*
 * What the Secondary decided, as our own code. Unknown names come from a newer agent. "cancelled"
 * is what this Primary's user does, and no word of a Secondary may end the whole vehicle's update.
 */
static enum upt_code
read_verdict(struct call *call, bool *pending, struct upt_err *err)
{
	struct upt_wire_verdict verdict;
	enum upt_code code;

	UPT_TRY(upt_wire_parse_verdict(upt_buf_span(&call->in), &verdict, err));
	code = upt_code_from_name(verdict.code_name);
	if (code == UPT_OK) {
		if (pending != NULL)
			*pending = verdict.pending;
		return UPT_OK;
	}
	if (err != NULL)
		err->repo = verdict.repo;
	if (code == UPT_N_CODES || code == UPT_E_CANCELLED)
		return upt_fail(err, UPT_E_INSTALL, "%s (%s)", verdict.message, verdict.code_name);
	return upt_fail(err, code, "%s", verdict.message);
}

static enum upt_code
receive_verdict(struct call *call, uint64_t extra_ms, bool *pending, struct upt_err *err)
{
	enum upt_wire_type type;

	UPT_TRY(receive(call, UPT_WIRE_BIT(UPT_WIRE_VERDICT), extra_ms, &type, err));
	return read_verdict(call, pending, err);
}

/* Receives type, or a VERDICT that says why not. */
static enum upt_code
receive_or_verdict(
	struct call *call, enum upt_wire_type wanted, uint64_t extra_ms, struct upt_err *err)
{
	enum upt_wire_type type;

	UPT_TRY(receive(
		call, UPT_WIRE_BIT(wanted) | UPT_WIRE_BIT(UPT_WIRE_VERDICT), extra_ms, &type, err));
	if (type == wanted)
		return UPT_OK;
	UPT_TRY(read_verdict(call, NULL, err));
	return upt_fail(err, UPT_E_MALFORMED, "it agrees where it should send %s",
		upt_wire_type_name(wanted));
}

/* ---- HELLO ---- */

static enum upt_code
check_info(struct ip_link *self, const struct upt_wire_info *info, struct upt_err *err)
{
	if (info->version != UPT_WIRE_VERSION)
		return upt_fail(err, UPT_E_MALFORMED,
			"it chose protocol version %u, offered was %u", info->version,
			UPT_WIRE_VERSION);
	/* Two ECUs behind one address would mix up their images and reports. */
	if (self->serial[0] != '\0' && strcmp(self->serial, info->ecu.serial) != 0)
		return upt_fail(err, UPT_E_NETWORK, "now ECU %s answers there", info->ecu.serial);
	return UPT_OK;
}

static enum upt_code
greet(struct call *call, struct upt_err *err)
{
	const struct upt_wire_hello hello = {UPT_WIRE_VERSION, UPT_WIRE_VERSION};
	struct ip_link *self = call->link;
	struct upt_wire_info info;

	UPT_TRY(self->connect(self->connect_ctx, &call->conn.fd, err));
	UPT_TRY(upt_conn_prepare(call->conn.fd, err));
	UPT_TRY(upt_wire_put_hello(&call->out, &hello, err));
	UPT_TRY(send_out(call, err));
	UPT_TRY(receive_or_verdict(call, UPT_WIRE_INFO, 0, err));
	UPT_TRY(upt_wire_parse_info(upt_buf_span(&call->in), &info, err));
	UPT_TRY(check_info(self, &info, err));
	snprintf(self->serial, sizeof(self->serial), "%s", info.ecu.serial);
	call->info = info.ecu;
	return UPT_OK;
}

/* ---- the calls ---- */

static enum upt_code
ask_report(struct call *call, struct upt_buf *envelope, struct upt_err *err)
{
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_REPORT, err));
	UPT_TRY(send_out(call, err));
	UPT_TRY(receive_or_verdict(call, UPT_WIRE_ENVELOPE, 0, err));
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_TAKEN, err));
	UPT_TRY(send_out(call, err));
	upt_buf_move(envelope, &call->in);
	return UPT_OK;
}

/* The file in frames, each full but the last. */
static enum upt_code
send_file(struct call *call, struct upt_span bytes, struct upt_err *err)
{
	const struct upt_wire_file file = {UPT_WIRE_FILE_OK, (uint32_t)bytes.len};

	UPT_TRY(upt_wire_put_file(&call->out, &file, err));
	while (bytes.len > 0) {
		size_t n = bytes.len < UPT_WIRE_CHUNK_BYTES ? bytes.len : UPT_WIRE_CHUNK_BYTES;
		UPT_TRY(upt_wire_put_bytes(
			&call->out, UPT_WIRE_FILE_DATA, upt_span(bytes.data, n), err));
		UPT_TRY(send_out(call, err));
		bytes = upt_span(bytes.data + n, bytes.len - n);
	}
	return send_out(call, err);
}

static enum upt_code
answer_need(struct call *call, const struct upt_metadata_source *source, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct upt_wire_file file = {.status = UPT_WIRE_FILE_ABSENT};
	struct upt_wire_need need;
	struct upt_err why = {0};
	enum upt_code code;

	UPT_TRY(upt_wire_parse_need(upt_buf_span(&call->in), &need, err));
	code = source->fetch(source->ctx, need.repo, need.file_name, need.max_bytes, &bytes, &why);
	if (code == UPT_OK && bytes.len <= need.max_bytes)
		return send_file(call, upt_buf_span(&bytes), err);
	/* "Cannot tell" stays "cannot tell" on the other side. */
	if (code != UPT_E_ABSENT) {
		upt_log_err(call->link->base.log, UPT_LOG_WARNING, &why,
			"Secondary %s: cannot give it %s %s", call->link->serial,
			upt_repo_name(need.repo), need.file_name);
		file.status = UPT_WIRE_FILE_ERROR;
	}
	UPT_TRY(upt_wire_put_file(&call->out, &file, err));
	return send_out(call, err);
}

static enum upt_code
serve_metadata(struct call *call, const struct upt_metadata_source *source, struct upt_err *err)
{
	const unsigned allowed = UPT_WIRE_BIT(UPT_WIRE_NEED) | UPT_WIRE_BIT(UPT_WIRE_VERDICT);
	enum upt_wire_type type;

	call->conn.end_ms = upt_conn_now_ms() + (int64_t)VERIFY_TIMEOUTS * call->conn.timeout_ms;
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_VERIFY, err));
	UPT_TRY(send_out(call, err));
	for (unsigned i = 0; i <= UPT_WIRE_MAX_NEEDS; i++) {
		UPT_TRY(receive(call, allowed, 0, &type, err));
		if (type == UPT_WIRE_VERDICT)
			return read_verdict(call, NULL, err);
		UPT_TRY(answer_need(call, source, err));
	}
	return upt_fail(err, UPT_E_MALFORMED, "it asks for more than %d files", UPT_WIRE_MAX_NEEDS);
}

/* ---- images ---- */

struct progress {
	const struct upt_install_progress *to; /* may be NULL */
	uint64_t total;
	int64_t next_ms;
};

static enum upt_code
tell(struct progress *p, const char *what, uint64_t done, struct upt_err *err)
{
	int64_t now = upt_conn_now_ms();

	if (p->to == NULL)
		return UPT_OK;
	if (p->to->cancel != NULL && *p->to->cancel)
		return upt_fail(err, UPT_E_CANCELLED, "interrupted");
	if (p->to->report != NULL && (now >= p->next_ms || done == p->total)) {
		p->to->report(p->to->ctx, what, done, p->total, "bytes");
		p->next_ms = now + PROGRESS_INTERVAL_MS;
	}
	return UPT_OK;
}

/* One IMAGE_DATA from the file, whose own offset stays; the buffer is the only copy. */
static enum upt_code
send_chunk(struct call *call, int fd, uint64_t offset, size_t len, struct upt_err *err)
{
	struct upt_buf *out = &call->out;

	UPT_TRY(upt_buf_reserve(out, UPT_WIRE_HEADER_BYTES + len, err));
	upt_wire_header(UPT_WIRE_IMAGE_DATA, len, out->data);
	out->len = UPT_WIRE_HEADER_BYTES;
	while (out->len < UPT_WIRE_HEADER_BYTES + len) {
		size_t have = out->len - UPT_WIRE_HEADER_BYTES;
		ssize_t n = pread(fd, out->data + out->len, len - have, (off_t)(offset + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return upt_fail_errno(err, errno, "cannot read the image");
		if (n == 0)
			return upt_fail(err, UPT_E_IO, "the image ends at byte %ju",
				(uintmax_t)(offset + have));
		out->len += (size_t)n;
	}
	return send_out(call, err);
}

/* Sends the rest of the image, and stops when the Secondary has something to say about it. */
static enum upt_code
stream(struct call *call, const struct upt_install_job *job, uint64_t offset,
	const struct upt_install_progress *to, struct upt_err *err)
{
	struct progress p = {.to = to, .total = job->image->length_bytes};

	call->conn.end_ms = upt_conn_now_ms() + call->conn.timeout_ms +
			    (int64_t)((p.total - offset) / STREAM_BYTES_PER_MS);
	while (offset < p.total && !upt_conn_readable(&call->conn)) {
		uint64_t left = p.total - offset;
		size_t n = left < UPT_WIRE_CHUNK_BYTES ? (size_t)left : UPT_WIRE_CHUNK_BYTES;
		enum upt_code code;

		UPT_TRY(tell(&p, job->image->name, offset, err));
		code = send_chunk(call, job->image_fd, offset, n, err);
		/* It may have closed after a word that says why. */
		if (code == UPT_E_NETWORK && upt_conn_readable(&call->conn))
			break;
		UPT_TRY(code);
		offset += n;
	}
	call->conn.end_ms = 0;
	if (offset < p.total)
		return UPT_OK; /* its VERDICT comes next */
	UPT_TRY(tell(&p, job->image->name, offset, err));
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_IMAGE_END, err));
	return send_out(call, err);
}

/* What hashing, writing or copying that image may take the Secondary on top of a usual answer. */
static uint64_t
work_ms(const struct upt_image *image)
{
	return image->length_bytes / IMAGE_BYTES_PER_MS;
}

static enum upt_code
give_image(struct call *call, const struct upt_install_job *job,
	const struct upt_install_progress *to, struct upt_err *err)
{
	struct upt_wire_image_begin begin = {.length_bytes = job->image->length_bytes};
	struct upt_wire_accept accept;

	snprintf(begin.name, sizeof(begin.name), "%s", job->image->name);
	UPT_TRY(upt_wire_put_image_begin(&call->out, &begin, err));
	UPT_TRY(send_out(call, err));
	/* It may have most of the image and hash that first. */
	UPT_TRY(receive_or_verdict(call, UPT_WIRE_ACCEPT, work_ms(job->image), err));
	UPT_TRY(upt_wire_parse_accept(upt_buf_span(&call->in), &accept, err));
	if (accept.offset_bytes > job->image->length_bytes)
		return upt_fail(err, UPT_E_MALFORMED, "it has %ju bytes of an image of %ju",
			(uintmax_t)accept.offset_bytes, (uintmax_t)job->image->length_bytes);
	if (accept.offset_bytes > 0)
		upt_log(call->link->base.log, UPT_LOG_INFO, "Secondary %s: has %ju of %ju bytes",
			call->link->serial, (uintmax_t)accept.offset_bytes,
			(uintmax_t)job->image->length_bytes);
	UPT_TRY(stream(call, job, accept.offset_bytes, to, err));
	return receive_verdict(call, work_ms(job->image), NULL, err);
}

static enum upt_code
ask_install(
	struct call *call, const struct upt_install_job *job, bool *pending, struct upt_err *err)
{
	struct upt_wire_install install;

	snprintf(install.name, sizeof(install.name), "%s", job->image->name);
	UPT_TRY(upt_wire_put_install(&call->out, &install, err));
	UPT_TRY(send_out(call, err));
	/* It hashes the image, copies it, and hashes the old file. */
	return receive_verdict(call, 3 * work_ms(job->image), pending, err);
}

/* ---- ops ---- */

static struct ip_link *
from_base(struct upt_link *base)
{
	return (struct ip_link *)base;
}

static struct call
call_new(struct ip_link *self)
{
	struct call call = {.link = self, .conn = self->conn};

	return call;
}

static enum upt_code
in_words(const struct ip_link *self, enum upt_code code, struct upt_err *err)
{
	if (code == UPT_OK)
		return UPT_OK;
	if (self->serial[0] != '\0')
		return upt_wrap(err, code, "Secondary %s", self->serial);
	return upt_wrap(err, code, "Secondary at %s port %u", self->address, self->port);
}

static enum upt_code
ip_info(struct upt_link *base, struct upt_ecu_info *out, struct upt_err *err)
{
	struct ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct call call = call_new(self);
	enum upt_code code = greet(&call, err);

	*out = call.info;
	return in_words(self, code, err);
}

static enum upt_code
ip_report(struct upt_link *base, const char *attacks, int64_t now, struct upt_buf *envelope,
	struct upt_err *err)
{
	struct ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct call call = call_new(self);
	enum upt_code code = greet(&call, err);

	(void)attacks;
	(void)now;
	if (code == UPT_OK)
		code = ask_report(&call, envelope, err);
	return in_words(self, code, err);
}

static enum upt_code
ip_send_metadata(
	struct upt_link *base, const struct upt_metadata_source *source, struct upt_err *err)
{
	struct ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct call call = call_new(self);
	enum upt_code code = greet(&call, err);

	if (code == UPT_OK)
		code = serve_metadata(&call, source, err);
	return in_words(self, code, err);
}

static enum upt_code
ip_send_image(struct upt_link *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct call call = call_new(self);
	enum upt_code code;

	if (job->image_fd < 0)
		return upt_fail(
			err, UPT_E_INTERNAL, "image %s without its bytes", job->image->name);
	code = greet(&call, err);
	if (code == UPT_OK)
		code = give_image(&call, job, progress, err);
	return in_words(self, code, err);
}

static enum upt_code
ip_install(struct upt_link *base, const struct upt_install_job *job, bool *pending,
	struct upt_err *err)
{
	struct ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct call call = call_new(self);
	enum upt_code code;

	*pending = false;
	code = greet(&call, err);
	if (code == UPT_OK)
		code = ask_install(&call, job, pending, err);
	return in_words(self, code, err);
}

static bool
ip_needs_image(const struct upt_link *base)
{
	(void)base;
	return true;
}

static const char *
ip_format(const struct upt_link *base)
{
	(void)base;
	return "BINARY";
}

static enum upt_code
ip_rollback(struct upt_link *base, bool *pending, struct upt_err *err)
{
	struct ip_link *self = from_base(base);

	*pending = false;
	return in_words(self,
		upt_fail(err, UPT_E_UNSUPPORTED, "goes back only when the Director assigns it"),
		err);
}

static void
ip_free(struct upt_link *base)
{
	struct ip_link *self = from_base(base);

	free(self->address);
	free(self);
}

static const struct upt_link_ops ip_ops = {
	.info = ip_info,
	.report = ip_report,
	.send_metadata = ip_send_metadata,
	.send_image = ip_send_image,
	.install = ip_install,
	.needs_image = ip_needs_image,
	.format = ip_format,
	.rollback = ip_rollback,
	.free = ip_free,
};

enum upt_code
upt_ip_link_new_connected(const struct upt_ip_link_config *config, upt_link_connect connect,
	void *connect_ctx, const struct upt_log *log, struct upt_link **out, struct upt_err *err)
{
	struct ip_link *self = calloc(1, sizeof(*self));

	*out = NULL;
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a link");
	*self = (struct ip_link){.base = {.ops = &ip_ops, .log = log},
		.address = strdup(config->address),
		.port = config->port,
		.conn = {.fd = -1,
			.timeout_ms =
				config->timeout_ms != 0 ? config->timeout_ms : DEFAULT_TIMEOUT_MS,
			.cancel = config->cancel,
			.stop_fd = -1},
		.connect = connect != NULL ? connect : connect_tcp,
		.connect_ctx = connect != NULL ? connect_ctx : self};
	if (self->address == NULL) {
		ip_free(&self->base);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a link");
	}
	*out = &self->base;
	return UPT_OK;
}

enum upt_code
upt_ip_link_new(const struct upt_ip_link_config *config, const struct upt_log *log,
	struct upt_link **out, struct upt_err *err)
{
	return upt_ip_link_new_connected(config, NULL, NULL, log, out, err);
}
