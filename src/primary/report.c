#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "manifest/fields.h"
#include "primary/internal.h"

#define REPLY_MAX_BYTES ((size_t)64 * 1024)

/* "Cannot tell" and what this machine's user did are no incidents: told at every poll of a day
 * without a network, they would push real ones out. */
static bool
is_incident(enum upt_code code)
{
	return code != UPT_E_NETWORK && code != UPT_E_SERVER && code != UPT_E_ABSENT &&
	       code != UPT_E_CANCELLED && code != UPT_E_BUSY;
}

struct known_incident {
	const struct upt_incident *like;
	bool found;
};

static enum upt_code
compare_incident(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	struct known_incident *known = ctx;

	(void)err;
	known->found =
		known->found ||
		(incident->code == known->like->code && incident->repo == known->like->repo &&
			strcmp(incident->ecu, known->like->ecu) == 0 &&
			strcmp(incident->message, known->like->message) == 0);
	return UPT_OK;
}

void
upt_primary_record(struct upt_primary *p, const char *ecu, const struct upt_err *refusal)
{
	struct upt_incident incident = {
		.time = p->now, .code = refusal->code, .repo = refusal->repo};
	struct known_incident known = {.like = &incident};
	struct upt_err err = {0};
	enum upt_code code;

	if (!is_incident(refusal->code))
		return;
	snprintf(incident.ecu, sizeof(incident.ecu), "%s", ecu);
	snprintf(incident.message, sizeof(incident.message), "%s", refusal->message);
	/* Once until it is reported, however often it is seen: flash wears out. */
	code = upt_store_each_incident(p->store, true, compare_incident, &known, &err);
	if (code == UPT_OK && !known.found)
		code = upt_store_add_incident(p->store, &incident, &err);
	if (code != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err,
			"cannot keep an incident for the next report");
}

/* "ATTACK:CODE:REPOSITORY,..." of what was refused since the last accepted report. */
struct attacks {
	char text[UPT_ATTACKS_MAX];
	uint64_t last_id; /* the last incident that text tells of */
	bool full;
};

static bool
has_item(const char *list, const char *item)
{
	size_t len = strlen(item);

	for (const char *at = list; (at = strstr(at, item)) != NULL; at++) {
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* One attack repeated at every poll is said once; what does not fit is said in the next report. */
static enum upt_code
add_attack(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	const char *attack = upt_attack_name(upt_code_attack(incident->code));
	const char *repo = incident->repo_name;
	struct attacks *attacks = ctx;
	size_t used = strlen(attacks->text);
	char item[160];

	(void)err;
	snprintf(item, sizeof(item), "%s:%s%s%s", attack, upt_code_name(incident->code),
		repo[0] != '\0' ? ":" : "", repo);
	if (attack[0] != '\0' && !has_item(attacks->text, item)) {
		attacks->full = attacks->full || used + strlen(item) + 2 > sizeof(attacks->text);
		if (!attacks->full)
			snprintf(attacks->text + used, sizeof(attacks->text) - used, "%s%s",
				used > 0 ? "," : "", item);
	}
	if (!attacks->full)
		attacks->last_id = incident->id;
	return UPT_OK;
}

/* ---- the ECUs' reports ---- */

/*
 * A report that was seen before, or an older one, played back to hide what the ECU runs: the
 * Director would refuse the whole manifest for it, and with it the reports of all others.
 */
static enum upt_code
check_counter(struct upt_primary *p, struct upt_ecu *ecu, const struct upt_ecu_report *report,
	struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct upt_ecu_report *last = calloc(1, sizeof(*last));
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	enum upt_code code;

	if (last == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a version report");
	code = upt_store_load_report(p->store, ecu->config->serial, &envelope, err);
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	UPT_TRY(code);
	/* Signed by a key that the ECU no longer has: it says nothing about this one's counter. */
	if (upt_ecu_report_check(upt_buf_span(&envelope), ecu->key, last, err) != UPT_OK)
		return UPT_OK;
	if (report->report_counter > last->report_counter)
		return UPT_OK;
	return upt_fail(err, UPT_E_ROLLBACK, "report counter %llu after %llu",
		(unsigned long long)report->report_counter,
		(unsigned long long)last->report_counter);
}

/* Takes an ECU's report if its own key signed it; a Secondary that lies about another is caught
 * here. */
static enum upt_code
accept_report(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct upt_ecu_report *report = calloc(1, sizeof(*report));

	if (report == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a version report");
	if (ecu->key == NULL)
		return upt_fail(err, UPT_E_NETWORK, "it is not registered yet");
	UPT_TRY(upt_ecu_report_check(upt_buf_span(&ecu->report), ecu->key, report, err));
	if (strcmp(report->ecu_serial, ecu->config->serial) != 0)
		return upt_fail(
			err, UPT_E_MALFORMED, "its report is for ECU %.40s", report->ecu_serial);
	ecu->installed = report->installed;
	if (ecu->installer != NULL)
		return UPT_OK;
	UPT_TRY(check_counter(p, ecu, report, err));
	/* Kept for ECUs on other machines (2.23); what is made here can be made again. */
	UPT_TRY(upt_store_save_report(
		p->store, ecu->config->serial, upt_buf_span(&ecu->report), err));
	return upt_ecu_adopt_report(p, ecu, err);
}

static enum upt_code
collect_report(struct upt_primary *p, struct upt_ecu *ecu, const char *attacks, struct upt_err *err)
{
	UPT_TRY(ecu->link->ops->report(ecu->link, attacks, p->now, &ecu->report, err));
	return accept_report(p, ecu, err);
}

/* No Director takes a manifest without the Primary's own report; one that cannot tell what it runs
 * says that. */
static enum upt_code
report_unknown(struct upt_primary *p, struct upt_ecu *ecu, const char *attacks, struct upt_err *err)
{
	struct upt_ecu_report report = {.time = p->now, .report_counter = p->report_counter};

	snprintf(report.ecu_serial, sizeof(report.ecu_serial), "%s", ecu->config->serial);
	snprintf(report.attacks_detected, sizeof(report.attacks_detected), "%s", attacks);
	return upt_ecu_report_sign(&report, p->key, &ecu->report, err);
}

/* An ECU that cannot report must not keep the others from being updated, least of all when the
 * update is what would mend it. It is left out, as what it had last. */
static enum upt_code
miss_report(
	struct upt_primary *p, struct upt_ecu *ecu, const struct upt_err *why, struct upt_err *err)
{
	const char *serial = ecu->config->serial;

	upt_log_err(p->log, UPT_LOG_WARNING, why, "no version report from ECU %s", serial);
	upt_primary_record(p, serial, why);
	upt_buf_clear(&ecu->report);
	return upt_store_get_image(p->store, serial, UPT_SLOT_INSTALLED, &ecu->installed, err);
}

static enum upt_code
collect_reports(struct upt_primary *p, const char *attacks, struct upt_vehicle_manifest *manifest,
	struct upt_err *err)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		struct upt_ecu *ecu = &p->ecus[i];
		struct upt_manifest_entry *entry = &manifest->reports[manifest->n_reports];
		struct upt_err why = {0};
		enum upt_code code = collect_report(p, ecu, i == 0 ? attacks : "", &why);

		if (code == UPT_E_CANCELLED || code == UPT_E_NO_MEMORY || code == UPT_E_DATABASE)
			return upt_fail(err, code, "version report of ECU %s: %s",
				ecu->config->serial, why.message);
		ecu->reachable = code == UPT_OK;
		if (code != UPT_OK)
			UPT_TRY(miss_report(p, ecu, &why, err));
		if (code != UPT_OK && i == 0)
			UPT_TRY(report_unknown(p, ecu, attacks, err));
		if (ecu->report.len == 0)
			continue;
		snprintf(entry->ecu_serial, sizeof(entry->ecu_serial), "%s", ecu->config->serial);
		entry->envelope = upt_buf_span(&ecu->report);
		manifest->n_reports++;
	}
	return UPT_OK;
}

/* ---- the manifest ---- */

/* A Director that was restored from an older backup has forgotten the vehicle, or an ECU of it:
 * without this it would never hear of them again. */
static bool
is_forgotten(long status, const struct upt_buf *reply)
{
	cJSON *body = reply->len > 0 ? cJSON_ParseWithLength((const char *)reply->data, reply->len)
				     : NULL;
	const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "code"));
	bool unknown = code != NULL &&
		       (strcmp(code, "unknown_vehicle") == 0 || strcmp(code, "unknown_ecu") == 0);

	cJSON_Delete(body);
	return status == 404 || status == 412 || unknown;
}

static enum upt_code
put_manifest(struct upt_primary *p, struct upt_span body, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0}, reply = {0};
	enum upt_code code;
	long status;

	UPT_TRY(upt_buf_printf(&url, err, "%s/manifest", p->config->director.url));
	code = upt_http_send(p->http, "PUT", (const char *)url.data, "application/json", body,
		REPLY_MAX_BYTES, &reply, &status, err);
	if (code != UPT_OK && is_forgotten(status, &reply))
		upt_primary_register_again(p);
	return code;
}

enum upt_code
upt_primary_send_manifest(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_vehicle_manifest_clear) struct upt_vehicle_manifest manifest = {0};
	upt_cleanup(upt_manifest_json_cleanup) cJSON *bundle = NULL;
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	struct attacks attacks = {0};
	enum upt_code code;

	manifest.reports = calloc(p->n_ecus, sizeof(*manifest.reports));
	if (manifest.reports == NULL)
		return upt_fail(
			err, UPT_E_NO_MEMORY, "no memory for %zu version reports", p->n_ecus);
	snprintf(manifest.vehicle_id, sizeof(manifest.vehicle_id), "%s", p->config->vehicle_id);
	snprintf(manifest.primary_serial, sizeof(manifest.primary_serial), "%s",
		p->ecus[0].config->serial);
	UPT_TRY(upt_store_each_incident(p->store, true, add_attack, &attacks, err));
	UPT_TRY(upt_store_next_u64(p->store, "report_counter", &p->report_counter, err));
	UPT_TRY(collect_reports(p, attacks.text, &manifest, err));
	UPT_TRY(upt_bundle_report(p, &bundle, err));
	UPT_TRY(upt_vehicle_manifest_sign(&manifest, bundle, p->key, &body, err));
	code = put_manifest(p, upt_buf_span(&body), err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "sending the vehicle version manifest");
	p->changed = false;
	if (bundle != NULL)
		UPT_TRY(upt_bundle_reported(p, err));
	/* Only now: an attack that the Director did not hear of is told again. */
	return attacks.last_id > 0 ? upt_store_mark_reported(p->store, attacks.last_id, err)
				   : UPT_OK;
}
