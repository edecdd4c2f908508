#include "support.h"

#include <stdio.h>

static struct pair primary, secondary;
static struct upt_buf reports[2]; /* signed reports of P1 and S1 */

/* A manifest of both reports; entries belong to the caller. */
static struct upt_vehicle_manifest
sample(struct upt_manifest_entry entries[2])
{
	struct upt_vehicle_manifest m = {
		.vehicle_id = "VIN1", .primary_serial = "P1", .n_reports = 2, .reports = entries};

	memset(entries, 0, 2 * sizeof(*entries));
	memcpy(entries[0].ecu_serial, "P1", 3);
	memcpy(entries[1].ecu_serial, "S1", 3);
	entries[0].envelope = upt_buf_span(&reports[0]);
	entries[1].envelope = upt_buf_span(&reports[1]);
	return m;
}

static enum upt_code
check_as(struct upt_span envelope, enum upt_manifest_profile profile,
	struct upt_vehicle_manifest *out)
{
	struct upt_vehicle_manifest zero;
	struct upt_err err = {0};
	enum upt_code code;

	memset(&zero, 0, sizeof(zero));
	memset(out, 0xa5, sizeof(*out));
	code = upt_vehicle_manifest_check_as(profile, envelope, primary.public, out, &err);
	if (code != UPT_OK) {
		assert_memory_equal(out, &zero, sizeof(zero));
		assert_int_equal(err.code, code);
	}
	return code;
}

static enum upt_code
check_payload(const char *payload, enum upt_manifest_profile profile)
{
	char *envelope = sign_text(&primary, payload);
	struct upt_vehicle_manifest m;
	enum upt_code code = check_as(upt_span_str(envelope), profile, &m);

	upt_vehicle_manifest_clear(&m);
	free(envelope);
	return code;
}

static void
every_report_comes_back_and_verifies_with_its_own_key(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	const struct upt_manifest_entry *entry;
	struct upt_ecu_report report;
	struct upt_buf out = {0};

	(void)state;
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	assert_ok(upt_vehicle_manifest_check(upt_buf_span(&out), primary.public, &got, &err));
	assert_string_equal(got.vehicle_id, "VIN1");
	assert_string_equal(got.primary_serial, "P1");
	assert_int_equal(got.n_reports, 2);
	assert_int_equal(got.installation_report.len, 0);
	entry = upt_vehicle_manifest_find(&got, "S1");
	assert_non_null(entry);
	assert_true(entry->envelope.data > out.data &&
		    entry->envelope.data + entry->envelope.len < out.data + out.len);
	assert_ok(upt_ecu_report_check(entry->envelope, secondary.public, &report, &err));
	assert_string_equal(report.ecu_serial, "S1");
	assert_true(report.report_counter == 9007199254740991);
	assert_true(report.installed.length_bytes == 1000000000000000);
	assert_int_equal(upt_ecu_report_check(entry->envelope, primary.public, &report, NULL),
		UPT_E_THRESHOLD);
	entry = upt_vehicle_manifest_find(&got, "P1");
	assert_non_null(entry);
	assert_ok(upt_ecu_report_check(entry->envelope, primary.public, &report, &err));
	assert_null(upt_vehicle_manifest_find(&got, "S2"));
	upt_vehicle_manifest_clear(&got);
	assert_null(got.reports);
	upt_buf_clear(&out);
}

/* A Secondary of another make: its own order, white space, escapes and unknown fields. */
static void
foreign_report_survives_embedding(void **state)
{
	static const char canonical[] =
		"{\"attacks_detected\":\"\",\"big\":1000000000000000,\"ecu_serial\":\"S\\u00e9\","
		"\"installed_image\":{\"fileinfo\":{\"hashes\":{\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
		"\"length\":5},\"filepath\":\"a/b\"},\"report_counter\":9007199254740991,"
		"\"timeserver_time\":\"2024-01-01T00:00:00Z\"}";
	struct entry good = {"ecdsa-sha2-nistp256", "sha256", NULL, "k"};
	char *entry = make_entry(&secondary, canonical, &good);
	char *report_text =
		format("  {\"signed\" : %s , \"signatures\":\n[%s]} ", canonical, entry);
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	struct upt_ecu_report report;
	struct upt_buf out = {0};

	(void)state;
	memcpy(entries[1].ecu_serial, "S\xc3\xa9", 4);
	entries[1].envelope = upt_span_str(report_text);
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	assert_ok(upt_vehicle_manifest_check(upt_buf_span(&out), primary.public, &got, &err));
	assert_non_null(upt_vehicle_manifest_find(&got, "S\xc3\xa9"));
	assert_ok(upt_ecu_report_check(upt_vehicle_manifest_find(&got, "S\xc3\xa9")->envelope,
		secondary.public, &report, &err));
	assert_string_equal(report.ecu_serial, "S\xc3\xa9");
	assert_string_equal(report.installed.name, "a/b");
	assert_true(report.report_counter == 9007199254740991);
	upt_vehicle_manifest_clear(&got);
	upt_buf_clear(&out);
	free(report_text);
	free(entry);
}

static void
installation_report_is_signed_and_comes_back(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	cJSON *installation = cJSON_Parse("{\"content_type\":\"t\",\"report\":{\"items\":[]}}");
	static const char text[] = "{\"content_type\":\"t\",\"report\":{\"items\":[]}}";
	struct upt_buf out = {0};

	(void)state;
	assert_ok(upt_vehicle_manifest_sign(&m, installation, primary.private, &out, &err));
	assert_ok(upt_vehicle_manifest_check(upt_buf_span(&out), primary.public, &got, &err));
	assert_true(upt_span_equal(got.installation_report, upt_span_str(text)));
	upt_vehicle_manifest_clear(&got);
	cJSON_Delete(installation);
	installation = cJSON_CreateString("no object");
	assert_int_equal(upt_vehicle_manifest_sign(&m, installation, primary.private, &out, NULL),
		UPT_E_MALFORMED);
	assert_int_equal(out.len, 0);
	cJSON_Delete(installation);
}

static void
flipped_bytes_and_other_keys_are_refused(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	struct upt_buf out = {0};
	uint8_t *payload;

	(void)state;
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	payload = (uint8_t *)strstr((char *)out.data, "\"signed\":{\"ecu_version_manifests\"");
	assert_non_null(payload);
	for (uint8_t *p = payload + 10; p < out.data + out.len - 2; p += 7) {
		*p ^= 1;
		assert_int_not_equal(
			check_as(upt_buf_span(&out), UPT_MANIFEST_STANDARD, &got), UPT_OK);
		*p ^= 1;
	}
	assert_int_equal(
		upt_vehicle_manifest_check(upt_buf_span(&out), secondary.public, &got, NULL),
		UPT_E_THRESHOLD);
	assert_null(got.reports);
	assert_ok(upt_vehicle_manifest_check(upt_buf_span(&out), primary.public, &got, &err));
	upt_vehicle_manifest_clear(&got);
	upt_buf_clear(&out);
}

/* A report swapped for an older one of the same ECU: the Primary's signature is over all of them.
 */
static void
report_of_another_manifest_is_refused(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	struct upt_ecu_report old = sample_report("S1");
	struct upt_buf out = {0}, older = {0};
	char *text, *at, *spliced;

	(void)state;
	old.report_counter = 1;
	assert_ok(upt_ecu_report_sign(&old, secondary.private, &older, &err));
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	text = (char *)out.data;
	at = strstr(text, (char *)reports[1].data);
	assert_non_null(at);
	spliced =
		format("%.*s%s%s", (int)(at - text), text, (char *)older.data, at + reports[1].len);
	assert_int_equal(
		check_as(upt_span_str(spliced), UPT_MANIFEST_STANDARD, &got), UPT_E_THRESHOLD);
	free(spliced);
	upt_buf_clear(&older);
	upt_buf_clear(&out);
}

#define REPORTS "\"ecu_version_manifests\":{\"P1\":{\"signatures\":[],\"signed\":{}}}"

static void
missing_fields_are_refused(void **state)
{
	(void)state;
	assert_int_equal(
		check_payload("{" REPORTS ",\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
			UPT_MANIFEST_STANDARD),
		UPT_OK);
	assert_int_equal(check_payload("{" REPORTS ",\"vehicle_id\":\"V\"}", UPT_MANIFEST_STANDARD),
		UPT_E_MALFORMED);
	assert_int_equal(check_payload("{\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
				 UPT_MANIFEST_STANDARD),
		UPT_E_MALFORMED);
	assert_int_equal(check_payload("{\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
				 UPT_MANIFEST_OTA),
		UPT_E_MALFORMED);
}

static void
only_profile_ota_does_without_vehicle_id(void **state)
{
	static const char payload[] = "{" REPORTS ",\"primary_ecu_serial\":\"P1\"}";
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	struct upt_buf out = {0};

	(void)state;
	assert_int_equal(check_payload(payload, UPT_MANIFEST_STANDARD), UPT_E_MALFORMED);
	assert_int_equal(check_payload(payload, UPT_MANIFEST_OTA), UPT_OK);
	m.vehicle_id[0] = '\0';
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	assert_null(strstr((char *)out.data, "vehicle_id"));
	assert_int_equal(
		check_as(upt_buf_span(&out), UPT_MANIFEST_STANDARD, &got), UPT_E_MALFORMED);
	assert_int_equal(check_as(upt_buf_span(&out), UPT_MANIFEST_OTA, &got), UPT_OK);
	assert_string_equal(got.vehicle_id, "");
	upt_vehicle_manifest_clear(&got);
	upt_buf_clear(&out);
}

static void
fields_of_another_type_are_refused(void **state)
{
	static const char *const bad[] = {
		"{" REPORTS ",\"primary_ecu_serial\":\"\",\"vehicle_id\":\"V\"}",
		"{" REPORTS ",\"primary_ecu_serial\":1,\"vehicle_id\":\"V\"}",
		"{" REPORTS ",\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"\"}",
		"{" REPORTS ",\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\\n\"}",
		"{" REPORTS ",\"primary_ecu_serial\":\"P1\",\"vehicle_id\":{}}",
		"{\"ecu_version_manifests\":[],\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
		"{\"ecu_version_manifests\":7,\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
		"{\"ecu_version_manifests\":{\"P1\":7},\"primary_ecu_serial\":\"P1\","
		"\"vehicle_id\":\"V\"}",
		"{\"ecu_version_manifests\":{\"\":{}},\"primary_ecu_serial\":\"P1\","
		"\"vehicle_id\":\"V\"}",
		"{\"ecu_version_manifests\":{\"a\\tb\":{}},\"primary_ecu_serial\":\"P1\","
		"\"vehicle_id\":\"V\"}",
		"{" REPORTS ",\"installation_report\":\"\",\"primary_ecu_serial\":\"P1\","
		"\"vehicle_id\":\"V\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (check_payload(bad[i], UPT_MANIFEST_STANDARD) != UPT_E_MALFORMED)
			fail_msg("%s passed", bad[i]);
	}
}

static void
ecu_that_comes_twice_is_refused(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries);
	struct upt_buf out = {0};

	(void)state;
	assert_int_equal(check_payload("{\"ecu_version_manifests\":{\"S1\":{},\"S2\":{}},"
				       "\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
				 UPT_MANIFEST_STANDARD),
		UPT_OK);
	assert_int_equal(check_payload("{\"ecu_version_manifests\":{\"S1\":{},\"S1\":{}},"
				       "\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
				 UPT_MANIFEST_STANDARD),
		UPT_E_MALFORMED);
	assert_int_equal(check_payload("{\"ecu_version_manifests\":{\"S1\":{},\"S\\u0031\":{}},"
				       "\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
				 UPT_MANIFEST_STANDARD),
		UPT_E_MALFORMED);
	memcpy(entries[1].ecu_serial, "P1", 3);
	assert_int_equal(
		upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, NULL), UPT_E_MALFORMED);
	assert_int_equal(out.len, 0);
}

/* A Secondary that closes its own object in order to write into the Primary's. */
static void
report_that_is_no_json_object_is_not_embedded(void **state)
{
	static const char *const bad[] = {
		"{}},\"primary_ecu_serial\":\"evil\",\"x\":{\"y\":{}",
		"{},\"S2\":{}",
		"",
		"7",
		"[]",
		"{",
		"{\"a\":1.0}",
		"{\"a\":1,\"a\":1}",
	};
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries);
	struct upt_buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct upt_err err = {0};

		entries[1].envelope = upt_span_str(bad[i]);
		assert_int_equal(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err),
			UPT_E_MALFORMED);
		assert_non_null(strstr(err.message, "S1"));
		assert_int_equal(out.len, 0);
	}
	entries[1].envelope = upt_span_str("{}");
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	upt_buf_clear(&out);
}

static void
oversized_texts_are_refused(void **state)
{
	char *big = malloc(UPT_MANIFEST_MAX_BYTES + 1), *report, *payload;
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries), got;
	struct upt_buf out = {0};

	(void)state;
	assert_non_null(big);
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	memset(big, ' ', UPT_MANIFEST_MAX_BYTES + 1);
	memcpy(big, out.data, out.len);
	assert_int_equal(
		check_as(upt_span(big, UPT_MANIFEST_MAX_BYTES), UPT_MANIFEST_STANDARD, &got),
		UPT_OK);
	upt_vehicle_manifest_clear(&got);
	assert_int_equal(
		check_as(upt_span(big, UPT_MANIFEST_MAX_BYTES + 1), UPT_MANIFEST_STANDARD, &got),
		UPT_E_TOO_LARGE);
	free(big);
	/* one report above its own bound */
	report = malloc(UPT_REPORT_MAX_BYTES + 1);
	memset(report, 'x', UPT_REPORT_MAX_BYTES);
	report[UPT_REPORT_MAX_BYTES] = '\0';
	payload = format("{\"ecu_version_manifests\":{\"S1\":{\"a\":\"%s\"}},"
			 "\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}",
		report);
	assert_int_equal(check_payload(payload, UPT_MANIFEST_STANDARD), UPT_E_TOO_LARGE);
	free(payload);
	payload = format("{\"a\":\"%s\"}", report);
	entries[1].envelope = upt_span_str(payload);
	assert_int_equal(
		upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, NULL), UPT_E_TOO_LARGE);
	free(payload);
	free(report);
	upt_buf_clear(&out);
}

static char *
payload_of_reports(size_t n)
{
	struct upt_buf text = {0};

	assert_ok(upt_buf_printf(&text, &err, "{\"ecu_version_manifests\":{"));
	for (size_t i = 0; i < n; i++)
		assert_ok(upt_buf_printf(&text, &err, "%s\"S%05zu\":{}", i > 0 ? "," : "", i));
	assert_ok(upt_buf_printf(
		&text, &err, "},\"primary_ecu_serial\":\"P1\",\"vehicle_id\":\"V\"}"));
	return (char *)text.data;
}

static void
more_reports_than_allowed_are_refused(void **state)
{
	struct upt_vehicle_manifest m = {.vehicle_id = "V", .primary_serial = "P1"};
	struct upt_buf out = {0};
	char *payload;

	(void)state;
	payload = payload_of_reports(UPT_MANIFEST_MAX_REPORTS);
	assert_int_equal(check_payload(payload, UPT_MANIFEST_STANDARD), UPT_OK);
	free(payload);
	payload = payload_of_reports(UPT_MANIFEST_MAX_REPORTS + 1);
	assert_int_equal(check_payload(payload, UPT_MANIFEST_STANDARD), UPT_E_TOO_LARGE);
	free(payload);
	m.n_reports = UPT_MANIFEST_MAX_REPORTS + 1;
	m.reports = calloc(m.n_reports, sizeof(*m.reports));
	assert_non_null(m.reports);
	for (size_t i = 0; i < m.n_reports; i++) {
		snprintf(m.reports[i].ecu_serial, sizeof(m.reports[i].ecu_serial), "S%zu", i);
		m.reports[i].envelope = upt_span_str("{}");
	}
	assert_int_equal(
		upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, NULL), UPT_E_TOO_LARGE);
	m.n_reports--;
	assert_ok(upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, &err));
	upt_buf_clear(&out);
	upt_vehicle_manifest_clear(&m);
}

static void
manifest_without_primary_is_not_signed(void **state)
{
	struct upt_manifest_entry entries[2];
	struct upt_vehicle_manifest m = sample(entries);
	struct upt_buf out = {0};

	(void)state;
	m.primary_serial[0] = '\0';
	assert_int_equal(
		upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, NULL), UPT_E_MALFORMED);
	m = sample(entries);
	entries[0].ecu_serial[0] = '\0';
	assert_int_equal(
		upt_vehicle_manifest_sign(&m, NULL, primary.private, &out, NULL), UPT_E_MALFORMED);
	assert_int_equal(out.len, 0);
}

static int
make_all(void **state)
{
	struct upt_ecu_report report = sample_report("P1");

	(void)state;
	primary = make_pair("ed25519");
	secondary = make_pair("ecdsa");
	assert_ok(upt_ecu_report_sign(&report, primary.private, &reports[0], &err));
	report = sample_report("S1");
	report.report_counter = 9007199254740991;
	report.installed.length_bytes = 1000000000000000;
	assert_ok(upt_ecu_report_sign(&report, secondary.private, &reports[1], &err));
	return 0;
}

static int
clear_all(void **state)
{
	(void)state;
	pair_clear(&primary);
	pair_clear(&secondary);
	upt_buf_clear(&reports[0]);
	upt_buf_clear(&reports[1]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_report_comes_back_and_verifies_with_its_own_key),
		cmocka_unit_test(foreign_report_survives_embedding),
		cmocka_unit_test(installation_report_is_signed_and_comes_back),
		cmocka_unit_test(flipped_bytes_and_other_keys_are_refused),
		cmocka_unit_test(report_of_another_manifest_is_refused),
		cmocka_unit_test(missing_fields_are_refused),
		cmocka_unit_test(only_profile_ota_does_without_vehicle_id),
		cmocka_unit_test(fields_of_another_type_are_refused),
		cmocka_unit_test(ecu_that_comes_twice_is_refused),
		cmocka_unit_test(report_that_is_no_json_object_is_not_embedded),
		cmocka_unit_test(oversized_texts_are_refused),
		cmocka_unit_test(more_reports_than_allowed_are_refused),
		cmocka_unit_test(manifest_without_primary_is_not_signed),
	};

	return cmocka_run_group_tests(tests, make_all, clear_all);
}
