#include "manifest/signed.h"

#include "base/encode.h"
#include "manifest/fields.h"

/* ---- writing ---- */

static void
print_cleanup(char **text)
{
	cJSON_free(*text);
}

/* The payload's canonical bytes, through the strict reader: what it refuses, nobody could verify.
 */
static enum upt_code
canonical_payload(const cJSON *payload, struct upt_buf *out, struct upt_err *err)
{
	upt_cleanup(print_cleanup) char *text = cJSON_PrintUnformatted(payload);
	struct upt_json_doc doc;

	if (text == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a payload's text");
	UPT_TRY(upt_json_check(upt_span_str(text), &doc, err));
	if (doc.type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "payload to sign is no object");
	return upt_json_canonical(doc.whole.text, UPT_JSON_UTF8, out, err);
}

static enum upt_code
append_signature(struct upt_span message, const struct upt_private_key *key, struct upt_buf *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf sig = {0};
	struct upt_digest digest;
	char hex[2 * UPT_HASH_MAX_BYTES + 1], keyid[65];

	UPT_TRY(upt_hash_span(UPT_HASH_SHA256, message, &digest, err));
	UPT_TRY(upt_private_key_sign(key, message, &sig, err));
	upt_hex_encode(upt_span(digest.bytes, digest.len), hex);
	upt_private_key_id(key, keyid);
	UPT_TRY(upt_buf_printf(out, err,
		"{\"hash\":{\"digest\":\"%s\",\"function\":\"%s\"},\"keyid\":\"%s\","
		"\"method\":\"%s\",\"sig\":\"",
		hex, upt_hash_name(digest.alg), keyid, upt_private_key_method(key)));
	UPT_TRY(upt_base64_encode(upt_buf_span(&sig), out, err));
	return upt_buf_printf(out, err, "\"}");
}

enum upt_code
upt_manifest_sign(const cJSON *payload, const struct upt_private_key *key, struct upt_buf *out,
	struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf message = {0};
	upt_cleanup(upt_buf_clear) struct upt_buf text = {0};

	upt_buf_clear(out);
	UPT_TRY(canonical_payload(payload, &message, err));
	UPT_TRY(upt_buf_printf(&text, err, "{\"signatures\":["));
	UPT_TRY(append_signature(upt_buf_span(&message), key, &text, err));
	UPT_TRY(upt_buf_printf(&text, err, "],\"signed\":"));
	UPT_TRY(upt_buf_append(&text, message.data, message.len, err));
	UPT_TRY(upt_buf_printf(&text, err, "}"));
	upt_buf_move(out, &text);
	return UPT_OK;
}

/* ---- checking ---- */

struct payload_hash {
	bool present;
	enum upt_hash_alg alg; /* NONE: a function that this build does not know */
	struct upt_digest digest;
};

static enum upt_code
read_hash_members(struct upt_json_iter *it, struct upt_arena *arena, struct payload_hash *out,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_span raw, function = {0}, digest = {0};

	while (upt_json_next(&members)) {
		if (!upt_json_raw_string(&members, &raw))
			continue;
		if (upt_json_key_is(&members, "function"))
			UPT_TRY(upt_json_decode(arena, raw, &function, err));
		else if (upt_json_key_is(&members, "digest"))
			UPT_TRY(upt_json_decode(arena, raw, &digest, err));
	}
	if (function.len == 0 || digest.len == 0)
		return upt_fail(err, UPT_E_MALFORMED, "a payload hash without function or digest");
	out->present = true;
	out->alg = upt_hash_from_name(function);
	if (out->alg != UPT_HASH_NONE && !upt_digest_parse(out->alg, digest, &out->digest))
		return upt_fail(err, UPT_E_MALFORMED, "a payload hash that is no %s",
			upt_hash_name(out->alg));
	return UPT_OK;
}

/* The "hash" member of the signature entry that it stands on. */
static enum upt_code
read_hash(struct upt_json_iter *it, struct upt_arena *arena, struct payload_hash *out,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);

	*out = (struct payload_hash){0};
	while (upt_json_next(&members)) {
		if (!upt_json_key_is(&members, "hash"))
			continue;
		if (members.type != UPT_JSON_OBJECT)
			return upt_fail(err, UPT_E_MALFORMED, "a payload hash is no object");
		UPT_TRY(read_hash_members(&members, arena, out, err));
	}
	return UPT_OK;
}

/* UPT_E_THRESHOLD unless the payload has that hash in one of its canonical forms. */
static enum upt_code
check_hash(
	const struct upt_json_facts *payload, const struct payload_hash *want, struct upt_err *err)
{
	struct upt_digest digest;

	for (int form = 0; want->alg != UPT_HASH_NONE && form < UPT_JSON_N_FORMS; form++) {
		upt_cleanup(upt_buf_clear) struct upt_buf copy = {0};
		struct upt_span text = payload->text;

		if ((payload->in_place & 1u << form) == 0) {
			UPT_TRY(upt_json_canonical(
				payload->text, (enum upt_json_form)form, &copy, err));
			text = upt_buf_span(&copy);
		}
		UPT_TRY(upt_hash_span(want->alg, text, &digest, err));
		if (upt_digest_equal(&digest, &want->digest))
			return UPT_OK;
		if (!payload->forms_differ)
			break;
	}
	return upt_fail(err, UPT_E_THRESHOLD, "a signature whose payload hash is another's");
}

static enum upt_code
check_entry(const struct upt_envelope *envelope, const struct upt_signature *sig,
	struct upt_json_iter *it, const struct upt_public_key *key,
	enum upt_manifest_profile profile, struct upt_arena *arena, struct upt_err *err)
{
	struct payload_hash hash;

	if (sig->method.len == 0)
		return upt_fail(err, UPT_E_MALFORMED, "a signature without method");
	UPT_TRY(read_hash(it, arena, &hash, err));
	if (!hash.present && profile == UPT_MANIFEST_STANDARD)
		return upt_fail(err, UPT_E_MALFORMED, "a signature without payload hash");
	if (hash.present)
		UPT_TRY(check_hash(envelope->payload, &hash, err));
	return upt_envelope_check_signature(envelope, sig, key, err);
}

static enum upt_code
check_signatures(const struct upt_envelope *envelope, const struct upt_public_key *key,
	enum upt_manifest_profile profile, struct upt_arena *arena, struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(upt_json_top(&envelope->doc, "signatures")->text);
	enum upt_code code = upt_fail(err, UPT_E_THRESHOLD, "no signature");

	/* Each may cost a pass over the payload: a list without a bound would buy endless work. */
	if (envelope->n_signatures > UPT_MANIFEST_MAX_SIGNATURES)
		return upt_fail(err, UPT_E_MALFORMED, "%zu signatures, more than %d",
			envelope->n_signatures, UPT_MANIFEST_MAX_SIGNATURES);
	for (size_t i = 0; i < envelope->n_signatures && upt_json_next(&it); i++) {
		code = check_entry(
			envelope, &envelope->signatures[i], &it, key, profile, arena, err);
		if (code != UPT_E_THRESHOLD)
			return code;
	}
	return code;
}

enum upt_code
upt_manifest_open(struct upt_span text, size_t max_bytes, const struct upt_public_key *key,
	enum upt_manifest_profile profile, const char *what, struct upt_arena *arena,
	struct upt_span *payload, struct upt_err *err)
{
	struct upt_envelope envelope;
	enum upt_code code;

	*payload = (struct upt_span){0};
	if (text.len > max_bytes)
		return upt_fail(err, UPT_E_TOO_LARGE, "%s of %zu bytes, more than the %zu allowed",
			what, text.len, max_bytes);
	code = upt_envelope_parse(text, arena, &envelope, err);
	if (code == UPT_OK)
		code = check_signatures(&envelope, key, profile, arena, err);
	if (code != UPT_OK)
		return upt_wrap(err, code, "%s", what);
	*payload = envelope.payload->text;
	return UPT_OK;
}
