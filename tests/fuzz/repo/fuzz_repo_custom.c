/*
 * "target add --custom": an object, or with a first byte '@', which is dropped, a file of one. What
 * is taken over is the very value that was written: its canonical text is that of the input.
 */
#include <cjson/cJSON.h>

#include "fuzz.h"
#include "json/json.h"
#include "repo/target_input.h"

static void
check_custom(const cJSON *custom, struct upt_span text)
{
	upt_cleanup(upt_buf_clear) struct upt_buf theirs = {0}, ours = {0};
	struct upt_json_doc doc;
	char *printed = cJSON_PrintUnformatted(custom);

	FUZZ_ASSERT(printed != NULL);
	FUZZ_ASSERT(upt_json_check(text, &doc, NULL) == UPT_OK && doc.type == UPT_JSON_OBJECT);
	FUZZ_ASSERT(upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &theirs, NULL) == UPT_OK);
	/* cJSON prints numbers from 10^15 on with an exponent, which signing refuses. */
	if (upt_json_check(upt_span_str(printed), &doc, NULL) == UPT_OK) {
		FUZZ_ASSERT(
			upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, &ours, NULL) == UPT_OK);
		FUZZ_ASSERT(upt_span_equal(upt_buf_span(&ours), upt_buf_span(&theirs)));
	}
	free(printed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool file = size > 0 && data[0] == '@';
	upt_cleanup(upt_free_ptr) char *text =
		fuzz_string(upt_span(data + (file ? 1 : 0), size - (file ? 1 : 0)));
	struct add_options options = {.custom = text};
	cJSON *custom = NULL;
	char path[256];
	enum upt_code code;

	if (size > 8192)
		return 0;
	snprintf(path, sizeof(path), "%s", fuzz_path("custom.json"));
	fuzz_write("custom.json", upt_span(data + (file ? 1 : 0), size - (file ? 1 : 0)));
	if (file)
		options.custom = path;
	else if (text[strspn(text, " \t\n\v\f\r")] != '{')
		return 0; /* the name of a file, which may be any */
	code = target_input_customs(&options, 1, &custom, NULL);
	FUZZ_ASSERT(code == UPT_OK || code == UPT_E_USAGE || code == UPT_E_MALFORMED);
	FUZZ_ASSERT(code == UPT_OK || custom == NULL);
	if (custom != NULL)
		check_custom(custom, file ? upt_span(data + 1, size - 1) : upt_span_str(text));
	cJSON_Delete(custom);
	return 0;
}
