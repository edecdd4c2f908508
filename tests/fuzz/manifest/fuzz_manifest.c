/*
 * Both checkers over any bytes: once as a whole envelope, once as a payload that the ECU did sign,
 * so that the readers behind the signature are reached. What is accepted must survive signing
 * again.
 */
#include <string.h>

#include "base/encode.h"
#include "fuzz.h"
#include "json/json.h"
#include "manifest/manifest.h"

struct keys {
	struct upt_private_key *private;
	struct upt_public_key *public;
};

static struct keys
make_keys(void)
{
	struct upt_buf text = {0};
	struct keys keys = {0};

	FUZZ_ASSERT(upt_private_key_generate("ed25519", 0, &keys.private, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_private_key_public_text(keys.private, &text, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_public_key_parse(upt_span_str("ed25519"), upt_buf_span(&text), &keys.public,
			    NULL) == UPT_OK);
	upt_buf_clear(&text);
	return keys;
}

static bool
is_inside(struct upt_span inner, struct upt_span outer)
{
	return inner.data >= outer.data && inner.data + inner.len <= outer.data + outer.len;
}

static void
check_report(struct upt_span envelope, const struct keys *keys, enum upt_manifest_profile profile)
{
	struct upt_ecu_report report, again, zero;
	struct upt_buf out = {0};

	memset(&zero, 0, sizeof(zero));
	if (upt_ecu_report_check_as(profile, envelope, keys->public, &report, NULL) != UPT_OK) {
		FUZZ_ASSERT(memcmp(&report, &zero, sizeof(zero)) == 0);
		return;
	}
	FUZZ_ASSERT(upt_ecu_report_sign(&report, keys->private, &out, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_ecu_report_check(upt_buf_span(&out), keys->public, &again, NULL) == UPT_OK);
	FUZZ_ASSERT(strcmp(again.ecu_serial, report.ecu_serial) == 0);
	FUZZ_ASSERT(strcmp(again.attacks_detected, report.attacks_detected) == 0);
	FUZZ_ASSERT(again.time == report.time && again.report_counter == report.report_counter);
	FUZZ_ASSERT(report.installed.name[0] == '\0'
			    ? again.installed.name[0] == '\0'
			    : upt_image_same(&again.installed, &report.installed));
	upt_buf_clear(&out);
}

static void
check_manifest(struct upt_span envelope, const struct keys *keys, enum upt_manifest_profile profile)
{
	struct upt_vehicle_manifest m, again;
	struct upt_buf out = {0};

	if (upt_vehicle_manifest_check_as(profile, envelope, keys->public, &m, NULL) != UPT_OK) {
		FUZZ_ASSERT(m.reports == NULL && m.n_reports == 0);
		return;
	}
	for (size_t i = 0; i < m.n_reports; i++) {
		FUZZ_ASSERT(is_inside(m.reports[i].envelope, envelope));
		check_report(m.reports[i].envelope, keys, profile);
	}
	FUZZ_ASSERT(m.installation_report.len == 0 || is_inside(m.installation_report, envelope));
	FUZZ_ASSERT(upt_vehicle_manifest_sign(&m, NULL, keys->private, &out, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_vehicle_manifest_check_as(
			    profile, upt_buf_span(&out), keys->public, &again, NULL) == UPT_OK);
	FUZZ_ASSERT(again.n_reports == m.n_reports);
	upt_vehicle_manifest_clear(&again);
	upt_vehicle_manifest_clear(&m);
	upt_buf_clear(&out);
}

static void
check_both(struct upt_span envelope, const struct keys *keys)
{
	check_report(envelope, keys, UPT_MANIFEST_STANDARD);
	check_report(envelope, keys, UPT_MANIFEST_OTA);
	check_manifest(envelope, keys, UPT_MANIFEST_STANDARD);
	check_manifest(envelope, keys, UPT_MANIFEST_OTA);
}

/* An envelope of the dialect without payload hash, then one with it, around the payload's own
 * bytes. */
static void
check_signed(struct upt_span payload, const struct keys *keys, bool with_hash)
{
	struct upt_buf canonical = {0}, sig = {0}, out = {0};
	struct upt_digest digest;
	struct upt_json_doc doc;
	char hash[192] = "", hex[2 * UPT_HASH_MAX_BYTES + 1];

	if (upt_json_check(payload, &doc, NULL) != UPT_OK)
		return;
	FUZZ_ASSERT(upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &canonical, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_private_key_sign(keys->private, upt_buf_span(&canonical), &sig, NULL) ==
		    UPT_OK);
	FUZZ_ASSERT(
		upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&canonical), &digest, NULL) == UPT_OK);
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	if (with_hash)
		snprintf(hash, sizeof(hash),
			"\"hash\":{\"function\":\"sha256\",\"digest\":\"%s\"},", hex);
	FUZZ_ASSERT(upt_buf_printf(&out, NULL,
			    "{\"signatures\":[{\"keyid\":\"k\",\"method\":\"ed25519\",%s\"sig\":\"",
			    hash) == UPT_OK);
	FUZZ_ASSERT(upt_base64_encode(upt_buf_span(&sig), &out, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_buf_printf(&out, NULL, "\"}],\"signed\":") == UPT_OK);
	FUZZ_ASSERT(upt_buf_append(&out, payload.data, payload.len, NULL) == UPT_OK);
	FUZZ_ASSERT(upt_buf_printf(&out, NULL, "}") == UPT_OK);
	check_both(upt_buf_span(&out), keys);
	upt_buf_clear(&canonical);
	upt_buf_clear(&sig);
	upt_buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keys keys;

	if (keys.private == NULL)
		keys = make_keys();
	check_both(upt_span(data, size), &keys);
	check_signed(upt_span(data, size), &keys, false);
	check_signed(upt_span(data, size), &keys, true);
	return 0;
}
