#include "metadata/envelope.h"

#include <strings.h>
#include "base/encode.h"
#include "metadata/limits.h"

/* Longest signature text: base64 or hex of the largest signature. */
#define SIGNATURE_TEXT_MAX (2 * UPT_SIGNATURE_MAX_BYTES)

/* Hex (plain TUF) or base64 (OTA servers). All-hex text of even length is hex: no base64 signature
 * of real length consists of hex digits only. */
static enum upt_code
decode_signature(
	struct upt_span text, struct upt_arena *arena, struct upt_span *out, struct upt_err *err)
{
	uint8_t *bytes;
	size_t len;

	*out = (struct upt_span){0};
	/* Longer than any method here writes: some later method's, which like an unknown key type
	 * never counts and does not hide the good ones beside it. */
	if (text.len > SIGNATURE_TEXT_MAX)
		return UPT_OK;
	bytes = upt_arena_alloc(arena, text.len + 1, 1);
	if (bytes == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a signature");
	if (upt_hex_decode(text, bytes, text.len / 2))
		*out = upt_span(bytes, text.len / 2);
	else if (upt_base64_decode(text, bytes, text.len, &len))
		*out = upt_span(bytes, len);
	/* Neither: an empty value, which never counts. */
	return UPT_OK;
}

static enum upt_code
parse_signature(struct upt_json_iter *it, struct upt_arena *arena, struct upt_signature *out,
	struct upt_err *err)
{
	struct upt_json_iter members = upt_json_enter(it);
	struct upt_span raw, text = {0};

	if (it->type != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "a signature is no object");
	while (upt_json_next(&members)) {
		if (!upt_json_raw_string(&members, &raw))
			continue;
		if (upt_json_key_is(&members, "keyid")) {
			if (raw.len > UPT_MAX_KEYID_BYTES)
				return upt_fail(
					err, UPT_E_MALFORMED, "a key id of %zu bytes", raw.len);
			UPT_TRY(upt_json_decode_string(arena, raw, &out->keyid, err));
		} else if (upt_json_key_is(&members, "method")) {
			UPT_TRY(upt_json_decode(arena, raw, &out->method, err));
		} else if (upt_json_key_is(&members, "sig")) {
			UPT_TRY(upt_json_decode(arena, raw, &text, err));
		}
	}
	if (out->keyid == NULL)
		return upt_fail(err, UPT_E_MALFORMED, "a signature without keyid");
	return decode_signature(text, arena, &out->value, err);
}

static enum upt_code
parse_signatures(struct upt_span list, struct upt_arena *arena, struct upt_envelope *out,
	struct upt_err *err)
{
	struct upt_json_iter it = upt_json_iter(list);
	size_t n = 0;

	while (upt_json_next(&it))
		n++;
	if (n > UPT_MAX_SIGNATURES)
		return upt_fail(err, UPT_E_MALFORMED, "%zu signatures, more than the %d allowed", n,
			UPT_MAX_SIGNATURES);
	out->signatures = upt_arena_alloc(arena, n + 1, sizeof(*out->signatures));
	if (out->signatures == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for %zu signatures", n);
	it = upt_json_iter(list);
	while (upt_json_next(&it)) {
		struct upt_signature *sig = &out->signatures[out->n_signatures];

		UPT_TRY(parse_signature(&it, arena, sig, err));
		for (size_t i = 0; i < out->n_signatures; i++) {
			if (strcmp(out->signatures[i].keyid, sig->keyid) == 0)
				return upt_fail(err, UPT_E_DUPLICATE_KEYID,
					"the signature list names key id %.16s... twice",
					sig->keyid);
		}
		out->n_signatures++;
	}
	return UPT_OK;
}

enum upt_code
upt_envelope_parse(struct upt_span text, struct upt_arena *arena, struct upt_envelope *out,
	struct upt_err *err)
{
	const struct upt_json_facts *signatures;

	*out = (struct upt_envelope){0};
	UPT_TRY(upt_json_check(text, &out->doc, err));
	signatures = upt_json_top(&out->doc, "signatures");
	out->payload = upt_json_top(&out->doc, "signed");
	if (signatures == NULL || upt_json_type_of(signatures->text) != UPT_JSON_ARRAY)
		return upt_fail(err, UPT_E_MALFORMED, "no list of signatures");
	if (out->payload == NULL || upt_json_type_of(out->payload->text) != UPT_JSON_OBJECT)
		return upt_fail(err, UPT_E_MALFORMED, "no signed object");
	return parse_signatures(signatures->text, arena, out, err);
}

/* The signed bytes in each form, made when first needed; in place when the text already is
 * canonical. */
struct signed_forms {
	const struct upt_json_facts *payload;
	struct upt_buf copies[UPT_JSON_N_FORMS];
	size_t n_wrong; /* signatures that were tried in every form in vain */
};

static void
signed_forms_clear(struct signed_forms *forms)
{
	for (int i = 0; i < UPT_JSON_N_FORMS; i++)
		upt_buf_clear(&forms->copies[i]);
}

static enum upt_code
signed_forms_get(struct signed_forms *forms, enum upt_json_form form, struct upt_span *out,
	struct upt_err *err)
{
	struct upt_buf *copy = &forms->copies[form];

	if (forms->payload->in_place & (1u << form)) {
		*out = forms->payload->text;
		return UPT_OK;
	}
	if (copy->data == NULL)
		UPT_TRY(upt_json_canonical(forms->payload->text, form, copy, err));
	*out = upt_buf_span(copy);
	return UPT_OK;
}

static bool
same_name(struct upt_span a, struct upt_span b)
{
	return a.len == b.len &&
	       (a.len == 0 || strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0);
}

/* Old names of one and the same method. */
static struct upt_span
canonical_method(struct upt_span method)
{
	if (same_name(method, upt_span_str("rsassa-pss")))
		return upt_span_str("rsassa-pss-sha256");
	if (same_name(method, upt_span_str("ecdsa")))
		return upt_span_str("ecdsa-sha2-nistp256");
	return method;
}

/*
 * The key's scheme is part of its identity (0.1): a signature that names another method does not
 * count, or an attacker could move a key to the weakest method that its type can do.
 */
static bool
choose_method(const struct upt_key *key, const struct upt_signature *sig, struct upt_span *out)
{
	if (key->scheme.len > 0 && sig->method.len > 0 &&
		!same_name(canonical_method(key->scheme), canonical_method(sig->method)))
		return false;
	if (sig->method.len > 0)
		*out = sig->method;
	else if (key->scheme.len > 0)
		*out = key->scheme;
	else
		*out = upt_span_str(upt_public_key_default_method(key->key));
	return true;
}

/*
 * The forms that the text stands in already come first: who serves a canonical text most likely
 * signed just that. A root with PEM keys differs in each form by its line breaks; tried in another
 * order, each of its signatures would cost a copy of the text and a verification in vain.
 */
static void
order_forms(const struct upt_json_facts *payload, enum upt_json_form order[static UPT_JSON_N_FORMS])
{
	size_t n = 0;

	for (int in_place = 1; in_place >= 0; in_place--) {
		for (int form = 0; form < UPT_JSON_N_FORMS; form++) {
			if ((int)(payload->in_place >> form & 1u) == in_place)
				order[n++] = (enum upt_json_form)form;
		}
	}
}

/* Sets *valid; a code other than UPT_OK means "cannot tell" and ends the check. */
static enum upt_code
verify_forms(const struct upt_public_key *key, struct upt_span method, struct upt_span value,
	struct signed_forms *forms, bool *valid, struct upt_err *err)
{
	enum upt_json_form order[UPT_JSON_N_FORMS];
	struct upt_span message;
	enum upt_code code;

	*valid = false;
	order_forms(forms->payload, order);
	for (int i = 0; i < UPT_JSON_N_FORMS; i++) {
		UPT_TRY(signed_forms_get(forms, order[i], &message, err));
		code = upt_public_key_verify(key, method, message, value, err);
		if (code == UPT_OK) {
			*valid = true;
			return UPT_OK;
		}
		if (code == UPT_E_UNSUPPORTED)
			return UPT_OK;
		if (code != UPT_E_THRESHOLD)
			return code;
		/* One text in all forms: trying it again would cost a pass and change nothing. */
		if (!forms->payload->forms_differ)
			break;
	}
	forms->n_wrong++;
	return UPT_OK;
}

static enum upt_code
verify_signature(const struct upt_key *key, const struct upt_signature *sig,
	struct signed_forms *forms, bool *valid, struct upt_err *err)
{
	struct upt_span method;

	*valid = false;
	if (!choose_method(key, sig, &method))
		return UPT_OK;
	return verify_forms(key->key, method, sig->value, forms, valid, err);
}

enum upt_code
upt_envelope_check_signature(const struct upt_envelope *envelope, const struct upt_signature *sig,
	const struct upt_public_key *key, struct upt_err *err)
{
	upt_cleanup(signed_forms_clear) struct signed_forms forms = {.payload = envelope->payload};
	bool valid;

	UPT_TRY(verify_forms(key, sig->method, sig->value, &forms, &valid, err));
	if (!valid)
		return upt_fail(err, UPT_E_THRESHOLD, "the signature of key id %.16s... is wrong",
			sig->keyid);
	return UPT_OK;
}

static bool
lists_keyid(const struct upt_role_keys *role, const char *keyid)
{
	for (size_t i = 0; i < role->n_keyids; i++) {
		if (strcmp(role->keyids[i], keyid) == 0)
			return true;
	}
	return false;
}

static bool
already_counted(const uint8_t *counted[], size_t n, const uint8_t *print)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(counted[i], print, 32) == 0)
			return true;
	}
	return false;
}

enum upt_code
upt_envelope_check_threshold(const struct upt_envelope *envelope, const struct upt_keyring *keyring,
	const struct upt_role_keys *role, const char *what, struct upt_err *err)
{
	upt_cleanup(signed_forms_clear) struct signed_forms forms = {.payload = envelope->payload};
	const uint8_t *counted[UPT_MAX_SIGNATURES];
	size_t n_counted = 0;

	if (role->threshold < 1)
		return upt_fail(err, UPT_E_BAD_THRESHOLD, "%s: threshold 0", what);
	for (size_t i = 0; i < envelope->n_signatures && n_counted < role->threshold; i++) {
		const struct upt_signature *sig = &envelope->signatures[i];
		const struct upt_key *key = upt_keyring_find(keyring, sig->keyid);
		bool valid;

		if (key == NULL || key->key == NULL || !lists_keyid(role, sig->keyid))
			continue;
		/* One key under two ids is one key: its thief must not reach a threshold of two. */
		if (already_counted(counted, n_counted, upt_public_key_fingerprint(key->key)))
			continue;
		UPT_TRY(verify_signature(key, sig, &forms, &valid, err));
		if (valid)
			counted[n_counted++] = upt_public_key_fingerprint(key->key);
		/* Each costs a pass over the document and no signer writes them: whoever holds one
		 * key of a delegator could list hundreds over megabytes, in every delegated role.
		 */
		if (forms.n_wrong > UPT_MAX_WRONG_SIGNATURES)
			return upt_fail(err, UPT_E_THRESHOLD,
				"%s: more than %d wrong signatures by keys of the role", what,
				UPT_MAX_WRONG_SIGNATURES);
	}
	if (n_counted < role->threshold)
		return upt_fail(err, UPT_E_THRESHOLD,
			"%s: %zu valid signature(s) of distinct keys, %llu needed", what, n_counted,
			(unsigned long long)role->threshold);
	return UPT_OK;
}
