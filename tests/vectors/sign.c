/* Signing with every spelling that is in the field, and with none that is sound where a case asks. */
#include <stdio.h>
#include "base/encode.h"
#include "generator.h"

size_t
pick_keys(struct scene *s, const struct repo *r, const char *names, const struct upt_private_key **out,
	size_t max)
{
	size_t n = 0;

	while (*names != '\0') {
		size_t len = strcspn(names, " ");
		char full[64];

		must(n < max && len > 0 && len < 48, "a list of key names");
		snprintf(full, sizeof(full), "%s%s%.*s",
			memchr(names, '/', len) == NULL ? upt_repo_name(r->id) : "",
			memchr(names, '/', len) == NULL ? "/" : "", (int)len, names);
		out[n++] = generator_key(s->gen, full);
		names += len + (names[len] == ' ');
	}
	return n;
}

void
doc_print(struct doc *d)
{
	upt_cleanup(upt_buf_clear) struct upt_buf envelope = {0};
	static const char head[] = "{\"signatures\":[],\"signed\":";
	struct upt_err err = {0};

	if (d->text.len > 0)
		return;
	must_code(upt_author_sign(d->payload, NULL, 0, &envelope, &err), &err);
	append(&d->text, envelope.data + sizeof(head) - 1, envelope.len - sizeof(head));
}

/* The bytes that are signed; a text that is no JSON is signed as it stands. */
static void
message_of(const struct doc *d, struct upt_buf *out)
{
	struct upt_json_doc doc;

	if (upt_json_check(upt_buf_span(&d->text), &doc, NULL) != UPT_OK) {
		append(out, d->text.data, d->text.len);
		return;
	}
	must_code(upt_json_canonical(doc.whole.text,
			  d->signing.other_form ? d->signing.form : UPT_JSON_UTF8, out, NULL),
		NULL);
}

static void
add_signature(struct generator *g, struct doc *d, const struct upt_private_key *key, struct upt_span message)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0}, text = {0};
	char id[65], hex[2 * UPT_SIGNATURE_MAX_BYTES + 1];
	cJSON *entry = cJSON_CreateObject();

	generator_sign(g, key, d->signing.method, message, &sig);
	upt_private_key_id(key, id);
	cJSON_AddStringToObject(entry, "keyid", id);
	if (!d->signing.no_method)
		cJSON_AddStringToObject(entry, "method",
			d->signing.method != NULL ? d->signing.method : upt_private_key_method(key));
	if (d->signing.base64) {
		must_code(upt_base64_encode(upt_buf_span(&sig), &text, NULL), NULL);
		cJSON_AddStringToObject(entry, "sig", (const char *)text.data);
	} else {
		upt_hex_encode(upt_buf_span(&sig), hex);
		cJSON_AddStringToObject(entry, "sig", hex);
	}
	cJSON_AddItemToArray(d->signatures, entry);
}

void
doc_sign(struct scene *s, struct repo *r, struct doc *d, const char *role_keys)
{
	const struct upt_private_key *keys[64];
	upt_cleanup(upt_buf_clear) struct upt_buf message = {0};
	size_t n;

	if (d->signatures != NULL)
		return;
	n = pick_keys(s, r, d->signing.keys != NULL ? d->signing.keys : role_keys, keys, 64);
	message_of(d, &message);
	d->signatures = cJSON_CreateArray();
	for (size_t i = 0; i < n; i++)
		add_signature(s->gen, d, keys[i], upt_buf_span(&message));
}

void
doc_compose(struct doc *d)
{
	char *list;

	if (d->bytes.len > 0)
		return;
	list = cJSON_PrintUnformatted(d->signatures);
	must(list != NULL, "memory");
	append(&d->bytes, "{\"signatures\":", 14);
	append(&d->bytes, list, strlen(list));
	append(&d->bytes, ",\"signed\":", 10);
	append(&d->bytes, d->text.data, d->text.len);
	append(&d->bytes, "}", 1);
	cJSON_free(list);
}

void
doc_clear_step(struct doc *d)
{
	cJSON_Delete(d->payload);
	cJSON_Delete(d->signatures);
	d->payload = d->signatures = NULL;
	upt_buf_clear(&d->text);
	upt_buf_clear(&d->bytes);
	d->signing = (struct signing){0};
	d->omit = d->unlisted = false;
	d->file[0] = '\0';
}
