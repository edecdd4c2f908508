/*
 * A published targets file that an operator hands to the reference Director, who copies one target
 * of it: the first that is listed. What is copied has a length, a known hash and JSON beside it; it
 * says nothing of ECUs, which is the Director's own to say, and takes another uri.
 */
#include <cjson/cJSON.h>

#include "director/assignment.h"
#include "fuzz.h"
#include "json/json.h"

static bool
has_member(struct upt_span object, const char *name)
{
	struct upt_json_iter it = upt_json_iter(object);

	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, name))
			return true;
	}
	return false;
}

static void
check_json(struct upt_span text, enum upt_json_type type)
{
	struct upt_json_doc doc;

	FUZZ_ASSERT(upt_json_check(text, &doc, NULL) == UPT_OK && doc.type == type);
}

static void
check_assignment(struct assignment *a)
{
	FUZZ_ASSERT(a->image.n_digests > 0 && a->image.n_digests <= UPT_MAX_DIGESTS);
	FUZZ_ASSERT(a->image.length_bytes <= UPT_JSON_MAX_INTEGER);
	FUZZ_ASSERT(a->custom.len <= TARGET_CUSTOM_MAX_BYTES);
	check_json(upt_buf_span(&a->custom), UPT_JSON_OBJECT);
	FUZZ_ASSERT(!has_member(upt_buf_span(&a->custom), "ecuIdentifiers"));
	FUZZ_ASSERT(!has_member(upt_buf_span(&a->custom), "hardwareIds"));
	if (a->hardware_ids.len > 0) {
		struct upt_json_doc doc;

		FUZZ_ASSERT(upt_json_check(upt_buf_span(&a->hardware_ids), &doc, NULL) == UPT_OK);
	}
	FUZZ_ASSERT(assignment_set_uri(a, "https://h/\"x\\", NULL) == UPT_OK);
	check_json(upt_buf_span(&a->custom), UPT_JSON_OBJECT);
	FUZZ_ASSERT(has_member(upt_buf_span(&a->custom), "uri"));
}

/* Of the first target that is listed; "none" where there is none. */
static const char *
first_name(const cJSON *tree)
{
	const cJSON *payload = cJSON_GetObjectItemCaseSensitive(tree, "signed");
	const cJSON *targets = cJSON_GetObjectItemCaseSensitive(payload, "targets");

	return cJSON_IsObject(targets) && targets->child != NULL ? targets->child->string : "none";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	upt_cleanup(assignment_clear) struct assignment a = {.n_ecus = 1};
	cJSON *tree = cJSON_ParseWithLength((const char *)data, size);
	const char *name = first_name(tree);
	enum upt_code code;

	fuzz_write("targets.json", upt_span(data, size));
	/* The caller checks the name first. */
	if (assignment_check_name(name, NULL) != UPT_OK)
		name = "none";
	code = assignment_read_target(&a, fuzz_path("targets.json"), name, NULL);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_MALFORMED || code == UPT_E_NOT_FOUND ||
		    code == UPT_E_TOO_LARGE);
	if (code == UPT_OK)
		check_assignment(&a);
	cJSON_Delete(tree);
	return 0;
}
