#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/encode.h"
#include "cli/cli.h"
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
		cJSON_AddNumberToObject(object, "length", (double)image.length_bytes) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < image.n_digests; i++) {
		upt_hex_encode(upt_span(image.digests[i].bytes, image.digests[i].len), hex);
		if (cJSON_AddStringToObject(object, upt_hash_name(image.digests[i].alg), hex) == NULL)
			return no_memory(err);
	}
	if (image.has_release_counter &&
		cJSON_AddNumberToObject(object, "releaseCounter", (double)image.release_counter) == NULL)
		return no_memory(err);
	return UPT_OK;
}

static enum upt_code
add_text(cJSON *object, const char *field, struct upt_store *store, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	UPT_TRY(upt_store_get_text(store, name, &text, err));
	return cJSON_AddStringToObject(object, field, text.len > 0 ? (const char *)text.data : "") != NULL
		? UPT_OK
		: no_memory(err);
}

static enum upt_code
add_ecu(cJSON *list, struct upt_store *store, const struct upt_ecu_config *config, struct upt_err *err)
{
	cJSON *ecu = cJSON_CreateObject();
	char name[UPT_ECU_SERIAL_MAX + 32];

	if (ecu == NULL || !cJSON_AddItemToArray(list, ecu) ||
		cJSON_AddStringToObject(ecu, "ecu", config->serial) == NULL ||
		cJSON_AddStringToObject(ecu, "hardwareId", config->hardware_id) == NULL)
		return no_memory(err);
	UPT_TRY(add_image(ecu, "installed", store, config->serial, UPT_SLOT_INSTALLED, err));
	UPT_TRY(add_image(ecu, "previous", store, config->serial, UPT_SLOT_PREVIOUS, err));
	UPT_TRY(add_image(ecu, "pending", store, config->serial, UPT_SLOT_PENDING, err));
	UPT_TRY(add_image(ecu, "refused", store, config->serial, UPT_SLOT_REFUSED, err));
	snprintf(name, sizeof(name), "vouchers:%s", config->serial);
	return add_text(ecu, "vouchedBy", store, name, err);
}

static enum upt_code
add_repo(cJSON *metadata, struct upt_store *store, enum upt_repo repo, struct upt_err *err)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets"};
	cJSON *object = cJSON_AddObjectToObject(metadata, upt_repo_name(repo));
	uint64_t first, version = 0;
	enum upt_code code = upt_store_root_versions(store, repo, &first, &version, err);

	if (code != UPT_OK && code != UPT_E_NOT_FOUND)
		return code;
	if (object == NULL || cJSON_AddNumberToObject(object, "root", (double)version) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < 3; i++) {
		UPT_TRY(upt_store_document_version(store, repo, roles[i], &version, err));
		if (cJSON_AddNumberToObject(object, roles[i], (double)version) == NULL)
			return no_memory(err);
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
		cJSON_AddStringToObject(object, "repository", upt_repo_name(incident->repo)) == NULL ||
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
	UPT_TRY(add_text(status, "lastCycle", store, "last_cycle", err));
	ecus = cJSON_AddArrayToObject(status, "ecus");
	metadata = cJSON_AddObjectToObject(status, "metadata");
	incidents = cJSON_AddArrayToObject(status, "incidents");
	if (ecus == NULL || metadata == NULL || incidents == NULL)
		return no_memory(err);
	for (size_t i = 0; i < cli->config.n_ecus; i++)
		UPT_TRY(add_ecu(ecus, store, &cli->config.ecus[i], err));
	UPT_TRY(add_repo(metadata, store, UPT_REPO_DIRECTOR, err));
	UPT_TRY(add_repo(metadata, store, UPT_REPO_IMAGE, err));
	return upt_store_each_incident(store, false, add_incident, incidents, err);
}

/* ---- the table ---- */

static const char *
text_of(const cJSON *object, const char *field)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, field);

	if (cJSON_IsObject(value))
		value = cJSON_GetObjectItemCaseSensitive(value, "name");
	return cJSON_IsString(value) ? value->valuestring : "-";
}

static double
number_of(const cJSON *object, const char *field)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, field);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void
print_last_cycle(const cJSON *status)
{
	const char *text = text_of(status, "lastCycle");
	char when[UPT_TIME_TEXT_SIZE];
	char *rest;
	long long seconds = strtoll(text, &rest, 10);

	if (text[0] == '\0') {
		puts("last cycle  none yet");
		return;
	}
	upt_time_format(seconds, when);
	printf("last cycle  %s %s\n", when, rest + (*rest == ' '));
}

static void
print_table(const cJSON *status)
{
	const cJSON *ecu, *repo, *incident;

	printf("vehicle     %s\n", text_of(status, "vehicleId"));
	print_last_cycle(status);
	printf("\n%-18s %-18s %-22s %-22s %s\n", "ECU", "HARDWARE", "RUNS", "BEFORE", "WAITS FOR REBOOT");
	cJSON_ArrayForEach(ecu, cJSON_GetObjectItemCaseSensitive(status, "ecus")) {
		printf("%-18s %-18s %-22s %-22s %s\n", text_of(ecu, "ecu"), text_of(ecu, "hardwareId"),
			text_of(ecu, "installed"), text_of(ecu, "previous"), text_of(ecu, "pending"));
		if (text_of(ecu, "vouchedBy")[0] != '\0')
			printf("  vouched for by %s\n", text_of(ecu, "vouchedBy"));
		if (strcmp(text_of(ecu, "refused"), "-") != 0)
			printf("  not installed again: %s\n", text_of(ecu, "refused"));
	}
	printf("\n%-18s %6s %10s %9s %8s\n", "TRUSTED METADATA", "root", "timestamp", "snapshot", "targets");
	cJSON_ArrayForEach(repo, cJSON_GetObjectItemCaseSensitive(status, "metadata"))
		printf("%-18s %6.0f %10.0f %9.0f %8.0f\n", repo->string, number_of(repo, "root"),
			number_of(repo, "timestamp"), number_of(repo, "snapshot"), number_of(repo, "targets"));
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(status, "incidents")) > 0)
		puts("\nLATEST INCIDENTS");
	cJSON_ArrayForEach(incident, cJSON_GetObjectItemCaseSensitive(status, "incidents"))
		printf("%s  %s%s%s  %s\n", text_of(incident, "time"), text_of(incident, "code"),
			text_of(incident, "attack")[0] != '\0' ? ", attack: " : "", text_of(incident, "attack"),
			text_of(incident, "message"));
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
	if (!cli->json) {
		print_table(status);
		return UPT_OK;
	}
	text = cJSON_Print(status);
	if (text == NULL)
		return no_memory(err);
	puts(text);
	return UPT_OK;
}
