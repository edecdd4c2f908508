#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

struct upt_public_key {
	struct upt_openssl_key key;
};

static enum upt_code
parse_ed25519(struct upt_span text, EVP_PKEY **out, struct upt_err *err)
{
	uint8_t raw[UPT_ED25519_KEY_BYTES];

	UPT_TRY(upt_ed25519_decode(text, raw, err));
	*out = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, sizeof(raw));
	/* Any 32 bytes make such an object: the fault is not the text's. */
	if (*out == NULL)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot take an ed25519 key");
	return UPT_OK;
}

static enum upt_code
parse_spki(struct upt_span text, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf der = {0};

	UPT_TRY(upt_spki_decode(text, &der, err));
	return upt_openssl_spki_read(upt_buf_span(&der), out, err);
}

/* Parses, and refuses a key whose content is of another kind than keytype says. */
static enum upt_code
parse_key(struct upt_span keytype, struct upt_span text, struct upt_openssl_key *out,
	struct upt_err *err)
{
	enum upt_key_kind kind = upt_key_kind_from_name(keytype);
	EVP_PKEY *pkey = NULL;

	if (kind == UPT_KEY_ED25519)
		UPT_TRY(parse_ed25519(text, &pkey, err));
	else
		UPT_TRY(parse_spki(text, &pkey, err));
	UPT_TRY(upt_openssl_key_adopt(out, pkey, err));
	if (!upt_key_kind_has_name(out->kind, keytype))
		return upt_fail(err, UPT_E_MALFORMED, "a key of type %.*s holds one for %s",
			keytype.len < 32 ? (int)keytype.len : 32, (const char *)keytype.data,
			upt_key_method_default(out->kind)->name);
	return UPT_OK;
}

enum upt_code
upt_public_key_parse(struct upt_span keytype, struct upt_span public_text,
	struct upt_public_key **out, struct upt_err *err)
{
	upt_cleanup(upt_public_key_free) struct upt_public_key *key = NULL;

	*out = NULL;
	ERR_clear_error();
	if (upt_key_kind_from_name(keytype) == UPT_KEY_NONE)
		return upt_fail(err, UPT_E_UNSUPPORTED, "unknown key type %.*s",
			keytype.len < 32 ? (int)keytype.len : 32, (const char *)keytype.data);
	if (public_text.len > UPT_KEY_TEXT_MAX_BYTES)
		return upt_fail(err, UPT_E_MALFORMED, "public key of %zu characters, more than %d",
			public_text.len, UPT_KEY_TEXT_MAX_BYTES);
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a public key");
	UPT_TRY(parse_key(keytype, public_text, &key->key, err));
	*out = key;
	key = NULL;
	return UPT_OK;
}

void
upt_public_key_free(struct upt_public_key **key)
{
	if (*key == NULL)
		return;
	upt_openssl_key_clear(&(*key)->key);
	free(*key);
	*key = NULL;
}

enum upt_code
upt_public_key_share(
	const struct upt_public_key *key, struct upt_public_key **out, struct upt_err *err)
{
	struct upt_public_key *shared = calloc(1, sizeof(*shared));

	*out = NULL;
	if (shared == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a public key");
	/* Counts its holders; nobody changes a key once it is parsed. */
	if (EVP_PKEY_up_ref(key->key.pkey) != 1) {
		free(shared);
		return upt_fail(err, UPT_E_INTERNAL, "cannot share a public key");
	}
	shared->key = key->key;
	*out = shared;
	return UPT_OK;
}

const uint8_t *
upt_public_key_fingerprint(const struct upt_public_key *key)
{
	return key->key.fingerprint;
}

const char *
upt_public_key_type(const struct upt_public_key *key)
{
	return upt_key_kind_name(key->key.kind);
}

const char *
upt_public_key_default_method(const struct upt_public_key *key)
{
	return upt_key_method_default(key->key.kind)->name;
}

static bool
signature_len_possible(const struct upt_openssl_key *key, size_t len)
{
	switch (key->kind) {
	case UPT_KEY_NONE:
		break;
	case UPT_KEY_ED25519:
		return len == UPT_ED25519_SIGNATURE_BYTES;
	case UPT_KEY_RSA:
		return len == (size_t)EVP_PKEY_get_size(key->pkey);
	case UPT_KEY_P256:
		return len >= UPT_ECDSA_SIGNATURE_MIN_BYTES && len <= UPT_P256_SIGNATURE_MAX_BYTES;
	case UPT_KEY_P384:
		return len >= UPT_ECDSA_SIGNATURE_MIN_BYTES && len <= UPT_P384_SIGNATURE_MAX_BYTES;
	}
	return false;
}

enum upt_code
upt_openssl_key_verify(const struct upt_openssl_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err)
{
	const struct upt_key_method *m = upt_key_method_find(key->kind, method);
	upt_cleanup(upt_openssl_md_ctx_cleanup) EVP_MD_CTX *ctx = NULL;
	EVP_PKEY_CTX *pctx = NULL;

	ERR_clear_error();
	if (m == NULL)
		return upt_fail(err, UPT_E_UNSUPPORTED, "method %.*s is none of %s keys",
			method.len < 32 ? (int)method.len : 32, (const char *)method.data,
			upt_key_kind_name(key->kind));
	if (!signature_len_possible(key, signature.len))
		return upt_fail(
			err, UPT_E_THRESHOLD, "%s signature of %zu bytes", m->name, signature.len);
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a verification");
	if (EVP_DigestVerifyInit_ex(
		    ctx, &pctx, upt_openssl_hash_name(m->hash), NULL, NULL, key->pkey, NULL) != 1 ||
		upt_openssl_set_padding(pctx, m, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot verify %s", m->name);
	/* 0 and the negative values are refusals alike: only 1 says that the signature is right. */
	if (EVP_DigestVerify(ctx, signature.data, signature.len, upt_openssl_bytes(message),
		    message.len) != 1)
		return upt_openssl_fail(err, UPT_E_THRESHOLD, "wrong %s signature", m->name);
	return UPT_OK;
}

enum upt_code
upt_public_key_verify(const struct upt_public_key *key, struct upt_span method,
	struct upt_span message, struct upt_span signature, struct upt_err *err)
{
	return upt_openssl_key_verify(&key->key, method, message, signature, err);
}
