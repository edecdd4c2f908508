#include "repo/target_input.h"

#include <ctype.h>
#include <fcntl.h>
#include "base/file.h"
#include "json/json.h"
#include "metadata/limits.h"

#define LIST_MAX_BYTES ((size_t)512 << 20)
#define CUSTOM_MAX_BYTES ((size_t)1 << 20)
#define LINE_MAX_BYTES 1024

/* ---- custom ---- */
static enum upt_code
parse_custom(const char *text, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf file = {0};
	struct upt_span json = upt_span_str(text);
	struct upt_json_doc doc;
	const char *p = text;
	enum upt_code code;

	while (isspace((unsigned char)*p))
		p++;
	if (*p != '{') {
		UPT_TRY(upt_file_read(AT_FDCWD, text, CUSTOM_MAX_BYTES, &file, err));
		json = upt_buf_span(&file);
		p = (const char *)file.data;
	}
	*out = cJSON_ParseWithOpts(p, NULL, true);
	if (!cJSON_IsObject(*out)) {
		upt_author_json_clear(out);
		return upt_fail(err, UPT_E_USAGE, "--custom %.80s is no JSON object", text);
	}
	/* cJSON alone cuts strings at a NUL and rounds numbers: another text than this would be signed. */
	code = upt_json_check(json, &doc, err);
	if (code == UPT_OK)
		return UPT_OK;
	upt_author_json_clear(out);
	return upt_wrap(err, code, "--custom");
}

/* value is taken over; NULL is no memory. */
static enum upt_code
set_member(cJSON *object, const char *name, cJSON *value, struct upt_err *err)
{
	if (value == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
	cJSON_DeleteItemFromObjectCaseSensitive(object, name);
	if (cJSON_AddItemToObject(object, name, value))
		return UPT_OK;
	cJSON_Delete(value);
	return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
}

static enum upt_code
set_ecus(cJSON *custom, const struct cli_list *ecus, struct upt_err *err)
{
	cJSON *object = cJSON_CreateObject();

	UPT_TRY(set_member(custom, "ecuIdentifiers", object, err));
	for (size_t i = 0; i < ecus->n; i++) {
		const char *equals = strchr(ecus->items[i], '=');
		char serial[UPT_ECU_SERIAL_MAX + 1];
		cJSON *ecu = cJSON_CreateObject();
		snprintf(serial, sizeof(serial), "%.*s", (int)(equals - ecus->items[i]),
			ecus->items[i]);
		UPT_TRY(set_member(object, serial, ecu, err));
		UPT_TRY(set_member(ecu, "hardwareId", cJSON_CreateString(equals + 1), err));
	}
	return UPT_OK;
}

static enum upt_code
fill_custom(cJSON *custom, const struct add_options *o, struct upt_err *err)
{
	if (o->hardware.n > 0)
		UPT_TRY(set_member(custom, "hardwareIds",
			cJSON_CreateStringArray(o->hardware.items, (int)o->hardware.n), err));
	if (o->format != NULL)
		UPT_TRY(set_member(custom, "targetFormat", cJSON_CreateString(o->format), err));
	if (o->uri != NULL)
		UPT_TRY(set_member(custom, "uri", cJSON_CreateString(o->uri), err));
	return o->ecus.n == 0 ? UPT_OK : set_ecus(custom, &o->ecus, err);
}

/* *out is NULL when there is nothing to say. */
static enum upt_code
make_custom(const struct add_options *o, cJSON **out, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *custom = NULL;

	*out = NULL;
	if (o->custom != NULL)
		UPT_TRY(parse_custom(o->custom, &custom, err));
	else
		custom = cJSON_CreateObject();
	if (custom == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for custom");
	UPT_TRY(fill_custom(custom, o, err));
	if (custom->child == NULL)
		return UPT_OK;
	*out = custom;
	custom = NULL;
	return UPT_OK;
}

/* ---- images ---- */
void
image_list_clear(struct image_list *list)
{
	free(list->items);
}

enum upt_code
target_input_new(struct image_list *list, const char *name, const struct add_options *o,
	struct upt_image **out, struct upt_err *err)
{
	*out = NULL;
	UPT_TRY(repo_check_target_name(name, err));
	if (list->n == UPT_MAX_TARGETS)
		return upt_fail(err, UPT_E_TOO_LARGE, "more than %d targets", UPT_MAX_TARGETS);
	if (list->n == list->cap) {
		size_t cap = list->cap * 2 + 1;
		struct upt_image *grown = realloc(list->items, cap * sizeof(*grown));
		if (grown == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", cap);
		list->items = grown;
		list->cap = cap;
	}
	*out = &list->items[list->n++];
	**out = (struct upt_image){
		.has_release_counter = o->counter != NULL, .release_counter = o->release_counter};
	snprintf((*out)->name, sizeof((*out)->name), "%s", name);
	return UPT_OK;
}

static enum upt_code
add_digest(struct upt_image *image, enum upt_hash_alg alg, const char *hex, struct upt_err *err)
{
	if (!upt_digest_parse(alg, upt_span_str(hex), &image->digests[image->n_digests]))
		return upt_fail(err, UPT_E_USAGE, "%.140s is no %s in hex (%zu digits)", hex,
			upt_hash_name(alg), 2 * upt_hash_bytes(alg));
	image->n_digests++;
	return UPT_OK;
}

enum upt_code
target_input_describe(struct upt_image *image, const struct add_options *o, struct upt_err *err)
{
	UPT_TRY(add_digest(image, UPT_HASH_SHA256, o->sha256, err));
	if (o->sha512 != NULL)
		UPT_TRY(add_digest(image, UPT_HASH_SHA512, o->sha512, err));
	if (o->length == NULL)
		return UPT_OK;
	return cli_number(
		o->length, "--length", 0, UPT_JSON_MAX_INTEGER, &image->length_bytes, err);
}

static enum upt_code
add_line(struct image_list *list, char *line, const struct add_options *o, struct upt_err *err)
{
	char *hash = strchr(line, '\t');
	char *length = hash == NULL ? NULL : strchr(hash + 1, '\t');
	struct upt_image *image;

	if (length == NULL)
		return upt_fail(err, UPT_E_USAGE, "not NAME<tab>SHA256<tab>LENGTH");
	*hash++ = '\0';
	*length++ = '\0';
	UPT_TRY(target_input_new(list, line, o, &image, err));
	UPT_TRY(add_digest(image, UPT_HASH_SHA256, hash, err));
	return cli_number(length, "length", 0, UPT_JSON_MAX_INTEGER, &image->length_bytes, err);
}

static enum upt_code
read_stdin(struct upt_buf *out, struct upt_err *err)
{
	while (true) {
		size_t n;
		UPT_TRY(upt_buf_reserve(out, (size_t)1 << 16, err));
		n = fread(out->data + out->len, 1, (size_t)1 << 16, stdin);
		out->len += n;
		out->data[out->len] = 0;
		if (n == 0 && ferror(stdin))
			return upt_fail(err, UPT_E_IO, "cannot read stdin");
		if (n == 0)
			return UPT_OK;
		if (out->len > LIST_MAX_BYTES)
			return upt_fail(
				err, UPT_E_TOO_LARGE, "a list above %zu bytes", LIST_MAX_BYTES);
	}
}

enum upt_code
target_input_read_list(struct image_list *list, const struct add_options *o, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};
	size_t number = 1;

	if (strcmp(o->many, "-") == 0)
		UPT_TRY(read_stdin(&text, err));
	else
		UPT_TRY(upt_file_read(AT_FDCWD, o->many, LIST_MAX_BYTES, &text, err));
	/* Behind a NUL, targets would be left out without a word. */
	if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
		return upt_fail(err, UPT_E_USAGE, "%s holds a NUL byte", o->many);
	for (char *line = (char *)text.data; line != NULL && *line != '\0'; number++) {
		char *end = strchr(line, '\n');
		enum upt_code code;
		if (end != NULL)
			*end = '\0';
		code = strlen(line) > LINE_MAX_BYTES
			       ? upt_fail(err, UPT_E_USAGE, "line of %zu bytes", strlen(line))
			       : add_line(list, line, o, err);
		if (code != UPT_OK)
			return upt_wrap(err, code, "%s:%zu", o->many, number);
		line = end == NULL ? NULL : end + 1;
	}
	return UPT_OK;
}

/* Every image gets a copy of the same custom object, or none. */
enum upt_code
target_input_customs(const struct add_options *o, size_t n, cJSON **customs, struct upt_err *err)
{
	upt_cleanup(upt_author_json_clear) cJSON *custom = NULL;

	UPT_TRY(make_custom(o, &custom, err));
	for (size_t i = 0; custom != NULL && i < n; i++) {
		customs[i] = cJSON_Duplicate(custom, true);
		if (customs[i] == NULL)
			return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu targets", n);
	}
	return UPT_OK;
}
