#include "manifest/fields.h"

#include <inttypes.h>
#include <stdio.h>

#include "manifest/manifest.h"

void
upt_manifest_json_cleanup(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

bool
upt_manifest_add_u64(cJSON *object, const char *name, uint64_t value)
{
	char text[24];

	if (value > UPT_JSON_MAX_INTEGER)
		return false;
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return cJSON_AddRawToObject(object, name, text) != NULL;
}

/* A line break in a serial could forge lines wherever the serial is shown. */
static bool
has_control_character(struct upt_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

enum upt_code
upt_manifest_check_name(const char *text, const char *what, struct upt_err *err)
{
	if (text[0] == '\0')
		return upt_fail(err, UPT_E_MALFORMED, "%s is empty", what);
	if (has_control_character(upt_span_str(text)))
		return upt_fail(err, UPT_E_MALFORMED, "%s holds control characters", what);
	return UPT_OK;
}

static enum upt_code
copy_text(struct upt_span raw, struct upt_arena *arena, const char *what, char *out, size_t size,
	struct upt_err *err)
{
	struct upt_span text;

	UPT_TRY(upt_json_decode(arena, raw, &text, err));
	if (text.len >= size)
		return upt_fail(err, UPT_E_MALFORMED, "%s of %zu bytes, more than %zu", what,
			text.len, size - 1);
	if (has_control_character(text))
		return upt_fail(err, UPT_E_MALFORMED, "%s holds control characters", what);
	if (text.len > 0)
		memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return UPT_OK;
}

enum upt_code
upt_manifest_read_text(struct upt_json_iter *it, struct upt_arena *arena, const char *what,
	char *out, size_t size, struct upt_err *err)
{
	struct upt_span raw;

	if (!upt_json_raw_string(it, &raw))
		return upt_fail(err, UPT_E_MALFORMED, "%s is no string", what);
	return copy_text(raw, arena, what, out, size, err);
}

enum upt_code
upt_manifest_read_key(struct upt_json_iter *it, struct upt_arena *arena, const char *what,
	char *out, size_t size, struct upt_err *err)
{
	return copy_text(it->key, arena, what, out, size, err);
}
