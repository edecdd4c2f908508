#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/encode.h"
#include "cli/cli.h"
#include "cli/text.h"
#include "manifest/manifest.h"
#include "primary/plan.h"
#include "storage/store.h"

#define N_INCIDENTS 5

/* Everything that status shows, as one JSON object: the table is a view of the same facts. */

static void
delete_json(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

static enum upt_code
no_memory(struct upt_err *err)
{
	return upt_fail(err, UPT_E_NO_MEMORY, "no memory for the status");
}

static enum upt_code
add_image(cJSON *ecu, const char *field, struct upt_store *store, const char *serial,
	enum upt_image_slot slot, struct upt_err *err)
{
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	struct upt_image image;
	cJSON *object;

	UPT_TRY(upt_store_get_image(store, serial, slot, &image, err));
	if (image.name[0] == '\0')
		return cJSON_AddNullToObject(ecu, field) != NULL ? UPT_OK : no_memory(err);
	object = cJSON_AddObjectToObject(ecu, field);
	if (object == NULL || cJSON_AddStringToObject(object, "name", image.name) == NULL ||
		!upt_manifest_add_u64(object, "length", image.length_bytes))
		return no_memory(err);
	for (size_t i = 0; i < image.n_digests; i++) {
		upt_hex_encode(upt_span(image.digests[i].bytes, image.digests[i].len), hex);
		if (cJSON_AddStringToObject(object, upt_hash_name(image.digests[i].alg), hex) ==
			NULL)
			return no_memory(err);
	}
	if (image.has_release_counter &&
		!upt_manifest_add_u64(object, "releaseCounter", image.release_counter))
		return no_memory(err);
	return UPT_OK;
}

/* "SECONDS CODE MESSAGE" as the cycle noted it; null before the first one. */
static enum upt_code
add_last_cycle(cJSON *status, struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char when[UPT_TIME_TEXT_SIZE];
	char *code, *message;
	cJSON *object;

	UPT_TRY(upt_store_get_text(store, "last_cycle", &text, err));
	if (text.len == 0)
		return cJSON_AddNullToObject(status, "lastCycle") != NULL ? UPT_OK : no_memory(err);
	upt_time_format(strtoll((const char *)text.data, &code, 10), when);
	code += *code == ' ';
	message = code + strcspn(code, " ");
	if (*message != '\0')
		*message++ = '\0';
	object = cJSON_AddObjectToObject(status, "lastCycle");
	if (object == NULL || cJSON_AddStringToObject(object, "time", when) == NULL ||
		cJSON_AddStringToObject(object, "code", code) == NULL ||
		cJSON_AddStringToObject(object, "message", message) == NULL)
		return no_memory(err);
	return UPT_OK;
}

/* Cuts the next word off the front of text. */
static char *
next_word(char **text)
{
	char *word = *text, *end = word + strcspn(word, " ");

	*text = end + (*end != '\0');
	*end = '\0';
	return word;
}

/* "UNTIL STEP GATE REASON" as the cycle noted it; null while nothing waits. */
static enum upt_code
add_gate_wait(cJSON *status, struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char until[UPT_TIME_TEXT_SIZE];
	cJSON *object;
	char *rest;

	UPT_TRY(upt_store_get_text(store, "waits", &text, err));
	if (text.len == 0)
		return cJSON_AddNullToObject(status, "waits") != NULL ? UPT_OK : no_memory(err);
	rest = (char *)text.data;
	upt_time_format(strtoll(next_word(&rest), NULL, 10), until);
	object = cJSON_AddObjectToObject(status, "waits");
	if (object == NULL || cJSON_AddStringToObject(object, "step", next_word(&rest)) == NULL ||
		cJSON_AddStringToObject(object, "gate", next_word(&rest)) == NULL ||
		cJSON_AddStringToObject(object, "until", until) == NULL ||
		cJSON_AddStringToObject(object, "reason", rest) == NULL)
		return no_memory(err);
	return UPT_OK;
}

/* The inhibitor's reason now, whether or not anything waits for it; null without one. */
static enum upt_code
add_inhibitor(const struct upt_cli *cli, cJSON *status, struct upt_err *err)
{
	const char *path = cli->config.gates.inhibit_path;
	char reason[UPT_REASON_SIZE];
	const cJSON *added;

	if (path != NULL && upt_inhibitor_find(path, reason))
		added = cJSON_AddStringToObject(status, "inhibited", reason);
	else
		added = cJSON_AddNullToObject(status, "inhibited");
	return added != NULL ? UPT_OK : no_memory(err);
}

/* Of the lines "HEX WHAT" the one for what is installed; "" when none is. */
static enum upt_code
add_vouchers(cJSON *ecu, struct upt_store *store, const char *serial, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	char hex[2 * UPT_HASH_MAX_BYTES + 1] = "", name[UPT_ECU_SERIAL_MAX + 32];
	struct upt_image image;
	char *line, *found = NULL;

	snprintf(name, sizeof(name), "vouchers:%s", serial);
	UPT_TRY(upt_store_get_text(store, name, &text, err));
	UPT_TRY(upt_store_get_image(store, serial, UPT_SLOT_INSTALLED, &image, err));
	if (image.n_digests > 0)
		upt_hex_encode(upt_span(image.digests[0].bytes, image.digests[0].len), hex);
	line = text.len > 0 && hex[0] != '\0' ? (char *)text.data : NULL;
	for (char *end; found == NULL && line != NULL && (end = strchr(line, '\n')) != NULL;
		line = end + 1) {
		*end = '\0';
		if (strncmp(line, hex, strlen(hex)) == 0 && line[strlen(hex)] == ' ')
			found = line + strlen(hex) + 1;
	}
	return cJSON_AddStringToObject(ecu, "vouchedBy", found != NULL ? found : "") != NULL
		       ? UPT_OK
		       : no_memory(err);
}

/* What must happen before pending is what runs: "trial" of what has booted, "reboot", or a "report"
 * of a Secondary, which was told to install it; "" when nothing is pending. */
static enum upt_code
add_wait(cJSON *ecu, struct upt_store *store, const struct upt_ecu_config *config,
	struct upt_err *err)
{
	char name[UPT_ECU_SERIAL_MAX + 16];
	const char *what = config->is_ip ? "report" : "reboot";
	uint64_t n_trials;

	snprintf(name, sizeof(name), "trials:%s", config->serial);
	UPT_TRY(upt_store_get_u64(store, name, 0, &n_trials, err));
	if (n_trials > 0)
		what = "trial";
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(ecu, "pending")))
		what = "";
	return cJSON_AddStringToObject(ecu, "waitsFor", what) != NULL ? UPT_OK : no_memory(err);
}

static enum upt_code
add_ecu(cJSON *list, struct upt_store *store, const struct upt_ecu_config *config,
	struct upt_err *err)
{
	cJSON *ecu = cJSON_CreateObject();

	if (ecu == NULL || !cJSON_AddItemToArray(list, ecu) ||
		cJSON_AddStringToObject(ecu, "ecu", config->serial) == NULL ||
		cJSON_AddStringToObject(ecu, "hardwareId", config->hardware_id) == NULL)
		return no_memory(err);
	UPT_TRY(add_image(ecu, "installed", store, config->serial, UPT_SLOT_INSTALLED, err));
	UPT_TRY(add_image(ecu, "previous", store, config->serial, UPT_SLOT_PREVIOUS, err));
	UPT_TRY(add_image(ecu, "pending", store, config->serial, UPT_SLOT_PENDING, err));
	UPT_TRY(add_wait(ecu, store, config, err));
	UPT_TRY(add_image(ecu, "refused", store, config->serial, UPT_SLOT_REFUSED, err));
	return add_vouchers(ecu, store, config->serial, err);
}

static enum upt_code
add_member(cJSON *list, const struct upt_plan_member *m, struct upt_err *err)
{
	cJSON *object = cJSON_CreateObject();

	if (object == NULL || !cJSON_AddItemToArray(list, object) ||
		cJSON_AddStringToObject(object, "ecu", m->ecu) == NULL ||
		cJSON_AddStringToObject(object, "image", m->image.name) == NULL ||
		cJSON_AddStringToObject(object, "before", m->before.name) == NULL ||
		cJSON_AddBoolToObject(object, "reversible", m->reversible) == NULL ||
		cJSON_AddStringToObject(object, "state", upt_member_state_text(m->state)) == NULL ||
		cJSON_AddStringToObject(object, "reason", m->reason) == NULL)
		return no_memory(err);
	return UPT_OK;
}

/* The plan of the last bundle, its members in the order of installation; null before the first. */
static enum upt_code
add_bundle(cJSON *status, struct upt_store *store, struct upt_err *err)
{
	upt_cleanup(upt_plan_clear) struct upt_plan plan = {0};
	char when[UPT_TIME_TEXT_SIZE];
	cJSON *object, *members;

	UPT_TRY(upt_store_load_plan(store, &plan, err));
	if (plan.state == UPT_PLAN_NONE)
		return cJSON_AddNullToObject(status, "bundle") != NULL ? UPT_OK : no_memory(err);
	upt_time_format(plan.time, when);
	object = cJSON_AddObjectToObject(status, "bundle");
	if (object == NULL || cJSON_AddStringToObject(object, "time", when) == NULL ||
		cJSON_AddStringToObject(object, "correlationId", plan.correlation_id) == NULL ||
		!upt_manifest_add_u64(object, "targetsVersion", plan.targets_version) ||
		cJSON_AddStringToObject(object, "state", upt_plan_state_text(plan.state)) == NULL ||
		cJSON_AddStringToObject(object, "reason", plan.reason) == NULL ||
		cJSON_AddBoolToObject(object, "reportWaits", plan.reports) == NULL)
		return no_memory(err);
	members = cJSON_AddArrayToObject(object, "members");
	if (members == NULL)
		return no_memory(err);
	for (size_t i = 0; i < plan.n_members; i++)
		UPT_TRY(add_member(members, &plan.members[i], err));
	return UPT_OK;
}

static enum upt_code
add_repo(cJSON *metadata, struct upt_store *store, const char *name, enum upt_repo repo,
	struct upt_err *err)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets"};
	cJSON *object = cJSON_AddObjectToObject(metadata, name);
	uint64_t first, version = 0;
	enum upt_code code = upt_store_root_versions(store, repo, &first, &version, err);

	if (code != UPT_OK && code != UPT_E_NOT_FOUND)
		return code;
	if (object == NULL || !upt_manifest_add_u64(object, "root", version))
		return no_memory(err);
	for (size_t i = 0; i < 3; i++) {
		UPT_TRY(upt_store_document_version(store, repo, roles[i], &version, err));
		if (!upt_manifest_add_u64(object, roles[i], version))
			return no_memory(err);
	}
	return UPT_OK;
}

static enum upt_code
add_repos(struct upt_cli *cli, struct upt_store *store, cJSON *metadata, struct upt_err *err)
{
	UPT_TRY(add_repo(metadata, store, "director", UPT_REPO_DIRECTOR, err));
	UPT_TRY(add_repo(metadata, store, "image", UPT_REPO_IMAGE, err));
	for (size_t i = 0; i < cli->config.n_others; i++) {
		const char *name = cli->config.others[i].name;
		enum upt_repo repo;
		enum upt_code code = upt_store_find_repo(store, name, &repo, err);

		/* Configured since the last start: nothing of it is known, as UPT_REPO_NONE has it.
		 */
		if (code != UPT_OK && code != UPT_E_NOT_FOUND)
			return code;
		UPT_TRY(add_repo(metadata, store, name, repo, err));
	}
	return UPT_OK;
}

static enum upt_code
add_incident(void *ctx, const struct upt_incident *incident, struct upt_err *err)
{
	cJSON *list = ctx, *object = cJSON_CreateObject();
	char time_text[UPT_TIME_TEXT_SIZE];

	upt_time_format(incident->time, time_text);
	if (object == NULL || !cJSON_AddItemToArray(list, object) ||
		cJSON_AddStringToObject(object, "time", time_text) == NULL ||
		cJSON_AddStringToObject(object, "code", upt_code_name(incident->code)) == NULL ||
		cJSON_AddStringToObject(object, "attack",
			upt_attack_name(upt_code_attack(incident->code))) == NULL ||
		cJSON_AddStringToObject(object, "repository", incident->repo_name) == NULL ||
		cJSON_AddStringToObject(object, "ecu", incident->ecu) == NULL ||
		cJSON_AddStringToObject(object, "message", incident->message) == NULL)
		return no_memory(err);
	while (cJSON_GetArraySize(list) > N_INCIDENTS)
		cJSON_DeleteItemFromArray(list, 0);
	return UPT_OK;
}

static enum upt_code
collect(struct upt_cli *cli, struct upt_store *store, cJSON *status, struct upt_err *err)
{
	cJSON *ecus, *metadata, *incidents;

	if (cJSON_AddStringToObject(status, "vehicleId", cli->config.vehicle_id) == NULL)
		return no_memory(err);
	UPT_TRY(add_last_cycle(status, store, err));
	UPT_TRY(add_bundle(status, store, err));
	UPT_TRY(add_gate_wait(status, store, err));
	UPT_TRY(add_inhibitor(cli, status, err));
	ecus = cJSON_AddArrayToObject(status, "ecus");
	metadata = cJSON_AddObjectToObject(status, "metadata");
	incidents = cJSON_AddArrayToObject(status, "incidents");
	if (ecus == NULL || metadata == NULL || incidents == NULL)
		return no_memory(err);
	for (size_t i = 0; i < cli->config.n_ecus; i++)
		UPT_TRY(add_ecu(ecus, store, &cli->config.ecus[i], err));
	UPT_TRY(add_repos(cli, store, metadata, err));
	return upt_store_each_incident(store, false, add_incident, incidents, err);
}

/* ---- the same facts for people ---- */

static const char *
text_of(const cJSON *object, const char *field)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, field);

	if (cJSON_IsObject(value))
		value = cJSON_GetObjectItemCaseSensitive(value, "name");
	if (cJSON_IsRaw(value) || cJSON_IsString(value))
		return value->valuestring;
	return "-";
}

static void
print_line(unsigned columns, const char *before, const char *text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf line = {0};
	struct upt_err err;

	if (upt_buf_printf(&line, &err, "%s%s", before, text) == UPT_OK)
		upt_text_paragraph(stdout, (const char *)line.data, columns);
}

static void
print_last_cycle(const cJSON *status, unsigned columns)
{
	const cJSON *last = cJSON_GetObjectItemCaseSensitive(status, "lastCycle");
	upt_cleanup(upt_buf_clear) struct upt_buf line = {0};
	struct upt_err err;

	if (!cJSON_IsObject(last)) {
		puts("last cycle none yet");
		return;
	}
	if (upt_buf_printf(&line, &err, "last cycle %s %s%s%s", text_of(last, "time"),
		    text_of(last, "code"), text_of(last, "message")[0] != '\0' ? ": " : "",
		    text_of(last, "message")) == UPT_OK)
		upt_text_paragraph(stdout, (const char *)line.data, columns);
}

static void
print_gates(const cJSON *status, unsigned columns)
{
	const cJSON *wait = cJSON_GetObjectItemCaseSensitive(status, "waits");
	const cJSON *inhibited = cJSON_GetObjectItemCaseSensitive(status, "inhibited");
	upt_cleanup(upt_buf_clear) struct upt_buf line = {0};
	struct upt_err err;

	if (cJSON_IsObject(wait) &&
		upt_buf_printf(&line, &err, "%s waits for gate %s until %s%s%s",
			text_of(wait, "step"), text_of(wait, "gate"), text_of(wait, "until"),
			text_of(wait, "reason")[0] != '\0' ? ": " : "",
			text_of(wait, "reason")) == UPT_OK)
		upt_text_paragraph(stdout, (const char *)line.data, columns);
	if (cJSON_IsString(inhibited))
		print_line(columns, "inhibited   ", inhibited->valuestring);
}

/* Header and a row for each member of list, whose cells are fields of it. */
static enum upt_code
print_table_of(const cJSON *list, const char *const *header, const char *const *fields, size_t n,
	unsigned columns, struct upt_err *err)
{
	size_t n_rows = (size_t)cJSON_GetArraySize(list) + 1, at = n;
	upt_cleanup(upt_free_ptr) const char **cells = calloc(n_rows * n, sizeof(*cells));
	const cJSON *item;

	if (cells == NULL)
		return no_memory(err);
	memcpy(cells, header, n * sizeof(*cells));
	cJSON_ArrayForEach(item, list)
	{
		for (size_t i = 0; i < n; i++)
			cells[at++] = fields[i] != NULL ? text_of(item, fields[i]) : item->string;
	}
	upt_text_table(stdout, cells, n_rows, n, columns);
	return UPT_OK;
}

static const char *
say_wait(const char *what)
{
	if (strcmp(what, "trial") == 0)
		return "  has booted and is on trial: ";
	return strcmp(what, "report") == 0 ? "  told to install, not reported yet: "
					   : "  waits for a reboot: ";
}

static void
print_ecu_notes(const cJSON *ecus, unsigned columns)
{
	const cJSON *ecu;

	cJSON_ArrayForEach(ecu, ecus)
	{
		bool waits = strcmp(text_of(ecu, "pending"), "-") != 0;
		bool refused = strcmp(text_of(ecu, "refused"), "-") != 0;
		bool vouched = text_of(ecu, "vouchedBy")[0] != '\0';

		if (!waits && !refused && !vouched)
			continue;
		print_line(columns, "", text_of(ecu, "ecu"));
		if (waits)
			print_line(columns, say_wait(text_of(ecu, "waitsFor")),
				text_of(ecu, "pending"));
		if (refused)
			print_line(columns, "  not installed again: ", text_of(ecu, "refused"));
		if (vouched)
			print_line(columns, "  vouched for by ", text_of(ecu, "vouchedBy"));
	}
}

static void
print_bundle(const cJSON *bundle, unsigned columns)
{
	const char *reason = text_of(bundle, "reason");
	const cJSON *member;

	if (!cJSON_IsObject(bundle))
		return;
	print_line(columns, "bundle      ", text_of(bundle, "state"));
	if (reason[0] != '\0')
		print_line(columns, "  ", reason);
	cJSON_ArrayForEach(member, cJSON_GetObjectItemCaseSensitive(bundle, "members"))
	{
		upt_cleanup(upt_buf_clear) struct upt_buf line = {0};
		struct upt_err err;

		if (upt_buf_printf(&line, &err, "  %s: %s %s%s", text_of(member, "ecu"),
			    text_of(member, "image"), text_of(member, "state"),
			    cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(member, "reversible"))
				    ? ""
				    : ", cannot be rolled back") == UPT_OK)
			upt_text_paragraph(stdout, (const char *)line.data, columns);
	}
}

static void
print_incidents(const cJSON *incidents, unsigned columns)
{
	const cJSON *incident;

	if (cJSON_GetArraySize(incidents) > 0)
		puts("\nLATEST INCIDENTS");
	cJSON_ArrayForEach(incident, incidents)
	{
		const char *attack = text_of(incident, "attack"), *ecu = text_of(incident, "ecu");
		upt_cleanup(upt_buf_clear) struct upt_buf line = {0};
		struct upt_err err;

		if (upt_buf_printf(&line, &err, "%s %s%s%s:%s%s %s", text_of(incident, "time"),
			    text_of(incident, "code"), attack[0] != '\0' ? ", attack " : "", attack,
			    ecu[0] != '\0' ? " ECU " : "", ecu,
			    text_of(incident, "message")) == UPT_OK)
			upt_text_paragraph(stdout, (const char *)line.data, columns);
	}
}

static enum upt_code
print_text(const cJSON *status, struct upt_err *err)
{
	static const char *const ecu_header[] = {"ECU", "HARDWARE", "RUNS", "BEFORE"};
	static const char *const ecu_fields[] = {"ecu", "hardwareId", "installed", "previous"};
	static const char *const repo_header[] = {
		"TRUSTED METADATA", "ROOT", "TIMESTAMP", "SNAPSHOT", "TARGETS"};
	static const char *const repo_fields[] = {NULL, "root", "timestamp", "snapshot", "targets"};
	const cJSON *ecus = cJSON_GetObjectItemCaseSensitive(status, "ecus");
	unsigned columns = upt_text_columns();

	print_line(columns, "vehicle ", text_of(status, "vehicleId"));
	print_last_cycle(status, columns);
	print_bundle(cJSON_GetObjectItemCaseSensitive(status, "bundle"), columns);
	print_gates(status, columns);
	puts("");
	UPT_TRY(print_table_of(ecus, ecu_header, ecu_fields, 4, columns, err));
	puts("");
	print_ecu_notes(ecus, columns);
	puts("");
	UPT_TRY(print_table_of(cJSON_GetObjectItemCaseSensitive(status, "metadata"), repo_header,
		repo_fields, 5, columns, err));
	print_incidents(cJSON_GetObjectItemCaseSensitive(status, "incidents"), columns);
	return UPT_OK;
}

enum upt_code
upt_cli_status(struct upt_cli *cli, struct upt_err *err)
{
	upt_cleanup(upt_store_close) struct upt_store *store = NULL;
	upt_cleanup(delete_json) cJSON *status = cJSON_CreateObject();
	upt_cleanup(upt_free_ptr) char *text = NULL;

	if (status == NULL)
		return no_memory(err);
	UPT_TRY(upt_store_open(cli->config.state_dir, UPT_STORE_READ_ONLY, &store, err));
	UPT_TRY(collect(cli, store, status, err));
	if (!cli->json)
		return print_text(status, err);
	text = cJSON_Print(status);
	if (text == NULL)
		return no_memory(err);
	puts(text);
	return UPT_OK;
}
