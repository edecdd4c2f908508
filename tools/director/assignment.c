#include <stdio.h>
#include "assignment.h"
#include "base/encode.h"
#include "json/json.h"

struct change {
	struct director *d;
	const char *vehicle;
	int64_t now;
	bool changed;
};

/* An ECU twice in one change would get whatever comes last: surely not what was meant. */
static enum upt_code
check_distinct(const struct assignment *assignments, size_t n, struct upt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < assignments[i].n_ecus; j++) {
			const char *ecu = assignments[i].ecus[j];
			size_t n_same = 0;
			for (size_t k = 0; k < n; k++) {
				for (size_t l = 0; l < assignments[k].n_ecus; l++)
					n_same += strcmp(assignments[k].ecus[l], ecu) == 0;
			}
			if (n_same > 1)
				return upt_fail(
					err, UPT_E_DUPLICATE_ECU, "ECU %s is named twice", ecu);
		}
	}
	return UPT_OK;
}

static enum upt_code
check_hardware(const struct assignment *assignment, const char *ecu, const char *hardware_id,
	struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(upt_buf_span(&assignment->hardware_ids));

	if (assignment->hardware_ids.len == 0)
		return UPT_OK;
	while (upt_json_next(&it)) {
		if (upt_json_string_is(&it, hardware_id))
			return UPT_OK;
	}
	return upt_fail(err, UPT_E_WRONG_HARDWARE, "%s is not for hardware %s of ECU %s",
		assignment->image.name, hardware_id, ecu);
}

static enum upt_code
check_vehicle(struct change *change, struct upt_err *err)
{
	int64_t n = 0;

	UPT_TRY(db_get_int(&change->d->db, &n, err, "SELECT count(*) FROM vehicle WHERE id = ?",
		DB_ARGS(db_text(change->vehicle))));
	if (n == 0)
		return upt_fail(
			err, UPT_E_NOT_FOUND, "vehicle %s is not registered", change->vehicle);
	return UPT_OK;
}

/* The ECU is registered and the image fits; *failed: its last installation went wrong. */
static enum upt_code
check_ecu(struct change *change, const struct assignment *assignment, const char *ecu, bool *failed,
	struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = false;

	UPT_TRY(db_query(&change->d->db, &statement, err,
		"SELECT hardware_id, state FROM ecu_view WHERE vehicle = ? AND serial = ?",
		DB_ARGS(db_text(change->vehicle), db_text(ecu))));
	UPT_TRY(db_step(statement, &row, err));
	if (!row)
		return upt_fail(err, UPT_E_NOT_FOUND, "ECU %s of vehicle %s is not registered", ecu,
			change->vehicle);
	*failed = strcmp(db_column_text(statement, 1), "failed") == 0;
	return assignment->clear
		       ? UPT_OK
		       : check_hardware(assignment, ecu, db_column_text(statement, 0), err);
}

static enum upt_code
clear_ecus(struct change *change, const struct assignment *assignment, struct upt_err *err)
{
	for (size_t i = 0; i < assignment->n_ecus; i++) {
		bool failed = false;
		UPT_TRY(check_ecu(change, assignment, assignment->ecus[i], &failed, err));
		UPT_TRY(db_run(&change->d->db, err,
			"DELETE FROM assignment WHERE vehicle = ? AND ecu = ?",
			DB_ARGS(db_text(change->vehicle), db_text(assignment->ecus[i]))));
		change->changed = change->changed || sqlite3_changes(change->d->db.handle) > 0;
	}
	return UPT_OK;
}

/* Same name, other content, and still in use: two ECUs cannot mean two files by one name. */
static enum upt_code
check_name_free(struct change *change, const struct assignment *assignment, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf ecu = {0};

	enum upt_code code = db_get_bytes(&change->d->db, &ecu, err,
		"SELECT ecu FROM assignment WHERE vehicle = ? AND target = ? LIMIT 1",
		DB_ARGS(db_text(change->vehicle), db_text(assignment->image.name)));
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	UPT_TRY(code);
	return upt_fail(err, UPT_E_TARGET_MISMATCH, "%s is assigned to ECU %s with other content",
		assignment->image.name, (const char *)ecu.data);
}

/* Inserts the target, or updates its custom, or refuses. */
static enum upt_code
record_target(struct change *change, const struct assignment *assignment, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	const struct upt_image *image = &assignment->image;
	char sha256[2 * UPT_HASH_MAX_BYTES + 1], sha512[2 * UPT_HASH_MAX_BYTES + 1];
	bool row = false;

	director_digest_hex(image, UPT_HASH_SHA256, sha256);
	director_digest_hex(image, UPT_HASH_SHA512, sha512);
	UPT_TRY(db_query(&change->d->db, &statement, err,
		"SELECT length, sha256, sha512, custom FROM target WHERE vehicle = ? AND name = ?",
		DB_ARGS(db_text(change->vehicle), db_text(image->name))));
	UPT_TRY(db_step(statement, &row, err));
	if (row) {
		bool same_content =
			(uint64_t)sqlite3_column_int64(statement, 0) == image->length_bytes &&
			strcmp(db_column_text(statement, 1), sha256) == 0 &&
			strcmp(db_column_text(statement, 2), sha512) == 0;
		if (same_content && upt_span_equal(db_column_bytes(statement, 3),
					    upt_buf_span(&assignment->custom)))
			return UPT_OK;
		if (!same_content)
			UPT_TRY(check_name_free(change, assignment, err));
	}
	db_finish(&statement);
	change->changed = true;
	return db_run(&change->d->db, err,
		"INSERT INTO target(vehicle, name, length, sha256, sha512, custom)"
		" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(vehicle, name) DO UPDATE SET"
		" length = excluded.length, sha256 = excluded.sha256, sha512 = excluded.sha512,"
		" custom = excluded.custom",
		DB_ARGS(db_text(change->vehicle), db_text(image->name),
			db_int((int64_t)image->length_bytes), db_text(sha256), db_text(sha512),
			db_text_span(upt_buf_span(&assignment->custom))));
}

static enum upt_code
assign_ecu(struct change *change, const struct assignment *assignment, const char *ecu,
	struct upt_err *err)
{
	bool failed = false;
	int64_t n_same = 0;

	UPT_TRY(check_ecu(change, assignment, ecu, &failed, err));
	UPT_TRY(db_get_int(&change->d->db, &n_same, err,
		"SELECT count(*) FROM assignment WHERE vehicle = ? AND ecu = ? AND target = ?",
		DB_ARGS(db_text(change->vehicle), db_text(ecu), db_text(assignment->image.name))));
	if (n_same > 0 && !failed)
		return UPT_OK;
	change->changed = true;
	return db_run(&change->d->db, err,
		"INSERT INTO assignment(vehicle, ecu, target, assigned_at) VALUES (?, ?, ?, ?)"
		" ON CONFLICT(vehicle, ecu) DO UPDATE SET target = excluded.target,"
		" assigned_at = excluded.assigned_at",
		DB_ARGS(db_text(change->vehicle), db_text(ecu), db_text(assignment->image.name),
			db_int(change->now)));
}

static enum upt_code
set_ecus(struct change *change, const struct assignment *assignment, struct upt_err *err)
{
	UPT_TRY(record_target(change, assignment, err));
	for (size_t i = 0; i < assignment->n_ecus; i++)
		UPT_TRY(assign_ecu(change, assignment, assignment->ecus[i], err));
	return UPT_OK;
}

/* The named ECUs let go of what they had, unless it is the same image, so that its name is free. */
static enum upt_code
release_ecus(struct change *change, const struct assignment *assignment, struct upt_err *err)
{
	char sha256[2 * UPT_HASH_MAX_BYTES + 1], sha512[2 * UPT_HASH_MAX_BYTES + 1];

	director_digest_hex(&assignment->image, UPT_HASH_SHA256, sha256);
	director_digest_hex(&assignment->image, UPT_HASH_SHA512, sha512);
	for (size_t i = 0; i < assignment->n_ecus; i++) {
		UPT_TRY(db_run(&change->d->db, err,
			"DELETE FROM assignment WHERE vehicle = ?1 AND ecu = ?2 AND NOT EXISTS"
			" (SELECT 1 FROM target WHERE vehicle = ?1 AND name = target AND name = ?3"
			" AND length = ?4 AND sha256 = ?5 AND sha512 = ?6)",
			DB_ARGS(db_text(change->vehicle), db_text(assignment->ecus[i]),
				db_text(assignment->image.name),
				db_int((int64_t)assignment->image.length_bytes), db_text(sha256),
				db_text(sha512))));
		change->changed = change->changed || sqlite3_changes(change->d->db.handle) > 0;
	}
	return UPT_OK;
}

/* "urn:uuid:" and a random (version 4) UUID. */
static enum upt_code
new_correlation_id(char out[static 64], struct upt_err *err)
{
	uint8_t r[16];
	char hex[33];

	UPT_TRY(upt_random(r, sizeof(r), err));
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	upt_hex_encode(upt_span(r, sizeof(r)), hex);
	(void)snprintf(out, 64, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		hex + 16, hex + 20);
	return UPT_OK;
}

static enum upt_code
finish(struct change *change, const char *correlation_id, struct upt_err *err)
{
	char random_id[64];

	if (correlation_id == NULL) {
		UPT_TRY(new_correlation_id(random_id, err));
		correlation_id = random_id;
	}
	UPT_TRY(db_run(&change->d->db, err,
		"DELETE FROM target WHERE vehicle = ?1 AND name NOT IN"
		" (SELECT target FROM assignment WHERE vehicle = ?1)",
		DB_ARGS(db_text(change->vehicle))));
	return db_run(&change->d->db, err,
		"UPDATE vehicle SET assignment_version = assignment_version + 1,"
		" correlation_id = ? WHERE id = ?",
		DB_ARGS(db_text(correlation_id), db_text(change->vehicle)));
}

enum upt_code
assignment_record(struct director *d, const char *vehicle, const struct assignment *assignments,
	size_t n, const char *correlation_id, int64_t now, bool *changed, struct upt_err *err)
{
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	struct change change = {.d = d, .vehicle = vehicle, .now = now};

	*changed = false;
	UPT_TRY(check_distinct(assignments, n, err));
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(check_vehicle(&change, err));
	for (size_t i = 0; i < n; i++)
		UPT_TRY(assignments[i].clear ? clear_ecus(&change, &assignments[i], err)
					     : release_ecus(&change, &assignments[i], err));
	for (size_t i = 0; i < n; i++) {
		if (!assignments[i].clear)
			UPT_TRY(set_ecus(&change, &assignments[i], err));
	}
	if (!change.changed)
		return UPT_OK;
	UPT_TRY(finish(&change, correlation_id, err));
	UPT_TRY(db_commit(&tx, err));
	*changed = true;
	return UPT_OK;
}
