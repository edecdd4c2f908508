/* case.json against what came of each step. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "runner.h"

#define CASE_MAX_BYTES ((size_t)1 << 20)

struct judged {
	const char *name;
	int step;
	bool ok;
};

static void UPT_PRINTF(2, 3)
differ(struct judged *j, const char *fmt, ...)
{
	va_list args;

	printf("%s step %d: ", j->name, j->step);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	j->ok = false;
}

static const char *
text(const cJSON *object, const char *name)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return value != NULL ? value : "";
}

/* ---- what is trusted ---- */

static void
judge_trusted(struct judged *j, const cJSON *step, const char *repo, const struct store *store)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(step, "trusted"), repo);
	const cJSON *each;

	if (!cJSON_IsObject(want))
		differ(j, "case.json does not say what is trusted of the %s repository", repo);
	cJSON_ArrayForEach(each, want) {
		const struct document *found = documents_find(&store->kept, each->string);

		if (found == NULL)
			differ(j, "%s %s v%.0f is to be trusted, none is", repo, each->string,
				each->valuedouble);
		else if ((double)found->version != each->valuedouble)
			differ(j, "%s %s v%.0f is to be trusted, v%" PRIu64 " is", repo, each->string,
				each->valuedouble, found->version);
	}
	for (size_t i = 0; i < store->kept.n; i++) {
		const struct document *kept = &store->kept.list[i];

		if (cJSON_GetObjectItemCaseSensitive(want, kept->role) == NULL)
			differ(j, "%s %s v%" PRIu64 " is trusted, none is to be", repo, kept->role,
				kept->version);
	}
}

/* ---- what is assigned ---- */

static bool
same_hashes(const cJSON *want, const struct upt_image *image)
{
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	for (size_t i = 0; i < image->n_digests; i++) {
		const struct upt_digest *d = &image->digests[i];

		upt_hex_encode(upt_span(d->bytes, d->len), hex);
		if (strcmp(text(want, upt_hash_name(d->alg)), hex) != 0)
			return false;
	}
	return (size_t)cJSON_GetArraySize(want) == image->n_digests;
}

static void
judge_assigned(struct judged *j, const cJSON *expect, const struct vehicle *v, const struct outcome *got)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(expect, "assigned");

	if (!cJSON_IsArray(want) || (size_t)cJSON_GetArraySize(want) != got->n) {
		differ(j, "%d targets are to be assigned, %zu are", cJSON_GetArraySize(want), got->n);
		return;
	}
	for (size_t i = 0; i < got->n; i++) {
		const cJSON *each = cJSON_GetArrayItem(want, (int)i);
		const struct upt_image *image = &got->list[i].target.image;
		const char *serial = v->ecus[got->list[i].ecu].serial;
		const cJSON *length = cJSON_GetObjectItemCaseSensitive(each, "length");

		if (strcmp(text(each, "ecu"), serial) != 0 ||
			strcmp(text(each, "name"), image->name) != 0 || !cJSON_IsNumber(length) ||
			length->valuedouble != (double)image->length_bytes)
			differ(j, "ECU %s is to get %s, ECU %s got %s (%" PRIu64 " bytes)",
				text(each, "ecu"), text(each, "name"), serial, image->name,
				image->length_bytes);
		else if (!same_hashes(cJSON_GetObjectItemCaseSensitive(each, "hashes"), image))
			differ(j, "ECU %s: %s has other hashes", serial, image->name);
	}
}

static void
judge_outcome(struct judged *j, const cJSON *expect, const struct vehicle *v, const struct outcome *got)
{
	const char *code = upt_code_name(got->code);

	if (strcmp(text(expect, "code"), code) != 0)
		differ(j, "%s is to come of it, %s came: %s", text(expect, "code"), code,
			got->err.message);
	else if (got->code == UPT_OK)
		judge_assigned(j, expect, v, got);
	else if (strcmp(text(expect, "repository"), upt_repo_name(got->err.repo)) != 0)
		differ(j, "%s by the %s repository is to come of it, not the %s: %s", code,
			text(expect, "repository"), upt_repo_name(got->err.repo), got->err.message);
	else if (cJSON_HasObjectItem(expect, "role") && strcmp(text(expect, "role"), got->role) != 0)
		differ(j, "%s at %s is to come of it, not at %s: %s", code, text(expect, "role"),
			got->role, got->err.message);
}

/* ---- steps ---- */

static void
outcome_clear(struct outcome *out)
{
	upt_arena_clear(&out->arena);
}

static void
judge_step(struct judged *j, const cJSON *step, const char *dir, struct vehicle *v)
{
	upt_cleanup(outcome_clear) struct outcome out = {0};
	const cJSON *expect = cJSON_GetObjectItemCaseSensitive(step, "expect");
	int64_t now;

	if (!cJSON_IsObject(expect) || !upt_time_parse(upt_span_str(text(step, "now")), &now)) {
		differ(j, "case.json: a step without now or expect");
		return;
	}
	snprintf(v->director.folder, sizeof(v->director.folder), "%s/%d/director", dir, j->step);
	snprintf(v->image.folder, sizeof(v->image.folder), "%s/%d/image", dir, j->step);
	vehicle_update(v, now, &out);
	judge_outcome(j, expect, v, &out);
	judge_trusted(j, step, "director", &v->director);
	judge_trusted(j, step, "image", &v->image);
}

static void
vehicle_clear(struct vehicle *v)
{
	store_clear(&v->director);
	store_clear(&v->image);
	upt_images_close(&v->images);
}

static enum upt_code
vehicle_init(struct vehicle *v, const cJSON *json, const char *dir, const char *scratch, struct upt_err *err)
{
	const cJSON *vehicle = cJSON_GetObjectItemCaseSensitive(json, "vehicle"), *ecu;
	char folder[1024];

	v->ota = strcmp(text(json, "profile"), "ota") == 0;
	cJSON_ArrayForEach(ecu, cJSON_GetObjectItemCaseSensitive(vehicle, "ecus")) {
		if (v->facts.n_ecus == RUNNER_MAX_ECUS)
			return upt_fail(err, UPT_E_CONFIG, "more than %d ECUs", RUNNER_MAX_ECUS);
		v->ecus[v->facts.n_ecus++] =
			(struct upt_vehicle_ecu){text(ecu, "serial"), text(ecu, "hardware_id")};
	}
	v->facts.ecus = v->ecus;
	v->facts.vehicle_id = text(vehicle, "id");
	v->facts.require_vehicle_id = !v->ota;
	v->facts.knows_all_ecus = true;
	snprintf(folder, sizeof(folder), "%s/provisioned/director", dir);
	UPT_TRY(store_provision(&v->director, folder, err));
	snprintf(folder, sizeof(folder), "%s/provisioned/image", dir);
	UPT_TRY(store_provision(&v->image, folder, err));
	return upt_images_open(scratch, &v->images, err);
}

static void
json_clear(cJSON **json)
{
	cJSON_Delete(*json);
}

bool
judge_case(const char *corpus, const char *name, const char *scratch)
{
	upt_cleanup(json_clear) cJSON *json = NULL;
	upt_cleanup(vehicle_clear) struct vehicle v = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf bytes = {0};
	struct judged j = {.name = name, .ok = true};
	struct upt_err err = {0};
	const cJSON *step;
	char path[900];

	snprintf(path, sizeof(path), "%s/%s/case.json", corpus, name);
	if (upt_file_read(AT_FDCWD, path, CASE_MAX_BYTES, &bytes, &err) == UPT_OK)
		json = cJSON_ParseWithLength((const char *)bytes.data, bytes.len);
	snprintf(path, sizeof(path), "%s/%s", corpus, name);
	if (json == NULL || vehicle_init(&v, json, path, scratch, &err) != UPT_OK) {
		differ(&j, "no usable case: %s", err.message);
		return false;
	}
	cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(json, "steps")) {
		j.step++;
		judge_step(&j, step, path, &v);
	}
	if (j.step == 0)
		differ(&j, "no step");
	return j.ok;
}
