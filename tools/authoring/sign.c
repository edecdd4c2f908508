#include "authoring/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/encode.h"
#include "json/json.h"

/*
 * cJSON prints 10^15 as 1e+15, which no reader of signed JSON takes: numbers are printed by us.
 * cJSON also turns what JSON cannot say (infinity) into null.
 */
static enum upt_code
numbers_to_text(cJSON *item, struct upt_err *err)
{
	for (; item != NULL; item = item->next) {
		char text[24];
		uint64_t value;
		cJSON *raw;

		UPT_TRY(numbers_to_text(item->child, err));
		if (!cJSON_IsNumber(item))
			continue;
		if (!author_exact(item->valuedouble, &value))
			return upt_fail(err, UPT_E_MALFORMED, "%s: %g is no integer in 0..2^53-1",
				item->string == NULL ? "array element" : item->string,
				item->valuedouble);
		snprintf(text, sizeof(text), "%" PRIu64, value);
		raw = cJSON_CreateRaw(text);
		if (raw == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory to print a number");
		item->type = cJSON_Raw | (item->type & cJSON_StringIsConst);
		item->valuestring = raw->valuestring;
		raw->valuestring = NULL;
		cJSON_Delete(raw);
	}
	return UPT_OK;
}

/* Appends the payload's canonical text to out. */
static enum upt_code
canonical_payload(const cJSON *payload, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *copy = cJSON_Duplicate(payload, true);
	struct upt_json_doc doc;
	enum upt_code code;
	char *text;

	if (copy == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to copy a payload");
	UPT_TRY(numbers_to_text(copy, err));
	text = cJSON_PrintUnformatted(copy);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory to print a payload");
	code = upt_json_check(upt_span_str(text), &doc, err);
	if (code == UPT_OK)
		code = upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, out, err);
	cJSON_free(text);
	return code;
}

/* keyid and method are plain ASCII of this build's own making: no escapes needed. */
static enum upt_code
append_signature(const struct upt_private_key *key, struct upt_span message, struct upt_buf *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0};
	char id[65], hex[2 * UPT_SIGNATURE_MAX_BYTES + 1];

	UPT_TRY(upt_private_key_sign(key, message, &sig, err));
	if (sig.len > UPT_SIGNATURE_MAX_BYTES)
		return upt_fail(err, UPT_E_INTERNAL, "a signature of %zu bytes", sig.len);
	upt_private_key_id(key, id);
	upt_hex_encode(upt_buf_span(&sig), hex);
	return upt_buf_printf(out, err, "{\"keyid\":\"%s\",\"method\":\"%s\",\"sig\":\"%s\"}", id,
		upt_private_key_method(key), hex);
}

static enum upt_code
check_keys_distinct(const struct upt_private_key *const *keys, size_t n_keys, struct upt_err *err)
{
	char a[65], b[65];

	for (size_t i = 0; i < n_keys; i++) {
		upt_private_key_id(keys[i], a);
		for (size_t j = 0; j < i; j++) {
			upt_private_key_id(keys[j], b);
			if (strcmp(a, b) == 0)
				return upt_fail(
					err, UPT_E_DUPLICATE_KEYID, "key %s would sign twice", a);
		}
	}
	return UPT_OK;
}

enum upt_code
upt_author_sign(const cJSON *payload, const struct upt_private_key *const *keys, size_t n_keys,
	struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	if (!cJSON_IsObject(payload))
		return upt_fail(err, UPT_E_MALFORMED, "a payload must be an object");
	UPT_TRY(check_keys_distinct(keys, n_keys, err));
	UPT_TRY(canonical_payload(payload, &text, err));
	UPT_TRY(upt_buf_reserve(&envelope, text.len + 64 + n_keys * 256, err));
	UPT_TRY(upt_buf_printf(&envelope, err, "{\"signatures\":["));
	for (size_t i = 0; i < n_keys; i++) {
		if (i > 0)
			UPT_TRY(upt_buf_append(&envelope, ",", 1, err));
		UPT_TRY(append_signature(keys[i], upt_buf_span(&text), &envelope, err));
	}
	UPT_TRY(upt_buf_printf(&envelope, err, "],\"signed\":"));
	UPT_TRY(upt_buf_append(&envelope, text.data, text.len, err));
	UPT_TRY(upt_buf_append(&envelope, "}", 1, err));
	upt_buf_move(out, &envelope);
	return UPT_OK;
}
