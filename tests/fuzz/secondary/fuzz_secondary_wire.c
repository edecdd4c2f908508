/*
 * A frame of protocol.h as hostile bytes: header and payload. Whatever a parser takes, its writer
 * must write again byte for byte, or two sides could read one message in two ways.
 */
#include "fuzz.h"
#include "secondary/protocol.h"

#define LAW(name)                                                                                  \
	static enum upt_code again_##name(                                                         \
		struct upt_span payload, struct upt_buf *out, enum upt_code *parsed)               \
	{                                                                                          \
		struct upt_wire_##name msg;                                                        \
		*parsed = upt_wire_parse_##name(payload, &msg, NULL);                              \
		return *parsed == UPT_OK ? upt_wire_put_##name(out, &msg, NULL) : UPT_OK;          \
	}
LAW(hello)
LAW(info)
LAW(need)
LAW(file)
LAW(verdict)
LAW(image_begin)
LAW(accept)
LAW(install)

static enum upt_code (*const laws[UPT_WIRE_N_TYPES])(
	struct upt_span payload, struct upt_buf *out, enum upt_code *parsed) = {
	[UPT_WIRE_HELLO] = again_hello,
	[UPT_WIRE_INFO] = again_info,
	[UPT_WIRE_NEED] = again_need,
	[UPT_WIRE_FILE] = again_file,
	[UPT_WIRE_VERDICT] = again_verdict,
	[UPT_WIRE_IMAGE_BEGIN] = again_image_begin,
	[UPT_WIRE_ACCEPT] = again_accept,
	[UPT_WIRE_INSTALL] = again_install,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(upt_buf_clear) struct upt_buf again = {0};
	enum upt_code parsed = UPT_E_MALFORMED;
	enum upt_wire_type type;
	size_t len;

	if (size < UPT_WIRE_HEADER_BYTES ||
		upt_wire_header_parse(data, &type, &len, NULL) != UPT_OK)
		return 0;
	FUZZ_ASSERT(len <= upt_wire_max_bytes(type));
	if (len != size - UPT_WIRE_HEADER_BYTES || laws[type] == NULL)
		return 0;
	FUZZ_ASSERT(
		laws[type](upt_span(data + UPT_WIRE_HEADER_BYTES, len), &again, &parsed) == UPT_OK);
	if (parsed == UPT_OK)
		FUZZ_ASSERT(upt_span_equal(upt_buf_span(&again), upt_span(data, size)));
	return 0;
}
