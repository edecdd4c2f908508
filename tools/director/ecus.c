/*
 * Registration of a vehicle's ECUs. What is registered once stays: whoever steals a vehicle's TLS
 * key must not be able to put his own ECU key in the place of a real one (Uptane Standard 2.1,
 * "inventory_database"). New ECUs may join; taking one away is the operator's business.
 */
#include "json/json.h"
#include "metadata/image.h"
#include "reply.h"

struct ecu {
	const char *serial, *hardware_id, *key_type, *key_public;
	struct upt_public_key *key;
};

struct ecu_set {
	struct upt_arena arena;
	const char *primary;
	struct ecu ecus[ECUS_MAX];
	size_t n_ecus;
};

static void
ecu_set_free(struct ecu_set **set)
{
	if (*set == NULL)
		return;
	for (size_t i = 0; i < (*set)->n_ecus; i++)
		upt_public_key_free(&(*set)->ecus[i].key);
	upt_arena_clear(&(*set)->arena);
	free(*set);
	*set = NULL;
}

static enum upt_code
read_string(
	struct upt_arena *arena, struct upt_json_iter *it, const char **out, struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw))
		return upt_fail(err, UPT_E_MALFORMED, "a string is expected");
	return upt_json_decode_string(arena, raw, out, err);
}

/* Visible ASCII, so that a serial means one thing in canonical JSON, logs and tables. */
static bool
is_name(const char *s, size_t max)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		if (s[i] < 0x21 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return false;
	}
	return len >= 1 && len <= max;
}

/* {"keytype","keyval":{"public"}} */
static enum upt_code
read_key(struct upt_arena *arena, struct upt_json_iter *it, struct ecu *ecu, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);

	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "keytype")) {
			UPT_TRY(read_string(arena, &member, &ecu->key_type, err));
		} else if (upt_json_key_is(&member, "keyval")) {
			struct upt_json_iter value = upt_json_enter(&member);
			while (upt_json_next(&value)) {
				if (upt_json_key_is(&value, "public"))
					UPT_TRY(read_string(arena, &value, &ecu->key_public, err));
			}
		}
	}
	return UPT_OK;
}

static enum upt_code
check_ecu(struct ecu *ecu, struct upt_err *err)
{
	if (ecu->serial == NULL || !is_name(ecu->serial, UPT_ECU_SERIAL_MAX))
		return upt_fail(err, UPT_E_MALFORMED,
			"ecu_serial is missing or not 1 to %d visible characters",
			UPT_ECU_SERIAL_MAX);
	if (ecu->hardware_id == NULL || !is_name(ecu->hardware_id, UPT_HARDWARE_ID_MAX))
		return upt_fail(err, UPT_E_MALFORMED,
			"hardware_identifier of %s is missing or not 1 to %d visible characters",
			ecu->serial, UPT_HARDWARE_ID_MAX);
	if (ecu->key_type == NULL || ecu->key_public == NULL ||
		strlen(ecu->key_public) > UPT_KEY_TEXT_MAX_BYTES)
		return upt_fail(err, UPT_E_MALFORMED, "clientKey of %s is incomplete or too long",
			ecu->serial);
	enum upt_code code = upt_public_key_parse(
		upt_span_str(ecu->key_type), upt_span_str(ecu->key_public), &ecu->key, err);
	return code == UPT_OK ? UPT_OK : upt_wrap(err, code, "clientKey of %s", ecu->serial);
}

static enum upt_code
read_ecu(struct ecu_set *set, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);

	if (set->n_ecus == ECUS_MAX)
		return upt_fail(err, UPT_E_MALFORMED, "more than %d ECUs", ECUS_MAX);
	struct ecu *ecu = &set->ecus[set->n_ecus++];
	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "ecu_serial"))
			UPT_TRY(read_string(&set->arena, &member, &ecu->serial, err));
		else if (upt_json_key_is(&member, "hardware_identifier"))
			UPT_TRY(read_string(&set->arena, &member, &ecu->hardware_id, err));
		else if (upt_json_key_is(&member, "clientKey"))
			UPT_TRY(read_key(&set->arena, &member, ecu, err));
	}
	return check_ecu(ecu, err);
}

/* Serials and keys must differ, and the Primary must be one of the ECUs. */
static enum upt_code
check_set(const struct ecu_set *set, struct upt_err *err)
{
	bool has_primary = false;

	if (set->primary == NULL || set->n_ecus == 0)
		return upt_fail(err, UPT_E_MALFORMED, "primary_ecu_serial or ecus is missing");
	for (size_t i = 0; i < set->n_ecus; i++) {
		const struct ecu *a = &set->ecus[i];
		has_primary = has_primary || strcmp(a->serial, set->primary) == 0;
		for (size_t j = 0; j < i; j++) {
			const struct ecu *b = &set->ecus[j];
			if (strcmp(a->serial, b->serial) == 0)
				return upt_fail(
					err, UPT_E_MALFORMED, "ECU %s is listed twice", a->serial);
			/* With a shared key one ECU could report for the other. */
			if (memcmp(upt_public_key_fingerprint(a->key),
				    upt_public_key_fingerprint(b->key), 32) == 0)
				return upt_fail(err, UPT_E_MALFORMED, "ECUs %s and %s have one key",
					b->serial, a->serial);
		}
	}
	if (!has_primary)
		return upt_fail(
			err, UPT_E_MALFORMED, "the Primary %s is not among the ECUs", set->primary);
	return UPT_OK;
}

static enum upt_code
parse_set(struct upt_span body, struct ecu_set *set, struct upt_err *err)
{
	struct upt_json_doc doc;

	UPT_TRY(upt_json_check(body, &doc, err));
	if (doc.type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "an object is expected");
	struct upt_json_iter it = upt_json_iter(doc.whole.text);
	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "primary_ecu_serial")) {
			UPT_TRY(read_string(&set->arena, &it, &set->primary, err));
		} else if (upt_json_key_is(&it, "ecus") && it.type == UPT_JSON_ARRAY) {
			struct upt_json_iter element = upt_json_enter(&it);
			while (upt_json_next(&element))
				UPT_TRY(read_ecu(set, &element, err));
		}
	}
	return check_set(set, err);
}

/* Compares one ECU with its registration. *known: there is one; *same: and it is equal. */
static enum upt_code
compare_ecu(struct director *d, const char *vehicle, const struct ecu *ecu, bool *known, bool *same,
	struct upt_err *err)
{
	upt_cleanup(db_finish) sqlite3_stmt *statement = NULL;

	*same = false;
	UPT_TRY(db_query(&d->db, &statement, err,
		"SELECT hardware_id, key_fingerprint FROM ecu WHERE vehicle = ? AND serial = ?",
		DB_ARGS(db_text(vehicle), db_text(ecu->serial))));
	UPT_TRY(db_step(statement, known, err));
	if (*known)
		*same = strcmp(db_column_text(statement, 0), ecu->hardware_id) == 0 &&
			upt_span_equal(db_column_bytes(statement, 1),
				upt_span(upt_public_key_fingerprint(ecu->key), 32));
	return UPT_OK;
}

static enum upt_code
insert_ecu(struct director *d, const char *vehicle, const struct ecu *ecu, struct upt_err *err)
{
	return db_run(&d->db, err,
		"INSERT INTO ecu(vehicle, serial, position, hardware_id, key_type, key_public,"
		" key_fingerprint) VALUES (?1, ?2,"
		" (SELECT count(*) FROM ecu WHERE vehicle = ?1), ?3, ?4, ?5, ?6)",
		DB_ARGS(db_text(vehicle), db_text(ecu->serial), db_text(ecu->hardware_id),
			db_text(ecu->key_type), db_text(ecu->key_public),
			db_blob(upt_span(upt_public_key_fingerprint(ecu->key), 32))));
}

/* The registered Primary into *out (empty buffer: the vehicle is new). */
static enum upt_code
get_primary(struct director *d, const char *vehicle, struct upt_buf *out, struct upt_err *err)
{
	enum upt_code code = db_get_bytes(&d->db, out, err,
		"SELECT primary_serial FROM vehicle WHERE id = ?", DB_ARGS(db_text(vehicle)));

	return code == UPT_E_NOT_FOUND ? UPT_OK : code;
}

/* Refuses (reply->status set) or notes in is_new which ECUs must be inserted. */
static enum upt_code
check_against_registered(struct director *d, const struct request *request,
	const struct ecu_set *set, bool is_new[static ECUS_MAX], size_t *n_new, struct reply *reply,
	struct upt_err *err)
{
	for (size_t i = 0; i < set->n_ecus; i++) {
		const struct ecu *ecu = &set->ecus[i];
		bool known = false, same = false;
		UPT_TRY(compare_ecu(d, request->vehicle, ecu, &known, &same, err));
		if (known && !same)
			return reply_error(reply, err, 409, "ecu_registered",
				"ECU %s is registered with another key or hardware id",
				ecu->serial);
		is_new[i] = !known;
		*n_new += !known;
	}
	int64_t n_known = 0, n_shared = 0;
	UPT_TRY(db_get_int(&d->db, &n_known, err, "SELECT count(*) FROM ecu WHERE vehicle = ?",
		DB_ARGS(db_text(request->vehicle))));
	if ((size_t)n_known + *n_new > ECUS_MAX)
		return reply_error(reply, err, 409, "too_many_ecus",
			"the vehicle would have more than %d ECUs", ECUS_MAX);
	for (size_t i = 0; i < set->n_ecus; i++) {
		if (!is_new[i])
			continue;
		UPT_TRY(db_get_int(&d->db, &n_shared, err,
			"SELECT count(*) FROM ecu WHERE vehicle = ? AND key_fingerprint = ?",
			DB_ARGS(db_text(request->vehicle),
				db_blob(upt_span(
					upt_public_key_fingerprint(set->ecus[i].key), 32)))));
		if (n_shared > 0)
			return reply_error(reply, err, 409, "key_registered",
				"the key of ECU %s is registered for another ECU",
				set->ecus[i].serial);
	}
	return UPT_OK;
}

static enum upt_code
register_set(struct director *d, const struct request *request, const struct ecu_set *set,
	struct reply *reply, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf primary = {0};
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	bool is_new[ECUS_MAX] = {false};
	size_t n_new = 0;

	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(get_primary(d, request->vehicle, &primary, err));
	if (primary.len > 0 && !upt_span_equal(upt_buf_span(&primary), upt_span_str(set->primary)))
		return reply_error(reply, err, 409, "primary_registered",
			"the vehicle is registered with the Primary %s",
			(const char *)primary.data);
	UPT_TRY(check_against_registered(d, request, set, is_new, &n_new, reply, err));
	if (reply->status != 0)
		return UPT_OK;
	if (primary.len == 0)
		UPT_TRY(db_run(&d->db, err,
			"INSERT INTO vehicle(id, primary_serial, registered_at) VALUES (?, ?, ?)",
			DB_ARGS(db_text(request->vehicle), db_text(set->primary),
				db_int(request->now))));
	for (size_t i = 0; i < set->n_ecus; i++) {
		if (is_new[i])
			UPT_TRY(insert_ecu(d, request->vehicle, &set->ecus[i], err));
	}
	UPT_TRY(db_commit(&tx, err));
	reply->status = n_new > 0 ? 201 : 200;
	return UPT_OK;
}

enum upt_code
ecus_post(
	struct director *d, const struct request *request, struct reply *reply, struct upt_err *err)
{
	upt_cleanup(ecu_set_free) struct ecu_set *set = calloc(1, sizeof(*set));

	reply_clear(reply);
	if (set == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "out of memory");
	enum upt_code code = parse_set(request->body, set, err);
	if (code == UPT_E_NO_MEMORY || code == UPT_E_INTERNAL)
		return code;
	if (code != UPT_OK) {
		char message[UPT_ERR_MESSAGE_MAX];
		memcpy(message, err->message, sizeof(message));
		*err = (struct upt_err){0};
		return reply_error(reply, err, 400, "malformed", "%s", message);
	}
	return register_set(d, request, set, reply, err);
}
