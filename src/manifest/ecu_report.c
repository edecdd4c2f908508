/* Uptane Standard 2.1, "version_report". */
#include "base/clock.h"
#include "base/encode.h"
#include "manifest/fields.h"
#include "manifest/signed.h"

/*
 * How deployed clients and servers spell "nothing known": a name, and the hash of no bytes.
 */
#define UNKNOWN_NAME "unknown"

static enum upt_code
unknown_image(struct upt_image *out, struct upt_err *err)
{
	*out = (struct upt_image){.name = UNKNOWN_NAME, .n_digests = 1};
	return upt_hash_span(UPT_HASH_SHA256, upt_span(NULL, 0), &out->digests[0], err);
}

/* ---- writing ---- */

static bool
add_image(cJSON *payload, const struct upt_image *image)
{
	cJSON *installed = cJSON_AddObjectToObject(payload, "installed_image");
	cJSON *info, *hashes;
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	if (installed == NULL ||
		cJSON_AddStringToObject(installed, "filepath", image->name) == NULL ||
		(info = cJSON_AddObjectToObject(installed, "fileinfo")) == NULL ||
		!upt_manifest_add_u64(info, "length", image->length_bytes) ||
		(hashes = cJSON_AddObjectToObject(info, "hashes")) == NULL)
		return false;
	for (size_t i = 0; i < image->n_digests; i++) {
		const struct upt_digest *digest = &image->digests[i];

		upt_hex_encode(upt_span(digest->bytes, digest->len), hex);
		if (cJSON_AddStringToObject(hashes, upt_hash_name(digest->alg), hex) == NULL)
			return false;
	}
	return true;
}

static cJSON *
report_payload(const struct upt_ecu_report *report, const struct upt_image *image)
{
	upt_cleanup(upt_manifest_json_cleanup) cJSON *payload = cJSON_CreateObject();
	char time[UPT_TIME_TEXT_SIZE];
	cJSON *result;

	upt_time_format(report->time, time);
	/* Servers of the family expect both times; we keep one, the latest that could be verified.
	 */
	if (payload == NULL ||
		cJSON_AddStringToObject(payload, "ecu_serial", report->ecu_serial) == NULL ||
		!add_image(payload, image) ||
		cJSON_AddStringToObject(payload, "attacks_detected", report->attacks_detected) ==
			NULL ||
		cJSON_AddStringToObject(payload, "timeserver_time", time) == NULL ||
		cJSON_AddStringToObject(payload, "previous_timeserver_time", time) == NULL ||
		!upt_manifest_add_u64(payload, "report_counter", report->report_counter))
		return NULL;
	result = payload;
	payload = NULL;
	return result;
}

/* What the reader on the other side would refuse: the fault is here, and its message is of use
 * here. */
static enum upt_code
check_to_sign(
	const struct upt_ecu_report *report, const struct upt_image *image, struct upt_err *err)
{
	UPT_TRY(upt_manifest_check_name(report->ecu_serial, "ECU serial", err));
	UPT_TRY(upt_manifest_check_name(image->name, "filepath", err));
	if (report->attacks_detected[0] != '\0')
		UPT_TRY(upt_manifest_check_name(report->attacks_detected, "attacks", err));
	if (image->n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "image %s has no hash", image->name);
	if (image->length_bytes > UPT_JSON_MAX_INTEGER ||
		report->report_counter > UPT_JSON_MAX_INTEGER)
		return upt_fail(err, UPT_E_MALFORMED, "a length or counter above 2^53-1");
	return UPT_OK;
}

enum upt_code
upt_ecu_report_sign(const struct upt_ecu_report *report, const struct upt_private_key *key,
	struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_manifest_json_cleanup) cJSON *payload = NULL;
	struct upt_image image = report->installed;
	enum upt_code code;

	upt_buf_clear(out);
	if (image.name[0] == '\0')
		UPT_TRY(unknown_image(&image, err));
	code = check_to_sign(report, &image, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "report of ECU %s", report->ecu_serial);
	payload = report_payload(report, &image);
	if (payload == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a version report");
	code = upt_manifest_sign(payload, key, out, err);
	return code == UPT_OK ? UPT_OK
			      : upt_wrap(err, code, "report of ECU %s", report->ecu_serial);
}

/* ---- reading ---- */

/* Which members were there: each is checked for once, at the end. */
enum {
	HAS_SERIAL = 1,
	HAS_IMAGE = 2,
	HAS_ATTACKS = 4,
	HAS_TIME = 8,
	HAS_COUNTER = 16,
	HAS_FILEPATH = 1,
	HAS_HASHES = 2,
	HAS_LENGTH = 4,
};

static enum upt_code
read_hashes(struct upt_json_iter *it, struct upt_image *image, struct upt_err *err)
{
	static const enum upt_hash_alg algs[UPT_MAX_DIGESTS] = {UPT_HASH_SHA256, UPT_HASH_SHA512};
	struct upt_span text = upt_json_value(it), raw;

	/* One pass per algorithm, so that sha256 comes first whatever the text's order. */
	for (size_t i = 0; i < UPT_MAX_DIGESTS; i++) {
		struct upt_json_iter members = upt_json_iter(text);

		while (upt_json_next(&members)) {
			struct upt_digest *digest = &image->digests[image->n_digests];

			if (!upt_json_key_is(&members, upt_hash_name(algs[i])))
				continue;
			if (!upt_json_raw_string(&members, &raw) ||
				!upt_digest_parse(algs[i], raw, digest))
				return upt_fail(err, UPT_E_MALFORMED, "a hash that is no %s",
					upt_hash_name(algs[i]));
			image->n_digests++;
		}
	}
	if (image->n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "installed image without a known hash");
	return UPT_OK;
}

static enum upt_code
read_fileinfo(struct upt_json_iter *it, struct upt_image *image, unsigned *has, struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "fileinfo is no object");
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "hashes")) {
			UPT_TRY(read_hashes(&members, image, err));
			*has |= HAS_HASHES;
		} else if (upt_json_key_is(&members, "length")) {
			if (!upt_json_u64(&members, &image->length_bytes))
				return upt_fail(err, UPT_E_MALFORMED, "length is no whole number");
			*has |= HAS_LENGTH;
		}
	}
	return UPT_OK;
}

static enum upt_code
read_image(struct upt_json_iter *it, struct upt_arena *arena, struct upt_image *out,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_image image = {0}, unknown;
	unsigned has = 0;

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "installed_image is no object");
	while (upt_json_next(&members)) {
		if (upt_json_key_is(&members, "filepath")) {
			UPT_TRY(upt_manifest_read_text(
				&members, arena, "filepath", image.name, sizeof(image.name), err));
			has |= HAS_FILEPATH;
		} else if (upt_json_key_is(&members, "fileinfo")) {
			UPT_TRY(read_fileinfo(&members, &image, &has, err));
		}
	}
	if (has != (HAS_FILEPATH | HAS_HASHES | HAS_LENGTH))
		return upt_fail(
			err, UPT_E_MALFORMED, "installed image without name, hashes or length");
	if (image.name[0] == '\0')
		return upt_fail(err, UPT_E_MALFORMED, "installed image with an empty name");
	UPT_TRY(unknown_image(&unknown, err));
	*out = upt_image_same(&image, &unknown) ? (struct upt_image){0} : image;
	return UPT_OK;
}

static enum upt_code
read_time(struct upt_json_iter *it, int64_t *out, struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw) || !upt_time_parse(raw, out))
		return upt_fail(err, UPT_E_MALFORMED, "timeserver_time is no time");
	return UPT_OK;
}

static enum upt_code
read_member(struct upt_json_iter *it, struct upt_arena *arena, struct upt_ecu_report *out,
	unsigned *has, struct upt_err *err)
{
	if (upt_json_key_is(it, "ecu_serial")) {
		*has |= HAS_SERIAL;
		return upt_manifest_read_text(
			it, arena, "ecu_serial", out->ecu_serial, sizeof(out->ecu_serial), err);
	}
	if (upt_json_key_is(it, "installed_image")) {
		*has |= HAS_IMAGE;
		return read_image(it, arena, &out->installed, err);
	}
	if (upt_json_key_is(it, "attacks_detected")) {
		*has |= HAS_ATTACKS;
		return upt_manifest_read_text(it, arena, "attacks_detected", out->attacks_detected,
			sizeof(out->attacks_detected), err);
	}
	if (upt_json_key_is(it, "timeserver_time")) {
		*has |= HAS_TIME;
		return read_time(it, &out->time, err);
	}
	if (upt_json_key_is(it, "report_counter")) {
		*has |= HAS_COUNTER;
		if (!upt_json_u64(it, &out->report_counter))
			return upt_fail(err, UPT_E_MALFORMED, "report_counter is no whole number");
	}
	return UPT_OK;
}

static enum upt_code
check_complete(const struct upt_ecu_report *report, unsigned has, enum upt_manifest_profile profile,
	struct upt_err *err)
{
	unsigned needed = HAS_SERIAL | HAS_IMAGE | HAS_ATTACKS | HAS_TIME;

	if (profile == UPT_MANIFEST_STANDARD)
		needed |= HAS_COUNTER;
	if ((has & needed) != needed)
		return upt_fail(err, UPT_E_MALFORMED, "version report lacks%s%s%s%s%s",
			has & HAS_SERIAL ? "" : " ecu_serial",
			has & HAS_IMAGE ? "" : " installed_image",
			has & HAS_ATTACKS ? "" : " attacks_detected",
			has & HAS_TIME ? "" : " timeserver_time",
			has & HAS_COUNTER ? "" : " report_counter");
	if (report->ecu_serial[0] == '\0')
		return upt_fail(err, UPT_E_MALFORMED, "version report with an empty ecu_serial");
	return UPT_OK;
}

enum upt_code
upt_ecu_report_check_as(enum upt_manifest_profile profile, struct upt_span envelope,
	const struct upt_public_key *key, struct upt_ecu_report *out, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_ecu_report report = {0};
	struct upt_json_iter it;
	struct upt_span payload;
	unsigned has = 0;

	*out = (struct upt_ecu_report){0};
	UPT_TRY(upt_manifest_open(envelope, UPT_REPORT_MAX_BYTES, key, profile, "version report",
		&arena, &payload, err));
	it = upt_json_iter(payload);
	while (upt_json_next(&it))
		UPT_TRY(read_member(&it, &arena, &report, &has, err));
	UPT_TRY(check_complete(&report, has, profile, err));
	*out = report;
	return UPT_OK;
}

enum upt_code
upt_ecu_report_check(struct upt_span envelope, const struct upt_public_key *key,
	struct upt_ecu_report *out, struct upt_err *err)
{
	return upt_ecu_report_check_as(UPT_MANIFEST_STANDARD, envelope, key, out, err);
}
