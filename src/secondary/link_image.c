/*
 * Handing an image to a Secondary, and having it installed.
 */
#include "secondary/link_ip.h"

#include <errno.h>
#include <stdio.h>

/* How fast a Secondary hashes and writes, and takes an image, at least; else it is given up. */
#define IMAGE_BYTES_PER_MS 256
#define STREAM_BYTES_PER_MS 16
#define PROGRESS_INTERVAL_MS 250

struct progress {
	const struct upt_install_progress *to; /* may be NULL */
	uint64_t total;
	int64_t next_ms;
};

static enum upt_code
tell(struct progress *p, const char *what, uint64_t done, struct upt_err *err)
{
	int64_t now = upt_monotonic_ms();

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
send_chunk(struct upt_ip_call *call, int fd, uint64_t offset, size_t len, struct upt_err *err)
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
	return upt_ip_send_out(call, err);
}

/* Sends the rest of the image, and stops when the Secondary has something to say about it. */
static enum upt_code
stream(struct upt_ip_call *call, const struct upt_install_job *job, uint64_t offset,
	const struct upt_install_progress *to, struct upt_err *err)
{
	struct progress p = {.to = to, .total = job->image->length_bytes};

	call->conn.end_ms = upt_monotonic_ms() + call->conn.timeout_ms +
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
	return upt_ip_send_out(call, err);
}

/* What hashing, writing or copying that image may take the Secondary on top of a usual answer. */
static uint64_t
work_ms(const struct upt_image *image)
{
	return image->length_bytes / IMAGE_BYTES_PER_MS;
}

enum upt_code
upt_ip_give_image(struct upt_ip_call *call, const struct upt_install_job *job,
	const struct upt_install_progress *to, struct upt_err *err)
{
	struct upt_wire_image_begin begin = {.length_bytes = job->image->length_bytes};
	struct upt_wire_accept accept;

	snprintf(begin.name, sizeof(begin.name), "%s", job->image->name);
	UPT_TRY(upt_wire_put_image_begin(&call->out, &begin, err));
	UPT_TRY(upt_ip_send_out(call, err));
	/* It may have most of the image and hash that first. */
	UPT_TRY(upt_ip_receive_or_verdict(call, UPT_WIRE_ACCEPT, work_ms(job->image), err));
	UPT_TRY(upt_wire_parse_accept(upt_buf_span(&call->in), &accept, err));
	if (accept.offset_bytes > job->image->length_bytes)
		return upt_fail(err, UPT_E_MALFORMED, "it has %ju bytes of an image of %ju",
			(uintmax_t)accept.offset_bytes, (uintmax_t)job->image->length_bytes);
	if (accept.offset_bytes > 0)
		upt_log(call->link->base.log, UPT_LOG_INFO, "Secondary %s: has %ju of %ju bytes",
			call->link->serial, (uintmax_t)accept.offset_bytes,
			(uintmax_t)job->image->length_bytes);
	UPT_TRY(stream(call, job, accept.offset_bytes, to, err));
	return upt_ip_receive_verdict(call, work_ms(job->image), NULL, err);
}

enum upt_code
upt_ip_ask_install(struct upt_ip_call *call, const struct upt_install_job *job, bool *pending,
	struct upt_err *err)
{
	struct upt_wire_install install;

	snprintf(install.name, sizeof(install.name), "%s", job->image->name);
	UPT_TRY(upt_wire_put_install(&call->out, &install, err));
	UPT_TRY(upt_ip_send_out(call, err));
	/* It hashes the image, copies it, and hashes the old file. */
	return upt_ip_receive_verdict(call, 3 * work_ms(job->image), pending, err);
}
