#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "primary/internal.h"

#define REPLY_MAX_BYTES ((size_t)64 * 1024)

void
upt_primary_record(struct upt_primary *p, const char *ecu, const struct upt_err *refusal)
{
	struct upt_incident incident = {.time = p->now, .code = refusal->code, .repo = refusal->repo};
	struct upt_err err = {0};

	snprintf(incident.ecu, sizeof(incident.ecu), "%s", ecu);
	snprintf(incident.message, sizeof(incident.message), "%s", refusal->message);
	if (upt_store_add_incident(p->store, &incident, &err) != UPT_OK)
		upt_log_err(p->log, UPT_LOG_WARNING, &err, "cannot keep an incident for the next report");
}

/* "ATTACK:CODE:REPOSITORY,..." of what was refused since the last accepted report. */
struct attacks {
	char text[UPT_ATTACKS_MAX];
	uint64_t last_id;
};

static enum upt_code
add_attack(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	const char *attack = upt_attack_name(upt_code_attack(incident->code));
	const char *repo = upt_repo_name(incident->repo);
	struct attacks *attacks = ctx;
	char item[160];
	size_t used = strlen(attacks->text);

	(void)err;
	attacks->last_id = incident->id;
	if (attack[0] == '\0')
		return UPT_OK;
	snprintf(item, sizeof(item), "%s:%s%s%s", attack, upt_code_name(incident->code),
		repo[0] != '\0' ? ":" : "", repo);
	/* One attack repeated at every poll is said once; the Director knows when it heard it. */
	if (strstr(attacks->text, item) != NULL || used + strlen(item) + 2 > sizeof(attacks->text))
		return UPT_OK;
	snprintf(attacks->text + used, sizeof(attacks->text) - used, "%s%s", used > 0 ? "," : "", item);
	return UPT_OK;
}

/* Takes an ECU's report if its own key signed it; a Secondary that lies about another is caught here. */
static enum upt_code
accept_report(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) struct upt_ecu_report *report = calloc(1, sizeof(*report));
	struct upt_image stored;

	if (report == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a version report");
	UPT_TRY(upt_ecu_report_check(upt_buf_span(&ecu->report), ecu->key, report, err));
	if (strcmp(report->ecu_serial, ecu->config->serial) != 0)
		return upt_fail(err, UPT_E_MALFORMED, "its report is for ECU %.40s", report->ecu_serial);
	/* Release counters are not in a report: keep what the store knows of the same image. */
	UPT_TRY(upt_store_get_image(p->store, ecu->config->serial, UPT_SLOT_INSTALLED, &stored, err));
	ecu->installed = upt_image_same(&stored, &report->installed) ? stored : report->installed;
	return UPT_OK;
}

static enum upt_code
collect_report(struct upt_primary *p, struct upt_ecu *ecu, const char *attacks, struct upt_err *err)
{
	const char *serial = ecu->config->serial;

	UPT_TRY(ecu->link->ops->report(ecu->link, attacks, p->now, &ecu->report, err));
	UPT_TRY(accept_report(p, ecu, err));
	return upt_store_save_report(p->store, serial, upt_buf_span(&ecu->report), err);
}

/* A Secondary that cannot report must not keep the vehicle from being updated: its last report stands in. */
static enum upt_code
recall_report(struct upt_primary *p, struct upt_ecu *ecu, struct upt_err *err)
{
	enum upt_code code = upt_store_load_report(p->store, ecu->config->serial, &ecu->report, err);

	upt_buf_clear(&ecu->report); /* a replayed counter would be refused: leave it out of the manifest */
	if (code == UPT_E_NOT_FOUND)
		return UPT_OK;
	if (code != UPT_OK)
		return code;
	return upt_store_get_image(p->store, ecu->config->serial, UPT_SLOT_INSTALLED, &ecu->installed, err);
}

static enum upt_code
collect_reports(struct upt_primary *p, const char *attacks, struct upt_vehicle_manifest *manifest,
	struct upt_err *err)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		struct upt_ecu *ecu = &p->ecus[i];
		enum upt_code code = collect_report(p, ecu, i == 0 ? attacks : "", err);
		struct upt_manifest_entry *entry = &manifest->reports[manifest->n_reports];

		ecu->reachable = code == UPT_OK;
		if (code != UPT_OK) {
			if (!ecu->config->is_ip)
				return upt_wrap(err, code, "version report of ECU %s", ecu->config->serial);
			upt_log_err(p->log, UPT_LOG_WARNING, err, "no version report from Secondary %s",
				ecu->config->serial);
			UPT_TRY(recall_report(p, ecu, err));
			continue;
		}
		snprintf(entry->ecu_serial, sizeof(entry->ecu_serial), "%s", ecu->config->serial);
		entry->envelope = upt_buf_span(&ecu->report);
		manifest->n_reports++;
	}
	return UPT_OK;
}

static enum upt_code
put_manifest(struct upt_primary *p, struct upt_span body, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0}, reply = {0};
	long status;

	UPT_TRY(upt_buf_printf(&url, err, "%s/manifest", p->config->director.url));
	return upt_http_send(p->http, "PUT", (const char *)url.data, "application/json", body,
		REPLY_MAX_BYTES, &reply, &status, err);
}

enum upt_code
upt_primary_send_manifest(struct upt_primary *p, struct upt_err *err)
{
	upt_cleanup(upt_vehicle_manifest_clear) struct upt_vehicle_manifest manifest = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf body = {0};
	struct attacks attacks = {0};
	enum upt_code code;

	manifest.reports = calloc(p->n_ecus, sizeof(*manifest.reports));
	if (manifest.reports == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu version reports", p->n_ecus);
	snprintf(manifest.vehicle_id, sizeof(manifest.vehicle_id), "%s", p->config->vehicle_id);
	snprintf(manifest.primary_serial, sizeof(manifest.primary_serial), "%s", p->ecus[0].config->serial);
	UPT_TRY(upt_store_each_incident(p->store, true, add_attack, &attacks, err));
	UPT_TRY(collect_reports(p, attacks.text, &manifest, err));
	UPT_TRY(upt_vehicle_manifest_sign(&manifest, NULL, p->key, &body, err));
	code = put_manifest(p, upt_buf_span(&body), err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "sending the vehicle version manifest");
	/* Only now: an attack that the Director did not hear of is told again. */
	return attacks.last_id > 0 ? upt_store_mark_reported(p->store, attacks.last_id, err) : UPT_OK;
}
