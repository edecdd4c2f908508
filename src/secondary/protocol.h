/*
 * What a Primary and a Linux Secondary say to each other over TCP: frames of five bytes (payload
 * length, u32 big-endian, then type, u8) and a payload whose bound depends on its type. The
 * Secondary listens; the Primary opens a connection for each sequence of calls, and HELLO comes
 * first. Integers are big-endian, text is u16 length and that many bytes without a NUL, and no byte
 * may follow the last field. Uptane Standard 2.1 "send_metadata_primary", "send_images_primary".
 *
 *   Primary              Secondary
 *   HELLO                INFO, or VERDICT when no version suits both
 *   REPORT               ENVELOPE (its signed version report), then TAKEN from the Primary
 *   VERIFY               NEED as often as it needs a file: FILE, FILE_DATA...; at the end VERDICT
 *   IMAGE_BEGIN          ACCEPT with the offset to go on from, or VERDICT
 *   IMAGE_DATA...        VERDICT at any time when it refuses the rest
 *   IMAGE_END            VERDICT
 *   INSTALL              VERDICT
 *
 * Nothing here is encrypted and nobody proves who they are. What protects the Secondary is that it
 * verifies all metadata of both repositories for itself, against roots pinned in it, and every
 * image against that metadata; what protects the report is the ECU's own signature. Whoever
 * controls this wire can read all that passes, withhold it, keep the Secondary busy, make it write
 * an assigned image's worth of wrong bytes to its flash, swallow a report, and choose the moment at
 * which an assigned and verified image is installed (inhibit_file guards against a bad one), and
 * nothing more. It belongs on an in-vehicle network. Thread-safety: pure functions.
 */
#ifndef UPT_SECONDARY_PROTOCOL_H
#define UPT_SECONDARY_PROTOCOL_H

#include "metadata/limits.h"
#include "secondary/link.h"

#define UPT_WIRE_MAGIC 0x55505453u /* "UPTS" */
#define UPT_WIRE_VERSION 1
#define UPT_WIRE_DEFAULT_PORT 9030
#define UPT_WIRE_HEADER_BYTES 5
/* Every data frame but the last of a file or image holds exactly this much: a peer cannot keep the
 * other side busy with one byte a minute. */
#define UPT_WIRE_CHUNK_BYTES ((size_t)64 * 1024)
/* An encoded role name, its version and folder. */
#define UPT_WIRE_FILE_NAME_MAX (3 * UPT_MAX_ROLE_NAME_BYTES + 64)
#define UPT_WIRE_MESSAGE_MAX (UPT_ERR_MESSAGE_MAX - 1)
#define UPT_WIRE_CODE_NAME_MAX 63
/* No metadata file of either repository is larger. */
#define UPT_WIRE_FILE_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define UPT_WIRE_ENVELOPE_MAX_BYTES ((size_t)16 * 1024)
/* NEEDs in one VERIFY: 1024 roots of each repository, their other roles, 64 delegated ones. */
#define UPT_WIRE_MAX_NEEDS 2200

enum upt_wire_type {
	UPT_WIRE_NONE = 0, /* never sent: the peer closed in an orderly way between frames */
	UPT_WIRE_HELLO = 1,
	UPT_WIRE_INFO = 2,
	UPT_WIRE_REPORT = 3, /* empty */
	UPT_WIRE_ENVELOPE = 4, /* the signed report as it is */
	UPT_WIRE_TAKEN = 5, /* empty */
	UPT_WIRE_VERIFY = 6, /* empty */
	UPT_WIRE_NEED = 7,
	UPT_WIRE_FILE = 8,
	UPT_WIRE_FILE_DATA = 9, /* bytes */
	UPT_WIRE_VERDICT = 10,
	UPT_WIRE_IMAGE_BEGIN = 11,
	UPT_WIRE_ACCEPT = 12,
	UPT_WIRE_IMAGE_DATA = 13, /* bytes */
	UPT_WIRE_IMAGE_END = 14, /* empty */
	UPT_WIRE_INSTALL = 15,
	UPT_WIRE_N_TYPES,
};

struct upt_wire_hello {
	uint16_t min_version, max_version; /* that the Primary speaks */
};

struct upt_wire_info {
	uint16_t version; /* for the rest of this connection */
	struct upt_ecu_info ecu;
};

struct upt_wire_need {
	enum upt_repo repo; /* director or image */
	uint32_t max_bytes; /* at most UPT_WIRE_FILE_MAX_BYTES */
	char file_name[UPT_WIRE_FILE_NAME_MAX + 1];
};

enum upt_wire_status {
	UPT_WIRE_FILE_OK = 0,
	UPT_WIRE_FILE_ABSENT = 1, /* the Primary knows that there is no such file */
	UPT_WIRE_FILE_ERROR = 2, /* it cannot tell */
};

struct upt_wire_file {
	enum upt_wire_status status;
	uint32_t length_bytes; /* that follow in FILE_DATA frames; 0 unless status is OK */
};

struct upt_wire_verdict {
	char code_name[UPT_WIRE_CODE_NAME_MAX +
		       1]; /* upt_code_name(): codes change, names do not */
	enum upt_repo repo;
	bool pending; /* of INSTALL: done only after a reboot */
	char message[UPT_WIRE_MESSAGE_MAX + 1];
};

struct upt_wire_image_begin {
	char name[UPT_TARGET_NAME_MAX + 1];
	uint64_t length_bytes;
};

struct upt_wire_accept {
	uint64_t offset_bytes;
};

struct upt_wire_install {
	char name[UPT_TARGET_NAME_MAX + 1];
};

/* Most payload bytes a frame of that type may have; 0 also for types that are none. */
size_t upt_wire_max_bytes(enum upt_wire_type type);
const char *upt_wire_type_name(enum upt_wire_type type);

void
upt_wire_header(enum upt_wire_type type, size_t len, uint8_t out[static UPT_WIRE_HEADER_BYTES]);
/* UPT_E_MALFORMED for an unknown type, UPT_E_TOO_LARGE above the type's bound. */
UPT_NODISCARD enum upt_code upt_wire_header_parse(const uint8_t in[static UPT_WIRE_HEADER_BYTES],
	enum upt_wire_type *type, size_t *len, struct upt_err *err);

/* Appends a whole frame to out. UPT_E_MALFORMED when text does not fit, UPT_E_NO_MEMORY; out is
 * unchanged then. */
UPT_NODISCARD enum upt_code
upt_wire_put_empty(struct upt_buf *out, enum upt_wire_type type, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_wire_put_bytes(
	struct upt_buf *out, enum upt_wire_type type, struct upt_span bytes, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_hello(struct upt_buf *out, const struct upt_wire_hello *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_info(struct upt_buf *out, const struct upt_wire_info *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_need(struct upt_buf *out, const struct upt_wire_need *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_file(struct upt_buf *out, const struct upt_wire_file *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_verdict(struct upt_buf *out, const struct upt_wire_verdict *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_wire_put_image_begin(
	struct upt_buf *out, const struct upt_wire_image_begin *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_accept(struct upt_buf *out, const struct upt_wire_accept *msg, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_put_install(struct upt_buf *out, const struct upt_wire_install *msg, struct upt_err *err);

/* Reads a payload. UPT_E_MALFORMED for anything that the functions above would not have written;
 * *out is zeroed then. */
UPT_NODISCARD enum upt_code
upt_wire_parse_hello(struct upt_span payload, struct upt_wire_hello *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_parse_info(struct upt_span payload, struct upt_wire_info *out, struct upt_err *err);
/* The name is one plain path component, or one below "delegations/": the Primary may look it up. */
UPT_NODISCARD enum upt_code
upt_wire_parse_need(struct upt_span payload, struct upt_wire_need *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_parse_file(struct upt_span payload, struct upt_wire_file *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_parse_verdict(struct upt_span payload, struct upt_wire_verdict *out, struct upt_err *err);
UPT_NODISCARD enum upt_code upt_wire_parse_image_begin(
	struct upt_span payload, struct upt_wire_image_begin *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_parse_accept(struct upt_span payload, struct upt_wire_accept *out, struct upt_err *err);
UPT_NODISCARD enum upt_code
upt_wire_parse_install(struct upt_span payload, struct upt_wire_install *out, struct upt_err *err);

#endif
