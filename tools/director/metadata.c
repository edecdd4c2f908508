#include "authoring/authoring.h"
#include "metadata.h"

/* The latest stored document of one role; version 0 when there is none. */
struct latest {
	int64_t version;
	int64_t expires;
	int64_t key_epoch;
	int64_t source;
	int64_t lifetime_s;
};

struct plan {
	const char *vehicle;
	int64_t now;
	int64_t key_epoch;
	int64_t assignment_version;
	struct latest latest[N_ROLES];
	bool sign[N_ROLES];
};

static enum upt_code
read_latest(struct director *d, enum role role, const char *vehicle, struct latest *out,
	struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = false;

	*out = (struct latest){0};
	UPT_TRY(director_get_lifetime(d, role, &out->lifetime_s, err));
	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT version, expires, key_epoch, source FROM document"
		" WHERE vehicle = ? AND role = ? ORDER BY version DESC LIMIT 1",
		DB_ARGS(db_text(vehicle), db_text(role_name(role)))));
	UPT_TRY(db_step(statement, &row, err));
	if (row) {
		out->version = sqlite3_column_int64(statement, 0);
		out->expires = sqlite3_column_int64(statement, 1);
		out->key_epoch = sqlite3_column_int64(statement, 2);
		out->source = sqlite3_column_int64(statement, 3);
	}
	return UPT_OK;
}

/* True when the document must be replaced for its own sake. */
static bool
is_stale(const struct plan *plan, const struct latest *latest)
{
	return latest->version == 0 || latest->key_epoch != plan->key_epoch ||
	       plan->now >= latest->expires - latest->lifetime_s / 2;
}

static enum upt_code
make_plan(struct director *d, struct plan *plan, struct upt_err *err)
{
	static const enum role order[] = {ROLE_TARGETS, ROLE_SNAPSHOT, ROLE_TIMESTAMP};
	bool above = false;

	enum upt_code code = db_get_int(&d->db, &plan->assignment_version, err,
		"SELECT assignment_version FROM vehicle WHERE id = ?",
		DB_ARGS(db_text(plan->vehicle)));
	if (code != UPT_OK)
		return upt_wrap(err, code, "vehicle %s", plan->vehicle);
	UPT_TRY(director_get_setting(d, "key_epoch", &plan->key_epoch, err));
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct latest *latest = &plan->latest[order[i]];
		UPT_TRY(read_latest(d, order[i], plan->vehicle, latest, err));
		above = above || is_stale(plan, latest) ||
			(order[i] == ROLE_TARGETS && latest->source != plan->assignment_version);
		plan->sign[order[i]] = above;
	}
	return UPT_OK;
}

/* Signs payload and records it as the next version of role. */
static enum upt_code
sign_and_record(struct director *d, const struct plan *plan, enum role role, const cJSON *payload,
	struct upt_buf *out, struct upt_err *err)
{
	const struct upt_private_key *signer = d->keys[role];
	const struct latest *latest = &plan->latest[role];

	UPT_TRY(upt_author_sign(payload, &signer, 1, out, err));
	UPT_TRY(db_run(&d->db, err,
		"INSERT INTO document(vehicle, role, version, expires, key_epoch, source, bytes)"
		" VALUES (?, ?, ?, ?, ?, ?, ?)",
		DB_ARGS(db_text(plan->vehicle), db_text(role_name(role)),
			db_int(latest->version + 1), db_int(plan->now + latest->lifetime_s),
			db_int(plan->key_epoch), db_int(plan->assignment_version),
			db_blob(upt_buf_span(out)))));
	/* A timestamp has no versioned name: an old one is of no use to anybody. */
	int64_t keep = role == ROLE_TIMESTAMP ? 1 : METADATA_KEEP_VERSIONS;
	return db_run(&d->db, err,
		"DELETE FROM document WHERE vehicle = ? AND role = ? AND version <= ?",
		DB_ARGS(db_text(plan->vehicle), db_text(role_name(role)),
			db_int(latest->version + 1 - keep)));
}

/* {SERIAL: {"hardwareId"}} of the ECUs that shall get the target, into custom. */
static enum upt_code
add_ecu_identifiers(struct director *d, const struct plan *plan, const char *target, cJSON *custom,
	struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	cJSON *ecus = cJSON_AddObjectToObject(custom, "ecuIdentifiers");
	bool row = false;

	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT serial, hardware_id FROM assignment JOIN ecu"
		" ON ecu.vehicle = assignment.vehicle AND ecu.serial = assignment.ecu"
		" WHERE assignment.vehicle = ? AND target = ? ORDER BY serial",
		DB_ARGS(db_text(plan->vehicle), db_text(target))));
	UPT_TRY(db_step(statement, &row, err));
	while (row) {
		cJSON *ecu = cJSON_AddObjectToObject(ecus, db_column_text(statement, 0));
		if (cJSON_AddStringToObject(ecu, "hardwareId", db_column_text(statement, 1)) ==
			NULL)
			return director_no_memory(err);
		UPT_TRY(db_step(statement, &row, err));
	}
	return UPT_OK;
}

static enum upt_code
read_image(sqlite3_stmt *statement, struct upt_image *out, struct upt_err *err)
{
	*out = (struct upt_image){0};
	struct upt_span name = db_column_bytes(statement, 0);
	if (name.len > UPT_TARGET_NAME_MAX)
		return upt_fail(err, UPT_E_DATABASE,
			"the database holds a target name of %zu bytes", name.len);
	memcpy(out->name, name.data, name.len);
	out->length_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
	for (int i = 0; i < UPT_MAX_DIGESTS; i++) {
		struct upt_span hex = db_column_bytes(statement, 2 + i);
		enum upt_hash_alg alg = i == 0 ? UPT_HASH_SHA256 : UPT_HASH_SHA512;
		if (hex.len == 0)
			continue;
		if (!upt_digest_parse(alg, hex, &out->digests[out->n_digests++]))
			return upt_fail(err, UPT_E_DATABASE, "the database holds a bad %s of %s",
				upt_hash_name(alg), out->name);
	}
	return UPT_OK;
}

static enum upt_code
add_targets(struct director *d, const struct plan *plan, cJSON *payload, struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;
	bool row = false;

	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT name, length, sha256, sha512, custom FROM target"
		" WHERE vehicle = ? ORDER BY name",
		DB_ARGS(db_text(plan->vehicle))));
	UPT_TRY(db_step(statement, &row, err));
	while (row) {
		struct upt_image image;
		UPT_TRY(read_image(statement, &image, err));
		upt_cleanup(upt_author_json_clear) cJSON *custom = cJSON_Parse(db_column_text(statement, 4));
		if (!cJSON_IsObject(custom))
			return director_no_memory(err);
		UPT_TRY(add_ecu_identifiers(d, plan, image.name, custom, err));
		cJSON *given = custom;
		custom = NULL;
		UPT_TRY(upt_author_add_target(payload, &image, given, err));
		UPT_TRY(db_step(statement, &row, err));
	}
	return UPT_OK;
}

/*
 * Top-level custom: the vehicle's id always, so that an empty targets document of one vehicle
 * cannot be replayed to another to hide an update (Standard: "targets_images_meta").
 */
static enum upt_code
add_vehicle(struct director *d, const struct plan *plan, cJSON *payload, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf correlation = {0};
	cJSON *custom = cJSON_AddObjectToObject(payload, "custom");

	if (cJSON_AddStringToObject(custom, "vehicleId", plan->vehicle) == NULL)
		return director_no_memory(err);
	enum upt_code code = db_get_bytes(&d->db, &correlation, err,
		"SELECT correlation_id FROM vehicle WHERE id = ?"
		" AND EXISTS (SELECT 1 FROM assignment WHERE vehicle = ?1)",
		DB_ARGS(db_text(plan->vehicle)));
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	UPT_TRY(code);
	return cJSON_AddStringToObject(custom, "correlationId", (const char *)correlation.data) ==
			       NULL
		       ? director_no_memory(err)
		       : UPT_OK;
}

static enum upt_code
make_targets(struct director *d, const struct plan *plan, struct upt_buf *out, struct upt_err *err)
{
	const struct latest *latest = &plan->latest[ROLE_TARGETS];
	upt_cleanup(upt_author_json_clear) cJSON *payload =
		upt_author_targets((uint64_t)latest->version + 1, plan->now + latest->lifetime_s);

	if (payload == NULL)
		return director_no_memory(err);
	UPT_TRY(add_targets(d, plan, payload, err));
	UPT_TRY(add_vehicle(d, plan, payload, err));
	return sign_and_record(d, plan, ROLE_TARGETS, payload, out, err);
}

static enum upt_code
make_snapshot(struct director *d, const struct plan *plan, uint64_t targets_version,
	struct upt_span targets, struct upt_buf *out, struct upt_err *err)
{
	const struct latest *latest = &plan->latest[ROLE_SNAPSHOT];
	upt_cleanup(upt_author_json_clear) cJSON *payload =
		upt_author_snapshot((uint64_t)latest->version + 1, plan->now + latest->lifetime_s);

	if (payload == NULL)
		return director_no_memory(err);
	UPT_TRY(upt_author_snapshot_add(payload, "targets.json", targets_version, targets, err));
	return sign_and_record(d, plan, ROLE_SNAPSHOT, payload, out, err);
}

static enum upt_code
make_timestamp(struct director *d, const struct plan *plan, uint64_t snapshot_version,
	struct upt_span snapshot, struct upt_err *err)
{
	const struct latest *latest = &plan->latest[ROLE_TIMESTAMP];
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	upt_cleanup(upt_author_json_clear) cJSON *payload =
		upt_author_timestamp((uint64_t)latest->version + 1, plan->now + latest->lifetime_s);

	if (payload == NULL)
		return director_no_memory(err);
	UPT_TRY(upt_author_timestamp_set(payload, snapshot_version, snapshot, err));
	return sign_and_record(d, plan, ROLE_TIMESTAMP, payload, &bytes, err);
}

/* The version that role has once the plan is carried out. */
static uint64_t
version_after(const struct plan *plan, enum role role)
{
	return (uint64_t)plan->latest[role].version + (plan->sign[role] ? 1 : 0);
}

static enum upt_code
carry_out(struct director *d, const struct plan *plan, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf targets = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf snapshot = {0};

	UPT_TRY(director_load_keys(d, err));
	if (plan->sign[ROLE_TARGETS])
		UPT_TRY(make_targets(d, plan, &targets, err));
	else
		UPT_TRY(metadata_load(d, plan->vehicle, ROLE_TARGETS, 0, &targets, err));
	if (plan->sign[ROLE_SNAPSHOT])
		UPT_TRY(make_snapshot(d, plan, version_after(plan, ROLE_TARGETS),
			upt_buf_span(&targets), &snapshot, err));
	else
		UPT_TRY(metadata_load(d, plan->vehicle, ROLE_SNAPSHOT, 0, &snapshot, err));
	return make_timestamp(
		d, plan, version_after(plan, ROLE_SNAPSHOT), upt_buf_span(&snapshot), err);
}

enum upt_code
metadata_load(struct director *d, const char *vehicle, enum role role, uint64_t version,
	struct upt_buf *out, struct upt_err *err)
{
	if (version == 0)
		return db_get_bytes(&d->db, out, err,
			"SELECT bytes FROM document WHERE vehicle = ? AND role = ?"
			" ORDER BY version DESC LIMIT 1",
			DB_ARGS(db_text(vehicle), db_text(role_name(role))));
	return db_get_bytes(&d->db, out, err,
		"SELECT bytes FROM document WHERE vehicle = ? AND role = ? AND version = ?",
		DB_ARGS(db_text(vehicle), db_text(role_name(role)), db_int((int64_t)version)));
}

enum upt_code
metadata_refresh(struct director *d, const char *vehicle, int64_t now, bool *signed_anew,
	struct upt_err *err)
{
	struct plan plan = {.vehicle = vehicle, .now = now};
	upt_cleanup(db_rollback) struct db_tx tx = {0};

	*signed_anew = false;
	UPT_TRY(make_plan(d, &plan, err));
	if (!plan.sign[ROLE_TIMESTAMP])
		return UPT_OK;
	/* Planned again under the write lock: `assign` may have run since. */
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(make_plan(d, &plan, err));
	if (!plan.sign[ROLE_TIMESTAMP])
		return UPT_OK;
	UPT_TRY(carry_out(d, &plan, err));
	UPT_TRY(db_commit(&tx, err));
	*signed_anew = true;
	return UPT_OK;
}
