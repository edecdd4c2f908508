#include "support.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/encode.h"

size_t
unhex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= max);
	assert_true(upt_hex_decode(upt_span_str(hex), out, n));
	return n;
}

EVP_PKEY *
make_rsa(size_t bits)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);

	assert_non_null(pkey);
	return pkey;
}

EVP_PKEY *
make_ec(const char *group)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);

	assert_non_null(pkey);
	return pkey;
}

EVP_PKEY *
make_rsa_numbers(int n_bits, uint64_t e, int e_shift)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_new(), *exponent = BN_new();
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params;

	assert_int_equal(BN_rand(n, n_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	assert_int_equal(BN_set_word(exponent, e), 1);
	assert_int_equal(BN_lshift(exponent, exponent, e_shift), 1);
	if (e_shift > 0)
		assert_int_equal(BN_add_word(exponent, 1), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent), 1);
	params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(exponent);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

char *
spki_hex(const EVP_PKEY *pkey)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);
	char *hex;

	assert_true(len > 0);
	hex = malloc(2 * (size_t)len + 1);
	assert_non_null(hex);
	upt_hex_encode(upt_span(der, (size_t)len), hex);
	OPENSSL_free(der);
	return hex;
}

char *
spki_pem(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *pem;
	long len;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	len = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)len);
	assert_non_null(pem);
	BIO_free(bio);
	return pem;
}

enum upt_code
parse(const char *keytype, const char *text, struct upt_public_key **out)
{
	struct upt_public_key *stale = (struct upt_public_key *)(uintptr_t)1;
	struct upt_err err = {0};
	enum upt_code code;

	*out = stale;
	code = upt_public_key_parse(upt_span_str(keytype), upt_span_str(text), out, &err);
	assert_ptr_not_equal(*out, stale);
	assert_int_equal(err.code, code);
	if (code != UPT_OK) {
		assert_null(*out);
		assert_true(err.message[0] != '\0');
	}
	return code;
}

enum upt_code
verify(const struct upt_public_key *key, const char *method, struct upt_span message,
	struct upt_span signature)
{
	struct upt_err err = {0};
	enum upt_code code =
		upt_public_key_verify(key, upt_span_str(method), message, signature, &err);

	assert_int_equal(err.code, code);
	return code;
}
