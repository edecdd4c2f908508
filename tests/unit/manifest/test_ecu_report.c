#include "support.h"

#include <stdio.h>

#define SHA256_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define IMAGE                                                                                      \
	"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY                                    \
	"\"},\"length\":5},\"filepath\":\"a.bin\"}"

static struct pair ecu;

/* Members of a report in their order; each row of a test replaces one of them. */
struct fields {
	const char *attacks, *serial, *image, *counter, *time;
};
#define FIELDS                                                                                     \
	((struct fields){"\"attacks_detected\":\"\"", "\"ecu_serial\":\"E1\"",                     \
		"\"installed_image\":" IMAGE, "\"report_counter\":3",                              \
		"\"timeserver_time\":\"2024-01-01T00:00:00Z\""})

static enum upt_code
check_text(const char *payload, enum upt_manifest_profile profile, struct upt_ecu_report *out)
{
	char *envelope = sign_text(&ecu, payload);
	struct upt_ecu_report zero;
	enum upt_code code;

	memset(&zero, 0, sizeof(zero));
	memset(out, 0xa5, sizeof(*out));
	code = upt_ecu_report_check_as(profile, upt_span_str(envelope), ecu.public, out, NULL);
	if (code != UPT_OK)
		assert_memory_equal(out, &zero, sizeof(zero));
	free(envelope);
	return code;
}

/* A NULL member is left out. */
static enum upt_code
check_fields(struct fields f, enum upt_manifest_profile profile)
{
	const char *all[] = {f.attacks, f.serial, f.image, f.counter, f.time};
	struct upt_buf text = {0};
	struct upt_ecu_report report;
	enum upt_code code;

	assert_ok(upt_buf_printf(&text, &err, "{"));
	for (size_t i = 0; i < 5; i++) {
		if (all[i] != NULL)
			assert_ok(upt_buf_printf(
				&text, &err, "%s%s", text.len > 1 ? "," : "", all[i]));
	}
	assert_ok(upt_buf_printf(&text, &err, "}"));
	code = check_text((char *)text.data, profile, &report);
	upt_buf_clear(&text);
	return code;
}

static void
report_comes_back_as_it_was_signed(void **state)
{
	struct upt_ecu_report report = sample_report("E1"), got;
	struct upt_buf envelope = {0};

	(void)state;
	snprintf(report.attacks_detected, sizeof(report.attacks_detected),
		"rollback:version-rollback:director,freeze:expired:image");
	report.report_counter = 9007199254740991;
	report.installed.length_bytes = 1000000000000000;
	assert_ok(upt_ecu_report_sign(&report, ecu.private, &envelope, &err));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), ecu.public, &got, &err));
	assert_string_equal(got.ecu_serial, report.ecu_serial);
	assert_string_equal(got.attacks_detected, report.attacks_detected);
	assert_int_equal(got.time, report.time);
	assert_true(got.report_counter == 9007199254740991);
	assert_true(got.installed.length_bytes == 1000000000000000);
	assert_true(upt_image_same(&got.installed, &report.installed));
	assert_int_equal(got.installed.n_digests, 2);
	assert_int_equal(got.installed.digests[0].alg, UPT_HASH_SHA256);
	assert_non_null(strstr((char *)envelope.data, "\"report_counter\":9007199254740991"));
	assert_non_null(strstr((char *)envelope.data, "\"length\":1000000000000000"));
	assert_non_null(strstr(
		(char *)envelope.data, "\"previous_timeserver_time\":\"2023-11-14T22:13:20Z\""));
	assert_non_null(
		strstr((char *)envelope.data, "\"timeserver_time\":\"2023-11-14T22:13:20Z\""));
	upt_buf_clear(&envelope);
}

static void
unknown_image_is_spelt_as_servers_expect_it(void **state)
{
	struct upt_ecu_report report = sample_report("E1"), got;
	struct upt_buf envelope = {0};

	(void)state;
	report.installed = (struct upt_image){0};
	assert_ok(upt_ecu_report_sign(&report, ecu.private, &envelope, &err));
	assert_non_null(strstr((char *)envelope.data,
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY
		"\"},\"length\":0},\"filepath\":\"unknown\"}"));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), ecu.public, &got, &err));
	assert_string_equal(got.installed.name, "");
	assert_int_equal(got.installed.n_digests, 0);
	upt_buf_clear(&envelope);
	/* Any other image of that name is an image. */
	report.installed = sample_report("E1").installed;
	snprintf(report.installed.name, sizeof(report.installed.name), "unknown");
	assert_ok(upt_ecu_report_sign(&report, ecu.private, &envelope, &err));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), ecu.public, &got, &err));
	assert_string_equal(got.installed.name, "unknown");
	upt_buf_clear(&envelope);
}

static void
longest_names_fit_and_longer_ones_are_refused(void **state)
{
	struct upt_ecu_report report = sample_report("E1"), got;
	struct upt_buf envelope = {0};
	char serial[UPT_ECU_SERIAL_MAX + 2], *payload;

	(void)state;
	memset(report.ecu_serial, 's', UPT_ECU_SERIAL_MAX);
	memset(report.installed.name, 'n', UPT_TARGET_NAME_MAX);
	memset(report.attacks_detected, 'a', UPT_ATTACKS_MAX - 1);
	assert_ok(upt_ecu_report_sign(&report, ecu.private, &envelope, &err));
	assert_ok(upt_ecu_report_check(upt_buf_span(&envelope), ecu.public, &got, &err));
	assert_int_equal(strlen(got.ecu_serial), UPT_ECU_SERIAL_MAX);
	assert_int_equal(strlen(got.installed.name), UPT_TARGET_NAME_MAX);
	assert_int_equal(strlen(got.attacks_detected), UPT_ATTACKS_MAX - 1);
	upt_buf_clear(&envelope);
	memset(serial, 's', sizeof(serial));
	serial[sizeof(serial) - 1] = '\0';
	payload =
		format("{\"attacks_detected\":\"\",\"ecu_serial\":\"%s\",\"installed_image\":" IMAGE
		       ",\"report_counter\":3,\"timeserver_time\":\"2024-01-01T00:00:00Z\"}",
			serial);
	assert_int_equal(check_text(payload, UPT_MANIFEST_STANDARD, &got), UPT_E_MALFORMED);
	free(payload);
}

static void
missing_fields_are_refused(void **state)
{
	struct fields f = FIELDS;

	(void)state;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_OK);
	f.attacks = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	f = FIELDS;
	f.serial = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	f = FIELDS;
	f.image = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	f = FIELDS;
	f.time = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	f = FIELDS;
	f.counter = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	assert_int_equal(check_fields(f, UPT_MANIFEST_OTA), UPT_OK);
	f.serial = NULL;
	assert_int_equal(check_fields(f, UPT_MANIFEST_OTA), UPT_E_MALFORMED);
}

static void
fields_of_another_type_are_refused(void **state)
{
	static const char *const bad_serials[] = {"\"ecu_serial\":7", "\"ecu_serial\":\"\"",
		"\"ecu_serial\":null", "\"ecu_serial\":\"a\\nb\"", "\"ecu_serial\":\"a\\u007fb\""};
	static const char *const bad_counters[] = {"\"report_counter\":\"3\"",
		"\"report_counter\":-1", "\"report_counter\":3.0",
		"\"report_counter\":9007199254740992", "\"report_counter\":null"};
	static const char *const bad_times[] = {"\"timeserver_time\":\"\"",
		"\"timeserver_time\":1704067200", "\"timeserver_time\":\"2024-01-01\"",
		"\"timeserver_time\":\"2024-13-01T00:00:00Z\""};
	struct fields f;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		f = FIELDS;
		f.serial = bad_serials[i];
		assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
		f = FIELDS;
		f.counter = bad_counters[i];
		assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
		assert_int_equal(check_fields(f, UPT_MANIFEST_OTA), UPT_E_MALFORMED);
	}
	for (size_t i = 0; i < 4; i++) {
		f = FIELDS;
		f.time = bad_times[i];
		assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	}
	f = FIELDS;
	f.attacks = "\"attacks_detected\":[]";
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	f = FIELDS;
	f.counter = "\"report_counter\":9007199254740991";
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_OK);
}

#define HASHES(h) "{\"fileinfo\":{\"hashes\":" h ",\"length\":5},\"filepath\":\"a.bin\"}"

static void
broken_images_are_refused(void **state)
{
	static const char *const bad[] = {
		"7",
		"{}",
		"{\"filepath\":\"a.bin\"}",
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY "\"},\"length\":5}}",
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY
		"\"}},\"filepath\":\"a.bin\"}",
		"{\"fileinfo\":{\"length\":5},\"filepath\":\"a.bin\"}",
		"{\"fileinfo\":[],\"filepath\":\"a.bin\"}",
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY
		"\"},\"length\":\"5\"},\"filepath\":\"a.bin\"}",
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY
		"\"},\"length\":5},\"filepath\":\"\"}",
		"{\"fileinfo\":{\"hashes\":{\"sha256\":\"" SHA256_EMPTY
		"\"},\"length\":5},\"filepath\":[\"a.bin\"]}",
		HASHES("{}"),
		HASHES("7"),
		HASHES("{\"sha256\":\"00\"}"),
		HASHES("{\"sha256\":7}"),
		HASHES("{\"md5\":\"d41d8cd98f00b204e9800998ecf8427e\"}"),
		HASHES("{\"sha256\":\"" SHA256_EMPTY "\",\"sha512\":\"00\"}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fields f = FIELDS;
		char *image = format("\"installed_image\":%s", bad[i]);

		f.image = image;
		if (check_fields(f, UPT_MANIFEST_STANDARD) != UPT_E_MALFORMED)
			fail_msg("image %s passed", bad[i]);
		assert_int_equal(check_fields(f, UPT_MANIFEST_OTA), UPT_E_MALFORMED);
		free(image);
	}
}

static void
hashes_that_nobody_knows_stand_beside_known_ones(void **state)
{
	struct fields f = FIELDS;

	(void)state;
	f.image = "\"installed_image\":" HASHES(
		"{\"blake3\":\"00\",\"sha256\":\"" SHA256_EMPTY "\"}");
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_OK);
}

static void
unknown_fields_are_left_alone(void **state)
{
	struct fields f = FIELDS;

	(void)state;
	f.attacks = "\"attacks_detected\":\"\",\"bootloader\":{\"version\":[1,2]}";
	assert_int_equal(check_fields(f, UPT_MANIFEST_STANDARD), UPT_OK);
}

static void
oversized_report_is_refused_before_it_is_read(void **state)
{
	char *envelope = sign_text(&ecu,
		"{\"attacks_detected\":\"\",\"ecu_serial\":\"E1\",\"installed_image\":" IMAGE
		",\"report_counter\":3,\"timeserver_time\":\"2024-01-01T00:00:00Z\"}");
	size_t len = strlen(envelope);
	char *padded = malloc(UPT_REPORT_MAX_BYTES + 1);
	struct upt_ecu_report report;

	(void)state;
	assert_non_null(padded);
	memset(padded, ' ', UPT_REPORT_MAX_BYTES + 1);
	memcpy(padded, envelope, len);
	assert_int_equal(upt_ecu_report_check(
				 upt_span(padded, UPT_REPORT_MAX_BYTES), ecu.public, &report, NULL),
		UPT_OK);
	assert_int_equal(upt_ecu_report_check(upt_span(padded, UPT_REPORT_MAX_BYTES + 1),
				 ecu.public, &report, NULL),
		UPT_E_TOO_LARGE);
	assert_string_equal(report.ecu_serial, "");
	free(padded);
	free(envelope);
}

static enum upt_code
sign(const struct upt_ecu_report *report)
{
	struct upt_buf out = {0};
	enum upt_code code;

	assert_ok(upt_buf_append(&out, "old", 3, &err));
	code = upt_ecu_report_sign(report, ecu.private, &out, NULL);
	if (code != UPT_OK)
		assert_int_equal(out.len, 0);
	upt_buf_clear(&out);
	return code;
}

static void
reports_that_nobody_would_take_are_not_signed(void **state)
{
	struct upt_ecu_report good = sample_report("E1"), r = good;

	(void)state;
	assert_int_equal(sign(&r), UPT_OK);
	r.ecu_serial[0] = '\0';
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = sample_report("E\n1");
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = sample_report("E\xff");
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = good;
	r.installed.n_digests = 0;
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = good;
	r.report_counter = 9007199254740992;
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = good;
	r.installed.length_bytes = 9007199254740992;
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
	r = good;
	r.attacks_detected[0] = '\x1b';
	r.attacks_detected[1] = '\0';
	assert_int_equal(sign(&r), UPT_E_MALFORMED);
}

static int
make_ecu(void **state)
{
	(void)state;
	ecu = make_pair("ed25519");
	return 0;
}

static int
clear_ecu(void **state)
{
	(void)state;
	pair_clear(&ecu);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(report_comes_back_as_it_was_signed),
		cmocka_unit_test(unknown_image_is_spelt_as_servers_expect_it),
		cmocka_unit_test(longest_names_fit_and_longer_ones_are_refused),
		cmocka_unit_test(missing_fields_are_refused),
		cmocka_unit_test(fields_of_another_type_are_refused),
		cmocka_unit_test(broken_images_are_refused),
		cmocka_unit_test(hashes_that_nobody_knows_stand_beside_known_ones),
		cmocka_unit_test(unknown_fields_are_left_alone),
		cmocka_unit_test(oversized_report_is_refused_before_it_is_read),
		cmocka_unit_test(reports_that_nobody_would_take_are_not_signed),
	};

	return cmocka_run_group_tests(tests, make_ecu, clear_ecu);
}
