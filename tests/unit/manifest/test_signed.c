/* The envelope: what is signed, what the payload hash is worth, and what numbers survive. */
#include "support.h"

#include "json/json.h"

#define PAYLOAD                                                                                    \
	"{\"attacks_detected\":\"\",\"ecu_serial\":\"E1\",\"installed_image\":{\"fileinfo\":"      \
	"{\"hashes\":{\"sha256\":"                                                                 \
	"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"                   \
	"\"length\":5},\"filepath\":\"a.bin\"},\"report_counter\":3,"                              \
	"\"timeserver_time\":\"2024-01-01T00:00:00Z\"}"

static struct pair ecu, other;

static enum upt_code
check(const char *envelope, enum upt_manifest_profile profile)
{
	struct upt_ecu_report report, zero;
	struct upt_err err = {0};
	enum upt_code code;

	memset(&report, 0xa5, sizeof(report));
	memset(&zero, 0, sizeof(zero));
	code = upt_ecu_report_check_as(profile, upt_span_str(envelope), ecu.public, &report, &err);
	assert_int_equal(err.code == UPT_E_THRESHOLD && code == UPT_OK ? UPT_OK : err.code, code);
	if (code != UPT_OK) {
		assert_memory_equal(&report, &zero, sizeof(zero));
		assert_true(err.message[0] != '\0');
	}
	return code;
}

static enum upt_code
check_entry(struct entry entry, enum upt_manifest_profile profile)
{
	char *text = make_entry(&ecu, PAYLOAD, &entry);
	char *envelope = make_envelope(text, PAYLOAD);
	enum upt_code code = check(envelope, profile);

	free(text);
	free(envelope);
	return code;
}

static void
every_key_type_signs_what_its_public_half_verifies(void **state)
{
	static const char *const types[] = {"ed25519", "rsa", "ecdsa"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pair pair = make_pair(types[i]);
		struct upt_ecu_report report = sample_report("E1"), got;
		struct upt_buf envelope = {0};

		assert_ok(upt_ecu_report_sign(&report, pair.private, &envelope, &err));
		assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), pair.public, &got, &err));
		assert_string_equal(got.ecu_serial, "E1");
		assert_int_equal(
			upt_ecu_report_check(upt_buf_span(&envelope), other.public, &got, NULL),
			UPT_E_THRESHOLD);
		upt_buf_clear(&envelope);
		pair_clear(&pair);
	}
}

static void
envelope_is_canonical_and_names_all_signature_fields(void **state)
{
	struct upt_ecu_report report = sample_report("E1");
	struct upt_buf envelope = {0}, canonical = {0};
	struct upt_json_doc doc;
	char keyid[65], *id;

	(void)state;
	assert_ok(upt_ecu_report_sign(&report, ecu.private, &envelope, &err));
	assert_ok(upt_json_check(upt_buf_span(&envelope), &doc, &err));
	assert_ok(upt_json_canonical(upt_buf_span(&envelope), UPT_JSON_UTF8, &canonical, &err));
	assert_int_equal(canonical.len, envelope.len);
	assert_memory_equal(canonical.data, envelope.data, envelope.len);
	upt_private_key_id(ecu.private, keyid);
	id = format("\"keyid\":\"%s\",\"method\":\"ed25519\",\"sig\":\"", keyid);
	assert_non_null(strstr((char *)envelope.data, id));
	assert_non_null(strstr((char *)envelope.data, "\"hash\":{\"digest\":\""));
	assert_non_null(strstr((char *)envelope.data, "\"function\":\"sha256\"}"));
	free(id);
	upt_buf_clear(&envelope);
	upt_buf_clear(&canonical);
}

static void
no_byte_of_an_envelope_may_change(void **state)
{
	char *envelope = sign_text(&ecu, PAYLOAD);
	/* A key id is an opaque name: it proves nothing, so another one changes nothing. */
	char *keyid = strstr(envelope, "\"keyid\":\"k\"") + strlen("\"keyid\":\"");

	(void)state;
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_OK);
	for (char *p = envelope; *p != '\0'; p++) {
		enum upt_code code;

		if (p == keyid)
			continue;
		*p ^= 1;
		code = check(envelope, UPT_MANIFEST_STANDARD);
		if (code == UPT_OK)
			fail_msg("byte %td changed and passed", p - envelope);
		assert_true(code == UPT_E_THRESHOLD || code == UPT_E_MALFORMED);
		*p ^= 1;
	}
	*keyid = 'j';
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_OK);
	free(envelope);
}

static void
signature_of_another_key_is_refused(void **state)
{
	char *envelope = sign_text(&other, PAYLOAD);

	(void)state;
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	assert_int_equal(check(envelope, UPT_MANIFEST_OTA), UPT_E_THRESHOLD);
	free(envelope);
}

static void
payload_hash_must_be_the_payloads(void **state)
{
	struct entry entry = GOOD_ENTRY;

	(void)state;
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_OK);
	entry.hashed = "{}";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	assert_int_equal(check_entry(entry, UPT_MANIFEST_OTA), UPT_E_THRESHOLD);
	entry = GOOD_ENTRY;
	entry.function = "sha512";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_OK);
	entry.function = "blake2";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	assert_int_equal(check_entry(entry, UPT_MANIFEST_OTA), UPT_E_THRESHOLD);
}

static void
only_profile_ota_does_without_payload_hash(void **state)
{
	struct entry entry = GOOD_ENTRY;

	(void)state;
	entry.function = "";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	assert_int_equal(check_entry(entry, UPT_MANIFEST_OTA), UPT_OK);
}

static void
broken_payload_hash_is_malformed_in_every_profile(void **state)
{
	static const char *const hashes[] = {
		"\"hash\":7,",
		"\"hash\":null,",
		"\"hash\":{},",
		"\"hash\":{\"function\":\"sha256\"},",
		"\"hash\":{\"digest\":\"00\"},",
		"\"hash\":{\"function\":\"sha256\",\"digest\":\"00\"},",
		"\"hash\":{\"function\":\"sha256\",\"digest\":7},",
	};
	struct entry bare = {"ed25519", "", NULL, "k"};
	char *entry = make_entry(&ecu, PAYLOAD, &bare);

	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		char *with = format("{%s%s", hashes[i], entry + 1);
		char *envelope = make_envelope(with, PAYLOAD);

		assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
		assert_int_equal(check(envelope, UPT_MANIFEST_OTA), UPT_E_MALFORMED);
		free(with);
		free(envelope);
	}
	free(entry);
}

static void
method_must_be_there_and_the_keys_own(void **state)
{
	struct entry entry = GOOD_ENTRY;

	(void)state;
	entry.method = NULL;
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	assert_int_equal(check_entry(entry, UPT_MANIFEST_OTA), UPT_E_MALFORMED);
	entry.method = "rsassa-pss";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	entry.method = "unheard-of";
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	entry = GOOD_ENTRY;
	entry.keyid = NULL;
	assert_int_equal(check_entry(entry, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
}

static void
one_good_signature_among_strangers_is_enough(void **state)
{
	struct entry a = GOOD_ENTRY, b = GOOD_ENTRY;
	char *stranger, *own, *both, *envelope;

	(void)state;
	a.keyid = "a";
	b.keyid = "b";
	stranger = make_entry(&other, PAYLOAD, &a);
	own = make_entry(&ecu, PAYLOAD, &b);
	both = format("%s,%s", stranger, own);
	envelope = make_envelope(both, PAYLOAD);
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_OK);
	free(both);
	free(envelope);
	/* A hash of other bytes on the stranger's entry must not vouch for the one behind it. */
	both = format("%s,%s", own, stranger);
	envelope = make_envelope(both, PAYLOAD);
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_OK);
	free(both);
	free(envelope);
	envelope = make_envelope(stranger, PAYLOAD);
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	free(envelope);
	free(stranger);
	free(own);
}

/* Each entry's hash object is its own: the one with the right hash has the wrong signature. */
static void
hash_and_signature_must_stand_in_one_entry(void **state)
{
	struct entry a = GOOD_ENTRY, b = GOOD_ENTRY;
	char *wrong_sig, *wrong_hash, *both, *envelope;

	(void)state;
	a.keyid = "a";
	b.keyid = "b";
	b.hashed = "{}";
	wrong_sig = make_entry(&other, PAYLOAD, &a);
	wrong_hash = make_entry(&ecu, PAYLOAD, &b);
	both = format("%s,%s", wrong_sig, wrong_hash);
	envelope = make_envelope(both, PAYLOAD);
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_E_THRESHOLD);
	free(wrong_sig);
	free(wrong_hash);
	free(both);
	free(envelope);
}

static void
signature_lists_are_bounded_and_name_no_key_twice(void **state)
{
	char *list = NULL;

	(void)state;
	for (int n = 1; n <= UPT_MANIFEST_MAX_SIGNATURES + 1; n++) {
		struct entry entry = GOOD_ENTRY;
		char *id = format("k%d", n), *text, *longer, *envelope;

		entry.keyid = id;
		text = make_entry(n == 1 ? &ecu : &other, PAYLOAD, &entry);
		longer = list == NULL ? format("%s", text) : format("%s,%s", list, text);
		envelope = make_envelope(longer, PAYLOAD);
		assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD),
			n <= UPT_MANIFEST_MAX_SIGNATURES ? UPT_OK : UPT_E_MALFORMED);
		free(envelope);
		if (n == 1) {
			char *twice = format("%s,%s", text, text);
			envelope = make_envelope(twice, PAYLOAD);
			assert_int_equal(
				check(envelope, UPT_MANIFEST_STANDARD), UPT_E_DUPLICATE_KEYID);
			free(envelope);
			free(twice);
		}
		free(list);
		free(text);
		free(id);
		list = longer;
	}
	free(list);
}

static void
envelopes_of_another_shape_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"signed\":" PAYLOAD "}",
		"{\"signatures\":[]}",
		"{\"signatures\":{},\"signed\":" PAYLOAD "}",
		"{\"signatures\":[7],\"signed\":" PAYLOAD "}",
		"{\"signatures\":[],\"signed\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(bad[i], UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	assert_int_equal(check("{\"signatures\":[],\"signed\":" PAYLOAD "}", UPT_MANIFEST_STANDARD),
		UPT_E_THRESHOLD);
}

/* Signed over the canonical bytes, served with white space and in another order. */
static void
layout_of_the_served_text_is_free(void **state)
{
	struct entry good = GOOD_ENTRY;
	char *entry = make_entry(&ecu, PAYLOAD, &good), *envelope;
	char *served = format(" %s \n", PAYLOAD);
	char *comma = strchr(served, ',');

	(void)state;
	*comma = '\0';
	envelope = format(
		"{ \"signed\" :%s ,\n\t%s, \"signatures\":[ %s ] }", served, comma + 1, entry);
	assert_int_equal(check(envelope, UPT_MANIFEST_STANDARD), UPT_OK);
	free(envelope);
	free(served);
	free(entry);
}

/* Three forms of one serial: clients of the field sign any of them; each has its own hash. */
static void
any_canonical_form_may_be_signed_and_hashed(void **state)
{
	static const char *const forms[] = {
		/* OLPC and UTF-8 agree on a letter; the third escapes it */
		"{\"attacks_detected\":\"\",\"ecu_serial\":\"E\xc3\xa9\",\"installed_image\":"
		"{\"fileinfo\":{\"hashes\":{\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
		"\"length\":5},\"filepath\":\"a.bin\"},\"report_counter\":3,"
		"\"timeserver_time\":\"2024-01-01T00:00:00Z\"}",
		"{\"attacks_detected\":\"\",\"ecu_serial\":\"E\\u00e9\",\"installed_image\":"
		"{\"fileinfo\":{\"hashes\":{\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
		"\"length\":5},\"filepath\":\"a.bin\"},\"report_counter\":3,"
		"\"timeserver_time\":\"2024-01-01T00:00:00Z\"}",
	};

	(void)state;
	for (size_t is_signed = 0; is_signed < 2; is_signed++) {
		for (size_t served = 0; served < 2; served++) {
			struct entry good = GOOD_ENTRY;
			char *entry = make_entry(&ecu, forms[is_signed], &good);
			char *envelope = make_envelope(entry, forms[served]);
			struct upt_ecu_report report;

			assert_ok(upt_ecu_report_check(
				upt_span_str(envelope), ecu.public, &report, &err));
			assert_string_equal(report.ecu_serial, "E\xc3\xa9");
			free(entry);
			free(envelope);
		}
	}
}

static enum upt_code
sign_payload(const char *json)
{
	cJSON *payload = cJSON_Parse(json);
	struct upt_buf out = {0};
	enum upt_code code;

	assert_non_null(payload);
	assert_ok(upt_buf_append(&out, "old", 3, &err));
	code = upt_manifest_sign(payload, ecu.private, &out, NULL);
	if (code != UPT_OK)
		assert_int_equal(out.len, 0);
	upt_buf_clear(&out);
	cJSON_Delete(payload);
	return code;
}

static void
payloads_that_nobody_could_verify_are_not_signed(void **state)
{
	(void)state;
	assert_int_equal(sign_payload("{\"a\":1}"), UPT_OK);
	assert_int_equal(sign_payload("{\"a\":1.5}"), UPT_E_MALFORMED);
	assert_int_equal(sign_payload("{\"a\":-1}"), UPT_E_MALFORMED);
	assert_int_equal(sign_payload("{\"a\":1,\"a\":2}"), UPT_E_MALFORMED);
	assert_int_equal(sign_payload("{\"a\":\"\xff\"}"), UPT_E_MALFORMED);
	assert_int_equal(sign_payload("[1]"), UPT_E_MALFORMED);
	assert_int_equal(sign_payload("1"), UPT_E_MALFORMED);
	/* what cJSON makes of 10^15: a text that is no integer, hence upt_manifest_add_u64() */
	assert_int_equal(sign_payload("{\"a\":1000000000000000}"), UPT_E_MALFORMED);
}

static void
integers_reach_the_text_exactly(void **state)
{
	static const struct {
		uint64_t value;
		const char *text;
	} rows[] = {
		{0, "{\"n\":0}"},
		{1000000000000000, "{\"n\":1000000000000000}"},
		{9007199254740991, "{\"n\":9007199254740991}"},
	};
	cJSON *object = cJSON_CreateObject();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cJSON *payload = cJSON_CreateObject();
		struct upt_buf out = {0};

		assert_true(upt_manifest_add_u64(payload, "n", rows[i].value));
		assert_ok(upt_manifest_sign(payload, ecu.private, &out, &err));
		assert_non_null(strstr((char *)out.data, rows[i].text));
		upt_buf_clear(&out);
		cJSON_Delete(payload);
	}
	assert_false(upt_manifest_add_u64(object, "n", 9007199254740992));
	assert_null(object->child);
	cJSON_Delete(object);
}

static int
make_pairs(void **state)
{
	(void)state;
	ecu = make_pair("ed25519");
	other = make_pair("ed25519");
	return 0;
}

static int
clear_pairs(void **state)
{
	(void)state;
	pair_clear(&ecu);
	pair_clear(&other);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_type_signs_what_its_public_half_verifies),
		cmocka_unit_test(envelope_is_canonical_and_names_all_signature_fields),
		cmocka_unit_test(no_byte_of_an_envelope_may_change),
		cmocka_unit_test(signature_of_another_key_is_refused),
		cmocka_unit_test(payload_hash_must_be_the_payloads),
		cmocka_unit_test(only_profile_ota_does_without_payload_hash),
		cmocka_unit_test(broken_payload_hash_is_malformed_in_every_profile),
		cmocka_unit_test(method_must_be_there_and_the_keys_own),
		cmocka_unit_test(one_good_signature_among_strangers_is_enough),
		cmocka_unit_test(hash_and_signature_must_stand_in_one_entry),
		cmocka_unit_test(signature_lists_are_bounded_and_name_no_key_twice),
		cmocka_unit_test(envelopes_of_another_shape_are_refused),
		cmocka_unit_test(layout_of_the_served_text_is_free),
		cmocka_unit_test(any_canonical_form_may_be_signed_and_hashed),
		cmocka_unit_test(payloads_that_nobody_could_verify_are_not_signed),
		cmocka_unit_test(integers_reach_the_text_exactly),
	};

	return cmocka_run_group_tests(tests, make_pairs, clear_pairs);
}
