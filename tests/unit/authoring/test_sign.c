#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "authoring/authoring.h"
#include "base/encode.h"
#include "json/json.h"

struct fixture {
	struct upt_private_key *key;
	const struct upt_private_key *keys[1];
	struct upt_buf out;
	struct upt_err err;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(upt_private_key_generate("ed25519", 0, &f->key, NULL), UPT_OK);
	f->keys[0] = f->key;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	upt_private_key_free(&f->key);
	upt_buf_clear(&f->out);
	free(f);
	return 0;
}

/* Signs and deletes payload; asserts the code, and that a refusal leaves out alone. */
static void
sign(struct fixture *f, cJSON *payload, enum upt_code expected)
{
	enum upt_code code;

	upt_buf_clear(&f->out);
	assert_int_equal(upt_buf_append(&f->out, "old", 3, NULL), UPT_OK);
	code = upt_author_sign(payload, f->keys, 1, &f->out, &f->err);
	cJSON_Delete(payload);
	assert_int_equal(code, expected);
	if (code != UPT_OK)
		assert_true(upt_span_equal(upt_buf_span(&f->out), upt_span_str("old")));
}

static struct upt_span
signed_bytes(const struct upt_buf *envelope, struct upt_json_doc *doc)
{
	const struct upt_json_facts *facts;

	assert_int_equal(upt_json_check(upt_buf_span(envelope), doc, NULL), UPT_OK);
	facts = upt_json_top(doc, "signed");
	assert_non_null(facts);
	return facts->text;
}

/* Verifies the only signature with the public part of the key, read back from its text. */
static void
assert_verifies(const struct upt_private_key *key, const struct upt_buf *envelope)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	cJSON *parsed = cJSON_Parse((const char *)envelope->data);
	cJSON *entry = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "signatures"), 0);
	const char *hex = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "sig"));
	const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "method"));
	struct upt_public_key *public_key = NULL;
	uint8_t sig[UPT_SIGNATURE_MAX_BYTES];
	struct upt_json_doc doc;
	struct upt_span message = signed_bytes(envelope, &doc);
	size_t n;
	char id[65];

	assert_non_null(hex);
	assert_non_null(method);
	n = strlen(hex) / 2;
	assert_true(n <= sizeof(sig) && upt_hex_decode(upt_span_str(hex), sig, n));
	upt_private_key_id(key, id);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "keyid")), id);
	assert_string_equal(method, upt_private_key_method(key));
	assert_int_equal(upt_private_key_public_text(key, &text, NULL), UPT_OK);
	assert_int_equal(upt_public_key_parse(upt_span_str(upt_private_key_type(key)),
				 upt_buf_span(&text), &public_key, NULL),
		UPT_OK);
	assert_int_equal(upt_public_key_verify(
				 public_key, upt_span_str(method), message, upt_span(sig, n), NULL),
		UPT_OK);
	sig[0] ^= 1;
	assert_int_not_equal(upt_public_key_verify(public_key, upt_span_str(method), message,
				     upt_span(sig, n), NULL),
		UPT_OK);
	upt_public_key_free(&public_key);
	cJSON_Delete(parsed);
}

static void
envelope_is_canonical_and_verifies_for_every_key_type(void **state)
{
	static const char *const types[] = {"ed25519", "ecdsa-sha2-nistp256", "rsa"};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf canonical = {0};
		struct upt_author_role role = {
			.name = "root", .keys = f->keys, .n_keys = 1, .threshold = 1};
		struct upt_json_doc doc;
		upt_private_key_free(&f->key);
		assert_int_equal(upt_private_key_generate(types[i], 2048, &f->key, NULL), UPT_OK);
		f->keys[0] = f->key;
		sign(f, upt_author_root(1, 1893456000, true, &role, 1), UPT_OK);
		assert_verifies(f->key, &f->out);
		assert_int_equal(upt_json_check(upt_buf_span(&f->out), &doc, NULL), UPT_OK);
		assert_true(doc.whole.in_place & (1u << UPT_JSON_UTF8));
		assert_int_equal(
			upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &canonical, NULL),
			UPT_OK);
		assert_true(upt_span_equal(upt_buf_span(&canonical), upt_buf_span(&f->out)));
	}
}

static void
payload_keys_are_sorted_whatever_order_they_were_added_in(void **state)
{
	struct fixture *f = *state;
	cJSON *payload = cJSON_CreateObject();
	struct upt_json_doc doc;

	cJSON_AddStringToObject(payload, "z", "\xc3\xa9\n\"");
	cJSON_AddNumberToObject(payload, "a", 1);
	sign(f, payload, UPT_OK);
	assert_true(upt_span_equal(
		signed_bytes(&f->out, &doc), upt_span_str("{\"a\":1,\"z\":\"\xc3\xa9\\n\\\"\"}")));
}

static void
integers_up_to_2_53_minus_1_are_printed_exactly(void **state)
{
	static const char *const numbers[] = {"0", "2147483648", "10000000000", "1000000000000000",
		"9007199254740990", "9007199254740991", "4503599627370497"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		upt_cleanup(upt_buf_clear) struct upt_buf expected = {0};
		struct upt_json_doc doc;
		assert_int_equal(upt_buf_printf(&expected, NULL, "{\"n\":%s}", numbers[i]), UPT_OK);
		sign(f, cJSON_Parse((const char *)expected.data), UPT_OK);
		assert_true(upt_span_equal(signed_bytes(&f->out, &doc), upt_buf_span(&expected)));
	}
}

static void
numbers_that_are_no_integer_in_range_are_refused(void **state)
{
	static const double numbers[] = {
		0.5, -1, 9007199254740992.0, 1e300, (double)INFINITY, (double)NAN};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		cJSON *payload = cJSON_CreateObject();
		cJSON_AddNumberToObject(payload, "n", numbers[i]);
		sign(f, payload, UPT_E_MALFORMED);
	}
}

static void
payload_that_no_reader_takes_is_refused(void **state)
{
	struct fixture *f = *state;
	cJSON *twice = cJSON_CreateObject();

	cJSON_AddNumberToObject(twice, "n", 1);
	cJSON_AddNumberToObject(twice, "n", 2);
	sign(f, twice, UPT_E_MALFORMED);
	sign(f, cJSON_CreateArray(), UPT_E_MALFORMED);
	sign(f, NULL, UPT_E_MALFORMED);
	sign(f, cJSON_CreateObject(), UPT_OK);
}

static void
one_key_never_signs_twice(void **state)
{
	struct fixture *f = *state;
	const struct upt_private_key *twice[] = {f->key, f->key};
	cJSON *payload = cJSON_CreateObject();

	assert_int_equal(
		upt_author_sign(payload, twice, 2, &f->out, &f->err), UPT_E_DUPLICATE_KEYID);
	assert_int_equal(f->out.len, 0);
	assert_int_equal(upt_author_sign(payload, twice, 0, &f->out, &f->err), UPT_OK);
	assert_true(upt_span_equal(
		upt_buf_span(&f->out), upt_span_str("{\"signatures\":[],\"signed\":{}}")));
	cJSON_Delete(payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			envelope_is_canonical_and_verifies_for_every_key_type, setup, teardown),
		cmocka_unit_test_setup_teardown(
			payload_keys_are_sorted_whatever_order_they_were_added_in, setup, teardown),
		cmocka_unit_test_setup_teardown(
			integers_up_to_2_53_minus_1_are_printed_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(
			numbers_that_are_no_integer_in_range_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			payload_that_no_reader_takes_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(one_key_never_signs_twice, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
