/*
 * Vehicle version manifests: checked as the Standard asks of a Director (2.1,
 * "director_repository", directing installation step 1 and 2) and recorded in one transaction.
 * Nothing in a manifest is believed before the signature that covers it was checked with a
 * registered key.
 */
#include <stdio.h>
#include "base/encode.h"
#include "json/json.h"
#include "manifest/manifest.h"
#include "reply.h"

/* The installation report; "" and -1 for what it does not say. */
struct result {
	int success; /* -1 unknown, 0, 1 */
	char code[RESULT_CODE_MAX + 1];
	char text[RESULT_TEXT_MAX + 1];
};

struct check {
	struct director *d;
	const struct request *request;
	struct reply *reply;
	size_t n_missing;
};

/*
 * Turns a refusal into a reply: 400 for what cannot be read, 403 for what must not be believed. A
 * failure of ours stays a failure: a vehicle must not be told that its signature is bad when this
 * machine is out of memory.
 */
static enum upt_code
refuse(struct reply *reply, enum upt_code code, const char *ecu, struct upt_err *err)
{
	char message[UPT_ERR_MESSAGE_MAX];

	if (code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL)
		return code;
	memcpy(message, err->message, sizeof(message));
	*err = (struct upt_err){0};
	if (code == UPT_E_MALFORMED || code == UPT_E_TOO_LARGE)
		return reply_error(reply, err, 400, "malformed", "%s%s%s", ecu,
			*ecu != '\0' ? ": " : "", message);
	return reply_error(
		reply, err, 403, "bad_signature", "%s%s%s", ecu, *ecu != '\0' ? ": " : "", message);
}

/* The registered key of an ECU; UPT_E_NOT_FOUND. *counter: of its last report, -1 for none. */
static enum upt_code
load_ecu(struct director *d, const char *vehicle, const char *serial, struct upt_public_key **key,
	int64_t *counter, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = false;

	*key = NULL;
	*counter = -1;
	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT key_type, key_public, counter FROM ecu WHERE vehicle = ? AND serial = ?",
		DB_ARGS(db_text(vehicle), db_text(serial))));
	UPT_TRY(db_step(statement, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "ECU %s is not registered", serial);
	if (sqlite3_column_type(statement, 2) != SQLITE_NULL)
		*counter = sqlite3_column_int64(statement, 2);
	enum upt_code code = upt_public_key_parse(
		db_column_bytes(statement, 0), db_column_bytes(statement, 1), key, err);
	if (code == UPT_E_NO_MEMORY)
		return code;
	return code == UPT_OK ? UPT_OK
			      : upt_fail(err, UPT_E_DATABASE,
					"the registered key of ECU %s cannot be read", serial);
}

/* Copies the current string, cut to size - 1 bytes, into out; "" when it is none. */
static enum upt_code
copy_string(struct upt_json_iter *it, char *out, size_t size, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_span raw;
	const char *text = NULL;

	out[0] = '\0';
	if (!upt_json_raw_string(it, &raw))
		return UPT_OK;
	UPT_TRY(upt_json_decode_string(&arena, raw, &text, err));
	(void)snprintf(out, size, "%s", text);
	/* Not in the middle of a character: the database holds UTF-8. */
	size_t len = strlen(out);
	if (len == size - 1) {
		while (len > 0 && ((uint8_t)out[len - 1] & 0xc0) == 0x80)
			len--;
		if (len > 0 && (uint8_t)out[len - 1] >= 0xc0)
			len--;
		out[len] = '\0';
	}
	return UPT_OK;
}

/* {"success","code","description"} */
static enum upt_code
read_result(struct upt_json_iter *it, struct result *out, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);

	*out = (struct result){.success = -1};
	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "success"))
			out->success = member.type == UPT_JSON_TRUE    ? 1
				       : member.type == UPT_JSON_FALSE ? 0
								       : -1;
		else if (upt_json_key_is(&member, "code"))
			UPT_TRY(copy_string(&member, out->code, sizeof(out->code), err));
		else if (upt_json_key_is(&member, "description"))
			UPT_TRY(copy_string(&member, out->text, sizeof(out->text), err));
	}
	return UPT_OK;
}

/* One of report.items: {"ecu","result"} */
static enum upt_code
record_item(struct check *check, struct upt_json_iter *it, const char *correlation_id,
	struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);
	char ecu[UPT_ECU_SERIAL_MAX + 1] = "";
	struct result result = {.success = -1};

	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "ecu"))
			UPT_TRY(copy_string(&member, ecu, sizeof(ecu), err));
		else if (upt_json_key_is(&member, "result"))
			UPT_TRY(read_result(&member, &result, err));
	}
	if (result.success < 0)
		return UPT_OK;
	return db_run(&check->d->db, err,
		"UPDATE ecu SET result_success = ?, result_code = ?, result_correlation_id = ?,"
		" result_at = ? WHERE vehicle = ? AND serial = ?",
		DB_ARGS(db_int(result.success), db_text(result.code), db_text(correlation_id),
			db_int(check->request->now), db_text(check->request->vehicle),
			db_text(ecu)));
}

static enum upt_code
record_result(struct check *check, const struct result *result, const char *correlation_id,
	struct upt_err *err)
{
	if (result->success < 0)
		return UPT_OK;
	return db_run(&check->d->db, err,
		"UPDATE vehicle SET report_success = ?, report_code = ?, report_text = ?,"
		" report_correlation_id = ?, report_at = ? WHERE id = ?",
		DB_ARGS(db_int(result->success), db_text(result->code), db_text(result->text),
			db_text(correlation_id), db_int(check->request->now),
			db_text(check->request->vehicle)));
}

/* report: {"result","correlation_id","items"}; the id is needed before the items. */
static enum upt_code
record_report(struct check *check, struct upt_span report, struct upt_err *err)
{
	char correlation_id[256] = "";
	struct result result = {.success = -1};

	struct upt_json_iter it = upt_json_iter(report);
	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "correlation_id"))
			UPT_TRY(copy_string(&it, correlation_id, sizeof(correlation_id), err));
		else if (upt_json_key_is(&it, "result"))
			UPT_TRY(read_result(&it, &result, err));
	}
	UPT_TRY(record_result(check, &result, correlation_id, err));
	it = upt_json_iter(report);
	while (upt_json_next(&it)) {
		if (!upt_json_key_is(&it, "items"))
			continue;
		struct upt_json_iter item = upt_json_enter(&it);
		while (upt_json_next(&item))
			UPT_TRY(record_item(check, &item, correlation_id, err));
	}
	return UPT_OK;
}

/* The "report" of a manifest's installation report, whose signature was checked; may be absent. */
static enum upt_code
record_installation(
	struct check *check, const struct upt_vehicle_manifest *manifest, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(manifest->installation_report);

	if (manifest->installation_report.len == 0)
		return UPT_OK;
	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "report"))
			UPT_TRY(record_report(check, upt_json_value(&it), err));
	}
	return UPT_OK;
}

static enum upt_code
record_attacks(struct check *check, const struct upt_ecu_report *report, struct upt_err *err)
{
	struct db *db = &check->d->db;
	const char *vehicle = check->request->vehicle;

	if (report->attacks_detected[0] == '\0')
		return UPT_OK;
	UPT_TRY(db_run(db, err,
		"INSERT INTO attack(vehicle, ecu, reported_at, text) VALUES (?, ?, ?, ?)",
		DB_ARGS(db_text(vehicle), db_text(report->ecu_serial), db_int(check->request->now),
			db_text(report->attacks_detected))));
	return db_run(db, err,
		"DELETE FROM attack WHERE vehicle = ?1 AND rowid NOT IN (SELECT rowid FROM attack"
		" WHERE vehicle = ?1 ORDER BY rowid DESC LIMIT ?2)",
		DB_ARGS(db_text(vehicle), db_int(ATTACKS_KEPT)));
}

static enum upt_code
record_ecu(struct check *check, const struct upt_ecu_report *report, struct upt_err *err)
{
	const struct upt_image *image = &report->installed;
	char sha256[2 * UPT_HASH_MAX_BYTES + 1], sha512[2 * UPT_HASH_MAX_BYTES + 1];

	director_digest_hex(image, UPT_HASH_SHA256, sha256);
	director_digest_hex(image, UPT_HASH_SHA512, sha512);
	UPT_TRY(db_run(&check->d->db, err,
		"UPDATE ecu SET counter = ?, reported_at = ?, report_time = ?, installed_name = ?,"
		" installed_length = ?, installed_sha256 = ?, installed_sha512 = ?, missing = 0"
		" WHERE vehicle = ? AND serial = ?",
		DB_ARGS(db_int((int64_t)report->report_counter), db_int(check->request->now),
			db_int(report->time), db_text(image->name),
			db_int((int64_t)image->length_bytes), db_text(sha256), db_text(sha512),
			db_text(check->request->vehicle), db_text(report->ecu_serial))));
	return record_attacks(check, report, err);
}

/* One ECU's own report: registered, signed by its key, about itself, and newer than the last. */
static enum upt_code
check_ecu(struct check *check, const struct upt_manifest_entry *entry, struct upt_err *err)
{
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;
	upt_cleanup(upt_free_ptr) struct upt_ecu_report *report = calloc(1, sizeof(*report));
	struct reply *reply = check->reply;
	int64_t counter = -1;

	if (report == NULL)
		return director_no_memory(err);
	enum upt_code code =
		load_ecu(check->d, check->request->vehicle, entry->ecu_serial, &key, &counter, err);
	if (code == UPT_E_NOT_FOUND)
		return reply_error(reply, err, 403, "unknown_ecu", "ECU %s is not registered",
			entry->ecu_serial);
	UPT_TRY(code);
	code = upt_ecu_report_check(entry->envelope, key, report, err);
	if (code != UPT_OK)
		return refuse(reply, code, entry->ecu_serial, err);
	if (strcmp(report->ecu_serial, entry->ecu_serial) != 0)
		return reply_error(reply, err, 403, "wrong_ecu",
			"the report listed for ECU %s is about ECU %s", entry->ecu_serial,
			report->ecu_serial);
	/* An old report would hide that the ECU was never updated (Standard: "version_report"). */
	if ((int64_t)report->report_counter <= counter)
		return reply_error(reply, err, 403, "replayed_report",
			"ECU %s: report counter %llu after %lld", entry->ecu_serial,
			(unsigned long long)report->report_counter, (long long)counter);
	return record_ecu(check, report, err);
}

static enum upt_code
check_reports(struct check *check, const struct upt_vehicle_manifest *manifest, struct upt_err *err)
{
	struct db *db = &check->d->db;
	const char *vehicle = check->request->vehicle;
	bool has_primary = false;
	int64_t n_missing = 0;

	UPT_TRY(db_run(db, err, "UPDATE ecu SET missing = 1 WHERE vehicle = ?",
		DB_ARGS(db_text(vehicle))));
	for (size_t i = 0; i < manifest->n_reports; i++) {
		const struct upt_manifest_entry *entry = &manifest->reports[i];
		has_primary =
			has_primary || strcmp(entry->ecu_serial, manifest->primary_serial) == 0;
		UPT_TRY(check_ecu(check, entry, err));
		if (check->reply->status != 0)
			return UPT_OK;
	}
	/* Only the Primary's counter tells a new manifest from an old one with no Secondary in it.
	 */
	if (!has_primary)
		return reply_error(check->reply, err, 400, "incomplete",
			"the Primary's own report is missing");
	UPT_TRY(db_get_int(db, &n_missing, err,
		"SELECT count(*) FROM ecu WHERE vehicle = ? AND missing = 1",
		DB_ARGS(db_text(vehicle))));
	check->n_missing = (size_t)n_missing;
	return UPT_OK;
}

/* The Primary's envelope with the Primary's registered key. */
static enum upt_code
check_envelope(struct check *check, struct upt_vehicle_manifest *manifest, struct upt_err *err)
{
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf primary = {0};
	const char *vehicle = check->request->vehicle;
	int64_t counter = -1;

	enum upt_code code = db_get_bytes(&check->d->db, &primary, err,
		"SELECT primary_serial FROM vehicle WHERE id = ?", DB_ARGS(db_text(vehicle)));
	if (code == UPT_E_NOT_FOUND)
		return reply_error(check->reply, err, 403, "unknown_vehicle",
			"vehicle %s registered no ECUs", vehicle);
	UPT_TRY(code);
	UPT_TRY(load_ecu(check->d, vehicle, (const char *)primary.data, &key, &counter, err));
	code = upt_vehicle_manifest_check(check->request->body, key, manifest, err);
	if (code != UPT_OK)
		return refuse(check->reply, code, "", err);
	if (strcmp(manifest->vehicle_id, vehicle) != 0)
		return reply_error(check->reply, err, 403, "wrong_vehicle",
			"the manifest of vehicle %s came with the certificate of %s",
			manifest->vehicle_id, vehicle);
	if (strcmp(manifest->primary_serial, (const char *)primary.data) != 0)
		return reply_error(check->reply, err, 403, "wrong_primary",
			"the manifest names the Primary %s, registered is %s",
			manifest->primary_serial, (const char *)primary.data);
	return UPT_OK;
}

enum upt_code
manifest_put(
	struct director *d, const struct request *request, struct reply *reply, struct upt_err *err)
{
	upt_cleanup(upt_vehicle_manifest_clear) struct upt_vehicle_manifest manifest = {0};
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	struct check check = {.d = d, .request = request, .reply = reply};

	reply_clear(reply);
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(check_envelope(&check, &manifest, err));
	if (reply->status == 0)
		UPT_TRY(check_reports(&check, &manifest, err));
	if (reply->status != 0)
		return UPT_OK;
	UPT_TRY(record_installation(&check, &manifest, err));
	UPT_TRY(db_run(&d->db, err, "UPDATE vehicle SET manifest_at = ? WHERE id = ?",
		DB_ARGS(db_int(request->now), db_text(request->vehicle))));
	UPT_TRY(db_commit(&tx, err));
	if (check.n_missing > 0)
		(void)snprintf(reply->note, sizeof(reply->note), "%zu registered ECUs missing",
			check.n_missing);
	reply->status = 200;
	return UPT_OK;
}
