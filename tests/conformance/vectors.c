#include "vectors.h"

#include <cjson/cJSON.h>

#define LIST_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define STEP_MAX_BYTES ((size_t)1024 * 1024)
#define RETRY_DELAY_MS 1u

static void
json_clear(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

/* ---- what a step's answer expects ---- */

/* {"is_success": true|false, ...} */
static enum upt_code
read_verdict(const cJSON *object, const char *what, bool *all, struct upt_err *err)
{
	const cJSON *verdict = cJSON_GetObjectItemCaseSensitive(object, "is_success");

	if (!cJSON_IsBool(verdict))
		return upt_fail(err, UPT_E_MALFORMED, "%s has no is_success", what);
	*all = *all && cJSON_IsTrue(verdict);
	return UPT_OK;
}

static enum upt_code
read_repository(const cJSON *step, const char *name, bool *all, struct upt_err *err)
{
	const cJSON *repo = cJSON_GetObjectItemCaseSensitive(step, name);
	const cJSON *targets = cJSON_GetObjectItemCaseSensitive(repo, "targets"), *target;

	if (!cJSON_IsObject(repo))
		return upt_fail(err, UPT_E_MALFORMED, "the step has no %s", name);
	UPT_TRY(read_verdict(cJSON_GetObjectItemCaseSensitive(repo, "update"), name, all, err));
	cJSON_ArrayForEach(target, targets) UPT_TRY(read_verdict(target, target->string, all, err));
	return UPT_OK;
}

/* The cycle must succeed exactly when everything in it does. */
static enum upt_code
read_step(const struct upt_buf *text, bool *expected, struct upt_err *err)
{
	upt_cleanup(json_clear) cJSON *step =
		cJSON_ParseWithLength((const char *)text->data, text->len);

	*expected = true;
	if (!cJSON_IsObject(step))
		return upt_fail(err, UPT_E_MALFORMED, "the step is no JSON object");
	UPT_TRY(read_repository(step, "director", expected, err));
	return read_repository(step, "image_repo", expected, err);
}

/* ---- one vector ---- */

struct run {
	const struct vectors_options *options;
	struct web web;
	int64_t now;
	FILE *out;
	struct vectors_result *result;
};

static const char *
word(bool success)
{
	return success ? "success" : "failure";
}

static void
report(const struct run *run, const char *name, unsigned step, bool expected, enum upt_code code,
	const struct upt_err *err)
{
	bool got = code == UPT_OK;

	fprintf(run->out, "%s %s %u: expected %s, got %s (%s%s%s)\n",
		got == expected ? "pass" : "FAIL", name, step, word(expected), word(got),
		upt_code_name(code), got ? "" : ": ", got ? "" : err->message);
	if (got == expected)
		run->result->n_passed++;
	else
		run->result->n_failed++;
}

/* A step that could not be judged counts against us: silence would pass for success. */
static void
report_broken(const struct run *run, const char *name, unsigned step, const struct upt_err *err)
{
	fprintf(run->out, "FAIL %s %u: not judged (%s: %s)\n", name, step, upt_code_name(err->code),
		err->message);
	run->result->n_failed++;
}

/* *over when the server has no more steps. */
static enum upt_code
next_step(const struct run *run, const char *vector_url, bool *over, bool *expected,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf reply = {0};
	long status;

	*over = false;
	UPT_TRY(web_join(vector_url, "step", &url, err));
	UPT_TRY(upt_http_send(run->web.http, "POST", (const char *)url.data, "application/json",
		(struct upt_span){0}, STEP_MAX_BYTES, &reply, &status, err));
	*over = status == 204;
	return *over ? UPT_OK : read_step(&reply, expected, err);
}

/* False when the vector is over. */
static bool
run_step(const struct run *run, const char *name, unsigned step, const char *vector_url,
	struct vector_vehicle *vehicle)
{
	struct upt_err err = {0};
	bool over, expected;
	enum upt_code code = next_step(run, vector_url, &over, &expected, &err);

	if (code != UPT_OK) {
		report_broken(run, name, step, &err);
		return false;
	}
	if (over && step == 1) {
		(void)upt_fail(&err, UPT_E_MALFORMED, "the vector has no steps");
		report_broken(run, name, step, &err);
	}
	if (over)
		return false;
	code = vector_cycle(vehicle, &err);
	report(run, name, step, expected, code, &err);
	return true;
}

static void
vehicle_clear(struct vector_vehicle *v)
{
	vector_store_clear(&v->director);
	vector_store_clear(&v->image);
}

static enum upt_code
run_vector(const struct run *run, const char *name, struct upt_err *err)
{
	const struct upt_vehicle_ecu ecu = {run->options->primary_ecu, run->options->hardware_id};
	upt_cleanup(upt_buf_clear) struct upt_buf encoded = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf url = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf director = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf image = {0};
	upt_cleanup(vehicle_clear) struct vector_vehicle vehicle = {
		.now = run->now, .vehicle = {.knows_all_ecus = true, .n_ecus = 1, .ecus = &ecu}};

	UPT_TRY(upt_url_encode(name, false, &encoded, err));
	UPT_TRY(web_join(run->options->url, (const char *)encoded.data, &url, err));
	UPT_TRY(web_join((const char *)url.data, "director", &director, err));
	UPT_TRY(web_join((const char *)url.data, "image_repo", &image, err));
	vehicle.director.web = vehicle.image.web = &run->web;
	vehicle.director.url = (const char *)director.data;
	vehicle.image.url = (const char *)image.data;
	for (unsigned step = 1; run_step(run, name, step, (const char *)url.data, &vehicle);
		step++) {
		if (step == VECTORS_MAX_STEPS)
			return upt_fail(err, UPT_E_TOO_LARGE, "more than %u steps", step);
	}
	return UPT_OK;
}

/* ---- all of them ---- */

static enum upt_code
fetch_list(const struct run *run, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(json_clear) cJSON *list = NULL;
	const cJSON *item;

	*out = NULL;
	UPT_TRY(web_get(&run->web, run->options->url, "", LIST_MAX_BYTES, &text, err));
	list = cJSON_ParseWithLength((const char *)text.data, text.len);
	if (!cJSON_IsArray(list))
		return upt_fail(err, UPT_E_MALFORMED, "the list of vectors is no JSON array");
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return upt_fail(err, UPT_E_MALFORMED, "a vector's name is no string");
	}
	/* A suite that holds nothing must not pass. */
	if (cJSON_GetArraySize(list) == 0)
		return upt_fail(err, UPT_E_MALFORMED, "the server names no vectors");
	*out = list;
	list = NULL;
	return UPT_OK;
}

static enum upt_code
run_all(const struct run *run, struct upt_err *err)
{
	upt_cleanup(json_clear) cJSON *list = NULL;
	const cJSON *item;

	UPT_TRY(fetch_list(run, &list, err));
	cJSON_ArrayForEach(item, list)
	{
		struct upt_err failure = {0};

		run->result->n_vectors++;
		if (run_vector(run, item->valuestring, &failure) != UPT_OK)
			report_broken(run, item->valuestring, 0, &failure);
	}
	return UPT_OK;
}

enum upt_code
vectors_run(const struct vectors_options *options, int64_t now, FILE *out,
	struct vectors_result *result, struct upt_err *err)
{
	/* What the suites' servers say of files that they do not have. */
	static const long absent[] = {400, 500, 0};
	struct upt_http_config config = {
		.user_agent = "uptane-vectors/" UPT_VERSION, .retry_delay_ms = RETRY_DELAY_MS};
	struct run run = {.options = options, .now = now, .out = out, .result = result};
	enum upt_code code;

	*result = (struct vectors_result){0};
	UPT_TRY(upt_http_new(&config, &run.web.http, err));
	run.web.absent = absent;
	code = run_all(&run, err);
	upt_http_free(&run.web.http);
	return code;
}
