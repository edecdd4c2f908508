/*
 * The installation report of a bundle, in the dialect that deployed Directors read (docs/pouf.md):
 * once, with the first accepted manifest after its end.
 */
#include <string.h>
#include "manifest/fields.h"
#include "primary/internal.h"

#define CONTENT_TYPE "application/vnd.com.here.otac.installationReport.v1"

static enum upt_code
no_memory(struct upt_err *err)
{
	return upt_fail(err, UPT_E_NO_MEMORY, "no memory for an installation report");
}

/* ---- what may be said ---- */

static bool
is_reported(const struct upt_primary *p, const struct upt_plan_member *m)
{
	for (size_t i = 0; i < p->n_ecus; i++) {
		const struct upt_ecu *ecu = &p->ecus[i];

		if (strcmp(ecu->config->serial, m->ecu) == 0)
			return ecu->reachable && upt_image_same(&ecu->installed, &m->image);
	}
	return false;
}

/* A Director that hears of a success and sees another image cancels what it assigned. */
static bool
reports_agree(const struct upt_primary *p)
{
	for (size_t i = 0; i < p->plan.n_members; i++) {
		if (p->plan.state == UPT_PLAN_CONFIRMED && !is_reported(p, &p->plan.members[i]))
			return false;
	}
	return true;
}

/* ---- in its words ---- */

static enum upt_code
add_result(cJSON *to, bool success, const char *code, const char *description, struct upt_err *err)
{
	cJSON *result = cJSON_AddObjectToObject(to, "result");

	if (result == NULL || cJSON_AddBoolToObject(result, "success", success) == NULL ||
		cJSON_AddStringToObject(result, "code", code) == NULL ||
		cJSON_AddStringToObject(result, "description", description) == NULL)
		return no_memory(err);
	return UPT_OK;
}

static const char *
code_of(const struct upt_plan_member *m)
{
	if (m->state == UPT_MEMBER_DONE)
		return "OK";
	/* It did nothing wrong: others of the bundle did. */
	return m->state == UPT_MEMBER_FAILED || m->state == UPT_MEMBER_KEPT ? "INSTALL_FAILED"
									    : "OPERATION_CANCELLED";
}

static enum upt_code
add_item(cJSON *items, const struct upt_plan_member *m, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	cJSON *item = cJSON_CreateObject();

	if (item == NULL || !cJSON_AddItemToArray(items, item)) {
		cJSON_Delete(item);
		return no_memory(err);
	}
	if (cJSON_AddStringToObject(item, "ecu", m->ecu) == NULL)
		return no_memory(err);
	UPT_TRY(upt_buf_printf(&text, err, "%s: %s%s%s", m->image.name,
		upt_member_state_text(m->state), m->reason[0] != '\0' ? ": " : "", m->reason));
	return add_result(
		item, m->state == UPT_MEMBER_DONE, code_of(m), (const char *)text.data, err);
}

static enum upt_code
fill(const struct upt_plan *plan, cJSON *envelope, struct upt_err *err)
{
	bool success = plan->state == UPT_PLAN_CONFIRMED;
	const char *text = success ? "all installed" : plan->reason;
	cJSON *report, *items;

	if (cJSON_AddStringToObject(envelope, "content_type", CONTENT_TYPE) == NULL)
		return no_memory(err);
	report = cJSON_AddObjectToObject(envelope, "report");
	if (report == NULL ||
		cJSON_AddStringToObject(report, "correlation_id", plan->correlation_id) == NULL ||
		cJSON_AddStringToObject(report, "raw_report", text) == NULL)
		return no_memory(err);
	UPT_TRY(add_result(report, success, success ? "OK" : "INSTALL_FAILED", text, err));
	items = cJSON_AddArrayToObject(report, "items");
	if (items == NULL)
		return no_memory(err);
	for (size_t i = 0; i < plan->n_members; i++)
		UPT_TRY(add_item(items, &plan->members[i], err));
	return UPT_OK;
}

enum upt_code
upt_bundle_report(const struct upt_primary *p, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_manifest_json_cleanup) cJSON *envelope = NULL;

	*out = NULL;
	if (!p->plan.reports || upt_plan_is_open(&p->plan) || !reports_agree(p))
		return UPT_OK;
	envelope = cJSON_CreateObject();
	if (envelope == NULL)
		return no_memory(err);
	UPT_TRY(fill(&p->plan, envelope, err));
	*out = envelope;
	envelope = NULL;
	return UPT_OK;
}

enum upt_code
upt_bundle_reported(struct upt_primary *p, struct upt_err *err)
{
	p->plan.reports = false;
	return upt_store_save_plan(p->store, &p->plan, err);
}
