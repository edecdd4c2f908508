/*
 * An image coming in: only the one that verified metadata assigns, never a byte more than listed.
 */
#include "secondary/agent_internal.h"

/* What a refused sender may still have under way before it looks: its socket's buffer and ours. */
#define LINGER_BYTES ((uint64_t)16 * 1024 * 1024)

struct incoming {
	struct upt_agent_assignment a;
	struct upt_arena arena;
	struct upt_image_writer *writer; /* NULL: the content is here already */
	uint64_t offset;
};

static void
incoming_clear(struct incoming *in)
{
	upt_image_writer_free(&in->writer);
	upt_arena_clear(&in->arena);
}

/* True when a whole and still sound copy is in the store or in place: nothing needs to be sent. */
static bool
is_here(struct upt_agent *agent, const struct upt_image *image)
{
	upt_cleanup(upt_close_fd) int fd = -1;
	struct upt_images *images = upt_state_images(agent->state);
	struct upt_image current;

	if (upt_images_have(images, image))
		return upt_images_open_verified(images, image, &fd, NULL) == UPT_OK;
	return agent->installer->ops->current(agent->installer, &current, NULL) == UPT_OK &&
	       current.n_digests > 0 && upt_agent_same_content(&current, image);
}

static enum upt_code
begin(struct upt_session *s, const struct upt_wire_image_begin *msg, struct incoming *in,
	struct upt_err *err)
{
	struct upt_images *images = upt_state_images(s->agent->state);
	const struct upt_image *image;

	UPT_TRY(upt_agent_find_assigned(s->agent, msg->name, &in->arena, &in->a, err));
	image = &in->a.image.image;
	if (msg->length_bytes != image->length_bytes)
		return upt_fail(err,
			msg->length_bytes > image->length_bytes ? UPT_E_TOO_LARGE
								: UPT_E_IMAGE_HASH,
			"image %s: the Primary offers %ju bytes, the metadata lists %ju", msg->name,
			(uintmax_t)msg->length_bytes, (uintmax_t)image->length_bytes);
	if (is_here(s->agent, image)) {
		in->offset = image->length_bytes;
		return UPT_OK;
	}
	/* What an earlier assignment left must not take the space of this one. */
	UPT_TRY(upt_images_prune(images, image, 1, err));
	return upt_images_begin(images, image, &in->writer, &in->offset, err);
}

static enum upt_code
send_accept(struct upt_session *s, uint64_t offset, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf frame = {0};
	const struct upt_wire_accept accept = {.offset_bytes = offset};

	UPT_TRY(upt_wire_put_accept(&frame, &accept, err));
	return upt_conn_send(&s->conn, upt_buf_span(&frame), err);
}

/* One IMAGE_DATA. *why is set, and UPT_OK returned, when the image is to be refused. */
static enum upt_code
take_chunk(struct upt_session *s, struct incoming *in, struct upt_err *why, struct upt_err *err)
{
	uint64_t left = in->a.image.image.length_bytes - in->offset;
	size_t want = left < UPT_WIRE_CHUNK_BYTES ? (size_t)left : UPT_WIRE_CHUNK_BYTES;
	size_t got = s->frame.len;

	if (got > left) {
		upt_fail(why, UPT_E_TOO_LARGE,
			"image %s is longer than the %ju bytes the metadata lists",
			in->a.image.image.name, (uintmax_t)in->a.image.image.length_bytes);
		return UPT_OK;
	}
	/* An empty frame too: it costs the sender nothing and could be sent for ever. */
	if (got == 0 || got != want || in->writer == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "IMAGE_DATA of %zu bytes where %zu belong",
			got, want);
	if (upt_image_writer_write(in->writer, upt_buf_span(&s->frame), why) == UPT_OK)
		in->offset += got;
	return UPT_OK;
}

/* Until IMAGE_END, or until *why is set. */
static enum upt_code
take_chunks(struct upt_session *s, struct incoming *in, struct upt_err *why, struct upt_err *err)
{
	const unsigned allowed =
		UPT_WIRE_BIT(UPT_WIRE_IMAGE_DATA) | UPT_WIRE_BIT(UPT_WIRE_IMAGE_END);
	enum upt_wire_type type;

	for (;;) {
		UPT_TRY(upt_conn_receive(&s->conn, allowed, 0, &type, &s->frame, err));
		if (type == UPT_WIRE_IMAGE_END)
			return UPT_OK;
		UPT_TRY(take_chunk(s, in, why, err));
		if (why->code != UPT_OK)
			return UPT_OK;
	}
}

static enum upt_code
refuse(struct upt_session *s, const char *name, const struct upt_err *why, struct upt_err *err)
{
	upt_log_err(s->agent->log, UPT_LOG_WARNING, why, "image %s refused", name);
	upt_agent_note(s->agent, why->code, why->repo);
	return upt_session_send_verdict(s, why->code, false, why, err);
}

/* Refused in the middle: the sender is still sending, so this connection ends here. */
static enum upt_code
refuse_rest(struct upt_session *s, const char *name, const struct upt_err *why, struct upt_err *err)
{
	UPT_TRY(refuse(s, name, why, err));
	upt_conn_linger(&s->conn, LINGER_BYTES);
	*err = *why;
	return why->code;
}

static enum upt_code
stream(struct upt_session *s, struct incoming *in, const char *name, struct upt_err *err)
{
	struct upt_err why = {0};
	enum upt_code code = take_chunks(s, in, &why, err);

	if (code == UPT_E_TOO_SLOW)
		upt_agent_note(s->agent, code, UPT_REPO_NONE);
	UPT_TRY(code);
	if (why.code != UPT_OK)
		return refuse_rest(s, name, &why, err);
	if (in->writer != NULL && upt_image_writer_finish(in->writer, &why) != UPT_OK)
		return refuse(s, name, &why, err);
	upt_log(s->agent->log, UPT_LOG_INFO, "image %s received and verified", name);
	return upt_session_send_verdict(s, UPT_OK, false, NULL, err);
}

enum upt_code
upt_session_receive_image(struct upt_session *s, struct upt_err *err)
{
	upt_cleanup(incoming_clear) struct incoming in = {0};
	struct upt_wire_image_begin msg;
	struct upt_err why = {0};

	UPT_TRY(upt_wire_parse_image_begin(upt_buf_span(&s->frame), &msg, err));
	if (begin(s, &msg, &in, &why) != UPT_OK)
		return refuse(s, msg.name, &why, err);
	UPT_TRY(send_accept(s, in.offset, err));
	return stream(s, &in, msg.name, err);
}
