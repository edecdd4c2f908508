/* Uptane Standard 2.1, "vehicle_version_manifest", "construct_manifest_primary". */
#include "manifest/fields.h"
#include "manifest/signed.h"

void
upt_vehicle_manifest_clear(struct upt_vehicle_manifest *m)
{
	free(m->reports);
	*m = (struct upt_vehicle_manifest){0};
}

const struct upt_manifest_entry *
upt_vehicle_manifest_find(const struct upt_vehicle_manifest *m, const char *ecu_serial)
{
	for (size_t i = 0; i < m->n_reports; i++) {
		if (strcmp(m->reports[i].ecu_serial, ecu_serial) == 0)
			return &m->reports[i];
	}
	return NULL;
}

/* ---- writing ---- */

/*
 * A report goes in as text: through cJSON's doubles its numbers could change and its signature with
 * them. The strict reader goes first, or a Secondary could close its object and write the
 * Primary's.
 */
static enum upt_code
add_report(cJSON *reports, const struct upt_manifest_entry *entry, struct upt_err *err)
{
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_json_doc doc;
	const char *text;
	enum upt_code code = UPT_OK;

	UPT_TRY(upt_manifest_check_name(entry->ecu_serial, "ECU serial", err));
	if (entry->envelope.len > UPT_REPORT_MAX_BYTES)
		code = upt_fail(err, UPT_E_TOO_LARGE, "%zu bytes, more than the %zu allowed",
			entry->envelope.len, UPT_REPORT_MAX_BYTES);
	if (code == UPT_OK)
		code = upt_json_check(entry->envelope, &doc, err);
	if (code == UPT_OK && doc.type != UPT_JSON_OBJECT)
		code = upt_fail(err, UPT_E_MALFORMED, "no object");
	if (code != UPT_OK)
		return upt_wrap(err, code, "report of ECU %s", entry->ecu_serial);
	text = upt_arena_string(&arena, doc.whole.text);
	if (text == NULL || cJSON_AddRawToObject(reports, entry->ecu_serial, text) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a report");
	return UPT_OK;
}

static enum upt_code
add_reports(cJSON *payload, const struct upt_vehicle_manifest *m, struct upt_err *err)
{
	cJSON *reports = cJSON_AddObjectToObject(payload, "ecu_version_manifests");

	if (reports == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for reports");
	if (m->n_reports > UPT_MANIFEST_MAX_REPORTS)
		return upt_fail(err, UPT_E_TOO_LARGE, "%zu reports, more than the %d allowed",
			m->n_reports, UPT_MANIFEST_MAX_REPORTS);
	for (size_t i = 0; i < m->n_reports; i++)
		UPT_TRY(add_report(reports, &m->reports[i], err));
	return UPT_OK;
}

static enum upt_code
fill_payload(cJSON *payload, const struct upt_vehicle_manifest *m, const cJSON *installation_report,
	struct upt_err *err)
{
	cJSON *copy;

	UPT_TRY(upt_manifest_check_name(m->primary_serial, "serial of the Primary", err));
	if (m->vehicle_id[0] != '\0') {
		UPT_TRY(upt_manifest_check_name(m->vehicle_id, "vehicle id", err));
		if (cJSON_AddStringToObject(payload, "vehicle_id", m->vehicle_id) == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a manifest");
	}
	if (cJSON_AddStringToObject(payload, "primary_ecu_serial", m->primary_serial) == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a manifest");
	UPT_TRY(add_reports(payload, m, err));
	if (installation_report == NULL)
		return UPT_OK;
	if (!cJSON_IsObject(installation_report))
		return upt_fail(err, UPT_E_MALFORMED, "installation report is no object");
	copy = cJSON_Duplicate(installation_report, true);
	if (copy == NULL || !cJSON_AddItemToObject(payload, "installation_report", copy)) {
		cJSON_Delete(copy);
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an installation report");
	}
	return UPT_OK;
}

enum upt_code
upt_vehicle_manifest_sign(const struct upt_vehicle_manifest *m, const cJSON *installation_report,
	const struct upt_private_key *primary_key, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_manifest_json_cleanup) cJSON *payload = cJSON_CreateObject();
	enum upt_code code;

	upt_buf_clear(out);
	if (payload == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a manifest");
	code = fill_payload(payload, m, installation_report, err);
	if (code == UPT_OK)
		code = upt_manifest_sign(payload, primary_key, out, err);
	if (code == UPT_OK && out->len > UPT_MANIFEST_MAX_BYTES)
		code = upt_fail(err, UPT_E_TOO_LARGE, "%zu bytes, more than the %zu allowed",
			out->len, UPT_MANIFEST_MAX_BYTES);
	if (code != UPT_OK) {
		upt_buf_clear(out);
		return upt_wrap(err, code, "vehicle manifest");
	}
	return UPT_OK;
}

/* ---- reading ---- */

enum {
	HAS_VEHICLE_ID = 1,
	HAS_PRIMARY = 2,
	HAS_REPORTS = 4,
};

static size_t
count_members(struct upt_span object)
{
	struct upt_json_iter it = upt_json_iter(object);
	size_t n = 0;

	while (upt_json_next(&it))
		n++;
	return n;
}

static enum upt_code
read_entry(struct upt_json_iter *it, struct upt_arena *arena, struct upt_manifest_entry *out,
	struct upt_err *err)
{
	UPT_TRY(upt_manifest_read_key(
		it, arena, "ECU serial", out->ecu_serial, sizeof(out->ecu_serial), err));
	UPT_TRY(upt_manifest_check_name(out->ecu_serial, "ECU serial", err));
	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(
			err, UPT_E_MALFORMED, "report of ECU %s is no object", out->ecu_serial);
	out->envelope = upt_json_value(it);
	if (out->envelope.len > UPT_REPORT_MAX_BYTES)
		return upt_fail(err, UPT_E_TOO_LARGE,
			"report of ECU %s of %zu bytes, more than the %zu allowed", out->ecu_serial,
			out->envelope.len, UPT_REPORT_MAX_BYTES);
	return UPT_OK;
}

/* The strict reader has refused one serial that comes twice, however it was escaped. */
static enum upt_code
read_reports(struct upt_json_iter *it, struct upt_arena *arena, struct upt_vehicle_manifest *m,
	struct upt_err *err)
{
	struct upt_span object = upt_json_value(it);
	struct upt_json_iter members = upt_json_iter(object);
	size_t n = count_members(object);

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "ecu_version_manifests is no object");
	if (n > UPT_MANIFEST_MAX_REPORTS)
		return upt_fail(err, UPT_E_TOO_LARGE, "%zu reports, more than the %d allowed", n,
			UPT_MANIFEST_MAX_REPORTS);
	m->reports = calloc(n + 1, sizeof(*m->reports));
	if (m->reports == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu reports", n);
	while (upt_json_next(&members)) {
		UPT_TRY(read_entry(&members, arena, &m->reports[m->n_reports], err));
		m->n_reports++;
	}
	return UPT_OK;
}

static enum upt_code
read_member(struct upt_json_iter *it, struct upt_arena *arena, struct upt_vehicle_manifest *m,
	unsigned *has, struct upt_err *err)
{
	if (upt_json_key_is(it, "vehicle_id")) {
		*has |= HAS_VEHICLE_ID;
		UPT_TRY(upt_manifest_read_text(
			it, arena, "vehicle_id", m->vehicle_id, sizeof(m->vehicle_id), err));
		return upt_manifest_check_name(m->vehicle_id, "vehicle_id", err);
	}
	if (upt_json_key_is(it, "primary_ecu_serial")) {
		*has |= HAS_PRIMARY;
		UPT_TRY(upt_manifest_read_text(it, arena, "primary_ecu_serial", m->primary_serial,
			sizeof(m->primary_serial), err));
		return upt_manifest_check_name(m->primary_serial, "primary_ecu_serial", err);
	}
	if (upt_json_key_is(it, "ecu_version_manifests")) {
		*has |= HAS_REPORTS;
		return read_reports(it, arena, m, err);
	}
	if (upt_json_key_is(it, "installation_report")) {
		if (it->type != UPT_JSON_OBJECT)
			return upt_fail(err, UPT_E_MALFORMED, "installation_report is no object");
		m->installation_report = upt_json_value(it);
	}
	return UPT_OK;
}

static enum upt_code
check_complete(unsigned has, enum upt_manifest_profile profile, struct upt_err *err)
{
	unsigned needed = HAS_PRIMARY | HAS_REPORTS;

	if (profile == UPT_MANIFEST_STANDARD)
		needed |= HAS_VEHICLE_ID;
	if ((has & needed) != needed)
		return upt_fail(err, UPT_E_MALFORMED, "vehicle manifest lacks%s%s%s",
			has & HAS_VEHICLE_ID ? "" : " vehicle_id",
			has & HAS_PRIMARY ? "" : " primary_ecu_serial",
			has & HAS_REPORTS ? "" : " ecu_version_manifests");
	return UPT_OK;
}

enum upt_code
upt_vehicle_manifest_check_as(enum upt_manifest_profile profile, struct upt_span envelope,
	const struct upt_public_key *primary_key, struct upt_vehicle_manifest *out,
	struct upt_err *err)
{
	upt_cleanup(upt_vehicle_manifest_clear) struct upt_vehicle_manifest m = {0};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_json_iter it;
	struct upt_span payload;
	unsigned has = 0;

	*out = (struct upt_vehicle_manifest){0};
	UPT_TRY(upt_manifest_open(envelope, UPT_MANIFEST_MAX_BYTES, primary_key, profile,
		"vehicle manifest", &arena, &payload, err));
	it = upt_json_iter(payload);
	while (upt_json_next(&it))
		UPT_TRY(read_member(&it, &arena, &m, &has, err));
	UPT_TRY(check_complete(has, profile, err));
	*out = m;
	m.reports = NULL;
	return UPT_OK;
}

enum upt_code
upt_vehicle_manifest_check(struct upt_span envelope, const struct upt_public_key *primary_key,
	struct upt_vehicle_manifest *out, struct upt_err *err)
{
	return upt_vehicle_manifest_check_as(
		UPT_MANIFEST_STANDARD, envelope, primary_key, out, err);
}
