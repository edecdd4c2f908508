/* The codec: what is written can be read, and nothing else can. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "secondary/protocol.h"

/* Every message with a payload of its own, as bytes, and a way to read it back. */
struct sample {
	enum upt_wire_type type;
	void (*put)(struct upt_buf *out);
	enum upt_code (*parse)(struct upt_span payload, void *out, struct upt_err *err);
};

/* Any parsed message. */
union message {
	struct upt_wire_hello hello;
	struct upt_wire_info info;
	struct upt_wire_need need;
	struct upt_wire_file file;
	struct upt_wire_verdict verdict;
	struct upt_wire_image_begin image_begin;
	struct upt_wire_accept accept;
	struct upt_wire_install install;
};

#define PARSER(name)                                                                               \
	static enum upt_code parse_##name(struct upt_span payload, void *out, struct upt_err *err) \
	{                                                                                          \
		return upt_wire_parse_##name(payload, out, err);                                   \
	}
PARSER(hello)
PARSER(info)
PARSER(need)
PARSER(file)
PARSER(verdict)
PARSER(image_begin)
PARSER(accept)
PARSER(install)

static void
put_hello(struct upt_buf *out)
{
	assert_ok(upt_wire_put_hello(out, &(struct upt_wire_hello){1, 3}, why));
}

static void
put_info(struct upt_buf *out)
{
	const struct upt_wire_info info = {1,
		{.serial = "S", .hardware_id = "H", .key_type = "ed25519", .public_key = "00ff"}};

	assert_ok(upt_wire_put_info(out, &info, why));
}

static void
put_need(struct upt_buf *out)
{
	const struct upt_wire_need need = {UPT_REPO_IMAGE, 1234, "delegations/a%2Fb.json"};

	assert_ok(upt_wire_put_need(out, &need, why));
}

static void
put_file(struct upt_buf *out)
{
	assert_ok(upt_wire_put_file(out, &(struct upt_wire_file){UPT_WIRE_FILE_OK, 77}, why));
}

static void
put_verdict(struct upt_buf *out)
{
	const struct upt_wire_verdict verdict = {"expired", UPT_REPO_DIRECTOR, true, "too old"};

	assert_ok(upt_wire_put_verdict(out, &verdict, why));
}

static void
put_image_begin(struct upt_buf *out)
{
	const struct upt_wire_image_begin begin = {"fw.bin", UINT64_MAX};

	assert_ok(upt_wire_put_image_begin(out, &begin, why));
}

static void
put_accept(struct upt_buf *out)
{
	assert_ok(upt_wire_put_accept(out, &(struct upt_wire_accept){1ull << 40}, why));
}

static void
put_install(struct upt_buf *out)
{
	assert_ok(upt_wire_put_install(out, &(struct upt_wire_install){"fw.bin"}, why));
}

static const struct sample samples[] = {
	{UPT_WIRE_HELLO, put_hello, parse_hello},
	{UPT_WIRE_INFO, put_info, parse_info},
	{UPT_WIRE_NEED, put_need, parse_need},
	{UPT_WIRE_FILE, put_file, parse_file},
	{UPT_WIRE_VERDICT, put_verdict, parse_verdict},
	{UPT_WIRE_IMAGE_BEGIN, put_image_begin, parse_image_begin},
	{UPT_WIRE_ACCEPT, put_accept, parse_accept},
	{UPT_WIRE_INSTALL, put_install, parse_install},
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* Parses a copy that ends where its memory ends: ASan sees one byte more. */
static enum upt_code
parse_exact(const struct sample *s, const uint8_t *payload, size_t len, union message *out)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	enum upt_code code;

	assert_non_null(exact);
	memcpy(exact, payload, len);
	memset(out, 0xee, sizeof(*out));
	code = s->parse(upt_span(exact, len), out, NULL);
	free(exact);
	return code;
}

static void
sample_bytes(const struct sample *s, struct upt_buf *out)
{
	enum upt_wire_type type;
	size_t len;

	s->put(out);
	assert_ok(upt_wire_header_parse(out->data, &type, &len, why));
	assert_int_equal(type, s->type);
	assert_int_equal(len, out->len - UPT_WIRE_HEADER_BYTES);
}

static void
every_message_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
		union message m;

		sample_bytes(&samples[i], &bytes);
		assert_code(parse_exact(&samples[i], bytes.data + UPT_WIRE_HEADER_BYTES,
				    bytes.len - UPT_WIRE_HEADER_BYTES, &m),
			UPT_OK);
	}
}

static void
fields_survive(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf b = {0};
	struct upt_wire_verdict v;
	struct upt_wire_info info;
	struct upt_wire_need need;
	struct upt_wire_accept accept;

	(void)state;
	put_verdict(&b);
	assert_ok(upt_wire_parse_verdict(upt_span(b.data + 5, b.len - 5), &v, why));
	assert_string_equal(v.code_name, "expired");
	assert_int_equal(v.repo, UPT_REPO_DIRECTOR);
	assert_true(v.pending);
	assert_string_equal(v.message, "too old");
	b.len = 0;
	put_info(&b);
	assert_ok(upt_wire_parse_info(upt_span(b.data + 5, b.len - 5), &info, why));
	assert_int_equal(info.version, 1);
	assert_string_equal(info.ecu.public_key, "00ff");
	b.len = 0;
	put_need(&b);
	assert_ok(upt_wire_parse_need(upt_span(b.data + 5, b.len - 5), &need, why));
	assert_int_equal(need.max_bytes, 1234);
	assert_string_equal(need.file_name, "delegations/a%2Fb.json");
	b.len = 0;
	put_accept(&b);
	assert_ok(upt_wire_parse_accept(upt_span(b.data + 5, b.len - 5), &accept, why));
	assert_int_equal(accept.offset_bytes, 1ull << 40);
}

static bool
all_zero(const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void
every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};

		sample_bytes(&samples[i], &bytes);
		for (size_t len = 0; len < bytes.len - UPT_WIRE_HEADER_BYTES; len++) {
			union message m;

			assert_code(parse_exact(&samples[i], bytes.data + UPT_WIRE_HEADER_BYTES,
					    len, &m),
				UPT_E_MALFORMED);
			/* The smallest message is two bytes; all of them must have been cleared. */
			assert_true(all_zero(&m, sizeof(struct upt_wire_hello)));
		}
	}
}

static void
a_byte_more_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
		union message m;

		sample_bytes(&samples[i], &bytes);
		assert_ok(upt_buf_append(&bytes, "\0", 1, why));
		assert_code(parse_exact(&samples[i], bytes.data + UPT_WIRE_HEADER_BYTES,
				    bytes.len - UPT_WIRE_HEADER_BYTES, &m),
			UPT_E_MALFORMED);
	}
}

static void
refuses_bytes(size_t sample, const char *payload, size_t len)
{
	union message m;

	assert_code(
		parse_exact(&samples[sample], (const uint8_t *)payload, len, &m), UPT_E_MALFORMED);
}

#define REFUSES(sample, bytes) refuses_bytes((sample), (bytes), sizeof(bytes) - 1)

static void
wrong_values_are_refused(void **state)
{
	(void)state;
	REFUSES(0, "UPTX\0\1\0\1"); /* magic */
	REFUSES(0, "UPTS\0\3\0\1"); /* versions in the wrong order */
	REFUSES(1, "\0\1\0\0\0\1H\0\1k\0\1p"); /* empty serial */
	REFUSES(2, "\0\0\0\0\1\0\1a"); /* no repository */
	REFUSES(2, "\3\0\0\0\1\0\1a"); /* a third repository */
	REFUSES(2, "\1\0\200\0\1\0\1a"); /* more than 8 MiB */
	REFUSES(2, "\1\0\0\0\1\0\0"); /* no name */
	REFUSES(3, "\3\0\0\0\0"); /* unknown status */
	REFUSES(3, "\1\0\0\0\1"); /* an absent file with bytes */
	REFUSES(4, "\0\2ok\3\0\0\0"); /* repository */
	REFUSES(4, "\0\2ok\0\2\0\0"); /* neither pending nor not */
	REFUSES(5, "\0\3a\0b\0\0\0\0\0\0\0\0"); /* NUL within text */
	REFUSES(7, "\0\0x");
	refuses_bytes(7, "\377\377", 2);
}

/* A Secondary that was taken over must not read the Primary's files. */
static void
file_names_cannot_leave_their_place(void **state)
{
	static const char *const bad[] = {"../x", "a/b", "/etc/passwd", ".hidden", "..",
		"delegations/../x", "delegations/", "delegations/.x", "delegations/a/b", "a b",
		"a\\b", "a\nb", "a\x80"};
	static const char *const good[] = {"1.root.json", "timestamp.json", "2.a%2Fb.json",
		"delegations/role_x-1.json", "%2E%2E.json", "a~b"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) + sizeof(good) / sizeof(good[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf b = {0};
		bool is_bad = i < sizeof(bad) / sizeof(bad[0]);
		struct upt_wire_need need = {.repo = UPT_REPO_IMAGE, .max_bytes = 1}, out;

		snprintf(need.file_name, sizeof(need.file_name), "%s",
			is_bad ? bad[i] : good[i - sizeof(bad) / sizeof(bad[0])]);
		assert_ok(upt_wire_put_need(&b, &need, why));
		assert_code(upt_wire_parse_need(upt_span(b.data + 5, b.len - 5), &out, NULL),
			is_bad ? UPT_E_MALFORMED : UPT_OK);
	}
}

static void
headers_are_bounded(void **state)
{
	uint8_t header[UPT_WIRE_HEADER_BYTES];
	enum upt_wire_type type;
	size_t len;

	(void)state;
	for (int t = 0; t < 256; t++) {
		enum upt_wire_type wire = (enum upt_wire_type)t;
		bool known = t > 0 && t < UPT_WIRE_N_TYPES;

		upt_wire_header(wire, upt_wire_max_bytes(wire), header);
		assert_code(upt_wire_header_parse(header, &type, &len, NULL),
			known ? UPT_OK : UPT_E_MALFORMED);
		assert_int_equal(type, known ? t : 0);
		if (!known)
			continue;
		upt_wire_header(wire, upt_wire_max_bytes(wire) + 1, header);
		assert_code(upt_wire_header_parse(header, &type, &len, NULL), UPT_E_TOO_LARGE);
		assert_int_equal(len, 0);
		upt_wire_header(wire, 0xffffffff, header);
		assert_code(upt_wire_header_parse(header, &type, &len, NULL), UPT_E_TOO_LARGE);
		assert_true(upt_wire_max_bytes(wire) <= UPT_WIRE_CHUNK_BYTES);
	}
}

/* The longest text of each field still fits the frame of its type. */
static void
longest_messages_fit(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf b = {0};
	struct upt_wire_info info = {.version = 1};
	struct upt_wire_verdict verdict = {.pending = true};
	struct upt_wire_need need = {.repo = UPT_REPO_IMAGE};
	enum upt_wire_type type;
	size_t len;

	(void)state;
	memset(info.ecu.serial, 'a', sizeof(info.ecu.serial) - 1);
	memset(info.ecu.hardware_id, 'a', sizeof(info.ecu.hardware_id) - 1);
	memset(info.ecu.key_type, 'a', sizeof(info.ecu.key_type) - 1);
	memset(info.ecu.public_key, 'a', sizeof(info.ecu.public_key) - 1);
	assert_ok(upt_wire_put_info(&b, &info, why));
	assert_ok(upt_wire_header_parse(b.data, &type, &len, why));
	assert_int_equal(len, upt_wire_max_bytes(type));
	memset(verdict.code_name, 'a', sizeof(verdict.code_name) - 1);
	memset(verdict.message, 'a', sizeof(verdict.message) - 1);
	b.len = 0;
	assert_ok(upt_wire_put_verdict(&b, &verdict, why));
	assert_ok(upt_wire_header_parse(b.data, &type, &len, why));
	assert_int_equal(len, upt_wire_max_bytes(type));
	memset(need.file_name, 'a', sizeof(need.file_name) - 1);
	b.len = 0;
	assert_ok(upt_wire_put_need(&b, &need, why));
	assert_ok(upt_wire_header_parse(b.data, &type, &len, why));
	assert_int_equal(len, upt_wire_max_bytes(type));
}

static void
too_many_bytes_are_not_written(void **state)
{
	upt_cleanup(upt_buf_clear) struct upt_buf b = {0};
	uint8_t *chunk = calloc(1, UPT_WIRE_CHUNK_BYTES + 1);

	(void)state;
	assert_non_null(chunk);
	put_accept(&b);
	assert_code(upt_wire_put_bytes(&b, UPT_WIRE_IMAGE_DATA,
			    upt_span(chunk, UPT_WIRE_CHUNK_BYTES + 1), NULL),
		UPT_E_MALFORMED);
	assert_int_equal(b.len, UPT_WIRE_HEADER_BYTES + 8);
	assert_ok(upt_wire_put_bytes(
		&b, UPT_WIRE_IMAGE_DATA, upt_span(chunk, UPT_WIRE_CHUNK_BYTES), why));
	free(chunk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_reads_back),
		cmocka_unit_test(fields_survive),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(a_byte_more_is_refused),
		cmocka_unit_test(wrong_values_are_refused),
		cmocka_unit_test(file_names_cannot_leave_their_place),
		cmocka_unit_test(headers_are_bounded),
		cmocka_unit_test(longest_messages_fit),
		cmocka_unit_test(too_many_bytes_are_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
