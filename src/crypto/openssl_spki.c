/*
 * SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) of the keys that we take, in both directions. OpenSSL 3's own
 * ways, d2i_PUBKEY and i2d_PUBKEY, go through every decoder or encoder that its providers have: three to
 * ten times what a verification with the key costs.
 */
#include <assert.h>
#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include "crypto/openssl.h"

/* The templates' macros need names of types. */
typedef struct {
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *key;
} SPKI;

ASN1_SEQUENCE(SPKI) = {
	ASN1_SIMPLE(SPKI, algorithm, X509_ALGOR),
	ASN1_SIMPLE(SPKI, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(SPKI)

/* RSAPublicKey (RFC 8017, A.1.1) */
typedef struct {
	BIGNUM *n;
	BIGNUM *e;
} RSA_NUMBERS;

ASN1_SEQUENCE(RSA_NUMBERS) = {
	ASN1_SIMPLE(RSA_NUMBERS, n, BIGNUM),
	ASN1_SIMPLE(RSA_NUMBERS, e, BIGNUM),
} static_ASN1_SEQUENCE_END(RSA_NUMBERS)

static void
spki_free(SPKI **spki)
{
	ASN1_item_free((ASN1_VALUE *)*spki, ASN1_ITEM_rptr(SPKI));
}

static void
rsa_numbers_free(RSA_NUMBERS **numbers)
{
	ASN1_item_free((ASN1_VALUE *)*numbers, ASN1_ITEM_rptr(RSA_NUMBERS));
}

static void
param_bld_cleanup(OSSL_PARAM_BLD **bld)
{
	OSSL_PARAM_BLD_free(*bld);
}

static void
params_cleanup(OSSL_PARAM **params)
{
	OSSL_PARAM_free(*params);
}

static void
pkey_ctx_cleanup(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void
der_cleanup(unsigned char **der)
{
	OPENSSL_free(*der);
}

/* The whole of der as one value of that shape, or NULL. */
static ASN1_VALUE *
read_item(struct upt_span der, const ASN1_ITEM *item)
{
	const unsigned char *pos = der.data;
	ASN1_VALUE *value;

	assert(der.len <= LONG_MAX);
	value = ASN1_item_d2i(NULL, &pos, (long)der.len, item);
	if (value != NULL && pos != der.data + der.len) {
		ASN1_item_free(value, item);
		value = NULL;
	}
	return value;
}

/* ---- reading ---- */

static enum upt_code
make_key(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(params_cleanup) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	upt_cleanup(pkey_ctx_cleanup) EVP_PKEY_CTX *ctx =
		EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot take an %s key", type);
	if (EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return upt_openssl_fail(err, UPT_E_MALFORMED, "no %s key", type);
	return UPT_OK;
}

static enum upt_code
read_rsa(struct upt_span key, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(rsa_numbers_free) RSA_NUMBERS *numbers =
		(RSA_NUMBERS *)read_item(key, ASN1_ITEM_rptr(RSA_NUMBERS));
	upt_cleanup(param_bld_cleanup) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

	if (numbers == NULL)
		return upt_openssl_fail(err, UPT_E_MALFORMED, "an RSA key is not two numbers");
	if (bld == NULL || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, numbers->n) != 1 ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, numbers->e) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot take an RSA key");
	return make_key("RSA", bld, out, err);
}

/* Curves by name only: parameters in the key may name a generator of the attacker's choice
 * (CVE-2020-0601). */
static enum upt_code
read_ec(const X509_ALGOR *algorithm, struct upt_span key, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(param_bld_cleanup) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	const void *curve;
	int type, nid;

	X509_ALGOR_get0(NULL, &type, &curve, algorithm);
	nid = type == V_ASN1_OBJECT ? OBJ_obj2nid(curve) : NID_undef;
	if (nid != NID_X9_62_prime256v1 && nid != NID_secp384r1)
		return upt_fail(err, UPT_E_UNSUPPORTED, "curve %s is not P-256 or P-384",
			nid != NID_undef ? OBJ_nid2sn(nid) : "without a name we know");
	if (bld == NULL ||
		OSSL_PARAM_BLD_push_utf8_string(
			bld, OSSL_PKEY_PARAM_GROUP_NAME, OBJ_nid2sn(nid), 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(
			bld, OSSL_PKEY_PARAM_PUB_KEY, key.data, key.len) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot take an EC key");
	return make_key("EC", bld, out, err);
}

static enum upt_code
read_ed25519(struct upt_span key, EVP_PKEY **out, struct upt_err *err)
{
	if (key.len != UPT_ED25519_KEY_BYTES)
		return upt_fail(err, UPT_E_MALFORMED, "ed25519 key of %zu bytes", key.len);
	*out = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key.data, key.len);
	if (*out == NULL)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot take an ed25519 key");
	return UPT_OK;
}

enum upt_code
upt_openssl_spki_read(struct upt_span der, EVP_PKEY **out, struct upt_err *err)
{
	upt_cleanup(spki_free) SPKI *spki = (SPKI *)read_item(der, ASN1_ITEM_rptr(SPKI));
	struct upt_span key;
	int nid;

	*out = NULL;
	if (spki == NULL)
		return upt_openssl_fail(
			err, UPT_E_MALFORMED, "no public key in %zu bytes of DER", der.len);
	nid = OBJ_obj2nid(spki->algorithm->algorithm);
	key = upt_span(ASN1_STRING_get0_data(spki->key), (size_t)ASN1_STRING_length(spki->key));
	if (nid == NID_rsaEncryption)
		return read_rsa(key, out, err);
	if (nid == NID_X9_62_id_ecPublicKey)
		return read_ec(spki->algorithm, key, out, err);
	if (nid == NID_ED25519)
		return read_ed25519(key, out, err);
	return upt_fail(err, UPT_E_UNSUPPORTED, "key of another type than ed25519, RSA or ECDSA");
}

/* ---- writing ---- */

static enum upt_code
write_rsa(const EVP_PKEY *pkey, unsigned char **out, int *len, struct upt_err *err)
{
	upt_cleanup(rsa_numbers_free) RSA_NUMBERS *numbers =
		(RSA_NUMBERS *)ASN1_item_new(ASN1_ITEM_rptr(RSA_NUMBERS));

	if (numbers == NULL)
		return upt_openssl_fail(err, UPT_E_NO_MEMORY, "no memory for a key's numbers");
	BN_free(numbers->n);
	BN_free(numbers->e);
	numbers->n = numbers->e = NULL;
	UPT_TRY(upt_openssl_rsa_numbers(pkey, &numbers->n, &numbers->e, err));
	*len = ASN1_item_i2d((ASN1_VALUE *)numbers, out, ASN1_ITEM_rptr(RSA_NUMBERS));
	return *len > 0 ? UPT_OK : upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a key");
}

/* ed25519's bytes, or a curve's point in the form that the key was told. */
static enum upt_code
write_octets(const EVP_PKEY *pkey, unsigned char **out, int *len, struct upt_err *err)
{
	unsigned char octets[256];
	size_t n = 0;

	if (EVP_PKEY_get_octet_string_param(
		    pkey, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof(octets), &n) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot get a key's bytes");
	*out = OPENSSL_memdup(octets, n);
	*len = (int)n;
	return *out != NULL ? UPT_OK : upt_fail(err, UPT_E_NO_MEMORY, "no memory for a key");
}

static int
set_algorithm(X509_ALGOR *algorithm, enum upt_key_kind kind)
{
	ASN1_OBJECT *ec = OBJ_nid2obj(NID_X9_62_id_ecPublicKey);

	switch (kind) {
	case UPT_KEY_NONE:
		break;
	case UPT_KEY_ED25519:
		return X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_ED25519), V_ASN1_UNDEF, NULL);
	case UPT_KEY_RSA:
		return X509_ALGOR_set0(
			algorithm, OBJ_nid2obj(NID_rsaEncryption), V_ASN1_NULL, NULL);
	case UPT_KEY_P256:
		return X509_ALGOR_set0(
			algorithm, ec, V_ASN1_OBJECT, OBJ_nid2obj(NID_X9_62_prime256v1));
	case UPT_KEY_P384:
		return X509_ALGOR_set0(algorithm, ec, V_ASN1_OBJECT, OBJ_nid2obj(NID_secp384r1));
	}
	return 0;
}

enum upt_code
upt_openssl_spki_write(
	const struct upt_openssl_key *key, struct upt_buf *der, struct upt_err *err)
{
	upt_cleanup(spki_free) SPKI *spki = (SPKI *)ASN1_item_new(ASN1_ITEM_rptr(SPKI));
	upt_cleanup(der_cleanup) unsigned char *octets = NULL, *text = NULL;
	int len;

	if (spki == NULL || set_algorithm(spki->algorithm, key->kind) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	if (key->kind == UPT_KEY_RSA)
		UPT_TRY(write_rsa(key->pkey, &octets, &len, err));
	else
		UPT_TRY(write_octets(key->pkey, &octets, &len, err));
	if (ASN1_BIT_STRING_set(spki->key, octets, len) != 1)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	/* All bits count: else zero bits at the end would be cut off. */
	spki->key->flags = ASN1_STRING_FLAG_BITS_LEFT;
	len = ASN1_item_i2d((ASN1_VALUE *)spki, &text, ASN1_ITEM_rptr(SPKI));
	if (len <= 0)
		return upt_openssl_fail(err, UPT_E_INTERNAL, "cannot encode a public key");
	der->len = 0;
	return upt_buf_append(der, text, (size_t)len, err);
}
