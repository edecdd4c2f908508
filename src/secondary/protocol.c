#include "secondary/protocol.h"

struct type_row {
	const char *name;
	size_t max_bytes;
};

#define TEXT_MAX(n) (2 + (size_t)(n))

static const struct type_row type_rows[UPT_WIRE_N_TYPES] = {
	[UPT_WIRE_NONE] = {"end", 0},
	[UPT_WIRE_HELLO] = {"HELLO", 4 + 2 + 2},
	[UPT_WIRE_INFO] = {"INFO", 2 + TEXT_MAX(UPT_ECU_SERIAL_MAX) +
					   TEXT_MAX(UPT_HARDWARE_ID_MAX) + TEXT_MAX(31) +
					   TEXT_MAX(UPT_KEY_TEXT_MAX_BYTES)},
	[UPT_WIRE_REPORT] = {"REPORT", 0},
	[UPT_WIRE_ENVELOPE] = {"ENVELOPE", UPT_WIRE_ENVELOPE_MAX_BYTES},
	[UPT_WIRE_TAKEN] = {"TAKEN", 0},
	[UPT_WIRE_VERIFY] = {"VERIFY", 0},
	[UPT_WIRE_NEED] = {"NEED", 1 + 4 + TEXT_MAX(UPT_WIRE_FILE_NAME_MAX)},
	[UPT_WIRE_FILE] = {"FILE", 1 + 4},
	[UPT_WIRE_FILE_DATA] = {"FILE_DATA", UPT_WIRE_CHUNK_BYTES},
	[UPT_WIRE_VERDICT] = {"VERDICT",
		TEXT_MAX(UPT_WIRE_CODE_NAME_MAX) + 1 + 1 + TEXT_MAX(UPT_WIRE_MESSAGE_MAX)},
	[UPT_WIRE_IMAGE_BEGIN] = {"IMAGE_BEGIN", TEXT_MAX(UPT_TARGET_NAME_MAX) + 8},
	[UPT_WIRE_ACCEPT] = {"ACCEPT", 8},
	[UPT_WIRE_IMAGE_DATA] = {"IMAGE_DATA", UPT_WIRE_CHUNK_BYTES},
	[UPT_WIRE_IMAGE_END] = {"IMAGE_END", 0},
	[UPT_WIRE_INSTALL] = {"INSTALL", TEXT_MAX(UPT_TARGET_NAME_MAX)},
};

size_t
upt_wire_max_bytes(enum upt_wire_type type)
{
	return (unsigned)type < UPT_WIRE_N_TYPES ? type_rows[type].max_bytes : 0;
}

const char *
upt_wire_type_name(enum upt_wire_type type)
{
	return (unsigned)type < UPT_WIRE_N_TYPES ? type_rows[type].name : "unknown";
}

/* ---- header ---- */

void
upt_wire_header(enum upt_wire_type type, size_t len, uint8_t out[static UPT_WIRE_HEADER_BYTES])
{
	out[0] = (uint8_t)(len >> 24);
	out[1] = (uint8_t)(len >> 16);
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	out[4] = (uint8_t)type;
}

enum upt_code
upt_wire_header_parse(const uint8_t in[static UPT_WIRE_HEADER_BYTES], enum upt_wire_type *type,
	size_t *len, struct upt_err *err)
{
	uint32_t n = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];

	*type = UPT_WIRE_NONE;
	*len = 0;
	if (in[4] == UPT_WIRE_NONE || in[4] >= UPT_WIRE_N_TYPES)
		return upt_fail(err, UPT_E_MALFORMED, "a frame of unknown type %u", in[4]);
	if (n > type_rows[in[4]].max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s of %u bytes, at most %zu are allowed",
			type_rows[in[4]].name, n, type_rows[in[4]].max_bytes);
	*type = (enum upt_wire_type)in[4];
	*len = n;
	return UPT_OK;
}

/* ---- writing ---- */

/* A frame under construction at the end of out. The first failure sticks. */
struct writer {
	struct upt_buf *out;
	size_t start;
	enum upt_wire_type type;
	enum upt_code code;
	struct upt_err *err;
};

static void
put(struct writer *w, const void *data, size_t len)
{
	if (w->code == UPT_OK)
		w->code = upt_buf_append(w->out, data, len, w->err);
}

static void
put_uint(struct writer *w, uint64_t value, unsigned n_bytes)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < n_bytes; i++)
		bytes[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
	put(w, bytes, n_bytes);
}

static void
put_text(struct writer *w, const char *text, size_t max)
{
	size_t len = strlen(text);

	if (w->code == UPT_OK && len > max)
		w->code =
			upt_fail(w->err, UPT_E_MALFORMED, "%s: text of %zu bytes, at most %zu fit",
				upt_wire_type_name(w->type), len, max);
	put_uint(w, len, 2);
	put(w, text, len);
}

static struct writer
begin(struct upt_buf *out, enum upt_wire_type type, struct upt_err *err)
{
	struct writer w = {.out = out, .start = out->len, .type = type, .err = err};

	put_uint(&w, 0, 4);
	put_uint(&w, (uint64_t)type, 1);
	return w;
}

static enum upt_code
finish(struct writer *w)
{
	if (w->code == UPT_OK)
		upt_wire_header(w->type, w->out->len - w->start - UPT_WIRE_HEADER_BYTES,
			w->out->data + w->start);
	else
		w->out->len = w->start;
	return w->code;
}

enum upt_code
upt_wire_put_empty(struct upt_buf *out, enum upt_wire_type type, struct upt_err *err)
{
	struct writer w = begin(out, type, err);

	return finish(&w);
}

enum upt_code
upt_wire_put_bytes(
	struct upt_buf *out, enum upt_wire_type type, struct upt_span bytes, struct upt_err *err)
{
	struct writer w = begin(out, type, err);

	if (w.code == UPT_OK && bytes.len > upt_wire_max_bytes(type))
		w.code = upt_fail(err, UPT_E_MALFORMED, "%s of %zu bytes, at most %zu fit",
			upt_wire_type_name(type), bytes.len, upt_wire_max_bytes(type));
	put(&w, bytes.data, bytes.len);
	return finish(&w);
}

enum upt_code
upt_wire_put_hello(struct upt_buf *out, const struct upt_wire_hello *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_HELLO, err);

	put_uint(&w, UPT_WIRE_MAGIC, 4);
	put_uint(&w, msg->min_version, 2);
	put_uint(&w, msg->max_version, 2);
	return finish(&w);
}

enum upt_code
upt_wire_put_info(struct upt_buf *out, const struct upt_wire_info *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_INFO, err);

	put_uint(&w, msg->version, 2);
	put_text(&w, msg->ecu.serial, UPT_ECU_SERIAL_MAX);
	put_text(&w, msg->ecu.hardware_id, UPT_HARDWARE_ID_MAX);
	put_text(&w, msg->ecu.key_type, sizeof(msg->ecu.key_type) - 1);
	put_text(&w, msg->ecu.public_key, UPT_KEY_TEXT_MAX_BYTES);
	return finish(&w);
}

enum upt_code
upt_wire_put_need(struct upt_buf *out, const struct upt_wire_need *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_NEED, err);

	put_uint(&w, (uint64_t)msg->repo, 1);
	put_uint(&w, msg->max_bytes, 4);
	put_text(&w, msg->file_name, UPT_WIRE_FILE_NAME_MAX);
	return finish(&w);
}

enum upt_code
upt_wire_put_file(struct upt_buf *out, const struct upt_wire_file *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_FILE, err);

	put_uint(&w, (uint64_t)msg->status, 1);
	put_uint(&w, msg->length_bytes, 4);
	return finish(&w);
}

enum upt_code
upt_wire_put_verdict(struct upt_buf *out, const struct upt_wire_verdict *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_VERDICT, err);

	put_text(&w, msg->code_name, UPT_WIRE_CODE_NAME_MAX);
	put_uint(&w, (uint64_t)msg->repo, 1);
	put_uint(&w, msg->pending, 1);
	put_text(&w, msg->message, UPT_WIRE_MESSAGE_MAX);
	return finish(&w);
}

enum upt_code
upt_wire_put_image_begin(
	struct upt_buf *out, const struct upt_wire_image_begin *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_IMAGE_BEGIN, err);

	put_text(&w, msg->name, UPT_TARGET_NAME_MAX);
	put_uint(&w, msg->length_bytes, 8);
	return finish(&w);
}

enum upt_code
upt_wire_put_accept(struct upt_buf *out, const struct upt_wire_accept *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_ACCEPT, err);

	put_uint(&w, msg->offset_bytes, 8);
	return finish(&w);
}

enum upt_code
upt_wire_put_install(struct upt_buf *out, const struct upt_wire_install *msg, struct upt_err *err)
{
	struct writer w = begin(out, UPT_WIRE_INSTALL, err);

	put_text(&w, msg->name, UPT_TARGET_NAME_MAX);
	return finish(&w);
}

/* ---- reading ---- */

/* A payload being read. The first fault sticks; reads after it yield zeros and move nothing. */
struct reader {
	struct upt_span left;
	bool bad;
};

static const uint8_t *
take(struct reader *r, size_t len)
{
	const uint8_t *at = r->left.data;

	if (r->bad || len > r->left.len) {
		r->bad = true;
		return NULL;
	}
	r->left = upt_span(at + len, r->left.len - len);
	return at;
}

static uint64_t
take_uint(struct reader *r, unsigned n_bytes)
{
	const uint8_t *at = take(r, n_bytes);
	uint64_t value = 0;

	for (unsigned i = 0; at != NULL && i < n_bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* Text into out[size]; a NUL inside would let two sides read two different strings. */
static void
take_text(struct reader *r, char *out, size_t size)
{
	size_t len = (size_t)take_uint(r, 2);
	const uint8_t *at = len < size ? take(r, len) : NULL;

	out[0] = '\0';
	if (at == NULL || (len > 0 && memchr(at, '\0', len) != NULL)) {
		r->bad = true;
		return;
	}
	memcpy(out, at, len);
	out[len] = '\0';
}

static uint64_t
take_below(struct reader *r, unsigned n_bytes, uint64_t limit)
{
	uint64_t value = take_uint(r, n_bytes);

	if (value >= limit)
		r->bad = true;
	return r->bad ? 0 : value;
}

static enum upt_code
complete(const struct reader *r, enum upt_wire_type type, void *out, size_t size,
	struct upt_err *err)
{
	if (!r->bad && r->left.len == 0)
		return UPT_OK;
	memset(out, 0, size);
	return upt_fail(err, UPT_E_MALFORMED, "a broken %s", upt_wire_type_name(type));
}

enum upt_code
upt_wire_parse_hello(struct upt_span payload, struct upt_wire_hello *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	if (take_uint(&r, 4) != UPT_WIRE_MAGIC)
		r.bad = true;
	out->min_version = (uint16_t)take_uint(&r, 2);
	out->max_version = (uint16_t)take_uint(&r, 2);
	if (out->min_version > out->max_version)
		r.bad = true;
	return complete(&r, UPT_WIRE_HELLO, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_info(struct upt_span payload, struct upt_wire_info *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	out->version = (uint16_t)take_uint(&r, 2);
	take_text(&r, out->ecu.serial, sizeof(out->ecu.serial));
	take_text(&r, out->ecu.hardware_id, sizeof(out->ecu.hardware_id));
	take_text(&r, out->ecu.key_type, sizeof(out->ecu.key_type));
	take_text(&r, out->ecu.public_key, sizeof(out->ecu.public_key));
	if (out->ecu.serial[0] == '\0')
		r.bad = true;
	return complete(&r, UPT_WIRE_INFO, out, sizeof(*out), err);
}

/* What upt_trusted_set_file_name() makes: a Secondary that has been taken over must not choose
 * which file of the Primary is read to it. */
static bool
plain_file_name(const char *name)
{
	static const char folder[] = "delegations/";
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_.~%";

	if (strncmp(name, folder, sizeof(folder) - 1) == 0)
		name += sizeof(folder) - 1;
	return name[0] != '\0' && name[0] != '.' && name[strspn(name, plain)] == '\0';
}

enum upt_code
upt_wire_parse_need(struct upt_span payload, struct upt_wire_need *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	out->repo = (enum upt_repo)take_below(&r, 1, UPT_REPO_IMAGE + 1);
	out->max_bytes = (uint32_t)take_below(&r, 4, UPT_WIRE_FILE_MAX_BYTES + 1);
	take_text(&r, out->file_name, sizeof(out->file_name));
	if (out->repo == UPT_REPO_NONE || !plain_file_name(out->file_name))
		r.bad = true;
	return complete(&r, UPT_WIRE_NEED, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_file(struct upt_span payload, struct upt_wire_file *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	out->status = (enum upt_wire_status)take_below(&r, 1, UPT_WIRE_FILE_ERROR + 1);
	out->length_bytes = (uint32_t)take_uint(&r, 4);
	if (out->status != UPT_WIRE_FILE_OK && out->length_bytes != 0)
		r.bad = true;
	return complete(&r, UPT_WIRE_FILE, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_verdict(struct upt_span payload, struct upt_wire_verdict *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	take_text(&r, out->code_name, sizeof(out->code_name));
	out->repo = (enum upt_repo)take_below(&r, 1, UPT_REPO_IMAGE + 1);
	out->pending = take_below(&r, 1, 2) != 0;
	take_text(&r, out->message, sizeof(out->message));
	return complete(&r, UPT_WIRE_VERDICT, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_image_begin(
	struct upt_span payload, struct upt_wire_image_begin *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	take_text(&r, out->name, sizeof(out->name));
	out->length_bytes = take_uint(&r, 8);
	return complete(&r, UPT_WIRE_IMAGE_BEGIN, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_accept(struct upt_span payload, struct upt_wire_accept *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	out->offset_bytes = take_uint(&r, 8);
	return complete(&r, UPT_WIRE_ACCEPT, out, sizeof(*out), err);
}

enum upt_code
upt_wire_parse_install(struct upt_span payload, struct upt_wire_install *out, struct upt_err *err)
{
	struct reader r = {.left = payload};

	take_text(&r, out->name, sizeof(out->name));
	return complete(&r, UPT_WIRE_INSTALL, out, sizeof(*out), err);
}
