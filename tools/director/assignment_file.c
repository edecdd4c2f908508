/* Targets as the Image repository published them, and the custom part that the Director adds. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <strings.h>
#include "assignment.h"
#include "authoring/authoring.h"
#include "base/file.h"
#include "json/json.h"

void
assignment_clear(struct assignment *assignment)
{
	upt_buf_clear(&assignment->custom);
	upt_buf_clear(&assignment->hardware_ids);
	*assignment = (struct assignment){0};
}

/*
 * True for text that signed JSON can hold and a terminal can show. Found out here, by the one who
 * types it: found out at signing, it would take the vehicle's metadata away.
 */
static bool
is_text(const char *text)
{
	upt_cleanup(upt_author_json_clear) cJSON *json = cJSON_CreateString(text);
	upt_cleanup(upt_free_ptr) char *printed = cJSON_PrintUnformatted(json);
	struct upt_json_doc doc;

	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	}
	return printed != NULL && upt_json_check(upt_span_str(printed), &doc, NULL) == UPT_OK;
}

/* No segment of the name may be empty, "." or "..": it becomes a path in URLs and stores. */
static bool
has_bad_segment(const char *name)
{
	for (const char *p = name;; p++) {
		size_t len = strcspn(p, "/");
		if (len == 0 || (len == 1 && p[0] == '.') ||
			(len == 2 && p[0] == '.' && p[1] == '.'))
			return true;
		p += len;
		if (*p == '\0')
			return false;
	}
}

enum upt_code
assignment_check_name(const char *name, struct upt_err *err)
{
	if (strlen(name) > UPT_TARGET_NAME_MAX || has_bad_segment(name) || !is_text(name))
		return upt_fail(err, UPT_E_USAGE,
			"target name '%s' is not 1 to %d bytes of path segments", name,
			UPT_TARGET_NAME_MAX);
	return UPT_OK;
}

static enum upt_code
check_uri(const char *uri, struct upt_err *err)
{
	for (const char *p = uri; *p != '\0'; p++) {
		if (*p < 0x21 || *p > 0x7e)
			return upt_fail(err, UPT_E_USAGE, "the URI holds a space or worse");
	}
	if (strlen(uri) > TARGET_URI_MAX || strstr(uri, "://") == NULL)
		return upt_fail(err, UPT_E_USAGE, "'%.80s' is no URI of at most %d bytes", uri,
			TARGET_URI_MAX);
	return UPT_OK;
}

static enum upt_code
check_format(const char *format, struct upt_err *err)
{
	static const char *const formats[] = {"OSTREE", "OCI", "COMPOSE", "BINARY"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(format, formats[i]) == 0)
			return UPT_OK;
	}
	return upt_fail(
		err, UPT_E_USAGE, "format '%s' is none of OSTREE, OCI, COMPOSE, BINARY", format);
}

/* Puts json's text in place of assignment->custom. Numbers in it are cJSON raws: exact. */
static enum upt_code
keep_custom(struct assignment *assignment, const cJSON *json, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *text = cJSON_PrintUnformatted(json);

	if (text == NULL)
		return director_no_memory(err);
	upt_buf_clear(&assignment->custom);
	return upt_buf_append(&assignment->custom, text, strlen(text), err);
}

enum upt_code
assignment_set_custom(
	struct assignment *assignment, const char *format, const char *uri, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *json = cJSON_CreateObject();

	if (json == NULL)
		return director_no_memory(err);
	if (format != NULL) {
		UPT_TRY(check_format(format, err));
		if (cJSON_AddStringToObject(json, "targetFormat", format) == NULL)
			return director_no_memory(err);
	}
	if (uri != NULL) {
		UPT_TRY(check_uri(uri, err));
		if (cJSON_AddStringToObject(json, "uri", uri) == NULL)
			return director_no_memory(err);
	}
	if (assignment->image.has_release_counter) {
		upt_cleanup(upt_buf_clear) struct upt_buf digits = {0};
		UPT_TRY(upt_buf_printf(&digits, err, "%llu",
			(unsigned long long)assignment->image.release_counter));
		if (cJSON_AddRawToObject(json, "releaseCounter", (const char *)digits.data) == NULL)
			return director_no_memory(err);
	}
	return keep_custom(assignment, json, err);
}

/* Appends "key":value to an object that is being written. */
static enum upt_code
append_member(
	struct upt_buf *out, struct upt_span raw_key, struct upt_span value, struct upt_err *err)
{
	if (out->len > 1)
		UPT_TRY(upt_buf_append(out, ",", 1, err));
	UPT_TRY(upt_buf_append(out, "\"", 1, err));
	UPT_TRY(upt_buf_append(out, raw_key.data, raw_key.len, err));
	UPT_TRY(upt_buf_append(out, "\":", 2, err));
	return upt_json_canonical(value, UPT_JSON_UTF8, out, err);
}

enum upt_code
assignment_set_uri(struct assignment *assignment, const char *uri, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf out = {0};

	/* A checked URI may hold '"' or '\': cJSON escapes it. */
	UPT_TRY(check_uri(uri, err));
	upt_cleanup(upt_author_json_clear) cJSON *json = cJSON_CreateString(uri);
	upt_cleanup(upt_free_ptr) char *text = cJSON_PrintUnformatted(json);
	if (text == NULL)
		return director_no_memory(err);
	UPT_TRY(upt_buf_append(&out, "{", 1, err));
	UPT_TRY(append_member(&out, upt_span_str("uri"), upt_span_str(text), err));
	struct upt_json_iter it = upt_json_iter(upt_buf_span(&assignment->custom));
	while (upt_json_next(&it)) {
		if (!upt_json_key_is(&it, "uri"))
			UPT_TRY(append_member(&out, it.key, upt_json_value(&it), err));
	}
	UPT_TRY(upt_buf_append(&out, "}", 1, err));
	upt_buf_move(&assignment->custom, &out);
	return UPT_OK;
}

static enum upt_code
read_hashes(struct upt_image *image, struct upt_json_iter *it, struct upt_err *err)
{
	static const enum upt_hash_alg algs[] = {UPT_HASH_SHA256, UPT_HASH_SHA512};
	struct upt_json_iter hash = upt_json_enter(it);
	struct upt_digest found[2] = {0};
	struct upt_span hex;

	while (upt_json_next(&hash)) {
		for (size_t i = 0; i < 2; i++) {
			if (!upt_json_key_is(&hash, upt_hash_name(algs[i])))
				continue;
			if (!upt_json_raw_string(&hash, &hex) ||
				!upt_digest_parse(algs[i], hex, &found[i]))
				return upt_fail(err, UPT_E_MALFORMED, "%s of %s is no hash",
					upt_hash_name(algs[i]), image->name);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		if (found[i].alg != UPT_HASH_NONE)
			image->digests[image->n_digests++] = found[i];
	}
	return UPT_OK;
}

/*
 * Takes over all members of custom but those that the Director says in its own way: hardwareIds
 * become a check here and, per ECU, part of ecuIdentifiers.
 */
static enum upt_code
read_custom(struct assignment *assignment, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);
	struct upt_buf *out = &assignment->custom;

	upt_buf_clear(out);
	UPT_TRY(upt_buf_append(out, "{", 1, err));
	while (upt_json_next(&member)) {
		struct upt_span value = upt_json_value(&member);
		if (upt_json_key_is(&member, "ecuIdentifiers"))
			continue;
		if (upt_json_key_is(&member, "hardwareIds"))
			UPT_TRY(upt_json_canonical(
				value, UPT_JSON_UTF8, &assignment->hardware_ids, err));
		else
			UPT_TRY(append_member(out, member.key, value, err));
	}
	UPT_TRY(upt_buf_append(out, "}", 1, err));
	if (out->len > TARGET_CUSTOM_MAX_BYTES)
		return upt_fail(err, UPT_E_TOO_LARGE, "custom of %s has %zu bytes, at most %zu",
			assignment->image.name, out->len, TARGET_CUSTOM_MAX_BYTES);
	return UPT_OK;
}

/* The entry of one target. */
static enum upt_code
read_entry(struct assignment *assignment, struct upt_json_iter *it, struct upt_err *err)
{
	struct upt_json_iter member = upt_json_enter(it);
	bool has_length = false;

	while (upt_json_next(&member)) {
		if (upt_json_key_is(&member, "length"))
			has_length = upt_json_u64(&member, &assignment->image.length_bytes);
		else if (upt_json_key_is(&member, "hashes"))
			UPT_TRY(read_hashes(&assignment->image, &member, err));
		else if (upt_json_key_is(&member, "custom"))
			UPT_TRY(read_custom(assignment, &member, err));
	}
	if (!has_length || assignment->image.n_digests == 0)
		return upt_fail(err, UPT_E_MALFORMED, "%s has no length or no known hash",
			assignment->image.name);
	return assignment->custom.len > 0 ? UPT_OK
					  : assignment_set_custom(assignment, NULL, NULL, err);
}

static enum upt_code
find_entry(struct assignment *assignment, struct upt_span payload, bool *found, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(payload);
	bool is_targets = false;

	while (upt_json_next(&it)) {
		if (upt_json_key_is(&it, "_type"))
			is_targets = upt_json_string_is(&it, "targets") ||
				     upt_json_string_is(&it, "Targets");
		if (!upt_json_key_is(&it, "targets"))
			continue;
		struct upt_json_iter target = upt_json_enter(&it);
		while (upt_json_next(&target)) {
			if (!upt_json_key_is(&target, assignment->image.name))
				continue;
			UPT_TRY(read_entry(assignment, &target, err));
			*found = true;
		}
	}
	return is_targets ? UPT_OK : upt_fail(err, UPT_E_MALFORMED, "no targets metadata");
}

enum upt_code
assignment_read_target(
	struct assignment *assignment, const char *path, const char *name, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	struct upt_json_doc doc;
	bool found = false;

	assignment->image = (struct upt_image){0};
	memcpy(assignment->image.name, name, strlen(name) + 1);
	UPT_TRY(upt_file_read(AT_FDCWD, path, TARGETS_FILE_MAX_BYTES, &file, err));
	enum upt_code code = upt_json_check(upt_buf_span(&file), &doc, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	const struct upt_json_facts *payload = upt_json_top(&doc, "signed");
	if (payload == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "%s is no signed metadata", path);
	code = find_entry(assignment, payload->text, &found, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", path);
	if (!found)
		return upt_fail(err, UPT_E_NOT_FOUND, "%s does not list %s", path, name);
	return UPT_OK;
}
