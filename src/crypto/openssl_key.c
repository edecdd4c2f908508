/* The rules that public and private keys share: which keys we take, and what names them. */
#include "crypto/openssl.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

static void
bn_cleanup(BIGNUM **bn)
{
	BN_free(*bn);
}

static void
pkey_ctx_cleanup(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

/* A number of at most size bytes, or NULL. EVP_PKEY_get_bn_param fills 2048 bytes in constant time,
 * whatever the number's size. */
static BIGNUM *
get_number(const EVP_PKEY *pkey, const char *name, size_t size)
{
	unsigned char bytes[UPT_RSA_MAX_BITS / 8];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_BN(name, bytes, size), OSSL_PARAM_construct_end()};
	BIGNUM *number = NULL;

	assert(size <= sizeof(bytes));
	if (EVP_PKEY_get_params(pkey, params) != 1 || OSSL_PARAM_get_BN(&params[0], &number) != 1)
		return NULL;
	return number;
}

enum upt_code
upt_openssl_rsa_numbers(const EVP_PKEY *pkey, BIGNUM **n, BIGNUM **e, struct upt_err *err)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (bits < (int)UPT_RSA_MIN_BITS || bits > (int)UPT_RSA_MAX_BITS)
		return upt_fail(err, UPT_E_UNSUPPORTED, "RSA key of %d bits, outside %u to %u",
			bits, UPT_RSA_MIN_BITS, UPT_RSA_MAX_BITS);
	*n = get_number(pkey, OSSL_PKEY_PARAM_RSA_N, ((size_t)bits + 7) / 8);
	if (*n == NULL)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot get an RSA key's modulus");
	/* Large ones make a verification as dear as the sender likes. */
	*e = get_number(pkey, OSSL_PKEY_PARAM_RSA_E, UPT_RSA_MAX_EXPONENT_BITS / 8);
	if (*e == NULL)
		return upt_openssl_fail(err, UPT_E_UNSUPPORTED,
			"RSA key with an exponent of more than %d bits", UPT_RSA_MAX_EXPONENT_BITS);
	return UPT_OK;
}

static enum upt_code
check_rsa(const EVP_PKEY *pkey, struct upt_err *err)
{
	upt_cleanup(bn_cleanup) BIGNUM *n = NULL, *e = NULL;

	UPT_TRY(upt_openssl_rsa_numbers(pkey, &n, &e, err));
	/* With e = 1 the message is its own signature; with an even number there is no RSA. */
	if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))
		return upt_fail(err, UPT_E_MALFORMED, "RSA key with an impossible number");
	/* FIPS 186: above 2^16. */
	if (BN_num_bits(e) < 17)
		return upt_fail(err, UPT_E_UNSUPPORTED,
			"RSA key with an exponent of %d bits, outside 17 to %d", BN_num_bits(e),
			UPT_RSA_MAX_EXPONENT_BITS);
	return UPT_OK;
}

static enum upt_code
find_curve(EVP_PKEY *pkey, enum upt_key_kind *kind, struct upt_err *err)
{
	char group[64] = "";

	*kind = UPT_KEY_NONE;
	if (EVP_PKEY_get_utf8_string_param(
		    pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1) {
		if (strcmp(group, "prime256v1") == 0)
			*kind = UPT_KEY_P256;
		else if (strcmp(group, "secp384r1") == 0)
			*kind = UPT_KEY_P384;
	}
	if (*kind == UPT_KEY_NONE)
		return upt_openssl_fail(err, UPT_E_UNSUPPORTED, "curve %s is not P-256 or P-384",
			group[0] != '\0' ? group : "without a name");
	return UPT_OK;
}

static enum upt_code
check_ec(EVP_PKEY *pkey, struct upt_err *err)
{
	upt_cleanup(pkey_ctx_cleanup) EVP_PKEY_CTX *ctx = NULL;
	int is_explicit = 1;

	/* Parameters in the key may name a generator of the attacker's choice (CVE-2020-0601). */
	if (EVP_PKEY_get_int_param(
		    pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) != 1 ||
		is_explicit != 0)
		return upt_openssl_fail(err, UPT_E_UNSUPPORTED, "curve given by its parameters");
	/* The point at infinity parses; under it anybody can make signatures that verify. The quick
	 * check says that the point is none such and on the curve; these curves have a prime order,
	 * so that it is a key then. The other one costs a verification more. */
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (ctx == NULL)
		return upt_fail(err, UPT_E_NO_MEMORY, "no memory for a key check");
	if (EVP_PKEY_public_check_quick(ctx) != 1)
		return upt_openssl_fail(err, UPT_E_MALFORMED, "EC key is no point of its curve");
	/* One key, one spelling: its fingerprint must not depend on the point's compression. */
	if (EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		    OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot set the point's form");
	return UPT_OK;
}

static enum upt_code
check_rules(struct upt_openssl_key *key, struct upt_err *err)
{
	/* EVP_PKEY_is_a() allocates, and without memory says that a key is of no type at all. */
	const char *type = EVP_PKEY_get0_type_name(key->pkey);

	assert(type != NULL);
	if (strcmp(type, "ED25519") == 0) {
		key->kind = UPT_KEY_ED25519;
		return UPT_OK;
	}
	if (strcmp(type, "RSA") == 0) {
		key->kind = UPT_KEY_RSA;
		return check_rsa(key->pkey, err);
	}
	if (strcmp(type, "EC") == 0) {
		UPT_TRY(find_curve(key->pkey, &key->kind, err));
		return check_ec(key->pkey, err);
	}
	return upt_fail(err, UPT_E_UNSUPPORTED, "key of another type than ed25519, RSA or ECDSA");
}

static enum upt_code
set_fingerprint(struct upt_openssl_key *key, struct upt_err *err)
{
	upt_cleanup(upt_buf_clear) struct upt_buf der = {0};
	struct upt_digest digest;
	enum upt_code code = upt_openssl_spki_write(key, &der, err);

	if (code == UPT_OK)
		code = upt_hash_span(UPT_HASH_SHA256, upt_buf_span(&der), &digest, err);
	if (code == UPT_OK)
		memcpy(key->fingerprint, digest.bytes, sizeof(key->fingerprint));
	return code;
}

enum upt_code
upt_openssl_key_adopt(struct upt_openssl_key *key, EVP_PKEY *pkey, struct upt_err *err)
{
	upt_cleanup(upt_openssl_key_clear) struct upt_openssl_key fresh = {.pkey = pkey};

	*key = (struct upt_openssl_key){0};
	UPT_TRY(check_rules(&fresh, err));
	UPT_TRY(set_fingerprint(&fresh, err));
	*key = fresh;
	fresh.pkey = NULL;
	return UPT_OK;
}

void
upt_openssl_key_clear(struct upt_openssl_key *key)
{
	EVP_PKEY_free(key->pkey);
	*key = (struct upt_openssl_key){0};
}

int
upt_openssl_set_padding(
	EVP_PKEY_CTX *ctx, const struct upt_key_method *method, const char *salt_len)
{
	char mode[] = OSSL_PKEY_RSA_PAD_MODE_PSS, salt[16];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_PAD_MODE, mode, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, salt, 0),
		OSSL_PARAM_construct_end()};

	if (method->kind != UPT_KEY_RSA)
		return 1;
	snprintf(salt, sizeof(salt), "%s", salt_len);
	/* MGF1's hash is the signature's own unless it is set. */
	return EVP_PKEY_CTX_set_params(ctx, params);
}
