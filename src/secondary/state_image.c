/*
 * Records of images: small JSON files of our own, read with the strict reader all the same.
 */
#include "secondary/state_internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "json/json.h"

#define RECORD_MAX_BYTES ((size_t)8192)

static const char *const record_files[] = {
	[UPT_STATE_INSTALLED] = "installed.json",
	[UPT_STATE_INSTALLING] = "installing.json",
};

/* ---- writing ---- */

/* cJSON's own numbers are doubles, printed with 15 digits. */
static bool
add_u64(cJSON *json, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
	return cJSON_AddRawToObject(json, key, text) != NULL;
}

static cJSON *
record_json(const struct upt_image *image)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *hashes = cJSON_AddObjectToObject(json, "hashes");
	char hex[2 * UPT_HASH_MAX_BYTES + 1];
	bool ok = hashes != NULL;

	ok = ok && cJSON_AddStringToObject(json, "name", image->name) != NULL;
	ok = ok && add_u64(json, "length", image->length_bytes);
	if (ok && image->has_release_counter)
		ok = add_u64(json, "releaseCounter", image->release_counter);
	for (size_t i = 0; ok && i < image->n_digests; i++) {
		const struct upt_digest *digest = &image->digests[i];
		upt_hex_encode(upt_span(digest->bytes, digest->len), hex);
		ok = cJSON_AddStringToObject(hashes, upt_hash_name(digest->alg), hex) != NULL;
	}
	if (!ok) {
		cJSON_Delete(json);
		return NULL;
	}
	return json;
}

enum upt_code
upt_state_set_image(struct upt_state *state, enum upt_state_image which,
	const struct upt_image *image, struct upt_err *err)
{
	upt_cleanup(upt_free_ptr) char *text = NULL;
	cJSON *json = record_json(image);

	if (json != NULL)
		text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a record");
	return upt_file_replace(state->dir_fd, record_files[which], 0600, upt_span_str(text), err);
}

enum upt_code
upt_state_clear_image(struct upt_state *state, enum upt_state_image which, struct upt_err *err)
{
	if (unlinkat(state->dir_fd, record_files[which], 0) != 0 && errno != ENOENT)
		return upt_fail_errno(err, errno, "cannot remove %s", record_files[which]);
	return upt_dir_sync(state->dir_fd, ".", err);
}

/* ---- reading ---- */

static bool
read_hashes(struct upt_json_iter *it, struct upt_image *image)
{
	struct upt_span text = upt_json_value(it), raw;

	/* sha256 first, as struct upt_image has it. */
	for (enum upt_hash_alg alg = UPT_HASH_SHA256; alg <= UPT_HASH_SHA512; alg++) {
		struct upt_json_iter members = upt_json_iter(text);

		while (upt_json_next(&members)) {
			if (!upt_json_key_is(&members, upt_hash_name(alg)))
				continue;
			if (!upt_json_raw_string(&members, &raw) ||
				!upt_digest_parse(alg, raw, &image->digests[image->n_digests]))
				return false;
			image->n_digests++;
		}
	}
	return image->n_digests > 0;
}

static enum upt_code
read_name(struct upt_json_iter *it, struct upt_arena *arena, struct upt_image *image)
{
	struct upt_span raw, name;

	if (!upt_json_raw_string(it, &raw))
		return UPT_E_MALFORMED;
	UPT_TRY(upt_json_decode(arena, raw, &name, NULL));
	if (name.len >= sizeof(image->name))
		return UPT_E_MALFORMED;
	memcpy(image->name, name.data, name.len);
	return UPT_OK;
}

static enum upt_code
read_member(struct upt_json_iter *it, struct upt_arena *arena, struct upt_image *image)
{
	bool ok = true;

	if (upt_json_key_is(it, "name"))
		return read_name(it, arena, image);
	if (upt_json_key_is(it, "hashes"))
		ok = read_hashes(it, image);
	else if (upt_json_key_is(it, "length"))
		ok = upt_json_u64(it, &image->length_bytes);
	else if (upt_json_key_is(it, "releaseCounter"))
		ok = image->has_release_counter = upt_json_u64(it, &image->release_counter);
	return ok ? UPT_OK : UPT_E_MALFORMED;
}

enum upt_code
upt_state_get_image(struct upt_state *state, enum upt_state_image which, struct upt_image *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	upt_cleanup(upt_arena_clear) struct upt_arena arena = {0};
	struct upt_image image = {0};
	struct upt_json_doc doc;
	struct upt_json_iter it;
	enum upt_code code;

	*out = (struct upt_image){0};
	UPT_TRY(upt_file_read(state->dir_fd, record_files[which], RECORD_MAX_BYTES, &text, err));
	code = upt_json_check(upt_buf_span(&text), &doc, err);
	it = upt_json_iter(upt_buf_span(&text));
	while (code == UPT_OK && upt_json_next(&it))
		code = read_member(&it, &arena, &image);
	/* A record that could not be read for want of memory is not damaged. */
	if (code == UPT_E_NO_MEMORY)
		return upt_fail(
			err, code, "no memory for the state's file %s", record_files[which]);
	if (code != UPT_OK || image.n_digests == 0)
		return upt_fail(
			err, UPT_E_IO, "the state's file %s is damaged", record_files[which]);
	*out = image;
	return UPT_OK;
}
