/*
 * Events tell people how an installation goes; nothing is decided by them. They are not signed, so
 * they are kept as the vehicle's TLS identity sent them, and only the newest of each vehicle.
 */
#include "json/json.h"
#include "reply.h"

#define EVENT_ID_MAX 64
#define EVENT_TYPE_MAX 64

static enum upt_code
read_string(struct upt_arena *arena, struct upt_json_iter *it, size_t max, const char **out,
	struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw))
		return upt_fail(err, UPT_E_MALFORMED, "a string is expected");
	UPT_TRY(upt_json_decode_string(arena, raw, out, err));
	if (strlen(*out) > max)
		return upt_fail(err, UPT_E_MALFORMED, "a string of more than %zu bytes", max);
	return UPT_OK;
}

/* "eventType":{"id"} */
static enum upt_code
read_type(struct upt_arena *arena, struct upt_json_iter *it, const char **out, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);

	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "id"))
			UPT_TRY(read_string(arena, &member, EVENT_TYPE_MAX, out, err));
	}
	return UPT_OK;
}

static enum upt_code
record_event(struct director *d, const struct request *request, struct upt_json_iter *it,
	struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	const char *id = NULL, *type = NULL;
	struct upt_span bytes = upt_json_value(it);
	struct upt_json_iter member = upt_json_enter(it);

	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "id"))
			UPT_TRY(read_string(&arena, &member, EVENT_ID_MAX, &id, err));
		else if (upt_json_key_is(&member, "eventType"))
			UPT_TRY(read_type(&arena, &member, &type, err));
	}
	if (id == NULL || type == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "an event without id or eventType.id");
	/* A vehicle that lost our answer sends its queue again. */
	return db_run(&d->db, err,
		"INSERT INTO event(vehicle, id, received_at, type, bytes) VALUES (?, ?, ?, ?, ?)"
		" ON CONFLICT DO NOTHING",
		DB_ARGS(db_text(request->vehicle), db_text(id), db_int(request->now), db_text(type),
			db_blob(bytes)));
}

static enum upt_code
record_events(
	struct director *d, const struct request *request, struct reply *reply, struct upt_err *err)
{
	struct upt_json_doc doc;
	size_t n = 0;

	UPT_TRY(upt_json_check(request->body, &doc, err));
	if (doc.type != UPT_JSON_ARRAY)
		return upt_fail(err, UPT_E_MALFORMED, "an array is expected");
	struct upt_json_iter it = upt_json_iter(doc.whole.text);
	while (upt_json_next(&it)) {
		if (++n > EVENTS_MAX)
			return reply_error(
				reply, err, 413, "too_large", "more than %d events", EVENTS_MAX);
		UPT_TRY(record_event(d, request, &it, err));
	}
	return db_run(&d->db, err,
		"DELETE FROM event WHERE vehicle = ?1 AND rowid NOT IN (SELECT rowid FROM event"
		" WHERE vehicle = ?1 ORDER BY rowid DESC LIMIT ?2)",
		DB_ARGS(db_text(request->vehicle), db_int(EVENTS_KEPT)));
}

enum upt_code
events_post(
	struct director *d, const struct request *request, struct reply *reply, struct upt_err *err)
{
	upt_cleanup(db_rollback) struct db_tx tx = {0};
	int64_t n_vehicles = 0;

	reply_clear(reply);
	UPT_TRY(db_begin(&d->db, &tx, err));
	UPT_TRY(db_get_int(&d->db, &n_vehicles, err, "SELECT count(*) FROM vehicle WHERE id = ?",
		DB_ARGS(db_text(request->vehicle))));
	if (n_vehicles == 0)
		return reply_error(reply, err, 403, "unknown_vehicle",
			"vehicle %s registered no ECUs", request->vehicle);
	enum upt_code code = record_events(d, request, reply, err);
	if (code == UPT_E_MALFORMED) {
		char message[UPT_ERR_MESSAGE_MAX];
		memcpy(message, err->message, sizeof(message));
		*err = (struct upt_err){0};
		return reply_error(reply, err, 400, "malformed", "%s", message);
	}
	UPT_TRY(code);
	if (reply->status != 0)
		return UPT_OK;
	UPT_TRY(db_commit(&tx, err));
	reply->status = 204;
	return UPT_OK;
}
