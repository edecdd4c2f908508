/*
 * Reading and writing single members of signed payloads. Private to src/manifest. Thread-safety: no
 * state.
 */
#ifndef UPT_MANIFEST_FIELDS_H
#define UPT_MANIFEST_FIELDS_H

#include <cjson/cJSON.h>

#include "json/json.h"

void upt_manifest_json_cleanup(cJSON **json);

/*
 * Copies the current string value, decoded, into out of size bytes (with the NUL). UPT_E_MALFORMED
 * when it is no string, too long, or holds control characters; what names it in the message.
 */
UPT_NODISCARD enum upt_code upt_manifest_read_text(struct upt_json_iter *it,
	struct upt_arena *arena, const char *what, char *out, size_t size, struct upt_err *err);
/* The same for the current member's name. */
UPT_NODISCARD enum upt_code upt_manifest_read_key(struct upt_json_iter *it, struct upt_arena *arena,
	const char *what, char *out, size_t size, struct upt_err *err);
/* UPT_E_MALFORMED when text is empty or holds control characters. */
UPT_NODISCARD enum upt_code
upt_manifest_check_name(const char *text, const char *what, struct upt_err *err);

#endif
