#include "scratch.h"

#include "base/encode.h"

static void
hex_round_trips_every_byte(void **state)
{
	uint8_t all[256], back[256];
	char text[513];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	upt_hex_encode(upt_span(all, sizeof(all)), text);
	assert_memory_equal(text, "000102", 6);
	assert_string_equal(text + 506, "fdfeff");
	assert_true(upt_hex_decode(upt_span_str(text), back, sizeof(back)));
	assert_memory_equal(all, back, sizeof(all));
	assert_true(upt_hex_decode(upt_span_str("AbCd"), back, 2));
	assert_int_equal(back[0], 0xab);
	upt_hex_encode(upt_span(NULL, 0), text);
	assert_string_equal(text, "");
}

static void
hex_refuses_what_is_not_exactly_its_digits(void **state)
{
	static const char *const bad[] = {"", "a", "abc", "abcdef", "ag", "0x", " a", "a ", "+1",
		"g0", "/0", ":0", "@0", "`0"};
	uint8_t out[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(upt_hex_decode(upt_span_str(bad[i]), out, 1));
	assert_true(upt_hex_decode(upt_span_str("a0"), out, 1));
}

/* RFC 4648, section 10. */
static const struct {
	const char *plain;
	const char *text;
} vectors[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};

static void
base64_matches_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
		size_t want = strlen(vectors[i].plain), len = 99;
		uint8_t out[6];

		assert_int_equal(
			upt_base64_encode(upt_span_str(vectors[i].plain), &buf, NULL), UPT_OK);
		assert_string_equal((char *)buf.data, vectors[i].text);
		assert_int_equal(buf.len, strlen(vectors[i].text));
		assert_true(upt_base64_decode(upt_buf_span(&buf), out, want, &len));
		assert_int_equal(len, want);
		assert_memory_equal(out, vectors[i].plain, want);
	}
}

static void
base64_round_trips_every_length(void **state)
{
	uint8_t data[300], back[300];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + (i >> 3));
	for (size_t n = 0; n <= sizeof(data); n++) {
		upt_cleanup(upt_buf_clear) struct upt_buf buf = {0};
		size_t len;

		assert_int_equal(upt_buf_append(&buf, "x", 1, NULL), UPT_OK);
		assert_int_equal(upt_base64_encode(upt_span(data, n), &buf, NULL), UPT_OK);
		assert_int_equal(buf.data[0], 'x'); /* appended, not replaced */
		assert_true(upt_base64_decode(upt_span(buf.data + 1, buf.len - 1), back, n, &len));
		assert_int_equal(len, n);
		assert_memory_equal(back, data, n);
	}
}

static void
base64_refuses_every_second_spelling(void **state)
{
	static const char *const bad[] = {"Zh==", "Zm9=", /* spare bits that are not zero */
		"Zg", "Zg=", "Z", "Zm8", /* padding missing */
		"Zg===", "====", "=", "Z===", "Zg==Zg==", "Zm=v", "=m9v", "Z=9v",
		"Zm8=Zm8=", "Zm9\n", "Zm 9", " Zm9", "Zm9v\n", "Zm9-", "Zm9_", "Zm9.", "Zm9\x80"};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len = 99;
		assert_false(upt_base64_decode(upt_span_str(bad[i]), out, sizeof(out), &len));
		assert_int_equal(len, 0);
	}
}

static void
base64_refuses_nul_and_more_than_asked(void **state)
{
	uint8_t out[6] = {0};
	size_t len = 99;

	(void)state;
	assert_false(upt_base64_decode(upt_span("Zm\0v", 4), out, sizeof(out), &len));
	assert_int_equal(len, 0);
	assert_false(upt_base64_decode(upt_span_str("Zm9vYmFy"), out, 5, &len));
	assert_false(upt_base64_decode(upt_span_str("Zm9vYmE="), out, 4, &len));
	assert_int_equal(out[0], 0);
	assert_true(upt_base64_decode(upt_span_str("Zm9vYmE="), out, 5, &len));
	assert_int_equal(len, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_round_trips_every_byte),
		cmocka_unit_test(hex_refuses_what_is_not_exactly_its_digits),
		cmocka_unit_test(base64_matches_the_rfc),
		cmocka_unit_test(base64_round_trips_every_length),
		cmocka_unit_test(base64_refuses_every_second_spelling),
		cmocka_unit_test(base64_refuses_nul_and_more_than_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
