/*
 * The Primary's side of protocol.h. A Secondary may have been taken over: every answer is bounded
 * in size, number and time, and nothing it says changes more than what the Primary reports of it.
 */
#include "secondary/link_ip.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS (60 * 1000)
/* A whole VERIFY, in timeouts: 2200 slow answers must not hold the vehicle's update for days. */
#define VERIFY_TIMEOUTS 10

static void
call_clear(struct upt_ip_call *call)
{
	upt_close_fd(&call->conn.fd);
	upt_buf_clear(&call->out);
	upt_buf_clear(&call->in);
}

/* ---- frames ---- */

enum upt_code
upt_ip_send_out(struct upt_ip_call *call, struct upt_err *err)
{
	enum upt_code code = upt_conn_send(&call->conn, upt_buf_span(&call->out), err);

	call->out.len = 0;
	return code;
}

static enum upt_code
receive(struct upt_ip_call *call, unsigned allowed, uint64_t extra_ms, enum upt_wire_type *type,
	struct upt_err *err)
{
	enum upt_code code = upt_conn_receive(&call->conn, allowed, extra_ms, type, &call->in, err);

	/* A Secondary that crawls is out of reach like one that is silent: no download is slow. */
	return code == UPT_E_TOO_SLOW ? upt_fail(err, UPT_E_NETWORK, "it answers too slowly")
				      : code;
}

/*
 * What the Secondary decided, as our own code. Unknown names come from a newer agent. "cancelled"
 * is what this Primary's user does, and no word of a Secondary may end the whole vehicle's update.
 */
static enum upt_code
read_verdict(struct upt_ip_call *call, bool *pending, struct upt_err *err)
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

enum upt_code
upt_ip_receive_verdict(
	struct upt_ip_call *call, uint64_t extra_ms, bool *pending, struct upt_err *err)
{
	enum upt_wire_type type;

	UPT_TRY(receive(call, UPT_WIRE_BIT(UPT_WIRE_VERDICT), extra_ms, &type, err));
	return read_verdict(call, pending, err);
}

/* Receives type, or a VERDICT that says why not. */
enum upt_code
upt_ip_receive_or_verdict(
	struct upt_ip_call *call, enum upt_wire_type wanted, uint64_t extra_ms, struct upt_err *err)
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
check_info(struct upt_ip_link *self, const struct upt_wire_info *info, struct upt_err *err)
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
greet(struct upt_ip_call *call, struct upt_err *err)
{
	const struct upt_wire_hello hello = {UPT_WIRE_VERSION, UPT_WIRE_VERSION};
	struct upt_ip_link *self = call->link;
	struct upt_wire_info info;

	UPT_TRY(self->connect(self->connect_ctx, &call->conn.fd, err));
	UPT_TRY(upt_conn_prepare(call->conn.fd, err));
	UPT_TRY(upt_wire_put_hello(&call->out, &hello, err));
	UPT_TRY(upt_ip_send_out(call, err));
	UPT_TRY(upt_ip_receive_or_verdict(call, UPT_WIRE_INFO, 0, err));
	UPT_TRY(upt_wire_parse_info(upt_buf_span(&call->in), &info, err));
	UPT_TRY(check_info(self, &info, err));
	snprintf(self->serial, sizeof(self->serial), "%s", info.ecu.serial);
	call->info = info.ecu;
	return UPT_OK;
}

/* ---- the calls ---- */

static enum upt_code
ask_report(struct upt_ip_call *call, struct upt_buf *envelope, struct upt_err *err)
{
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_REPORT, err));
	UPT_TRY(upt_ip_send_out(call, err));
	UPT_TRY(upt_ip_receive_or_verdict(call, UPT_WIRE_ENVELOPE, 0, err));
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_TAKEN, err));
	UPT_TRY(upt_ip_send_out(call, err));
	upt_buf_move(envelope, &call->in);
	return UPT_OK;
}

/* The file in frames, each full but the last. */
static enum upt_code
send_file(struct upt_ip_call *call, struct upt_span bytes, struct upt_err *err)
{
	const struct upt_wire_file file = {UPT_WIRE_FILE_OK, (uint32_t)bytes.len};

	UPT_TRY(upt_wire_put_file(&call->out, &file, err));
	while (bytes.len > 0) {
		size_t n = bytes.len < UPT_WIRE_CHUNK_BYTES ? bytes.len : UPT_WIRE_CHUNK_BYTES;
		UPT_TRY(upt_wire_put_bytes(
			&call->out, UPT_WIRE_FILE_DATA, upt_span(bytes.data, n), err));
		UPT_TRY(upt_ip_send_out(call, err));
		bytes = upt_span(bytes.data + n, bytes.len - n);
	}
	return upt_ip_send_out(call, err);
}

static enum upt_code
answer_need(struct upt_ip_call *call, const struct upt_metadata_source *source, struct upt_err *err)
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
	return upt_ip_send_out(call, err);
}

static enum upt_code
serve_metadata(
	struct upt_ip_call *call, const struct upt_metadata_source *source, struct upt_err *err)
{
	const unsigned allowed = UPT_WIRE_BIT(UPT_WIRE_NEED) | UPT_WIRE_BIT(UPT_WIRE_VERDICT);
	enum upt_wire_type type;

	call->conn.end_ms = upt_monotonic_ms() + (int64_t)VERIFY_TIMEOUTS * call->conn.timeout_ms;
	UPT_TRY(upt_wire_put_empty(&call->out, UPT_WIRE_VERIFY, err));
	UPT_TRY(upt_ip_send_out(call, err));
	for (unsigned i = 0; i <= UPT_WIRE_MAX_NEEDS; i++) {
		UPT_TRY(receive(call, allowed, 0, &type, err));
		if (type == UPT_WIRE_VERDICT)
			return read_verdict(call, NULL, err);
		UPT_TRY(answer_need(call, source, err));
	}
	return upt_fail(err, UPT_E_MALFORMED, "it asks for more than %d files", UPT_WIRE_MAX_NEEDS);
}

/* ---- ops ---- */

static struct upt_ip_link *
from_base(struct upt_link *base)
{
	return (struct upt_ip_link *)base;
}

static struct upt_ip_call
call_new(struct upt_ip_link *self)
{
	struct upt_ip_call call = {.link = self, .conn = self->conn};

	return call;
}

static enum upt_code
in_words(const struct upt_ip_link *self, enum upt_code code, struct upt_err *err)
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
	struct upt_ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct upt_ip_call call = call_new(self);
	enum upt_code code = greet(&call, err);

	*out = call.info;
	return in_words(self, code, err);
}

static enum upt_code
ip_report(struct upt_link *base, const char *attacks, int64_t now, struct upt_buf *envelope,
	struct upt_err *err)
{
	struct upt_ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct upt_ip_call call = call_new(self);
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
	struct upt_ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct upt_ip_call call = call_new(self);
	enum upt_code code = greet(&call, err);

	if (code == UPT_OK)
		code = serve_metadata(&call, source, err);
	return in_words(self, code, err);
}

static enum upt_code
ip_send_image(struct upt_link *base, const struct upt_install_job *job,
	const struct upt_install_progress *progress, struct upt_err *err)
{
	struct upt_ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct upt_ip_call call = call_new(self);
	enum upt_code code;

	if (job->image_fd < 0)
		return upt_fail(
			err, UPT_E_INTERNAL, "image %s without its bytes", job->image->name);
	code = greet(&call, err);
	if (code == UPT_OK)
		code = upt_ip_give_image(&call, job, progress, err);
	return in_words(self, code, err);
}

static enum upt_code
ip_install(struct upt_link *base, const struct upt_install_job *job, bool *pending,
	struct upt_err *err)
{
	struct upt_ip_link *self = from_base(base);
	upt_cleanup(call_clear) struct upt_ip_call call = call_new(self);
	enum upt_code code;

	*pending = false;
	code = greet(&call, err);
	if (code == UPT_OK)
		code = upt_ip_ask_install(&call, job, pending, err);
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
	struct upt_ip_link *self = from_base(base);

	*pending = false;
	return in_words(self,
		upt_fail(err, UPT_E_UNSUPPORTED, "goes back only when the Director assigns it"),
		err);
}

static void
ip_free(struct upt_link *base)
{
	struct upt_ip_link *self = from_base(base);

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
	struct upt_ip_link *self = calloc(1, sizeof(*self));

	*out = NULL;
	if (self == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a link");
	*self = (struct upt_ip_link){.base = {.ops = &ip_ops, .log = log},
		.address = strdup(config->address),
		.port = config->port,
		.conn = {.fd = -1,
			.timeout_ms =
				config->timeout_ms != 0 ? config->timeout_ms : DEFAULT_TIMEOUT_MS,
			.cancel = config->cancel,
			.stop_fd = -1},
		.connect = connect != NULL ? connect : upt_ip_connect_tcp,
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
